// What clients of STOMP, HTTP and CoAP have in common here: each keeps its facts, survives its broker, and comes to rest.

import { keyOf, payloadOf } from './payload.ts';
import type { Random } from '../../src/base/random.ts';
import type { Qos } from '../../src/protocols/mqtt/codec/index.ts';
import type { Facts, SentMessage, SubscriberFacts } from '../../sim/facts.ts';
import type { Moments } from './moments.ts';

export interface Peers {
  start(): void;
  /** No new messages; what is there is seen out. */
  stop(): void;
  cutOne(): void;
  readonly isIdle: boolean;
  problems(): string[];
  leave(): void;
  readonly connections: number;
}

/** What they need of the history. */
export type Surroundings = { readonly facts: Facts; readonly random: Random; readonly moments: Moments };

/** Makes messages of one publisher, and says of them what became of them. */
export class Letters {
  readonly name: string;
  readonly #around: Surroundings;
  readonly #sequences = new Map<string, number>();
  #count = 0;

  constructor(name: string, around: Surroundings) {
    this.name = name;
    this.#around = around;
  }

  /** Not sent yet: its first attempt is the caller's. */
  next(topic: string, qos: Qos): SentMessage {
    const sequence = (this.#sequences.get(topic) ?? 0) + 1;
    this.#sequences.set(topic, sequence);
    const message: SentMessage = {
      key: `${this.name}#${++this.#count}`,
      publisher: this.name,
      topic,
      sequence,
      qos,
      retain: false,
      sentAtMs: performance.now(),
      acknowledgedAtMs: undefined,
      attempts: 1,
      refused: false,
    };
    this.#around.facts.sent.set(message.key, message);
    return message;
  }

  payloadOf({ key }: SentMessage): Buffer {
    return payloadOf(key, this.#around.random.below(600));
  }

  acknowledged(message: SentMessage): void {
    message.acknowledgedAtMs ??= performance.now();
    this.#around.moments.now('acknowledgement');
  }

  /** No limit is near: the broker has no reason. */
  refused(message: SentMessage, why: string): void {
    message.refused = true;
    this.#around.facts.complain(`REFUSED: ${message.key}: ${why}`);
  }
}

/** What one consumer got, at least once. */
export class Got {
  readonly facts: SubscriberFacts;
  connection = 0;
  readonly #around: Surroundings;
  readonly #settled = new Set<string>();

  constructor(clientId: string, filter: string, around: Surroundings) {
    this.#around = around;
    this.facts = { clientId, version: 5, filter, qos: 1, durable: true, group: undefined, subscribedAtMs: undefined, received: [] };
    around.facts.subscribers.push(this.facts);
  }

  subscribed(): void {
    if (this.facts.subscribedAtMs !== undefined) return;
    this.facts.subscribedAtMs = performance.now();
    this.#around.moments.now('subscription');
  }

  /** Returns the key. */
  take(topic: string, payload: Uint8Array, dup: boolean): string | undefined {
    const { facts, random } = this.#around;
    const { clientId } = this.facts;
    const key = keyOf(payload);
    if (key === undefined) {
      facts.complain(`BROKEN: ${clientId} got a payload of ${payload.length} bytes that nobody sent`);
      return undefined;
    }
    this.facts.received.push({ key, topic, qos: 1, dup, connection: this.connection, atMs: performance.now() });
    if (this.#settled.has(key) && isUnique(facts.sent.get(key))) {
      facts.complain(`REPEATED: ${clientId} got ${key} again, though its acknowledgement was confirmed`);
    }
    if (random.below(10) === 0) this.#around.moments.now('delivery');
    return key;
  }

  /** The broker has said that it knows that this message has arrived. */
  settled(key: string): void {
    this.#settled.add(key);
  }
}

/** Nobody has published it a second time: not even its client, without a word. */
function isUnique(sent: SentMessage | undefined): boolean {
  return sent !== undefined && (sent.qos === 2 || (sent.attempts === 1 && /^(?:stomp|http)-/.test(sent.publisher)));
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

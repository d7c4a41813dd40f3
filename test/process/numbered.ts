// Messages that are told apart: who published what, what was acknowledged, and whether a consumer got what it was promised.

import assert from 'node:assert/strict';

import type { ServerPacket } from '../harness/packet.ts';
import type { Peer } from './peer.ts';

export type PublisherOptions = {
  readonly topic: string;
  readonly qos?: 1 | 2;
  /** Unacknowledged at a time. */
  readonly window?: number;
  readonly payloadBytes?: number;
  /** Default: until `stop`. */
  readonly count?: number;
};

/** Keeps its window full of `name:1:…`, `name:2:…` and so on, and remembers the answers. */
export class NumberedPublisher {
  readonly name: string;
  readonly acknowledged = new Set<number>();
  /** Number → reason. */
  readonly refused = new Map<number, number>();
  readonly #peer: Peer;
  readonly #options: Required<PublisherOptions>;
  readonly #open = new Map<number, number>();
  readonly #freeIds: number[] = [];
  #next = 1;
  #stopped = false;

  constructor(peer: Peer, name: string, options: PublisherOptions) {
    this.name = name;
    this.#peer = peer;
    this.#options = { qos: 1, window: 100, payloadBytes: 16, count: Infinity, ...options };
    for (let id = this.#options.window; id > 0; id--) this.#freeIds.push(id);
    peer.onPacket = (packet) => this.#answered(packet);
    this.#fill();
  }

  /** Sent so far. */
  get sent(): number {
    return this.#next - 1;
  }

  /** Sent and not answered; for ever, when the connection is over. */
  get unanswered(): number {
    return this.#open.size;
  }

  /** It has nothing more to send, and everything was answered or never will be. */
  get done(): boolean {
    return this.#peer.ended || (this.#open.size === 0 && (this.#stopped || this.#next > this.#options.count));
  }

  /** Nothing new is sent from here on. */
  stop(): void {
    this.#stopped = true;
  }

  #fill(): void {
    const { topic, qos, payloadBytes, count } = this.#options;
    while (!this.#stopped && !this.#peer.ended && this.#freeIds.length > 0 && this.#next <= count) {
      const id = this.#freeIds.pop()!;
      const number = this.#next++;
      this.#open.set(id, number);
      this.#peer.send({ type: 'publish', topic, payload: `${this.name}:${number}:`.padEnd(payloadBytes, '.'), qos, id });
    }
  }

  #answered({ type, id, reason = 0 }: ServerPacket): boolean {
    if (type !== 'puback' && type !== 'pubrec' && type !== 'pubcomp') return false;
    const number = this.#open.get(id!)!;
    // A PUBREC already says that the broker has it.
    if (reason >= 0x80) this.refused.set(number, reason);
    else this.acknowledged.add(number);
    if (type === 'pubrec' && reason < 0x80) {
      this.#peer.send({ type: 'pubrel', id: id! });
      return true;
    }
    this.#open.delete(id!);
    this.#freeIds.push(id!);
    this.#fill();
    return true;
  }
}

/** What one consumer has received of numbered messages. */
export class NumberedConsumer {
  total = 0;
  readonly #received = new Map<string, number[]>();

  constructor(peer: Peer) {
    peer.acknowledges = true;
    peer.onPublish = (packet) => this.#take(packet);
  }

  /** Has it all that was acknowledged? Cheap: to be asked again and again. */
  hasAll(publishers: readonly NumberedPublisher[]): boolean {
    return publishers.every(({ name, acknowledged }) => (this.#received.get(name)?.length ?? 0) >= acknowledged.size);
  }

  /**
   * Everything that was acknowledged is there, once and in its order; nothing is there that was refused.
   * What was never answered may be there or not.
   */
  assertKept(publishers: readonly NumberedPublisher[]): void {
    for (const { name, acknowledged, refused } of publishers) {
      const numbers = this.#received.get(name) ?? [];
      const there = new Set(numbers);
      const lost = [...acknowledged].filter((number) => !there.has(number));
      assert.equal(lost.length, 0, `${name}: acknowledged and not delivered: ${some(lost)} of ${acknowledged.size}`);
      const wrong = [...refused.keys()].filter((number) => there.has(number));
      assert.equal(wrong.length, 0, `${name}: refused and yet delivered: ${some(wrong)}`);
      const disorder = numbers.filter((number, i) => i > 0 && number <= numbers[i - 1]!);
      assert.equal(disorder.length, 0, `${name}: repeated or out of order: ${some(disorder)}`);
    }
  }

  #take({ payload }: ServerPacket): void {
    const [name, number] = String(payload).split(':', 2);
    this.total++;
    let numbers = this.#received.get(name!);
    if (numbers === undefined) this.#received.set(name!, (numbers = []));
    numbers.push(Number(number));
  }
}

function some(numbers: readonly number[]): string {
  return `${numbers.slice(0, 5).join(', ')}${numbers.length > 5 ? `… (${numbers.length})` : ''}`;
}

// A link that sends, with its half of what is unsettled. At exactly once (guarantee 2) it resumes deliveries when it comes back.

import { acceptedState, TerminusDurability, type Attach, type DeliveryState } from '../../src/protocols/amqp/codec/index.ts';
import type { Qos } from '../../src/protocols/mqtt/codec/index.ts';
import type { SentMessage } from '../facts.ts';
import { between, chance } from '../random-choices.ts';
import type { AmqpEnd, EndLink } from './amqp-end.ts';
import { encodeText, type TextOptions } from './message-text.ts';
import type { Role, SimAmqpClient } from './sim-amqp-client.ts';

const maxUnsettled = 8;

type Outgoing = {
  readonly message: SentMessage;
  readonly bytes: Uint8Array;
  /** The broker has said that it has it. */
  accepted: boolean;
};

/** What is to be sent again before anything new. `settled`: only that it is settled. */
type Again = { readonly tag: string; readonly resume: boolean; readonly settled: boolean };

export class SimSender implements Role {
  readonly name: string;
  readonly #client: SimAmqpClient;
  readonly #topic: string;
  readonly #guarantee: Qos;
  readonly #unsettled = new Map<string, Outgoing>();
  #again: Again[] = [];
  #end: AmqpEnd | undefined = undefined;
  #link: EndLink | undefined = undefined;
  #ready = false;
  #serial = 0;
  #sequence = 0;

  /** `topic`: as the facts name it, with `$queue/` in front of a queue. */
  constructor(client: SimAmqpClient, topic: string, guarantee: Qos) {
    this.#client = client;
    this.#topic = topic;
    this.#guarantee = guarantee;
    this.name = `${topic} at ${guarantee}`;
    client.roles.push(this);
  }

  get idle(): boolean {
    return this.#unsettled.size === 0 && this.#again.length === 0;
  }

  waitsFor(): string {
    return `${[...this.#unsettled].map(([tag, { message, accepted }]) => `${message.key} ${tag} ${accepted}`).join(' ')}; ${JSON.stringify(this.#again)}; credit ${this.#link?.credit}`;
  }

  get publisher(): string {
    return `${this.#client.options.containerId}/${this.name}`;
  }

  opened(end: AmqpEnd): void {
    this.#end = end;
    const exactlyOnce = this.#guarantee === 2;
    const unsettled = new Map<string, DeliveryState | undefined>();
    if (exactlyOnce) for (const [tag, { accepted }] of this.#unsettled) unsettled.set(tag, accepted ? acceptedState : undefined);
    const address = addressOf(this.#topic);
    const durable = exactlyOnce ? { durable: TerminusDurability.unsettledState, expiryPolicy: 'never' } : {};
    const attach: Omit<Attach, 'type' | 'handle' | 'role'> = {
      name: this.name,
      sndSettleMode: this.#guarantee === 0 ? 1 : 0,
      rcvSettleMode: exactlyOnce ? 1 : 0,
      source: { type: 'source', address: 'here', ...durable },
      target: { type: 'target', address, ...durable },
      ...(unsettled.size > 0 ? { unsettled } : {}),
    };
    this.#link = end.attach(true, attach, {
      attached: (answer) => this.#attached(answer),
      detached: ({ error }) => this.#detached(error?.condition),
      delivery: () => {},
      disposed: (tag, settled, state) => this.#disposed(tag, settled, state),
      flowed: () => this.#sendAgain(),
    });
  }

  lost(): void {
    this.#end = this.#link = undefined;
    this.#ready = false;
    this.#again = [];
  }

  #detached(condition: string | undefined): void {
    this.#ready = false;
    if (condition === 'amqp:link:stolen') return;
    // As after any other: comes back with the next connection.
    this.#client.world.after(between(this.#client.world.random, 1, 500), () => this.#client.drop());
  }

  #attached(answer: Attach): void {
    if (answer.target === undefined) return;
    const theirs = answer.unsettled ?? new Map<string, DeliveryState | undefined>();
    this.#again = [];
    for (const [tag, outgoing] of this.#unsettled) {
      outgoing.message.attempts++;
      const has = this.#guarantee === 2 && theirs.has(tag);
      if (has && theirs.get(tag)?.type === 'accepted') this.#acknowledged(outgoing);
      if (has) this.#again.push({ tag, resume: true, settled: outgoing.accepted });
      // They have settled what they had accepted before.
      else if (outgoing.accepted) this.#unsettled.delete(tag);
      else this.#again.push({ tag, resume: false, settled: false });
    }
    this.#ready = true;
    this.#sendAgain();
  }

  #sendAgain(): void {
    const link = this.#link;
    if (!this.#ready || link === undefined || this.#end === undefined) return;
    while (this.#again.length > 0 && link.credit > 0) {
      const { tag, resume, settled } = this.#again.shift()!;
      const outgoing = this.#unsettled.get(tag);
      if (outgoing === undefined) continue;
      const state = settled ? acceptedState : undefined;
      if (settled) this.#unsettled.delete(tag);
      this.#end.transfer(link, tag, settled ? new Uint8Array(0) : outgoing.bytes, { settled, resume, ...(state && { state }) });
    }
  }

  /** Publishes one message, if there is room for it. */
  publish(options: TextOptions & { readonly large?: boolean } = {}): void {
    const link = this.#link;
    if (!this.#ready || link === undefined || this.#again.length > 0 || link.credit <= 0) return;
    if (this.#guarantee > 0 && this.#unsettled.size >= maxUnsettled) return;
    const { world, facts } = this.#client;
    const tag = `t${this.#serial++}`;
    const key = `${this.publisher}#${tag}`;
    const message: SentMessage = {
      key,
      publisher: this.publisher,
      topic: this.#topic,
      sequence: ++this.#sequence,
      qos: this.#guarantee,
      retain: false,
      sentAtMs: world.nowMs,
      acknowledgedAtMs: undefined,
      attempts: 1,
      refused: false,
      ...(options.color !== undefined && { color: options.color }),
      ...(options.groupId !== undefined && { messageGroup: options.groupId }),
      ...(options.delay !== undefined && { dueAtMs: world.clock.wallMs() + options.delay }),
    };
    facts.sent.set(key, message);
    const bytes = encodeText(world.payload(key, world.random.below(options.large === true ? 9000 : 200)), options);
    if (this.#guarantee > 0) this.#unsettled.set(tag, { message, bytes, accepted: false });
    this.#end!.transfer(link, tag, bytes, { settled: this.#guarantee === 0 });
  }

  #disposed(tag: string, settled: boolean, state: DeliveryState | undefined): void {
    const outgoing = this.#unsettled.get(tag);
    if (outgoing === undefined) return;
    switch (state?.type) {
      case 'accepted':
        this.#acknowledged(outgoing);
        break;
      case 'rejected':
      case 'released':
      case 'modified':
        outgoing.message.refused = true;
        break;
      default:
        if (settled) this.#client.complain(`${outgoing.message.key} was settled as ${state?.type}`);
        return;
    }
    if (settled) {
      this.#unsettled.delete(tag);
      return;
    }
    this.#client.later(() => {
      const id = this.#link === undefined ? undefined : this.#end?.idOf(this.#link, tag);
      if (id === undefined || !this.#unsettled.delete(tag)) return;
      this.#end!.dispose(true, id, true, chance(this.#client.world.random, 0.5) ? state : undefined);
    });
  }

  #acknowledged(outgoing: Outgoing): void {
    outgoing.accepted = true;
    outgoing.message.acknowledgedAtMs ??= this.#client.world.nowMs;
  }
}

/** As AMQP names what MQTT calls `$queue/name`. */
export function addressOf(topic: string): string {
  return topic.startsWith('$queue/') ? `queue:${topic.slice('$queue/'.length)}` : topic;
}

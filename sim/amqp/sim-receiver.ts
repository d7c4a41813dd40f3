// A link that receives, with its half of what is unsettled.

import {
  acceptedState,
  releasedState,
  TerminusDurability,
  type Attach,
  type DeliveryState,
  type Fields,
} from '../../src/protocols/amqp/codec/index.ts';
import type { SubscriberFacts } from '../facts.ts';
import { between, chance, pick } from '../random-choices.ts';
import type { AmqpEnd, Delivery, EndLink } from './amqp-end.ts';
import { decodeText } from './message-text.ts';
import type { Role, SimAmqpClient } from './sim-amqp-client.ts';
import { addressOf } from './sim-sender.ts';

export type SimReceiverOptions = {
  /** Gives back, fails and rejects some of what it gets: only at least once, and what is rejected must be looked for elsewhere. */
  readonly moody?: boolean;
  readonly selector?: string;
  readonly capabilities?: readonly string[];
};

export class SimReceiver implements Role {
  readonly name: string;
  readonly facts: SubscriberFacts;
  readonly #client: SimAmqpClient;
  readonly #options: SimReceiverOptions;
  /** Tags of what was received at exactly once and is not settled: the application has them. */
  readonly #taken = new Set<string>();
  readonly #credit: number;
  #end: AmqpEnd | undefined = undefined;
  #link: EndLink | undefined = undefined;

  constructor(client: SimAmqpClient, name: string, facts: SubscriberFacts, options: SimReceiverOptions = {}) {
    this.#client = client;
    this.name = name;
    this.facts = facts;
    this.#options = options;
    this.#credit = 1 + client.world.random.below(20);
  }

  get idle(): boolean {
    return this.#taken.size === 0 && this.#link?.draining !== true;
  }

  waitsFor(): string {
    return this.#link?.draining === true ? 'a drain' : `${this.#taken.size} to be settled`;
  }

  opened(end: AmqpEnd): void {
    this.#end = end;
    const { qos, durable, group, subscribeAs, filter } = this.facts;
    if (!durable) this.facts.subscribedAtMs = undefined;
    const unsettled = new Map<string, DeliveryState | undefined>();
    for (const tag of this.#taken) unsettled.set(tag, acceptedState);
    const address = addressOf(subscribeAs ?? (group === undefined || filter.startsWith('$queue/') ? filter : `$share/${group}/${filter}`));
    const { selector, capabilities } = this.#options;
    const kept = durable ? { durable: TerminusDurability.unsettledState, expiryPolicy: 'never' } : {};
    const filters: Fields = new Map(selector === undefined ? [] : [['selector', selectorFilter(selector)]]);
    const attach: Omit<Attach, 'type' | 'handle' | 'role'> = {
      name: this.name,
      sndSettleMode: qos === 0 ? 1 : 0,
      rcvSettleMode: qos === 2 ? 1 : 0,
      source: { type: 'source', address, ...kept, ...(filters.size > 0 && { filter: filters }), ...(capabilities && { capabilities }) },
      target: { type: 'target', address: 'here', ...kept },
      ...(unsettled.size > 0 ? { unsettled } : {}),
    };
    this.#link = end.attach(false, attach, {
      attached: (answer) => this.#attached(answer),
      detached: ({ error }) => this.#detached(error?.condition, error?.description),
      delivery: (delivery) => this.#take(delivery),
      disposed: (tag, settled) => {
        if (settled) this.#taken.delete(tag);
      },
      flowed: () => this.#grant(),
    });
  }

  lost(): void {
    this.#end = this.#link = undefined;
    if (!this.facts.durable) this.#taken.clear();
  }

  #detached(condition: string | undefined, description: string | undefined): void {
    if (condition === 'amqp:link:stolen' || condition === 'amqp:unauthorized-access') return;
    if (condition === 'amqp:not-implemented' || condition === 'amqp:invalid-field')
      this.#client.complain(`${this.name}: ${condition} ${description}`);
    this.#client.world.after(between(this.#client.world.random, 1, 500), () => this.#client.drop());
  }

  #attached(answer: Attach): void {
    if (answer.source === undefined) return;
    this.facts.subscribedAtMs ??= this.#client.world.nowMs;
    // [AMQP 2.6.13] What the broker does not know any more is settled.
    for (const tag of this.#taken) if (answer.unsettled?.has(tag) !== true) this.#taken.delete(tag);
    this.#grant();
  }

  #grant(): void {
    const link = this.#link;
    if (link?.attached === true && !link.draining && link.credit <= this.#credit / 2) this.#end!.flow(link, this.#credit, false);
  }

  #take(delivery: Delivery): void {
    const { tag, settled } = delivery;
    const { qos } = this.facts;
    const repeated = this.#taken.has(tag);
    if (!repeated) {
      const body = decodeText(delivery.message);
      const key = body?.split('|')[0];
      const outcome = this.#outcome();
      if (key === undefined)
        this.#client.complain(`${this.name} got a message without a body, tag ${Buffer.from(tag, 'latin1').toString('hex')}`);
      else if (outcome.type === 'accepted') this.#got(key);
      if (outcome.type !== 'accepted') {
        this.#client.later(() => this.#end?.dispose(false, delivery.deliveryId, true, outcome));
        return this.#after();
      }
    }
    if (settled) this.#taken.delete(tag);
    else if (qos === 2) {
      this.#taken.add(tag);
      this.#client.later(() => this.#end?.dispose(false, delivery.deliveryId, false, acceptedState));
    } else this.#client.later(() => this.#end?.dispose(false, delivery.deliveryId, true, acceptedState));
    this.#after();
  }

  #after(): void {
    const link = this.#link;
    if (link === undefined || link.draining) return;
    if (chance(this.#client.world.random, 0.01)) this.#end!.flow(link, Math.max(0, link.credit), true);
    else this.#grant();
  }

  #got(key: string): void {
    const sent = this.#client.facts.sent.get(key);
    const { world, connection } = this.#client;
    const qos = Math.min(this.facts.qos, sent?.qos ?? 0) as 0 | 1 | 2;
    this.facts.received.push({
      key,
      topic: sent?.topic ?? '?',
      qos,
      dup: false,
      connection,
      atMs: world.nowMs,
      wallMs: world.clock.wallMs(),
    });
  }

  #outcome(): DeliveryState {
    const { random } = this.#client.world;
    if (this.#options.moody !== true || chance(random, 0.7)) return acceptedState;
    const failed: DeliveryState = { type: 'modified', deliveryFailed: true };
    return pick(random, [releasedState, failed, failed, { type: 'rejected' } as const]);
  }
}

function selectorFilter(selector: string) {
  const descriptor = { type: 'symbol', value: 'apache.org:selector-filter:string' } as const;
  return { type: 'described', descriptor, value: { type: 'string', value: selector } } as const;
}

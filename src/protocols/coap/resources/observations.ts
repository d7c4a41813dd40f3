// What one peer observes, and the broker's subscriptions behind it: one for each filter, however many tokens observe it.

import { Outcome, type Session, type SubscribeResult } from '../../../broker/port.ts';
import type { Message } from '../../../message/message.ts';
import { Code, sameBytes } from '../codec/index.ts';
import type { CoapRequest, CoapResponse, Reply } from '../exchange.ts';
import { problem } from './answers.ts';
import type { Client } from './client.ts';
import { Observation, type ValueTerms } from './observation.ts';
import { etagOf, representationOf, type Representation } from './representation.ts';

const revokedAnswer = problem(Code.forbidden, 'you may not subscribe to this any more');

/** A delivery of the broker on its way to one or several observers: settled when the last of them has it. */
export class Delivery {
  readonly #client: Client;
  readonly #id: number;
  /** It came from a queue that others consume, too: what is not delivered here is theirs. */
  readonly #isShared: boolean;
  /** Nobody was to acknowledge it when it came. */
  readonly isNobodys: boolean;
  #remaining: number;

  constructor(client: Client, id: number, isShared: boolean, observers: number) {
    this.#client = client;
    this.#id = id;
    this.#isShared = isShared;
    this.#remaining = observers;
    this.isNobodys = observers === 0;
  }

  settle(): void {
    if (--this.#remaining === 0) this.#client.settle(this.#id, 'accepted');
  }

  /** The observer has gone. */
  drop(): void {
    if (--this.#remaining === 0) this.#client.settle(this.#id, this.#isShared ? 'released' : 'accepted');
  }
}

class Subscription {
  readonly id: number;
  readonly filter: string;
  readonly isShared: boolean;
  readonly observations = new Set<Observation>();
  guarantee: 0 | 1 = 0;
  isLive = false;

  constructor(id: number, filter: string) {
    this.id = id;
    this.filter = filter;
    this.isShared = filter.startsWith('$share/') || filter.startsWith('$queue/');
  }
}

export class Observations {
  readonly #client: Client;
  readonly #byFilter = new Map<string, Subscription>();
  readonly #byId = new Map<number, Subscription>();
  #nextId = 1;
  #isTidyScheduled = false;
  size = 0;

  constructor(client: Client) {
    this.#client = client;
  }

  /** The same token used again replaces what it observed (RFC 7641 §4.1). */
  add(
    session: Session,
    filter: string,
    guarantee: 0 | 1,
    request: CoapRequest,
    reply: Reply,
    accept: number,
    value?: ValueTerms,
  ): Observation {
    this.cancel(request.message.token);
    const hasWildcard = isWildcard(filter);
    const subscription = this.#byFilter.get(filter) ?? this.#open(filter);
    const tellsTopic = hasWildcard || subscription.isShared;
    const observation = new Observation(this.#client, filter, guarantee, tellsTopic, subscription.isShared, request, reply, accept, value);
    subscription.observations.add(observation);
    this.size++;
    this.#client.house.counters.observations++;
    observation.whenGone = () => {
      this.#client.house.counters.observationsEnded.cancelled++;
      this.remove(observation);
    };
    const isRaised = guarantee > subscription.guarantee;
    if (subscription.isLive && !isRaised && !hasWildcard) {
      this.#start(observation);
      return observation;
    }
    if (isRaised) subscription.guarantee = guarantee;
    session.subscribe(
      [
        {
          filter,
          guarantee: subscription.guarantee,
          noLocal: false,
          retainAsPublished: true,
          // One topic's last value is the first notification; those of several follow it.
          retainHandling: hasWildcard ? 'always' : 'never',
          subscriptionId: subscription.id,
        },
      ],
      subscription.id,
    );
    return observation;
  }

  /** Ends what `token` observes; returns whether it did. */
  cancel(token: Uint8Array): boolean {
    for (const { observations } of this.#byFilter.values()) {
      for (const observation of observations) {
        if (!sameBytes(observation.token, token)) continue;
        this.#client.house.counters.observationsEnded.cancelled++;
        this.remove(observation);
        return true;
      }
    }
    return false;
  }

  remove(observation: Observation, response?: CoapResponse): void {
    if (observation.ended) return;
    const subscription = this.#byFilter.get(observation.filter);
    // Before it ends: what it gives back may come again at once.
    subscription?.observations.delete(observation);
    observation.end(response);
    this.size--;
    this.#client.house.counters.observations--;
    if (subscription?.observations.size === 0) this.#tidyLater();
  }

  /** See Consumer.subscribed. */
  subscribed(id: number, results: readonly SubscribeResult[]): void {
    const subscription = this.#byId.get(id);
    if (subscription === undefined) return;
    const outcome = results[0]!.outcome;
    if (outcome === Outcome.accepted) {
      subscription.isLive = true;
      for (const observation of subscription.observations) if (!observation.isStarted) this.#start(observation);
      return;
    }
    // One that was there before has gone with its right, or stays as it was; what was asked for now is refused.
    for (const observation of subscription.observations) {
      if (!observation.isStarted) this.remove(observation, this.#client.house.answers.failure(outcome));
    }
  }

  /** See Consumer.revoked. */
  revoked(filters: readonly string[]): void {
    for (const filter of filters) {
      const subscription = this.#byFilter.get(filter);
      if (subscription === undefined) continue;
      this.#forget(subscription);
      for (const observation of subscription.observations) {
        this.#client.house.counters.observationsEnded.revoked++;
        this.remove(observation, revokedAnswer);
      }
    }
  }

  /** Returns whether anybody observes it. `deliveryId`: 0 when nobody is asked whether it has arrived. */
  deliver(message: Message, isState: boolean, ids: readonly number[] | undefined, deliveryId: number): boolean {
    const shown = representationOf(message, isState);
    const observers = this.#observersOf(ids);
    if (deliveryId === 0) {
      for (const observation of observers) observation.push(shown, undefined);
      return observers.length > 0;
    }
    const isShared = ids?.some((id) => this.#byId.get(id)?.isShared === true) === true;
    // Before the first of them gets it, so that it is not settled before the last one has it.
    const delivery = new Delivery(
      this.#client,
      deliveryId,
      isShared,
      observers.reduce((sum, { guarantee }) => sum + guarantee, 0),
    );
    for (const observation of observers) observation.push(shown, observation.guarantee === 1 ? delivery : undefined);
    if (delivery.isNobodys) this.#client.settle(deliveryId, observers.length > 0 || !isShared ? 'accepted' : 'released');
    return observers.length > 0;
  }

  #observersOf(ids: readonly number[] | undefined): readonly Observation[] {
    if (ids?.length === 1) return [...(this.#byId.get(ids[0]!)?.observations ?? [])];
    return (ids ?? []).flatMap((id) => [...(this.#byId.get(id)?.observations ?? [])]);
  }

  /** Ends all, with this answer if the peer is to get one. */
  endAll(response: CoapResponse | undefined): void {
    for (const { observations } of this.#byFilter.values()) for (const one of observations) this.remove(one, response);
    this.#byFilter.clear();
    this.#byId.clear();
  }

  #open(filter: string): Subscription {
    const subscription = new Subscription(this.#nextId++, filter);
    this.#byFilter.set(filter, subscription);
    this.#byId.set(subscription.id, subscription);
    return subscription;
  }

  #forget(subscription: Subscription): void {
    this.#byId.delete(subscription.id);
    if (this.#byFilter.get(subscription.filter) === subscription) this.#byFilter.delete(subscription.filter);
  }

  #start(observation: Observation): void {
    const { house, session } = this.#client;
    if (observation.filter.startsWith('$share/') || observation.filter.startsWith('$queue/') || isWildcard(observation.filter)) {
      return observation.start(undefined, undefined);
    }
    house.later(() => {
      if (observation.ended || session === undefined || this.#client.session !== session) return;
      session.lastValue(observation.filter, (_outcome, message) => {
        if (observation.ended) return;
        const first: Representation | undefined = message && representationOf(message, true);
        observation.start(first, message && etagOf(message));
      });
    });
  }

  /** Filters that nobody observes any more are unsubscribed in the next turn: a token used again finds its subscription as it was. */
  #tidyLater(): void {
    if (this.#isTidyScheduled) return;
    this.#isTidyScheduled = true;
    this.#client.house.later(() => {
      this.#isTidyScheduled = false;
      const idle = [...this.#byFilter.values()].filter(({ observations }) => observations.size === 0);
      for (const subscription of idle) this.#forget(subscription);
      if (idle.length > 0)
        this.#client.session?.unsubscribe(
          idle.map(({ filter }) => filter),
          0,
        );
    });
  }
}

export function isWildcard(filter: string): boolean {
  return filter.includes('+') || filter.includes('#');
}

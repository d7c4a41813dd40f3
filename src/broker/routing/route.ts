// Where messages of one topic go. Built once from the topic tree and used until a subscription of the tenant changes.

import type { Guarantee, Message } from '../../message/message.ts';
import type { Selector } from '../../message/selector/selector.ts';
import type { CompetingConsumers } from '../queues/competing-consumers.ts';
import type { ClientSession } from '../sessions/client-session.ts';

/** What few subscriptions ask for; see SubscribeRequest. */
export type SubscriptionTerms = {
  readonly selector: Selector | undefined;
  readonly exclusive: boolean;
  readonly browse: boolean;
  readonly retainedOnly: boolean;
};

const noTerms: SubscriptionTerms = { selector: undefined, exclusive: false, browse: false, retainedOnly: false };

/** One subscription of one session. */
export class Subscription {
  readonly session: ClientSession;
  /** As the peer wrote it. */
  readonly text: string;
  /** Without `$share/group/`. */
  readonly filter: string;
  readonly guarantee: Guarantee;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly subscriptionIds: readonly number[] | undefined;
  /** The queue it competes for, if it is a shared subscription or reads a named queue. */
  readonly competing: CompetingConsumers | undefined;
  /** Only messages for which it is true. */
  readonly selector: Selector | undefined;
  readonly exclusive: boolean;
  readonly browse: boolean;
  readonly retainedOnly: boolean;

  constructor(
    session: ClientSession,
    text: string,
    filter: string,
    guarantee: Guarantee,
    noLocal: boolean,
    retainAsPublished: boolean,
    subscriptionId: number,
    competing: CompetingConsumers | undefined,
    terms = noTerms,
  ) {
    this.session = session;
    this.text = text;
    this.filter = filter;
    this.guarantee = guarantee;
    this.noLocal = noLocal;
    this.retainAsPublished = retainAsPublished;
    this.subscriptionIds = subscriptionId === 0 ? undefined : [subscriptionId];
    this.competing = competing;
    this.selector = terms.selector;
    this.exclusive = terms.exclusive;
    this.browse = terms.browse;
    this.retainedOnly = terms.retainedOnly;
  }
}

/** One session that gets messages of the topic, by one or several overlapping subscriptions: one copy, at their best. */
export class Target {
  readonly session: ClientSession;
  /** The highest that any of the subscriptions asked for [MQTT-3.3.5-1]. */
  guarantee: Guarantee;
  retainAsPublished: boolean;
  subscriptionIds: readonly number[] | undefined;
  /** At least one of the subscriptions does not want what the session published itself. */
  noLocal: boolean;
  /** Whether it is to have a message depends on more than the topic. */
  isChoosy: boolean;
  readonly subscriptions: Subscription[];

  constructor(first: Subscription) {
    this.session = first.session;
    this.guarantee = first.guarantee;
    this.retainAsPublished = first.retainAsPublished;
    this.subscriptionIds = first.subscriptionIds;
    this.noLocal = first.noLocal;
    this.isChoosy = first.noLocal || first.selector !== undefined;
    this.subscriptions = [first];
  }

  add(subscription: Subscription): void {
    this.subscriptions.push(subscription);
    if (subscription.guarantee > this.guarantee) this.guarantee = subscription.guarantee;
    this.retainAsPublished ||= subscription.retainAsPublished;
    this.noLocal ||= subscription.noLocal;
    this.isChoosy ||= subscription.noLocal || subscription.selector !== undefined;
    // Every matching subscription's identifier goes into the one copy [MQTT-3.3.4-4].
    if (subscription.subscriptionIds !== undefined) {
      this.subscriptionIds = [...(this.subscriptionIds ?? []), ...subscription.subscriptionIds];
    }
  }

  /** What is left of it for a message: of subscriptions with selectors, and for what its session published itself [MQTT-3.8.3-3]. */
  forMessage(message: Message, publisher: ClientSession | undefined): Target | undefined {
    const isOwn = this.noLocal && this.session.isOwn(publisher);
    if (this.subscriptions.length === 1) return isWanted(this.subscriptions[0]!, message, isOwn) ? this : undefined;
    let rest: Target | undefined;
    for (const subscription of this.subscriptions) {
      if (!isWanted(subscription, message, isOwn)) continue;
      if (rest === undefined) rest = new Target(subscription);
      else rest.add(subscription);
    }
    return rest;
  }
}

function isWanted({ noLocal, selector }: Subscription, message: Message, isOwn: boolean): boolean {
  return !(isOwn && noLocal) && (selector === undefined || selector.matches(message));
}

export class Route {
  /** Version of the topic space it was built from. */
  readonly version: number;
  readonly targets: readonly Target[];
  /** Shared subscriptions that match, or the named queue that is addressed. */
  readonly competing: readonly CompetingConsumers[];

  /** It leads to a named queue that cannot be made: there are too many. */
  readonly full: boolean;

  constructor(version: number, targets: readonly Target[], competing: readonly CompetingConsumers[], full = false) {
    this.version = version;
    this.targets = targets;
    this.competing = competing;
    this.full = full;
  }

  get isEmpty(): boolean {
    return this.targets.length === 0 && this.competing.length === 0;
  }
}

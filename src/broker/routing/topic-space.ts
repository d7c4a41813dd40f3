// Everything of one tenant: its topic tree, sessions, shared and named queues, and retained messages. Tenants share nothing.

import { filterProblem } from '../../message/filter.ts';
import { topicProblem } from '../../message/topic.ts';
import type { Message } from '../../message/message.ts';
import type { Selector } from '../../message/selector/selector.ts';
import type { MessageTerms, Principal } from '../../security/security.ts';
import type { ClientSession } from '../sessions/client-session.ts';
import { CompetingConsumers } from '../queues/competing-consumers.ts';
import type { BrokerContext } from '../context.ts';
import { shardOf } from '../context.ts';
import { DeadLetters } from '../queues/dead-letters.ts';
import { DelayedMessages } from '../queues/delayed-messages.ts';
import { Outcome } from '../port.ts';
import type { Address } from '../port.ts';
import { PrincipalIndex } from '../sessions/principal-index.ts';
import { Queue } from '../queues/queue.ts';
import { settingsOf } from '../queues/queue-settings.ts';
import { RecordKind, writeEntries, writeNumber } from '../journal/records.ts';
import { RetainedMessages } from './retained-messages.ts';
import { Route, type Subscription, Target } from './route.ts';
import type { OpenService } from './service-topics.ts';
import { TemporaryNodes, isTemporary } from '../queues/temporary-nodes.ts';
import { TopicTree } from './topic-tree.ts';
import { Usages } from '../quotas/usages.ts';

export const queuePrefix = '$queue/';
export const sharedPrefix = '$share/';

/**
 * How long a shared queue found in the journal waits for members when those it had are not there any more: they may come back
 * after the node's restart, and its messages were acknowledged.
 */
const keepForsakenMs = 10 * 60_000;

const publishOnly = ['publish'] as const;
const publishAndRetain = ['publish', 'retain'] as const;

export const delayedName = '$delayed';

/** Names of queues that come into being in other ways than by being asked for. */
function isReserved(name: string): boolean {
  return name.startsWith('$');
}

type Subscriber = Subscription | CompetingConsumers;

/** Of a shared subscription that outlives its members: for how long, and what it takes when it has none. */
export type KeptTerms = { readonly keepMs: number; readonly selector: Selector | undefined };

export class TopicSpace {
  readonly tenant: string;
  readonly sessions = new Map<string, ClientSession>();
  readonly principals = new PrincipalIndex();
  readonly retained: RetainedMessages;
  /** Shared queues by `group/filter`. */
  readonly shared = new Map<string, CompetingConsumers>();
  readonly named = new Map<string, CompetingConsumers>();
  readonly temporary: TemporaryNodes;
  readonly deadLetters: DeadLetters;
  delayed: DelayedMessages | undefined = undefined;
  /** Moves with every subscription: routes built before are stale. */
  version = 1;
  readonly #context: BrokerContext;
  readonly #tree = new TopicTree<Subscriber>();
  readonly #matched: Subscriber[] = [];
  readonly #usages: Usages;

  constructor(context: BrokerContext, tenant: string) {
    this.#context = context;
    this.tenant = tenant;
    this.retained = new RetainedMessages(context, tenant);
    this.temporary = new TemporaryNodes(context);
    this.deadLetters = new DeadLetters(context, this);
    this.#usages = new Usages(context.quotas, tenant, this.principals);
  }

  get filterCount(): number {
    return this.#tree.size;
  }

  /** An earlier one of the same client id must be over, or about to be. */
  addSession(session: ClientSession): void {
    if ((this.sessions.get(session.clientId)?.key ?? 0) < session.key) this.sessions.set(session.clientId, session);
    this.principals.add(session);
  }

  removeSession(session: ClientSession): void {
    if (this.sessions.get(session.clientId) === session) this.sessions.delete(session.clientId);
    this.principals.delete(session);
    this.#usages.sessionEnded(session.principal.id, this.#context.clock.monotonicMs());
  }

  /** What is used of the quotas of the tenant, and of those of its principals that have any. */
  get usages(): Usages {
    return this.#usages;
  }

  /** Checks, authorizes and routes a topic for one publisher. */
  address(principal: Principal, topic: string, topicBytes: Uint8Array): RoutedAddress {
    const { services } = this.#context;
    return new RoutedAddress(this, this.#context, principal, topic, topicBytes, this.admits(principal, topic), services.of(topic));
  }

  /** Whether the principal may publish this very message: what its policies ask of the message itself too. */
  admitsMessage(principal: Principal, { topic, retain, guarantee, payloadBytes }: Message): Outcome {
    const { security } = this.#context;
    const outcome = this.admits(principal, topic);
    if (outcome !== Outcome.accepted) return outcome;
    if (retain && (isTemporary(topic) || !security.allows(principal, 'retain', topic))) return Outcome.notAuthorized;
    for (const action of retain ? publishAndRetain : publishOnly) {
      if (security.messageTerms?.(principal, action, topic)?.allows(guarantee, payloadBytes) === false) return Outcome.notAuthorized;
    }
    return Outcome.accepted;
  }

  /** Whether the principal may publish to the topic: accepted, notAuthorized or topicInvalid. */
  admits(principal: Principal, topic: string): Outcome {
    if (topicProblem(topic, this.#context.limits.maxTopicLevels) !== undefined) return Outcome.topicInvalid;
    // `$share/…` is a way to subscribe, not a place to publish to.
    if (topic.startsWith(sharedPrefix)) return Outcome.topicInvalid;
    if (topic.startsWith(queuePrefix)) {
      const name = topic.slice(queuePrefix.length);
      if (name === '' || (isReserved(name) && !this.named.has(name))) return Outcome.topicInvalid;
      if (isTemporary(name) && this.temporary.ownerOfQueue(name) === principal.id) return Outcome.accepted;
    } else if (isTemporary(topic)) {
      const owner = this.temporary.ownerOfTopic(topic);
      if (owner === undefined || owner === principal.id) return owner === undefined ? Outcome.topicInvalid : Outcome.accepted;
    }
    return this.#context.security.allows(principal, 'publish', topic) ? Outcome.accepted : Outcome.notAuthorized;
  }

  route(topic: string): Route {
    if (topic.startsWith(queuePrefix)) {
      const name = topic.slice(queuePrefix.length);
      const queue = this.obtainNamed(name);
      // A temporary queue that is gone is like a topic to which nobody listens.
      if (queue === undefined && isReserved(name)) return new Route(this.version, [], []);
      return new Route(this.version, [], queue === undefined ? [] : [queue], queue === undefined);
    }
    if (isTemporary(topic) && this.temporary.ownerOfTopic(topic) === undefined) return new Route(this.version, [], []);
    const matched = this.#matched;
    matched.length = 0;
    this.#tree.collect(topic, matched);
    const targets: Target[] = [];
    const competing: CompetingConsumers[] = [];
    for (const subscriber of matched) {
      if (subscriber instanceof CompetingConsumers) competing.push(subscriber);
      else addTarget(targets, subscriber);
    }
    for (const target of targets) target.session.routeTarget = undefined;
    matched.length = 0;
    return new Route(this.version, targets, competing);
  }

  subscribe(subscription: Subscription): void {
    if (subscription.retainedOnly) return;
    if (subscription.competing !== undefined) {
      subscription.competing.join(subscription);
      return;
    }
    this.#tree.add(subscription.filter, subscription);
    this.version++;
  }

  /** `byRequest`: or else because its session is over; some shared subscriptions outlive that. */
  unsubscribe(subscription: Subscription, byRequest: boolean): void {
    if (subscription.retainedOnly) return;
    const competing = subscription.competing;
    if (competing === undefined) {
      this.#tree.remove(subscription.filter, subscription);
      this.version++;
      return;
    }
    competing.quit(subscription);
    // A shared queue lives as long as somebody shares it; a named one is its own (removed by an operator).
    if (competing.queue.kind !== 'shared' || competing.members.length > 0) return;
    if (byRequest || competing.queue.keepMs === 0) this.removeShared(competing);
    else this.#forsake(competing);
  }

  /** A session has subscribed again with the same filter: the earlier subscription goes, its queue stays. */
  replaced(before: Subscription): void {
    if (before.competing !== undefined) before.competing.quit(before);
    else this.unsubscribe(before, true);
  }

  /** The shared queue of a group and filter; undefined when there are too many. One that was promised before a restart is there in any case. */
  obtainShared(group: string, filter: string, forDurable: boolean, promised = false, kept?: KeptTerms): CompetingConsumers | undefined {
    const name = `${group}/${filter}`;
    const durable = forDurable || kept !== undefined;
    let existing = this.shared.get(name);
    // Another subscription of the same name: the earlier one, which nobody uses, is over (Jakarta Messaging 3.1 §8.3.3).
    if (kept !== undefined && existing?.members.length === 0 && existing.keptSelector?.text !== kept.selector?.text) {
      this.removeShared(existing);
      existing = undefined;
    }
    if (existing !== undefined) {
      const isChanged = keep(existing, kept);
      if (durable && !existing.queue.durable) this.#makeDurable(existing.queue);
      else if (isChanged) this.#writeRecord(existing);
      return existing;
    }
    if (!promised && this.shared.size >= this.#context.limits.maxSharedQueues) return undefined;
    const shard = shardOf(this.#context, this.tenant, name);
    const queue = new Queue(
      shard.nextQueueId++,
      'shared',
      this.tenant,
      name,
      shard,
      false,
      this.#context.limits.sharedQueue,
      this.#context.total,
    );
    const competing = this.adoptShared(queue, filter);
    keep(competing, kept);
    if (durable) this.#makeDurable(queue);
    return competing;
  }

  /** Filters of the shared subscriptions of a group, with the group in front. */
  sharedFilters(group: string): string[] {
    const filters: string[] = [];
    for (const name of this.shared.keys()) if (name.startsWith(`${group}/`)) filters.push(sharedPrefix + name);
    return filters;
  }

  /** Takes over a shared queue, new or found in the journal. */
  adoptShared(queue: Queue, filter: string): CompetingConsumers {
    queue.usage = this.#usages.tenant;
    this.#settle(queue);
    const competing = new CompetingConsumers(queue, filter);
    this.shared.set(queue.name, competing);
    if (filterProblem(filter) === undefined) this.#tree.add(filter, competing);
    this.version++;
    return competing;
  }

  /** The named queue; undefined when there are too many. One that was promised before a restart is there in any case. */
  obtainNamed(name: string, promised = false): CompetingConsumers | undefined {
    const existing = this.named.get(name);
    if (existing !== undefined) return existing;
    if (isReserved(name)) return undefined;
    if (!promised && this.named.size - this.temporary.queues >= this.#context.limits.maxNamedQueues) return undefined;
    const shard = shardOf(this.#context, this.tenant, queuePrefix + name);
    const queue = new Queue(
      shard.nextQueueId++,
      'named',
      this.tenant,
      name,
      shard,
      false,
      this.#context.limits.namedQueue,
      this.#context.total,
    );
    const competing = this.adoptNamed(queue);
    if (queue.rules.durable) this.#makeDurable(queue);
    return competing;
  }

  /** A queue or a topic of the session's own; see TemporaryNodes. */
  createTemporary(maker: ClientSession, kind: 'queue' | 'topic'): string | undefined {
    const name = this.temporary.add(maker, kind);
    if (name === undefined || kind === 'topic') return name;
    const { limits, total } = this.#context;
    const shard = shardOf(this.#context, this.tenant, queuePrefix + name);
    this.adoptNamed(new Queue(shard.nextQueueId++, 'named', this.tenant, name, shard, false, limits.namedQueue, total));
    return name;
  }

  /** Its maker wants it no more, or is gone. */
  removeTemporary(name: string): void {
    const competing = this.named.get(name);
    this.temporary.delete(name);
    if (competing !== undefined) this.removeNamed(competing);
    else this.version++;
  }

  /** The queue of messages whose time has not come; made when first asked for. */
  obtainDelayed(): DelayedMessages {
    if (this.delayed !== undefined) return this.delayed;
    const { limits, total } = this.#context;
    const shard = shardOf(this.#context, this.tenant, delayedName);
    const queue = new Queue(shard.nextQueueId++, 'delayed', this.tenant, delayedName, shard, false, limits.delayedQueue, total);
    const delayed = this.adoptDelayed(queue, undefined);
    this.#makeDurable(queue);
    return delayed;
  }

  /** Takes over the queue of delayed messages, new or found in the journal. `moved`: shards that hold some of them, by position. */
  adoptDelayed(queue: Queue, moved: ReadonlyMap<number, readonly number[]> | undefined): DelayedMessages {
    queue.usage = this.#usages.tenant;
    queue.limits = this.#context.limits.delayedQueue;
    return (this.delayed = new DelayedMessages(this.#context, this, queue, moved));
  }

  #settle(queue: Queue): void {
    const { limits, rules } = settingsOf(this.#context.limits, queue);
    queue.limits = limits;
    queue.ruleBy(rules);
    queue.graves = this.deadLetters;
  }

  /** The settings of queues have changed. */
  refreshSettings(): void {
    for (const { queue } of [...this.named.values(), ...this.shared.values()]) this.#settle(queue);
  }

  adoptNamed(queue: Queue): CompetingConsumers {
    queue.usage = this.#usages.tenant;
    this.#settle(queue);
    const competing = new CompetingConsumers(queue, '');
    this.named.set(queue.name, competing);
    return competing;
  }

  removeNamed(competing: CompetingConsumers): void {
    this.named.delete(competing.queue.name);
    this.#retire(competing);
    this.version++;
  }

  /** Its last member is gone, but comes back some day, or another one: it goes on taking what is published. */
  #forsake(competing: CompetingConsumers): void {
    const { queue } = competing;
    queue.forsakenAtMs = Math.max(1, this.#context.clock.wallMs());
    if (queue.durable) this.#writeRecord(competing);
    this.#removeForsaken(competing, queue.keepMs);
  }

  #removeForsaken(competing: CompetingConsumers, inMs: number): void {
    if (inMs === Infinity) return;
    const { timers, clock } = this.#context;
    const { queue } = competing;
    const { forsakenAtMs } = queue;
    timers.at(clock.monotonicMs() + inMs, () => {
      const isForsaken = competing.members.length === 0 && queue.forsakenAtMs === forsakenAtMs;
      if (isForsaken && this.shared.get(queue.name) === competing) this.removeShared(competing);
    });
  }

  #writeRecord(competing: CompetingConsumers): void {
    competing.queue.shard.touch();
    competing.writeRecord();
  }

  removeShared(competing: CompetingConsumers): void {
    this.disownShared(competing);
    this.#retire(competing);
  }

  /** Nothing goes to the queue any more. */
  disownShared(competing: CompetingConsumers): void {
    this.shared.delete(competing.queue.name);
    this.#tree.remove(competing.filter, competing);
    this.version++;
  }

  /** Takes note of shared queues in the journal whose members are not; call when all sessions and entries are recovered. */
  recovered(retired: readonly CompetingConsumers[]): void {
    for (const competing of retired) this.#retire(competing);
    for (const competing of this.shared.values()) {
      const { queue } = competing;
      if (competing.members.length > 0) continue;
      if (queue.keepMs === 0) this.#removeForsaken(competing, keepForsakenMs);
      else if (queue.forsakenAtMs === 0) this.#forsake(competing);
      // The clock may have been set back in between.
      else this.#removeForsaken(competing, queue.keepMs - Math.max(0, this.#context.clock.wallMs() - queue.forsakenAtMs));
    }
  }

  /** What waits in the queue is dropped; what is under way can still be settled, and be found after a crash. */
  #retire(competing: CompetingConsumers): void {
    const { queue } = competing;
    const underWay = [...competing.taken()].map((entry) => Queue.checkpointed(entry)).filter((record) => record !== undefined);
    const remove = (): void => {
      queue.shard.touch();
      writeNumber(queue.shard.writer, RecordKind.removed, queue.id);
    };
    if (queue.durable) remove();
    queue.closing = queue.removed = true;
    queue.purge('sessionEnded');
    queue.closing = false;
    let isLater = false;
    competing.retire(() => {
      queue.closing = true;
      queue.shard.queues.delete(queue.id);
      if (isLater && queue.durable) remove();
    });
    isLater = true;
    if (queue.closing || underWay.length === 0) return;
    // In the row of the removal: a crash finds the queue as it was, or with what is under way.
    competing.writeRecord();
    writeEntries(queue.shard.writer, underWay);
  }

  /** From now on the queue's entries are journaled. Those in it already stay as they were promised: in memory. */
  #makeDurable(queue: Queue): void {
    queue.durable = true;
    queue.shard.queues.set(queue.id, queue);
    queue.shard.touch();
    (queue.holder as CompetingConsumers).writeRecord();
  }
}

/** One target a session, however many of its subscriptions match. */
function addTarget(targets: Target[], subscription: Subscription): void {
  const session = subscription.session;
  if (session.routeTarget !== undefined) {
    session.routeTarget.add(subscription);
    return;
  }
  session.routeTarget = new Target(subscription);
  targets.push(session.routeTarget);
}

/** A topic as one session may publish to it, with the route that was found last. */
export class RoutedAddress implements Address {
  readonly topic: string;
  readonly topicBytes: Uint8Array;
  /** By a right of the principal's own: accepted, notAuthorized or topicInvalid. */
  readonly admitted: Outcome;
  readonly space: TopicSpace;
  /** Takes what is published here in place of subscribers. */
  readonly service: OpenService | undefined;
  /** What is asked of each message. */
  readonly terms: MessageTerms | undefined;
  /** There are terms, or a service, or no right to it but to answer a request. */
  readonly isGuarded: boolean;
  readonly #context: BrokerContext;
  readonly #principal: Principal;
  /** What is asked of a retained one besides; null: not looked up yet. */
  #retainTerms: MessageTerms | undefined | null = null;
  #route: Route | undefined = undefined;

  constructor(
    space: TopicSpace,
    context: BrokerContext,
    principal: Principal,
    topic: string,
    topicBytes: Uint8Array,
    admitted: Outcome,
    service: OpenService | undefined,
  ) {
    this.service = service;
    this.space = space;
    this.#context = context;
    this.#principal = principal;
    this.topic = topic;
    this.topicBytes = topicBytes;
    this.admitted = admitted;
    this.terms = admitted === Outcome.accepted ? context.security.messageTerms?.(principal, 'publish', topic) : undefined;
    this.isGuarded = this.terms !== undefined || service !== undefined || admitted !== Outcome.accepted;
  }

  /** Who has no right to it may have been asked for an answer here: that comes and goes. */
  get outcome(): Outcome {
    if (this.admitted !== Outcome.notAuthorized || this.service !== undefined) return this.admitted;
    return this.#context.replies.holds(this.space, this.#principal, this.topic) ? Outcome.accepted : Outcome.notAuthorized;
  }

  /** Uses up a permission to answer. Returns how to take that back; undefined: there is none. */
  answer(message: Message): (() => void) | undefined {
    return this.#context.replies.use(this.space, this.#principal, this.topic, message);
  }

  /** As far as the terms go: whether the principal may retain here at all is asked before. */
  allowsRetained({ guarantee, payloadBytes }: Message): boolean {
    if (this.#retainTerms === null) this.#retainTerms = this.#context.security.messageTerms?.(this.#principal, 'retain', this.topic);
    return this.#retainTerms === undefined || this.#retainTerms.allows(guarantee, payloadBytes);
  }

  route(): Route {
    const route = this.#route;
    if (route !== undefined && route.version === this.space.version && !route.full) return route;
    return (this.#route = this.space.route(this.topic));
  }
}

/** Notes for how long a shared subscription that somebody joins outlives its members. Returns whether that is news. */
function keep(competing: CompetingConsumers, kept: KeptTerms | undefined): boolean {
  const { queue } = competing;
  const { keepMs, forsakenAtMs } = queue;
  const selector = competing.keptSelector?.text;
  queue.forsakenAtMs = 0;
  if (kept !== undefined) {
    queue.keepMs = Math.max(keepMs, kept.keepMs);
    competing.keptSelector = kept.selector;
  }
  return queue.keepMs !== keepMs || forsakenAtMs !== 0 || selector !== competing.keptSelector?.text;
}

// A session: what a peer's client id stands for, with or without a connection. It owns an inbox, its subscriptions, and both
// halves of the exactly-once exchange. The connection is a Consumer that comes and goes.

import type { Timer } from '../base/timers.ts';
import { parseFilter } from '../message/filter.ts';
import type { Guarantee, Message } from '../message/message.ts';
import type { Principal } from '../security/security.ts';
import type { CompetingConsumers } from './competing-consumers.ts';
import type { BrokerContext } from './context.ts';
import { acknowledgeWhenDurable, distribute, enqueueTransient, sendToAll } from './distribution.ts';
import { Outcome } from './port.ts';
import type { Address, Consumer, Session, Settlement, SubscribeRequest, SubscribeResult } from './port.ts';
import type { Entry, EntryOwner, Queue, QueueHolder } from './queue.ts';
import { OutgoingDeliveries } from './outgoing-deliveries.ts';
import { ReceivedIds } from './received-ids.ts';
import { RecordKind, writeNumber, writeSession, writeSubscribe, writeUnsubscribe } from './records.ts';
import { RetainedDelivery } from './retained-delivery.ts';
import { Subscription } from './route.ts';
import type { Target } from './route.ts';
import { SessionWill } from './session-will.ts';
import type { KeptOnce } from './stored.ts';
import type { RoutedAddress, TopicSpace } from './topic-space.ts';

/** The connection as far as the session knows it. */
export type Attachment = {
  readonly consumer: Consumer;
  readonly receiveMaximum: number;
  readonly protocol: string;
  readonly remoteAddress: string;
  readonly listener: string;
  readonly since: number;
};

export class ClientSession implements Session, QueueHolder, EntryOwner {
  readonly space: TopicSpace;
  readonly clientId: string;
  readonly inbox: Queue;
  readonly key: number;
  readonly will: SessionWill;
  readonly received: ReceivedIds;
  readonly deliveries: OutgoingDeliveries;
  /** Found in the journal, or who attached last. */
  principal: Principal;
  protocol = '';
  sessionExpiryMs = 0;
  /** Wall-clock time at which the connection was lost; 0 while there is one. */
  disconnectedAtMs = 0;
  /** Scratch of TopicSpace.route. */
  routeTarget: Target | undefined = undefined;
  ended = false;
  attachment: Attachment | undefined = undefined;
  /** Deliveries may go out: the attachment has been answered. */
  #live = false;
  /** Its record is in the journal: it is durable, or it has a will. */
  #recorded = false;
  readonly #context: BrokerContext;
  #subscriptions: Map<string, Subscription> | undefined = undefined;
  /** Shared and named queues among them. */
  #competing: Set<CompetingConsumers> | undefined = undefined;
  #retained: RetainedDelivery | undefined = undefined;
  #pumping = false;
  /** Somebody wanted to deliver and could not: to be told when that changes. */
  #declined = false;
  #expiry: Timer | undefined = undefined;

  constructor(context: BrokerContext, space: TopicSpace, principal: Principal, clientId: string, inbox: Queue) {
    this.#context = context;
    this.space = space;
    this.principal = principal;
    this.clientId = clientId;
    this.inbox = inbox;
    this.key = inbox.shard.sessionKey(inbox.id);
    this.will = new SessionWill(context, this);
    this.received = new ReceivedIds(context, this);
    this.deliveries = new OutgoingDeliveries(context, this);
    inbox.holder = this;
  }

  /** It outlives its connection: what it is promised is journaled. */
  get durable(): boolean {
    return this.inbox.durable;
  }

  get consumer(): Consumer | undefined {
    return this.attachment?.consumer;
  }

  get connected(): boolean {
    return this.#live;
  }

  get subscriptions(): ReadonlyMap<string, Subscription> {
    return (this.#subscriptions ??= new Map());
  }

  get addressVersion(): number {
    return this.#context.security.version;
  }

  // --- Publishing

  address(topic: string, topicBytes: Uint8Array): Address {
    return this.space.address(this.principal, topic, topicBytes);
  }

  publish(address: Address, message: Message, token: number): Outcome {
    if (address.outcome !== Outcome.accepted) return address.outcome;
    const context = this.#context;
    const routed = address as RoutedAddress;
    const route = routed.route();
    if (message.guarantee === 0 && !message.retain && route.competing.length === 0) {
      context.counters.publishesAccepted++;
      return sendToAll(this, route, message);
    }
    if (message.guarantee === 2) {
      const outcome = this.received.publish(route, message, token);
      if (outcome === Outcome.pending && context.pressure.on) this.#holdPublisher();
      return outcome;
    }
    const publisher = { session: this, origin: 0, token, skip: undefined };
    const { outcome, shards } = distribute(context, this.space, route, message, publisher);
    if (outcome === Outcome.quotaExceeded || outcome === Outcome.unavailable) return outcome;
    context.counters.publishesAccepted++;
    if (outcome !== Outcome.pending) return outcome;
    if (context.pressure.on) this.#holdPublisher();
    if (message.guarantee === 0) return Outcome.accepted;
    acknowledgeWhenDurable(shards, this, token);
    return Outcome.pending;
  }

  release(token: number): Outcome {
    return this.received.release(token);
  }

  #holdPublisher(): void {
    const consumer = this.consumer;
    if (consumer === undefined || this.#context.held.has(consumer)) return;
    this.#context.held.add(consumer);
    this.#context.counters.publishersHeld++;
    consumer.hold(true);
  }

  // --- Being delivered to

  /** At most once, to the connection if there is one. */
  send(message: Message, retained: boolean, subscriptionIds: readonly number[] | undefined): void {
    if (!this.#live) return;
    this.inbox.passThrough(this.attachment!.consumer.send(message, retained, subscriptionIds) ? 'delivered' : 'slowConsumer');
  }

  /** At least or exactly once, for a session that ends with its connection: nothing is journaled. */
  offer(kept: KeptOnce, guarantee: Guarantee, retained: boolean, ids: readonly number[] | undefined): void {
    if (this.inbox.ready.length > 0 || !this.canTake()) enqueueTransient(this.#context, this.inbox, kept, guarantee, retained, ids);
    else this.deliveries.sendUnkept(kept.message, guarantee, retained, ids);
  }

  /** Something new may go out now. What is to be sent again goes first. */
  canTake(): boolean {
    if (!this.deliveries.waiting && this.hasCredit()) return true;
    this.#declined = true;
    return false;
  }

  /** The peer has room for one more unsettled delivery. */
  hasCredit(): boolean {
    const attachment = this.attachment;
    return this.#live && this.deliveries.unsettled < attachment!.receiveMaximum && !attachment!.consumer.congested;
  }

  /** See OutgoingDeliveries.take. */
  take(entry: Entry, sendAs: Guarantee, retained: boolean, ids: readonly number[] | undefined): 'loading' | 'unsettled' | 'done' {
    return this.deliveries.take(entry, sendAs, retained, ids);
  }

  settle(deliveryId: number, settlement: Settlement): boolean {
    const queue = this.deliveries.settle(deliveryId, settlement);
    if (queue === undefined) return false;
    if (this.#declined || this.inbox.ready.length > 0 || this.deliveries.waiting || this.#retained !== undefined) this.pump();
    if (queue !== this.inbox) queue.holder?.pump();
    return true;
  }

  taken(): Iterable<Entry> {
    return this.deliveries.of(this.inbox);
  }

  pump(): void {
    if (this.#pumping || !this.#live) return;
    this.#pumping = true;
    this.deliveries.sendAgain();
    const inbox = this.inbox;
    for (let entry = inbox.ready.at(0); entry !== undefined; entry = inbox.ready.at(0)) {
      if (this.deliveries.waiting || !this.canTake() || entry.row > inbox.shard.durableRow) break;
      if (this.take(entry, entry.guarantee, entry.retained, entry.subscriptionIds) === 'loading') break;
    }
    if (this.#retained !== undefined && !this.#retained.run()) this.#retained = undefined;
    this.#pumping = false;
    if (!this.#declined || !this.canTake()) return;
    this.#declined = false;
    for (const competing of this.#competing ?? []) competing.pump();
  }

  resume(): void {
    this.#declined = true;
    this.pump();
  }

  // --- Subscribing

  subscribe(requests: readonly SubscribeRequest[], token: number): void {
    const results: SubscribeResult[] = [];
    let journaled = false;
    for (const request of requests) {
      const before = this.#subscriptions?.get(request.filter);
      const result = this.#subscribeOne(request, before);
      if (!(result instanceof Subscription)) {
        results.push({ outcome: result, guarantee: 0 });
        continue;
      }
      results.push({ outcome: Outcome.accepted, guarantee: result.guarantee });
      if (this.durable) {
        this.#writeSubscription(result);
        journaled = true;
      }
      const wanted = request.retainHandling === 'always' || (request.retainHandling === 'ifNew' && before === undefined);
      if (wanted && result.competing === undefined) (this.#retained ??= new RetainedDelivery(this.#context, this)).add(result);
    }
    const consumer = this.consumer;
    const answer = (): void => {
      if (consumer === undefined || consumer !== this.consumer) return;
      consumer.subscribed(token, results);
      this.resume();
    };
    if (journaled) this.inbox.shard.whenDurable(answer);
    else answer();
  }

  #subscribeOne(request: SubscribeRequest, before: Subscription | undefined): Subscription | Outcome {
    const { limits, security } = this.#context;
    const parsed = parseFilter(request.filter, limits.maxTopicLevels);
    if (parsed.kind === 'invalid') return Outcome.filterInvalid;
    if (!security.allows(this.principal, parsed.kind === 'queue' ? 'consume' : 'subscribe', request.filter)) return Outcome.notAuthorized;
    if (this.durable && this.inbox.shard.stall !== undefined) return Outcome.unavailable;
    if (before === undefined && this.subscriptions.size >= limits.maxSubscriptionsPerSession) return Outcome.quotaExceeded;
    let competing;
    if (parsed.kind !== 'plain') {
      competing =
        parsed.kind === 'shared' ? this.space.obtainShared(parsed.group, parsed.filter, this.durable) : this.space.obtainNamed(parsed.name);
      if (competing === undefined) return Outcome.quotaExceeded;
    }
    const subscription = new Subscription(
      this,
      request.filter,
      parsed.kind === 'queue' ? request.filter : parsed.filter,
      request.guarantee,
      request.noLocal,
      request.retainAsPublished,
      request.subscriptionId,
      competing,
    );
    // The new one is there before the old one goes, so that a shared queue is never left without members in between.
    this.space.subscribe(subscription);
    if (before !== undefined) this.space.replaced(before);
    this.#keep(subscription);
    return subscription;
  }

  /** For a checkpoint. */
  writeSubscriptions(): void {
    if (this.durable) for (const subscription of this.subscriptions.values()) this.#writeSubscription(subscription);
  }

  #writeSubscription(subscription: Subscription): void {
    const shard = this.inbox.shard;
    shard.touch();
    writeSubscribe(shard.writer, {
      queueId: this.inbox.id,
      filter: subscription.text,
      guarantee: subscription.guarantee,
      noLocal: subscription.noLocal,
      retainAsPublished: subscription.retainAsPublished,
      subscriptionId: subscription.subscriptionIds?.[0] ?? 0,
    });
  }

  unsubscribe(filters: readonly string[], token: number): void {
    const outcomes: Outcome[] = [];
    let journaled = false;
    for (const filter of filters) {
      const subscription = this.#subscriptions?.get(filter);
      if (subscription === undefined) {
        outcomes.push(Outcome.noSubscription);
        continue;
      }
      outcomes.push(Outcome.accepted);
      this.#drop(subscription);
      if (!this.durable) continue;
      this.inbox.shard.touch();
      writeUnsubscribe(this.inbox.shard.writer, this.inbox.id, filter);
      journaled = true;
    }
    const consumer = this.consumer;
    if (journaled) this.inbox.shard.whenDurable(() => consumer === this.consumer && consumer?.unsubscribed(token, outcomes));
    else consumer?.unsubscribed(token, outcomes);
  }

  #drop(subscription: Subscription): void {
    this.#subscriptions!.delete(subscription.text);
    this.#retained?.remove(subscription);
    const competing = subscription.competing;
    if (competing !== undefined) this.#competing!.delete(competing);
    // What is under way stays so until the peer settles it, or its connection is lost [MQTT-3.10.4-3].
    this.space.unsubscribe(subscription);
  }

  /** Takes over a subscription found in the journal. */
  recoverSubscription(subscription: Subscription): void {
    this.#keep(subscription);
    this.space.subscribe(subscription);
  }

  #keep(subscription: Subscription): void {
    (this.#subscriptions ??= new Map()).set(subscription.text, subscription);
    if (subscription.competing !== undefined) (this.#competing ??= new Set()).add(subscription.competing);
  }

  // --- Coming and going

  /** A connection is about to use the session; nothing goes out until `goLive`. */
  attach(attachment: Attachment, principal: Principal, sessionExpiryMs: number): void {
    this.#context.timers.cancel(this.#expiry);
    this.#expiry = undefined;
    this.attachment = attachment;
    this.principal = principal;
    this.protocol = attachment.protocol;
    this.sessionExpiryMs = sessionExpiryMs;
    this.disconnectedAtMs = 0;
  }

  /** The peer has been told that it is attached. Unsettled deliveries are sent again, in their order. */
  goLive(): void {
    this.#live = true;
    this.deliveries.connectionCame();
    this.resume();
  }

  /** Another connection takes the session over, or an operator ends it: its consumer is told, and detached. */
  expel(reason: 'takenOver' | 'administrative' | 'shuttingDown' | 'unavailable'): void {
    const consumer = this.consumer;
    if (consumer === undefined) return;
    this.detach(true);
    consumer.detached(reason);
  }

  detach(publishWill: boolean, sessionExpiryMs?: number): void {
    const consumer = this.consumer;
    if (consumer === undefined) return;
    this.#context.held.delete(consumer);
    this.attachment = undefined;
    this.#live = false;
    this.disconnectedAtMs = this.#context.clock.wallMs();
    if (sessionExpiryMs !== undefined) this.sessionExpiryMs = sessionExpiryMs;
    this.deliveries.connectionWent();
    if (!publishWill) this.will.clear();
    if (this.sessionExpiryMs === 0) {
      this.end();
      return;
    }
    this.will.connectionLost();
    this.writeRecord();
    this.scheduleExpiry(this.sessionExpiryMs);
  }

  scheduleExpiry(inMs: number): void {
    if (inMs === Infinity) return;
    const { timers, clock, counters } = this.#context;
    this.#expiry = timers.at(clock.monotonicMs() + inMs, () => {
      counters.sessionsExpired++;
      this.end();
    });
  }

  /** The session is over: its subscriptions, its inbox and its will go with it. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.#context.timers.cancel(this.#expiry);
    // Should a crash find its record before it is gone, then only for the will.
    this.sessionExpiryMs = 0;
    let gone = false;
    this.will.sessionEnds(() => {
      gone = true;
      this.#removeRecord();
    });
    if (!gone) this.writeRecord();
    for (const subscription of [...(this.#subscriptions?.values() ?? [])]) this.#drop(subscription);
    const inbox = this.inbox;
    inbox.closing = true;
    if (this.space.sessions.get(this.clientId) === this) this.space.sessions.delete(this.clientId);
    this.deliveries.abandon();
    inbox.purge('sessionEnded');
    this.received.clear();
  }

  #removeRecord(): void {
    const { shard, id } = this.inbox;
    shard.sessions.delete(id);
    if (!this.#recorded) return;
    shard.touch();
    writeNumber(shard.writer, RecordKind.removed, id);
  }

  /** The journal knows it. */
  get recorded(): boolean {
    return this.#recorded;
  }

  /** Sessions that end with their connection are not journaled, unless a will must survive the node. */
  get needsRecord(): boolean {
    return this.durable || this.will.present;
  }

  recovered(): void {
    this.#recorded = true;
  }

  writeRecord(): void {
    if (!this.needsRecord && !this.#recorded) return;
    const shard = this.inbox.shard;
    this.#recorded = true;
    shard.sessions.set(this.inbox.id, this);
    shard.touch();
    writeSession(shard.writer, {
      queueId: this.inbox.id,
      tenant: this.space.tenant,
      clientId: this.clientId,
      protocol: this.protocol,
      owner: this.principal.id,
      expiryMs: this.sessionExpiryMs,
      disconnectedAtMs: this.disconnectedAtMs,
      will: this.will.record(),
    });
  }
}

// A session: what a peer's client id stands for, with or without a connection. It owns an inbox, its subscriptions, and both
// halves of the exactly-once exchange. The connection is a Consumer that comes and goes.

import type { Timer } from '../../base/timers.ts';
import type { Guarantee, Message } from '../../message/message.ts';
import type { Principal } from '../../security/security.ts';
import type { Attachment } from './attachment.ts';
import type { BrokerContext } from '../context.ts';
import { enqueueTransient, sendToAll } from '../routing/distribution.ts';
import { lastValue } from '../routing/last-value.ts';
import { Outcome } from '../port.ts';
import type {
  Address,
  AttachRequest,
  CloseReason,
  Consumer,
  Session,
  Settlement,
  SettlementDetail,
  SubscribedFilter,
  SubscribeRequest,
  Transaction,
  UnsettledDelivery,
} from '../port.ts';
import { inboxRules } from '../queues/queue-settings.ts';
import type { Entry, EntryOwner, Queue, QueueHolder } from '../queues/queue.ts';
import { plainRules } from '../limits.ts';
import { OutgoingDeliveries } from './outgoing-deliveries.ts';
import { ReceivedIds } from './received-ids.ts';
import { RecordKind, writeNumber, writeSession } from '../journal/records.ts';
import type { Subscription, Target } from '../routing/route.ts';
import { publishAnswer, publishKept, refusalOf } from './session-publishing.ts';
import { SessionRights } from './session-rights.ts';
import { SessionSubscriptions } from './session-subscriptions.ts';
import { SessionWill } from './session-will.ts';
import { KeptOnce } from '../journal/stored.ts';
import type { RoutedAddress, TopicSpace } from '../routing/topic-space.ts';

const noSubscriptions: ReadonlyMap<string, Subscription> = new Map();
const noFilters: readonly string[] = [];
const noParts: readonly ClientSession[] = [];

export class ClientSession implements Session, QueueHolder, EntryOwner {
  readonly space: TopicSpace;
  readonly clientId: string;
  readonly inbox: Queue;
  readonly key: number;
  readonly will: SessionWill;
  readonly received: ReceivedIds;
  readonly deliveries: OutgoingDeliveries;
  /** Found in the journal, or who attached last, or what a review made of it. */
  principal: Principal;
  /** False: all that is known of the principal is its name, from the journal. */
  principalIsKnown = true;
  /** Wall clock: when its peer last proved who it is. */
  provenAtMs = 0;
  protocol = '';
  /** See AttachRequest. */
  deadLetters = false;
  queuesAtMostOnce = false;
  /** It is a part of a connection, not one of its own. */
  isPart = false;
  sessionExpiryMs = 0;
  /** Wall-clock time at which the connection was lost; 0 while there is one. */
  disconnectedAtMs = 0;
  /** Scratch of TopicSpace.route. */
  routeTarget: Target | undefined = undefined;
  ended = false;
  attachment: Attachment | undefined = undefined;
  /** Attached sessions that are parts of its connection. */
  #parts: Set<ClientSession> | undefined = undefined;
  /** Deliveries may go out: the attachment has been answered. */
  #live = false;
  /** Its record is in the journal: it is durable, or it has a will. */
  #recorded = false;
  readonly #context: BrokerContext;
  #subscriptions: SessionSubscriptions | undefined = undefined;
  readonly rights: SessionRights;
  #pumping = false;
  /** The first waiting message must be read from the journal. */
  #isReading = false;
  /** Its consumer wants to know when nothing more can be sent. */
  #isDraining = false;
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
    this.rights = new SessionRights(context, this);
    inbox.holder = this;
  }

  /** It outlives its connection: what it is promised is journaled. */
  get durable(): boolean {
    return this.inbox.durable;
  }

  get consumer(): Consumer | undefined {
    return this.attachment?.consumer;
  }

  /** Names its connection, for `noLocal`. */
  get connectionKey(): number {
    return this.attachment?.partOf?.key ?? this.key;
  }

  /** What the publisher sends is what this session publishes itself: they are one, or parts of one connection. */
  isOwn(publisher: ClientSession | undefined): boolean {
    return publisher !== undefined && (publisher === this || publisher.connectionKey === this.connectionKey);
  }

  /** A crash must not make it forget what it has under way exactly once: others may not get it, or it asks for it again. */
  get remembersIds(): boolean {
    return this.durable || !this.isPart;
  }

  get connected(): boolean {
    return this.#live;
  }

  get subscriptions(): ReadonlyMap<string, Subscription> {
    return this.#subscriptions?.byText ?? noSubscriptions;
  }

  subscribed(): readonly SubscribedFilter[] {
    return this.#subscriptions?.asked() ?? [];
  }

  sharedFilters(group: string): readonly string[] {
    return this.space.sharedFilters(group);
  }

  get addressVersion(): number {
    // Each only rises, so their sum moves with either.
    return this.#context.security.version + this.rights.facts;
  }

  // --- Publishing

  address(topic: string, topicBytes: Uint8Array): Address {
    return this.space.address(this.principal, topic, topicBytes);
  }

  publish(address: Address, message: Message, token: number, tag?: string): Outcome {
    if (address.outcome !== Outcome.accepted) return address.outcome;
    const routed = address as RoutedAddress;
    const isPlain = !routed.isGuarded && this.inbox.usage?.metered !== true;
    if (!isPlain || message.retain) {
      const refused = refusalOf(this.#context, this, routed, message, tag ?? token);
      if (refused !== undefined) return refused;
      if (routed.service !== undefined) return routed.service.take(this, message);
      if (routed.admitted !== Outcome.accepted) return publishAnswer(this.#context, this, routed, message, token, tag);
    }
    const route = routed.route();
    if (message.guarantee === 0 && !message.retain && route.competing.length === 0 && message.attributes?.deliverAtMs === undefined) {
      this.#context.counters.publishesAccepted++;
      return sendToAll(this, route, message);
    }
    return publishKept(this.#context, this, route, message, token, tag);
  }

  release(token: number, tag?: string): Outcome {
    return this.received.release(token, tag ?? token);
  }

  publishedTags(): readonly string[] {
    return this.received.tags();
  }

  // --- Being delivered to

  /** At most once, to the connection if there is one. */
  send(message: Message, retained: boolean, subscriptionIds: readonly number[] | undefined): void {
    if (!this.#live) return;
    if (this.queuesAtMostOnce && this.#mustWait()) {
      enqueueTransient(this.#context, this.inbox, new KeptOnce(message), 0, retained, subscriptionIds);
      return;
    }
    this.inbox.passThrough(this.hand(message, retained, subscriptionIds) ? 'delivered' : 'slowConsumer');
  }

  /** Hands a message to the consumer there is, at most once. */
  hand(message: Message, retained: boolean, subscriptionIds: readonly number[] | undefined): boolean {
    if (!this.attachment!.consumer.send(message, retained, subscriptionIds)) return false;
    if (message.attributes !== undefined) this.#context.replies.give(this.space, this.principal, message, false);
    return true;
  }

  /** What is sent now would overtake what waits, or find no credit. */
  #mustWait(): boolean {
    return this.inbox.ready.length > 0 || this.deliveries.waiting || this.attachment!.consumer.congested;
  }

  /** At least or exactly once, for a session that ends with its connection: nothing is journaled. */
  offer(kept: KeptOnce, guarantee: Guarantee, retained: boolean, ids: readonly number[] | undefined): void {
    if (this.inbox.ready.length > 0 || !this.canTake()) enqueueTransient(this.#context, this.inbox, kept, guarantee, retained, ids);
    else this.deliveries.sendUnkept(kept, guarantee, retained, ids);
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
    if (!this.#live || this.deliveries.unsettled >= attachment!.receiveMaximum || attachment!.consumer.congested) return false;
    const { unsent } = this.deliveries;
    return unsent === 0 || unsent < (attachment!.consumer.credit ?? Infinity);
  }

  settle(deliveryId: number, settlement: Settlement, detail?: SettlementDetail): boolean {
    const queue = this.deliveries.settle(deliveryId, settlement, detail);
    if (queue === undefined) return false;
    if (this.#declined || this.inbox.ready.length > 0 || this.deliveries.waiting || this.#subscriptions?.hasRetained) this.pump();
    if (queue !== this.inbox) queue.holder?.pump();
    return true;
  }

  taken(): Iterable<Entry> {
    return this.deliveries.of(this.inbox);
  }

  pump(): void {
    if (this.#pumping || !this.#live) return;
    this.#pumping = true;
    this.#isReading = false;
    this.deliveries.sendAgain();
    const inbox = this.inbox;
    for (let entry = inbox.ready.first; entry !== undefined; entry = inbox.ready.first) {
      if (this.deliveries.waiting || !this.canTake() || entry.row > inbox.shard.durableRow) break;
      if (this.deliveries.take(entry, entry.guarantee, entry.retained, entry.subscriptionIds) === 'loading') {
        this.#isReading = true;
        break;
      }
    }
    this.#subscriptions?.deliverRetained();
    this.#pumping = false;
    if (this.#declined && this.canTake()) {
      this.#declined = false;
      this.#subscriptions?.pumpCompeting();
    }
    if (this.#isDraining) this.#answerDrain();
  }

  resume(): void {
    this.#declined = true;
    this.pump();
  }

  unsettled(): readonly UnsettledDelivery[] {
    return this.deliveries.unsettledNow();
  }

  drain(): void {
    this.#isDraining = true;
    this.resume();
  }

  /** Not as long as something is on its way that there is credit for. */
  #answerDrain(): void {
    const consumer = this.attachment!.consumer;
    const { deliveries } = this;
    const hasRoom = !consumer.congested && deliveries.unsettled < this.attachment!.receiveMaximum;
    if (deliveries.unsent > 0 || (consumer.congested && (consumer.credit ?? 0) > 0)) return;
    if (hasRoom && (this.#isReading || deliveries.isReading || this.#subscriptions?.goesOn === true)) return;
    this.#isDraining = false;
    consumer.drained?.();
  }

  // --- Queues and transactions of its own

  createTemporary(kind: 'queue' | 'topic'): string | undefined {
    return this.space.createTemporary(this, kind);
  }

  removeTemporary(name: string): void {
    if (this.space.temporary.of(this).includes(name)) this.space.removeTemporary(name);
  }

  begin(aborted: () => void): Transaction | Outcome {
    return this.#context.transactions.begin(this, aborted);
  }

  // --- Subscribing

  subscribe(requests: readonly SubscribeRequest[], token: number): void {
    this.#subscribed.subscribe(requests, token);
  }

  unsubscribe(filters: readonly string[], token: number): void {
    this.#subscribed.unsubscribe(filters, token);
  }

  lastValue(topic: string, answer: (outcome: Outcome, message: Message | undefined) => void): void {
    lastValue(this.#context, this.space, this.principal, topic, answer);
  }

  get #subscribed(): SessionSubscriptions {
    return (this.#subscriptions ??= new SessionSubscriptions(this.#context, this));
  }

  /** For a checkpoint. */
  writeSubscriptions(): void {
    if (this.durable) this.#subscriptions?.writeAll();
  }

  /** Takes over a subscription found in the journal. */
  recoverSubscription(subscription: Subscription): void {
    this.#subscribed.recover(subscription);
  }

  // --- What its principal may have

  reviewed(principal: Principal): readonly string[] {
    return this.rights.reviewed(principal);
  }

  renew(principal: Principal): void {
    this.rights.renew(principal);
  }

  /** Takes away what its principal may not have any more. Returns what that was. */
  recheckSubscriptions(): readonly string[] {
    return this.#subscriptions?.recheck() ?? noFilters;
  }

  get parts(): Iterable<ClientSession> {
    return this.#parts ?? noParts;
  }

  // --- Coming and going

  /** What is special about it; see AttachRequest. */
  asksFor({ partOf, deadLetters = false, queuesAtMostOnce = false }: AttachRequest): void {
    this.isPart = partOf !== undefined;
    this.queuesAtMostOnce = queuesAtMostOnce;
    this.buriesDead(deadLetters);
  }

  buriesDead(deadLetters: boolean): void {
    this.deadLetters = deadLetters;
    this.inbox.graves = deadLetters ? this.space.deadLetters : undefined;
    this.inbox.ruleBy(deadLetters ? inboxRules(this.#context.limits) : plainRules);
  }

  /** A connection is about to use the session; nothing goes out until `goLive`. */
  attach(attachment: Attachment, principal: Principal, sessionExpiryMs: number): void {
    this.#context.timers.cancel(this.#expiry);
    this.#expiry = undefined;
    this.attachment = attachment;
    this.provenAtMs = attachment.since;
    this.protocol = attachment.protocol;
    this.sessionExpiryMs = sessionExpiryMs;
    this.disconnectedAtMs = 0;
    if (attachment.partOf === undefined) this.inbox.usage?.connected(1);
    else (attachment.partOf.#parts ??= new Set()).add(this);
    // While it was away its principal may have lost what it has subscribed to.
    this.reviewed(principal);
  }

  /** The peer has been told that it is attached. Unsettled deliveries are sent again, in their order. */
  goLive(): void {
    this.#live = true;
    this.#isDraining = false;
    this.deliveries.connectionCame();
    this.resume();
  }

  /** Another connection takes the session over, or an operator ends it: its consumer is told, and detached. */
  expel(reason: CloseReason): void {
    const consumer = this.consumer;
    if (consumer === undefined) return;
    for (const part of [...this.parts]) part.expel(reason);
    // A link that is stolen goes on with what it is owed [AMQP 2.6.1]: its next connection is there already.
    const goesOn = reason === 'takenOver' && this.isPart && this.sessionExpiryMs === 0;
    this.detach(true, goesOn ? 1 : undefined);
    consumer.detached(reason);
  }

  detach(publishWill: boolean, sessionExpiryMs?: number): void {
    const { attachment } = this;
    if (attachment === undefined) return;
    for (const part of [...this.parts]) part.detach(true);
    this.#context.held.forget(attachment.consumer);
    this.#context.transactions.ownerWent(this);
    this.attachment = undefined;
    if (attachment.partOf === undefined) this.inbox.usage?.connected(-1);
    else attachment.partOf.#parts!.delete(this);
    this.#live = false;
    this.disconnectedAtMs = this.#context.clock.wallMs();
    if (sessionExpiryMs !== undefined) this.sessionExpiryMs = sessionExpiryMs;
    this.deliveries.connectionWent();
    this.#subscriptions?.connectionWent();
    for (const name of this.space.temporary.of(this)) this.space.removeTemporary(name);
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
    this.#subscriptions?.dropAll();
    const inbox = this.inbox;
    inbox.closing = inbox.removed = true;
    this.space.removeSession(this);
    this.deliveries.abandon();
    inbox.purge('sessionEnded');
    this.received.clear();
  }

  /** Its principal is no more: nobody may speak for it either. */
  forget(): void {
    this.will.clear();
    this.end();
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
    this.principalIsKnown = false;
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
      nextPosition: this.inbox.nextPosition,
      deadLetters: this.deadLetters,
      queuesAtMostOnce: this.queuesAtMostOnce,
      isPart: this.isPart,
    });
  }
}

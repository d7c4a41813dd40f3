// What a session has under way to its peer above at most once: delivery ids, what the peer says of them, and sending again
// after a connection was lost.

import type { Property } from '../../message/attributes.ts';
import type { Guarantee, Message } from '../../message/message.ts';
import { annotate } from './annotate.ts';
import type { ClientSession } from './client-session.ts';
import { competingOf } from '../queues/competing-consumers.ts';
import type { CompetingConsumers } from '../queues/competing-consumers.ts';
import type { BrokerContext } from '../context.ts';
import { DeliveryTable } from './delivery-table.ts';
import { hasRoomFor } from '../routing/distribution.ts';
import { Fifo } from '../queues/fifo.ts';
import type { Settlement, SettlementDetail, UnsettledDelivery } from '../port.ts';
import type { CauseOfDeath, Entry, Queue } from '../queues/queue.ts';
import { RecordKind } from '../journal/records.ts';
import { storedBytes } from '../journal/stored.ts';
import type { KeptOnce } from '../journal/stored.ts';

/** How many waiting entries are looked at when a message must be read from the journal. */
const readAheadEntries = 256;

export class OutgoingDeliveries {
  /** Deliveries that count against the receive maximum of the present connection. */
  unsettled = 0;
  /** Those that wait for their records to be durable before they are sent. */
  unsent = 0;
  /** What is to be sent again must be read first. */
  isReading = false;
  readonly #context: BrokerContext;
  readonly #session: ClientSession;
  #outgoing: DeliveryTable | undefined = undefined;
  /** Those to be sent again, or for the first time now that their record is durable. */
  #resend: Fifo<Entry> | undefined = undefined;
  /** Those that the peer has received, while what tells so is not durable or an earlier one waits. */
  #releases: Fifo<Entry> | undefined = undefined;

  constructor(context: BrokerContext, session: ClientSession) {
    this.#context = context;
    this.#session = session;
  }

  /** Something is to be sent before anything new. */
  get waiting(): boolean {
    return this.#resend !== undefined && this.#resend.length > 0;
  }

  get size(): number {
    return this.#outgoing?.size ?? 0;
  }

  /** Those whose entries belong to `queue`. */
  of(queue: Queue): Entry[] {
    return this.#entries().filter((entry) => entry.queue === queue);
  }

  /** See Session.unsettled. */
  unsettledNow(): UnsettledDelivery[] {
    const known: UnsettledDelivery[] = [];
    for (const { deliveryId, position, sendAs, state, row, queue } of this.#entries()) {
      // One whose record is not durable has never been sent.
      if (state !== 'received' && sendAs === 2 && row > queue.shard.durableRow) continue;
      known.push({ deliveryId, position, guarantee: sendAs as 1 | 2, state: state === 'received' ? 'received' : 'sent' });
    }
    return known;
  }

  /** In the order in which they were first sent [MQTT-4.4.0-1]. */
  #entries(): Entry[] {
    return this.#outgoing?.inOrder() ?? [];
  }

  /**
   * Sends a message of which nothing is kept: the session ends with its connection, so it is never sent again. Only a link may give
   * it back: for it, it is kept in memory, if there is room.
   * The session must be able to take it.
   */
  sendUnkept(kept: KeptOnce, guarantee: Guarantee, retained: boolean, ids: readonly number[] | undefined): void {
    const { inbox, isPart } = this.#session;
    const entry = inbox.append(guarantee, retained, ids);
    if (isPart && hasRoomFor(this.#context, inbox, storedBytes(kept.message))) {
      entry.stored = kept.stored();
      inbox.shard.acquire(entry.stored);
    }
    inbox.hold(entry);
    this.#assign(entry, guarantee);
    this.#transfer(entry, kept.message, retained, ids);
  }

  /**
   * Takes a waiting entry of a queue and delivers it. 'loading': its message must be read first; the queue's holder is pumped
   * then. 'unsettled': the peer has to settle it. 'done': it has left its queue.
   */
  take(entry: Entry, sendAs: Guarantee, retained: boolean, ids: readonly number[] | undefined): 'loading' | 'unsettled' | 'done' {
    const queue = entry.queue;
    // It came while its queue was not durable. The peer will know its id, so we must too after a crash.
    if (entry.row === 0 && sendAs === 2 && this.#session.durable) queue.makeDurable(entry);
    const stored = entry.stored!;
    const message = queue.shard.load(stored, queue);
    if (message === undefined) {
      queue.shard.readAhead(entry, readAheadEntries);
      return 'loading';
    }
    queue.takeOut(entry);
    if (stored.expiresAtMs > 0 && stored.expiresAtMs <= this.#context.clock.wallMs()) {
      queue.expire(entry);
      return 'done';
    }
    if (this.#session.rights.isRevoked(entry, message)) {
      queue.leave(entry, 'revoked');
      return 'done';
    }
    if (sendAs === 0) {
      queue.leave(entry, this.#session.hand(message, retained, ids) ? 'delivered' : 'tooLarge');
      return 'done';
    }
    this.#assign(entry, sendAs);
    if (sendAs === 2 && entry.row > 0 && this.#session.remembersIds) {
      // The id must be known after a crash, or the peer could take the repetition for another message: durable before it is sent.
      entry.row = queue.shard.writeDelivery(RecordKind.sent, queue.id, entry);
      this.unsent++;
      queue.shard.whenDurable(() => this.#sendRecorded(entry));
      return 'unsettled';
    }
    return this.#transfer(entry, message, retained, ids) ? 'unsettled' : 'done';
  }

  #sendRecorded(entry: Entry): void {
    this.unsent--;
    if (entry.gone || entry.owner !== this.#session || !this.#session.connected) return;
    (this.#resend ??= new Fifo()).push(entry);
    this.#session.pump();
  }

  #assign(entry: Entry, sendAs: Guarantee): void {
    (this.#outgoing ??= new DeliveryTable()).add(entry);
    entry.state = 'sent';
    entry.sendAs = sendAs;
    entry.owner = this.#session;
    entry.counted = true;
    this.unsettled++;
  }

  /** Returns false when the peer does not take packets as large as this one: the message is dropped. */
  #transfer(entry: Entry, message: Message, retained: boolean, ids: readonly number[] | undefined): boolean {
    const consumer = this.#session.consumer!;
    const { deliveryId, sendAs, redelivered, position, deliveryCount } = entry;
    if (consumer.transfer(deliveryId, sendAs as 1 | 2, message, retained, redelivered, ids, position, deliveryCount)) {
      entry.sent = true;
      if (message.attributes !== undefined) this.#context.replies.give(this.#session.space, this.#session.principal, message, redelivered);
      return true;
    }
    this.#finish(entry);
    entry.queue.leave(entry, 'tooLarge');
    return false;
  }

  /** The delivery id is free again. */
  #finish(entry: Entry): void {
    this.#forget(entry);
    competingOf(entry.queue)?.finished(entry);
  }

  #forget(entry: Entry): void {
    this.#outgoing!.delete(entry);
    if (!entry.sent && this.waiting) this.#resend!.removeWhere((each) => each === entry);
    if (entry.counted) this.unsettled--;
    entry.counted = false;
  }

  /** Sends what waits to be sent again, as far as the connection can take it. */
  sendAgain(): void {
    this.isReading = false;
    const resend = this.#resend;
    if (resend === undefined) return;
    for (let entry = resend.at(0); entry !== undefined; entry = resend.at(0)) {
      if (!entry.gone && entry.owner === this.#session && !this.#isLocked(entry)) {
        if (entry.counted ? this.#session.consumer!.congested : !this.#session.hasCredit()) return;
        if (!this.#sendOnce(entry)) return;
      }
      // One that was not sent has been taken out already.
      if (resend.at(0) === entry) resend.shift();
    }
  }

  /** Returns false when its message must be read first. */
  #sendOnce(entry: Entry): boolean {
    const session = this.#session;
    if (entry.state === 'received') {
      this.#count(entry);
      session.consumer!.releaseDelivery(entry.deliveryId);
      return true;
    }
    const stored = entry.stored!;
    if (!entry.redelivered && stored.expiresAtMs > 0 && stored.expiresAtMs <= this.#context.clock.wallMs()) {
      // Its time was over before its record was durable: it was never sent, and must not be now [MQTT-3.3.2-5].
      this.#finish(entry);
      entry.queue.leave(entry, 'expired');
      return true;
    }
    const message = entry.queue.shard.load(stored, session.inbox);
    if (message === undefined) {
      this.isReading = true;
      return false;
    }
    if (session.rights.isRevoked(entry, message)) {
      this.#revoke(entry);
      return true;
    }
    this.#count(entry);
    const member = competingOf(entry.queue)?.memberOf(session);
    const retained = member === undefined ? entry.retained : entry.retained && member.retainAsPublished;
    this.#transfer(entry, message, retained, member?.subscriptionIds ?? entry.subscriptionIds);
    entry.redelivered = true;
    return true;
  }

  /** It is not sent again: its receiver may not have it any more. */
  #revoke(entry: Entry): void {
    const consumers = competingOf(entry.queue);
    if (entry.sendAs === 2 && entry.redelivered) {
      // The peer may have it already, and would take the next message with this id for a repetition: it is told to forget the id,
      // which it does whether it knows it or not [MQTT-4.3.3-2].
      this.#count(entry);
      this.#peerReceived(entry, 'revoked');
    } else if (consumers !== undefined) {
      this.#forget(entry);
      consumers.returned([entry]);
      consumers.pump();
    } else {
      this.#finish(entry);
      entry.queue.leave(entry, 'revoked');
    }
  }

  #count(entry: Entry): void {
    if (entry.counted) return;
    entry.counted = true;
    this.unsettled++;
  }

  /** A delivery that the peer may settle. */
  outstanding(deliveryId: number): Entry | undefined {
    return this.#outgoing?.get(deliveryId);
  }

  /** A transaction settles it when it commits. */
  #isLocked(entry: Entry): boolean {
    const { locked } = this.#context.transactions;
    return locked.size > 0 && locked.has(entry);
  }

  /** A transaction has let go of it. Should the connection have come in between, it has not been sent on it. */
  sendIfMissed(entry: Entry): void {
    if (!this.#session.connected || entry.counted || this.#outgoing?.get(entry.deliveryId) !== entry) return;
    const resend = (this.#resend ??= new Fifo());
    if (!resend.toArray().includes(entry)) resend.push(entry);
  }

  /** What the peer says of a delivery. Returns the queue of its entry; undefined when there is no such delivery. */
  settle(deliveryId: number, settlement: Settlement, detail: SettlementDetail | undefined): Queue | undefined {
    const entry = this.#outgoing?.get(deliveryId);
    if (entry === undefined || this.#isLocked(entry)) return undefined;
    const { queue, state, sendAs } = entry;
    if (settlement === 'received') {
      if (sendAs !== 2) return undefined;
      this.#peerReceived(entry);
    } else if (settlement !== 'accepted') {
      if (state !== 'sent') return undefined;
      this.#notTaken(entry, settlement, detail);
    } else if (sendAs === 1) {
      this.#finish(entry);
      queue.leave(entry, 'delivered');
    } else {
      if (state !== 'received') return undefined;
      this.#finish(entry);
      queue.forget(entry);
    }
    return queue;
  }

  #notTaken(entry: Entry, settlement: 'rejected' | 'released' | 'modified', detail: SettlementDetail | undefined): void {
    const { queue } = entry;
    if (entry.stored === undefined) {
      // There was no room to keep it.
      this.#finish(entry);
      queue.leave(entry, settlement === 'rejected' ? 'refusedByConsumer' : 'queueFull');
      return;
    }
    if (settlement === 'rejected') {
      this.#finish(entry);
      queue.bury(entry, causeOf(detail), 'refusedByConsumer');
      return;
    }
    const { deliveryFailed = false, undeliverableHere = false, annotations = nothing } = settlement === 'modified' ? (detail ?? {}) : {};
    const consumers = competingOf(queue);
    const isDead = undeliverableHere && consumers?.bar(entry, this.#session) !== true;
    // Its id is free from now on, whatever has to be done before others can have it.
    this.#forget(entry);
    const then = (): void => givenBack(entry, isDead, deliveryFailed);
    if (annotations.length === 0) return then();
    consumers?.letGo(entry);
    annotate(entry, annotations, then);
  }

  /**
   * The release lets the peer forget the id: only when we are sure to remember that it has the message, and in the order in
   * which it said so [MQTT-4.6.0-4].
   */
  #peerReceived(entry: Entry, how: 'delivered' | 'revoked' = 'delivered'): void {
    if (entry.state === 'sent') entry.queue.received(entry, how);
    const shard = entry.queue.shard;
    const isDurable = entry.row <= shard.durableRow;
    // Whoever is about to attach gets it with the rest of what was under way: at once, or when it is durable.
    if (!this.#session.connected) {
      if (!isDurable) shard.after(entry.row, () => this.#release());
      return;
    }
    if (isDurable && (this.#releases?.length ?? 0) === 0) {
      this.#session.consumer!.releaseDelivery(entry.deliveryId);
      return;
    }
    (this.#releases ??= new Fifo()).push(entry);
    if (!isDurable) shard.after(entry.row, () => this.#release());
  }

  #release(): void {
    const releases = this.#releases;
    // Whoever is about to attach gets them with the rest of what was under way.
    if (releases === undefined || !this.#session.connected) return;
    for (let entry = releases.at(0); entry !== undefined; entry = releases.at(0)) {
      if (!entry.gone && entry.owner === this.#session) {
        if (entry.row > entry.queue.shard.durableRow) return;
        this.#session.consumer!.releaseDelivery(entry.deliveryId);
      }
      releases.shift();
    }
  }

  /** A new connection: what is unsettled is sent again, in its order. */
  connectionCame(): void {
    this.unsettled = 0;
    this.#resend = this.#releases = undefined;
    for (const entry of this.#entries()) {
      // A link that was detached is back, and for this message there was no room in memory (sendUnkept).
      if (entry.stored === undefined && entry.state !== 'received') {
        this.#finish(entry);
        entry.queue.leave(entry, 'sessionEnded');
        continue;
      }
      entry.counted = entry.sent = false;
      if (this.#isLocked(entry)) continue;
      if (entry.row > entry.queue.shard.durableRow) {
        // One whose record is not durable yet has never been sent; it will be then. So will a release.
        if (entry.state === 'received') (this.#releases ??= new Fifo()).push(entry);
        continue;
      }
      // One with a record was first sent by #sendOnce, if at all: the connection may have been lost before [MQTT-3.3.1-3].
      if (entry.sendAs !== 2 || entry.row === 0) entry.redelivered = true;
      (this.#resend ??= new Fifo()).push(entry);
    }
  }

  /** The connection is lost: at-least-once entries of shared queues go to other members at once. */
  connectionWent(): void {
    this.#resend = this.#releases = undefined;
    this.#giveBack((entry) => entry.sendAs === 1, true);
    this.#countFailed();
  }

  /**
   * Whether it counts when the connection is lost before a delivery is settled. Of a link's it does (AMQP 1.0 part 3 §3.4.5). Other
   * peers lose theirs because their radio does: that says nothing about the message.
   */
  get #counts(): boolean {
    return this.#session.isPart;
  }

  /** What stays with the session: to deliver it has failed. */
  #countFailed(): void {
    const counted = new Map<Queue, Entry[]>();
    for (const entry of this.#entries()) {
      const { queue } = entry;
      const isFailed = this.#counts && entry.sent && entry.state === 'sent';
      entry.sent = false;
      if (!isFailed) continue;
      entry.deliveryCount++;
      const entries = counted.get(queue);
      if (entries === undefined) counted.set(queue, [entry]);
      else entries.push(entry);
    }
    for (const [queue, entries] of counted) {
      queue.recordCounts(entries.filter(({ row }) => row > 0));
      for (const entry of entries) {
        // Of an exactly-once message it is not known whether the peer has it: it will say so when it comes back.
        if (entry.sendAs === 2 || !queue.isSpent(entry) || entry.stored === undefined || this.#isLocked(entry)) continue;
        this.#finish(entry);
        queue.burySpent(entry);
      }
    }
  }

  /** Gives entries of shared and named queues back to be delivered to other members. */
  #giveBack(test: (entry: Entry) => boolean, failed: boolean): void {
    const returned = new Map<CompetingConsumers, Entry[]>();
    for (const entry of this.#entries()) {
      const consumers = competingOf(entry.queue);
      if (consumers === undefined || !test(entry)) continue;
      this.#forget(entry);
      if (this.#context.transactions.castAdrift(entry)) continue;
      const entries = returned.get(consumers);
      if (entries === undefined) returned.set(consumers, [entry]);
      else entries.push(entry);
    }
    for (const [consumers, entries] of returned) {
      consumers.returned(entries, failed && this.#counts);
      consumers.pump();
    }
  }

  /**
   * The session is over. Exactly-once entries of shared queues must not go to another session, if they were sent [MQTT-4.8.2-5].
   * Those of a part do: what a link has not settled when it is closed is there for others.
   */
  abandon(): void {
    const { isPart } = this.#session;
    this.#giveBack(({ sendAs, state, row, redelivered }) => {
      return sendAs === 2 && state === 'sent' && (isPart || (row > 0 && !redelivered));
    }, false);
    for (const entry of this.#entries()) {
      if (competingOf(entry.queue) !== undefined && this.#context.transactions.castAdrift(entry)) {
        this.#forget(entry);
        continue;
      }
      this.#finish(entry);
      if (entry.state === 'received') entry.queue.forget(entry);
      else entry.queue.leave(entry, 'sessionEnded');
    }
  }

  /** Takes over a delivery found in the journal. */
  recover(entry: Entry): void {
    (this.#outgoing ??= new DeliveryTable()).recover(entry);
    entry.owner = this.#session;
    entry.redelivered = true;
  }
}

const nothing: readonly Property[] = [];
const undeliverable: CauseOfDeath = { reason: 'undeliverable' };

function causeOf(detail: SettlementDetail | undefined): CauseOfDeath {
  const reason = detail?.reason;
  return reason === undefined ? { reason: 'rejected' } : { reason: reason.condition, description: reason.description };
}

/** For others, or `isDead`: for nobody. */
function givenBack(entry: Entry, isDead: boolean, failed: boolean): void {
  const { queue } = entry;
  const consumers = competingOf(queue);
  if (isDead || queue.removed) {
    consumers?.finished(entry);
    if (failed) entry.deliveryCount++;
    if (queue.removed) queue.leave(entry, 'sessionEnded');
    else queue.bury(entry, undeliverable, 'undeliverable');
  } else if (consumers === undefined) {
    queue.giveBack([entry], failed);
  } else {
    consumers.returned([entry], failed);
  }
  queue.holder?.pump();
}

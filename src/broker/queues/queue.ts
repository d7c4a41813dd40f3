// A queue: an ordered buffer with limits, a policy for when it is full, and books. It does not know who consumes it: its
// holder (a session for its inbox, CompetingConsumers for shared and named queues) takes entries and gives them back.
//
// An entry waits (`ready`), is with a consumer (the holder knows it), or is set aside (`leaving`) until it has a new place.

import type { Guarantee, Message } from '../../message/message.ts';
import { Entry } from './entry.ts';
import { Ledger } from './ledger.ts';
import type { DropReason } from './ledger.ts';
import { plainRules } from '../limits.ts';
import type { QueueLimits, QueueRules } from '../limits.ts';
import type { QueueCursor } from './queue-cursor.ts';
import { ReadyList } from './ready-list.ts';
import { RecordKind } from '../journal/records.ts';
import type { CheckpointedEntry } from '../journal/records.ts';
import type { Shard } from '../journal/shard.ts';
import { KeptOnce } from '../journal/stored.ts';
import type { Usage } from '../quotas/usage.ts';

export { Entry };
export type { EntryOwner } from './entry.ts';

/** `delayed`: of a tenant, for messages whose time has not come. */
export type QueueKind = 'inbox' | 'shared' | 'named' | 'delayed';

/** How an entry leaves its queue. */
export type Departure = 'delivered' | 'expired' | DropReason;

/** Where dead messages go; see DeadLetters. */
export interface Graves {
  /** The entry waits no more, and nobody has it. `otherwise`: how it leaves when there is no place for dead messages. */
  bury(entry: Entry, death: CauseOfDeath, otherwise: Departure): void;
}

export type CauseOfDeath = { readonly reason: string; readonly description?: string | undefined };

export interface QueueHolder {
  /** Something may be deliverable now. */
  pump(): void;
  /** Entries taken and not settled. */
  taken(): Iterable<Entry>;
  /** An entry waits whose message has terms of its own; see DeliveryTerms. */
  arrived?(entry: Entry): void;
}

export class Queue {
  /** Unique within its shard, never used again. */
  readonly id: number;
  readonly kind: QueueKind;
  readonly tenant: string;
  /** Client id, `group/filter`, or the queue's name. */
  readonly name: string;
  readonly shard: Shard;
  /** Its entries are journaled. */
  durable: boolean;
  limits: QueueLimits;
  readonly ledger = new Ledger();
  readonly ready = new ReadyList();
  /** How what waits is ordered, and what becomes of what cannot be delivered. Changed by `ruleBy`. */
  rules: QueueRules = plainRules;
  /** Takes what has died here; undefined: it is dropped. */
  graves: Graves | undefined = undefined;
  /** Those who look at what waits from places of their own. */
  cursors: Set<QueueCursor> | undefined = undefined;
  /** Waiting entries that belong to a group. */
  grouped = 0;
  /** Entries that were stored anew in the dead-letter queue. */
  deadLettered = 0;
  holder: QueueHolder | undefined = undefined;
  /** The books of quotas that what waits here counts in. Not to be set while something does, but by `countIn`. */
  usage: Usage | undefined = undefined;
  nextPosition = 1;
  /** What its messages count for; entries that are only a delivery id count nothing. */
  bytes = 0;
  /** Waiting entries whose message can expire. */
  expiring = 0;
  /** None of them does before it. */
  #nextExpiryMs = Infinity;
  /** Neither waiting nor with a consumer: they are on their way to another place. */
  leaving: Set<Entry> | undefined = undefined;
  /** Nothing may come in any more: its session is over, or nobody shares it. */
  removed = false;
  /** How long a shared queue outlives its last member; Infinity: until that one unsubscribes. */
  keepMs = 0;
  /** Wall-clock time at which a shared queue lost its last member; 0: it has one, or never had. */
  forsakenAtMs = 0;
  /** It is being removed: one record says so for all its entries. */
  closing = false;
  /** The row for which this queue is already on the list of queues to pump. */
  listedInRow = 0;
  readonly #total: Ledger;

  constructor(
    id: number,
    kind: QueueKind,
    tenant: string,
    name: string,
    shard: Shard,
    durable: boolean,
    limits: QueueLimits,
    total: Ledger,
  ) {
    this.id = id;
    this.kind = kind;
    this.tenant = tenant;
    this.name = name;
    this.shard = shard;
    this.durable = durable;
    this.limits = limits;
    this.#total = total;
  }

  /** What would become of one more message of this size now: it fits, it must be dropped, or its publisher must be refused. */
  admission(bytes: number, nowMs: number): 'take' | 'drop' | 'refuse' {
    if (this.fits(bytes)) return 'take';
    this.dropExpired(nowMs);
    if (this.fits(bytes)) return 'take';
    const { maxMessages, maxBytes, onFull } = this.limits;
    if (onFull === 'reject-new') return 'refuse';
    // What could not even enter if nothing waited must not cost anything that does.
    const underWay = this.ledger.queued - this.ready.length;
    if (onFull === 'drop-new' || bytes > maxBytes || underWay >= maxMessages) return 'drop';
    while (!this.fits(bytes) && this.ready.length > 0) this.leave(this.takeFirst()!, 'queueFull');
    return this.fits(bytes) ? 'take' : 'drop';
  }

  /** There is room for one more message of this size. */
  fits(bytes: number): boolean {
    const { usage } = this;
    if (usage?.queueBounded && !usage.admitsQueued(1, bytes)) return false;
    return this.ledger.queued < this.limits.maxMessages && this.bytes + bytes <= this.limits.maxBytes;
  }

  /** What waits here counts in the books of a principal of its own from now on, or not any more. Its tenant's stay as they are. */
  countIn(usage: Usage): void {
    const before = this.usage;
    if (before?.parent !== undefined) before.queuedOwn(-this.ledger.queued, -this.bytes);
    if (usage.parent !== undefined) usage.queuedOwn(this.ledger.queued, this.bytes);
    this.usage = usage;
  }

  /** A new entry at the end; the caller stores its message and, for a durable queue, journals it. */
  append(guarantee: Guarantee, retained: boolean, subscriptionIds: readonly number[] | undefined): Entry {
    const entry = new Entry(this, this.nextPosition++, guarantee, retained, subscriptionIds, undefined);
    this.ledger.accepted++;
    this.#total.accepted++;
    return entry;
  }

  /** Makes the entry wait its turn. Its message must have been set. */
  enqueue(entry: Entry): void {
    this.hold(entry);
    this.await(entry);
  }

  /** Journals a waiting entry that was not. */
  makeDurable(entry: Entry): void {
    const before = entry.stored!;
    this.shard.store(before.message!.kept(), undefined, 0, 0, [entry]);
    this.shard.release(before);
  }

  /** Lets an entry that is counted already wait at the end of its level. */
  await(entry: Entry): void {
    this.ready.push(entry);
    this.#waits(entry);
  }

  #waits(entry: Entry): void {
    const { expiresAtMs, terms } = entry.stored!;
    if (terms !== undefined) {
      if (terms.groupId !== undefined) this.grouped++;
      this.holder?.arrived?.(entry);
    }
    if (expiresAtMs === 0) return;
    this.expiring++;
    if (expiresAtMs < this.#nextExpiryMs) this.#nextExpiryMs = expiresAtMs;
  }

  /** Counts an entry that is in the queue, waiting or not. */
  hold(entry: Entry): void {
    this.ledger.queued++;
    this.#total.queued++;
    const bytes = entry.stored?.bytes ?? 0;
    this.bytes += bytes;
    this.usage?.queued(1, bytes);
  }

  takeFirst(): Entry | undefined {
    const entry = this.ready.first;
    if (entry !== undefined) this.takeOut(entry);
    return entry;
  }

  /** Takes a waiting entry out of its place. */
  takeOut(entry: Entry): void {
    if (entry.marked) {
      entry.marked = false;
      for (const cursor of this.cursors ?? []) cursor.leave(entry);
    }
    this.ready.remove(entry);
    const { expiresAtMs, terms } = entry.stored!;
    if (expiresAtMs > 0) this.expiring--;
    if (terms !== undefined && terms.groupId !== undefined) this.grouped--;
  }

  /**
   * Puts taken entries back to their places. Those that may have been sent will be redelivered. `failed`: delivering them has, and
   * that counts; those for which it was once too often die.
   */
  giveBack(entries: readonly Entry[], failed = false): void {
    const changed: Entry[] = [];
    for (const entry of entries) {
      entry.state = 'ready';
      entry.owner = undefined;
      entry.deliveryId = 0;
      entry.counted = false;
      entry.sent = false;
      if (failed) entry.deliveryCount++;
      if (entry.sendAs === 2 && entry.row > 0) {
        // Only a record that says so can take back the one by which its session alone may have it.
        entry.row = this.shard.writeEntries([Queue.checkpointed(entry)!]);
        this.shard.pumpWhenDurable(this);
        if (!failed) continue;
      } else if (failed && entry.row > 0) {
        changed.push(entry);
      }
      entry.redelivered = true;
    }
    this.recordCounts(changed);
    let last: Entry | undefined;
    for (const entry of entries.toSorted(inOrder)) {
      if (this.isSpent(entry)) {
        this.burySpent(entry);
      } else {
        this.wait(entry, last);
        last = entry;
      }
    }
  }

  /** Journals how often delivering journaled entries has failed. */
  recordCounts(entries: readonly Entry[]): void {
    // They may be delivered again before this is durable: a crash forgets one attempt at most.
    for (let i = 0; i < entries.length; i += entriesPerRecord) {
      this.shard.writeEntries(entries.slice(i, i + entriesPerRecord).map((entry) => Queue.checkpointed(entry)!));
    }
  }

  /** Delivering it has failed as often as it may. */
  isSpent({ deliveryCount }: Entry): boolean {
    return deliveryCount > 0 && this.rules.maxDeliveries > 0 && deliveryCount >= this.rules.maxDeliveries;
  }

  /** Lets an entry wait again, at its place; `hint` waits before it. */
  wait(entry: Entry, hint?: Entry): void {
    this.ready.insert(entry, hint);
    this.#waits(entry);
    if (this.cursors !== undefined) for (const cursor of this.cursors) cursor.returned(entry);
  }

  /** The entry, which waits no more and nobody has, cannot be delivered: to the dead-letter queue, or dropped for the reason given. */
  bury(entry: Entry, death: CauseOfDeath, otherwise: Departure): void {
    if (this.graves === undefined || this.rules.deadLetterQueue === '') this.leave(entry, otherwise);
    else this.graves.bury(entry, death, otherwise);
  }

  /** It died of having failed too often; see isSpent. */
  burySpent(entry: Entry): void {
    this.bury(entry, deliveryLimit, 'deliveryLimit');
  }

  /** Its rules have changed. */
  ruleBy(rules: QueueRules): void {
    const reorder = rules.priorities !== this.rules.priorities && this.ready.length > 0;
    const entries = reorder ? this.ready.toArray() : [];
    for (const entry of entries) this.takeOut(entry);
    this.rules = rules;
    for (const entry of entries.toSorted((a, b) => a.position - b.position)) this.await(entry);
    if (reorder) for (const cursor of this.cursors ?? []) cursor.reset();
  }

  /** The entry is done with, for the reason given. */
  leave(entry: Entry, how: Departure): void {
    entry.gone = true;
    this.#count(how);
    if (entry.row > 0 && !this.closing) this.shard.writeSettle(this.id, entry.position);
    this.#letGo(entry);
  }

  /**
   * Puts a waiting entry, which the caller has taken out, behind what waits in another journaled queue of the same shard. One row
   * says both, so that it is in one of them at every moment.
   */
  moveTo(target: Queue, entry: Entry): void {
    const { shard } = this;
    const stored = entry.stored!;
    const moved = target.append(entry.guarantee, entry.retained, undefined);
    moved.stored = stored;
    moved.redelivered = entry.redelivered;
    shard.acquire(stored);
    shard.touch();
    moved.row = shard.row;
    shard.writeMove(Queue.checkpointed(moved)!, this.id, entry.position);
    target.enqueue(moved);
    shard.pumpWhenDurable(target);
    this.movedInRow(entry);
  }

  /**
   * The peer has received an exactly-once entry: the message is delivered, its id stays until the peer has forgotten it. Or the
   * peer may not have it any more: then it is to forget the id too, for it may have received it.
   */
  received(entry: Entry, how: 'delivered' | 'revoked' = 'delivered'): void {
    this.#count(how);
    entry.state = 'received';
    if (entry.row > 0) entry.row = this.shard.writeDelivery(RecordKind.received, this.id, entry);
    this.#letGo(entry);
  }

  /** The peer has forgotten the id of an entry it had received. */
  forget(entry: Entry): void {
    entry.gone = true;
    if (entry.row > 0 && !this.closing) this.shard.writeSettle(this.id, entry.position);
  }

  /** A message that was offered and not taken, or passed through without being stored. */
  passThrough(how: 'delivered' | DropReason): void {
    this.ledger.accepted++;
    this.#total.accepted++;
    this.ledger[how]++;
    this.#total[how]++;
  }

  /** An entry found in the journal at start. */
  recover(entry: Entry): void {
    if (entry.stored === undefined) return;
    this.ledger.recovered++;
    this.#total.recovered++;
    this.hold(entry);
  }

  dropExpired(nowMs: number): void {
    if (nowMs < this.#nextExpiryMs) return;
    this.#nextExpiryMs = Infinity;
    if (this.expiring === 0) return;
    const expired: Entry[] = [];
    for (let entry = this.ready.first; entry !== undefined; entry = entry.after) {
      const at = entry.stored!.expiresAtMs;
      if (at === 0) continue;
      if (at <= nowMs) expired.push(entry);
      else if (at < this.#nextExpiryMs) this.#nextExpiryMs = at;
    }
    for (const entry of expired) {
      this.takeOut(entry);
      this.expire(entry);
    }
  }

  /** The time of an entry that waits no more is over. */
  expire(entry: Entry): void {
    if (this.rules.deadLetterExpired) this.bury(entry, tooLate, 'expired');
    else this.leave(entry, 'expired');
  }

  /** Sets an entry that waits no more aside: nobody gets it, and a checkpoint still knows it. */
  setAside(entry: Entry): void {
    (this.leaving ??= new Set()).add(entry);
  }

  /** What was set aside goes on. */
  fetch(entry: Entry): void {
    this.leaving!.delete(entry);
    if (this.leaving!.size === 0) this.leaving = undefined;
  }

  /** What was set aside is durable elsewhere. */
  movedAway(entry: Entry): void {
    // It went with the queue.
    if (entry.gone) return;
    this.fetch(entry);
    this.leave(entry, 'delivered');
  }

  /** Its new place is told in the row that is being written, and the caller has written there that it has left. */
  movedInRow(entry: Entry): void {
    entry.row = 0;
    this.leave(entry, 'delivered');
  }

  /** The entry, which nobody has, is from now on another message, at its place. */
  rewrite(entry: Entry, message: Message): void {
    const before = entry.stored!;
    if (entry.row > 0) {
      this.shard.store(message, undefined, 0, 0, [entry]);
      this.shard.pumpWhenDurable(this);
    } else {
      entry.stored = new KeptOnce(message).stored();
      this.shard.acquire(entry.stored);
    }
    const grown = entry.stored!.bytes - before.bytes;
    this.bytes += grown;
    this.usage?.queued(0, grown);
    this.shard.release(before);
  }

  /** Empties the queue of what waits, and when it is removed of what is set aside, too. Returns how many. */
  purge(reason: DropReason): number {
    let count = 0;
    for (const entry of this.removed ? [...(this.leaving ?? [])] : []) {
      this.fetch(entry);
      this.leave(entry, reason);
      count++;
    }
    for (let entry = this.takeFirst(); entry !== undefined; entry = this.takeFirst()) {
      this.leave(entry, reason);
      count++;
    }
    return count;
  }

  /** Books that the queue takes with it when it goes: nothing may be left uncounted. */
  #count(how: Departure): void {
    this.ledger[how]++;
    this.#total[how]++;
    this.ledger.queued--;
    this.#total.queued--;
    this.usage?.queued(-1, 0);
  }

  #letGo(entry: Entry): void {
    const stored = entry.stored;
    if (stored === undefined) return;
    this.bytes -= stored.bytes;
    this.usage?.queued(0, -stored.bytes);
    entry.stored = undefined;
    this.shard.release(stored);
  }

  /** As a checkpoint writes it; undefined when it is not journaled. */
  static checkpointed(entry: Entry): CheckpointedEntry | undefined {
    if (entry.gone || entry.row === 0) return undefined;
    const stored = entry.stored;
    const keepsId = entry.sendAs === 2 && entry.state !== 'ready';
    return {
      queueId: entry.queue.id,
      position: entry.position,
      guarantee: entry.guarantee,
      retained: entry.retained,
      subscriptionIds: entry.subscriptionIds,
      state: keepsId ? entry.state : 'ready',
      session: keepsId ? entry.owner!.key : 0,
      deliveryId: keepsId ? entry.deliveryId : 0,
      returns: keepsId && entry.owner!.isPart,
      deliveryCount: entry.deliveryCount,
      stored: stored?.reference(),
    };
  }
}

const inOrder = (a: Entry, b: Entry): number => b.level - a.level || a.position - b.position;
const entriesPerRecord = 100;
const deliveryLimit: CauseOfDeath = { reason: 'delivery-limit' };
const tooLate: CauseOfDeath = { reason: 'expired' };

/** As operators and dead messages know it: `$queue/jobs`, `$share/group/filter`, `inbox/<clientId>`. */
export function nameOf({ kind, name }: Queue): string {
  return (kind === 'inbox' ? 'inbox/' : kind === 'shared' ? '$share/' : '$queue/') + name;
}

// A queue: an ordered buffer with limits, a policy for when it is full, and books. It does not know who consumes it: its
// holder (a session for its inbox, CompetingConsumers for shared and named queues) takes entries and gives them back.

import type { Guarantee } from '../message/message.ts';
import { Fifo } from './fifo.ts';
import { Ledger } from './ledger.ts';
import type { DropReason } from './ledger.ts';
import type { QueueLimits } from './limits.ts';
import { RecordKind } from './records.ts';
import type { CheckpointedEntry, EntryFields, EntryState } from './records.ts';
import type { Shard } from './shard.ts';
import type { Stored } from './stored.ts';
import type { Usage } from './usage.ts';

/** `delayed`: of a tenant, for messages whose time has not come. */
export type QueueKind = 'inbox' | 'shared' | 'named' | 'delayed';

/** How an entry leaves its queue. */
export type Departure = 'delivered' | 'expired' | DropReason;

/** Who has a delivery under way. */
export interface EntryOwner {
  /** Names the session across shards; see Shard.sessionKey. */
  readonly key: number;
}

export class Entry implements EntryFields {
  readonly queue: Queue;
  readonly position: number;
  readonly guarantee: Guarantee;
  /** Delivered with the retain flag. */
  readonly retained: boolean;
  readonly subscriptionIds: readonly number[] | undefined;
  /** The message; undefined once the peer has received an exactly-once one. */
  stored: Stored | undefined;
  /** The last journal row that says something about this entry: it may go out when that row is durable. 0: not journaled. */
  row = 0;
  state: EntryState = 'ready';
  /** The guarantee it was sent with: a consumer may have asked for less than the message's. */
  sendAs: Guarantee;
  /** It counts against the receive maximum of the connection its owner has now. */
  counted = false;
  deliveryId = 0;
  /** Orders deliveries of one peer whose ids have begun again in between; see DeliveryTable. */
  deliveryLap = 0;
  owner: EntryOwner | undefined = undefined;
  redelivered = false;
  /** How often delivering it has failed. */
  deliveryCount = 0;
  /** It has left its queue. */
  gone = false;

  constructor(
    queue: Queue,
    position: number,
    guarantee: Guarantee,
    retained: boolean,
    subscriptionIds: readonly number[] | undefined,
    stored: Stored | undefined,
  ) {
    this.queue = queue;
    this.position = position;
    this.guarantee = guarantee;
    this.sendAs = guarantee;
    this.retained = retained;
    this.subscriptionIds = subscriptionIds;
    this.stored = stored;
  }

  get queueId(): number {
    return this.queue.id;
  }
}

export interface QueueHolder {
  /** Something may be deliverable now. */
  pump(): void;
  /** Entries taken and not settled. */
  taken(): Iterable<Entry>;
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
  readonly ready = new Fifo<Entry>();
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
  /** Set aside by a move. */
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

  /** Lets an entry that is counted already wait at the end. */
  await(entry: Entry): void {
    this.ready.push(entry);
    this.#mayExpire(entry);
  }

  #mayExpire(entry: Entry): void {
    const at = entry.stored!.expiresAtMs;
    if (at === 0) return;
    this.expiring++;
    if (at < this.#nextExpiryMs) this.#nextExpiryMs = at;
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
    const entry = this.ready.shift();
    if (entry !== undefined && entry.stored!.expiresAtMs > 0) this.expiring--;
    return entry;
  }

  /** Puts taken entries back to their places. Those that may have been sent will be redelivered. */
  giveBack(entries: readonly Entry[]): void {
    for (const entry of entries) {
      entry.state = 'ready';
      entry.owner = undefined;
      entry.deliveryId = 0;
      entry.counted = false;
      this.#mayExpire(entry);
      // Only a record that says so can take back the one by which its session alone may have it.
      if (entry.sendAs === 2 && entry.row > 0) {
        entry.row = this.shard.writeEntries([Queue.checkpointed(entry)!]);
        this.shard.pumpWhenDurable(this);
      } else {
        entry.redelivered = true;
      }
    }
    this.ready.insertSorted(
      entries.toSorted((a, b) => a.position - b.position),
      (a, b) => a.position - b.position,
    );
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
    // It is told already that it has left.
    entry.row = 0;
    this.leave(entry, 'delivered');
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
    this.ready.removeWhere((entry) => {
      const at = entry.stored!.expiresAtMs;
      if (at === 0) return false;
      if (at <= nowMs) {
        expired.push(entry);
        return true;
      }
      if (at < this.#nextExpiryMs) this.#nextExpiryMs = at;
      return false;
    });
    this.expiring -= expired.length;
    for (const entry of expired) this.leave(entry, 'expired');
  }

  /** Sets the first entry aside for a move to another shard: nobody gets it any more, and a checkpoint still knows it. */
  setAside(): Entry {
    const entry = this.takeFirst()!;
    (this.leaving ??= new Set()).add(entry);
    return entry;
  }

  /** What was set aside is durable elsewhere. */
  movedAway(entry: Entry): void {
    this.leaving!.delete(entry);
    if (this.leaving!.size === 0) this.leaving = undefined;
    this.leave(entry, 'delivered');
  }

  /** Empties the queue of what waits. Returns how many. */
  purge(reason: DropReason): number {
    let count = 0;
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
      deliveryCount: entry.deliveryCount,
      stored: stored?.reference(),
    };
  }
}

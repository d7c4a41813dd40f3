// From a journal back to the state it tells of. Deterministic: the same rows give the same state.
//
// Rows are replayed from the last checkpoint on, so a record may speak of an object that was there before and that the
// checkpoint describes only further on: it is passed over, and the description that comes later includes its effect.

import type { ClientSession } from '../sessions/client-session.ts';
import { competingOf } from '../queues/competing-consumers.ts';
import { Entry } from '../queues/queue.ts';
import type { Queue } from '../queues/queue.ts';
import {
  RecordKind,
  readDelivery,
  readEntries,
  readMessage,
  readMovedFrom,
  readNumber,
  readOrigins,
  readQueue,
  readRetained,
  readSession,
  readSettle,
  readSubscribe,
  readUnsubscribe,
} from './records.ts';
import type {
  CheckpointedEntry,
  DeliveryRecord,
  EntryFields,
  EntryState,
  MovedFrom,
  OriginId,
  QueueRecord,
  SessionRecord,
  StoredReference,
  SubscriptionRecord,
} from './records.ts';
import type { Shard } from './shard.ts';
import { Stored, StoredRow, referenceTo } from './stored.ts';
import { keyOf, readTransaction, readTransactionId } from '../transactions/transaction-record.ts';
import type { TransactionRecord } from '../transactions/transaction-record.ts';
import { RowError, forEachRecord } from '../../store/row.ts';

type RecoveredEntry = {
  readonly fields: EntryFields;
  state: EntryState;
  session: number;
  deliveryId: number;
  returns: boolean;
  stored: StoredReference | undefined;
};

export type RecoveredQueue = {
  readonly id: number;
  queue: QueueRecord | undefined;
  session: SessionRecord | undefined;
  readonly subscriptions: Map<string, SubscriptionRecord>;
  readonly entries: Map<number, RecoveredEntry>;
  /** Of a queue of delayed messages: the shards that hold some of them already, by position. */
  readonly moved: Map<number, readonly number[]>;
  nextPosition: number;
};

export type RecoveredRetained = { readonly stored: StoredReference; readonly owner: string };

/** What one shard's journal says. */
export class ShardRecovery {
  readonly queues = new Map<number, RecoveredQueue>();
  /** By tenant and topic. */
  readonly retained = new Map<string, Map<string, RecoveredRetained>>();
  readonly origins = new Map<number, Set<OriginId>>();
  /** Entries of other shards that stand here now. */
  readonly movedFrom: MovedFrom[] = [];
  /** Committed here, and perhaps not done everywhere; by id. */
  readonly transactions = new Map<string, TransactionRecord>();
  /** Ids of those, of all shards, that are done here. */
  readonly transactionParts = new Set<string>();
  /** Sessions that are named, here or in other shards; they need not have a record of their own. */
  readonly sessionKeys = new Set<number>();
  readonly shard: Shard;
  #nextQueueId = 1;

  constructor(shard: Shard) {
    this.shard = shard;
  }

  /** @throws RowError when the row holds what this program does not know */
  replay(row: number, bytes: Uint8Array): void {
    forEachRecord(bytes, (index, kind, start, end) => this.#apply(row, index, kind, bytes, start, end));
  }

  #apply(row: number, index: number, kind: number, bytes: Uint8Array, start: number, end: number): void {
    switch (kind) {
      case RecordKind.message:
        return this.#message(row, index, bytes, start, end);
      case RecordKind.settle: {
        const { queueId, position } = readSettle(bytes, start, end);
        this.queues.get(queueId)?.entries.delete(position);
        return;
      }
      case RecordKind.sent:
      case RecordKind.received:
        return this.#delivery(kind === RecordKind.sent ? 'sent' : 'received', readDelivery(bytes, start, end));
      case RecordKind.originReleased:
        return this.#originReleased(readOrigins(bytes, start, end));
      case RecordKind.origins: {
        const { session, ids } = readOrigins(bytes, start, end);
        for (const id of ids) this.#originsOf(session).add(id);
        return;
      }
      case RecordKind.session: {
        const session = readSession(bytes, start, end);
        const found = this.#obtain(session.queueId, undefined);
        found.session = session;
        found.nextPosition = Math.max(found.nextPosition, session.nextPosition);
        return;
      }
      case RecordKind.queue: {
        const queue = readQueue(bytes, start, end);
        const found = this.#obtain(queue.queueId, queue);
        found.queue = queue;
        found.nextPosition = Math.max(found.nextPosition, queue.nextPosition);
        return;
      }
      case RecordKind.subscribe: {
        const subscription = readSubscribe(bytes, start, end);
        this.queues.get(subscription.queueId)?.subscriptions.set(subscription.filter, subscription);
        return;
      }
      case RecordKind.unsubscribe: {
        const { queueId, filter } = readUnsubscribe(bytes, start, end);
        this.queues.get(queueId)?.subscriptions.delete(filter);
        return;
      }
      case RecordKind.removed:
        this.#removed(readNumber(bytes, start, end));
        return;
      case RecordKind.retained:
      case RecordKind.retainedCleared: {
        const { tenant, topic, stored, owner } = readRetained(kind, bytes, start, end);
        if (stored === undefined) this.retained.get(tenant)?.delete(topic);
        else this.#retainedOf(tenant).set(topic, { stored, owner });
        return;
      }
      case RecordKind.entries:
        for (const entry of readEntries(bytes, start, end)) this.#entry(entry);
        return;
      case RecordKind.counters:
        this.#nextQueueId = Math.max(this.#nextQueueId, readNumber(bytes, start, end));
        return;
      case RecordKind.transaction:
      case RecordKind.transactionDone:
      case RecordKind.transactionPart:
        return this.#transacted(kind, bytes, start, end);
      case RecordKind.movedFrom:
        this.movedFrom.push(readMovedFrom(bytes, start, end));
        return;
      default:
        throw new RowError(`unknown kind of record ${kind}; was it written by a later version?`);
    }
  }

  #transacted(kind: number, bytes: Uint8Array, start: number, end: number): void {
    if (kind === RecordKind.transaction) {
      const transaction = readTransaction(bytes, start, end);
      this.transactions.set(keyOf(transaction.id), transaction);
      return;
    }
    const key = keyOf(readTransactionId(bytes, start, end));
    if (kind === RecordKind.transactionDone) this.transactions.delete(key);
    else this.transactionParts.add(key);
  }

  #message(row: number, index: number, bytes: Uint8Array, start: number, end: number): void {
    const record = readMessage(bytes, start, end);
    const { message } = record;
    const stored = referenceTo(row, index, message);
    for (const fields of record.entries) this.#add({ fields, state: 'ready', session: 0, deliveryId: 0, returns: false, stored });
    if (record.originSession !== 0) this.#originsOf(record.originSession).add(record.originId);
    if (record.retainedIn !== undefined) this.#retainedOf(record.retainedIn).set(message.topic, { stored, owner: message.sender });
  }

  #entry({ state, session, deliveryId, returns, stored, ...fields }: CheckpointedEntry): void {
    if (session !== 0) this.sessionKeys.add(session);
    this.#add({ fields, state, session, deliveryId, returns, stored });
  }

  #add(entry: RecoveredEntry): void {
    const queue = this.queues.get(entry.fields.queueId);
    if (queue === undefined) return;
    queue.entries.set(entry.fields.position, entry);
    queue.nextPosition = Math.max(queue.nextPosition, entry.fields.position + 1);
  }

  #delivery(state: 'sent' | 'received', delivery: DeliveryRecord): void {
    const entry = this.queues.get(delivery.queueId)?.entries.get(delivery.position);
    if (entry === undefined) return;
    if (entry.stored === undefined && state === 'sent') throw new RowError('a delivery is sent again after its peer has received it');
    this.sessionKeys.add(delivery.session);
    entry.state = state;
    entry.session = delivery.session;
    entry.deliveryId = delivery.deliveryId;
    entry.returns = delivery.returns;
    if (state === 'received') entry.stored = undefined;
  }

  #originReleased({ session, ids }: { session: number; ids: readonly OriginId[] }): void {
    const origins = this.origins.get(session);
    if (origins === undefined) return;
    for (const id of ids) origins.delete(id);
    if (origins.size === 0) this.origins.delete(session);
  }

  #removed(queueId: number): void {
    this.queues.delete(queueId);
    this.#nextQueueId = Math.max(this.#nextQueueId, queueId + 1);
  }

  #obtain(id: number, queue: QueueRecord | undefined): RecoveredQueue {
    let found = this.queues.get(id);
    if (found === undefined) {
      found = { id, queue, session: undefined, subscriptions: new Map(), entries: new Map(), moved: new Map(), nextPosition: 1 };
      this.queues.set(id, found);
      this.#nextQueueId = Math.max(this.#nextQueueId, id + 1);
    }
    return found;
  }

  #originsOf(session: number): Set<OriginId> {
    let ids = this.origins.get(session);
    if (ids === undefined) this.origins.set(session, (ids = new Set()));
    return ids;
  }

  #retainedOf(tenant: string): Map<string, RecoveredRetained> {
    let topics = this.retained.get(tenant);
    if (topics === undefined) this.retained.set(tenant, (topics = new Map()));
    return topics;
  }

  /** Sets the shard's counters. Call once, after the last row. */
  finish(): void {
    this.shard.nextQueueId = this.#nextQueueId;
    for (const [session, ids] of this.origins) this.shard.origins.set(session, ids);
  }
}

/** Makes stored messages of references, one per message however many hold it. */
export class StoredMessages {
  readonly #shard: Shard;
  readonly #byRow = new Map<number, Map<number, Stored>>();

  constructor(shard: Shard) {
    this.#shard = shard;
  }

  at(reference: StoredReference): Stored {
    let messages = this.#byRow.get(reference.row);
    if (messages === undefined) this.#byRow.set(reference.row, (messages = new Map()));
    let stored = messages.get(reference.index);
    if (stored === undefined) {
      let home = this.#shard.rows.get(reference.row);
      if (home === undefined) this.#shard.rows.set(reference.row, (home = new StoredRow(reference.row, true)));
      const { index, bytes, expiresAtMs, priority, groupId, deliverAtMs } = reference;
      const terms = groupId === undefined && deliverAtMs === 0 ? undefined : { groupId, deliverAtMs };
      stored = new Stored(undefined, home, index, bytes, expiresAtMs, priority, terms);
      home.messages.push(stored);
      home.length += reference.bytes;
      messages.set(reference.index, stored);
    }
    return stored;
  }
}

/** A delivery under way of a session that is over. */
export type Orphan = { readonly entry: Entry; readonly returns: boolean };

/** Deals with deliveries of sessions that are over, perhaps with the node. */
export function settleOrphans(orphans: readonly Orphan[]): void {
  for (const { entry, returns } of orphans) {
    if (entry.stored === undefined) {
      entry.queue.forget(entry);
    } else if (returns) {
      entry.sendAs = 2;
      entry.queue.giveBack([entry]);
      entry.redelivered = true;
    } else {
      // Nobody else may get it [MQTT-4.8.2-5].
      entry.queue.leave(entry, 'sessionEnded');
    }
  }
}

/**
 * Fills a queue with its recovered entries, in their order; deliveries under way go to the sessions that have them. Those of
 * sessions that are over are added to `orphans`, to be dealt with when all queues are filled: only then is it known which
 * messages nobody wants.
 */
export function fillQueue(
  queue: Queue,
  recovered: RecoveredQueue,
  messages: StoredMessages,
  sessionOf: (key: number) => ClientSession | undefined,
  orphans: Orphan[],
): void {
  queue.nextPosition = recovered.nextPosition;
  const inOrder = [...recovered.entries.values()].toSorted((a, b) => a.fields.position - b.fields.position);
  for (const found of inOrder) {
    const { position, guarantee, retained, subscriptionIds, deliveryCount } = found.fields;
    const entry = new Entry(queue, position, guarantee, retained, subscriptionIds, undefined);
    entry.deliveryCount = deliveryCount;
    // Durable for long: any row number that is not after the last will do.
    entry.row = 1;
    if (found.stored !== undefined) {
      entry.stored = messages.at(found.stored);
      queue.shard.acquire(entry.stored);
    }
    queue.recover(entry);
    entry.state = found.state;
    const owner = found.state === 'ready' ? undefined : sessionOf(found.session);
    if (owner !== undefined) {
      entry.sendAs = 2;
      entry.deliveryId = found.deliveryId;
      owner.deliveries.recover(entry);
      competingOf(queue)?.recoverTaken(entry);
    } else if (found.state !== 'ready') {
      orphans.push({ entry, returns: found.returns });
    } else {
      entry.redelivered = true;
      queue.await(entry);
    }
  }
}

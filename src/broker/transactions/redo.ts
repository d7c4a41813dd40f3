// Transactions whose effects stand in several shards: written whole into one of them first, and done once that is durable.
//
// Each shard says in the row of what was done in it that it was done (`transactionPart`); after a crash what is missing is done
// again. What leaves a queue needs no such note: positions are never used twice, so an entry that is still there has not left.

import { JournalError } from '../../store/journal.ts';
import type { BrokerContext } from '../context.ts';
import { distribute } from '../routing/distribution.ts';
import type { CauseOfDeath, Entry } from '../queues/queue.ts';
import { RecordKind, writeDelivery } from '../journal/records.ts';
import type { ShardRecovery } from '../journal/recovery.ts';
import { currentRows, whenAllDurable } from '../journal/shard.ts';
import type { Shard } from '../journal/shard.ts';
import type { TopicSpace } from '../routing/topic-space.ts';
import type { BrokerTransaction } from './transaction.ts';
import { keyOf, redoneSettlements, writeTransaction, writeTransactionId } from './transaction-record.ts';
import type { RedoneSettlement, SettledEntry, TransactionRecord } from './transaction-record.ts';
import type { TransactionCounters } from './transactions.ts';

/** How often it is looked whether rejected messages have come to where they are buried. */
const lookMs = 1000;

export class Redo {
  readonly #context: () => BrokerContext;
  readonly #counters: TransactionCounters;
  /** Rejected entries that a crash has left in their queues. */
  readonly #rejected = new Map<string, SettledEntry[]>();
  /** Of the latest transaction: see TransactionRecord. */
  #order = 0;

  constructor(context: () => BrokerContext, counters: TransactionCounters) {
    this.#context = context;
    this.#counters = counters;
  }

  /** `happens` is called when it can be lost no more, and then `next`. */
  write(transaction: BrokerTransaction, parts: readonly Shard[], happens: (skip: readonly number[]) => void, next: () => void): void {
    const home = parts[0]!;
    const { owner, provisional, taken } = transaction;
    home.touch();
    const record: TransactionRecord = {
      id: { shard: home.index, row: home.row, index: home.writer.records },
      order: ++this.#order,
      tenant: owner.space.tenant,
      parts: parts.map(({ index }) => index),
      settled: provisional.flatMap(settledOf),
      messages: taken.map(({ message }) => message),
    };
    home.transactions.add(record);
    writeTransaction(home.writer, record);
    home.whenDurable(() => {
      this.#inOneRowEach(record, parts, happens);
      const buried = provisional.filter(({ settlement }) => settlement === 'rejected').map(({ entry }) => entry);
      this.#whenDone(record, buried);
      next();
    });
  }

  /** `work` must write into each of the shards at most what belongs to the transaction, or can stand there as well. */
  #inOneRowEach(record: TransactionRecord, parts: readonly Shard[], work: (skip: readonly number[]) => void): void {
    const skip = this.#context()
      .shards.filter((shard) => !parts.includes(shard))
      .map(({ index }) => index);
    const whole = (): void => {
      work(skip);
      for (const shard of parts) {
        shard.transactionParts.set(keyOf(record.id), record.id);
        shard.touch();
        writeTransactionId(shard.writer, RecordKind.transactionPart, record.id);
      }
    };
    parts.reduce((inner, shard) => () => shard.atomically(inner), whole)();
  }

  /** Says that it is done when everything is durable where it belongs. */
  #whenDone(record: TransactionRecord, buried: readonly Entry[]): void {
    const { shards } = this.#context();
    const parts = record.parts.map((index) => shards[index]!);
    const left = buried.filter(({ gone }) => !gone);
    if (left.length > 0) return this.#waitForRoom(record, parts, left);
    whenAllDurable(currentRows(parts), () => {
      const home = shards[record.id.shard]!;
      home.transactions.delete(record);
      home.touch();
      writeTransactionId(home.writer, RecordKind.transactionDone, record.id);
      home.whenDurable(() => {
        for (const shard of parts) shard.transactionParts.delete(keyOf(record.id));
      });
    });
  }

  /** A full dead-letter queue can take for ever. What was published is where it belongs: it must not be kept as long. */
  #waitForRoom(record: TransactionRecord, parts: readonly Shard[], left: readonly Entry[]): void {
    const { shards, timers, clock } = this.#context();
    const lookAgain = (waiting: TransactionRecord): void => {
      timers.at(clock.monotonicMs() + lookMs, () => this.#whenDone(waiting, left));
    };
    if (record.messages.length === 0) return lookAgain(record);
    whenAllDurable(currentRows(parts), () => {
      const home = shards[record.id.shard]!;
      const short = { ...record, messages: [] };
      home.transactions.delete(record);
      home.transactions.add(short);
      home.touch();
      writeTransaction(home.writer, short);
      lookAgain(short);
    });
  }

  // --- After a crash

  /** Before queues are filled: what has been settled in transactions that are committed leaves them, as far as it has not. */
  settleRecovered(recoveries: readonly ShardRecovery[]): void {
    for (const { shard, transactions } of recoveries) {
      for (const [key, record] of transactions) {
        checkShards(record, shard, recoveries.length);
        const rejected = record.settled.filter((settled) => leaveRecovered(recoveries[settled.shard], settled));
        if (rejected.length > 0) this.#rejected.set(key, rejected);
      }
    }
  }

  /** When all queues are filled: messages of transactions that are committed enter them, as far as they have not. */
  publishRecovered(recoveries: readonly ShardRecovery[], spaceOf: (tenant: string) => TopicSpace): void {
    // In the order in which they were committed: one shard may hold those of which several others hold one each.
    const records = recoveries.flatMap(({ transactions }) => [...transactions.values()]).toSorted((a, b) => a.order - b.order);
    for (const record of records) {
      const key = keyOf(record.id);
      recoveries[record.id.shard]!.shard.transactions.add(record);
      this.#order = record.order;
      this.#counters.redone++;
      const missing: Shard[] = [];
      for (const index of record.parts) {
        const recovery = recoveries[index]!;
        if (recovery.transactionParts.has(key)) recovery.shard.transactionParts.set(key, record.id);
        else missing.push(recovery.shard);
      }
      this.#inOneRowEach(record, missing, (skip) => this.#publish(record, spaceOf(record.tenant), skip));
      const rejected = this.#rejected.get(key) ?? [];
      this.#rejected.delete(key);
      this.#whenDone(
        record,
        rejected.flatMap((settled) => buryRecovered(recoveries[settled.shard]!.shard, settled)),
      );
    }
  }

  #publish({ messages }: TransactionRecord, space: TopicSpace, skip: readonly number[]): void {
    const publisher = { session: undefined, origin: 0, id: 0, skip, isAdmitted: true };
    for (const message of messages) distribute(this.#context(), space, space.route(message.topic), message, publisher);
  }
}

function settledOf({ entry, settlement, detail }: BrokerTransaction['provisional'][number]): SettledEntry[] {
  // What is given back would be so after a crash, too.
  if (entry.row === 0 || entry.gone || !(redoneSettlements as readonly string[]).includes(settlement)) return [];
  const { queue, position } = entry;
  const settled = settlement as RedoneSettlement;
  return [{ shard: queue.shard.index, queueId: queue.id, position, settlement: settled, reason: detail?.reason }];
}

/** Redone elsewhere, or in fewer shards, half a transaction would be taken for a whole one. */
function checkShards({ id, parts }: TransactionRecord, { index }: Shard, shards: number): void {
  if (id.shard === index && parts.every((part) => part < shards)) return;
  throw new JournalError('corrupt', 'a transaction names shards that it cannot have been in', `shard ${index}, row ${id.row}`);
}

/** Returns whether it is still there, to be buried when its queue is filled. */
function leaveRecovered(recovery: ShardRecovery | undefined, { queueId, position, settlement }: SettledEntry): boolean {
  const entries = recovery?.queues.get(queueId)?.entries;
  const entry = entries?.get(position);
  if (recovery === undefined || entry === undefined) return false;
  const { shard } = recovery;
  if (settlement === 'received' && entry.state !== 'ready') {
    if (entry.state === 'received') return false;
    entry.state = 'received';
    entry.stored = undefined;
    shard.touch();
    const { session, deliveryId } = entry;
    writeDelivery(shard.writer, RecordKind.received, { queueId, position, session, deliveryId, returns: entry.returns });
    return false;
  }
  if (settlement === 'rejected' && entry.stored !== undefined) {
    entry.state = 'ready';
    entry.session = 0;
    entry.deliveryId = 0;
    return true;
  }
  entries!.delete(position);
  shard.writeSettle(queueId, position);
  return false;
}

function buryRecovered({ queues, sessions }: Shard, { queueId, position, reason }: SettledEntry): Entry[] {
  const queue = queues.get(queueId) ?? sessions.get(queueId)?.inbox;
  const entry = queue?.ready.toArray().find((waiting) => waiting.position === position);
  if (queue === undefined || entry === undefined) return [];
  queue.takeOut(entry);
  queue.bury(entry, causeOfDeath(reason), 'refusedByConsumer');
  return [entry];
}

export function causeOfDeath(reason: SettledEntry['reason']): CauseOfDeath {
  return reason === undefined ? { reason: 'rejected' } : { reason: reason.condition, description: reason.description };
}

// A checkpoint: the whole state of a shard written again into its journal, a little at a time between other records, so that
// earlier rows are needed only for the messages they hold. Rows without any are then discarded, rows with few are trimmed.
//
// Every record of a checkpoint repeats what is so at that moment, so it does not matter whether a replay begins before it (the
// record changes nothing) or at its start (the record is the first to speak of its object). A crash in the middle leaves the
// earlier checkpoint in force.

import type { ClientSession } from '../sessions/client-session.ts';
import type { CompetingConsumers } from '../queues/competing-consumers.ts';
import type { BrokerContext } from '../context.ts';
import { Queue } from '../queues/queue.ts';
import type { Entry } from '../queues/queue.ts';
import { RecordKind, writeEntries, writeMovedFrom, writeNumber, writeOrigins, writeRetained } from './records.ts';
import type { CheckpointedEntry } from './records.ts';
import type { Shard } from './shard.ts';
import type { TopicSpace } from '../routing/topic-space.ts';
import { writeTransaction, writeTransactionId } from '../transactions/transaction-record.ts';

/** Objects and entries written before other work gets its turn. */
const sliceObjects = 200;
const entriesPerRecord = 100;
/** A row is trimmed when less than this part of it is still wanted. */
const trimBelow = 0.5;

export class Checkpointer {
  readonly #context: BrokerContext;
  readonly #shard: Shard;
  readonly #spaces: ReadonlyMap<string, TopicSpace>;
  #running = false;
  #lastBytes = 0;

  constructor(context: BrokerContext, shard: Shard, spaces: ReadonlyMap<string, TopicSpace>) {
    this.#context = context;
    this.#shard = shard;
    this.#spaces = spaces;
  }

  /** Starts a checkpoint when enough has been appended since the last, or when forced. `done` is called when it is in force. */
  check(force = false, done?: () => void): void {
    const { checkpointBytes } = this.#context.limits;
    if (this.#running || this.#shard.stall !== undefined) return;
    if (!force && this.#shard.bytesSinceCheckpoint < Math.max(checkpointBytes, 2 * this.#lastBytes)) return;
    this.#running = true;
    // Nothing of the checkpoint stands before this row.
    this.#shard.seal();
    const from = this.#shard.row;
    this.#shard.bytesSinceCheckpoint = 0;
    this.#slice(this.#write(), from, done);
  }

  #slice(steps: Iterator<void>, from: number, done: (() => void) | undefined): void {
    for (let i = 0; i < sliceObjects; i++) {
      if (steps.next().done !== true) continue;
      this.#shard.touch();
      writeNumber(this.#shard.writer, RecordKind.counters, this.#shard.nextQueueId);
      this.#shard.whenDurable(() => this.#finish(from, done));
      return;
    }
    this.#context.turn.later(() => this.#slice(steps, from, done));
  }

  #finish(from: number, done: (() => void) | undefined): void {
    if (this.#shard.closed) return;
    this.#running = false;
    this.#lastBytes = this.#shard.bytesSinceCheckpoint;
    this.#context.counters.checkpoints++;
    const before = this.#shard.checkpointRow;
    this.#shard.checkpointRow = from;
    this.#shard.journal.checkpoint(from);
    this.#giveBack(before, from);
    done?.();
  }

  /** Lets go of rows before `from` that nothing needs, and of what other rows hold besides the messages that are wanted. */
  #giveBack(before: number, from: number): void {
    const shard = this.#shard;
    const dead: number[] = [];
    for (let row = before; row < from; row++) if (!shard.rows.has(row)) dead.push(row);
    const trims: [row: number, keep: Uint32Array][] = [];
    for (const row of shard.rows.values()) {
      if (row.row >= from || row.liveBytes >= row.length * trimBelow) continue;
      const keep = row.messages.filter((stored) => stored.references > 0).map((stored) => stored.index);
      trims.push([row.row, Uint32Array.from(keep.toSorted((a, b) => a - b))]);
      row.length = row.liveBytes;
    }
    // That these are not needed any more may stand in rows that are not durable yet: after a crash they would be needed again.
    shard.touch();
    writeNumber(shard.writer, RecordKind.counters, shard.nextQueueId);
    shard.whenDurable(() => {
      if (shard.closed) return;
      if (dead.length > 0) shard.journal.discard(dead);
      for (const [row, keep] of trims) shard.journal.trim(row, keep);
    });
  }

  /** One object, or one record of a long queue, per step. */
  *#write(): Generator<void, void, void> {
    const shard = this.#shard;
    for (const session of shard.sessions.values()) {
      this.#writeSession(session);
      yield;
      yield* this.#writeEntries(session.inbox);
    }
    for (const queue of shard.queues.values()) {
      if (queue.kind === 'inbox') continue;
      shard.touch();
      (queue.holder as CompetingConsumers).writeRecord();
      yield;
      yield* this.#writeEntries(queue);
    }
    for (const space of this.#spaces.values()) {
      for (const [topic, { shard: home, stored, owner }] of space.retained.entries()) {
        if (home !== shard || stored.home === undefined || space.retained.get(topic)?.stored !== stored) continue;
        shard.touch();
        writeRetained(shard.writer, {
          tenant: space.tenant,
          topic,
          stored: stored.reference(),
          owner: owner.name,
        });
        yield;
      }
    }
    for (const from of shard.movedFrom) {
      shard.touch();
      writeMovedFrom(shard.writer, from);
      yield;
    }
    for (const transaction of shard.transactions) {
      shard.touch();
      writeTransaction(shard.writer, transaction);
      yield;
    }
    for (const id of shard.transactionParts.values()) {
      shard.touch();
      writeTransactionId(shard.writer, RecordKind.transactionPart, id);
      yield;
    }
    for (const [session, ids] of shard.origins) {
      shard.touch();
      writeOrigins(shard.writer, RecordKind.origins, session, [...ids]);
      yield;
    }
  }

  #writeSession(session: ClientSession): void {
    session.writeRecord();
    session.writeSubscriptions();
  }

  *#writeEntries(queue: Queue): Generator<void, void, void> {
    const entries: Entry[] = [...(queue.holder?.taken() ?? []), ...(queue.leaving ?? [])].concat(queue.ready.toArray());
    for (let i = 0; i < entries.length; i += entriesPerRecord) {
      const records: CheckpointedEntry[] = [];
      for (const entry of entries.slice(i, i + entriesPerRecord)) {
        const record = Queue.checkpointed(entry);
        if (record !== undefined) records.push(record);
      }
      if (records.length > 0) {
        this.#shard.touch();
        writeEntries(this.#shard.writer, records);
      }
      yield;
    }
  }
}

// One shard of the durable state: its journal, the row being written, and what waits for it to be durable.
//
// What must live here: everything that decides when a row is sealed and what happens once it is durable.
// What this file may never know: sessions, topics, protocols.
//
// Two outboxes: what may go out now is not this file's business; what may go out once durable waits here, by row.

import { Histogram } from '../../base/metrics.ts';
import type { Message } from '../../message/message.ts';
import { JournalError } from '../../store/journal.ts';
import type { Journal, JournalEvents } from '../../store/journal.ts';
import { RowError, forEachRecord } from '../../store/row.ts';
import type { ClientSession } from '../sessions/client-session.ts';
import { Outcome } from '../port.ts';
import type { Consumer } from '../port.ts';
import type { Entry, Queue } from '../queues/queue.ts';
import {
  RecordKind,
  readMessage,
  writeDelivery,
  writeEntries,
  writeMessage,
  writeMovedFrom,
  writeOrigins,
  writeSettle,
} from './records.ts';
import type { CheckpointedEntry, MovedFrom, OriginId } from './records.ts';
import { RowWriter } from './row-writer.ts';
import { Stored, StoredRow, deliveryTerms, storedBytes } from './stored.ts';
import type { PayloadMemory, Waiter } from './stored.ts';
import type { TransactionId, TransactionRecord } from '../transactions/transaction-record.ts';
import type { Turn } from '../turn.ts';

/** A row is sealed within a turn when it has grown to this, so that a busy turn does not build one huge row. */
const maxRowBytes = 1024 * 1024;

/** For keys of sessions across shards. */
export const maxShards = 1024;

/** A publish that waits for rows of several shards. */
export class Ticket {
  remaining: number;
  readonly consumer: Consumer;
  readonly token: number;

  constructor(remaining: number, consumer: Consumer, token: number) {
    this.remaining = remaining;
    this.consumer = consumer;
    this.token = token;
  }
}

/** What waits for a row to be durable. */
class Pending {
  readonly row: number;
  bytes = 0;
  readonly consumers: (Consumer | Ticket)[] = [];
  readonly tokens: number[] = [];
  readonly queues: Waiter[] = [];
  readonly tasks: (() => void)[] = [];
  /** Messages whose payload moves into the row when it is sealed, and where it begins there. */
  readonly moved: Stored[] = [];
  readonly movedTo: number[] = [];
  home: StoredRow | undefined = undefined;
  /** Rows that nothing needs once it is durable that nothing does. */
  readonly dead: number[] = [];

  constructor(row: number) {
    this.row = row;
  }
}

export type ShardHost = {
  readonly turn: Turn;
  readonly memory: PayloadMemory;
  /** The journal cannot go on. */
  failed(error: JournalError): void;
  /** Appends wait for space or for the disk, or do so no longer. */
  stalled(shard: Shard, error: JournalError | undefined): void;
  /** The shard's `uncommittedBytes` changed. */
  uncommitted(shard: Shard, deltaBytes: number): void;
};

export class Shard implements JournalEvents {
  readonly index: number;
  readonly journal: Journal;
  readonly writer = new RowWriter();
  /** Rows that hold messages still wanted. */
  readonly rows = new Map<number, StoredRow>();
  readonly queues = new Map<number, Queue>();
  /** Sessions that have a record here, by the id of their inbox. */
  readonly sessions = new Map<number, ClientSession>();
  /** Packet ids and tags of exactly-once messages stored here whose publishers have not released them, by session key. */
  readonly origins = new Map<number, Set<OriginId>>();
  /** Entries of other shards' queues that have been moved here, while it is not durable that they have left there. */
  readonly movedFrom = new Set<MovedFrom>();
  /** Transactions committed here of which something may not be durable yet in the shards where it belongs. */
  readonly transactions = new Set<TransactionRecord>();
  /** Of other shards' and its own such transactions: those that are done here. By id. */
  readonly transactionParts = new Map<string, TransactionId>();
  nextQueueId = 1;
  durableRow = 0;
  /** Rows before it are needed only for the messages they hold. */
  checkpointRow = 1;
  stall: JournalError | undefined = undefined;
  /** The node is going down: what is appended is becoming durable, and nothing more is. */
  closed = false;
  /** Bytes handed to the journal and not yet durable. */
  uncommittedBytes = 0;
  /** Bytes appended since the last checkpoint. */
  bytesSinceCheckpoint = 0;
  /** Rows of one turn, in records' bytes. */
  readonly rowBytes = new Histogram([256, 1024, 4096, 16384, 65536, 262144, 1048576]);
  readonly #host: ShardHost;
  readonly #waiting: Pending[] = [];
  #current: Pending;
  #dirty = false;
  /** How many want what is written now to stay in one row. */
  #keptOpen = 0;
  readonly #seal = (): void => this.seal();

  constructor(index: number, journal: Journal, host: ShardHost) {
    this.index = index;
    this.journal = journal;
    this.#host = host;
    this.#current = new Pending(1);
  }

  /** Names a session of this shard across all shards. */
  sessionKey(queueId: number): number {
    return queueId * maxShards + this.index;
  }

  /** From now on no session of this shard gets the key, or one that was given before it. */
  reserveSessionKey(key: number): void {
    this.nextQueueId = Math.max(this.nextQueueId, Math.floor(key / maxShards) + 1);
  }

  /** Opens the journal and hands every row to be replayed to `onRow`. */
  async open(onRow: (row: number, bytes: Uint8Array) => void): Promise<void> {
    let first = 0;
    const next = await this.journal.open(this, (row, bytes) => {
      if (first === 0) first = row;
      this.bytesSinceCheckpoint += bytes.length;
      onRow(row, bytes);
    });
    this.checkpointRow = first === 0 ? next : first;
    this.durableRow = next - 1;
    this.#current = new Pending(next);
  }

  /** What has been written is appended; what is written from now on never is. Resolves when the journal is closed. */
  close(): Promise<void> {
    this.seal();
    this.closed = true;
    return this.journal.close();
  }

  /** The row that is being written. */
  get row(): number {
    return this.#current.row;
  }

  /** Journals a message with the entries it makes (all of queues of this shard) and the retained message it sets. */
  store(message: Message, retainedIn: string | undefined, originSession: number, originId: OriginId, entries: readonly Entry[]): Stored {
    this.touch();
    const current = this.#current;
    let home = current.home;
    if (home === undefined) {
      home = current.home = new StoredRow(current.row, false);
      this.rows.set(home.row, home);
    }
    const { expiresAtMs, priority } = message;
    const stored = new Stored(message, home, this.writer.records, storedBytes(message), expiresAtMs, priority, deliveryTerms(message));
    const payloadStart = writeMessage(this.writer, message, retainedIn, originSession, originId, entries);
    home.messages.push(stored);
    current.moved.push(stored);
    current.movedTo.push(payloadStart);
    for (const entry of entries) {
      entry.stored = stored;
      entry.row = current.row;
      this.acquire(stored);
    }
    return stored;
  }

  /** One more holder of a stored message. */
  acquire(stored: Stored): void {
    const home = stored.home;
    if (stored.references++ > 0) return;
    if (home === undefined) {
      this.#host.memory.transientBytes += stored.bytes;
      return;
    }
    home.live++;
    home.liveBytes += stored.bytes;
  }

  /** One holder less; the last one frees it. The record that says so must have been written before. */
  release(stored: Stored): void {
    const home = stored.home;
    if (--stored.references > 0) return;
    if (home === undefined) {
      this.#host.memory.transientBytes -= stored.bytes;
      return;
    }
    home.live--;
    home.liveBytes -= stored.bytes;
    // A row that is being written needs all its messages until it is sealed.
    if (home.row === this.#current.row) return;
    stored.message = undefined;
    if (home.live === 0) this.#rowDied(home);
    else home.tidy();
  }

  /** The message, if its row is in memory; else undefined, and `then` is called in a later turn when it is. */
  load(stored: Stored, then: Waiter | undefined): Message | undefined {
    const home = stored.home;
    if (home === undefined) return stored.message;
    if (home.row > this.durableRow) {
      // Not safe yet, and until the row is sealed its payload stands in the socket's buffer.
      if (then !== undefined) this.#pumpAfter(home.row, then);
      return undefined;
    }
    if (stored.message !== undefined) return stored.message;
    if (home.bytes !== undefined) {
      this.#decode(home);
      return stored.message;
    }
    this.#read(home, then);
    return undefined;
  }

  /** Pumps the queue when a stalled journal goes on. */
  pumpWhenResumed(queue: Queue): void {
    this.#pumpAfter(this.durableRow + 1, queue);
  }

  /** Starts reading the rows of waiting entries that will be wanted soon: of this one and those after it, as many as memory has room for. */
  readAhead(first: Entry, entries: number): void {
    let left = this.#host.memory.readAheadBytes;
    let entry: Entry | undefined = first;
    let last: StoredRow | undefined;
    for (let i = 0; i < entries && entry !== undefined; i++, entry = entry.after) {
      const { message, home } = entry.stored!;
      if (message !== undefined || home === undefined || home.bytes !== undefined || home === last) continue;
      // Others would be evicted before they are wanted.
      if (last !== undefined && home.length > left) return;
      left -= home.length;
      last = home;
      this.#read(home, undefined);
    }
  }

  /** What waits for a row that is not durable. */
  #pendingOf(row: number): Pending {
    return this.#waiting[row - this.durableRow - 1] ?? this.#current;
  }

  #pumpAfter(row: number, queue: Waiter): void {
    const pending = this.#pendingOf(row);
    if (!pending.queues.includes(queue)) pending.queues.push(queue);
  }

  #read(home: StoredRow, then: Waiter | undefined): void {
    if (then !== undefined) (home.waiting ??= new Set()).add(then);
    if (home.loading || this.closed) return;
    home.loading = true;
    this.journal.read(home.row, (bytes) => {
      home.loading = false;
      if (home.live > 0) {
        if (!(bytes instanceof Uint8Array)) {
          this.#host.failed(bytes);
          return;
        }
        this.#host.memory.hold(home, bytes);
        this.#host.memory.counters.loads++;
        if (!this.#decode(home)) return;
        this.#host.memory.evict(home);
      }
      // Also when all its messages went meanwhile: then others are next.
      const waiting = home.waiting;
      home.waiting = undefined;
      for (const queue of waiting ?? []) queue.holder?.pump();
    });
  }

  /** Decodes every live message of a row that is in memory. Returns false when it does not hold what refers to it: then the shard has failed. */
  #decode(home: StoredRow): boolean {
    const bytes = home.bytes!;
    const wanted = new Map<number, Stored>();
    for (const stored of home.messages) if (stored.references > 0) wanted.set(stored.index, stored);
    try {
      forEachRecord(bytes, (index, kind, start, end) => {
        const stored = wanted.get(index);
        if (stored === undefined) return;
        if (kind !== RecordKind.message) throw new RowError(`record ${index} is no message`);
        stored.message = readMessage(bytes, start, end).message;
        wanted.delete(index);
      });
      if (wanted.size > 0) throw new RowError('a message that is waited for is not there');
      return true;
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      const where = `shard ${this.index}, row ${home.row}`;
      this.#host.failed(new JournalError('corrupt', `row ${home.row} cannot be read: ${error.message}`, where, error));
      return false;
    }
  }

  /** Runs `task` in a later turn. */
  later(task: () => void): void {
    this.#host.turn.later(task);
  }

  /** Something is about to be written into the current row. */
  touch(): void {
    if (this.writer.length >= maxRowBytes && this.#keptOpen === 0) this.seal();
    if (this.#dirty) return;
    this.#dirty = true;
    this.#host.turn.atEnd(this.#seal);
  }

  /** What `work` writes here stands in one row, however large: after a crash all of it is there, or nothing. It must be bounded. */
  atomically<T>(work: () => T): T {
    this.touch();
    this.#keptOpen++;
    try {
      return work();
    } finally {
      this.#keptOpen--;
    }
  }

  writeSettle(queueId: number, position: number): void {
    this.touch();
    writeSettle(this.writer, queueId, position);
  }

  /** An entry is in one queue in place of another one, both of this shard: in one row, for which the caller has touched the shard. */
  writeMove(to: CheckpointedEntry, fromQueueId: number, fromPosition: number): void {
    writeEntries(this.writer, [to]);
    writeSettle(this.writer, fromQueueId, fromPosition);
  }

  /** In the row of what was moved. */
  writeMovedFrom(from: MovedFrom): void {
    this.movedFrom.add(from);
    writeMovedFrom(this.writer, from);
  }

  /** Returns the row it was written into. */
  writeDelivery(kind: typeof RecordKind.sent | typeof RecordKind.received, queueId: number, entry: Entry): number {
    this.touch();
    const { position, deliveryId } = entry;
    const { key: session, isPart: returns } = entry.owner!;
    writeDelivery(this.writer, kind, { queueId, position, session, deliveryId, returns });
    return this.#current.row;
  }

  /** A session's exactly-once message was taken that is not stored here. */
  writeOrigin(session: number, id: OriginId): void {
    this.touch();
    writeOrigins(this.writer, RecordKind.origins, session, [id]);
  }

  /** Describes entries as they are now. Returns the row it was written into. */
  writeEntries(entries: readonly CheckpointedEntry[]): number {
    this.touch();
    writeEntries(this.writer, entries);
    return this.#current.row;
  }

  /** `consumer.published(token, accepted)` once the current row is durable. */
  acknowledge(consumer: Consumer | Ticket, token: number): void {
    this.#current.consumers.push(consumer);
    this.#current.tokens.push(token);
  }

  /** Pumps the queue once the current row is durable. */
  pumpWhenDurable(queue: Queue): void {
    if (queue.listedInRow === this.#current.row) return;
    queue.listedInRow = this.#current.row;
    this.#current.queues.push(queue);
  }

  /** Runs `task` once the current row is durable. The caller has written something into it. */
  whenDurable(task: () => void): void {
    this.#current.tasks.push(task);
  }

  /** Runs `task` once everything written so far is durable: now, if it is already. */
  afterAll(task: () => void): void {
    this.after(this.writer.length > 0 ? this.row : this.row - 1, task);
  }

  /** Runs `task` once a row that has been written to is durable: now, if it is already. */
  after(row: number, task: () => void): void {
    if (row <= this.durableRow) task();
    else this.#pendingOf(row).tasks.push(task);
  }

  /** Ends the current row and hands it to the journal. */
  seal(): void {
    this.#dirty = false;
    if (this.writer.length === 0) return;
    const pending = this.#current;
    const bytes = this.writer.finish();
    if (this.closed) return;
    pending.bytes = bytes.length;
    this.bytesSinceCheckpoint += bytes.length;
    this.rowBytes.observe(bytes.length);
    this.#keepPayloads(pending, bytes);
    this.#waiting.push(pending);
    this.#current = new Pending(pending.row + 1);
    this.uncommittedBytes += bytes.length;
    this.#host.uncommitted(this, bytes.length);
    this.journal.append(pending.row, bytes);
  }

  #keepPayloads(pending: Pending, bytes: Uint8Array): void {
    const home = pending.home;
    if (home === undefined) return;
    home.length = bytes.length;
    for (let i = 0; i < pending.moved.length; i++) {
      const message = pending.moved[i]!.message!;
      const start = pending.movedTo[i]!;
      message.relocate(bytes, start, start + message.end - message.start);
    }
    if (home.live === 0) {
      this.#rowDied(home);
      return;
    }
    for (const stored of home.messages) if (stored.references === 0) stored.message = undefined;
    home.tidy();
    this.#host.memory.hold(home, bytes);
    this.#host.memory.evict(undefined);
  }

  #rowDied(home: StoredRow): void {
    this.#host.memory.release(home);
    this.rows.delete(home.row);
    if (home.row < this.checkpointRow) this.#current.dead.push(home.row);
  }

  durable(row: number): void {
    const durable = this.#waiting.splice(0, row - this.durableRow);
    this.durableRow = row;
    for (const pending of durable) {
      this.uncommittedBytes -= pending.bytes;
      this.#host.uncommitted(this, -pending.bytes);
      if (pending.home !== undefined) pending.home.durable = true;
      for (let i = 0; i < pending.consumers.length; i++) this.#acknowledged(pending.consumers[i]!, pending.tokens[i]!);
      for (const task of pending.tasks) task();
      for (const queue of pending.queues) queue.holder?.pump();
      if (pending.dead.length > 0 && !this.closed) this.journal.discard(pending.dead);
    }
  }

  #acknowledged(consumer: Consumer | Ticket, token: number): void {
    if (!(consumer instanceof Ticket)) consumer.published(token, Outcome.accepted);
    else if (--consumer.remaining === 0) consumer.consumer.published(consumer.token, Outcome.accepted);
  }

  stalled(error: JournalError): void {
    const already = this.stall !== undefined;
    this.stall = error;
    if (!already) this.#host.stalled(this, error);
  }

  resumed(): void {
    if (this.stall === undefined) return;
    this.stall = undefined;
    this.#host.stalled(this, undefined);
  }

  failed(error: JournalError): void {
    this.#host.failed(error);
  }
}

/** Where something was written: to be waited for. */
export type Written = { readonly shard: Shard; readonly row: number };

/** Everything that was written into these shards so far. */
export function currentRows(shards: Iterable<Shard>): Written[] {
  return Array.from(shards, (shard) => ({ shard, row: shard.writer.length > 0 ? shard.row : shard.row - 1 }));
}

/** Runs `task` once all of it is durable; now, if it is already. */
export function whenAllDurable(written: readonly Written[], task: () => void): void {
  let remaining = written.length;
  if (remaining === 0) return task();
  const one = (): void => {
    if (--remaining === 0) task();
  };
  for (const { shard, row } of written) shard.after(row, one);
}

// The embedded journal: one SQLite file per shard, written by a thread of its own. This half lives on the main thread and
// never waits: it copies rows into shared memory, hands them over once per turn, and passes on what the worker reports.

import { Worker } from 'node:worker_threads';
import { Histogram, type MetricSource, type Sample } from '../../base/metrics.ts';
import { JournalError, type Journal, type JournalEvents, type JournalStats } from '../journal.ts';
import { counter, fromPlain, type FromWorker, type ToWorker, type WorkerOptions } from './messages.ts';
import { packAppend, packCheckpoint, packDiscard, packTrim } from './operations.ts';
import { PendingRows } from './pending-rows.ts';

export type SqliteJournalOptions = {
  /** The file; `-wal` and `-durable` appear beside it. Its directory must exist. */
  readonly path: string;
  readonly shard?: number;
  /** Milliseconds before a commit that the disk refused is tried again; doubles up to eight times that. */
  readonly retryMs?: number;
  /** Bytes of rows that one transaction takes, about. */
  readonly maxTransactionBytes?: number;
  /** Bytes that the write-ahead log may hold before it is moved into the main file. */
  readonly walBytes?: number;
  /** Milliseconds without a commit after which space is tidied up. */
  readonly idleMs?: number;
};

/** SQLite's own limit of a value is 1,000,000,000 bytes. */
const maxRowBytes = 900_000_000;
const commitBounds = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

type State =
  | { readonly kind: 'new' }
  | {
      readonly kind: 'opening';
      readonly onRow: (row: number, bytes: Uint8Array) => void;
      readonly resolve: (next: number) => void;
      readonly reject: (error: unknown) => void;
    }
  | { readonly kind: 'open' | 'stalled' }
  | { readonly kind: 'failed'; readonly error: JournalError }
  | { readonly kind: 'closed' };

type Waiter = { readonly resolve: () => void; readonly reject: (error: JournalError) => void };

export class SqliteJournal implements Journal, MetricSource {
  readonly durability = 'fsynced';
  readonly #options: WorkerOptions;
  readonly #pending = new PendingRows();
  readonly #commitSeconds = new Histogram(commitBounds);
  readonly #reads = new Map<number, (bytes: Uint8Array | JournalError) => void>();
  readonly #waiters = new Map<number, Waiter>();
  #state: State = { kind: 'new' };
  #events: JournalEvents | undefined;
  #worker: Worker | undefined;
  #exited: Promise<void> = Promise.resolve();
  #closing = false;
  #next = 0;
  #checkpoint = 0;
  #operations: number[] = [];
  #flushScheduled = false;
  #nextId = 0;

  constructor(options: SqliteJournalOptions) {
    this.#options = {
      path: options.path,
      shard: options.shard ?? 0,
      retryMs: options.retryMs ?? 250,
      maxTransactionBytes: options.maxTransactionBytes ?? 8 * 1024 * 1024,
      walBytes: options.walBytes ?? 16 * 1024 * 1024,
      idleMs: options.idleMs ?? 1000,
      counters: new Float64Array(new SharedArrayBuffer(8 * counter.count)),
    };
  }

  /** Rows come in buffers of about 1 MB that they share: a callee that keeps a small part copies it. */
  open(events: JournalEvents, onRow: (row: number, bytes: Uint8Array) => void): Promise<number> {
    if (this.#state.kind !== 'new') throw new Error('a journal is opened once');
    this.#events = events;
    return new Promise((resolve, reject) => {
      this.#state = { kind: 'opening', onRow, resolve, reject };
      this.#startWorker();
    });
  }

  append(row: number, bytes: Uint8Array): void {
    this.#assertOpen();
    if (row !== this.#next) throw new RangeError(`append of row ${row}, but the next row is ${this.#next}`);
    if (bytes.length > maxRowBytes) throw new RangeError(`a row of ${bytes.length} bytes; the limit is ${maxRowBytes}`);
    this.#next++;
    const { chunk, start } = this.#pending.append(row, bytes);
    packAppend(this.#operations, row, chunk, start, bytes.length);
    this.#scheduleFlush();
  }

  /** 'corrupt' is told to the reader alone: the journal goes on, and so may its owner. */
  read(row: number, done: (bytes: Uint8Array | JournalError) => void): void {
    this.#assertOpen();
    const waiting = this.#pending.find(row);
    if (waiting !== undefined) {
      setImmediate(done, waiting);
      return;
    }
    if (row >= this.#next) {
      setImmediate(
        done,
        new JournalError('missing', `${this.#options.path}, row ${row}: never written`, `${this.#options.path}, row ${row}`),
      );
      return;
    }
    if (this.#worker === undefined) {
      setImmediate(done, this.#goneError());
      return;
    }
    const id = this.#nextId++;
    this.#reads.set(id, done);
    this.#post({ kind: 'read', id, row });
  }

  checkpoint(row: number): void {
    this.#assertOpen();
    if (row < this.#checkpoint || row > this.#next) {
      throw new RangeError(`checkpoint at row ${row}, outside ${this.#checkpoint} to ${this.#next}`);
    }
    this.#checkpoint = row;
    packCheckpoint(this.#operations, row);
    this.#scheduleFlush();
  }

  trim(row: number, keep: Uint32Array): void {
    this.#assertOpen();
    this.#assertBeforeCheckpoint(row);
    packTrim(this.#operations, row, keep);
    this.#scheduleFlush();
  }

  discard(rows: readonly number[]): void {
    this.#assertOpen();
    for (const row of rows) this.#assertBeforeCheckpoint(row);
    packDiscard(this.#operations, rows);
    this.#scheduleFlush();
  }

  stats(): JournalStats {
    const counters = this.#options.counters;
    return {
      rows: counters[counter.rows]!,
      bytes: counters[counter.bytes]!,
      storedBytes: counters[counter.storedBytes]!,
      commits: counters[counter.commits]!,
      commitMs: counters[counter.commitMs]!,
    };
  }

  *metrics(): Generator<Sample> {
    const labels = { shard: String(this.#options.shard) };
    const gauge = (name: string, help: string, value: number): Sample => ({ name, help, type: 'gauge', labels, value });
    const { rows, bytes, storedBytes, commits } = this.stats();
    yield gauge('heliograph_store_rows', 'Rows that the journal holds.', rows);
    yield gauge('heliograph_store_row_bytes', 'Bytes that the rows of the journal hold.', bytes);
    yield gauge('heliograph_store_disk_bytes', 'Bytes of the journal on disk.', storedBytes);
    yield gauge('heliograph_store_pending_rows', 'Rows that were appended and are not durable yet.', this.#pending.rows);
    yield gauge('heliograph_store_pending_bytes', 'Bytes of rows that are not durable yet.', this.#pending.bytes);
    yield gauge('heliograph_store_stalled', '1 while the disk takes no rows.', this.#state.kind === 'stalled' ? 1 : 0);
    yield { name: 'heliograph_store_commits_total', help: 'Commits to the journal.', type: 'counter', labels, value: commits };
    const help = 'Time that a commit took, fsync included.';
    yield { name: 'heliograph_store_commit_seconds', help, type: 'histogram', labels, value: this.#commitSeconds };
  }

  backup(path: string): Promise<void> {
    this.#assertOpen();
    return this.#ask((id) => ({ kind: 'backup', id, path }));
  }

  async close(): Promise<void> {
    if (!this.#closing && this.#worker !== undefined) {
      this.#flush();
      this.#post({ kind: 'close' });
    }
    this.#closing = true;
    await this.#exited;
    this.#state = { kind: 'closed' };
  }

  /** Runs SQL on the connection that writes: tests make the disk full with it. */
  execForTest(sql: string): Promise<void> {
    return this.#ask((id) => ({ kind: 'exec', id, sql }));
  }

  #startWorker(): void {
    const url = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
    // Without its own execArgv the thread would inherit those of a test run.
    const worker = new Worker(url, { workerData: this.#options, execArgv: [], name: `journal-${this.#options.shard}` });
    this.#worker = worker;
    worker.on('message', (message: FromWorker) => this.#take(message));
    worker.on('error', (error) =>
      this.#end(new JournalError('io', `the journal's thread failed: ${error.message}`, this.#options.path, error)),
    );
    this.#exited = new Promise((resolve) => {
      worker.on('exit', () => {
        this.#worker = undefined;
        this.#end(this.#goneError());
        resolve();
      });
    });
  }

  #take(message: FromWorker): void {
    switch (message.kind) {
      case 'durable':
        this.#commitSeconds.observe(message.seconds);
        if (message.row === 0) break;
        this.#pending.release(message.row);
        this.#events!.durable(message.row);
        break;
      case 'rows':
        this.#replay(message.index, message.buffers);
        break;
      case 'opened':
        this.#opened(message.next, message.checkpoint);
        break;
      case 'refused':
        this.#end(fromPlain(message.error));
        break;
      case 'stalled':
        this.#state = { kind: 'stalled' };
        this.#events!.stalled(fromPlain(message.error));
        break;
      case 'resumed':
        this.#state = { kind: 'open' };
        this.#events!.resumed();
        break;
      case 'failed':
        this.#end(fromPlain(message.error));
        break;
      case 'read': {
        const done = this.#reads.get(message.id)!;
        this.#reads.delete(message.id);
        done(message.bytes ?? fromPlain(message.error!));
        break;
      }
      case 'done': {
        const waiter = this.#waiters.get(message.id)!;
        this.#waiters.delete(message.id);
        if (message.error === undefined) waiter.resolve();
        else waiter.reject(fromPlain(message.error));
        break;
      }
    }
  }

  #replay(index: Float64Array, buffers: readonly Uint8Array[]): void {
    const state = this.#state;
    if (state.kind !== 'opening') return;
    try {
      for (let i = 0; i < index.length; i += 4) state.onRow(index[i]!, buffers[index[i + 1]!]!.subarray(index[i + 2], index[i + 3]));
    } catch (error) {
      this.#state = { kind: 'closed' };
      this.#closing = true;
      this.#post({ kind: 'close' });
      this.#rejectWhenGone(state.reject, error);
      return;
    }
    this.#post({ kind: 'credit' });
  }

  #opened(next: number, checkpoint: number): void {
    const state = this.#state;
    if (state.kind !== 'opening') return;
    this.#next = next;
    this.#checkpoint = checkpoint;
    this.#state = { kind: 'open' };
    state.resolve(next);
  }

  /** The worker cannot go on, or is gone. Whoever waits for it is told. */
  #end(error: JournalError): void {
    const state = this.#state;
    if (state.kind === 'opening') {
      this.#state = { kind: 'closed' };
      this.#rejectWhenGone(state.reject, error);
    } else if (state.kind === 'open' || state.kind === 'stalled') {
      this.#state = { kind: 'failed', error };
      if (!this.#closing) this.#events!.failed(error);
    }
    if (this.#worker !== undefined) return;
    const reads = [...this.#reads.values()];
    const waiters = [...this.#waiters.values()];
    this.#reads.clear();
    this.#waiters.clear();
    for (const done of reads) done(error);
    for (const waiter of waiters) waiter.reject(error);
  }

  /** Only then another journal may open the file. */
  #rejectWhenGone(reject: (error: unknown) => void, error: unknown): void {
    void this.#exited.then(() => reject(error));
  }

  #goneError(): JournalError {
    if (this.#state.kind === 'failed') return this.#state.error;
    return new JournalError('io', `${this.#options.path}: the journal is closed`, this.#options.path);
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    queueMicrotask(() => {
      if (this.#flushScheduled) this.#flush();
    });
  }

  #flush(): void {
    this.#flushScheduled = false;
    if (this.#operations.length === 0) return;
    const { created, dropped } = this.#pending;
    const operations = this.#operations;
    this.#operations = [];
    this.#pending.created = [];
    this.#pending.dropped = [];
    this.#post({ kind: 'work', created, dropped, operations });
  }

  #ask(message: (id: number) => ToWorker): Promise<void> {
    const id = this.#nextId++;
    this.#flush();
    return new Promise((resolve, reject) => {
      if (this.#worker === undefined) return reject(this.#goneError());
      this.#waiters.set(id, { resolve, reject });
      this.#post(message(id));
    });
  }

  #post(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  #assertOpen(): void {
    if (this.#closing || this.#state.kind === 'new' || this.#state.kind === 'opening' || this.#state.kind === 'closed') {
      throw new Error('the journal is not open');
    }
  }

  #assertBeforeCheckpoint(row: number): void {
    if (row >= this.#checkpoint) throw new RangeError(`row ${row} is not before the checkpoint at ${this.#checkpoint}`);
  }
}

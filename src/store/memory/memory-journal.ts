// The journal that keeps rows in memory: for tests, the simulator, and brokers that need to survive nothing.

import type { MetricSource, Sample } from '../../base/metrics.ts';
import { JournalError, type Journal, type JournalEvents, type JournalStats } from '../journal.ts';
import { RowError, trimRow } from '../row.ts';

/** Runs a task in a later turn of the event loop. */
export type Schedule = (task: () => void) => void;

/** What a journal holds. Handing the same contents to another journal is a restart. */
export class MemoryContents {
  readonly rows = new Map<number, Uint8Array>();
  next = 1;
  checkpoint = 1;
  bytes = 0;
  /** The journal that has these contents open. */
  owner: MemoryJournal | undefined;
}

export type MemoryJournalOptions = {
  /** When 'durable' and answers are told; the default is the next turn of the event loop. */
  readonly schedule?: Schedule;
  readonly contents?: MemoryContents;
  readonly shard?: number;
};

export class MemoryJournal implements Journal, MetricSource {
  readonly durability = 'memory';
  readonly #contents: MemoryContents;
  readonly #schedule: Schedule;
  readonly #shard: number;
  readonly #whenIdle: (() => void)[] = [];
  #events: JournalEvents | undefined;
  #state: 'new' | 'open' | 'closed' = 'new';
  #reportScheduled = false;
  #scheduled = 0;
  #commits = 0;

  constructor(options: MemoryJournalOptions = {}) {
    this.#contents = options.contents ?? new MemoryContents();
    this.#schedule = options.schedule ?? ((task) => void setImmediate(task));
    this.#shard = options.shard ?? 0;
  }

  async open(events: JournalEvents, onRow: (row: number, bytes: Uint8Array) => void): Promise<number> {
    if (this.#state !== 'new') throw new Error('a journal is opened once');
    const contents = this.#contents;
    if (contents.owner !== undefined) throw new JournalError('locked', 'memory: another journal has these contents open', 'memory');
    contents.owner = this;
    try {
      for (let row = contents.checkpoint; row < contents.next; row++) onRow(row, contents.rows.get(row)!.slice());
    } catch (error) {
      contents.owner = undefined;
      this.#state = 'closed';
      throw error;
    }
    this.#events = events;
    this.#state = 'open';
    return contents.next;
  }

  append(row: number, bytes: Uint8Array): void {
    this.#assertOpen();
    const contents = this.#contents;
    if (row !== contents.next) throw new RangeError(`append of row ${row}, but the next row is ${contents.next}`);
    contents.rows.set(row, new Uint8Array(bytes));
    contents.bytes += bytes.length;
    contents.next++;
    if (this.#reportScheduled) return;
    this.#reportScheduled = true;
    this.#later(() => this.#report());
  }

  read(row: number, done: (bytes: Uint8Array | JournalError) => void): void {
    this.#assertOpen();
    this.#later(() => {
      const bytes = this.#contents.rows.get(row);
      done(bytes?.slice() ?? new JournalError('missing', `memory, row ${row}: discarded, or never written`, `memory, row ${row}`));
    });
  }

  checkpoint(row: number): void {
    this.#assertOpen();
    const contents = this.#contents;
    if (row < contents.checkpoint || row > contents.next) {
      throw new RangeError(`checkpoint at row ${row}, outside ${contents.checkpoint} to ${contents.next}`);
    }
    contents.checkpoint = row;
  }

  trim(row: number, keep: Uint32Array): void {
    this.#assertOpen();
    this.#assertBeforeCheckpoint(row);
    const whole = this.#contents.rows.get(row);
    if (whole === undefined) return;
    let rest: Uint8Array;
    try {
      rest = trimRow(whole, keep);
    } catch (error) {
      if (error instanceof RowError) return; // These bytes are what was appended, only not records: there is nothing to cut.
      throw error;
    }
    if (rest.length >= whole.length) return;
    this.#contents.rows.set(row, rest);
    this.#contents.bytes += rest.length - whole.length;
  }

  discard(rows: readonly number[]): void {
    this.#assertOpen();
    for (const row of rows) this.#assertBeforeCheckpoint(row);
    const contents = this.#contents;
    for (const row of rows) {
      contents.bytes -= contents.rows.get(row)?.length ?? 0;
      contents.rows.delete(row);
    }
  }

  stats(): JournalStats {
    const { rows, bytes } = this.#contents;
    return { rows: rows.size, bytes, storedBytes: bytes, commits: this.#commits, commitMs: 0 };
  }

  *metrics(): Generator<Sample> {
    const labels = { shard: String(this.#shard) };
    const { rows, bytes, commits } = this.stats();
    yield { name: 'heliograph_store_rows', help: 'Rows that the journal holds.', type: 'gauge', labels, value: rows };
    yield { name: 'heliograph_store_row_bytes', help: 'Bytes that the rows of the journal hold.', type: 'gauge', labels, value: bytes };
    yield { name: 'heliograph_store_commits_total', help: 'Commits to the journal.', type: 'counter', labels, value: commits };
  }

  /** Memory has no files. @throws JournalError 'io', always */
  backup(path: string): Promise<void> {
    return Promise.reject(new JournalError('io', `${path}: a journal in memory has nothing to back up`, 'memory'));
  }

  close(): Promise<void> {
    if (this.#state === 'open' && this.#contents.owner === this) this.#contents.owner = undefined;
    this.#state = 'closed';
    if (this.#scheduled === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  #report(): void {
    this.#reportScheduled = false;
    this.#commits++;
    this.#events!.durable(this.#contents.next - 1);
  }

  #later(task: () => void): void {
    this.#scheduled++;
    this.#schedule(() => {
      this.#scheduled--;
      try {
        task();
      } finally {
        if (this.#scheduled === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
      }
    });
  }

  #assertOpen(): void {
    if (this.#state !== 'open') throw new Error('the journal is not open');
  }

  #assertBeforeCheckpoint(row: number): void {
    const { checkpoint } = this.#contents;
    if (row >= checkpoint) throw new RangeError(`row ${row} is not before the checkpoint at ${checkpoint}`);
  }
}

// A disk with a journal on it, that is slow, full, or loses power when the simulation wants it.
//
// Faults it may inject, and why a node must survive them: a commit takes any time (no promise was made before it ended); no
// space for a while (appends wait, publishers are refused); power lost (any number of the rows that were not reported durable
// are there afterwards, always a prefix, because the store below writes a row whole or not at all; a torn last row is one that
// is not there). It never loses or changes a row that was reported durable: that would be a broken disk, which the store's own
// tests cover.

import type { Timers } from '../src/base/timers.ts';
import type { ManualClock } from '../src/base/clock.ts';
import type { Random } from '../src/base/random.ts';
import { JournalError } from '../src/store/journal.ts';
import type { Journal, JournalEvents, JournalStats } from '../src/store/journal.ts';
import { trimRow } from '../src/store/row.ts';
import { between } from './random-choices.ts';

export type DiskWeather = {
  slow: boolean;
  full: boolean;
  /** It says "durable" of what it has not written: to show that the checkers would notice. */
  lying: boolean;
};

export class SimDisk {
  readonly rows = new Map<number, Uint8Array>();
  /** Rows up to this one survive a power cut. */
  synced = 0;
  next = 1;
  checkpoint = 1;
  readonly weather: DiskWeather = { slow: false, full: false, lying: false };
  readonly #clock: ManualClock;
  readonly #events: Timers;
  readonly #random: Random;
  mounted: SimJournal | undefined = undefined;

  constructor(clock: ManualClock, events: Timers, random: Random) {
    this.#clock = clock;
    this.#events = events;
    this.#random = random;
  }

  mount(): SimJournal {
    this.mounted = new SimJournal(this);
    return this.mounted;
  }

  /** The power goes: what was not synced is there up to some row, and not after it. */
  cutPower(): void {
    this.mounted?.unplug();
    this.mounted = undefined;
    const survives = this.synced + this.#random.below(this.next - this.synced);
    for (let row = survives + 1; row < this.next; row++) this.rows.delete(row);
    this.next = survives + 1;
    this.synced = survives;
  }

  /** Runs `task` when a disk operation of this weather would be done. */
  afterOperation(task: () => void): void {
    const ms = this.weather.slow ? between(this.#random, 50, 2000) : between(this.#random, 0.1, 5);
    this.#events.at(this.#clock.monotonicMs() + ms, task);
  }
}

export class SimJournal implements Journal {
  readonly durability = 'fsynced';
  readonly #disk: SimDisk;
  #events: JournalEvents | undefined = undefined;
  #plugged = true;
  #committing = false;
  /** The last row reported durable. */
  #reported = 0;
  #stalled = false;

  constructor(disk: SimDisk) {
    this.#disk = disk;
  }

  open(events: JournalEvents, onRow: (row: number, bytes: Uint8Array) => void): Promise<number> {
    this.#events = events;
    const disk = this.#disk;
    for (let row = disk.checkpoint; row < disk.next; row++) onRow(row, disk.rows.get(row)!);
    this.#reported = disk.next - 1;
    return Promise.resolve(disk.next);
  }

  append(row: number, bytes: Uint8Array): void {
    if (row !== this.#disk.next) throw new RangeError(`append of row ${row}, next is ${this.#disk.next}`);
    this.#disk.rows.set(row, bytes.slice());
    this.#disk.next++;
    this.#commit();
  }

  #commit(): void {
    if (this.#committing || this.#reported + 1 >= this.#disk.next) return;
    this.#committing = true;
    const upTo = this.#disk.next - 1;
    this.#disk.afterOperation(() => this.#committed(upTo));
  }

  #committed(upTo: number): void {
    if (!this.#plugged) return;
    this.#committing = false;
    if (this.#disk.weather.full) {
      if (!this.#stalled) {
        this.#stalled = true;
        this.#events!.stalled(new JournalError('full', 'no space left on the simulated disk', 'simulated disk'));
      }
      this.#commit();
      return;
    }
    if (this.#stalled) {
      this.#stalled = false;
      this.#events!.resumed();
    }
    if (!this.#disk.weather.lying) this.#disk.synced = upTo;
    this.#reported = upTo;
    this.#events!.durable(upTo);
    this.#commit();
  }

  read(row: number, done: (bytes: Uint8Array | JournalError) => void): void {
    this.#disk.afterOperation(() => {
      if (!this.#plugged) return;
      done(this.#disk.rows.get(row)?.slice() ?? new JournalError('missing', `row ${row} is not there`, 'simulated disk'));
    });
  }

  checkpoint(row: number): void {
    this.#disk.checkpoint = row;
  }

  trim(row: number, keep: Uint32Array): void {
    const bytes = this.#disk.rows.get(row);
    if (row >= this.#disk.checkpoint) throw new RangeError(`trim of row ${row} at or after the checkpoint ${this.#disk.checkpoint}`);
    if (bytes !== undefined) this.#disk.rows.set(row, trimRow(bytes, keep));
  }

  discard(rows: readonly number[]): void {
    for (const row of rows) {
      if (row >= this.#disk.checkpoint) throw new RangeError(`discard of row ${row} at or after the checkpoint ${this.#disk.checkpoint}`);
      this.#disk.rows.delete(row);
    }
  }

  /** The process is gone: nothing is called any more. */
  unplug(): void {
    this.#plugged = false;
  }

  stats(): JournalStats {
    return { rows: this.#disk.rows.size, bytes: 0, storedBytes: 0, commits: 0, commitMs: 0 };
  }

  backup(): Promise<void> {
    return Promise.reject(new Error('the simulated disk has no backups'));
  }

  close(): Promise<void> {
    this.unplug();
    return Promise.resolve();
  }
}

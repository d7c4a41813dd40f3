// What the journal's thread does for its file between commits, in bounded steps: move the log into the main file, and give
// free space back to the file system.

import { statSync } from 'node:fs';
import type { JournalError } from '../journal.ts';
import { pageBytes } from './schema.ts';
import type { ShardFile } from './shard-file.ts';
import { toJournalError } from './sqlite-errors.ts';

/** Pages given back in one step: about 1 MB moved at most, a few milliseconds. */
const shrinkPages = 64;
/** Pause between steps while commits go on. */
const shrinkPauseMs = 50;
/** Free pages that are kept: rows come and go, and a file that breathes with them would be written twice. */
const keepFreePages = 256;
/** A log above this is cut to nothing when the journal is idle; below, its blocks stay as a reserve for a full disk. */
const keepLogBytes = 4 * 1024 * 1024;
/** A commit writes its rows and about this many other pages (inner pages of the trees, the free list). */
const pagesPerCommit = 3;

export type UpkeepOwner = {
  /** The disk refuses. */
  trouble(error: JournalError): void;
  /** The files may be larger or smaller now. */
  sizeChanged(): void;
};

export class Upkeep {
  readonly #file: ShardFile;
  readonly #walBytes: number;
  readonly #idleMs: number;
  readonly #owner: UpkeepOwner;
  /** About how much was written to the log since it was last moved into the main file. */
  #logBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #lastCommitMs = 0;
  #nextShrinkMs = 0;

  constructor(file: ShardFile, options: { walBytes: number; idleMs: number }, owner: UpkeepOwner) {
    this.#file = file;
    this.#walBytes = options.walBytes;
    this.#idleMs = options.idleMs;
    this.#owner = owner;
    this.#arm(this.#idleMs);
  }

  /** After each commit of `bytes`; `moreWaits` when the next one can begin at once. */
  afterCommit(bytes: number, moreWaits: boolean): void {
    this.#logBytes += bytes + pagesPerCommit * pageBytes;
    this.#lastCommitMs = performance.now();
    this.#arm(this.#idleMs);
    // Nobody waits: a short move now is better than a long one under load.
    if (this.#logBytes >= (moreWaits ? this.#walBytes : this.#walBytes / 4)) this.#try(() => this.#moveLog('PASSIVE'));
    if (this.#lastCommitMs < this.#nextShrinkMs) return;
    this.#nextShrinkMs = this.#lastCommitMs + shrinkPauseMs;
    const { free, all } = this.#file.pages();
    if (free > 16 * keepFreePages && free > all / 2) this.#try(() => this.#file.shrink(shrinkPages));
  }

  /** Before a stalled commit is tried again: empties the log so that its space can be used. False when the disk refuses that too. */
  makeRoom(): boolean {
    return this.#try(() => this.#moveLog('RESTART'));
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #moveLog(mode: 'PASSIVE' | 'RESTART' | 'TRUNCATE'): void {
    this.#file.flushLog(mode);
    this.#logBytes = 0;
  }

  #arm(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#whenIdle();
    }, ms);
  }

  #whenIdle(): void {
    const quietMs = performance.now() - this.#lastCommitMs;
    if (quietMs < this.#idleMs) return this.#arm(this.#idleMs - quietMs);
    const logSize = statSync(`${this.#file.path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    if (logSize > keepLogBytes) {
      if (!this.#try(() => this.#moveLog('TRUNCATE'))) return;
    } else if (this.#logBytes > 0 && !this.#try(() => this.#moveLog('PASSIVE'))) return;
    if (this.#file.pages().free <= keepFreePages) return;
    // The log that these steps write is moved and cut when the timer finds it.
    if (this.#try(() => this.#file.shrink(shrinkPages))) {
      this.#logBytes += shrinkPages * pageBytes;
      this.#arm(1);
    }
  }

  #try(step: () => void): boolean {
    try {
      step();
      this.#owner.sizeChanged();
      return true;
    } catch (error) {
      this.#owner.trouble(toJournalError(error, this.#file.path));
      return false;
    }
  }
}

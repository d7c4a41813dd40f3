// Messages that a queue or the retained set holds, and the memory their payloads take.
//
// A journaled message lives in a journal row; the row's bytes stay in memory while they are likely to be needed, and are read
// back when they were evicted. A message of a transient queue owns its payload and has no row.

import type { Message } from '../message/message.ts';
import type { Queue } from './queue.ts';

/** A row of a shard's journal with messages that are still wanted. */
export class StoredRow {
  readonly row: number;
  /** The row as written; undefined when evicted. */
  bytes: Uint8Array | undefined = undefined;
  /** Every message of this row that was ever wanted; those with no references left are skipped. */
  readonly messages: Stored[] = [];
  live = 0;
  liveBytes = 0;
  /** Length of the row as written. */
  length = 0;
  /** A read is under way. */
  loading = false;
  /** Queues to pump when it has been read. */
  waiting: Set<Queue> | undefined = undefined;

  constructor(row: number) {
    this.row = row;
  }
}

export class Stored {
  /** Decoded, while its row is in memory; always there for a message without a row. */
  message: Message | undefined;
  readonly home: StoredRow | undefined;
  /** Index of the record in its row. */
  readonly index: number;
  /** What it counts for in limits: topic, payload and a fixed overhead. */
  readonly bytes: number;
  readonly expiresAtMs: number;
  /** Queues and the retained set that hold it. */
  references = 0;

  constructor(message: Message | undefined, home: StoredRow | undefined, index: number, bytes: number, expiresAtMs: number) {
    this.message = message;
    this.home = home;
    this.index = index;
    this.bytes = bytes;
    this.expiresAtMs = expiresAtMs;
  }
}

/** What a stored message costs besides its topic and payload, for limits on bytes. */
const overheadBytes = 64;

export function storedBytes(message: Message): number {
  return overheadBytes + message.topicBytes.length + message.end - message.start;
}

/** Keeps the bytes of journal rows in memory up to a budget, shared by all shards of a node. Oldest loaded goes first. */
export class PayloadMemory {
  readonly #budgetBytes: number;
  #rows: StoredRow[] = [];
  #first = 0;
  #bytes = 0;
  /** Rows that were evicted while wanted, and rows read back. */
  readonly counters = { evictions: 0, loads: 0 };

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  hold(row: StoredRow, bytes: Uint8Array): void {
    row.bytes = bytes;
    this.#bytes += bytes.length;
    this.#rows.push(row);
  }

  release(row: StoredRow): void {
    if (row.bytes === undefined) return;
    this.#bytes -= row.bytes.length;
    row.bytes = undefined;
    for (const stored of row.messages) stored.message = undefined;
    this.#forgetReleased();
  }

  /** Lets go of the oldest rows until the budget holds. Rows for which `busy` holds are passed over. */
  evict(busy: (row: StoredRow) => boolean): void {
    if (this.#bytes <= this.#budgetBytes) return;
    const keep: StoredRow[] = [];
    while (this.#bytes > this.#budgetBytes && this.#first < this.#rows.length) {
      const row = this.#rows[this.#first++]!;
      if (row.bytes === undefined) continue;
      if (busy(row)) {
        keep.push(row);
        continue;
      }
      this.#bytes -= row.bytes.length;
      row.bytes = undefined;
      for (const stored of row.messages) stored.message = undefined;
      this.counters.evictions++;
    }
    this.#rows = [...keep, ...this.#rows.slice(this.#first)];
    this.#first = 0;
  }

  /** The list of rows is cleaned of released ones when most of it is. */
  #forgetReleased(): void {
    while (this.#first < this.#rows.length && this.#rows[this.#first]!.bytes === undefined) this.#first++;
    if (this.#first < 1024 || this.#first < this.#rows.length / 2) return;
    this.#rows = this.#rows.slice(this.#first).filter((row) => row.bytes !== undefined);
    this.#first = 0;
  }
}

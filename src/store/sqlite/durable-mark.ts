// How far a journal was durable, kept beside its file (`shard-0.db-durable`), so that the loss of its tail is noticed.
//
// SQLite takes a write-ahead log that was cut, damaged or deleted for one that was never written further, and would open
// without the rows it held. The mark says which row had been reported durable. It is written after the commit and without
// fsync: after a loss of power it may be older than the truth, never newer, and an older mark only notices less.
// It names the journal's identity, so that a restored backup (which gets a new identity) is not measured against it.

import * as fs from 'node:fs';
import { crc32 } from 'node:zlib';

export type Mark = { readonly journal: string; readonly row: number };

const slotBytes = 128;
const pattern = /^heliograph durable mark 1 ([0-9a-f-]{36}) (\d{16}) ([0-9a-f]{8}) *\n$/;

export function markPath(file: string): string {
  return `${file}-durable`;
}

/** The mark beside `file`; undefined when there is none that can be trusted. */
export function readMark(file: string): Mark | undefined {
  let text: Buffer;
  try {
    text = fs.readFileSync(markPath(file));
  } catch {
    return undefined;
  }
  const marks = [text.subarray(0, slotBytes), text.subarray(slotBytes, 2 * slotBytes)].map(parse).filter((mark) => mark !== undefined);
  return marks.sort((a, b) => b.row - a.row)[0];
}

/** Two slots are written in turn, so that a torn write leaves the other. */
export class MarkWriter {
  readonly #fd: number;
  readonly #journal: string;
  readonly #slot = Buffer.alloc(slotBytes);
  #second = false;

  /** @throws NodeJS.ErrnoException when the file cannot be created */
  constructor(file: string, mark: Mark) {
    this.#journal = mark.journal;
    this.#fd = fs.openSync(markPath(file), fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
    // Both slots, because one may be left of another journal that was here before a restore.
    this.write(mark.row);
    this.write(mark.row);
  }

  /** A mark that could not be written is an older mark: nothing is lost but watchfulness. */
  write(row: number): void {
    const slot = this.#slot;
    slot.fill(0x20);
    slot.write(format(this.#journal, row), 0, 'latin1');
    slot[slotBytes - 1] = 0x0a;
    try {
      fs.writeSync(this.#fd, slot, 0, slotBytes, this.#second ? slotBytes : 0);
      this.#second = !this.#second;
    } catch {
      // See above: a full disk is told by the commit, not by the mark.
    }
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

function format(journal: string, row: number): string {
  const what = `${journal} ${String(row).padStart(16, '0')}`;
  return `heliograph durable mark 1 ${what} ${crc32(what).toString(16).padStart(8, '0')}`;
}

function parse(slot: Buffer): Mark | undefined {
  const match = pattern.exec(slot.toString('latin1'));
  if (match === null) return undefined;
  const [, journal, row, crc] = match;
  if (crc32(`${journal} ${row}`).toString(16).padStart(8, '0') !== crc) return undefined;
  return { journal: journal!, row: Number(row) };
}

// A journal in a test's hands: opened with what it told kept, and compared byte for byte.

import assert from 'node:assert/strict';
import { JournalError, type Journal, type JournalErrorCode } from '../../src/store/journal.ts';
import { RecordedEvents } from './recorded-events.ts';

export type Opened = { journal: Journal; events: RecordedEvents; rows: Map<number, Uint8Array>; next: number };

export async function openJournal(journal: Journal): Promise<Opened> {
  const events = new RecordedEvents();
  const rows = new Map<number, Uint8Array>();
  const next = await journal.open(events, (row, bytes) => {
    if (rows.size > 0) assert.equal(row, [...rows.keys()].at(-1)! + 1, 'rows are replayed in order');
    rows.set(row, bytes.slice());
  });
  return { journal, events, rows, next };
}

export function readRow(journal: Journal, row: number): Promise<Uint8Array | JournalError> {
  return new Promise((resolve) => journal.read(row, resolve));
}

/** Reads a row that must be there. */
export async function readBytes(journal: Journal, row: number): Promise<Uint8Array> {
  const bytes = await readRow(journal, row);
  if (bytes instanceof JournalError) throw bytes;
  return bytes;
}

export function isJournalError(code: JournalErrorCode, ...says: RegExp[]): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof JournalError, String(error));
    assert.equal(error.code, code, error.message);
    for (const pattern of says) assert.match(error.message, pattern);
    return true;
  };
}

/** Bytes that can be told from those of any other row. */
export function bytesOf(row: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let x = row;
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) | 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

/** As deepEqual, without its price for millions of bytes. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

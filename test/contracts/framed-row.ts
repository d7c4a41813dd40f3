// Rows in the framing of src/store/row.ts, made apart from the code that reads it.

import { forEachRecord, wholeRow } from '../../src/store/row.ts';

export function frameRow(bodies: readonly Uint8Array[], kind = 7): Uint8Array {
  const pieces: Uint8Array[] = [Uint8Array.of(wholeRow)];
  for (const body of bodies) {
    const head: number[] = [];
    let rest = body.length;
    for (; rest >= 128; rest >>>= 7) head.push((rest & 127) | 128);
    head.push(rest, kind);
    pieces.push(Uint8Array.from(head), body);
  }
  return new Uint8Array(Buffer.concat(pieces));
}

/** The records of a row by their index. */
export function recordsOf(row: Uint8Array): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  forEachRecord(row, (index, _kind, start, end) => found.set(index, row.slice(start, end)));
  return found;
}

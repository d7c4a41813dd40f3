// Rows in the framing of src/store/row.ts, made apart from the code that reads it.

import { forEachRecord, wholeRow } from '../../src/store/row.ts';

export function frameRow(bodies: readonly Uint8Array[], kind = 7): Uint8Array {
  const out: number[] = [wholeRow];
  for (const body of bodies) {
    let rest = body.length;
    for (; rest >= 128; rest >>>= 7) out.push((rest & 127) | 128);
    out.push(rest, kind);
    for (const byte of body) out.push(byte);
  }
  return Uint8Array.from(out);
}

/** The records of a row by their index. */
export function recordsOf(row: Uint8Array): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  forEachRecord(row, (index, _kind, start, end) => found.set(index, row.slice(start, end)));
  return found;
}

// The framing of a journal row: a format byte, then records.
//
//   whole row:    1, then per record: body length (varint), kind (1 byte), body
//   trimmed row:  2, then per record: its index in the whole row (varint), body length (varint), kind, body
//
// A record is addressed by its row and its index in the whole row, so that trimming a row moves nothing.

export const wholeRow = 1;
export const trimmedRow = 2;

/** A row is not framed as it says: the bytes were changed behind our back, or written by another program. */
export class RowError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RowError';
  }
}

/** Called per record; the body is `bytes[start..end)`. */
export type RecordVisitor = (index: number, kind: number, start: number, end: number) => void;

/**
 * Walks the records of a row in order.
 * @throws RowError when the framing does not hold
 */
export function forEachRecord(bytes: Uint8Array, visit: RecordVisitor): void {
  const format = bytes[0];
  if (format !== wholeRow && format !== trimmedRow) throw new RowError(`unknown row format ${String(format)}`);
  const cursor = { at: 1 };
  for (let next = 0; cursor.at < bytes.length; next++) {
    const index = format === trimmedRow ? readVarint(bytes, cursor) : next;
    const length = readVarint(bytes, cursor);
    const start = cursor.at + 1;
    const end = start + length;
    if (end > bytes.length) throw new RowError(`record ${index} ends at ${end}, after the row's ${bytes.length} bytes`);
    visit(index, bytes[cursor.at]!, start, end);
    cursor.at = end;
  }
}

/** The row with only the records whose index is in `keep` (ascending). */
export function trimRow(bytes: Uint8Array, keep: Uint32Array): Uint8Array {
  const pieces: Uint8Array[] = [Uint8Array.of(trimmedRow)];
  let k = 0;
  forEachRecord(bytes, (index, kind, start, end) => {
    while (k < keep.length && keep[k]! < index) k++;
    if (keep[k] !== index) return;
    pieces.push(varint(index), varint(end - start), Uint8Array.of(kind), bytes.subarray(start, end));
  });
  return concat(pieces);
}

function readVarint(bytes: Uint8Array, cursor: { at: number }): number {
  let value = 0;
  let scale = 1;
  for (let i = 0; i < 7; i++) {
    const byte = bytes[cursor.at++];
    if (byte === undefined) throw new RowError('row ends within a length');
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    scale *= 128;
  }
  throw new RowError('length longer than 7 bytes');
}

function varint(value: number): Uint8Array {
  const out: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    out.push((rest % 128) | 0x80);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
  return Uint8Array.from(out);
}

function concat(pieces: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

// What the main thread asks the journal's thread to do, in order. Packed into one array of numbers per turn of the event
// loop, because cloning one flat array (0.4 µs for a row) costs the main thread far less than an object per operation; a
// typed array would cost more than a plain one until it holds hundreds of numbers.
//
//   append      1, row, chunk, start, length     the bytes are in shared memory: chunk[start, start + length)
//   checkpoint  2, row
//   trim        3, row, count, indexes…
//   discard     4, count, rows…

export type Operation =
  | { readonly kind: 'append'; readonly row: number; readonly bytes: Uint8Array }
  | { readonly kind: 'checkpoint'; readonly row: number }
  | { readonly kind: 'trim'; readonly row: number; readonly keep: Uint32Array }
  | { readonly kind: 'discard'; readonly rows: readonly number[] };

/** Rows per discard operation: bounds what one transaction deletes. */
export const maxDiscardRows = 1024;

export function packAppend(into: number[], row: number, chunk: number, start: number, length: number): void {
  into.push(1, row, chunk, start, length);
}

export function packCheckpoint(into: number[], row: number): void {
  into.push(2, row);
}

export function packTrim(into: number[], row: number, keep: Uint32Array): void {
  into.push(3, row, keep.length);
  for (const index of keep) into.push(index);
}

export function packDiscard(into: number[], rows: readonly number[]): void {
  for (let from = 0; from < rows.length; from += maxDiscardRows) {
    const some = rows.slice(from, from + maxDiscardRows);
    into.push(4, some.length);
    for (const row of some) into.push(row);
  }
}

/** @throws Error when the array is not what the functions above write */
export function unpack(packed: readonly number[], chunk: (id: number) => Uint8Array, visit: (operation: Operation) => void): void {
  let at = 0;
  const next = (): number => packed[at++]!;
  while (at < packed.length) {
    const kind = next();
    if (kind === 1) {
      const row = next();
      const bytes = chunk(next());
      const start = next();
      visit({ kind: 'append', row, bytes: bytes.subarray(start, start + next()) });
    } else if (kind === 2) {
      visit({ kind: 'checkpoint', row: next() });
    } else if (kind === 3) {
      const row = next();
      const count = next();
      visit({ kind: 'trim', row, keep: Uint32Array.from(packed.slice(at, at + count)) });
      at += count;
    } else if (kind === 4) {
      const count = next();
      visit({ kind: 'discard', rows: packed.slice(at, at + count) });
      at += count;
    } else throw new Error(`unknown journal operation ${kind}`);
  }
}

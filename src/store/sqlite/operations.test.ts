import assert from 'node:assert/strict';
import { test } from 'node:test';
import { maxDiscardRows, packAppend, packCheckpoint, packDiscard, packTrim, unpack, type Operation } from './operations.ts';

function unpacked(packed: readonly number[], chunks: readonly Uint8Array[] = []): Operation[] {
  const found: Operation[] = [];
  unpack(
    packed,
    (id) => chunks[id]!,
    (operation) => found.push(operation),
  );
  return found;
}

test('operations come out as they went in, in order', () => {
  const packed: number[] = [];
  packAppend(packed, 2 ** 40, 1, 2, 3);
  packTrim(packed, 7, Uint32Array.of(0, 4_000_000_000));
  packTrim(packed, 8, new Uint32Array(0));
  packCheckpoint(packed, 9);
  packDiscard(packed, [1, 5]);
  packAppend(packed, 2 ** 40 + 1, 0, 0, 0);
  assert.deepEqual(unpacked(packed, [Uint8Array.of(1), Uint8Array.of(9, 9, 1, 2, 3, 9)]), [
    { kind: 'append', row: 2 ** 40, bytes: Uint8Array.of(1, 2, 3) },
    { kind: 'trim', row: 7, keep: Uint32Array.of(0, 4_000_000_000) },
    { kind: 'trim', row: 8, keep: new Uint32Array(0) },
    { kind: 'checkpoint', row: 9 },
    { kind: 'discard', rows: [1, 5] },
    { kind: 'append', row: 2 ** 40 + 1, bytes: new Uint8Array(0) },
  ]);
});

test('a long discard becomes several, so that one transaction is bounded', () => {
  const rows = Array.from({ length: maxDiscardRows * 2 + 1 }, (_, i) => i);
  const packed: number[] = [];
  packDiscard(packed, rows);
  const found = unpacked(packed);
  assert.equal(found.length, 3);
  assert.deepEqual(
    found.flatMap((operation) => (operation.kind === 'discard' ? operation.rows : [])),
    rows,
  );
});

test('nothing packs to nothing, and an unknown operation is a bug', () => {
  const packed: number[] = [];
  packDiscard(packed, []);
  assert.deepEqual(packed, []);
  assert.throws(() => unpacked([5]), /unknown journal operation 5/);
});

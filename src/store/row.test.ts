import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { forEachRecord, RowError, trimmedRow, trimRow, wholeRow } from './row.ts';

type Record = { readonly kind: number; readonly body: Uint8Array };

const records = fc.array(fc.record({ kind: fc.nat(255), body: fc.uint8Array({ maxLength: 300 }) }, { noNullPrototype: true }), {
  maxLength: 40,
});

/** Written from the description at the top of row.ts, apart from the code under test. */
function frame(records: readonly Record[]): Uint8Array {
  const out: number[] = [wholeRow];
  for (const { kind, body } of records) {
    let rest = body.length;
    for (; rest >= 128; rest >>>= 7) out.push((rest & 127) | 128);
    out.push(rest, kind, ...body);
  }
  return Uint8Array.from(out);
}

function unframe(bytes: Uint8Array): Map<number, Record> {
  const found = new Map<number, Record>();
  forEachRecord(bytes, (index, kind, start, end) => found.set(index, { kind, body: bytes.slice(start, end) }));
  return found;
}

test('a whole row gives back its records in order, indexed from 0', () => {
  fc.assert(
    fc.property(records, (input) => {
      const found = unframe(frame(input));
      assert.deepEqual([...found.keys()], [...input.keys()]);
      assert.deepEqual([...found.values()], input);
    }),
  );
});

test('trimming keeps the chosen records under their indexes, also when it is done again', () => {
  fc.assert(
    fc.property(records, fc.array(fc.boolean()), fc.array(fc.boolean()), (input, first, second) => {
      const indexes = [...input.keys()];
      const once = indexes.filter((index) => first[index] === true);
      const twice = once.filter((index) => second[index] === true);
      const trimmed = trimRow(frame(input), Uint32Array.from(once));
      assert.equal(trimmed[0], trimmedRow);
      assert.deepEqual(unframe(trimmed), new Map(once.map((index) => [index, input[index]!])));
      const again = trimRow(trimmed, Uint32Array.from(twice));
      assert.deepEqual(unframe(again), new Map(twice.map((index) => [index, input[index]!])));
      assert.deepEqual(trimRow(trimmed, Uint32Array.from(once)), trimmed, 'trimming to the same records changes nothing');
    }),
  );
});

test('indexes that a row does not have are passed over', () => {
  const row = frame([
    { kind: 1, body: Uint8Array.of(10) },
    { kind: 2, body: Uint8Array.of(20) },
  ]);
  assert.deepEqual([...unframe(trimRow(row, Uint32Array.of(1, 7, 4_000_000_000))).keys()], [1]);
});

test('garbage is refused with RowError or walked within its bytes, and never anything else', () => {
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Uint8Array.of(wholeRow, ...bytes)),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Uint8Array.of(trimmedRow, ...bytes)),
  );
  const keep = fc.uint32Array({ maxLength: 5 }).map((indexes) => indexes.sort());
  fc.assert(
    fc.property(garbage, keep, (bytes, indexes) => {
      try {
        forEachRecord(bytes, (_index, kind, start, end) => {
          assert.ok(Number.isInteger(kind) && start <= end && end <= bytes.length);
        });
        trimRow(bytes, indexes);
      } catch (error) {
        assert.ok(error instanceof RowError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test('a row cut at any byte is refused, unless the cut is between records', () => {
  fc.assert(
    fc.property(records, (input) => {
      const row = frame(input);
      const boundaries = new Set([1]);
      forEachRecord(row, (_index, _kind, _start, end) => boundaries.add(end));
      for (let length = 0; length < row.length; length++) {
        if (boundaries.has(length)) assert.doesNotThrow(() => unframe(row.subarray(0, length)));
        else assert.throws(() => unframe(row.subarray(0, length)), RowError);
      }
    }),
    { numRuns: 30 },
  );
});

test('an empty row, an unknown format and a length without end are refused', () => {
  assert.throws(() => unframe(new Uint8Array(0)), RowError);
  assert.throws(() => unframe(Uint8Array.of(3)), RowError);
  assert.throws(() => unframe(Uint8Array.of(wholeRow, 255, 255, 255, 255, 255, 255, 255, 0)), RowError);
  assert.deepEqual(unframe(Uint8Array.of(wholeRow)), new Map());
});

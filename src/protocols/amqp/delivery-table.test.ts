import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DeliveryTable } from './delivery-table.ts';
import { isBefore, serialAdd, serialDistance } from './serial.ts';

test('serial numbers wrap', () => {
  assert.equal(serialAdd(0xffff_ffff, 1), 0);
  assert.equal(serialAdd(0, -1), 0xffff_ffff);
  assert.equal(serialDistance(0xffff_ffff, 1), 2);
  assert.equal(serialDistance(1, 0xffff_ffff), -2);
  assert.ok(isBefore(0xffff_fff0, 5));
  assert.ok(!isBefore(5, 5));
});

type Step =
  | { readonly kind: 'add'; readonly gap: number }
  | { readonly kind: 'visit'; readonly from: number; readonly length: number; readonly keeps: boolean }
  | { readonly kind: 'remove'; readonly back: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('add' as const), gap: fc.constantFrom(0, 0, 0, 1, 5, 9000) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('visit' as const),
      from: fc.nat(40),
      length: fc.constantFrom(0, 0, 1, 10, 100_000),
      keeps: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), back: fc.nat(40) }) },
);

test('the table finds what a map would', () => {
  fc.assert(
    fc.property(fc.constantFrom<number[]>(0, 100, 0xffff_ffe0), fc.array(step, { maxLength: 200 }), (first, steps) => {
      const table = new DeliveryTable<string>();
      const model = new Map<number, number>();
      let next = first;
      let key = 0;
      for (const one of steps) {
        if (one.kind === 'add') {
          next = serialAdd(next, one.gap);
          table.add(next, 'link', ++key);
          model.set(next, key);
          next = serialAdd(next, 1);
        } else if (one.kind === 'remove') {
          const id = serialAdd(next, -one.back);
          assert.equal(table.remove(id), model.delete(id));
        } else {
          const from = serialAdd(next, -one.from);
          const last = serialAdd(from, one.length);
          const seen: number[] = [];
          table.visit(from, last, (_owner, itsKey, id) => {
            seen.push(itsKey);
            assert.equal(model.get(id), itsKey);
            return !one.keeps;
          });
          const expected = [...model].filter(([id]) => !isBefore(id, from) && !isBefore(last, id));
          assert.deepEqual(
            seen.toSorted((a, b) => a - b),
            expected.map(([, itsKey]) => itsKey).toSorted((a, b) => a - b),
          );
          if (!one.keeps) for (const [id] of expected) model.delete(id);
        }
        assert.equal(table.size, model.size);
      }
    }),
    { numRuns: 300 },
  );
});

test('what stays unsettled while very many others come and go is still found', () => {
  const table = new DeliveryTable<object>();
  const slow = {};
  const quick = {};
  table.add(0, slow, 7);
  for (let id = 1; id < 50_000; id++) {
    table.add(id, quick, 1);
    table.visit(id, id, () => true);
  }
  assert.equal(table.size, 1);
  assert.equal(table.ownerOf(0), slow);
  const seen: number[] = [];
  table.visit(0, 60_000, (_owner, key) => seen.push(key) > 0);
  assert.deepEqual(seen, [7]);
  assert.equal(table.size, 0);
});

test('a link takes its deliveries with it', () => {
  const table = new DeliveryTable<string>();
  for (let id = 0; id < 20_000; id++) table.add(id, id % 2 === 0 ? 'even' : 'odd', id);
  table.removeAll('even');
  assert.equal(table.size, 10_000);
  assert.equal(table.ownerOf(2), undefined);
  assert.equal(table.ownerOf(3), 'odd');
});

test('delivery-ids that come again or too late replace each other', () => {
  const table = new DeliveryTable<string>();
  table.add(5, 'a', 1);
  table.add(5, 'b', 2);
  table.add(3, 'c', 3);
  assert.equal(table.size, 2);
  assert.deepEqual([table.ownerOf(5), table.ownerOf(3)], ['b', 'c']);
  const seen: number[] = [];
  table.visit(0, 10, (_owner, key) => seen.push(key) > 0);
  assert.deepEqual(seen, [2, 3]);
  assert.equal(table.size, 0);
});

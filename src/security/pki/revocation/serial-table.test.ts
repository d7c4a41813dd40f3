import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SerialTable } from './serial-table.ts';

const serials = fc.bigInt({ min: 0n, max: 2n ** 160n - 1n }).map((n) => n.toString(16));

test('it holds what a map would hold', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.oneof(serials, fc.constantFrom('1', '2', 'ff')), fc.nat(255))), serials, (list, other) => {
      const table = new SerialTable(7);
      const model = new Map<string, number>();
      for (const [serial, value] of list) {
        table.set(serial, value);
        model.set(serial, value);
      }
      assert.deepEqual(new Map(table), model);
      assert.equal(table.size, model.size);
      for (const [serial] of list) assert.equal(table.get(serial), model.get(serial));
      assert.equal(table.get(other), model.get(other));
      assert.equal(table.get('f'.repeat(41)), undefined);
    }),
  );
});

test('100,000 serial numbers take a few megabytes', () => {
  const table = new SerialTable(1);
  for (let n = 0; n < 100_000; n++) table.set((n * 7919).toString(16), n % 9);
  assert.equal(table.size, 100_000);
  assert.equal(table.get((99_999 * 7919).toString(16)), 99_999 % 9);
  assert.equal(table.get((99_999 * 7919 + 1).toString(16)), undefined);
  assert.ok(table.bytes < 4.5e6, `${table.bytes} bytes`);
});

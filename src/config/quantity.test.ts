import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatQuantity, parseQuantity } from './quantity.ts';

test('what is formatted is read back', () => {
  for (const unit of ['ms', 'sec', 'bytes'] as const) {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(1, 60, 1000, 1024, 3600, 1024 ** 2), (n, scale) => {
        assert.equal(parseQuantity(unit, formatQuantity(unit, n * scale)), n * scale);
      }),
      { numRuns: 100 },
    );
  }
});

test('only known units, whole results, and no names of Object.prototype', () => {
  assert.equal(parseQuantity('ms', '1.5s'), 1500);
  assert.equal(parseQuantity('ms', ' 2 min '), 120_000);
  assert.equal(parseQuantity('bytes', '1kB'), 1000);
  for (const text of ['5', '5m', '5MiB', '-5s', '0.0001s', '1e3s', 's', '', '5constructor', '99999999999999d']) {
    assert.equal(parseQuantity('ms', text), undefined, text);
  }
});

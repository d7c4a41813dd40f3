import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Latencies } from './latencies.ts';

test('quantiles are those of the durations, to about 2%', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 100_000_000 }), { minLength: 1 }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (micros, part) => {
        const latencies = new Latencies();
        for (const each of micros) latencies.add(each / 1000);
        const sorted = micros.toSorted((a, b) => a - b);
        const exact = sorted[Math.ceil(part * sorted.length) - 1]!;
        const told = latencies.quantileMs(part) * 1000;
        assert.ok(told >= exact - 0.5 && told <= exact * 1.02 + 0.5, `${told} for ${exact}`);
      },
    ),
  );
});

test('nothing measured is 0', () => {
  assert.equal(new Latencies().quantileMs(0.99), 0);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Deadlines, type Timed } from './deadlines.ts';

test('the earliest comes first, however deadlines change', () => {
  const steps = fc.array(fc.tuple(fc.nat(9), fc.oneof(fc.nat(50), fc.constant(Infinity))), { maxLength: 100 });
  fc.assert(
    fc.property(steps, (changes) => {
      const deadlines = new Deadlines<Timed>();
      const items = Array.from({ length: 10 }, (): Timed => ({ deadline: Infinity, heapIndex: -1 }));
      for (const [i, deadline] of changes) {
        deadlines.set(items[i]!, deadline);
        assert.equal(deadlines.next, Math.min(...items.map((item) => item.deadline)));
      }
      const left = items.map(({ deadline }) => deadline).filter((deadline) => deadline <= 40);
      const taken: number[] = [];
      for (;;) {
        const before = deadlines.next;
        if (deadlines.takeDue(40) === undefined) break;
        taken.push(before);
      }
      assert.deepEqual(
        taken,
        left.toSorted((a, b) => a - b),
      );
    }),
    { numRuns: 200 },
  );
});

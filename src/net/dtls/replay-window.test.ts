import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ReplayWindow } from './replay-window.ts';

test('a number is fresh once, and what lies 64 or more behind the newest never is', () => {
  const jump = fc.oneof(fc.integer({ min: -80, max: 80 }), fc.constantFrom(-64, -63, -32, -31, 31, 32, 33, 63, 64, 65, 5000));
  fc.assert(
    fc.property(fc.array(jump, { maxLength: 200 }), fc.constantFrom(0, 5, 2 ** 40), (jumps, start) => {
      const window = new ReplayWindow();
      const seen = new Set<number>();
      let top = -1;
      let at = start;
      for (const by of jumps) {
        at = Math.max(0, Math.max(top, start) + by);
        const expected = !seen.has(at) && at > top - 64;
        assert.equal(window.isFresh(at), expected, `${at} below ${top}`);
        assert.equal(window.isNewest(at), at > top);
        if (!expected) continue;
        window.accept(at);
        seen.add(at);
        top = Math.max(top, at);
      }
    }),
    { numRuns: 300 },
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ReplayWindow } from './replay-window.ts';

test('nothing is new twice, and what is in the window is new once', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 70 }), fc.array(fc.nat({ max: 200 }), { maxLength: 200 }), (size, numbers) => {
      const window = new ReplayWindow(size);
      const accepted = new Set<number>();
      let newest = -1;
      for (const number of numbers) {
        const expected = !accepted.has(number) && number > newest - size;
        assert.equal(window.isNew(number), expected, `${number} with ${newest} the newest`);
        if (!expected) continue;
        window.accept(number);
        accepted.add(number);
        newest = Math.max(newest, number);
      }
    }),
  );
});

test('a window that was put away and restored, in whatever size, takes nothing twice and nothing that it did not know', () => {
  const sizes = fc.integer({ min: 1, max: 70 });
  fc.assert(
    fc.property(sizes, sizes, fc.array(fc.nat({ max: 200 }), { maxLength: 60 }), (size, nextSize, numbers) => {
      const before = new ReplayWindow(size);
      for (const number of numbers) if (before.isNew(number)) before.accept(number);
      const after = new ReplayWindow(nextSize);
      after.restore(before.newest, before.toText());
      for (let number = 0; number < 210; number++) {
        const expected = before.isNew(number) && number > before.newest - nextSize;
        assert.equal(after.isNew(number), expected, `${number}`);
      }
    }),
  );
});

test('a window that is closed takes only what is above', () => {
  const window = new ReplayWindow(8);
  window.closeUpTo(19);
  assert.deepEqual(
    [12, 18, 19, 20, 21].filter((number) => window.isNew(number)),
    [20, 21],
  );
  window.accept(22);
  assert.deepEqual(
    [18, 19, 20, 21, 22, 23].filter((number) => window.isNew(number)),
    [20, 21, 23],
  );
});

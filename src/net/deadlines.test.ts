import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { Deadlines, type HasDeadline } from './deadlines.ts';
import { NetLoop } from './loop.ts';

type Item = HasDeadline & { readonly name: number };

function stand() {
  const clock = Object.assign(new ManualClock(), { refresh: () => {} });
  const loop = new NetLoop({ clock, log: silentLog, highWaterBytes: 1, lowWaterBytes: 1 });
  const called: [name: number, atMs: number][] = [];
  const deadlines = new Deadlines<Item>(loop, ({ name }) => called.push([name, clock.monotonicMs()]));
  const item = (name: number): Item => ({ name, dueMs: Infinity, heapMs: Infinity, heapIndex: -1 });
  const pass = (ms: number): void => {
    clock.advance(ms);
    loop.timers.advance(clock.monotonicMs());
  };
  return { clock, loop, called, deadlines, item, pass };
}

test('each is called once, at the last deadline it was given', (t) => {
  const { loop, called, deadlines, item, pass } = stand();
  t.after(() => loop.stop());
  const [a, b, c] = [item(1), item(2), item(3)] as [Item, Item, Item];
  deadlines.set(a, 10);
  deadlines.set(b, 5);
  deadlines.set(c, 7);
  deadlines.set(b, 20);
  deadlines.set(c, Infinity);
  pass(12);
  assert.deepEqual(called, [[1, 12]]);
  pass(8);
  assert.deepEqual(called, [
    [1, 12],
    [2, 20],
  ]);
  assert.equal(deadlines.size, 0);
  deadlines.set(a, 30);
  deadlines.remove(a);
  pass(100);
  assert.equal(called.length, 2);
});

test('one that wants to be called at once again waits for the next round', (t) => {
  const clock = Object.assign(new ManualClock(), { refresh: () => {} });
  const loop = new NetLoop({ clock, log: silentLog, highWaterBytes: 1, lowWaterBytes: 1 });
  t.after(() => loop.stop());
  let calls = 0;
  const again: Item = { name: 1, dueMs: Infinity, heapMs: Infinity, heapIndex: -1 };
  const deadlines = new Deadlines<Item>(loop, (item) => {
    calls++;
    if (calls < 5) deadlines.set(item, clock.monotonicMs() + 1);
  });
  deadlines.set(again, 0);
  for (let i = 0; i < 10; i++) {
    clock.advance(1);
    loop.timers.advance(clock.monotonicMs());
  }
  assert.equal(calls, 5);
});

test('behaves as a plain list of deadlines would', () => {
  const command = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), who: fc.nat(9), inMs: fc.oneof(fc.nat(50), fc.constant(Infinity)) }),
    fc.record({ kind: fc.constant('remove' as const), who: fc.nat(9), inMs: fc.constant(0) }),
    fc.record({ kind: fc.constant('pass' as const), who: fc.constant(0), inMs: fc.nat(40) }),
  );
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
      const { clock, loop, called, deadlines, item, pass } = stand();
      const items = Array.from({ length: 10 }, (_, i) => item(i));
      const wanted = new Map<number, number>();
      for (const { kind, who, inMs } of commands) {
        if (kind === 'pass') {
          const before = called.length;
          pass(inMs);
          const due = [...wanted].filter(([, atMs]) => atMs <= clock.monotonicMs()).map(([name]) => name);
          assert.deepEqual(
            called
              .slice(before)
              .map(([name]) => name)
              .toSorted(),
            due.toSorted(),
          );
          for (const name of due) wanted.delete(name);
        } else if (kind === 'set') {
          deadlines.set(items[who]!, clock.monotonicMs() + inMs);
          wanted.set(who, clock.monotonicMs() + inMs);
        } else {
          deadlines.remove(items[who]!);
          wanted.delete(who);
        }
      }
      loop.stop();
    }),
    { numRuns: 200 },
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, until } from '../../test/harness/net/stand.ts';

test('tasks of the end of a turn run in it, later ones after it', async (t) => {
  const { loop } = new Stand(t);
  const seen: string[] = [];
  loop.later(() => {
    seen.push(`later ${loop.turns}`);
    loop.atEnd(() => seen.push(`its end ${loop.turns}`));
  });
  loop.atEnd(() => {
    seen.push(`end ${loop.turns}`);
    loop.atEnd(() => seen.push(`added ${loop.turns}`));
  });
  await until(() => seen.length === 4);
  assert.deepEqual(seen, ['end 1', 'added 1', 'later 2', 'its end 2']);
});

test('a task that throws does not take the others with it', async (t) => {
  const broken: unknown[] = [];
  const { loop, errors } = new Stand(t, { onInvariantBroken: (error) => broken.push(error) });
  let ran = 0;
  loop.atEnd(() => {
    throw new Error('first');
  });
  loop.atEnd(() => ran++);
  loop.later(() => {
    throw new Error('third');
  });
  loop.later(() => ran++);
  await until(() => ran === 2);
  assert.deepEqual(errors, ['a connection’s handler failed: first', 'a connection’s handler failed: third']);
  assert.equal(broken.length, 2);
  assert.equal(loop.brokenInvariants, 2);
});

test('the clock moves once a turn', async (t) => {
  let refreshed = 0;
  const clock = {
    refresh: () => {
      refreshed++;
    },
    wallMs: () => 0,
    monotonicMs: () => 0,
  };
  const stand = new Stand(t, { clock });
  let done = false;
  for (let i = 0; i < 10; i++) stand.loop.enterTurn();
  stand.loop.atEnd(() => {
    done = true;
  });
  await until(() => done);
  assert.equal(refreshed, 1);
});

test('the earliest of many deadlines wakes the loop', async (t) => {
  const { loop } = new Stand(t);
  const seen: number[] = [];
  const start = performance.now();
  for (const after of [10_000, 20, 10, 5000, 1]) {
    loop.timers.at(start + after, () => seen.push(after));
    loop.wakeAt(start + after);
  }
  await until(() => seen.length === 3);
  assert.deepEqual(seen, [1, 10, 20]);
  assert.ok(performance.now() >= start + 20);
});

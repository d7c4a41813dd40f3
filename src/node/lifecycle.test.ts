import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../base/log.ts';
import { Lifecycle } from './lifecycle.ts';
import type { Part } from './part.ts';

const budgetMs = 60_000;

function recorder() {
  const calls: string[] = [];
  const part = (name: string, change: Partial<Part> = {}): Part => ({
    name,
    start: () => void calls.push(`start ${name}`),
    stop: () => void calls.push(`stop ${name}`),
    ...change,
  });
  return { calls, part };
}

test('parts start in order and stop in the opposite order', async () => {
  const { calls, part } = recorder();
  const life = new Lifecycle([part('a'), part('b')], silentLog);
  await life.start(budgetMs);
  assert.equal(await life.stop(budgetMs), true);
  assert.deepEqual(calls, ['start a', 'start b', 'stop b', 'stop a']);
});

test('when a part cannot start, those before it are stopped and its error is told', async () => {
  const { calls, part } = recorder();
  const refuse = () => Promise.reject(new Error('port in use'));
  const life = new Lifecycle([part('a'), part('b', { start: refuse }), part('c')], silentLog);
  await assert.rejects(life.start(budgetMs), /port in use/);
  assert.deepEqual(calls, ['start a', 'stop a']);
});

test('a part that does not stop is given up, and the others are still stopped', async () => {
  const { calls, part } = recorder();
  const life = new Lifecycle([part('a'), part('b', { stop: () => new Promise(() => {}) })], silentLog);
  await life.start(budgetMs);
  assert.equal(await life.stop(1), false);
  assert.deepEqual(calls, ['start a', 'start b', 'stop a']);
});

test('a part that fails to stop does not keep the others from it', async () => {
  const { calls, part } = recorder();
  const fail = () => {
    throw new Error('no');
  };
  const life = new Lifecycle([part('a'), part('b', { stop: fail })], silentLog);
  await life.start(budgetMs);
  assert.equal(await life.stop(budgetMs), false);
  assert.deepEqual(calls, ['start a', 'start b', 'stop a']);
});

test('a stop during the start waits for the part under way and begins no other', async () => {
  const { calls, part } = recorder();
  const opening = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const slow = async () => {
    calls.push('start b');
    begun.resolve();
    await opening.promise;
  };
  const life = new Lifecycle([part('a'), part('b', { start: slow }), part('c')], silentLog);
  const started = life.start(budgetMs);
  await begun.promise;
  const stopped = life.stop(budgetMs);
  opening.resolve();
  await started;
  assert.equal(await stopped, true);
  assert.deepEqual(calls, ['start a', 'start b', 'stop b', 'stop a']);
});

test('stopping twice stops once', async () => {
  const { calls, part } = recorder();
  const life = new Lifecycle([part('a')], silentLog);
  await life.start(budgetMs);
  await Promise.all([life.stop(budgetMs), life.stop(budgetMs)]);
  assert.deepEqual(calls, ['start a', 'stop a']);
});

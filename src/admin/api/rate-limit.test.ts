import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { RateLimit } from './rate-limit.ts';
import { TestApi } from './testing/test-api.ts';

test('a burst of two seconds is let through, then as many as the rate says', () => {
  const clock = new ManualClock(0);
  const limit = new RateLimit(clock, () => 10);
  const taken = (key: string, tries: number): number => {
    let count = 0;
    for (let i = 0; i < tries; i++) if (limit.take(key) === 0) count++;
    return count;
  };
  assert.equal(taken('a', 50), 20);
  assert.equal(limit.take('a'), 1);
  assert.equal(limit.refused, 31);
  assert.equal(taken('b', 50), 20, 'each has its own');
  clock.advance(500);
  assert.equal(taken('a', 50), 5);
  clock.advance(60_000);
  assert.equal(taken('a', 50), 20);
});

test('many keys are forgotten, one that asks all the time is not', () => {
  const limit = new RateLimit(new ManualClock(0), () => 1);
  limit.take('a');
  limit.take('a');
  for (let i = 0; i < 30_000; i++) {
    limit.take(`other ${i}`);
    if (i % 1000 === 0) assert.equal(limit.take('a'), 1);
  }
});

test('who asks too often is told when to come again', async (t) => {
  const api = await TestApi.open(t);
  api.settings = { ...api.settings, requestsPerSecond: 2 };
  const statuses: number[] = [];
  for (let i = 0; i < 6; i++) statuses.push((await api.ask('GET', '/config')).status);
  assert.deepEqual(statuses, [200, 200, 200, 200, 429, 429]);
  const { headers, body } = await api.ask('GET', '/config');
  assert.deepEqual([headers['retry-after'], body.code], ['1', 'too-many-requests']);
  api.clock.advance(1000);
  assert.equal((await api.ask('GET', '/config')).status, 200);
});

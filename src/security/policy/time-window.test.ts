import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { days, momentOf, timeOfDay, TimeWindow } from './time-window.ts';
import type { TimeCondition } from './time-window.ts';

const holds = (condition: TimeCondition, at: string): boolean => new TimeWindow(condition).holds(Date.parse(at));

test('times and moments are read strictly', () => {
  assert.equal(timeOfDay('00:00'), 0);
  assert.equal(timeOfDay('24:00'), 86_400_000);
  for (const bad of ['24:01', '7:00', '12:60', '12', '', '25:00', '12:00:00']) assert.equal(timeOfDay(bad), undefined, bad);
  assert.equal(momentOf('2026-01-31T06:30:00Z'), Date.UTC(2026, 0, 31, 6, 30));
  assert.equal(momentOf('2026-01-31T06:30Z'), Date.UTC(2026, 0, 31, 6, 30));
  for (const bad of [
    '2026-02-30T00:00:00Z',
    '2026-01-31',
    '2026-01-31T06:30:00',
    '2026-01-31T06:30:00+01:00',
    '2026-01-31T25:00:00Z',
    'now',
  ]) {
    assert.equal(momentOf(bad), undefined, bad);
  }
});

test('windows in the day, over midnight, on days, between moments', () => {
  // 2026-03-04 is a Wednesday.
  assert.equal(holds({ from: '08:00', until: '17:00' }, '2026-03-04T08:00:00Z'), true);
  assert.equal(holds({ from: '08:00', until: '17:00' }, '2026-03-04T17:00:00Z'), false);
  assert.equal(holds({ from: '22:00', until: '06:00', days: ['wed'] }, '2026-03-04T23:00:00Z'), true);
  assert.equal(holds({ from: '22:00', until: '06:00', days: ['wed'] }, '2026-03-05T05:59:59Z'), true);
  assert.equal(holds({ from: '22:00', until: '06:00', days: ['wed'] }, '2026-03-04T05:00:00Z'), false);
  assert.equal(holds({ days: ['wed'] }, '2026-03-04T00:00:00Z'), true);
  assert.equal(holds({ days: ['wed'] }, '2026-03-05T00:00:00Z'), false);
  assert.equal(holds({ until: '24:00', days: ['sun'] }, '2026-03-08T23:59:59Z'), true);
  assert.equal(holds({ notBefore: '2026-03-04T00:00:00Z', notAfter: '2026-03-05T00:00:00Z' }, '2026-03-04T23:59:59Z'), true);
  assert.equal(holds({ notBefore: '2026-03-04T00:00:00Z', notAfter: '2026-03-05T00:00:00Z' }, '2026-03-05T00:00:00Z'), false);
  assert.equal(holds({}, '2026-03-05T00:00:00Z'), true);
});

test('the answer never changes before the next change that was told', () => {
  const clock = fc
    .integer({ min: 0, max: 24 * 12 - 1 })
    .map((n) => `${String(Math.floor(n / 12)).padStart(2, '0')}:${String((n % 12) * 5).padStart(2, '0')}`);
  const moment = fc
    .integer({ min: 0, max: 30 * 24 })
    .map((hours) => `${new Date(Date.UTC(2026, 2, 1, hours)).toISOString().slice(0, 19)}Z`);
  const condition = fc.record(
    { days: fc.subarray([...days], { minLength: 1 }), from: clock, until: clock, notBefore: moment, notAfter: moment },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(
      condition,
      fc.integer({ min: 0, max: 30 * 24 * 60 }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 }),
      (given, minute, parts) => {
        const window = new TimeWindow(given);
        const nowMs = Date.UTC(2026, 2, 1) + minute * 60_000;
        const next = window.nextChangeMs(nowMs);
        assert.ok(next > nowMs);
        const end = Math.min(next, nowMs + 3 * 86_400_000);
        for (const part of parts) assert.equal(window.holds(Math.floor(nowMs + (end - 1 - nowMs) * part)), window.holds(nowMs));
      },
    ),
    { numRuns: 500 },
  );
});

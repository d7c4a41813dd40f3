import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { FailureBrake } from './failure-brake.ts';

test('whoever fails too often waits, from whichever address of its network', () => {
  const clock = new ManualClock(0);
  const brake = new FailureBrake(clock, { failures: 3, windowMs: 60_000, addresses: 10 });
  for (const end of ['1', '2', '3']) brake.failed(`2001:db8:0:1::${end}`);
  assert.equal(brake.waitSeconds('2001:db8:0:1:ffff::9'), 60);
  assert.equal(brake.waitSeconds('2001:db8:0:2::1'), 0);
  for (const address of ['::ffff:192.0.2.1', '192.0.2.1', '192.0.2.1']) brake.failed(address);
  assert.equal(brake.waitSeconds('::ffff:192.0.2.1'), 60);
  assert.equal(brake.waitSeconds('192.0.2.2'), 0);
  clock.advance(60_000);
  assert.equal(brake.waitSeconds('192.0.2.1'), 0);
});

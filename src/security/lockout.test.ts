import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { addressKey } from '../base/address-key.ts';
import { Lockout } from './lockout.ts';

const limits = { failures: 3, forgiveMs: 1000, banMs: 10_000, maxBanMs: 30_000, entries: 100 };

function failUntilBanned(lockout: Lockout, key: string): number {
  for (let i = 1; i <= 100; i++) if (lockout.failed(key)) return i;
  return Infinity;
}

test('a ban follows the allowance, ends, and doubles up to its maximum', () => {
  const clock = new ManualClock();
  const lockout = new Lockout(limits, clock);
  for (const banMs of [10_000, 20_000, 30_000, 30_000]) {
    assert.equal(failUntilBanned(lockout, 'a'), 4);
    assert.equal(lockout.isBanned('a'), true);
    assert.equal(lockout.isBanned('b'), false);
    clock.advance(banMs - 1);
    assert.equal(lockout.isBanned('a'), true, `${banMs}`);
    clock.advance(1);
    assert.equal(lockout.isBanned('a'), false, `${banMs}`);
  }
});

test('time forgives failures, and in the end the earlier ban', () => {
  const clock = new ManualClock();
  const lockout = new Lockout(limits, clock);
  for (let i = 0; i < 20; i++) {
    assert.equal(lockout.failed('slow'), false);
    clock.advance(1000);
  }
  failUntilBanned(lockout, 'a');
  clock.advance(10_000 + 60_000);
  failUntilBanned(lockout, 'a');
  clock.advance(10_000);
  assert.equal(lockout.isBanned('a'), false, 'not doubled');
});

test('a success forgets the failures', () => {
  const lockout = new Lockout(limits, new ManualClock());
  for (let i = 0; i < 20; i++) {
    assert.equal(lockout.failed('a'), false);
    lockout.succeeded('a');
  }
  assert.equal(lockout.size, 0);
});

test('the table is bounded, and a flood of names does not end a ban', () => {
  const lockout = new Lockout({ ...limits, entries: 10 }, new ManualClock());
  failUntilBanned(lockout, 'banned');
  for (let i = 0; i < 1000; i++) lockout.failed(`flood ${i}`);
  assert.equal(lockout.size, 10);
  assert.equal(lockout.isBanned('banned'), true);
});

test('an address is an IPv4 address or an IPv6 network of one customer', () => {
  assert.equal(addressKey('192.0.2.1'), '192.0.2.1');
  assert.equal(addressKey('::ffff:192.0.2.1'), '192.0.2.1');
  assert.equal(addressKey('2001:db8:1:2:3:4:5:6'), addressKey('2001:DB8:1:2::9'));
  assert.notEqual(addressKey('2001:db8:1:2::1'), addressKey('2001:db8:1:3::1'));
  assert.equal(addressKey('2001:db8::1'), '2001:db8:0:0::/64');
  assert.equal(addressKey('fe80::1%eth0'), 'fe80:0:0:0::/64');
  assert.equal(addressKey('::1'), '0:0:0:0::/64');
});

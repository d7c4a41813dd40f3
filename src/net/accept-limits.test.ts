import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Admission, type AcceptLimits } from './accept-limits.ts';
import { countedAddress, hostAndPort, plainAddress } from './address.ts';

const limits: AcceptLimits = {
  maxConnections: Infinity,
  maxConnectionsPerAddress: Infinity,
  connectionsPerSecond: Infinity,
  connectionBurst: 1,
  handshakeTimeoutMs: 1,
  maxPendingHandshakes: 1,
  closeTimeoutMs: 1,
  keepAliveMs: 0,
  backlog: 1,
};

test('the bucket holds the burst and refills at the rate', () => {
  const admission = new Admission({ ...limits, connectionsPerSecond: 10, connectionBurst: 3 }, 0);
  const enter = (nowMs: number): boolean => admission.enter('a', nowMs) === undefined;
  assert.deepEqual([0, 0, 0, 0].map(enter), [true, true, true, false]);
  assert.deepEqual([50, 99, 101, 102].map(enter), [false, false, true, false]);
  // However long it rests, it holds no more than the burst.
  assert.deepEqual([60_000, 60_000, 60_000, 60_000].map(enter), [true, true, true, false]);
});

test('what is refused costs no place', () => {
  const admission = new Admission({ ...limits, maxConnections: 3, maxConnectionsPerAddress: 2 }, 0);
  assert.deepEqual(
    ['a', 'a', 'a', 'b', 'c'].map((address) => admission.enter(address, 0)),
    [undefined, undefined, 'address', undefined, 'connections'],
  );
  admission.leave('a');
  assert.equal(admission.enter('c', 0), undefined);
  assert.equal(admission.enter('a', 0), 'connections');
  admission.leave('b');
  assert.equal(admission.enter('a', 0), undefined);
  assert.equal(admission.active, 3);
});

test('a network of IPv6 addresses counts as one', () => {
  const same = ['2001:db8:1:2::1', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2:ffff::', '2001:db8:1:2::192.0.2.1'];
  for (const address of same) assert.equal(countedAddress(address), '2001:db8:1:2', address);
  assert.notEqual(countedAddress('2001:db8:1:3::1'), '2001:db8:1:2');
  assert.equal(countedAddress('2001:db8::1'), '2001:db8:0:0');
  assert.equal(countedAddress('::1'), '0:0:0:0');
  assert.equal(countedAddress('::'), '0:0:0:0');
  assert.equal(countedAddress('fe80::1%eth0'), 'fe80:0:0:0');
  assert.equal(countedAddress('192.0.2.1'), '192.0.2.1');
});

test('addresses are written as people know them', () => {
  assert.equal(plainAddress('::ffff:192.0.2.1'), '192.0.2.1');
  assert.equal(plainAddress('::ffff:0:1'), '::ffff:0:1');
  assert.equal(hostAndPort('::1', 1883), '[::1]:1883');
  assert.equal(hostAndPort('localhost', 1883), 'localhost:1883');
});

// The end of what proved who a client is ends its connection.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, pingreq } from './testing/client-packets.ts';
import { Dialogue } from './testing/dialogue.ts';
import { principalOf } from './testing/fake-security.ts';

function ending(version: 3 | 4 | 5, inMs: number, keepAlive = 0): Dialogue {
  const d = new Dialogue(version, { options: { maxKeepAliveSec: 0, maxSilenceSec: 0 } });
  d.security.result = { ok: true, principal: principalOf('p'), expiresAtMs: d.clock.wallMs() + inMs };
  d.send(connect(version, { keepAlive }));
  assert.equal(d.connection.state, 'connected');
  d.heard();
  d.asked();
  return d;
}

test('MQTT 5 is told 0xA0, and the will is owed', () => {
  const d = ending(5, 30_000);
  d.advance(29_999);
  assert.deepEqual(d.heard(), []);
  d.advance(1);
  assert.deepEqual(d.heard(), ['DISCONNECT Maximum connect time reason-string="what proved who the client is has expired"', 'closed']);
  assert.deepEqual(d.asked(), ['detach will']);
});

test('3.1 and 3.1.1 have no words for it: the connection is closed', () => {
  for (const version of [3, 4] as const) {
    const d = ending(version, 30_000);
    d.advance(30_000);
    assert.deepEqual(d.heard(), ['closed']);
    assert.deepEqual(d.asked(), ['detach will']);
  }
});

test('silence is found earlier, and packets do not move the end', () => {
  const silent = ending(5, 30_000, 10);
  silent.advance(15_000);
  assert.match(silent.heard()[0]!, /Keep Alive timeout/i);
  const busy = ending(5, 30_000, 10);
  for (let i = 0; i < 5; i++) {
    busy.advance(5_000);
    busy.send(pingreq());
  }
  assert.equal(busy.heard().length, 5);
  busy.advance(5_000);
  assert.match(busy.heard()[0]!, /Maximum connect time/);
});

test('an end that is years away needs no timer of years, and a clock that is set is noticed within the hour', () => {
  const d = ending(5, 20 * 365 * 24 * 3_600_000);
  assert.ok(d.wire.deadlineMs - d.clock.monotonicMs() <= 3_600_000);
  d.advance(48 * 3_600_000);
  assert.equal(d.connection.state, 'connected');
  d.clock.jump(20 * 365 * 24 * 3_600_000);
  d.advance(3_600_000);
  assert.match(d.heard()[0]!, /Maximum connect time/);
});

test('a proof that has ended already lets nobody in for long', () => {
  const d = ending(5, -1);
  d.advance(0);
  assert.match(d.heard()[0]!, /Maximum connect time/);
});

// Enhanced authentication (MQTT 5 §4.12), at connect and later.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExchangeStep } from '../../security/security.ts';
import { auth, connect, disconnect, publish } from './testing/client-packets.ts';
import { Dialogue } from './testing/dialogue.ts';
import { principalOf } from './testing/fake-security.ts';

const challenge = (text: string): ExchangeStep => ({ kind: 'challenge', data: Buffer.from(text) });
const done = (id: string, text?: string): ExchangeStep => ({
  kind: 'done',
  principal: principalOf(id),
  data: text === undefined ? undefined : Buffer.from(text),
});
const failed: ExchangeStep = { kind: 'failed' };

const continues = 0x18;
const again = 0x19;
const limits = { receiveMaximum: 65_535, topicAliasMaximum: 0, maxPacketBytes: 268_435_460, maxKeepAliveSec: 0 };

function beginning(script: ExchangeStep[], method = 'SCRAM', connectMore: Parameters<typeof connect>[1] = {}): Dialogue {
  const d = new Dialogue(5, { options: limits });
  d.security.mechanisms.set('SCRAM', script);
  d.send(
    connect(5, {
      ...connectMore,
      properties: { ...connectMore.properties, authenticationMethod: method, authenticationData: Buffer.from('hello') },
    }),
  );
  return d;
}

function connectedBy(script: ExchangeStep[]): Dialogue {
  const d = beginning([done('p'), ...script]);
  d.heard();
  d.asked();
  d.security.stepData = [];
  return d;
}

test('challenge, answer, success: every packet names the method [MQTT-4.12.0-2] [MQTT-4.12.0-5]', () => {
  const d = beginning([challenge('c1'), challenge('c2!'), done('device-1', 'last')]);
  assert.deepEqual(d.heard(), ['AUTH Continue authentication authentication-method="SCRAM" authentication-data=2 bytes']);
  assert.equal(d.wire.pauses, 0, 'the client is to be heard');
  d.send(auth(continues, 'SCRAM', 'r1'));
  assert.deepEqual(d.heard(), ['AUTH Continue authentication authentication-method="SCRAM" authentication-data=3 bytes']);
  assert.deepEqual(d.asked(), []);
  d.send(auth(continues, 'SCRAM', 'r2'));
  assert.deepEqual(d.heard(), ['CONNACK Success authentication-method="SCRAM" authentication-data=4 bytes']);
  assert.deepEqual(d.security.stepData, ['hello', 'r1', 'r2']);
  assert.deepEqual(d.broker.lastRequest!.principal, principalOf('device-1'));
  d.send(publish(5, { qos: 1, packetId: 1 }));
  assert.deepEqual(d.heard(), ['PUBACK id=1']);
});

test('security may take its time', () => {
  const d = beginning([]);
  assert.deepEqual(d.heard(), []);
  d.security.steps[0]!(challenge('c'));
  assert.equal(d.heard().length, 1);
  d.send(auth(continues, 'SCRAM', 'r'));
  d.security.steps[1]!(done('p'));
  assert.deepEqual(d.heard(), ['CONNACK Success authentication-method="SCRAM"']);
});

test('a method that is not offered [MQTT-4.12.0-1]', () => {
  const d = beginning([], 'GS2');
  assert.deepEqual(d.heard(), ['CONNACK Bad authentication method reason-string="the authentication method is not offered"', 'closed']);
});

test('an exchange that fails [MQTT-4.12.0-4]', () => {
  const d = beginning([challenge('c'), failed]);
  d.heard();
  d.send(auth(continues, 'SCRAM', 'wrong'));
  assert.deepEqual(d.heard(), ['CONNACK Not authorized reason-string="authentication failed"', 'closed']);
  assert.deepEqual(d.asked(), []);
});

test('an AUTH that is not the one awaited', () => {
  for (const [packet, words] of [
    [auth(continues, 'OTHER', 'r'), 'CONNACK Protocol Error'], // [MQTT-4.12.0-5]
    [auth(continues, undefined, 'r'), 'CONNACK Protocol Error'],
    [auth(continues, undefined), 'CONNACK Protocol Error'],
    [auth(again, 'SCRAM', 'r'), 'CONNACK Protocol Error'], // [MQTT-4.12.0-3]
  ] as const) {
    const d = beginning([challenge('c'), done('p')]);
    d.heard();
    d.send(packet);
    assert.deepEqual(
      d.heard().map((each) => each.replace(/ reason-string=.*/, '')),
      [words, 'closed'],
    );
  }
});

test('an AUTH out of turn', () => {
  const d = beginning([]);
  d.send(auth(continues, 'SCRAM', 'r'));
  assert.deepEqual(d.heard(), ['CONNACK Protocol Error reason-string="AUTH out of turn"', 'closed']);
  d.security.steps[0]!(done('p'));
  assert.deepEqual(d.asked(), [], 'an answer that comes too late does nothing');
});

test('a client may give up', () => {
  const d = beginning([challenge('c')]);
  d.heard();
  d.send(disconnect(5));
  assert.deepEqual(d.heard(), ['closed']);
  assert.equal(d.metric('heliograph_mqtt_connects_abandoned_total'), 1);
});

test('a challenge larger than the client takes [MQTT-3.1.2-24]', () => {
  const d = beginning([challenge('x'.repeat(100))], 'SCRAM', { properties: { maximumPacketSize: 60 } });
  assert.deepEqual(
    d.heard().map((words) => words.replace(/ reason-string=.*/, '')),
    ['CONNACK Packet too large', 'closed'],
  );
});

test('re-authentication while other packets flow [MQTT-4.12.1-1]', () => {
  const d = connectedBy([challenge('c'), done('p', 'ok')]);
  d.send(auth(again, 'SCRAM', 'once more'));
  assert.deepEqual(d.heard(), ['AUTH Continue authentication authentication-method="SCRAM" authentication-data=1 bytes']);
  d.send(publish(5, { qos: 1, packetId: 1 }), auth(continues, 'SCRAM', 'r'));
  assert.deepEqual(d.heard(), ['PUBACK id=1', 'AUTH Success authentication-method="SCRAM" authentication-data=2 bytes']);
  assert.deepEqual(d.security.stepData, ['once more', 'r']);
  assert.equal(d.metric('heliograph_mqtt_reauthentications_total'), 1);
});

test('re-authentication may be done again and again', () => {
  const d = connectedBy([done('p'), done('p')]);
  d.send(auth(again, 'SCRAM'), auth(again, 'SCRAM'));
  assert.deepEqual(d.heard(), ['AUTH Success authentication-method="SCRAM"', 'AUTH Success authentication-method="SCRAM"']);
});

test('re-authentication that fails, or succeeds as somebody else, ends the connection [MQTT-4.12.1-2]', () => {
  for (const [step, why] of [
    [failed, 'authentication failed'],
    [done('q'), 'authenticated as somebody else'],
    [{ kind: 'done', principal: { ...principalOf('p'), tenant: 'other' }, data: undefined }, 'authenticated as somebody else'],
  ] as const) {
    const d = connectedBy([step]);
    d.send(auth(again, 'SCRAM', 'x'));
    assert.deepEqual(d.heard(), [`DISCONNECT Not authorized reason-string="${why}"`, 'closed']);
    assert.deepEqual(d.asked(), ['detach will']);
  }
});

test('re-authentication out of order', () => {
  const cases: readonly (readonly [Buffer[], string])[] = [
    [[auth(continues, 'SCRAM', 'x')], 'Protocol Error'],
    [[auth(again, 'OTHER', 'x')], 'Protocol Error'], // [MQTT-4.12.1-1]
    [[auth(again, 'SCRAM', 'x'), auth(again, 'SCRAM', 'x')], 'Protocol Error'],
    [[auth(again, 'SCRAM', 'x'), auth(continues, 'SCRAM', 'x')], 'Protocol Error'],
  ];
  for (const [packets, words] of cases) {
    const d = connectedBy([]);
    d.send(...packets);
    assert.deepEqual(
      d.heard().map((each) => each.replace(/ reason-string=.*/, '')),
      [`DISCONNECT ${words}`, 'closed'],
    );
  }
});

test('an answer of security after the connection ended is not heard', () => {
  const d = connectedBy([]);
  d.send(auth(again, 'SCRAM', 'x'), disconnect(5));
  assert.deepEqual(d.heard(), ['closed']);
  assert.deepEqual(d.asked(), ['detach']);
  d.security.steps[0]!(failed);
  d.lose();
  assert.deepEqual(d.asked(), []);
});

const endingAt = (d: { clock: { wallMs(): number } }, ms: number, roles: readonly string[] = []): ExchangeStep => ({
  kind: 'done',
  principal: { ...principalOf('p'), roles },
  data: undefined,
  expiresAtMs: d.clock.wallMs() + ms,
});

test('who proves again in time stays, with what is known of it now', () => {
  const script: ExchangeStep[] = [];
  const d = beginning(script);
  d.security.steps[0]!(endingAt(d, 60_000));
  d.heard();
  d.asked();
  d.advance(50_000);
  d.send(auth(again, 'SCRAM', 'new'));
  d.security.steps[1]!(endingAt(d, 60_000, ['reader']));
  assert.deepEqual(d.heard(), ['AUTH Success authentication-method="SCRAM"']);
  assert.deepEqual(d.asked(), ['renew reader']);
  d.advance(59_999);
  assert.deepEqual(d.heard(), []);
  d.send(publish(5, { qos: 1, packetId: 1 }));
  assert.deepEqual(d.heard(), ['PUBACK id=1']);
  d.advance(1);
  assert.deepEqual(d.heard(), ['DISCONNECT Maximum connect time reason-string="what proved who the client is has expired"', 'closed']);
});

test('a proof without an end takes the end away; one that fails or is not finished in time does not help', () => {
  const d = beginning([]);
  d.security.steps[0]!(endingAt(d, 60_000));
  d.send(auth(again, 'SCRAM', 'new'));
  d.security.steps[1]!(done('p'));
  d.advance(10 * 24 * 3_600_000);
  assert.equal(d.connection.state, 'connected');
  const slow = beginning([]);
  slow.security.steps[0]!(endingAt(slow, 60_000));
  slow.heard();
  slow.send(auth(again, 'SCRAM', 'new'));
  slow.advance(60_000);
  assert.match(slow.heard()[0]!, /DISCONNECT Maximum connect time/);
  slow.asked();
  slow.security.steps[1]!(endingAt(slow, 60_000));
  assert.deepEqual(slow.asked(), [], 'too late');
});

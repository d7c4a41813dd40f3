// The states of a connection: what each accepts, how each ends, and what holds in between.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outcome } from '../../broker/port.ts';
import { ackKey } from './ack-order.ts';
import { PacketType } from './codec/index.ts';
import { ack, connect, disconnect, everyPacket, pingreq, publish, subscribe } from './testing/client-packets.ts';
import { Dialogue } from './testing/dialogue.ts';
import { principalOf } from './testing/fake-security.ts';

type Situation = 'awaitingConnect' | 'authenticating' | 'exchanging' | 'attaching' | 'connected' | 'closing' | 'closed';

/** A conversation that stands in that state; undefined where the version knows no such state. */
function dialogueIn(situation: Situation, version: 4 | 5): Dialogue | undefined {
  const d = situation === 'connected' || situation === 'closing' ? Dialogue.connected(version) : new Dialogue(version);
  switch (situation) {
    case 'authenticating':
      d.security.result = 'later';
      d.send(connect(version));
      break;
    case 'exchanging':
      if (version !== 5) return undefined;
      d.security.mechanisms.set('M', [{ kind: 'challenge', data: Buffer.from('?') }]);
      d.send(connect(version, { properties: { authenticationMethod: 'M' } }));
      break;
    case 'attaching':
      d.broker.attachAnswer = 'later';
      d.send(connect(version));
      break;
    case 'closing':
      if (version !== 4) return undefined;
      d.session.script.publish = Outcome.pending;
      d.send(publish(version, { qos: 1, packetId: 1 }));
      d.fromBroker((consumer) => consumer.published(ackKey(1, 1), Outcome.unavailable));
      break;
    case 'closed':
      d.send(Buffer.of(0));
      break;
    default:
  }
  d.heard();
  d.asked();
  assert.equal(d.connection.state, situation);
  return d;
}

const fromServerOnly = ['CONNACK', 'SUBACK', 'UNSUBACK', 'PINGRESP'];

/** What becomes of a packet in each state: kept for later, done, or the reason code that ends the connection. */
function expectation(situation: Situation, version: 4 | 5, packet: string): string {
  switch (situation) {
    case 'awaitingConnect':
      return packet === 'CONNECT' ? 'done' : 'closed in silence'; // [MQTT-3.1.0-1] [MQTT-3.14.0-1]
    case 'authenticating':
    case 'attaching':
      if (packet === 'reserved type 0') return 'Malformed Packet';
      if (packet === 'CONNECT' || fromServerOnly.includes(packet)) return 'Protocol Error'; // [MQTT-3.1.0-2]
      return packet === 'AUTH' && version === 4 ? 'Malformed Packet' : 'kept';
    case 'exchanging':
      if (packet === 'DISCONNECT') return 'closed in silence';
      return packet === 'reserved type 0' ? 'Malformed Packet' : 'Protocol Error'; // [MQTT-3.1.2-30]
    case 'connected':
      if (packet === 'reserved type 0') return 'Malformed Packet';
      if (packet === 'DISCONNECT') return 'closed in silence';
      if (packet === 'AUTH') return version === 4 ? 'Malformed Packet' : 'Protocol Error'; // [MQTT-4.12.0-7]
      return packet === 'CONNECT' || fromServerOnly.includes(packet) ? 'Protocol Error' : 'done'; // [MQTT-3.1.0-2]
    case 'closing':
    case 'closed':
      return 'ignored';
  }
}

test('every packet in every state', () => {
  const situations: Situation[] = ['awaitingConnect', 'authenticating', 'exchanging', 'attaching', 'connected', 'closing', 'closed'];
  for (const version of [4, 5] as const) {
    for (const situation of situations) {
      for (const [packet, bytes] of everyPacket(version)) {
        const d = dialogueIn(situation, version);
        if (d === undefined) continue;
        const where = `${packet} in ${situation}, version ${version}`;
        d.send(bytes);
        const heard = d.heard();
        const expected = expectation(situation, version, packet);
        if (expected === 'kept') {
          assert.equal(d.connection.state, situation, where);
          assert.deepEqual([...heard, ...d.asked()], [], where);
        } else if (expected === 'ignored') {
          assert.equal(d.connection.state, situation, where);
          assert.deepEqual([...heard, ...d.asked()], ['closed'], where);
        } else if (expected === 'done') {
          assert.equal(d.connection.state, 'connected', where);
          assert.notDeepEqual([...heard, ...d.asked()], [], where);
        } else {
          assert.equal(d.connection.state, 'closed', where);
          assert.equal(heard.pop(), 'closed', where);
          const answer = situation === 'connected' ? 'DISCONNECT' : 'CONNACK';
          const silent = expected === 'closed in silence' || version === 4;
          assert.deepEqual(
            heard.map((words) => words.replace(/ reason-string=.*/, '')),
            silent ? [] : [`${answer} ${expected}`],
            where,
          );
          const detach = packet === 'DISCONNECT' ? 'detach' : 'detach will';
          assert.deepEqual(d.asked(), situation === 'connected' ? [detach] : [], where); // [MQTT-3.14.4-3]
        }
        d.lose();
      }
    }
  }
});

test('a wire that is lost in any state is tidied up after', () => {
  const asked: Record<Situation, string[]> = {
    awaitingConnect: [],
    authenticating: [],
    exchanging: [],
    attaching: [],
    connected: ['detach will'], // [MQTT-3.1.2-8]
    closing: ['detach will'],
    closed: [],
  };
  for (const [situation, calls] of Object.entries(asked)) {
    const d = dialogueIn(situation as Situation, situation === 'closing' ? 4 : 5)!;
    assert.equal(d.metric('heliograph_mqtt_connections'), 1);
    d.lose();
    assert.deepEqual(d.asked(), calls, situation);
    assert.equal(d.connection.state, 'closed');
    assert.equal(d.metric('heliograph_mqtt_connections'), 0);
    assert.equal(d.wire.deadlineMs, Infinity);
  }
});

test('a session that is attached after its connection ended is given back', () => {
  const d = dialogueIn('attaching', 5)!;
  d.lose();
  d.broker.answerAttach();
  assert.deepEqual(d.asked(), ['detach']);
  const refused = dialogueIn('attaching', 5)!;
  refused.lose();
  refused.broker.answerAttach(Outcome.unavailable);
  assert.deepEqual(refused.asked(), []);
});

test('security that answers after the connection ended is not heard', () => {
  const d = dialogueIn('authenticating', 5)!;
  d.lose();
  d.security.answers[0]!({ ok: true, principal: principalOf('p') });
  assert.deepEqual(d.asked(), []);
  assert.equal(d.connection.state, 'closed');
});

test('the broker ends a connection in its own words, or in silence before version 5', () => {
  for (const [reason, words] of [
    ['takenOver', 'Session taken over reason-string="another connection uses this client identifier"'], // [MQTT-3.1.4-3]
    ['administrative', 'Administrative action reason-string="closed by an operator"'],
    ['shuttingDown', 'Server shutting down reason-string="the server is going down"'],
    ['unavailable', 'Unspecified error reason-string="the session cannot be stored now"'],
  ] as const) {
    for (const version of [4, 5] as const) {
      const d = Dialogue.connected(version);
      d.fromBroker((consumer) => consumer.detached(reason));
      assert.deepEqual(d.heard(), version === 5 ? [`DISCONNECT ${words}`, 'closed'] : ['closed']);
      d.lose();
      assert.deepEqual(d.asked(), [], 'the session is not ours any more');
    }
  }
});

test('a session that is taken over before it is attached, or while it is closing', () => {
  const d = dialogueIn('attaching', 5)!;
  d.connection.detached('takenOver');
  assert.deepEqual(d.heard(), ['CONNACK Server unavailable reason-string="another connection uses this client identifier"', 'closed']);
  d.lose();
  const closing = dialogueIn('closing', 4)!;
  closing.fromBroker((consumer) => consumer.detached('takenOver'));
  closing.lose();
  assert.deepEqual(closing.asked(), []);
});

test('the node goes down', () => {
  const words: readonly (readonly [Situation, string[]])[] = [
    ['awaitingConnect', ['closed']],
    ['authenticating', ['CONNACK Server unavailable reason-string="the server is going down"', 'closed']],
    ['attaching', ['CONNACK Server unavailable reason-string="the server is going down"', 'closed']],
    ['connected', ['DISCONNECT Server shutting down reason-string="the server is going down"', 'closed']],
    ['closed', ['closed']],
  ];
  for (const [situation, expected] of words) {
    const d = dialogueIn(situation, 5)!;
    d.connection.shutDown();
    assert.deepEqual(d.heard(), expected, situation);
    d.lose();
    assert.deepEqual(d.asked(), situation === 'connected' ? ['detach will'] : []);
  }
});

test('DISCONNECT decides over the will [MQTT-3.14.4-3] and the session expiry', () => {
  const goodbye = (reason: number, sessionExpiryInterval?: number, connectExpiry = 100): string[] => {
    const d = Dialogue.connected(5, {
      options: { maxSessionExpirySec: 1000 },
      connect: { properties: { sessionExpiryInterval: connectExpiry } },
    });
    d.send(disconnect(5, reason, sessionExpiryInterval === undefined ? {} : { properties: { sessionExpiryInterval } }), publish(5));
    return [...d.heard().map((words) => words.replace(/ reason-string=.*/, '')), ...d.asked()];
  };
  assert.deepEqual(goodbye(0x00), ['closed', 'detach']);
  assert.deepEqual(goodbye(0x04), ['closed', 'detach will']);
  assert.deepEqual(goodbye(0x80), ['closed', 'detach will']);
  assert.deepEqual(goodbye(0x00, 0), ['closed', 'detach expiry=0']);
  assert.deepEqual(goodbye(0x00, 50), ['closed', 'detach expiry=50000']);
  assert.deepEqual(goodbye(0x00, 0xffff_ffff), ['closed', 'detach expiry=1000000']);
  assert.deepEqual(goodbye(0x00, 0, 0), ['closed', 'detach expiry=0']);
  assert.deepEqual(goodbye(0x00, 50, 0), ['DISCONNECT Protocol Error', 'closed', 'detach will']);
});

test('CONNECT must come in time, and be answered in time', () => {
  for (const [situation, heard] of [
    ['awaitingConnect', ['closed']],
    ['authenticating', ['CONNACK Server busy reason-string="the handshake took too long"', 'closed']],
    ['exchanging', ['CONNACK Not authorized reason-string="the handshake took too long"', 'closed']],
    ['attaching', ['CONNACK Server busy reason-string="the handshake took too long"', 'closed']],
  ] as const) {
    const d = dialogueIn(situation, 5)!;
    d.advance(9_999);
    assert.deepEqual(d.heard(), []);
    d.advance(1);
    assert.deepEqual(d.heard(), [...heard], situation);
  }
});

test('half a CONNECT does not keep a connection open', () => {
  const d = new Dialogue(5);
  const bytes = connect(5);
  for (let i = 0; i < bytes.length - 1; i++) {
    d.send(bytes.subarray(i, i + 1));
    d.advance(1000);
  }
  assert.deepEqual(d.heard(), ['closed']);
  assert.equal(d.metric('heliograph_mqtt_connects_abandoned_total'), 1);
});

test('before authentication only small packets are taken', () => {
  const d = new Dialogue(5, { options: { maxConnectPacketBytes: 100 } });
  d.send(connect(5, { clientId: 'x'.repeat(100) }));
  assert.deepEqual(d.heard(), ['closed']);
  const later = Dialogue.connected(5, { options: { maxConnectPacketBytes: 100 } });
  later.send(publish(5, { qos: 1, packetId: 1, payload: 'x'.repeat(200) }));
  assert.deepEqual(later.heard(), ['PUBACK id=1']);
});

test('one and a half keep-alive times of silence end the connection [MQTT-3.1.2-22]', () => {
  for (const version of [4, 5] as const) {
    const d = Dialogue.connected(version, { connect: { keepAlive: 10 } });
    d.advance(14_000);
    d.send(pingreq()); // [MQTT-3.12.4-1]
    assert.deepEqual(d.heard(), ['PINGRESP']);
    d.advance(14_999);
    assert.deepEqual(d.heard(), []);
    d.send(publish(version).subarray(0, 3)); // not a whole packet
    d.advance(1);
    const words = 'DISCONNECT Keep Alive timeout reason-string="nothing was heard for one and a half keep-alive times"';
    assert.deepEqual(d.heard(), version === 5 ? [words, 'closed'] : ['closed']);
    assert.deepEqual(d.asked(), ['detach will']);
  }
});

test('silence that is our own doing does not count', () => {
  const d = Dialogue.connected(4, { connect: { keepAlive: 10 } });
  d.fromBroker((consumer) => consumer.hold(true));
  assert.equal(d.wire.pauses, 1);
  d.advance(60_000);
  d.fromBroker((consumer) => consumer.hold(false));
  assert.equal(d.wire.pauses, 0);
  d.advance(14_000);
  assert.deepEqual(d.heard(), []);
  d.advance(15_001);
  assert.deepEqual(d.heard(), ['closed']);
});

test('a wire that was told to close is left alone', () => {
  const d = dialogueIn('closing', 4)!;
  d.connection.hold(true);
  d.connection.hold(false);
  d.connection.onDrained();
  d.connection.onDeadline();
  d.connection.shutDown();
  assert.equal(d.wire.pauses, 0);
  assert.deepEqual([...d.heard(), ...d.asked()], ['closed']);
});

test('reasons to stop reading add up to one pause', () => {
  const d = Dialogue.connected(4, { options: { receiveMaximum: 1 } });
  d.session.script.publish = Outcome.pending;
  d.send(publish(4, { qos: 1, packetId: 1 }));
  d.fromBroker((consumer) => consumer.hold(true));
  assert.equal(d.wire.pauses, 1);
  d.fromBroker((consumer) => consumer.published(ackKey(1, 1), Outcome.accepted));
  assert.equal(d.wire.pauses, 1);
  d.fromBroker((consumer) => consumer.hold(false));
  assert.equal(d.wire.pauses, 0);
  assert.equal(d.metric('heliograph_mqtt_pauses_total'), 1);
});

test('a client need not wait for CONNACK: what it sends early is done afterwards, in order', () => {
  for (const late of ['security', 'broker', 'both'] as const) {
    for (const bytewise of [false, true]) {
      const d = new Dialogue(5, { bytewise });
      if (late !== 'broker') d.security.result = 'later';
      if (late !== 'security') d.broker.attachAnswer = 'later';
      const early = [
        publish(5, { qos: 1, packetId: 1 }),
        subscribe(5, 2, ['a']),
        ack(5, PacketType.pubrel, 3),
        publish(5, { payload: 'cut' }),
      ];
      const bytes = Buffer.concat(early);
      d.send(connect(5), bytes.subarray(0, -3));
      assert.equal(d.wire.pauses, 1);
      if (late !== 'broker') d.security.answers[0]!({ ok: true, principal: principalOf('p') });
      if (late !== 'security') d.broker.answerAttach();
      assert.equal(d.wire.pauses, 0);
      d.send(bytes.subarray(-3), publish(5, { qos: 1, packetId: 9 }));
      assert.match(
        d.wire.output.position > 0 ? d.heard().join('; ') : '',
        /^CONNACK Success[^;]*; PUBACK id=1; SUBACK id=2 Granted QoS 1; PUBCOMP id=3; PUBACK id=9$/,
      );
      assert.deepEqual(d.asked().slice(1), [
        'address a/b',
        `publish q1 a/b "x" token=${ackKey(1, 1)}`,
        'subscribe a q1 always',
        'release 3',
        'publish q0 a/b "cut"',
        `publish q1 a/b "x" token=${ackKey(1, 9)}`,
      ]);
    }
  }
});

test('what came early is done by itself, but not from within the call that attaches', () => {
  const d = dialogueIn('attaching', 5)!;
  d.send(publish(5, { qos: 1, packetId: 1 }), disconnect(5));
  d.broker.answerAttach(); // the fake broker would throw
  assert.deepEqual(d.asked(), []);
  d.advance(0);
  assert.deepEqual(d.asked(), ['address a/b', `publish q1 a/b "x" token=${ackKey(1, 1)}`, 'detach']);
  assert.equal(d.heard().at(-1), 'closed');
});

test('what came early is forgotten when the answer is no [MQTT-3.1.4-6]', () => {
  const d = dialogueIn('authenticating', 5)!;
  d.send(publish(5));
  d.security.answers[0]!({ ok: false, reason: 'refused' });
  assert.match(d.heard().join(), /^CONNACK Bad User Name or Password.*,closed$/);
  assert.deepEqual(d.asked(), []);
});

test('only so much is kept of what comes early', () => {
  const d = new Dialogue(5, { options: { maxEarlyBytes: 500 } });
  d.security.result = 'later';
  d.send(connect(5), publish(5, { payload: 'x'.repeat(300) }));
  assert.deepEqual(d.heard(), []);
  d.send(publish(5, { payload: 'x'.repeat(300) }));
  assert.deepEqual(d.heard(), ['CONNACK Quota exceeded reason-string="too much was sent before CONNACK"', 'closed']);
});

test('byte by byte, a whole session', () => {
  for (const version of [3, 4, 5] as const) {
    const d = new Dialogue(version, { bytewise: true });
    d.send(
      connect(version),
      subscribe(version, 1, ['a/#']),
      publish(version, { qos: 1, packetId: 2, payload: 'one' }),
      publish(version, { qos: 2, packetId: 3, payload: 'two' }),
      ack(version, PacketType.pubrel, 3),
      pingreq(),
      disconnect(version),
    );
    const heard = d.heard();
    assert.match(heard.shift()!, /^CONNACK Success/);
    assert.deepEqual(heard, ['SUBACK id=1 Granted QoS 1', 'PUBACK id=2', 'PUBREC id=3', 'PUBCOMP id=3', 'PINGRESP', 'closed']);
    assert.equal(d.asked().at(-1), 'detach');
  }
});

test('what is counted', () => {
  const d = Dialogue.connected(5);
  d.send(publish(5), publish(5, { qos: 1, packetId: 1 }), pingreq());
  assert.equal(d.metric('heliograph_mqtt_packets_received_total', 'PUBLISH'), 2);
  assert.equal(d.metric('heliograph_mqtt_packets_received_total', 'CONNECT'), 1);
  assert.equal(d.metric('heliograph_mqtt_packets_sent_total', 'PUBACK'), 1);
  assert.equal(d.metric('heliograph_mqtt_packets_sent_total', 'PINGRESP'), 1);
  assert.equal(d.metric('heliograph_mqtt_connects_accepted_total'), 1);
  assert.ok(d.metric('heliograph_mqtt_received_bytes_total') > 30);
  d.lose();
  assert.equal(d.metric('heliograph_mqtt_connections_lost_total'), 1);
});

// PUBLISH and PUBREL of a client, and the order and meaning of their acknowledgements.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Outcome } from '../../broker/port.ts';
import { PacketType } from './codec/index.ts';
import { ackKey } from './ack-order.ts';
import { ack, pingreq, publish } from './testing/client-packets.ts';
import { Dialogue } from './testing/dialogue.ts';

const versions = [3, 4, 5] as const;

test('QoS 0 is published and not answered; the topic is asked for once', () => {
  for (const version of versions) {
    const d = Dialogue.connected(version);
    d.send(publish(version, { payload: 'one' }), publish(version, { payload: 'two' }));
    d.send(publish(version, { payload: '' }));
    assert.deepEqual(d.heard(), []);
    assert.deepEqual(d.asked(), ['address a/b', 'publish q0 a/b "one"', 'publish q0 a/b "two"', 'publish q0 a/b ""']);
  }
});

test('the same byte by byte', () => {
  const d = Dialogue.connected(5, { bytewise: true });
  d.send(publish(5, { payload: 'one', qos: 1, packetId: 1 }), publish(5, { payload: 'x'.repeat(300), qos: 2, packetId: 2 }));
  assert.deepEqual(d.heard(), ['PUBACK id=1', 'PUBREC id=2']);
  assert.equal(d.session.messages[1]!.payloadBytes, 300);
});

test('a message carries what the packet says, the sender and the time', () => {
  const d = Dialogue.connected(5);
  d.send(
    publish(5, {
      topic: 'a/b',
      qos: 1,
      packetId: 1,
      retain: true,
      properties: { messageExpiryInterval: 60, contentType: 'text/plain', correlationData: Buffer.from('c'), responseTopic: 'r' },
    }),
  );
  const [message] = d.session.messages;
  assert.ok(message);
  assert.deepEqual(
    [message.topic, message.guarantee, message.retain, message.sender, message.acceptedAtMs, message.expiresAtMs],
    ['a/b', 1, true, 'p', d.clock.wallMs(), d.clock.wallMs() + 60_000],
  );
  assert.equal(message.attributes?.contentType, 'text/plain');
  assert.deepEqual(message.attributes.replyTo, { kind: 'topic', name: 'r' });
});

test('QoS 1 is answered by the broker’s outcome, in version 5 in its words [MQTT-4.3.2-4]', () => {
  const words: readonly (readonly [Outcome, string])[] = [
    [Outcome.accepted, 'PUBACK id=7'],
    [Outcome.noSubscribers, 'PUBACK id=7 No matching subscribers'],
    [Outcome.notAuthorized, 'PUBACK id=7 Not authorized reason-string="not authorized"'],
    [Outcome.topicInvalid, 'PUBACK id=7 Topic Name invalid reason-string="the topic is not accepted here"'],
    [Outcome.quotaExceeded, 'PUBACK id=7 Quota exceeded reason-string="a limit of the server is reached"'],
    [Outcome.tooLarge, 'PUBACK id=7 Quota exceeded reason-string="the message is too large"'],
    [Outcome.unavailable, 'PUBACK id=7 Implementation specific error reason-string="the server cannot store it now"'],
  ];
  for (const [outcome, expected] of words) {
    const d = Dialogue.connected(5);
    d.session.script.publish = outcome;
    d.send(publish(5, { qos: 1, packetId: 7 }));
    assert.deepEqual(d.heard(), [expected]);
    d.send(publish(5, { qos: 2, packetId: 7 }));
    assert.deepEqual(d.heard(), [expected.replace('PUBACK', 'PUBREC')]);
  }
});

test('3.1.1: what is not taken is never acknowledged: the connection is closed, QoS 0 dropped [MQTT-3.3.5-2]', () => {
  for (const outcome of [Outcome.notAuthorized, Outcome.quotaExceeded, Outcome.unavailable, Outcome.topicInvalid]) {
    for (const qos of [1, 2] as const) {
      const d = Dialogue.connected(4);
      d.session.script.publish = outcome;
      d.send(publish(4, { qos, packetId: 7 }), publish(4, { qos, packetId: 8 }));
      assert.deepEqual(d.heard(), ['closed']);
      assert.deepEqual(d.asked().slice(-2), [`publish q${qos} a/b "x" token=${ackKey(qos, 7)}`, 'detach will']);
    }
    const d = Dialogue.connected(4);
    d.session.script.publish = outcome;
    d.send(publish(4));
    assert.deepEqual(d.heard(), []);
    assert.equal(d.metric('heliograph_mqtt_publishes_dropped_total'), 1);
  }
});

test('3.1.1 is not told that nobody listens', () => {
  const d = Dialogue.connected(4);
  d.session.script.publish = Outcome.noSubscribers;
  d.send(publish(4, { qos: 1, packetId: 7 }), publish(4, { qos: 2, packetId: 8 }));
  assert.deepEqual(d.heard(), ['PUBACK id=7', 'PUBREC id=8']);
});

test('a topic that may not be used is refused without a message', () => {
  const d = Dialogue.connected(5);
  d.send(publish(5, { topic: 'forbidden/x', qos: 1, packetId: 7 }), publish(5, { topic: 'forbidden/x' }));
  assert.deepEqual(d.heard(), ['PUBACK id=7 Not authorized reason-string="not authorized"']);
  assert.deepEqual(d.asked(), ['address forbidden/x']);
  assert.equal(d.metric('heliograph_mqtt_publishes_dropped_total'), 1);
  assert.equal(d.metric('heliograph_mqtt_publishes_refused_total', 'Not authorized'), 1);
});

test('a topic beyond the limits is not accepted', () => {
  const d = Dialogue.connected(5, { options: { maxTopicBytes: 10, maxTopicLevels: 3 } });
  d.send(
    publish(5, { topic: 'a/b/c', qos: 1, packetId: 1 }),
    publish(5, { topic: 'a/b/c/d', qos: 1, packetId: 2 }),
    publish(5, { topic: 'x'.repeat(11), qos: 1, packetId: 3 }),
  );
  const refusal = 'Topic Name invalid reason-string="the topic is not accepted here"';
  assert.deepEqual(d.heard(), ['PUBACK id=1', `PUBACK id=2 ${refusal}`, `PUBACK id=3 ${refusal}`]);
});

test('when policies change, topics are asked for again', () => {
  const d = Dialogue.connected(5, { options: { topicAliasMaximum: 1 } });
  d.send(publish(5, { properties: { topicAlias: 1 } }), publish(5));
  assert.deepEqual(d.asked(), ['address a/b', 'publish q0 a/b "x"', 'publish q0 a/b "x"']);
  d.session.addressVersion++;
  d.session.script.address = () => Outcome.notAuthorized;
  d.send(publish(5, { topic: '', qos: 1, packetId: 1, properties: { topicAlias: 1 } }), publish(5, { qos: 1, packetId: 2 }));
  const refusal = 'Not authorized reason-string="not authorized"';
  assert.deepEqual(d.heard(), [`PUBACK id=1 ${refusal}`, `PUBACK id=2 ${refusal}`]);
  assert.deepEqual(d.asked(), ['address a/b']);
});

test('to retain is a right of its own, asked once per version of the policies', () => {
  const d = Dialogue.connected(5);
  d.security.denied.add('retain secret');
  const retained = (topic: string, packetId: number): Buffer => publish(5, { topic, retain: true, qos: 1, packetId });
  d.send(retained('a/b', 1), retained('a/b', 2), retained('secret', 3), publish(5, { topic: 'secret', qos: 1, packetId: 4 }));
  assert.deepEqual(d.heard(), ['PUBACK id=1', 'PUBACK id=2', 'PUBACK id=3 Not authorized reason-string="not authorized"', 'PUBACK id=4']);
  assert.deepEqual(d.security.questions, ['retain a/b', 'retain secret']);
  d.security.denied.clear();
  d.session.addressVersion++;
  d.send(retained('secret', 5));
  assert.deepEqual(d.heard(), ['PUBACK id=5']);
});

test('acknowledgements wait for the broker and leave in the order of the publishes [MQTT-4.6.0-2] [MQTT-4.6.0-3]', () => {
  const d = Dialogue.connected(5);
  d.session.script.publish = Outcome.pending;
  d.send(publish(5, { qos: 1, packetId: 1 }), publish(5, { qos: 2, packetId: 2 }), publish(5, { qos: 1, packetId: 3 }));
  d.session.script.publish = Outcome.accepted;
  d.send(publish(5, { qos: 1, packetId: 4 }));
  assert.deepEqual(d.heard(), [], 'nothing before it is durable');
  d.fromBroker((consumer) => consumer.published(ackKey(1, 3), Outcome.accepted));
  d.fromBroker((consumer) => consumer.published(2, Outcome.noSubscribers));
  assert.deepEqual(d.heard(), []);
  d.fromBroker((consumer) => consumer.published(ackKey(1, 1), Outcome.quotaExceeded));
  assert.deepEqual(d.heard(), [
    'PUBACK id=1 Quota exceeded reason-string="a limit of the server is reached"',
    'PUBREC id=2 No matching subscribers',
    'PUBACK id=3',
    'PUBACK id=4',
  ]);
  d.send(publish(5, { qos: 1, packetId: 1 }));
  assert.deepEqual(d.heard(), ['PUBACK id=1'], 'and after that at once');
});

test('3.1.1: a publish that the broker refuses later closes the connection once the broker is done calling', () => {
  const d = Dialogue.connected(4);
  d.session.script.publish = Outcome.pending;
  d.send(publish(4, { qos: 1, packetId: 1 }), publish(4, { qos: 1, packetId: 2 }));
  d.asked();
  d.fromBroker((consumer) => consumer.published(ackKey(1, 1), Outcome.unavailable));
  assert.deepEqual(d.heard(), ['closed']);
  assert.equal(d.connection.state, 'closing');
  d.fromBroker((consumer) => {
    consumer.published(ackKey(1, 2), Outcome.accepted);
    assert.equal(consumer.congested, true);
    assert.equal(consumer.send(d.session.messages[0]!, false, undefined), false);
    assert.equal(consumer.transfer(1, 1, d.session.messages[0]!, false, false, undefined, 1, 0), true);
    consumer.releaseDelivery(1);
    consumer.released(1);
  });
  d.send(publish(4, { qos: 1, packetId: 3 }));
  assert.deepEqual(d.heard(), ['closed'], 'nothing is written or read any more');
  assert.deepEqual(d.asked(), []);
  d.lose();
  assert.deepEqual(d.asked(), ['detach will']);
});

test('QoS 2: PUBREC, PUBREL, PUBCOMP; an unknown id is told in version 5 [MQTT-4.3.3-8] [MQTT-4.3.3-11]', () => {
  for (const version of versions) {
    const d = Dialogue.connected(version);
    d.send(publish(version, { qos: 2, packetId: 7 }), ack(version, PacketType.pubrel, 7));
    assert.deepEqual(d.heard(), ['PUBREC id=7', 'PUBCOMP id=7']);
    d.session.script.release = Outcome.noSubscription;
    d.send(ack(version, PacketType.pubrel, 9));
    assert.deepEqual(d.heard(), [version === 5 ? 'PUBCOMP id=9 Packet Identifier not found' : 'PUBCOMP id=9']);
  }
});

test('PUBCOMP waits until the release is durable', () => {
  const d = Dialogue.connected(5);
  d.session.script.release = Outcome.pending;
  d.send(publish(5, { qos: 2, packetId: 7 }), ack(5, PacketType.pubrel, 7));
  assert.deepEqual(d.heard(), ['PUBREC id=7']);
  d.fromBroker((consumer) => consumer.released(7));
  assert.deepEqual(d.heard(), ['PUBCOMP id=7']);
});

test('QoS 2: a repetition goes to the broker with the same token, and is answered with the first [MQTT-4.3.3-10]', () => {
  const d = Dialogue.connected(4);
  d.session.script.publish = Outcome.pending;
  d.send(publish(4, { qos: 2, packetId: 7 }), publish(4, { qos: 2, packetId: 7, dup: true }));
  d.fromBroker((consumer) => consumer.published(7, Outcome.accepted));
  assert.deepEqual(d.heard(), ['PUBREC id=7']);
  d.fromBroker((consumer) => consumer.published(7, Outcome.accepted));
  assert.deepEqual(d.heard(), []);
  d.session.script.publish = Outcome.accepted;
  d.send(publish(4, { qos: 2, packetId: 7, dup: true }));
  assert.deepEqual(d.heard(), ['PUBREC id=7']);
});

test('receive maximum counts QoS 1 until PUBACK and QoS 2 until PUBCOMP [MQTT-3.3.4-7]', () => {
  const d = Dialogue.connected(5, { options: { receiveMaximum: 2 } });
  d.send(
    publish(5, { qos: 2, packetId: 1 }),
    publish(5, { qos: 2, packetId: 1, dup: true }),
    publish(5, { qos: 1, packetId: 2 }),
    publish(5, { qos: 2, packetId: 3 }),
  );
  assert.deepEqual(
    d.heard(),
    ['PUBREC id=1', 'PUBREC id=1', 'PUBACK id=2', 'PUBREC id=3'],
    'a repetition and what is acknowledged take no room',
  );
  d.send(ack(5, PacketType.pubrel, 1), publish(5, { qos: 1, packetId: 4 }), publish(5));
  assert.deepEqual(d.heard(), ['PUBCOMP id=1', 'PUBACK id=4']);
  d.session.script.publish = Outcome.pending;
  d.send(publish(5, { qos: 1, packetId: 5 }));
  assert.deepEqual(d.heard(), []);
  d.send(publish(5, { qos: 1, packetId: 6 }));
  assert.deepEqual(d.heard(), ['DISCONNECT Receive Maximum exceeded reason-string="more than 2 unacknowledged publishes"', 'closed']);
});

test('a repetition is admitted also when there is no room left', () => {
  const d = Dialogue.connected(5, { options: { receiveMaximum: 1 } });
  d.send(publish(5, { qos: 2, packetId: 1 }), publish(5, { qos: 2, packetId: 1, dup: true }));
  assert.deepEqual(d.heard(), ['PUBREC id=1', 'PUBREC id=1']);
});

test('a refused QoS 2 publish frees its room at once [MQTT-4.3.3-9]', () => {
  const d = Dialogue.connected(5, { options: { receiveMaximum: 1 } });
  d.session.script.publish = Outcome.quotaExceeded;
  d.send(publish(5, { qos: 2, packetId: 1 }), publish(5, { qos: 2, packetId: 2 }));
  assert.equal(d.heard().length, 2);
});

test('3.1.1: a client with too much in flight is not read until the answers are out', () => {
  const d = Dialogue.connected(4, { options: { receiveMaximum: 2 } });
  d.session.script.publish = Outcome.pending;
  d.send(publish(4, { qos: 1, packetId: 1 }));
  assert.equal(d.wire.pauses, 0);
  d.send(publish(4, { qos: 1, packetId: 2 }), publish(4, { qos: 1, packetId: 3 }));
  assert.equal(d.wire.pauses, 1);
  d.fromBroker((consumer) => consumer.published(ackKey(1, 1), Outcome.accepted));
  assert.equal(d.wire.pauses, 1);
  d.fromBroker((consumer) => consumer.published(ackKey(1, 2), Outcome.accepted));
  assert.equal(d.wire.pauses, 0);
  assert.deepEqual(d.heard(), ['PUBACK id=1', 'PUBACK id=2']);
});

test('what a connected client must not publish ends its connection with its code', () => {
  const cases: readonly (readonly [string, Buffer, Partial<Dialogue['server']['options']>?])[] = [
    ['Topic Name invalid', publish(5, { topic: 'a/+' })], // [MQTT-3.3.2-2]
    ['Topic Name invalid', publish(5, { topic: '#' })],
    ['QoS not supported', publish(5, { qos: 2, packetId: 1 }), { maxQos: 1 }],
    ['QoS not supported', publish(5, { qos: 1, packetId: 1 }), { maxQos: 0 }],
    ['Retain not supported', publish(5, { retain: true }), { retainAvailable: false }],
    ['Topic Alias invalid', publish(5, { properties: { topicAlias: 11 } })], // [MQTT-3.3.2-9]
    ['Topic Alias invalid', publish(5, { properties: { topicAlias: 1 } }), { topicAliasMaximum: 0 }],
    ['Protocol Error', publish(5, { topic: '', properties: { topicAlias: 1 } })],
    ['Protocol Error', publish(5, { topic: '' })],
    ['Protocol Error', publish(5, { properties: { subscriptionIdentifiers: [1] } })], // [MQTT-3.3.4-6]
    ['Protocol Error', publish(5, { properties: { responseTopic: 'a/#' } })], // [MQTT-3.3.2-14]
    ['Malformed Packet', Buffer.from([0x30, 5, 0, 2, 0xc0, 0x80, 0])], // [MQTT-3.3.2-1]
    ['Malformed Packet', Buffer.from([0x30, 5, 0, 2, 0x61, 0x00, 0])],
    ['Packet too large', publish(5, { payload: 'x'.repeat(200) }), { maxPacketBytes: 200, maxConnectPacketBytes: 200 }], // [MQTT-3.2.2-15]
  ];
  for (const [reason, packet, options] of cases) {
    const d = Dialogue.connected(5, options === undefined ? {} : { options });
    d.send(packet, publish(5, { payload: 'after' }));
    const [words, ...rest] = d.heard();
    assert.equal(words!.replace(/ reason-string=".*"$/, ''), `DISCONNECT ${reason}`, packet.toString('hex'));
    assert.deepEqual(rest, ['closed']);
    assert.equal(d.asked().at(-1), 'detach will');
    assert.equal(d.metric('heliograph_mqtt_connections_closed_total', reason), 1);
  }
});

test('a topic alias stands for its topic until it is set anew [MQTT-3.3.2-12]', () => {
  const d = Dialogue.connected(5);
  const aliased = (topic: string, topicAlias: number): Buffer => publish(5, { topic, properties: { topicAlias } });
  d.send(aliased('a', 10), aliased('', 10), aliased('b', 1), aliased('', 10), aliased('c', 10), aliased('', 10), aliased('', 1));
  assert.deepEqual(
    d.session.messages.map((message) => message.topic),
    ['a', 'a', 'b', 'a', 'c', 'c', 'b'],
  );
});

test('a payload that says it is UTF-8 must be, if that is checked', () => {
  const bad = { payload: Buffer.of(0xc3, 0x28), properties: { payloadFormatIndicator: 1 } } as const;
  const d = Dialogue.connected(5);
  d.send(publish(5, { ...bad, qos: 1, packetId: 1 }), publish(5, { ...bad, qos: 2, packetId: 2 }), publish(5, bad));
  d.send(publish(5, { ...bad, payload: 'gr€at', qos: 1, packetId: 3 }));
  const refusal = 'Payload format invalid reason-string="the payload is not UTF-8"';
  assert.deepEqual(d.heard(), [`PUBACK id=1 ${refusal}`, `PUBREC id=2 ${refusal}`, 'PUBACK id=3']);
  assert.equal(d.session.messages.length, 1);
  const unchecked = Dialogue.connected(5, { options: { payloadFormatCheck: false } });
  unchecked.send(publish(5, { ...bad, qos: 1, packetId: 1 }));
  assert.deepEqual(unchecked.heard(), ['PUBACK id=1']);
});

test('reason strings are left out for who does not want them [MQTT-3.1.2-29]', () => {
  const d = Dialogue.connected(5, { connect: { properties: { requestProblemInformation: false } } });
  d.session.script.publish = Outcome.quotaExceeded;
  d.send(publish(5, { qos: 1, packetId: 1 }), publish(5, { topic: 'a/+' }));
  assert.deepEqual(d.heard(), ['PUBACK id=1 Quota exceeded', 'DISCONNECT Topic Name invalid', 'closed']);
});

test('an idle client gives back what it does not use', () => {
  const d = Dialogue.connected(5);
  d.send(publish(5));
  d.send(pingreq());
  d.asked();
  d.send(publish(5), pingreq(), pingreq());
  assert.deepEqual(d.asked(), ['publish q0 a/b "x"'], 'still known');
  d.send(publish(5));
  assert.deepEqual(d.asked(), ['address a/b', 'publish q0 a/b "x"'], 'forgotten while idle');
});

test('whatever is pending and in whatever order it is decided, every publish above QoS 0 is answered once, in order', () => {
  const step = fc.record({ qos: fc.constantFrom(0 as const, 1 as const, 2 as const), pending: fc.boolean(), cut: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.infiniteStream(fc.nat()), (steps, choices) => {
      const d = Dialogue.connected(5);
      const expected: string[] = [];
      const waiting: number[] = [];
      steps.forEach(({ qos, pending, cut }, i) => {
        const packetId = i + 1;
        d.session.script.publish = pending ? Outcome.pending : Outcome.accepted;
        const packet = publish(5, { qos, packetId: qos === 0 ? 0 : packetId, topic: `t/${i % 5}` });
        d.send(packet.subarray(0, cut));
        d.send(packet.subarray(cut));
        if (qos === 0) return;
        expected.push(`${qos === 1 ? 'PUBACK' : 'PUBREC'} id=${packetId}`);
        if (pending) waiting.push(ackKey(qos, packetId));
        if (choices.next().value! % 3 === 0 && waiting.length > 0) decide();
      });
      while (waiting.length > 0) decide();
      assert.deepEqual(d.heard(), expected);
      assert.equal(d.session.messages.length, steps.length);

      function decide(): void {
        const [token] = waiting.splice(choices.next().value! % waiting.length, 1);
        d.fromBroker((consumer) => consumer.published(token!, Outcome.accepted));
      }
    }),
    { numRuns: 50 },
  );
});

// Deliveries to a client and its answers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attributes } from '../../message/attributes.ts';
import { defaultPriority, type Guarantee, Message } from '../../message/message.ts';
import { type AckType, PacketType, ReasonCode } from './codec/index.ts';
import { ack } from './testing/client-packets.ts';
import { Dialogue } from './testing/dialogue.ts';

function message(
  topic: string,
  payload = 'x',
  more: { guarantee?: Guarantee; expiresAtMs?: number; attributes?: Attributes } = {},
): Message {
  const bytes = Buffer.from(`<${payload}>`);
  return new Message(
    topic,
    Buffer.from(topic),
    bytes,
    1,
    bytes.length - 1,
    more.guarantee ?? 0,
    false,
    defaultPriority,
    more.expiresAtMs ?? 0,
    0,
    's',
    more.attributes,
  );
}

test('a delivery at most once [MQTT-4.3.1-1]', () => {
  for (const version of [3, 4, 5] as const) {
    const d = Dialogue.connected(version);
    d.fromBroker((consumer) => {
      assert.equal(consumer.send(message('a', 'hello'), false, undefined), true);
      assert.equal(consumer.send(message('a', ''), true, undefined), true);
    });
    assert.deepEqual(d.heard(), ['PUBLISH q0 "a" 5 bytes', 'PUBLISH q0 "a" 0 bytes retain']);
  }
});

test('a delivery at least or exactly once carries its id, and DUP only if it is repeated [MQTT-3.3.1-1] [MQTT-3.3.1-3]', () => {
  const d = Dialogue.connected(5);
  d.fromBroker((consumer) => {
    consumer.transfer(7, 1, message('a'), false, false, undefined, 1, 0);
    consumer.transfer(65_535, 2, message('a'), true, true, undefined, 1, 0);
  });
  assert.deepEqual(d.heard(), ['PUBLISH q1 id=7 "a" 1 bytes', 'PUBLISH q2 id=65535 "a" 1 bytes retain dup']);
});

test('properties and subscription identifiers for version 5 only [MQTT-3.3.4-4]', () => {
  const attributes: Attributes = { contentType: 'text/plain', properties: [{ key: 'k', value: { type: 'string', value: 'v' } }] };
  for (const [version, words] of [
    [4, 'PUBLISH q0 "a" 1 bytes'],
    [5, 'PUBLISH q0 "a" 1 bytes message-expiry-interval=10 subscription-identifiers=3,4 content-type="text/plain" user-properties=1'],
  ] as const) {
    const d = Dialogue.connected(version);
    const expiresAtMs = d.clock.wallMs() + 10_500;
    d.clock.advance(700);
    d.fromBroker((consumer) => consumer.send(message('a', 'x', { attributes, expiresAtMs }), false, [3, 4])); // [MQTT-3.3.2-6]
    assert.deepEqual(d.heard(), [words]);
  }
});

test('what the client says of a delivery is settled with the broker', () => {
  const cases: readonly (readonly [AckType, ReasonCode, string])[] = [
    [PacketType.puback, ReasonCode.success, 'settle 7 accepted'],
    [PacketType.puback, ReasonCode.noMatchingSubscribers, 'settle 7 accepted'],
    [PacketType.puback, ReasonCode.quotaExceeded, 'settle 7 rejected'], // [MQTT-4.4.0-2]
    [PacketType.pubrec, ReasonCode.success, 'settle 7 received'],
    [PacketType.pubrec, ReasonCode.notAuthorized, 'settle 7 rejected'],
    [PacketType.pubcomp, ReasonCode.success, 'settle 7 accepted'],
    [PacketType.pubcomp, ReasonCode.packetIdentifierNotFound, 'settle 7 accepted'],
  ];
  for (const [type, reason, asked] of cases) {
    const d = Dialogue.connected(5);
    d.send(ack(5, type, 7, reason));
    assert.deepEqual(d.asked(), [asked]);
    assert.deepEqual(d.heard(), []);
  }
});

test('the broker says when an exactly-once delivery is released [MQTT-4.3.3-4]', () => {
  for (const version of [3, 4, 5] as const) {
    const d = Dialogue.connected(version);
    d.fromBroker((consumer) => consumer.releaseDelivery(7));
    d.fromBroker((consumer) => consumer.releaseDelivery(7));
    assert.deepEqual(d.heard(), ['PUBREL id=7', 'PUBREL id=7']);
  }
});

test('an acknowledgement for what is not outstanding is counted, and a PUBREC is told so', () => {
  for (const [version, pubrel] of [
    [4, 'PUBREL id=7'],
    [5, 'PUBREL id=7 Packet Identifier not found'],
  ] as const) {
    const d = Dialogue.connected(version);
    d.session.script.settle = false;
    d.send(ack(version, PacketType.puback, 7), ack(version, PacketType.pubcomp, 7), ack(version, PacketType.pubrec, 7));
    assert.deepEqual(d.heard(), [pubrel]);
    assert.equal(d.metric('heliograph_mqtt_stray_acknowledgements_total'), 3);
  }
});

test('nothing larger than the client allows is sent [MQTT-3.1.2-24] [MQTT-3.1.2-25]', () => {
  const d = Dialogue.connected(5, { connect: { properties: { maximumPacketSize: 50 } } });
  d.fromBroker((consumer) => {
    // 2 header, 2 + 1 topic, 1 property length: 44 bytes of payload fill the packet.
    assert.equal(consumer.send(message('a', 'x'.repeat(44)), false, undefined), true);
    assert.equal(consumer.send(message('a', 'x'.repeat(45)), false, undefined), false);
    assert.equal(consumer.send(message('a', 'x'.repeat(44)), false, [1]), false);
    assert.equal(consumer.transfer(1, 1, message('a', 'x'.repeat(42)), false, false, undefined, 1, 0), true);
    assert.equal(consumer.transfer(2, 1, message('a', 'x'.repeat(43)), false, false, undefined, 1, 0), false);
  });
  assert.deepEqual(d.heard(), ['PUBLISH q0 "a" 44 bytes', 'PUBLISH q1 id=1 "a" 42 bytes']);
  assert.equal(d.metric('heliograph_mqtt_deliveries_dropped_total', 'packet too large'), 3);
});

test('topic aliases within what the client and the server allow [MQTT-3.1.2-26] [MQTT-3.3.2-11]', () => {
  const d = Dialogue.connected(5, { options: { outboundTopicAliasMaximum: 2 }, connect: { properties: { topicAliasMaximum: 10 } } });
  const topics = ['topic/1', 'topic/1', 'topic/2', 'topic/3', 'topic/2', 'abc', 'abc'];
  d.fromBroker((consumer) => {
    for (const topic of topics) consumer.send(message(topic), false, undefined);
  });
  assert.deepEqual(d.heard(), [
    'PUBLISH q0 "topic/1" 1 bytes topic-alias=1',
    'PUBLISH q0 "" 1 bytes topic-alias=1',
    'PUBLISH q0 "topic/2" 1 bytes topic-alias=2',
    'PUBLISH q0 "topic/3" 1 bytes',
    'PUBLISH q0 "" 1 bytes topic-alias=2',
    'PUBLISH q0 "abc" 1 bytes',
    'PUBLISH q0 "abc" 1 bytes',
  ]);
});

test('no topic aliases for a client that allows none [MQTT-3.1.2-27]', () => {
  for (const version of [4, 5] as const) {
    const d = Dialogue.connected(version);
    d.fromBroker((consumer) => consumer.send(message('topic/1'), false, undefined));
    assert.deepEqual(d.heard(), ['PUBLISH q0 "topic/1" 1 bytes']);
  }
});

test('an alias that makes a packet too large is left out, and is not taken', () => {
  const d = Dialogue.connected(5, { connect: { properties: { topicAliasMaximum: 1, maximumPacketSize: 50 } } });
  // 2 header, 2 + 7 topic, 1 property length, and 3 for an alias.
  d.fromBroker((consumer) => {
    assert.equal(consumer.send(message('topic/1', 'x'.repeat(38)), false, undefined), true);
    assert.equal(consumer.send(message('topic/1', 'x'.repeat(35)), false, undefined), true);
    assert.equal(consumer.send(message('topic/1', 'x'.repeat(42)), false, undefined), true);
    assert.equal(consumer.send(message('topic/1', 'x'.repeat(43)), false, undefined), false);
  });
  assert.deepEqual(d.heard(), [
    'PUBLISH q0 "topic/1" 38 bytes',
    'PUBLISH q0 "topic/1" 35 bytes topic-alias=1',
    'PUBLISH q0 "" 42 bytes topic-alias=1',
  ]);
});

test('a client that does not read: congested above one mark, QoS 0 dropped and reading stopped above the other', () => {
  const d = Dialogue.connected(5, { options: { outputHighWaterBytes: 1000, maxOutputBytes: 3000 } });
  const large = message('a', 'x'.repeat(900));
  d.fromBroker((consumer) => {
    assert.equal(consumer.congested, false);
    consumer.send(large, false, undefined);
    assert.equal(consumer.congested, false);
    consumer.send(large, false, undefined);
    assert.equal(consumer.congested, true);
    consumer.send(large, false, undefined);
    assert.equal(consumer.send(large, false, undefined), true, 'the last one that still began below the mark');
    assert.equal(consumer.send(large, false, undefined), false);
    assert.equal(consumer.transfer(1, 1, large, false, false, undefined, 1, 0), true, 'never dropped: the broker minds congestion');
  });
  assert.equal(d.metric('heliograph_mqtt_deliveries_dropped_total', 'output full'), 1);
  assert.equal(d.wire.pauses, 0);
  d.send(ack(5, PacketType.puback, 1));
  assert.equal(d.wire.pauses, 1);
  d.asked();
  d.wire.takeBytes();
  d.connection.onDrained();
  assert.equal(d.wire.pauses, 0);
  assert.deepEqual(d.asked(), ['resume']);
  assert.equal(d.session.consumer.congested, false);
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Output } from '../../../base/output.ts';
import type { Attributes } from '../../../message/attributes.ts';
import { Message } from '../../../message/message.ts';
import { toMqtt, toNeutral } from '../convert.ts';
import type { Packet } from './any-packet.ts';
import type { Qos, Version } from './packets.ts';
import { decodePublish, PublishFields } from './publish-decode.ts';
import { publishBytes, writePublish } from './publish-encode.ts';
import { plain } from './testing/plain.ts';
import { readStream } from './testing/read-stream.ts';
import { wire } from './testing/wire.ts';
import { written } from './testing/written.ts';

const now = 1_700_000_000_000;

type Parts = { payload?: Uint8Array; attributes?: Attributes; priority?: number; expiresAtMs?: number; topic?: string };

function message({ payload = Uint8Array.of(1, 2), attributes, priority = 4, expiresAtMs = 0, topic = 'a/b' }: Parts = {}): Message {
  // The payload lies within a larger buffer, as it does when it comes from a socket.
  const buffer = new Uint8Array(payload.length + 4).fill(0xee);
  buffer.set(payload, 3);
  const end = 3 + payload.length;
  return new Message(topic, new Uint8Array(Buffer.from(topic)), buffer, 3, end, 0, false, priority, expiresAtMs, now, '', attributes);
}

type Delivery = {
  version?: Version;
  qos?: Qos;
  packetId?: number;
  dup?: boolean;
  retain?: boolean;
  alias?: number;
  sendTopic?: boolean;
  ids?: readonly number[] | undefined;
};

function bytesOf(
  sent: Message,
  { version = 5, qos = 0, packetId = 0, dup = false, retain = false, alias = 0, sendTopic = true, ids }: Delivery,
) {
  const bytes = written((output) => writePublish(output, version, sent, qos, packetId, dup, retain, alias, sendTopic, ids, now));
  assert.equal(publishBytes(version, sent, qos, alias, sendTopic, ids), bytes.length);
  return bytes;
}

function packetOf(sent: Message, delivery: Delivery): Packet & { type: 'publish' } {
  const { packets, error } = readStream([bytesOf(sent, delivery)], { from: 'server', version: delivery.version ?? 5, first: false });
  assert.equal(error?.message, undefined);
  assert.equal(packets.length, 1);
  return packets[0] as Packet & { type: 'publish' };
}

describe('writePublish', () => {
  it('writes what 3.1.1 knows and nothing else', () => {
    const sent = message({ attributes: { contentType: 'x' }, priority: 9, expiresAtMs: now + 1 });
    assert.deepEqual(bytesOf(sent, { version: 4 }), wire('30 { "a/b" 01 02 }'));
    assert.deepEqual(bytesOf(sent, { version: 3, qos: 2, packetId: 0x102, dup: true, retain: true }), wire('3d { "a/b" 01 02 01 02 }'));
  });

  it('writes alias, expiry, subscription identifiers and attributes', () => {
    const sent = message({ attributes: { contentType: 'x' }, expiresAtMs: now + 60_000 });
    assert.deepEqual(
      bytesOf(sent, { qos: 1, packetId: 7, alias: 300, ids: [1, 200] }),
      wire('32 { "a/b" 00 07 { 23 01 2c  02 00 00 00 3c  0b 01  0b c8 01  03 "x" } 01 02 }'),
    );
    assert.deepEqual(bytesOf(message(), { alias: 300, sendTopic: false }), wire('30 { "" { 23 01 2c } 01 02 }'));
    assert.deepEqual(bytesOf(message(), {}), wire('30 { "a/b" 00 01 02 }'));
  });

  it('rounds the time that is left up to seconds, within what fits [MQTT-3.3.2-6]', () => {
    const left = (ms: number) => packetOf(message({ expiresAtMs: now + ms }), {}).properties?.messageExpiryInterval;
    assert.equal(left(60_000), 60);
    assert.equal(left(59_001), 60);
    assert.equal(left(59_000), 59);
    assert.equal(left(1), 1);
    assert.equal(left(-5000), 0);
    assert.equal(left(1e15), 0xffff_ffff);
  });

  it('writes priority without other attributes', () => {
    assert.deepEqual(packetOf(message({ priority: 0 }), {}).properties, { userProperties: [{ key: 'priority', value: '0' }] });
  });

  it('writes packets of every length of their length', () => {
    for (const size of [100, 127, 16_000, 16_384, 2_097_151, 2_100_000]) {
      assert.equal(packetOf(message({ payload: new Uint8Array(size) }), {}).payload.length, size);
    }
  });

  it('appends to what the output holds', () => {
    const output = new Output(() => {});
    for (let i = 1; i <= 2000; i++) writePublish(output, 4, message(), 1, i, false, false, 0, true, undefined, now);
    const { packets, error } = readStream(output.takeChunks(), { from: 'server', version: 4, first: false });
    assert.equal(error, undefined);
    assert.deepEqual(
      packets.map((packet) => (packet as { packetId: number }).packetId),
      Array.from({ length: 2000 }, (_, i) => i + 1),
    );
  });
});

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom(28, 29, 127, 200, 1000, 20_000).map((n) => new Uint8Array(n).fill(5)),
);
const pairs = fc.array(fc.record({ key: fc.constantFrom('a', 'ü', 'priority', 'message-id'), value: fc.constantFrom('1', 'é', '7') }), {
  minLength: 1,
});
const sentProperties = fc.record({ contentType: fc.constant('text/plain'), userProperties: pairs }, { requiredKeys: [] });
const anyDelivery = fc.record({
  alias: fc.constantFrom(0, 9),
  retain: fc.boolean(),
  ids: fc.constantFrom(undefined, [5], [1, 268_435_455]),
});
const anyMessage = fc.tuple(sentProperties, payload).map(([properties, bytes]) => {
  const { attributes, priority } = toNeutral(properties);
  return message({ ...(attributes === undefined ? {} : { attributes }), priority, payload: bytes, expiresAtMs: now + 5000 });
});

describe('writePublish, after toNeutral', () => {
  it('delivers what a publisher sent, for any attributes, to several receivers and by turns', () => {
    fc.assert(
      fc.property(anyMessage, anyMessage, anyDelivery, (one, other, how) => {
        for (const sent of [one, one, other, one]) {
          const { alias, ids, retain } = how;
          assert.deepEqual(plain(packetOf(sent, how)), {
            type: 'publish',
            topic: 'a/b',
            payload: new Uint8Array(sent.payload()),
            qos: 0,
            packetId: 0,
            dup: false,
            retain,
            properties: plain({
              topicAlias: alias === 0 ? undefined : alias,
              messageExpiryInterval: 5,
              subscriptionIdentifiers: ids,
              ...toMqtt(sent.attributes, sent.priority),
            }),
          });
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('decodePublish', () => {
  function decode(bytes: Uint8Array, into: PublishFields, version: Version = 5): void {
    assert.equal(decodePublish(bytes, 2, bytes.length, bytes[0]! & 0x0f, version, into), undefined);
  }

  it('says where things are, and forgets the packet before', () => {
    const fields = new PublishFields('client');
    decode(wire('3b { "t" 00 09 { 01 01 02 00 00 00 05 23 00 03 } 07 }'), fields);
    const { dup, qos, retain, topicStart, topicEnd, packetId, topicAlias, messageExpiryInterval, payloadStart, payloadEnd } = fields;
    assert.deepEqual(
      [dup, qos, retain, topicStart, topicEnd, packetId, topicAlias, messageExpiryInterval, payloadStart, payloadEnd],
      [true, 1, true, 4, 5, 9, 3, 5, 18, 19],
    );
    assert.equal(fields.properties?.payloadFormatIndicator, 1);
    assert.deepEqual([fields.propertiesStart, fields.propertiesEnd], [8, 18]);

    decode(wire('30 { "u" 00 }'), fields);
    assert.deepEqual(Object.fromEntries(Object.entries(fields)), {
      from: 'client',
      dup: false,
      qos: 0,
      retain: false,
      topicStart: 4,
      topicEnd: 5,
      packetId: 0,
      topicAlias: 0,
      messageExpiryInterval: -1,
      properties: undefined,
      propertiesStart: 6,
      propertiesEnd: 6,
      payloadStart: 6,
      payloadEnd: 6,
    });
  });

  it('makes no object of an alias or an expiry', () => {
    const fields = new PublishFields('client');
    decode(wire('30 { "" { 23 00 03 } }'), fields);
    assert.deepEqual([fields.topicAlias, fields.properties], [3, undefined]);
    decode(wire('30 { "" { 02 00 00 00 05 23 00 03 } }'), fields);
    assert.deepEqual([fields.topicAlias, fields.messageExpiryInterval, fields.properties], [3, 5, undefined]);
  });

  it('lets a server send subscription identifiers', () => {
    const fields = new PublishFields('server');
    decode(wire('30 { "t" { 0b 05 } }'), fields);
    assert.deepEqual(fields.properties?.subscriptionIdentifiers, [5]);
  });
});

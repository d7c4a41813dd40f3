import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultPriority, Message } from '../../message/message.ts';
import { ack, connect, everyPacket, publish, subscribe, unsubscribe } from './testing/client-packets.ts';
import { Dialogue } from './testing/dialogue.ts';
import type { Trace } from '../trace.ts';
import { packetInWords } from './trace.ts';
import { PacketType, packetName, type Version } from './codec/index.ts';

class Recorder implements Trace {
  version = 1;
  readonly clients = new Set<string>();
  readonly lines: string[] = [];
  asked = 0;

  wants(clientId: string): boolean {
    this.asked++;
    return this.clients.has(clientId);
  }

  packet(clientId: string, direction: 'in' | 'out', words: string): void {
    this.lines.push(`${clientId} ${direction} ${words}`);
  }

  take(): string[] {
    return this.lines.splice(0);
  }
}

/** The words for a whole packet with a fixed header of two bytes. */
function words(version: Version, packet: Uint8Array): string {
  return packetInWords(version, 'client', packet[0]!, packet, 2, packet.length);
}

test('packets in words', () => {
  assert.equal(
    words(5, publish(5, { topic: 'a/b', payload: 'x'.repeat(64), qos: 1, packetId: 7, retain: true, dup: true })),
    'PUBLISH q1 id=7 "a/b" 64 bytes retain dup',
  );
  assert.equal(words(4, ack(4, PacketType.pubrel, 7)), 'PUBREL id=7');
  assert.equal(words(5, ack(5, PacketType.puback, 7, 0x97)), 'PUBACK id=7 Quota exceeded');
  const filter = { filter: 'a/#', qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 } as const;
  assert.equal(words(5, subscribe(5, 7, [filter, 'b'])), 'SUBSCRIBE id=7 "a/#" q2 no-local retain-as-published retain-handling=2 "b" q1');
  assert.equal(words(4, unsubscribe(4, 7, ['a', 'b'])), 'UNSUBSCRIBE id=7 "a" "b"');
  assert.equal(words(4, Buffer.from([0x30, 1, 0])), 'PUBLISH (Malformed Packet: PUBLISH ends within its header) 1 bytes');
});

test('CONNECT in words says neither password nor payload nor authentication data', () => {
  const packet = connect(5, {
    clientId: 'c\n\u001b[2J\u009b',
    username: 'u',
    password: Buffer.from('topsecret'),
    keepAlive: 30,
    will: { topic: 'w', payload: Buffer.from('payload'), qos: 1, retain: true },
    properties: {
      authenticationMethod: 'M',
      authenticationData: Buffer.from('proof'),
      sessionExpiryInterval: 5,
      userProperties: [{ key: 'k', value: 'v' }],
    },
  });
  const text = words(5, packet);
  assert.equal(
    text,
    'CONNECT 5.0 client="c\\n\\u001b[2J\\u009b" clean keep-alive=30 user="u" password session-expiry-interval=5 authentication-method="M" authentication-data=5 bytes user-properties=1 will="w" q1 retain 7 bytes',
  );
  for (const secret of ['topsecret', 'payload', 'proof']) assert.equal(text.includes(secret), false);
});

test('there are words for every packet', () => {
  for (const version of [4, 5] as const) {
    for (const [name, packet] of everyPacket(version)) {
      if (name === 'reserved type 0') continue;
      assert.ok(words(version, packet).startsWith(packetName(packet[0]! >> 4)), name);
    }
  }
});

test('a client is shown from its CONNECT on, both ways', () => {
  const trace = new Recorder();
  trace.clients.add('c');
  const d = new Dialogue(4, { trace });
  d.send(connect(4), publish(4, { qos: 1, packetId: 1 }), subscribe(4, 2, ['a']));
  const payload = Buffer.from('hello');
  const topic = Buffer.from('a');
  d.fromBroker((consumer) =>
    consumer.send(new Message('a', topic, payload, 0, 5, 0, false, defaultPriority, 0, 0, 's', undefined), false, undefined),
  );
  assert.deepEqual(trace.take(), [
    'c in CONNECT 3.1.1 client="c" clean keep-alive=0',
    'c out CONNACK Success',
    'c in PUBLISH q1 id=1 "a/b" 1 bytes',
    'c out PUBACK id=1',
    'c in SUBSCRIBE id=2 "a" q1',
    'c out SUBACK id=2 Granted QoS 1',
    'c out PUBLISH q0 "a" 5 bytes',
  ]);
});

test('watching may begin and end while a client is connected, and costs one question per change', () => {
  const trace = new Recorder();
  const d = Dialogue.connected(5, { trace });
  trace.asked = 0;
  d.send(publish(5), publish(5), publish(5));
  assert.equal(trace.asked, 0);
  trace.clients.add('c');
  trace.version++;
  d.send(publish(5, { payload: '' }));
  assert.deepEqual(trace.take(), ['c in PUBLISH q0 "a/b" 0 bytes']);
  trace.clients.delete('c');
  trace.version++;
  trace.asked = 0;
  d.send(publish(5), publish(5));
  assert.deepEqual(trace.take(), []);
  assert.equal(trace.asked, 1);
});

test('another client is not shown', () => {
  const trace = new Recorder();
  trace.clients.add('other');
  const d = Dialogue.connected(5, { trace });
  d.send(publish(5, { qos: 1, packetId: 1 }));
  assert.deepEqual(trace.take(), []);
});

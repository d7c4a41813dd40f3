// Connections that talk to each other through the real broker, on a journal in memory that a test moves by hand.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../../base/log.ts';
import { SeededRandom } from '../../base/random.ts';
import { allowAll, TestBroker, type TestBrokerOptions } from '../../broker/testing/test-broker.ts';
import { FrameReader, PacketType, type Version } from './codec/index.ts';
import { MqttConnection } from './connection.ts';
import type { MqttOptions } from './options.ts';
import { MqttServer } from './server.ts';
import * as packets from './testing/client-packets.ts';
import { FakeWire } from './testing/fake-wire.ts';
import { defaultMqttOptions } from './testing/options.ts';
import { packetInWords } from './trace.ts';

const anything = { verdicts: new Uint8Array(256), minimalLengths: true };

class House {
  readonly test: TestBroker;
  readonly server: MqttServer;

  constructor(broker: TestBroker, options: Partial<MqttOptions> = {}) {
    this.test = broker;
    this.server = new MqttServer({
      broker: broker.broker,
      security: allowAll,
      clock: broker.clock,
      random: new SeededRandom(1),
      log: silentLog,
      options: { ...defaultMqttOptions, ...options },
    });
  }

  static async open(options: Partial<MqttOptions> = {}, broker: TestBrokerOptions = {}): Promise<House> {
    return new House(await TestBroker.start(broker), options);
  }

  /** A client whose CONNACK has come. */
  client(version: Version, clientId: string, more: Parameters<typeof packets.connect>[1] = {}): Client {
    const client = new Client(this, version);
    client.send(packets.connect(version, { clientId, ...more }));
    this.test.settle();
    assert.match(client.heard()[0]!, /^CONNACK Success/);
    return client;
  }
}

class Client {
  readonly version: Version;
  readonly wire = new FakeWire();
  readonly connection: MqttConnection;
  readonly #house: House;

  constructor(house: House, version: Version) {
    this.#house = house;
    this.version = version;
    this.connection = new MqttConnection(house.server, this.wire);
  }

  /** Sends, and lets the broker and its journal come to rest. */
  say(...pieces: Uint8Array[]): void {
    this.send(...pieces);
    this.#house.test.settle();
  }

  send(...pieces: Uint8Array[]): void {
    const bytes = new Uint8Array(Buffer.concat(pieces));
    this.connection.receive(bytes);
    bytes.fill(0xee);
  }

  heard(): string[] {
    const words: string[] = [];
    const reader = new FrameReader(anything, Infinity);
    reader.push(this.wire.takeBytes(), {
      packet: (firstByte, bytes, start, end) => {
        words.push(packetInWords(this.version, 'server', firstByte, bytes, start, end));
        return true;
      },
    });
    if (this.wire.ended !== undefined) words.push(this.wire.ended);
    return words;
  }

  lose(): void {
    this.connection.onClosed();
    this.#house.test.settle();
  }

  publish(topic: string, payload: string, qos: 0 | 1 | 2 = 0, packetId = qos === 0 ? 0 : 1, more: packets.PublishWords = {}): void {
    this.say(packets.publish(this.version, { topic, payload, qos, packetId, ...more }));
  }

  subscribe(...filters: Parameters<typeof packets.subscribe>[2]): void {
    this.say(packets.subscribe(this.version, 1, filters));
    assert.match(this.heard()[0]!, /^SUBACK/);
  }

  ack(type: Parameters<typeof packets.ack>[1], packetId: number): void {
    this.say(packets.ack(this.version, type, packetId));
  }
}

const lasting = { cleanStart: false, properties: { sessionExpiryInterval: 1000 } } as const;

test('every QoS from every version to every version', async () => {
  for (const from of [3, 4, 5] as const) {
    for (const to of [3, 4, 5] as const) {
      const house = await House.open();
      const subscriber = house.client(to, 'subscriber');
      const publisher = house.client(from, 'publisher');
      subscriber.subscribe({ filter: 'a/#', qos: 2, noLocal: false, retainAsPublished: false, retainHandling: 0 });
      publisher.publish('a/0', 'zero');
      publisher.publish('a/1', 'one', 1, 11);
      publisher.publish('a/2', 'two', 2, 12);
      assert.deepEqual(publisher.heard(), ['PUBACK id=11', 'PUBREC id=12']);
      publisher.ack(PacketType.pubrel, 12);
      assert.deepEqual(publisher.heard(), ['PUBCOMP id=12']);
      assert.deepEqual(subscriber.heard(), ['PUBLISH q0 "a/0" 4 bytes', 'PUBLISH q1 id=1 "a/1" 3 bytes', 'PUBLISH q2 id=2 "a/2" 3 bytes']);
      subscriber.ack(PacketType.puback, 1);
      subscriber.ack(PacketType.pubrec, 2);
      assert.deepEqual(subscriber.heard(), ['PUBREL id=2']);
      subscriber.ack(PacketType.pubcomp, 2);
      assert.deepEqual(subscriber.heard(), []);
      assert.equal(house.server.counters.strayAcks, 0);
    }
  }
});

test('nobody listens', async () => {
  const house = await House.open();
  const publisher = house.client(5, 'p');
  publisher.publish('a', 'x', 1);
  assert.deepEqual(publisher.heard(), ['PUBACK id=1 No matching subscribers']);
});

test('what a durable session is owed is acknowledged only when the journal has it', async () => {
  const house = await House.open();
  const subscriber = house.client(5, 's', lasting);
  subscriber.subscribe('a');
  const publisher = house.client(5, 'p');
  publisher.send(packets.publish(5, { topic: 'a', qos: 1, packetId: 1 }), packets.publish(5, { topic: 'b', qos: 1, packetId: 2 }));
  house.test.endTurn();
  assert.deepEqual(publisher.heard(), [], 'neither it nor what came after it');
  assert.deepEqual(subscriber.heard(), []);
  house.test.commit();
  assert.deepEqual(publisher.heard(), ['PUBACK id=1', 'PUBACK id=2 No matching subscribers']);
  house.test.settle();
  assert.deepEqual(subscriber.heard(), ['PUBLISH q1 id=1 "a" 1 bytes']);
});

test('a session goes on where its connection broke off [MQTT-4.4.0-1]', async () => {
  for (const version of [4, 5] as const) {
    const more = version === 5 ? lasting : { cleanStart: false };
    const house = await House.open();
    const first = house.client(version, 's', more);
    first.subscribe({ filter: 'a', qos: 2, noLocal: false, retainAsPublished: false, retainHandling: 0 });
    const publisher = house.client(5, 'p');
    publisher.publish('a', 'one', 1);
    publisher.publish('a', 'two', 2);
    publisher.publish('a', 'three', 2, 2);
    assert.deepEqual(first.heard(), ['PUBLISH q1 id=1 "a" 3 bytes', 'PUBLISH q2 id=2 "a" 3 bytes', 'PUBLISH q2 id=3 "a" 5 bytes']);
    first.ack(PacketType.pubrec, 3);
    first.heard();
    first.lose();
    publisher.publish('a', 'four!', 1);
    const second = new Client(house, version);
    second.say(packets.connect(version, { clientId: 's', ...more }));
    assert.deepEqual(
      second.heard().map((words) => words.replace(/ server-keep-alive.*/, '')),
      [
        'CONNACK Success session present',
        'PUBLISH q1 id=1 "a" 3 bytes dup',
        'PUBLISH q2 id=2 "a" 3 bytes dup',
        'PUBREL id=3',
        'PUBLISH q1 id=4 "a" 5 bytes',
      ],
    );
  }
});

test('QoS 2 is stored once, however often it is sent, also across connections [MQTT-4.3.3-10]', async () => {
  const house = await House.open();
  const subscriber = house.client(5, 's', lasting);
  subscriber.subscribe({ filter: 'a', qos: 2, noLocal: false, retainAsPublished: false, retainHandling: 0 });
  const publisher = house.client(4, 'p', { cleanStart: false });
  publisher.publish('a', 'x', 2, 7);
  publisher.lose();
  const again = house.client(4, 'p', { cleanStart: false });
  again.publish('a', 'x', 2, 7, { dup: true });
  again.ack(PacketType.pubrel, 7);
  assert.deepEqual(again.heard(), ['PUBREC id=7', 'PUBCOMP id=7']);
  assert.deepEqual(subscriber.heard(), ['PUBLISH q2 id=1 "a" 1 bytes']);
});

test('the same client identifier again: the older connection is told and closed [MQTT-3.1.4-3]', async () => {
  const house = await House.open();
  const first = house.client(5, 'same', { will: { topic: 'w', payload: Buffer.from('x'), qos: 0, retain: false } });
  const watcher = house.client(5, 'watcher');
  watcher.subscribe('w');
  const second = house.client(5, 'same');
  assert.deepEqual(first.heard(), [
    'DISCONNECT Session taken over reason-string="another connection uses this client identifier"',
    'closed',
  ]);
  first.lose();
  assert.equal(second.connection.state, 'connected');
  assert.deepEqual(watcher.heard(), ['PUBLISH q0 "w" 1 bytes']);
});

test('wills: after a lost connection, after a delay, and not after a goodbye [MQTT-3.1.2-8] [MQTT-3.14.4-3]', async () => {
  const house = await House.open();
  const watcher = house.client(5, 'watcher');
  watcher.subscribe('w');
  const will = { topic: 'w', payload: Buffer.from('gone'), qos: 1, retain: false } as const;
  house.client(4, 'a', { will }).lose();
  assert.deepEqual(watcher.heard(), ['PUBLISH q1 id=1 "w" 4 bytes']);
  house.client(4, 'b', { will }).say(packets.disconnect(4));
  assert.deepEqual(watcher.heard(), []);
  house.client(5, 'c', { will }).say(packets.disconnect(5, 0x04));
  assert.deepEqual(watcher.heard(), ['PUBLISH q1 id=2 "w" 4 bytes']);
  house.client(5, 'd', { ...lasting, will: { ...will, properties: { willDelayInterval: 10, messageExpiryInterval: 60 } } }).lose();
  house.test.advance(9_000);
  assert.deepEqual(watcher.heard(), []);
  house.test.advance(1_000);
  assert.deepEqual(watcher.heard(), ['PUBLISH q1 id=3 "w" 4 bytes message-expiry-interval=60']);
});

test('retained messages, and how a subscription wants them', async () => {
  const house = await House.open();
  const publisher = house.client(5, 'p');
  publisher.publish('r', 'kept', 1, 1, { retain: true });
  const client = house.client(5, 'c');
  const options = { filter: 'r', qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
  const heardAfter = (more: Partial<Record<keyof typeof options, unknown>>): string[] => {
    client.say(packets.subscribe(5, 2, [{ ...options, ...more } as never]));
    return client.heard().slice(1);
  };
  assert.deepEqual(heardAfter({}), ['PUBLISH q0 "r" 4 bytes retain']); // [MQTT-3.3.1-9]
  assert.deepEqual(heardAfter({ retainHandling: 1 }), []); // [MQTT-3.3.1-10]
  assert.deepEqual(heardAfter({ retainHandling: 2 }), []); // [MQTT-3.3.1-11]
  publisher.publish('r', 'new', 1, 2, { retain: true });
  assert.deepEqual(client.heard(), ['PUBLISH q0 "r" 3 bytes']); // [MQTT-3.3.1-12]
  heardAfter({ retainHandling: 2, retainAsPublished: true });
  publisher.publish('r', '', 1, 3, { retain: true });
  assert.deepEqual(client.heard(), ['PUBLISH q0 "r" 0 bytes retain']); // [MQTT-3.3.1-6] [MQTT-3.3.1-13]
  assert.deepEqual(heardAfter({}), []);
});

test('no local, subscription identifiers and overlapping subscriptions', async () => {
  const house = await House.open();
  const client = house.client(5, 'c');
  const plain = { qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
  client.say(packets.subscribe(5, 1, [{ ...plain, filter: 'own', noLocal: true }]));
  client.say(packets.subscribe(5, 2, [{ ...plain, filter: 'a/#' }], { properties: { subscriptionIdentifiers: [10] } }));
  client.say(packets.subscribe(5, 3, [{ ...plain, filter: 'a/+' }], { properties: { subscriptionIdentifiers: [300] } }));
  client.heard();
  client.publish('own', 'x');
  assert.deepEqual(client.heard(), []); // [MQTT-3.8.3-3]
  house.client(4, 'p').publish('a/b', 'x');
  const heard = client.heard();
  const ids = heard
    .join(' ')
    .match(/subscription-identifiers=([\d,]+)/)?.[1]
    ?.split(',')
    .map(Number)
    .toSorted((a, b) => a - b);
  assert.deepEqual([heard.length, ids], [1, [10, 300]]); // [MQTT-3.3.4-4]
});

test('properties and expiry travel; aliases do not', async () => {
  const house = await House.open();
  const subscriber = house.client(5, 's', { properties: { topicAliasMaximum: 5 } });
  subscriber.subscribe('long/topic');
  const publisher = house.client(5, 'p');
  const properties = {
    messageExpiryInterval: 30,
    contentType: 'text/plain',
    payloadFormatIndicator: 1,
    userProperties: [{ key: 'a', value: 'b' }],
  } as const;
  publisher.publish('long/topic', 'x', 0, 0, { properties: { ...properties, topicAlias: 9 } });
  publisher.publish('', 'y', 0, 0, { properties: { topicAlias: 9 } });
  assert.deepEqual(subscriber.heard(), [
    'PUBLISH q0 "long/topic" 1 bytes topic-alias=1 message-expiry-interval=30 payload-format-indicator=1 content-type="text/plain" user-properties=1',
    'PUBLISH q0 "" 1 bytes topic-alias=1',
  ]);
});

test('a message that is too large for one client goes to the others [MQTT-3.1.2-25]', async () => {
  const house = await House.open();
  const small = house.client(5, 'small', { properties: { maximumPacketSize: 100 } });
  const large = house.client(5, 'large');
  small.subscribe('a');
  large.subscribe('a');
  const publisher = house.client(5, 'p');
  publisher.publish('a', 'x'.repeat(200), 1);
  publisher.publish('a', 'y', 1, 2);
  assert.deepEqual(small.heard(), ['PUBLISH q1 id=2 "a" 1 bytes']);
  assert.deepEqual(large.heard(), ['PUBLISH q1 id=1 "a" 200 bytes', 'PUBLISH q1 id=2 "a" 1 bytes']);
  assert.deepEqual(publisher.heard(), ['PUBACK id=1', 'PUBACK id=2']);
});

test('the receive maximum of a client is kept to [MQTT-3.3.4-9]', async () => {
  const house = await House.open();
  const subscriber = house.client(5, 's', { properties: { receiveMaximum: 2 } });
  subscriber.subscribe('a');
  const publisher = house.client(5, 'p');
  for (let i = 1; i <= 4; i++) publisher.publish('a', 'x', 1, i);
  assert.equal(subscriber.heard().length, 2);
  subscriber.ack(PacketType.puback, 1);
  assert.deepEqual(subscriber.heard(), ['PUBLISH q1 id=3 "a" 1 bytes']);
});

test('a client that does not read keeps its messages in its queue, and gets them when it reads again', async () => {
  const house = await House.open({ outputHighWaterBytes: 2_000, maxOutputBytes: 10_000 });
  const slow = house.client(5, 's');
  slow.subscribe('a');
  const publisher = house.client(5, 'p');
  for (let i = 1; i <= 20; i++) publisher.publish('a', 'x'.repeat(500), 1, i);
  assert.ok(slow.wire.output.pendingBytes < 3_000, `${slow.wire.output.pendingBytes} bytes wait in the output`);
  let got = 0;
  for (let round = 0; round < 20 && got < 20; round++) {
    got += slow.heard().length;
    slow.connection.onDrained();
    house.test.settle();
  }
  assert.equal(got, 20);
  assert.deepEqual(publisher.heard().length, 20);
});

test('a slow client loses its own QoS 0 messages only', async () => {
  const house = await House.open({ outputHighWaterBytes: 2_000, maxOutputBytes: 4_000 });
  const slow = house.client(5, 's');
  const quick = house.client(5, 'q');
  for (const client of [slow, quick]) client.subscribe('a');
  const publisher = house.client(5, 'p');
  let quickGot = 0;
  for (let i = 0; i < 50; i++) {
    publisher.publish('a', 'x'.repeat(500));
    quickGot += quick.heard().length;
  }
  assert.equal(quickGot, 50);
  const slowGot = slow.heard().length;
  assert.ok(slowGot >= 7 && slowGot <= 9, String(slowGot));
  assert.equal(house.server.counters.dropped['output full'], 50 - slowGot);
});

test('a shared subscription hands each message to one member', async () => {
  const house = await House.open();
  const members = [house.client(5, 'm1'), house.client(4, 'm2')];
  for (const member of members) member.subscribe('$share/g/a');
  const publisher = house.client(5, 'p');
  for (let i = 1; i <= 10; i++) publisher.publish('a', 'x', 1, i);
  const got = members.map((member) => member.heard().length);
  assert.equal(got[0]! + got[1]!, 10);
  assert.ok(got[0]! > 0 && got[1]! > 0, String(got));
});

test('nothing durable is lost when the node dies', async () => {
  const house = await House.open();
  const subscriber = house.client(5, 's', lasting);
  subscriber.subscribe('a');
  subscriber.lose();
  house.client(5, 'p').publish('a', 'kept', 1);
  const reborn = new House(await house.test.restart());
  const again = new Client(reborn, 5);
  again.say(packets.connect(5, { clientId: 's', ...lasting }));
  const heard = again.heard();
  assert.match(heard[0]!, /^CONNACK Success session present/);
  // Whether it was sent before is not journaled at QoS 1, so it comes as a repetition.
  assert.deepEqual(heard.slice(1), ['PUBLISH q1 id=1 "a" 4 bytes dup']);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connack, Packet, Publish } from '../protocols/mqtt/codec/index.ts';
import { ClientError } from './client-error.ts';
import { endpointOf } from './endpoint.ts';
import type { IncomingMessage } from './incoming-messages.ts';
import { MqttClient } from './mqtt-client.ts';
import type { ClientOptions } from './options.ts';
import { FakeNetwork, FakeTime, settled, type FakeConnection } from './testing/fake-network.ts';

type Stand = { readonly client: MqttClient; readonly network: FakeNetwork; readonly time: FakeTime; readonly got: IncomingMessage[] };

function stand(options: Partial<ClientOptions> = {}): Stand {
  const network = new FakeNetwork(options.version ?? 5);
  const time = new FakeTime();
  const got: IncomingMessage[] = [];
  const client = new MqttClient({
    endpoint: endpointOf('tcp', 'nowhere', 1),
    openWire: network.openWire,
    schedule: time.schedule,
    onMessage: (message) => got.push(message),
    ...options,
  });
  return { client, network, time, got };
}

const welcome = (connack: Partial<Connack> = {}): Packet => ({ type: 'connack', sessionPresent: false, reason: 0, ...connack });

async function connected(options: Partial<ClientOptions> = {}, connack: Partial<Connack> = {}): Promise<Stand> {
  const all = stand(options);
  const promise = all.client.connect();
  await settled();
  await greet(all.network.last, connack);
  await promise;
  return all;
}

/** The server lets the client in; what it has said until then is thrown away. */
async function greet(connection: FakeConnection, connack: Partial<Connack> = {}): Promise<void> {
  connection.open();
  await connection.heard();
  connection.send(welcome(connack));
}

const publish = (more: Partial<Publish>): Packet => ({
  type: 'publish',
  topic: 't',
  payload: Buffer.from('x'),
  qos: 0,
  packetId: 0,
  dup: false,
  retain: false,
  ...more,
});

const brief = (packets: readonly Packet[]): string[] =>
  packets.map((packet) => {
    const id = 'packetId' in packet && packet.packetId !== 0 ? ` ${packet.packetId}` : '';
    if (packet.type === 'publish') return `publish${id} ${Buffer.from(packet.payload).toString()}${packet.dup ? ' dup' : ''}`;
    return `${packet.type}${id}${'reason' in packet && packet.reason !== 0 ? ` 0x${packet.reason.toString(16)}` : ''}`;
  });

const reconnect = { minMs: 100, maxMs: 1000 };

test('CONNECT says what was asked for, and the server may choose the client id', async () => {
  const { client, network } = stand({ username: 'u', password: 'pä', sessionExpirySec: 9, keepAliveSec: 7, receiveMaximum: 3 });
  const promise = client.connect();
  await settled();
  network.last.open();
  const [connect] = await network.last.heard();
  assert.ok(connect?.type === 'connect');
  const { version, cleanStart, keepAlive, username, password } = connect;
  assert.deepEqual([version, cleanStart, keepAlive, username, Buffer.from(password!).toString()], [5, true, 7, 'u', 'pä']);
  assert.deepEqual([connect.properties?.sessionExpiryInterval, connect.properties?.receiveMaximum], [9, 3]);
  network.last.send(welcome({ properties: { assignedClientIdentifier: 'chosen' } }));
  assert.deepEqual(await promise, { sessionPresent: false, clientId: 'chosen' });
  client.destroy();
});

test('a refused connection is told in the server’s words, and is not tried again', async () => {
  const { client, network, time } = stand({ reconnect, retryFirst: true });
  const promise = client.connect();
  await settled();
  network.last.open();
  network.last.send(welcome({ reason: 0x86, properties: { reasonString: 'who?' } }));
  await assert.rejects(promise, (error: ClientError) => {
    assert.deepEqual([error.code, error.reason, error.isFinal], ['refused', 0x86, true]);
    assert.match(error.message, /Bad User Name or Password: who\?/);
    return true;
  });
  await settled();
  assert.deepEqual([network.connections.length, time.armed, network.last.closed], [1, 0, 'destroyed']);
});

test('a first connection that fails is tried again only on demand', async () => {
  const once = stand({ reconnect });
  const first = once.client.connect();
  await settled();
  once.network.last.cut(new ClientError('unreachable', 'down'));
  await assert.rejects(first, /down/);

  const often = stand({ reconnect, retryFirst: true });
  const promise = often.client.connect();
  await settled();
  often.network.last.cut(new ClientError('unreachable', 'down'));
  often.time.advance(100);
  assert.equal(often.network.connections.length, 2);
  await greet(often.network.last);
  await promise;
  often.client.destroy();
});

test('waits between attempts grow up to their maximum', async () => {
  const waits: number[] = [];
  const { client, network, time } = stand({ reconnect, retryFirst: true, onRetry: (_, inMs) => waits.push(inMs) });
  const promise = client.connect();
  promise.catch(() => {});
  await settled();
  for (let i = 0; i < 8; i++) {
    network.last.cut(new ClientError('unreachable', 'down'));
    time.advance(1000);
  }
  for (const [i, wait] of waits.entries()) assert.ok(wait <= Math.min(1000, 100 * 2 ** i) && wait >= Math.min(1000, 100 * 2 ** i) / 2);
  assert.equal(waits.length, 8);
  client.destroy();
  await assert.rejects(promise, { code: 'closed' });
  assert.equal(time.armed, 0);
});

test('a server that does not answer in time is given up', async () => {
  const { client, network, time } = stand({ connectTimeoutMs: 500 });
  const promise = client.connect();
  await settled();
  network.last.open();
  time.advance(500);
  await assert.rejects(promise, { code: 'timeout' });
});

for (const version of [3, 4, 5] as const) {
  test(`version ${version}: a publish settles when its exchange is complete`, async () => {
    const { client, network } = await connected({ version });
    assert.equal(await client.publish({ topic: 't', payload: 'zero' }), 0);
    const one = client.publish({ topic: 't', payload: 'one', qos: 1 });
    const two = client.publish({ topic: 't', payload: 'two', qos: 2 });
    assert.deepEqual(brief(await network.last.heard()), ['publish zero', 'publish 1 one', 'publish 2 two']);
    network.last.send({ type: 'puback', packetId: 1, reason: version === 5 ? 0x10 : 0 }, { type: 'pubrec', packetId: 2, reason: 0 });
    assert.equal(await one, version === 5 ? 0x10 : 0);
    assert.deepEqual(brief(await network.last.heard()), ['pubrel 2']);
    assert.equal(client.isIdle, false);
    network.last.send({ type: 'pubcomp', packetId: 2, reason: 0 });
    assert.equal(await two, 0);
    assert.equal(client.isIdle, true);
    client.destroy();
  });
}

test('what is not acknowledged is sent again on the next connection, in order and marked', async () => {
  const { client, network, time } = await connected({ reconnect, sessionExpirySec: 60 });
  const results = ['a', 'b', 'c'].map((payload, i) => client.publish({ topic: 't', payload, qos: i === 1 ? 1 : 2 }));
  await network.last.heard();
  network.last.send({ type: 'pubrec', packetId: 3, reason: 0 });
  network.last.cut();
  const offline = client.publish({ topic: 't', payload: 'd', qos: 1 });
  time.advance(100);
  assert.equal(network.connections.length, 2);
  network.last.open();
  const [connect] = await network.last.heard();
  assert.ok(connect?.type === 'connect' && !connect.cleanStart);
  network.last.send(welcome({ sessionPresent: true }));
  assert.deepEqual(brief(await network.last.heard()), ['pubrel 3', 'publish 1 a dup', 'publish 2 b dup', 'publish 4 d']);
  network.last.send({ type: 'pubrec', packetId: 1, reason: 0 }, { type: 'puback', packetId: 2, reason: 0 });
  network.last.send({ type: 'pubcomp', packetId: 3, reason: 0 }, { type: 'pubcomp', packetId: 1, reason: 0 });
  network.last.send({ type: 'puback', packetId: 4, reason: 0 });
  assert.deepEqual(await Promise.all([...results, offline]), [0, 0, 0, 0]);
  client.destroy();
});

test('without its session QoS 1 is sent as new, and QoS 2 is told as unknown', async () => {
  const { client, network, time } = await connected({ reconnect, sessionExpirySec: 60 });
  const one = client.publish({ topic: 't', payload: 'one', qos: 1 });
  const two = client.publish({ topic: 't', payload: 'two', qos: 2 });
  await network.last.heard();
  network.last.cut();
  time.advance(100);
  await greet(network.last, { sessionPresent: false });
  await assert.rejects(two, { code: 'session-lost' });
  assert.deepEqual(brief(await network.last.heard()), ['publish 1 one']);
  network.last.send({ type: 'puback', packetId: 1, reason: 0 });
  assert.equal(await one, 0);
  client.destroy();
});

test('a refused publish rejects with the reason', async () => {
  const { client, network } = await connected();
  const one = client.publish({ topic: 't', payload: '', qos: 1 });
  const two = client.publish({ topic: 't', payload: '', qos: 2 });
  await network.last.heard();
  network.last.send({ type: 'puback', packetId: 1, reason: 0x87 }, { type: 'pubrec', packetId: 2, reason: 0x97 });
  await assert.rejects(one, { code: 'rejected', reason: 0x87 });
  await assert.rejects(two, { code: 'rejected', reason: 0x97 });
  assert.deepEqual(await network.last.heard(), []);
  client.destroy();
});

test('the server’s receive maximum is respected, also when it is smaller on the next connection', async () => {
  const { client, network, time } = await connected({ reconnect, sessionExpirySec: 60 }, { properties: { receiveMaximum: 2 } });
  const all = ['a', 'b', 'c'].map((payload) => client.publish({ topic: 't', payload, qos: 1 }));
  assert.deepEqual(brief(await network.last.heard()), ['publish 1 a', 'publish 2 b']);
  network.last.cut();
  time.advance(100);
  await greet(network.last, { sessionPresent: true, properties: { receiveMaximum: 1 } });
  for (const expected of ['publish 1 a dup', 'publish 2 b dup', 'publish 3 c']) {
    const [packet] = await network.last.heard();
    assert.deepEqual(brief([packet!]), [expected]);
    network.last.send({ type: 'puback', packetId: (packet as Publish).packetId, reason: 0 });
  }
  await Promise.all(all);
  client.destroy();
});

test('what the server does not offer is not sent', async () => {
  const { client, network } = await connected({}, { properties: { maximumQos: 1, retainAvailable: false, maximumPacketSize: 30 } });
  await assert.rejects(client.publish({ topic: 't', payload: '', qos: 2 }), /no QoS 2/);
  await assert.rejects(client.publish({ topic: 't', payload: '', retain: true }), /retained/);
  await assert.rejects(client.publish({ topic: 't', payload: 'x'.repeat(30) }), /takes 36 bytes; the server takes at most 30/);
  await assert.rejects(client.publish({ topic: 't'.repeat(65_536), payload: '' }), /65535/);
  assert.equal(await client.publish({ topic: 't', payload: 'x'.repeat(24) }), 0);
  assert.equal((await network.last.heard()).length, 1);
  client.destroy();
});

test('publishes wait while the wire is full, and no more than allowed', async () => {
  const { client, network } = await connected({ maxWaiting: 2 });
  network.last.bufferedBytes = 1 << 20;
  const waiting = [client.publish({ topic: 't', payload: 'a' }), client.publish({ topic: 't', payload: 'b' })];
  await assert.rejects(client.publish({ topic: 't', payload: 'c' }), { code: 'queue-full' });
  assert.deepEqual(await network.last.heard(), []);
  network.last.drain();
  await Promise.all(waiting);
  assert.deepEqual(brief(await network.last.heard()), ['publish a', 'publish b']);
  client.destroy();
});

test('messages are delivered and then acknowledged; QoS 2 once, also across connections', async () => {
  const { client, network, time, got } = await connected({ reconnect, sessionExpirySec: 60 });
  network.last.send(publish({ payload: Buffer.from('0') }), publish({ qos: 1, packetId: 7 }), publish({ qos: 2, packetId: 8 }));
  assert.deepEqual(brief(await network.last.heard()), ['puback 7', 'pubrec 8']);
  network.last.send(publish({ qos: 2, packetId: 8, dup: true }));
  network.last.cut();
  time.advance(100);
  await greet(network.last, { sessionPresent: true });
  network.last.send(publish({ qos: 2, packetId: 8, dup: true }), publish({ qos: 1, packetId: 7, dup: true }));
  network.last.send({ type: 'pubrel', packetId: 8, reason: 0 }, { type: 'pubrel', packetId: 9, reason: 0 });
  assert.deepEqual(brief(await network.last.heard()), ['pubrec 8', 'puback 7', 'pubcomp 8', 'pubcomp 9 0x92']);
  network.last.send(publish({ qos: 2, packetId: 8 }));
  assert.deepEqual(
    got.map(({ qos, dup }) => [qos, dup]),
    [
      [0, false],
      [1, false],
      [2, false],
      [1, true],
      [2, false],
    ],
  );
  client.destroy();
});

test('a message that could not be handled is not acknowledged', async () => {
  const ends: ClientError[] = [];
  const onMessage = (): void => {
    throw new Error('disk full');
  };
  const { network } = await connected({ onMessage, reconnect, onEnd: (error) => ends.push(error) });
  network.last.send(publish({ qos: 1, packetId: 7 }), publish({ qos: 1, packetId: 8 }));
  assert.deepEqual(await network.last.heard(), []);
  assert.match(ends[0]!.message, /disk full/);
  assert.equal(network.connections.length, 1);
});

test('the server’s mistakes end the connection with their reason', async () => {
  const mistakes: [Packet[], number][] = [
    [[publish({ topic: '', properties: { topicAlias: 1 } })], 0x82],
    [[publish({ properties: { topicAlias: 17 } })], 0x94],
    [[publish({ qos: 2, packetId: 1 }), publish({ qos: 2, packetId: 2 })], 0x93],
  ];
  for (const [packets, reason] of mistakes) {
    const { network } = await connected({ receiveMaximum: 1 });
    network.last.send(...packets);
    assert.equal(brief(await network.last.heard()).at(-1), `disconnect 0x${reason.toString(16)}`);
    assert.equal(network.last.closed, 'ended');
  }
});

test('topic aliases of the server are understood, and forgotten with the connection', async () => {
  const { client, network, time, got } = await connected({ reconnect });
  network.last.send(publish({ topic: 'a', properties: { topicAlias: 3 } }), publish({ topic: '', properties: { topicAlias: 3 } }));
  assert.deepEqual(
    got.map(({ topic }) => topic),
    ['a', 'a'],
  );
  network.last.cut();
  time.advance(100);
  await greet(network.last);
  network.last.send(publish({ topic: '', properties: { topicAlias: 3 } }));
  assert.deepEqual(brief(await network.last.heard()), ['disconnect 0x82']);
  client.destroy();
});

test('subscriptions are answered one by one, and made again when the server has forgotten them', async () => {
  const { client, network, time } = await connected({ reconnect });
  const first = client.subscribe(
    [
      { filter: 'a', qos: 1 },
      { filter: 'b', qos: 2 },
    ],
    { subscriptionIdentifiers: [4] },
  );
  const second = client.subscribe([{ filter: 'c', qos: 0, retainHandling: 2 }]);
  network.last.send({ type: 'suback', packetId: 2, reasons: [0] }, { type: 'suback', packetId: 1, reasons: [1, 0x87] });
  assert.deepEqual([await first, await second], [[1, 0x87], [0]]);
  const gone = client.subscribe([{ filter: 'd', qos: 0 }]);
  network.last.send({ type: 'suback', packetId: 3, reasons: [0] });
  await gone;
  const leaving = client.unsubscribe(['d']);
  network.last.send({ type: 'unsuback', packetId: 4, reasons: [0] });
  assert.deepEqual(await leaving, [0]);
  network.last.cut();
  const late = client.subscribe([{ filter: 'e', qos: 0 }]);
  time.advance(100);
  await greet(network.last);
  const again = (await network.last.heard()).map((packet) => (packet.type === 'subscribe' ? packet.subscriptions[0]!.filter : packet.type));
  assert.deepEqual(again.toSorted(), ['a', 'c', 'e']);
  network.last.send({ type: 'suback', packetId: 5, reasons: [0] });
  assert.deepEqual(await late, [0]);
  client.destroy();
});

test('the keep-alive sends something in time, and notices a silent server', async () => {
  const { client, network, time } = await connected({ keepAliveSec: 100, reconnect }, { properties: { serverKeepAlive: 10 } });
  time.advance(5000);
  assert.deepEqual(await network.last.heard(), [], 'something was just sent');
  for (let i = 0; i < 3; i++) {
    time.advance(5000);
    assert.deepEqual(brief(await network.last.heard()), ['pingreq']);
    network.last.send({ type: 'pingresp' });
  }
  time.advance(5000);
  assert.equal(network.last.closed, undefined);
  time.advance(5000);
  await settled();
  assert.equal(network.last.closed, 'destroyed');
  client.destroy();
});

test('disconnect inside a message: its acknowledgement goes first, and nothing follows', async () => {
  const got: string[] = [];
  const { client, network } = await connected({
    onMessage: ({ payload }) => {
      got.push(Buffer.from(payload).toString());
      void client.disconnect();
    },
  });
  network.last.send(
    publish({ qos: 1, packetId: 1, payload: Buffer.from('a') }),
    publish({ qos: 1, packetId: 2, payload: Buffer.from('b') }),
  );
  assert.deepEqual(brief(await network.last.heard()), ['puback 1', 'disconnect']);
  assert.deepEqual([got, network.last.closed], [['a'], 'ended']);
});

test('a client that was closed does nothing more', async () => {
  const { client, network, time } = await connected({ reconnect });
  const pending = client.publish({ topic: 't', payload: '', qos: 1 });
  pending.catch(() => {});
  await client.disconnect();
  await assert.rejects(pending, { code: 'closed' });
  await assert.rejects(client.publish({ topic: 't', payload: '' }), { code: 'closed' });
  await assert.rejects(client.subscribe([{ filter: 't', qos: 0 }]), { code: 'closed' });
  time.advance(100_000);
  assert.deepEqual([network.connections.length, time.armed], [1, 0]);
});

test('a server that shuts down is come back to; one that gave the session to another is not', async () => {
  for (const [reason, comesBack] of [
    [0x8b, true],
    [0x8e, false],
  ] as const) {
    const ends: ClientError[] = [];
    const { client, network, time } = await connected({ reconnect, onEnd: (error) => ends.push(error) });
    network.last.send({ type: 'disconnect', reason });
    await settled();
    time.advance(100);
    assert.deepEqual([network.connections.length, ends.length], comesBack ? [2, 0] : [1, 1]);
    client.destroy();
  }
});

test('reading can be held back', async () => {
  const { client, network } = await connected();
  client.pause();
  assert.equal(network.last.paused, true);
  client.resume();
  assert.equal(network.last.paused, false);
  client.destroy();
});

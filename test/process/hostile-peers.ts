// Peers that are slow, many, silent, too large or speak something else: each is dealt with in its time and counted, and the others
// notice nothing.

import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';

import { until, type CheckContext, type Checks } from '../interop/checks.ts';
import { run } from '../interop/process.ts';
import { encode, variableByteInteger } from '../harness/encode.ts';
import { BrokerProcess } from './broker-process.ts';
import { Peer } from './peer.ts';

const MiB = 1024 * 1024;
const limitMs = 60_000;
/** For what has to happen soon, on a machine whose every core is busy. */
const soonMs = 10_000;

export async function hostilePeers(checks: Checks): Promise<void> {
  await checks.check('peers: a CONNECT, a TLS handshake and an upgrade that come byte by byte are cut in time', slowloris, limitMs);
  await checks.check('peers: more connections than may be are refused and counted, those there work on', tooMany, limitMs);
  await checks.check('peers: one address takes its share, others come in', perAddress, limitMs);
  await checks.check('peers: connections faster than the rate are refused, and accepted again later', tooFast, limitMs);
  await checks.check('peers: no file descriptor left: those there work on', noDescriptors, limitMs);
  await checks.check('peers: one that vanishes is given up after 1.5 keep-alives, its will is published', vanished, limitMs);
  await checks.check('peers: packets above the limit end their connection before they are read', oversized, limitMs);
  await checks.check('peers: packets that never end take no more than the limit', endless, limitMs);
  await checks.check('peers: those that ask and never read are held back, and get every answer when they read', neverReads, limitMs);
}

/** A raw socket that collects what it is sent. */
function stranger(
  context: CheckContext,
  port: number,
  localAddress?: string,
): { socket: Socket; text: () => string; closed: () => boolean } {
  const socket = connect({ port, host: '127.0.0.1', ...(localAddress === undefined ? {} : { localAddress }) });
  let text = '';
  let closed = false;
  socket.setEncoding('latin1').on('data', (part) => (text += String(part)));
  socket.on('error', () => {});
  socket.on('end', () => (closed = true));
  socket.on('close', () => (closed = true));
  context.after(() => socket.destroy());
  return { socket, text: () => text, closed: () => closed };
}

async function calmClient(broker: BrokerProcess): Promise<{ peer: Peer; roundTrip: () => Promise<void> }> {
  const peer = await Peer.connect(broker.port, { clientId: 'calm' });
  await peer.subscribe('calm', 1);
  peer.acknowledges = true;
  return {
    peer,
    roundTrip: async () => {
      assert.equal(await peer.publish('calm', 'x', 1), 0);
      await peer.next('publish');
    },
  };
}

async function slowloris(context: CheckContext): Promise<void> {
  const timeoutMs = 1500;
  const settings = `mqtt: {connectTimeoutMs: ${timeoutMs}}\nnet: {handshakeTimeoutMs: ${timeoutMs}}\n`;
  const broker = await BrokerProcess.start(context, { settings });
  const calm = await calmClient(broker);
  const hello = Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, ...Array.from({ length: 100 }, () => 7)]);
  const beginnings = {
    mqtt: Buffer.from(encode({ type: 'connect', clientId: 'x'.repeat(200) }, 5)),
    mqtts: hello,
    ws: Buffer.from('GET /mqtt HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'),
    wss: hello,
  };
  const startMs = performance.now();
  const slow: (ReturnType<typeof stranger> & { bytes: Buffer; endedMs: number })[] = [];
  for (const [name, bytes] of Object.entries(beginnings)) {
    const port = await broker.served.port(name);
    for (let i = 0; i < 50; i++) {
      const each = { ...stranger(context, port), bytes, endedMs: 0 };
      each.socket.on('close', () => (each.endedMs = performance.now() - startMs));
      slow.push(each);
    }
  }
  let step = 0;
  const drip = setInterval(() => {
    for (const { socket, bytes, closed } of slow) if (!closed() && step < bytes.length) socket.write(bytes.subarray(step, step + 1));
    step++;
  }, 50);
  context.after(() => clearInterval(drip));
  while (slow.some(({ endedMs }) => endedMs === 0)) await calm.roundTrip();
  clearInterval(drip);
  const last = Math.max(...slow.map(({ endedMs }) => endedMs));
  const first = Math.min(...slow.map(({ endedMs }) => endedMs));
  assert.ok(first >= timeoutMs - 100 && last < timeoutMs + soonMs, `they were cut after ${first.toFixed(0)} to ${last.toFixed(0)} ms`);
  assert.ok(
    slow.every(({ text }) => text() === ''),
    'nothing is said to who has said nothing',
  );
  const metrics = await broker.metrics();
  assert.equal(metrics.sum('heliograph_mqtt_connects_abandoned_total'), 50);
  assert.equal(metrics.sum('heliograph_net_failed_handshakes_total', { kind: 'timeout' }), 150);
  assert.equal(metrics.sum('heliograph_net_handshakes_pending'), 0);
  await until(async () => (await broker.status()).connections === 1);
}

async function tooMany(context: CheckContext): Promise<void> {
  const broker = await BrokerProcess.start(context, { settings: 'net: {maxConnections: 50}\n' });
  const calm = await calmClient(broker);
  const there = await Promise.all(Array.from({ length: 49 }, (_, i) => Peer.connect(broker.port, { clientId: `there ${i}` })));
  const flood = Array.from({ length: 1000 }, () => stranger(context, broker.port));
  for (const { socket } of flood) socket.write(encode({ type: 'connect' }, 5));
  while (!flood.every(({ closed }) => closed())) await calm.roundTrip();
  assert.ok(flood.every(({ text }) => text() === ''));
  assert.equal((await broker.metrics()).sum('heliograph_net_refused_total', { listener: 'mqtt', reason: 'connections' }), 1000);
  for (const peer of there) {
    peer.send({ type: 'pingreq' });
    await peer.next('pingresp');
  }
  // Other listeners have their own room, and a place that became free can be taken.
  await (await Peer.connect(await broker.served.port('mqtts'), {}, { tls: { rejectUnauthorized: false } })).disconnect();
  await there[0]!.disconnect();
  await until(async () => (await broker.metrics()).sum('heliograph_net_connections', { listener: 'mqtt' }) < 50);
  await Peer.connect(broker.port, { clientId: 'next' });
}

async function perAddress(context: CheckContext): Promise<void> {
  const broker = await BrokerProcess.start(context, { settings: 'net: {maxConnectionsPerAddress: 20}\n' });
  const mine = await Promise.all(Array.from({ length: 20 }, (_, i) => Peer.connect(broker.port, { clientId: `mine ${i}` })));
  const more = Array.from({ length: 200 }, () => stranger(context, broker.port));
  await until(() => more.every(({ closed }) => closed()));
  assert.equal((await broker.metrics()).sum('heliograph_net_refused_total', { reason: 'address' }), 200);
  const other = stranger(context, broker.port, '127.0.0.2');
  other.socket.write(encode({ type: 'connect', clientId: 'other' }, 4));
  await until(() => other.text() === '\x20\x02\x00\x00');
  await mine[0]!.disconnect();
  await until(async () => (await broker.status()).connections === 20);
  await Peer.connect(broker.port, { clientId: 'mine again' });
}

async function tooFast(context: CheckContext): Promise<void> {
  const settings = 'net: {connectionsPerSecond: 50, connectionBurst: 50}\n';
  const broker = await BrokerProcess.start(context, { settings });
  const calm = await calmClient(broker);
  const flood = Array.from({ length: 400 }, () => stranger(context, broker.port));
  const refused = async (): Promise<number> => (await broker.metrics()).sum('heliograph_net_refused_total', { reason: 'rate' });
  await until(async () => {
    const { accepted } = (await broker.status()).listeners.find(({ name }) => name === 'mqtt')!;
    return accepted! - 1 + (await refused()) === flood.length;
  });
  assert.ok((await refused()) > 200);
  await calm.roundTrip();
  await until(async () => {
    const peer = await Peer.open(broker.port);
    peer.send({ type: 'connect' });
    return peer.next('connack').then(
      () => true,
      () => false,
    );
  });
}

async function noDescriptors(context: CheckContext): Promise<void> {
  const settings = 'mqtt: {connectTimeoutMs: 3s}\nadmin: {systemTopicsMs: 100ms}\n';
  const broker = await BrokerProcess.start(context, { settings });
  const calm = await calmClient(broker);
  const durable = await Peer.durable(broker.port, 'durable');
  await durable.subscribe('durable', 1);
  const limit = broker.openFiles() + 20;
  const { code, output } = await run('prlimit', [`--pid=${broker.served.pid}`, `--nofile=${limit}:${limit}`]);
  assert.equal(code, 0, output);
  const flood = Array.from({ length: 200 }, () => stranger(context, broker.port));
  await until(() => flood.filter(({ closed }) => closed()).length >= 170 && broker.openFiles() >= limit);
  for (let i = 0; i < 20; i++) await calm.roundTrip();
  assert.equal(await calm.peer.publish('durable', 'x', 1), 0, 'the journal has its descriptors');
  broker.reload(settings);
  await broker.served.line(({ event }) => event.startsWith('not reloaded'));
  // What the node does by itself must not need a descriptor either.
  await calm.peer.subscribe('$SYS/broker/uptime');
  const { retain } = await calm.peer.next('publish');
  const next = await calm.peer.next('publish');
  assert.deepEqual([retain, next.retain], [true, false], 'they are still told');
  // Those that said nothing are cut, and there is room again.
  await until(() => flood.every(({ closed }) => closed()));
  await (await Peer.connect(broker.port, { clientId: 'next' })).disconnect();
  await broker.stop();
}

async function vanished(context: CheckContext): Promise<void> {
  const broker = await BrokerProcess.start(context, { settings: 'net: {closeTimeoutMs: 1s}\n' });
  const watcher = await Peer.connect(broker.port, { clientId: 'watcher' });
  await watcher.subscribe('gone/#');
  // It does not read, so it never learns that it was given up, and does not close its side.
  const peers = await Promise.all(
    ([4, 5] as const).map(async (version) => {
      const will = { topic: `gone/${version}`, payload: 'will' };
      return Peer.connect(broker.port, { clientId: `vanishes ${version}`, keepAlive: 2, will }, { version, allowHalfOpen: true });
    }),
  );
  const sinceMs = performance.now();
  for (const peer of peers) peer.socket.pause();
  const wills = [await watcher.next('publish'), await watcher.next('publish')];
  const afterMs = performance.now() - sinceMs;
  assert.deepEqual(wills.map(({ topic }) => topic).sort(), ['gone/4', 'gone/5']);
  assert.ok(afterMs > 2900 && afterMs < 3000 + soonMs, `given up after ${afterMs.toFixed(0)} ms`);
  await until(async () => (await broker.status()).connections === 1);
  const metrics = await broker.metrics();
  assert.equal(metrics.sum('heliograph_mqtt_connections_closed_total', { reason: 'Keep Alive timeout' }), 2);
  assert.equal(metrics.sum('heliograph_net_close_timeouts_total'), 2);
  // What it would have read.
  peers[1]!.socket.resume();
  assert.equal((await peers[1]!.next('disconnect')).reason, 0x8d);
  for (const { socket } of peers) socket.destroy();
}

/** The first bytes of a PUBLISH of which so many follow its length. */
function publishHead(bytes: number): Uint8Array {
  return Buffer.concat([Uint8Array.of(0x30), variableByteInteger(bytes), Uint8Array.of(0, 1, 0x78)]);
}

async function oversized(context: CheckContext): Promise<void> {
  const broker = await BrokerProcess.start(context);
  const calm = await calmClient(broker);
  const idleBytes = broker.residentBytes();
  for (const version of [4, 5] as const) {
    const peer = await Peer.connect(broker.port, { clientId: `large ${version}` }, { version });
    peer.write(publishHead(200 * MiB));
    await peer.end();
    const said = peer.inbox.map(({ type, reason }) => [type, reason]);
    assert.deepEqual(said, version === 5 ? [['disconnect', 0x95]] : []);
  }
  // Before it is known who it is, much less is taken.
  const unknown = await Peer.open(broker.port);
  unknown.write(Uint8Array.of(0x10, 0xff, 0xff, 0x7f));
  await unknown.end();
  // Three bytes would do; what comes behind them is not kept either.
  const many = await Promise.all(Array.from({ length: 50 }, (_, i) => Peer.connect(broker.port, { clientId: `many ${i}` })));
  for (const peer of many) peer.write(Buffer.concat([publishHead(200 * MiB), new Uint8Array(8 * MiB)]));
  await until(() => many.every(({ ended }) => ended));
  await calm.roundTrip();
  const grewBytes = broker.residentBytes() - idleBytes;
  assert.ok(grewBytes < 100 * MiB, `memory grew by ${(grewBytes / MiB).toFixed(0)} MiB`);
  assert.equal((await broker.metrics()).sum('heliograph_mqtt_connections_closed_total', { reason: 'Packet too large' }), 52);
}

async function endless(context: CheckContext): Promise<void> {
  const broker = await BrokerProcess.start(context, { settings: 'mqtt: {maxPacketBytes: 1MiB}\n' });
  const calm = await calmClient(broker);
  const idleBytes = broker.residentBytes();
  const peers = await Promise.all(Array.from({ length: 100 }, (_, i) => Peer.connect(broker.port, { clientId: `endless ${i}` })));
  const before = (await broker.metrics()).sum('heliograph_mqtt_received_bytes_total');
  const begun = Buffer.concat([publishHead(MiB - 8), new Uint8Array(MiB - 20)]);
  for (const peer of peers) peer.write(begun);
  await until(async () => (await broker.metrics()).sum('heliograph_mqtt_received_bytes_total') - before >= 100 * begun.length);
  await calm.roundTrip();
  const grewBytes = broker.residentBytes() - idleBytes;
  console.log(`      100 unfinished packets of 1 MiB take ${(grewBytes / MiB).toFixed(0)} MiB`);
  assert.ok(grewBytes < 320 * MiB, `memory grew by ${(grewBytes / MiB).toFixed(0)} MiB`);
  for (const peer of peers) peer.drop();
  await until(async () => (await broker.status()).connections === 1);
}

async function neverReads(context: CheckContext): Promise<void> {
  const broker = await BrokerProcess.start(context, { settings: 'mqtt: {maxOutputBytes: 256KiB}\n' });
  const calm = await calmClient(broker);
  const idleBytes = broker.residentBytes();
  const burst = Buffer.concat(Array.from({ length: 32_768 }, () => encode({ type: 'pingreq' }, 5)));
  const sockets = await Promise.all(
    Array.from({ length: 10 }, async (_, i) => (await Peer.connect(broker.port, { clientId: `asks ${i}` })).socket),
  );
  let asked = 0;
  for (const socket of sockets) {
    socket.pause();
    const more = (): void => {
      asked += burst.length;
      if (socket.write(burst)) setImmediate(more);
      else socket.once('drain', more);
    };
    more();
  }
  const pauses = async (): Promise<number> => (await broker.metrics()).sum('heliograph_mqtt_pauses_total');
  await until(async () => (await pauses()) >= sockets.length && sockets.every(({ writableNeedDrain }) => writableNeedDrain));
  for (let i = 0; i < 50; i++) await calm.roundTrip();
  const grewBytes = broker.residentBytes() - idleBytes;
  assert.ok(grewBytes < 100 * MiB, `memory grew by ${(grewBytes / MiB).toFixed(0)} MiB`);
  // An answer is as long as its question.
  let answered = 0;
  for (const socket of sockets) {
    socket.removeAllListeners('drain');
    socket.removeAllListeners('data');
    socket.on('data', (bytes: Uint8Array) => (answered += bytes.length));
    socket.resume();
  }
  await until(() => answered === asked);
}

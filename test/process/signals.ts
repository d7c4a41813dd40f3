// SIGTERM, SIGINT and SIGHUP while there is traffic.

import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';

import { until, type CheckContext, type Checks } from '../interop/checks.ts';
import { run } from '../interop/process.ts';
import { assertDelivered } from './bounded-memory.ts';
import { BrokerProcess, shutdownMs, temporaryDirectory } from './broker-process.ts';
import { NumberedConsumer, NumberedPublisher } from './numbered.ts';
import { Peer } from './peer.ts';

import type { Status } from '../../src/admin/status.ts';

const limitMs = 60_000;
const publishers = 20;

export async function signals(checks: Checks): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    await checks.check(
      `signals: ${signal} during traffic tells clients, ends with 0 in time, and loses nothing`,
      (context) => stop(context, signal),
      limitMs,
    );
  }
  await checks.check('signals: SIGTERM during a recovery of many messages ends in order', stopWhileStarting, limitMs);
  await checks.check('signals: SIGHUP brings certificates and limits, and cuts nobody', reload, limitMs);
  await checks.check('signals: SIGHUP with a broken file or certificate changes nothing', brokenReload, limitMs);
}

async function stop(context: CheckContext, signal: 'SIGTERM' | 'SIGINT'): Promise<void> {
  const broker = await BrokerProcess.start(context);
  const consumer = await Peer.durable(broker.port, 'away');
  await consumer.subscribe('keep/#', 2);
  await consumer.disconnect();
  const secure = await broker.served.port('mqtts');
  const all: { peer: Peer; numbered: NumberedPublisher }[] = [];
  for (let i = 0; i < publishers; i++) {
    const version = i % 4 === 3 ? 4 : 5;
    const overTls = i % 2 === 0 ? { tls: { rejectUnauthorized: false } } : {};
    const peer = await Peer.connect(overTls.tls === undefined ? broker.port : secure, { clientId: `p${i}` }, { version, ...overTls });
    const numbered = new NumberedPublisher(peer, `p${i}`, { topic: `keep/${i}`, qos: i % 3 === 0 ? 2 : 1, window: 50, payloadBytes: 200 });
    all.push({ peer, numbered });
  }
  const idle = await Promise.all(Array.from({ length: 10 }, (_, i) => Peer.connect(broker.port, { clientId: `idle ${i}` })));
  const webSocket = await Peer.connect(await broker.served.port('wss'), { clientId: 'web' }, { wss: true });
  // One that does not read what it is sent, and does not go away.
  const deaf = await Peer.connect(broker.port, { clientId: 'deaf' }, { allowHalfOpen: true });
  await deaf.subscribe('keep/#');
  deaf.socket.pause();
  await until(() => all.every(({ numbered }) => numbered.acknowledged.size > 200));

  const startMs = performance.now();
  broker.served.signal(signal);
  for (const peer of [...all.map(({ peer }) => peer), ...idle, webSocket]) {
    assert.equal(await goodbye(peer), peer.version === 5 ? 0x8b : undefined);
  }
  const { code, stderr } = await broker.served.ended;
  const tookMs = performance.now() - startMs;
  assert.equal(code, 0, stderr.slice(-1000));
  assert.ok(tookMs < shutdownMs + 1000, `it took ${tookMs.toFixed(0)} ms`);
  await assert.rejects(Peer.open(broker.port), 'nothing listens any more');
  await assertDelivered(
    context,
    { data: broker.data },
    'away',
    all.map(({ numbered }) => numbered),
  );
}

/** The reason of the DISCONNECT with which the broker ends the connection; undefined without one. */
async function goodbye(peer: Peer): Promise<number | undefined> {
  await peer.end();
  return peer.inbox.findLast(({ type }) => type === 'disconnect')?.reason;
}

async function stopWhileStarting(context: CheckContext): Promise<void> {
  const first = await BrokerProcess.start(context);
  const consumer = await Peer.durable(first.port, 'away');
  await consumer.subscribe('keep', 1);
  await consumer.disconnect();
  const peer = await Peer.connect(first.port, { clientId: 'p' });
  const numbered = new NumberedPublisher(peer, 'p', { topic: 'keep', count: 50_000, window: 500, payloadBytes: 200 });
  await until(() => numbered.done);
  await first.crash();
  const second = BrokerProcess.launch(context, { data: first.data });
  // Its first line; everything else is still to come.
  await second.served.line(({ event }) => event.startsWith('--dev'));
  second.served.signal('SIGTERM');
  const { code, stderr } = await second.served.ended;
  assert.equal(code, 0, stderr);
  assert.ok(!stderr.includes('"listening"'), 'nobody was let in');
  await assertDelivered(context, { data: first.data }, 'away', [numbered]);
}

/** A certificate of its own authority, for this common name. */
async function certificate(directory: string, name: string): Promise<void> {
  const { code, output } = await run(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'].concat([
      ...['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost', '-keyout', `${name}.key`, '-out', `${name}.pem`],
    ]),
    { cwd: directory },
  );
  if (code !== 0) throw new Error(output);
}

async function nameShownBy(port: number): Promise<string> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  const name = String((socket as TLSSocket).getPeerCertificate().subject.CN);
  socket.destroy();
  return name;
}

function settingsWith(directory: string, more: string): string {
  return `
tls: {certificates: [{certificateFile: ${join(directory, 'used.pem')}, privateKeyFile: ${join(directory, 'used.key')}}]}
${more}`;
}

function use(directory: string, name: string): void {
  for (const suffix of ['.pem', '.key']) copyFileSync(join(directory, name + suffix), join(directory, `used${suffix}`));
}

/** Clients over TCP and TLS whose traffic never stops, and what they lost. */
async function traffic(broker: BrokerProcess): Promise<{ peers: Peer[]; assertNothingLost: () => Promise<void> }> {
  const secure = await broker.served.port('mqtts');
  const consumer = await Peer.connect(secure, { clientId: 'consumer' }, { tls: { rejectUnauthorized: false } });
  await consumer.subscribe('busy/#', 1);
  const received = new NumberedConsumer(consumer);
  const plain = await Peer.connect(broker.port, { clientId: 'plain' });
  const overTls = await Peer.connect(secure, { clientId: 'tls' }, { tls: { rejectUnauthorized: false } });
  const publishers = [plain, overTls].map((peer, i) => new NumberedPublisher(peer, `n${i}`, { topic: `busy/${i}`, window: 20 }));
  const peers = [consumer, plain, overTls];
  return {
    peers,
    assertNothingLost: async () => {
      const before = publishers.map(({ acknowledged }) => acknowledged.size);
      await until(() => publishers.every(({ acknowledged }, i) => acknowledged.size > before[i]! + 100));
      for (const each of publishers) each.stop();
      await until(() => publishers.every(({ done }) => done) && received.hasAll(publishers));
      for (const peer of peers) assert.equal(peer.ended, false, 'nobody was cut');
      received.assertKept(publishers);
    },
  };
}

async function reload(context: CheckContext): Promise<void> {
  const directory = temporaryDirectory(context);
  for (const name of ['first', 'second']) await certificate(directory, name);
  use(directory, 'first');
  const broker = await BrokerProcess.start(context, { settings: settingsWith(directory, '') });
  const secure = await broker.served.port('mqtts');
  assert.equal(await nameShownBy(secure), 'first');
  const { assertNothingLost } = await traffic(broker);
  const consumer = await Peer.durable(broker.port, 'away');
  await consumer.subscribe('keep', 1);
  await consumer.disconnect();

  use(directory, 'second');
  broker.reload(settingsWith(directory, 'broker: {durableInbox: {maxMessages: 3}}\nnet: {maxConnections: 6}\nmqtt: {receiveMaximum: 5}\n'));
  for (const path of ['broker.durableInbox.maxMessages', 'net.maxConnections']) {
    await broker.served.line((line) => line.event === 'setting changed' && line['path'] === path);
  }
  await broker.served.line((line) => line.event === 'setting needs a restart' && line['path'] === 'mqtt.receiveMaximum');
  for (const listener of ['mqtts', 'wss']) assert.equal(await nameShownBy(await broker.served.port(listener)), 'second', listener);

  // The limits hold from now on, for what was there before as well.
  const publisher = await Peer.connect(broker.port, { clientId: 'publisher' });
  const reasons = [];
  for (let i = 0; i < 5; i++) reasons.push(await publisher.publish('keep', `${i}`, 1));
  assert.deepEqual(reasons, [0, 0, 0, 0x97, 0x97]);
  const open = (): Promise<number> =>
    broker.status().then(({ listeners }: Status) => listeners.find(({ name }) => name === 'mqtt')!.connections!);
  for (let i = 0; i < 4; i++) await Peer.connect(broker.port, { clientId: `more ${i}` });
  assert.equal(await open(), 6);
  await assert.rejects(Peer.connect(broker.port, { clientId: 'one too many' }));
  await assertNothingLost();
  await broker.stop();
}

async function brokenReload(context: CheckContext): Promise<void> {
  const directory = temporaryDirectory(context);
  for (const name of ['first', 'second']) await certificate(directory, name);
  use(directory, 'first');
  const good = settingsWith(directory, 'net: {maxConnections: 4}\n');
  const broker = await BrokerProcess.start(context, { settings: good });
  const secure = await broker.served.port('mqtts');
  const { assertNothingLost } = await traffic(broker);
  const refusals = (): number => broker.served.lines.filter(({ event }) => event.startsWith('not reloaded')).length;
  const attempts: readonly (() => string)[] = [
    () => settingsWith(directory, 'net: {maxConnections: many}\n'),
    () => 'nte: {}\n',
    () => '{{{',
    // The key of another certificate, with a limit that could be changed: all or nothing.
    () => {
      copyFileSync(join(directory, 'second.key'), join(directory, 'used.key'));
      return settingsWith(directory, 'net: {maxConnections: 1000}\n');
    },
    () => settingsWith(join(directory, 'nowhere'), 'net: {maxConnections: 1000}\n'),
  ];
  for (const [i, attempt] of attempts.entries()) {
    broker.reload(attempt());
    await until(() => refusals() === i + 1);
    assert.equal(await nameShownBy(secure), 'first', `attempt ${i}`);
  }
  // One of four is there already.
  const more = await Promise.all([1, 2, 3].map((i) => Peer.connect(broker.port, { clientId: `more ${i}` })));
  await assert.rejects(Peer.connect(broker.port, { clientId: 'one too many' }), 'the limit is what it was');
  for (const peer of more) await peer.disconnect();
  use(directory, 'second');
  broker.reload(good);
  await broker.served.line(({ event }) => event === 'reloaded');
  assert.equal(await nameShownBy(secure), 'second');
  await assertNothingLost();
  await broker.stop();
}

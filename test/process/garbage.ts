// What is not the protocol of its port: told where there are words for it, counted, and closed. And connections that come and go
// by the thousand leave nothing behind.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

import { SeededRandom } from '../../src/base/random.ts';
import { encode, variableByteInteger } from '../harness/encode.ts';
import { until, type CheckContext, type Checks } from '../interop/checks.ts';
import { BrokerProcess } from './broker-process.ts';
import { Peer } from './peer.ts';

const MiB = 1024 * 1024;
const limitMs = 90_000;
const perKind = 50;
const cycles = 10_000;
const secureCycles = 600;
const warmSecureCycles = 2500;
const atATime = 50;

export async function garbage(checks: Checks): Promise<void> {
  await checks.check('garbage: on the TLS, WebSocket and plain ports', onEveryPort, limitMs);
  await checks.check(`garbage: ${cycles} connections that come and go leave no memory and no descriptor behind`, churn, limitMs);
}

const http = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const upgrade = (more: string): string =>
  `GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n${more}\r\n`;
const key = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';

type Garbage = readonly [what: string, bytes: Uint8Array | string, answer: RegExp];

/** By listener: what a stranger says, and what it is answered. */
function kinds(random: SeededRandom): Readonly<Record<string, readonly Garbage[]>> {
  const mqtt = encode({ type: 'connect', clientId: 'lost' }, 5);
  const noise = (): Uint8Array => random.bytes(2000);
  return {
    mqtts: [
      ['noise', noise(), /^/],
      ['plain MQTT', mqtt, /^/],
      ['HTTP', http, /^/],
      ['a broken hello', Buffer.concat([Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc), noise()]), /^/],
      ['an old hello', Buffer.concat([Uint8Array.of(0x16, 3, 0, 0, 47, 1, 0, 0, 43, 3, 0), new Uint8Array(41)]), /^/],
    ],
    ws: [
      ['noise', Buffer.concat([noise(), Buffer.from('\r\n\r\n')]), /^HTTP\/1\.1 4\d\d/],
      ['plain MQTT', mqtt, /^HTTP\/1\.1 400/],
      ['no upgrade', http, /^HTTP\/1\.1 426/],
      ['long headers', `GET / HTTP/1.1\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`, /^HTTP\/1\.1 431/],
      ['another protocol', upgrade(`${key}Sec-WebSocket-Protocol: chat\r\n`), /^HTTP\/1\.1 400/],
      ['no key', upgrade('Sec-WebSocket-Protocol: mqtt\r\n'), /^HTTP\/1\.1 400/],
      ['a path of another', upgrade(`${key}Sec-WebSocket-Protocol: mqtt\r\n`).replace('/mqtt', '/admin'), /^HTTP\/1\.1 404/],
      ['a page of another origin', upgrade(`${key}Sec-WebSocket-Protocol: mqtt\r\nOrigin: https://evil.example\r\n`), /^HTTP\/1\.1 403/],
    ],
    mqtt: [
      ['noise', Buffer.concat([Uint8Array.of(0), noise()]), /^$/],
      ['HTTP', http, /^$/],
      ['a hello of TLS', Buffer.concat([Uint8Array.of(0x16, 3, 1, 2, 0), noise()]), /^$/],
      ['a PUBLISH first', encode({ type: 'publish', topic: 'x' }, 5), /^$/],
      ['a CONNECT of noise', Buffer.concat([Uint8Array.of(0x10), variableByteInteger(2000), noise()]), /^$/],
    ],
  };
}

async function onEveryPort(context: CheckContext): Promise<void> {
  const broker = await BrokerProcess.start(context, { settings: 'mqtt: {connectTimeoutMs: 3s}\nnet: {handshakeTimeoutMs: 3s}\n' });
  const calm = await Peer.connect(broker.port, { clientId: 'calm' });
  let said = 0;
  for (const [listener, garbage] of Object.entries(kinds(new SeededRandom(3)))) {
    const port = await broker.served.port(listener);
    for (const [what, bytes, answer] of garbage) {
      const texts = await Promise.all(Array.from({ length: perKind }, () => sayTo(port, bytes)));
      for (const text of texts) assert.match(text, answer, `${listener}: ${what}`);
      said += listener === 'mqtt' ? 0 : perKind;
    }
  }
  await until(async () => (await broker.status()).connections === 1);
  const metrics = await broker.metrics();
  assert.equal(metrics.sum('heliograph_net_failed_handshakes_total'), said, 'each is counted');
  assert.equal(metrics.sum('heliograph_net_broken_invariants_total'), 0);
  await brokenFrames(broker);
  calm.send({ type: 'pingreq' });
  await calm.next('pingresp');
  await broker.stop();
}

/** Everything that is answered until the broker closes. */
function sayTo(port: number, bytes: Uint8Array | string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' });
  let text = '';
  socket.setEncoding('latin1').on('data', (part) => (text += String(part)));
  // A reset is an end, too: what was said was not read to its end.
  socket.on('error', () => {});
  socket.write(bytes);
  return new Promise((resolve) => socket.once('close', () => resolve(text)));
}

/** Frames that no client may send on a WebSocket. */
async function brokenFrames(broker: BrokerProcess): Promise<void> {
  const port = await broker.served.port('ws');
  const connectPacket = Buffer.from(encode({ type: 'connect', clientId: 'frames' }, 5));
  const frames = {
    'not masked': Buffer.concat([Uint8Array.of(0x82, connectPacket.length), connectPacket]),
    'of text': Buffer.concat([Uint8Array.of(0x81, 0x80 | connectPacket.length, 0, 0, 0, 0), connectPacket]),
    'with reserved bits': Buffer.from([0xf2, 0x80, 0, 0, 0, 0]),
    'of an unknown kind': Buffer.from([0x83, 0x80, 0, 0, 0, 0]),
    'of 2^62 bytes': Buffer.from([0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]),
    'a close of one byte': Buffer.from([0x88, 0x81, 0, 0, 0, 0, 3]),
    'a ping of 200 bytes': Buffer.concat([Buffer.from([0x89, 0xfe, 0, 200, 0, 0, 0, 0]), new Uint8Array(200)]),
    'a continuation of nothing': Buffer.from([0x80, 0x80, 0, 0, 0, 0]),
  };
  for (const [what, frame] of Object.entries(frames)) {
    const text = await sayTo(port, Buffer.concat([Buffer.from(upgrade(`${key}Sec-WebSocket-Protocol: mqtt\r\n`)), frame]));
    assert.match(text, /^HTTP\/1\.1 101 /, what);
    assert.ok(!text.includes('\x20\x03'), `${what}: a CONNACK`);
  }
  await until(async () => (await broker.status()).connections === 1);
}

/** Collects garbage at each SIGUSR2, and says what is left. */
const collector = `data:text/javascript,let n=0;process.on("SIGUSR2",()=>{gc();gc();const{heapUsed,external}=process.memoryUsage();console.error(JSON.stringify({event:"collected",n:++n,bytes:heapUsed+external}))})`;

async function churn(context: CheckContext): Promise<void> {
  const settings = 'net: {connectionsPerSecond: 0}\n';
  const broker = await BrokerProcess.start(context, { settings, before: ['--expose-gc', '--import', collector] });
  const secure = await broker.served.port('mqtts');
  let collections = 0;
  const heldBytes = async (): Promise<number> => {
    await until(async () => (await broker.status()).connections === 0);
    broker.served.signal('SIGUSR2');
    const wanted = ++collections;
    return (await broker.served.line(({ event, n }) => event === 'collected' && n === wanted))['bytes'] as number;
  };
  // The first ones fill pools and caches, and let the engine compile what a handshake needs: that alone is a megabyte.
  await comeAndGo(broker.port, secure, cycles, warmSecureCycles);
  const before = { bytes: await heldBytes(), files: broker.openFiles(), resident: broker.residentBytes() };
  await comeAndGo(broker.port, secure, cycles, secureCycles);
  const after = { bytes: await heldBytes(), files: broker.openFiles(), resident: broker.residentBytes() };
  const facts = `held ${before.bytes} → ${after.bytes} bytes, resident ${Math.round((after.resident - before.resident) / MiB)} MiB more`;
  console.log(`      ${facts}`);
  assert.ok(after.files <= before.files, `${before.files} → ${after.files} descriptors`);
  // Less than what one byte in a table per connection would come to, with its entry.
  assert.ok(after.bytes - before.bytes < MiB / 2, facts);
  assert.ok(after.resident - before.resident < 64 * MiB, facts);
  const { sessions, subscriptions } = await broker.status();
  assert.deepEqual([sessions.total, subscriptions], [0, 0]);
  await broker.stop();
}

/** Connections in every way to come and to go, a few at a time. */
async function comeAndGo(plainPort: number, securePort: number, plain: number, secure: number): Promise<void> {
  let number = 0;
  const run = async (total: number, one: (n: number) => Promise<void>): Promise<void> => {
    let left = total;
    await Promise.all(
      Array.from({ length: atATime }, async () => {
        while (left-- > 0) await one(number++);
      }),
    );
  };
  await run(plain, (n) => plainCycle(plainPort, n));
  await run(secure, (n) => secureCycle(securePort, n));
}

async function plainCycle(port: number, n: number): Promise<void> {
  const way = n % 5;
  const peer = await Peer.open(port, { version: n % 2 === 0 ? 5 : 4 });
  if (way === 0) return peer.drop();
  peer.send({ type: 'connect', clientId: `churn ${n}`, will: { topic: `gone/${n}` } });
  if (way === 1) return peer.drop();
  await peer.next('connack');
  await peer.subscribe(`churn/${n}/#`, 1);
  await peer.publish(`churn/${n}/x`, 'x', 1);
  if (way === 2) return peer.drop();
  if (way === 3) return peer.disconnect();
  peer.write(Uint8Array.of(0xff, 0xff));
  await peer.end();
  peer.socket.destroy();
}

async function secureCycle(port: number, n: number): Promise<void> {
  if (n % 3 === 0) {
    // Goes away in the middle of the handshake.
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
    socket.on('error', () => {});
    await new Promise((resolve) => setImmediate(resolve));
    socket.destroy();
    return;
  }
  const peer = await Peer.connect(port, { clientId: `churn ${n}` }, { tls: { rejectUnauthorized: false } });
  if (n % 3 === 1) await peer.disconnect();
  else peer.drop();
}

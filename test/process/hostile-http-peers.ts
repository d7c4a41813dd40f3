// Peers of the HTTP API that do not read, are slow, leave in the middle, ask too much at once, or are many: each is dealt with in its
// time and counted, the memory stays bounded, and the others notice nothing.

import assert from 'node:assert/strict';
import { constants, type ClientHttp2Stream } from 'node:http2';

import { until, type CheckContext, type Checks } from '../interop/checks.ts';
import { BrokerProcess, shutdownMs } from './broker-process.ts';
import { Flood } from './flood.ts';
import { ask, http2Peer, rawPeer, statusOf, type RawPeer } from './http-peers.ts';
import { Peer } from './peer.ts';

const MiB = 1024 * 1024;
const limitMs = 60_000;
/** For what has to happen soon, on a machine whose every core is busy. */
const soonMs = 10_000;
/** What a busy heap keeps that is garbage already. */
const slackBytes = 224 * MiB;

export async function hostileHttpPeers(checks: Checks): Promise<void> {
  const check = (name: string, body: (context: CheckContext) => Promise<void>): Promise<void> =>
    checks.check(`http: ${name}`, body, limitMs);
  await check('event streams that nobody reads are cut in time, under a flood', neverReads);
  await check('answers of a queue that nobody reads: the messages come to another', receivesAndNeverReads);
  await check('headers and bodies that come byte by byte are cut in time', slowloris);
  await check('bodies cut in the middle publish nothing', cutBodies);
  await check('pipelined requests are answered in order; too many at once end their connection', pipelining);
  await check('HTTP/2 streams that are reset as soon as they are opened', rapidReset);
  await check('3000 event streams: each gets its events, memory is bounded, and all end at SIGTERM', manyStreams);
}

async function count(broker: BrokerProcess, name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
  return (await broker.metrics()).sum(`heliograph_http_${name}`, labels);
}

/** Others are served meanwhile, and in their time. */
async function calm(broker: BrokerProcess, rounds = 20): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    const sinceMs = performance.now();
    assert.equal((await ask(broker, 'POST', '/v1/topics/calm', 'x')).status, 202);
    const ms = performance.now() - sinceMs;
    assert.ok(ms < soonMs, `a publish took ${ms.toFixed(0)} ms`);
  }
}

function assertGrew(broker: BrokerProcess, idleBytes: number, atMost: number): void {
  const grew = broker.residentBytes() - idleBytes;
  console.log(`      memory grew by ${(grew / MiB).toFixed(0)} MiB (bound ${(atMost / MiB).toFixed(0)})`);
  assert.ok(grew < atMost, `memory grew by ${(grew / MiB).toFixed(0)} MiB`);
}

function eventStream(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`;
}

async function neverReads(context: CheckContext): Promise<void> {
  const settings = 'http: {stallMs: 2s}\nbroker: {transientInbox: {maxMessages: 1000, maxBytes: 1MiB}}\n';
  const broker = await BrokerProcess.start(context, { settings });
  const idleBytes = broker.residentBytes();
  const peers = await Promise.all(Array.from({ length: 20 }, () => rawPeer(context, broker)));
  for (const [i, { socket }] of peers.entries()) {
    socket.pause();
    socket.write(eventStream(`/v1/topics/flood/%23?qos=${i % 2}`));
  }
  await until(async () => (await count(broker, 'streams')) === peers.length);
  const facts = { publishers: 20, qos: 0, version: 4, prefix: 'flood', payloadBytes: 1024, window: 0 } as const;
  const flood = new Flood(context, { port: broker.port, ...facts });
  await until(async () => {
    assert.ok(broker.residentBytes() - idleBytes < slackBytes + peers.length * 4 * MiB, 'memory is bounded at every moment');
    return (await count(broker, 'cut_total', { reason: 'stalled' })) === peers.length;
  });
  await calm(broker);
  await flood.stop();
  assertGrew(broker, idleBytes, slackBytes + peers.length * 4 * MiB);
  assert.equal(await count(broker, 'streams'), 0);
  await broker.books();
  await broker.stop();
}

async function receivesAndNeverReads(context: CheckContext): Promise<void> {
  const settings = 'http: {maxReceive: 1000, maxLeases: 1000}\n';
  const broker = await BrokerProcess.start(context, { settings });
  const total = 100;
  const body = 'x'.repeat(128 * 1024);
  for (let i = 0; i < total; i++) assert.equal((await ask(broker, 'POST', '/v1/queues/jobs', `${i}:${body}`)).status, 202);
  const idleBytes = broker.residentBytes();
  const peers = await Promise.all(Array.from({ length: 4 }, () => rawPeer(context, broker)));
  for (const { socket } of peers) {
    socket.pause();
    socket.write(`POST /v1/queues/jobs/receive?max=25&wait=10s&lease=2s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n`);
  }
  await until(async () => (await count(broker, 'leases')) === total);
  assertGrew(broker, idleBytes, slackBytes);
  // Two leave, two stay and go on reading nothing.
  for (const { socket } of peers.slice(2)) socket.destroy();
  const got = new Set<string>();
  while (got.size < total) {
    const { status, text } = await ask(broker, 'POST', '/v1/queues/jobs/receive?max=10&wait=10s&lease=1min');
    assert.equal(status, 200, text);
    for (const { payload, delivery } of (JSON.parse(text) as { messages: { payload: string; delivery: string }[] }).messages) {
      got.add(payload.split(':')[0]!);
      assert.equal((await ask(broker, 'POST', `/v1/queues/jobs/ack?delivery=${delivery}`)).status, 204);
    }
  }
  assert.equal((await broker.books()).queued, 0);
  await broker.stop();
}

async function slowloris(context: CheckContext): Promise<void> {
  const timeoutMs = 2000;
  const settings = `http: {headersTimeoutMs: ${timeoutMs}, requestTimeoutMs: ${timeoutMs}, idleTimeoutMs: ${timeoutMs}}\n`;
  const broker = await BrokerProcess.start(context, { settings });
  const head = 'POST /v1/topics/slow HTTP/1.1\r\nHost: localhost\r\n';
  const kinds = {
    headers: { first: 'POST ', drip: 'X' },
    body: { first: `${head}Content-Length: 100000\r\n\r\n`, drip: 'x' },
    chunks: { first: `${head}Transfer-Encoding: chunked\r\n\r\n`, drip: '1\r\nx\r\n' },
    silence: { first: '', drip: '' },
  };
  const peers: (RawPeer & { kind: string; drip: string })[] = [];
  for (const [kind, { first, drip }] of Object.entries(kinds)) {
    for (let i = 0; i < 25; i++) {
      const peer = await rawPeer(context, broker);
      peer.socket.write(first);
      peers.push({ ...peer, kind, drip });
    }
  }
  const sinceMs = performance.now();
  const timer = setInterval(() => {
    for (const { socket, drip, isClosed } of peers) if (drip !== '' && !isClosed() && socket.writable) socket.write(drip);
  }, 100);
  context.after(() => clearInterval(timer));
  while (!peers.every(({ isClosed }) => isClosed())) await calm(broker, 1);
  clearInterval(timer);
  assert.ok(performance.now() - sinceMs < timeoutMs + soonMs);
  for (const { kind, text } of peers) assert.match(text(), kind === 'silence' ? /^$/ : /^HTTP\/1\.1 408 /, kind);
  await until(async () => (await count(broker, 'connections')) === 0);
  await broker.stop();
}

async function cutBodies(context: CheckContext): Promise<void> {
  const broker = await BrokerProcess.start(context);
  const watcher = await Peer.connect(broker.port, { clientId: 'watcher' });
  await watcher.subscribe('cut/#');
  const half = 'x'.repeat(500);
  const heads = [
    'Content-Length: 1000\r\n\r\n',
    'Transfer-Encoding: chunked\r\n\r\n1f4\r\n',
    'Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n',
  ];
  for (let i = 0; i < 60; i++) {
    const { socket } = await rawPeer(context, broker);
    socket.write(`POST /v1/topics/cut/${i} HTTP/1.1\r\nHost: localhost\r\n${heads[i % heads.length]}${half}`);
    if (i % 2 === 0) socket.end();
    else setTimeout(() => socket.destroy(), 20);
  }
  const session = await http2Peer(context, broker);
  for (let i = 0; i < 60; i++) {
    const stream = session.request({ ':method': 'POST', ':path': `/v1/topics/cut/h2-${i}`, 'content-length': '1000' });
    stream.on('error', () => {});
    stream.write(half);
    setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), 20);
  }
  await until(async () => (await count(broker, 'requests_total')) >= 120 && (await count(broker, 'connections')) === 1);
  await calm(broker, 1);
  assert.equal((await ask(broker, 'POST', '/v1/topics/cut/whole', 'x')).status, 202);
  assert.equal((await watcher.next('publish')).topic, 'cut/whole', 'the first that is published is the first that is whole');
  await broker.books();
  await broker.stop();
}

async function pipelining(context: CheckContext): Promise<void> {
  const broker = await BrokerProcess.start(context);
  const idleBytes = broker.residentBytes();
  const peer = await rawPeer(context, broker);
  const put = (i: number): string => `PUT /v1/topics/p/${i} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nxy`;
  const get = (i: number): string => `GET /v1/topics/p/${i} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
  peer.socket.write(Array.from({ length: 50 }, (_, i) => put(i)).join(''));
  const answers = (status: number): number => peer.text().split(`HTTP/1.1 ${status} `).length - 1;
  await until(() => answers(201) === 50);
  peer.socket.write(Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? get(i) : get(i + 1000))).join(''));
  await until(() => answers(200) + answers(404) === 50);
  const inOrder = [...peer.text().matchAll(/HTTP\/1\.1 (200|404) /g)].map(([, status]) => status);
  assert.deepEqual(
    inOrder,
    Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? '200' : '404')),
  );
  // Requests without end, and nobody reads the answers.
  const flood = await Promise.all(Array.from({ length: 10 }, () => rawPeer(context, broker)));
  const burst = Array.from({ length: 2000 }, (_, i) => put(i % 50)).join('');
  for (const { socket } of flood) {
    socket.pause();
    const more = (): void => {
      if (!socket.destroyed && socket.write(burst)) setImmediate(more);
    };
    socket.on('drain', more);
    more();
  }
  await until(async () => (await count(broker, 'cut_total', { reason: 'flood' })) === flood.length);
  await calm(broker);
  assertGrew(broker, idleBytes, slackBytes);
  await broker.books();
  await broker.stop();
}

/** CVE-2023-44487. */
async function rapidReset(context: CheckContext): Promise<void> {
  const broker = await BrokerProcess.start(context);
  const idleBytes = broker.residentBytes();
  let opened = 0;
  for (let round = 0; round < 20; round++) {
    const session = await http2Peer(context, broker);
    let isOver = false;
    session.on('goaway', () => (isOver = true));
    session.on('close', () => (isOver = true));
    for (let i = 0; i < 2000 && !isOver; i++) {
      const stream = session.request({ ':method': 'POST', ':path': '/v1/topics/reset' });
      stream.on('error', () => {});
      stream.write('x');
      stream.close(constants.NGHTTP2_CANCEL);
      opened++;
      if (i % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
    }
    await calm(broker, 1);
    session.destroy();
  }
  console.log(`      ${opened} streams opened and reset`);
  await until(async () => (await count(broker, 'connections')) === 0);
  assertGrew(broker, idleBytes, slackBytes);
  await broker.books();
  await broker.stop();
}

async function manyStreams(context: CheckContext): Promise<void> {
  const broker = await BrokerProcess.start(context);
  const idleBytes = broker.residentBytes();
  const raw = await Promise.all(Array.from({ length: 300 }, () => rawPeer(context, broker)));
  for (const [i, { socket }] of raw.entries()) socket.write(eventStream(`/v1/topics/each/${i}?filter=all`));
  const heard: { text: string; isEnded: boolean }[] = [];
  const streams: ClientHttp2Stream[] = [];
  for (let i = 0; i < 27; i++) {
    const session = await http2Peer(context, broker);
    for (let j = 0; j < 100; j++) {
      const stream = session.request({ ':path': `/v1/topics/each/${raw.length + i * 100 + j}?filter=all`, accept: 'text/event-stream' });
      const each = { text: '', isEnded: false };
      heard.push(each);
      stream.on('error', () => {});
      stream.setEncoding('utf8').on('data', (part) => (each.text += String(part)));
      stream.on('end', () => (each.isEnded = true));
      streams.push(stream);
      if (j === 99) assert.equal(await statusOf(stream), 200);
    }
  }
  const total = raw.length + streams.length;
  await until(async () => (await count(broker, 'streams')) === total);
  console.log(`      a stream takes ${((broker.residentBytes() - idleBytes) / total / 1024).toFixed(0)} KiB`);
  const text = (i: number): string => (i < raw.length ? raw[i]!.text() : heard[i - raw.length]!.text);
  for (let i = 0; i < total; i += 100) assert.equal((await ask(broker, 'POST', `/v1/topics/each/${i}`, `for ${i}`)).status, 202);
  for (let i = 0; i < 10; i++) assert.equal((await ask(broker, 'POST', '/v1/topics/all', `all ${i}.`)).status, 202);
  await until(() => Array.from({ length: total }, (_, i) => i).every((i) => text(i).includes('"payload":"all 9."')));
  for (let i = 0; i < total; i++) {
    assert.equal(text(i).split('"payload":"all ').length, 11, `stream ${i} has each event once`);
    assert.equal(text(i).includes(`"payload":"for ${i}"`), i % 100 === 0, `stream ${i} has its own events`);
  }
  assertGrew(broker, idleBytes, slackBytes + total * 64 * 1024);
  await broker.books();
  // Someone waits for a message that does not come: that is answered, too.
  const waits = ask(broker, 'POST', '/v1/queues/empty/receive?wait=1min');
  await until(async () => (await count(broker, 'queue_consumers')) === 1);
  const sinceMs = performance.now();
  await broker.stop();
  assert.ok(performance.now() - sinceMs < shutdownMs + soonMs);
  assert.equal((await waits).status, 204);
  await until(() => raw.every(({ isClosed }) => isClosed()) && heard.every(({ isEnded }) => isEnded));
  assert.ok(
    raw.every((peer) => peer.text().endsWith('0\r\n\r\n')),
    'streams end in order, they are not cut',
  );
}

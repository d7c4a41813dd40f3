import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, createServer, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { Stand, until } from '../../test/harness/net/stand.ts';
import {
  defaultHttpWireLimits,
  type AnswerStream,
  type HttpExchange,
  type HttpHandler,
  type HttpPeer,
  type HttpVisit,
  type HttpWireLimits,
} from '../protocols/http-exchange.ts';
import { HttpDoor } from './http-door.ts';
import { NetCounters } from './counters.ts';

/** More than the system takes for a peer that does not read; not more than time passes in these tests. */
const huge = Buffer.alloc(16 * 1024 * 1024);

/** Answers with what it was sent; at /stream with a stream, at /wait never. */
class Echo implements HttpHandler {
  readonly name = 'echo';
  readonly limits: HttpWireLimits;
  readonly streams: AnswerStream[] = [];
  readonly peers: HttpPeer[] = [];
  gone = 0;
  visitsEnded = 0;
  requests = 0;

  constructor(limits: Partial<HttpWireLimits> = {}) {
    this.limits = { ...defaultHttpWireLimits, ...limits };
  }

  visit(peer: HttpPeer): HttpVisit {
    this.peers.push(peer);
    return {
      request: (exchange) => this.#request(exchange),
      onClosed: () => void this.visitsEnded++,
      shutDown: () => {
        for (const stream of this.streams) stream.end();
      },
    };
  }

  #request(exchange: HttpExchange): void {
    this.requests++;
    exchange.onClosed = () => void this.gone++;
    if (exchange.path === '/stream') {
      this.streams.push(exchange.stream(200, { 'Content-Type': 'text/plain' }));
    } else if (exchange.path === '/huge' || exchange.path === '/window') {
      // More than a window of HTTP/2 is enough there.
      exchange.answer(200, {}, exchange.path === '/huge' ? huge : huge.subarray(0, 1024 * 1024));
    } else if (exchange.path !== '/wait') {
      exchange.readWhole(1000, (body) => {
        if (body === 'large') exchange.answer(413, {}, 'large');
        else if (exchange.path === '/who') exchange.answer(200, {}, `${exchange.header('host')} ${exchange.header('authorization')}`);
        else exchange.answer(200, { 'X-Query': exchange.query }, `${exchange.method} ${exchange.path} ${Buffer.from(body).toString()}`);
      });
    }
  }
}

class RawClient {
  readonly socket: Socket;
  text = '';
  ended = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (part: Buffer) => (this.text += part.toString('latin1')));
    socket.on('error', () => {});
    socket.on('close', () => (this.ended = true));
  }

  destroy(): void {
    this.socket.destroy();
  }

  get statuses(): string[] {
    return [...this.text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status!);
  }
}

async function stand(t: TestContext, limits: Partial<HttpWireLimits> = {}) {
  const net = new Stand(t);
  const echo = new Echo(limits);
  const listener = await net.listen({ kind: 'http', requests: echo });
  const client = async (): Promise<RawClient> => {
    const socket = connect({ host: '127.0.0.1', port: listener.address!.port });
    await once(socket, 'connect');
    return net.adopt(new RawClient(socket));
  };
  return { net, echo, listener, client };
}

async function standHttp2(t: TestContext, limits: Partial<HttpWireLimits> = {}) {
  const net = new Stand(t);
  const echo = new Echo(limits);
  const counters = new NetCounters('test');
  const door = new HttpDoor(echo, net.loop, counters, 1000);
  // As after TLS has agreed on it.
  const facts = { listener: 'test', remoteAddress: '127.0.0.1', remotePort: 1, secure: true, peerCertificate: undefined };
  const server = createServer((socket) => door.enter(Object.assign(socket, { alpnProtocol: 'h2' }), facts));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  const connection = connectHttp2(`http://127.0.0.1:${port}`);
  t.after(() => connection.destroy());
  return { net, echo, door, connection, counters, port };
}

const post = (body: string, path = '/a?q=1'): string => `POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

test('requests in any cut, pipelined, and one after the other', async (t) => {
  const { client, echo, listener } = await stand(t);
  const peer = await client();
  peer.socket.write(post('one') + post('two'));
  await until(() => peer.text.includes('POST /a two'));
  for (const byte of post('three')) {
    peer.socket.write(byte);
    await new Promise((resolve) => void setImmediate(resolve));
  }
  await until(() => peer.text.includes('POST /a three'));
  assert.deepEqual(peer.statuses, ['200', '200', '200']);
  assert.match(peer.text, /X-Query: q=1/);
  assert.equal(echo.peers.length, 1);
  assert.equal(listener.counters.active, 1);
  peer.socket.end();
  await until(() => listener.counters.active === 0);
  assert.equal(echo.visitsEnded, 1);
  assert.equal(echo.gone, 0);
});

test('what is too large is refused, declared or not, and what is no HTTP', async (t) => {
  const { client } = await stand(t);
  const declared = await client();
  declared.socket.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n');
  await until(() => declared.statuses.includes('413'));
  const chunked = await client();
  chunked.socket.write(`POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n${'x'.repeat(2048)}\r\n`);
  await until(() => chunked.statuses.includes('413'));
  const garbage = await client();
  garbage.socket.write('\x16\x03\x01hello\r\n\r\n');
  await until(() => garbage.ended);
  assert.deepEqual(garbage.statuses, ['400']);
  const headers = await client();
  headers.socket.write(`GET / HTTP/1.1\r\nHost: h\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`);
  await until(() => headers.ended);
  assert.deepEqual(headers.statuses, ['431']);
  const smuggled = await client();
  smuggled.socket.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n');
  await until(() => smuggled.ended);
  assert.deepEqual(smuggled.statuses, ['400']);
});

test('of Host and Authorization none is chosen when there are two', async (t) => {
  const { client } = await stand(t);
  const twice = await client();
  twice.socket.write(
    'GET /who HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nAuthorization: Basic YTpi\r\nAuthorization: Basic YzpkZA==\r\n\r\n',
  );
  await until(() => twice.text.endsWith('localhost, evil.example Basic YTpi, Basic YzpkZA=='));
  const { connection } = await standHttp2(t);
  const asked = connection.request({ ':path': '/who', ':authority': 'named.example', host: 'other.example' });
  let text = '';
  for await (const part of asked) text += String(part);
  assert.equal(text, 'named.example undefined');
});

test('a body that is cut, and a peer that does not wait, are told', async (t) => {
  const { client, echo } = await stand(t);
  const cut = await client();
  cut.socket.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf');
  await until(() => echo.requests === 1);
  cut.socket.destroy();
  await until(() => echo.gone === 1);
  const waits = await client();
  waits.socket.write('GET /wait HTTP/1.1\r\nHost: h\r\n\r\n');
  await until(() => echo.requests === 2);
  waits.socket.destroy();
  await until(() => echo.gone === 2 && echo.visitsEnded === 2);
});

test('a stream knows what its peer has not taken, and is told when it has', async (t) => {
  const { client, echo } = await stand(t);
  const peer = await client();
  peer.socket.write('GET /stream HTTP/1.1\r\nHost: h\r\n\r\n');
  await until(() => echo.streams.length === 1 && peer.statuses.length === 1);
  const [stream] = echo.streams;
  peer.socket.pause();
  let drained = 0;
  stream!.onDrained = () => void drained++;
  const part = 'x'.repeat(64 * 1024);
  while (stream!.pendingBytes < 4 * 1024 * 1024) {
    stream!.write(part);
    await new Promise((resolve) => void setImmediate(resolve));
  }
  drained = 0;
  peer.socket.resume();
  await until(() => drained > 0);
  stream!.end();
  await until(() => peer.text.endsWith('0\r\n\r\n'));
});

test('going down: streams end, answers are given, idle connections close', async (t) => {
  const { client, echo, listener } = await stand(t);
  const idle = await client();
  const streaming = await client();
  streaming.socket.write('GET /stream HTTP/1.1\r\nHost: h\r\n\r\n');
  await until(() => echo.streams.length === 1 && streaming.statuses.length === 1);
  const clean = await listener.drain(performance.now() + 5000);
  assert.equal(clean, true);
  await until(() => idle.ended && streaming.ended);
  assert.ok(streaming.text.endsWith('0\r\n\r\n'), 'the stream is whole');
});

test('what does not end is cut when time is up', async (t) => {
  const { client, echo, listener } = await stand(t);
  const waits = await client();
  waits.socket.write('GET /wait HTTP/1.1\r\nHost: h\r\n\r\n');
  await until(() => echo.requests === 1);
  assert.equal(await listener.drain(performance.now() + 20), false);
  assert.equal(echo.gone, 1);
});

test('the last request of a connection says so', async (t) => {
  const { client } = await stand(t, { maxRequestsPerConnection: 2 });
  const peer = await client();
  peer.socket.write(post('one'));
  await until(() => peer.statuses.length === 1);
  assert.doesNotMatch(peer.text, /Connection: close/);
  peer.socket.write(post('two'));
  await until(() => peer.ended);
  assert.match(peer.text, /Connection: close/);
});

test('slow headers, slow bodies and silence end a connection', async (t) => {
  const { net, listener, client } = await stand(t, { headersTimeoutMs: 100, requestTimeoutMs: 100, idleTimeoutMs: 100 });
  const [headers, body, silent] = [await client(), await client(), await client()];
  headers!.socket.write('POST / HTT');
  body!.socket.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf');
  await until(() => listener.counters.active === 3 && listener.counters.reads > 0);
  // Its time passes by its own timers, brought forward.
  for (let i = 1; i < 20 && listener.counters.active > 0; i++) {
    net.loop.timers.advance(net.loop.clock.monotonicMs() + i * 1500);
    await new Promise((resolve) => void setImmediate(resolve));
  }
  await until(() => headers!.ended && body!.ended && silent!.ended);
  assert.deepEqual([headers!.statuses, body!.statuses, silent!.statuses], [['408'], ['408'], []]);
});

test('answers that a peer does not take end in time, however it holds them up', async (t) => {
  const { net, listener, client, echo } = await stand(t, { answerTimeoutMs: 100 });
  const pass = async (isDone: () => boolean): Promise<void> => {
    for (let i = 1; i < 900 && !isDone(); i++) {
      net.loop.timers.advance(net.loop.clock.monotonicMs() + i * 1500);
      await new Promise((resolve) => void setImmediate(resolve));
    }
    await until(isDone);
  };
  const deaf = await client();
  deaf.socket.pause();
  deaf.socket.write('GET /huge HTTP/1.1\r\nHost: h\r\n\r\n');
  await until(() => echo.requests === 1);
  await pass(() => listener.counters.active === 0);
  assert.equal(echo.gone, 1);
  const streaming = await client();
  streaming.socket.pause();
  streaming.socket.write('GET /stream HTTP/1.1\r\nHost: h\r\n\r\n');
  await until(() => echo.streams.length === 1);
  await pass(() => true);
  assert.equal(listener.counters.active, 1, 'a stream may last');
  echo.streams[0]!.write(huge);
  echo.streams[0]!.end();
  await pass(() => listener.counters.active === 0);
  assert.equal(listener.counters.httpEnded.answer, 2);
});

test('HTTP/2: an answer without a window ends in time, and nothing else on its connection', async (t) => {
  const { net, echo, connection } = await standHttp2(t, { answerTimeoutMs: 100 });
  const stalled = connection.request({ ':path': '/window' });
  stalled.on('error', () => {});
  await once(stalled, 'response');
  for (let i = 1; i < 900 && echo.gone === 0; i++) {
    net.loop.timers.advance(net.loop.clock.monotonicMs() + i * 1500);
    await new Promise((resolve) => void setImmediate(resolve));
  }
  await until(() => echo.gone === 1);
  const other = connection.request({ ':path': '/b' });
  const [headers] = (await once(other, 'response')) as [{ ':status': number }];
  assert.equal(headers[':status'], 200);
});

test('HTTP/2: bodies of which not all has come hold no more than one connection may have', async (t) => {
  const { connection, counters } = await standHttp2(t, { maxUnfinishedBytes: 1500 });
  const begin = () => connection.request({ ':path': '/a', ':method': 'POST' });
  for (let round = 0; round < 3; round++) {
    const [first, second] = [begin(), begin()];
    first.write('x'.repeat(800));
    const isReset = once(second, 'close');
    second.write('x'.repeat(800));
    await isReset;
    first.end();
    const [headers] = (await once(first, 'response')) as [{ ':status': number }];
    assert.equal(headers[':status'], 200, 'and what is done counts no more');
    first.resume();
    await once(first, 'close');
  }
  assert.equal(counters.httpEnded.bodies, 3);
});

test('what is no HTTP, behind a request that waits, ends the connection and adds no answer', async (t) => {
  const { client, listener, echo } = await stand(t);
  const peer = await client();
  peer.socket.write('GET /wait HTTP/1.1\r\nHost: h\r\nExpect: wonders\r\n\r\n');
  await until(() => echo.requests === 1);
  peer.socket.write('\x16\x03\x01\r\n\r\n');
  await until(() => peer.ended);
  assert.equal(peer.text, '');
  assert.equal(listener.counters.httpEnded.malformed, 1);
});

test('what has no body may wait, and stream, for longer than a body may take', async (t) => {
  const { net, client, echo, listener } = await stand(t, { requestTimeoutMs: 1000 });
  const http2 = await standHttp2(t, { requestTimeoutMs: 1000 });
  const peers = [await client(), await client(), await client()];
  peers[0]!.socket.write('GET /wait HTTP/1.1\r\nHost: h\r\n\r\n');
  peers[1]!.socket.write('POST /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n');
  peers[2]!.socket.write('GET /stream HTTP/1.1\r\nHost: h\r\n\r\n');
  for (const path of ['/wait', '/stream']) http2.connection.request({ ':path': path }).on('error', () => {});
  await until(() => echo.requests === 3 && http2.echo.requests === 2);
  for (let i = 1; i < 20; i++) {
    for (const { loop } of [net, http2.net]) loop.timers.advance(loop.clock.monotonicMs() + i * 1500);
    await new Promise((resolve) => void setImmediate(resolve));
  }
  assert.deepEqual([echo.gone, http2.echo.gone, listener.counters.active], [0, 0, 3]);
});

test('HTTP/2: requests side by side, streams, reset by the peer, going down', async (t) => {
  const { echo, door, connection: client } = await standHttp2(t);
  const ask = async (path: string, body?: string): Promise<{ status: number; text: string }> => {
    const stream = client.request({ ':path': path, ':method': body === undefined ? 'GET' : 'POST' });
    stream.end(body);
    const [headers] = (await once(stream, 'response')) as [{ ':status': number }];
    let text = '';
    for await (const part of stream) text += String(part);
    return { status: headers[':status'], text };
  };
  const [one, two] = await Promise.all([ask('/a', 'x'), ask('/b')]);
  assert.deepEqual(one, { status: 200, text: 'POST /a x' });
  assert.equal(two.text, 'GET /b ');
  assert.equal((await ask('/large', 'x'.repeat(5000))).status, 413);
  const reset = client.request({ ':path': '/wait' });
  reset.on('error', () => {});
  await until(() => echo.requests === 4);
  const goneBefore = echo.gone;
  reset.close(8);
  await until(() => echo.gone === goneBefore + 1);
  const open = client.request({ ':path': '/stream' });
  await once(open, 'response');
  door.shutDown();
  open.resume();
  await once(open, 'end');
  await once(client, 'close');
  await until(() => echo.visitsEnded === 1);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { X509Certificate } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { request as ask } from 'node:http';
import { request as askSecurely } from 'node:https';
import { TestAuthority } from '../../test/harness/net/certificates.ts';
import { Stand, until } from '../../test/harness/net/stand.ts';
import { describeCertificate } from '../security/peer-certificate.ts';
import { SystemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { HttpProtocol } from './http-protocol.ts';
import type { HttpAnswer, HttpOptions, HttpRequest } from './http-protocol.ts';
import type { Listener } from './listener.ts';

const limits = { maxBodyBytes: 1000, connectionMs: 60_000, maxRequests: 3 };

async function served(
  t: TestContext,
  answer: HttpOptions['answer'],
  changes: Partial<HttpOptions> = {},
): Promise<{ stand: Stand; listener: Listener; protocol: HttpProtocol; port: number; errors: string[] }> {
  const stand = new Stand(t);
  const errors: string[] = [];
  const log = { ...silentLog, error: (event: string) => errors.push(event) };
  const protocol = new HttpProtocol({
    name: 'test',
    clock: new SystemClock(),
    log,
    limits,
    highWaterBytes: 256 * 1024,
    answer,
    ...changes,
  });
  const listener = await stand.listen({ protocol });
  return { stand, listener, protocol, port: listener.address!.port, errors };
}

const echo = async ({ method, url, body, facts }: HttpRequest): Promise<HttpAnswer> => ({
  status: 200,
  headers: { 'X-Seen': `${method} ${url} ${facts.listener}` },
  body,
});

function post(port: number, body: string, headers: Record<string, string> = {}): Promise<{ status: number; seen: unknown; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = ask({ port, host: '127.0.0.1', method: 'POST', path: '/a?b', headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode!, seen: response.headers['x-seen'], text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

test('a request comes in whole, and its answer goes out', async (t) => {
  const { port, listener, protocol } = await served(t, echo);
  assert.deepEqual(await post(port, 'hello'), { status: 200, seen: 'POST /a?b test', text: 'hello' });
  const chunked = await post(port, 'x'.repeat(1000), { 'Transfer-Encoding': 'chunked' });
  assert.equal(chunked.text.length, 1000);
  await until(() => listener.counters.active === 0);
  assert.deepEqual(
    [...protocol.metrics()].map(({ labels, value }) => [labels, value]),
    [[{ status: '200' }, 2]],
  );
});

test('a large answer is sent whole to a peer that reads slowly', async (t) => {
  const body = Buffer.alloc(3_000_000, 'y');
  const { stand, listener } = await served(t, async () => ({ status: 200, headers: { Connection: 'close' }, body }));
  const client = await stand.client(listener);
  client.socket.pause();
  client.say('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => listener.counters.congestions > 0);
  client.socket.resume();
  await until(() => client.ended);
  client.socket.end();
  assert.equal(client.text.length - client.text.indexOf('\r\n\r\n') - 4, body.length);
});

test('a body that is too large is refused, told or not', async (t) => {
  const { port } = await served(t, echo);
  assert.equal((await post(port, 'x'.repeat(1001))).status, 413);
  assert.equal((await post(port, 'x'.repeat(1001), { 'Transfer-Encoding': 'chunked' })).status, 413);
});

test('what is no HTTP is refused and closed, and a request cut short leaves nothing', async (t) => {
  const { stand, listener } = await served(t, echo);
  const client = await stand.client(listener);
  client.say('\u0010\u0000MQTT\r\n\r\n');
  await until(() => client.ended);
  assert.match(client.text, /^HTTP\/1\.1 400 /);
  client.socket.end();
  await until(() => listener.counters.active === 0);
  const nameless = await stand.client(listener);
  nameless.say('GET / HTTP/1.1\r\n\r\n');
  await until(() => nameless.ended);
  assert.match(nameless.text, /^HTTP\/1\.1 400 /);
  nameless.socket.end();
  const cut = await stand.client(listener);
  cut.say('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc');
  await until(() => listener.counters.active === 1);
  cut.destroy();
  await until(() => listener.counters.active === 0);
});

test('a connection has its time, and its requests are counted', async (t) => {
  const { stand, listener } = await served(t, echo, { limits: { ...limits, connectionMs: 30 } });
  const client = await stand.client(listener);
  client.say('GET / HT');
  await until(() => client.closed || client.ended);
  const { stand: second, listener: other } = await served(t, echo);
  const busy = await second.client(other);
  for (let i = 1; i <= 3; i++) {
    busy.say('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => busy.text.match(/HTTP\/1\.1 200 /g)?.length === i);
  }
  await until(() => busy.ended);
  busy.socket.end();
  const hasty = await second.client(other);
  hasty.say('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(10));
  await until(() => hasty.ended);
  hasty.socket.end();
  assert.equal(hasty.text.match(/HTTP\/1\.1 200 /g)!.length, 3);
});

test('what is sent behind a request that waits does not fill the memory', async (t) => {
  let answer!: (answer: HttpAnswer) => void;
  const waiting = new Promise<HttpAnswer>((resolve) => (answer = resolve));
  const { stand, listener } = await served(t, () => waiting);
  const sizes: number[] = [];
  for (const request of ['GET / HTTP/1.1\r\nHost:a\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n', 'GET / HTTP/1.1\r\nHost:a\r\nExpect:x\r\n\r\n']) {
    const client = await stand.client(listener);
    const before = listener.counters.bytesIn;
    let seen = 0;
    const count = (): void => void seen++;
    subscribe('http.server.request.start', count);
    const flood = request.repeat(20_000);
    client.say(flood);
    await until(() => listener.counters.bytesIn - before >= flood.length);
    unsubscribe('http.server.request.start', count);
    sizes.push(seen);
    client.destroy();
  }
  answer({ status: 200, headers: {}, body: '' });
  for (const size of sizes) assert.ok(size < 1000, `${size} requests in memory`);
});

test('a fault of ours is told to the log and not to the peer', async (t) => {
  const { port, errors } = await served(t, () => Promise.reject(new Error('secret')));
  const { status, text } = await post(port, '');
  assert.equal(status, 500);
  assert.doesNotMatch(text, /secret/);
  assert.deepEqual(errors, ['http.request.failed']);
});

test('draining lets a request be answered and closes what is idle', async (t) => {
  let answer!: () => void;
  const asked = new Promise<void>((resolve) => (answer = resolve));
  let isAsked = false;
  const { stand, listener } = await served(t, async (request) => {
    isAsked = true;
    await asked;
    return echo(request);
  });
  const idle = await stand.client(listener);
  const busy = await stand.client(listener);
  busy.say('GET /late HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => isAsked && listener.counters.active === 2);
  const drained = listener.drain(performance.now() + 20_000);
  await until(() => idle.ended);
  idle.socket.end();
  assert.equal(busy.ended, false);
  answer();
  await until(() => busy.ended);
  busy.socket.end();
  assert.equal(await drained, true);
  assert.match(busy.text, /GET \/late test/);
});

test('behind TLS the certificate of the peer comes with the request, and a wrong one never gets there', async (t) => {
  const authority = new TestAuthority('http test');
  const stranger = new TestAuthority('stranger');
  t.after(() => [authority, stranger].forEach((each) => each.remove()));
  const stand = new Stand(t);
  const seen: HttpRequest['facts'][] = [];
  const answer = async (request: HttpRequest): Promise<HttpAnswer> => {
    seen.push(request.facts);
    return echo(request);
  };
  const protocol = new HttpProtocol({ name: 'test', clock: new SystemClock(), log: silentLog, limits, highWaterBytes: 256 * 1024, answer });
  const server = { ...authority.issue('localhost', ['DNS:localhost']), serverNames: [] };
  const tls = { certificates: [server], clientCertificate: 'request', clientCas: [authority.certificate], describeCertificate } as const;
  const listener = await stand.listen({ protocol, kind: 'tls', tls });
  const asked = (identity: { readonly certificate?: string; readonly privateKey?: string }): Promise<number> =>
    new Promise((resolve, reject) => {
      const key = identity.certificate === undefined ? {} : { cert: identity.certificate, key: identity.privateKey };
      const place = { port: listener.address!.port, host: '127.0.0.1', servername: 'localhost', ca: authority.certificate };
      const sent = askSecurely({ ...place, ...key, agent: false }, (response) =>
        response.resume().on('end', () => resolve(response.statusCode!)),
      );
      sent.on('error', reject);
      sent.end();
    });
  const device = authority.issue('pump-7');
  assert.equal(await asked(device), 200);
  assert.equal(await asked({}), 200);
  await assert.rejects(asked(stranger.issue('pump-7')));
  assert.deepEqual(
    seen.map(({ peerCertificate, secure }) => [peerCertificate?.fingerprint, secure]),
    [
      [new X509Certificate(device.certificate).fingerprint256.replaceAll(':', '').toLowerCase(), true],
      [undefined, true],
    ],
  );
  await until(() => listener.counters.active === 0);
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { connect as connectTls, createSecureContext } from 'node:tls';
import { ManualClock } from '../base/clock.ts';
import type { MetricSource } from '../base/metrics.ts';
import { silentLog } from '../base/log.ts';
import { UserError } from '../base/user-error.ts';
import { newPrivateKey, plainPem, publicKeyOf } from '../security/pki/software-signer.ts';
import { pkiBench } from '../security/pki/testing/opened-pki.ts';
import type { AuthenticationResult, Credentials, Security } from '../security/security.ts';
import { basic, getJson, getLines } from './admin-client.ts';
import type { AdminAccess } from './admin-client.ts';
import { createAdminServer } from './admin-server.ts';
import type { AdminSources } from './admin-server.ts';
import type { Status } from './status.ts';
import { TraceHub } from './trace-hub.ts';

const token = 'the-token-of-this-start';
const status: Status = {
  name: 'n1',
  version: '0.0.0',
  state: 'serving',
  startedAtMs: 1,
  uptimeSeconds: 2,
  notReady: [],
  durability: 'fsynced',
  listeners: [],
  connections: 0,
  sessions: { total: 0, connected: 0 },
  subscriptions: 0,
  retained: 0,
  ledger: { accepted: 10, recovered: 1, delivered: 5, queued: 2, expired: 1, dropped: { queueFull: 2 } },
  journal: [],
  tenants: [],
  certificates: [],
};

/** Ann may manage, bob may not; others are refused, or what `next` says. */
class FakeSecurity implements Security {
  readonly version = 1;
  readonly asked: Credentials[] = [];
  /** Who shows nothing is ann. */
  isOpen = false;
  next: 'refused' | 'overloaded' | 'banned' = 'refused';

  authenticate(credentials: Credentials, answer: (result: AuthenticationResult) => void): void {
    this.asked.push(credentials);
    const { username, password } = credentials;
    const isAnonymous = this.isOpen && username === undefined;
    const isKnown = isAnonymous || ((username === 'ann' || username === 'bob') && Buffer.from(password!).toString() === 'pass:wörd');
    const principal = { tenant: 'main', id: username ?? 'ann', kind: 'application', roles: [] } as const;
    setImmediate(() => answer(isKnown ? { ok: true, principal } : { ok: false, reason: this.next }));
  }

  startExchange(): undefined {
    return undefined;
  }

  allows(principal: { readonly id: string }, action: string, topic: string): boolean {
    return principal.id === 'ann' && action === 'manage' && topic === '$admin';
  }
}

type Bench = { url: string; security: FakeSecurity; clock: ManualClock; traces: TraceHub; notReady: string[]; access: AdminAccess };

async function bench(t: TestContext, changes: Partial<AdminSources> = {}): Promise<Bench> {
  const clock = new ManualClock();
  const security = new FakeSecurity();
  const traces = new TraceHub(clock);
  const notReady: string[] = [];
  const metric: MetricSource = { metrics: () => [{ name: 'x_total', help: 'Xs.', type: 'counter', value: 7 }] };
  const server = createAdminServer({
    clock,
    log: silentLog,
    security,
    metrics: () => [metric],
    notReady: () => notReady,
    status: () => status,
    traces,
    token,
    ...changes,
  });
  t.after(() => server.close());
  const url = `http://127.0.0.1:${await server.listen({ name: 'admin', host: '127.0.0.1', port: 0 })}`;
  return { url, security, clock, traces, notReady, access: { url, authorization: `Bearer ${token}` } };
}

const get = (url: string, authorization?: string, init: RequestInit = {}): Promise<Response> =>
  fetch(url, { ...init, headers: authorization === undefined ? {} : { authorization } });

test('health and readiness are open to all, and tell why not', async (t) => {
  const { url, notReady } = await bench(t);
  const alive = await get(`${url}/healthz`);
  assert.deepEqual([alive.status, await alive.json()], [200, { status: 'alive' }]);
  const ready = await get(`${url}/readyz`);
  assert.deepEqual([ready.status, await ready.json()], [200, { ready: true, reasons: [] }]);
  notReady.push('starting');
  const waiting = await get(`${url}/readyz`);
  assert.deepEqual([waiting.status, await waiting.json()], [503, { ready: false, reasons: ['starting'] }]);
});

test('metrics are text for Prometheus, with those of the process', async (t) => {
  const { url } = await bench(t);
  await get(`${url}/nowhere`);
  const response = await get(`${url}/metrics`, `Bearer ${token}`);
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  const text = await response.text();
  assert.match(text, /^x_total 7$/m);
  assert.match(text, /^process_resident_memory_bytes \d+$/m);
  assert.match(text, /^heliograph_admin_requests_total\{status="404"\} 1$/m);
  for (const line of text.trimEnd().split('\n')) assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{.*\})? [-+\d.eInfNa]+)$/);
});

test('status is JSON, with what the books differ by', async (t) => {
  const { access } = await bench(t);
  const answer = (await getJson(access, '/api/status')) as Status & { ledger: { imbalance: number } };
  assert.equal(answer.name, 'n1');
  assert.equal(answer.ledger.imbalance, 1);
});

test('the inside is shown to the token and to who may manage', async (t) => {
  const { url, security } = await bench(t);
  const statusOf = async (authorization?: string): Promise<number> => (await get(`${url}/api/status`, authorization)).status;
  assert.equal(await statusOf(`bearer ${token}`), 200);
  assert.equal(await statusOf(basic('ann', 'pass:wörd')), 200);
  assert.deepEqual(
    security.asked.map(({ listener, remoteAddress, secure, clientId }) => ({ listener, remoteAddress, secure, clientId })),
    [{ listener: 'admin', remoteAddress: '127.0.0.1', secure: false, clientId: 'ann' }],
  );
  assert.equal(await statusOf(basic('bob', 'pass:wörd')), 403);
  for (const wrong of [
    undefined,
    basic('ann', 'wrong'),
    basic('eve', 'pass:wörd'),
    `Bearer ${token}x`,
    `Bearer ${token.slice(1)}`,
    'Bearer',
    `Basic ${Buffer.from('no colon').toString('base64')}`,
    'Basic ====',
    `Digest ${token}`,
    token,
    `Bearer ${'x'.repeat(5000)}`,
  ]) {
    const response = await get(`${url}/api/status`, wrong);
    assert.equal(response.status, 401, String(wrong));
    assert.match(response.headers.get('www-authenticate')!, /^Basic realm=/);
    assert.equal(response.headers.get('content-type'), 'application/problem+json');
    assert.deepEqual(Object.keys((await response.json()) as object), ['title', 'status', 'detail']);
  }
});

test('without a token none is accepted', async (t) => {
  const { url } = await bench(t, { token: undefined });
  for (const value of ['undefined', '']) assert.equal((await get(`${url}/metrics`, `Bearer ${value}`)).status, 401);
});

test('who guesses is not listened to for a while', async (t) => {
  const { url, clock, security } = await bench(t);
  for (let i = 0; i < 20; i++) assert.equal((await get(`${url}/metrics`, `Bearer ${i}`)).status, 401);
  const refused = await get(`${url}/metrics`, `Bearer ${token}`);
  assert.equal(refused.status, 429);
  assert.equal(refused.headers.get('retry-after'), '60');
  assert.equal(security.asked.length, 0);
  assert.equal((await get(`${url}/healthz`)).status, 200);
  clock.advance(60_000);
  assert.equal((await get(`${url}/metrics`, `Bearer ${token}`)).status, 200);
});

test('security may ask to come later', async (t) => {
  const { url, security } = await bench(t);
  security.next = 'overloaded';
  const busy = await get(`${url}/metrics`, basic('ann', 'x'));
  assert.deepEqual([busy.status, busy.headers.get('retry-after')], [503, '1']);
  security.next = 'banned';
  assert.equal((await get(`${url}/metrics`, basic('ann', 'x'))).status, 429);
});

/** Sends bytes as they are, and returns all that comes back until the connection ends. */
async function raw(url: string, text: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.end(text);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => {});
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

test('where everybody may come in, a foreign web page may not', async (t) => {
  const { url, security } = await bench(t);
  security.isOpen = true;
  const port = new URL(url).port;
  const answerTo = async (host: string): Promise<string> =>
    (await raw(url, `GET /api/status HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).slice(9, 12);
  for (const host of ['localhost', `localhost:${port}`, `127.0.0.1:${port}`, '[::1]', `[::1]:${port}`]) {
    assert.equal(await answerTo(host), '200', host);
  }
  for (const host of ['evil.example', `evil.example:${port}`, 'localhost.evil.example', '127.0.0.1.evil.example', '']) {
    assert.equal(await answerTo(host), '401', host);
  }
});

test('bad requests get the answer that fits', async (t) => {
  const { url } = await bench(t);
  const authorization = `Bearer ${token}`;
  assert.equal((await get(`${url}/`, authorization)).status, 404);
  assert.equal((await get(`${url}/metrics/`, authorization)).status, 404);
  assert.equal((await get(`${url}/%6detrics`, authorization)).status, 404);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const response = await get(`${url}/metrics`, authorization, { method });
    assert.deepEqual([response.status, response.headers.get('allow')], [405, 'GET, HEAD'], method);
  }
  const large = await get(`${url}/healthz`, undefined, { method: 'POST', body: 'x'.repeat(17 * 1024) });
  assert.equal(large.status, 413);
  const head = await get(`${url}/healthz`, undefined, { method: 'HEAD' });
  assert.deepEqual([head.status, await head.text()], [200, '']);
  assert.equal((await get(`${url}/api/trace?client=x`, authorization, { method: 'HEAD' })).status, 405);
  for (const query of ['', '?client=', '?client=a&client=b', '?Client=a']) {
    assert.equal((await get(`${url}/api/trace${query}`, authorization)).status, 400, query);
  }
  assert.match(await raw(url, 'GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n'), /^HTTP\/1.1 400/);
  assert.match(await raw(url, 'nonsense\r\n\r\n'), /^HTTP\/1.1 400/);
  assert.match(await raw(url, `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`), /^HTTP\/1.1 431/);
  const chunked = `POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${`4000\r\n${'x'.repeat(0x4000)}\r\n`.repeat(3)}0\r\n\r\n`;
  assert.match(await raw(url, chunked), /^HTTP\/1.1 4(05|13)/);
  assert.equal((await get(`${url}/healthz`)).status, 200, 'it still works');
});

test('a report that fails is our fault, and the server goes on', async (t) => {
  const events: string[] = [];
  const { url } = await bench(t, {
    status: () => {
      throw new Error('broken');
    },
    log: { ...silentLog, error: (event) => events.push(event) },
  });
  const response = await get(`${url}/api/status`, `Bearer ${token}`);
  assert.equal(response.status, 500);
  assert.doesNotMatch(await response.text(), /broken/);
  assert.deepEqual(events, ['admin.request.failed']);
  assert.equal((await get(`${url}/healthz`)).status, 200);
});

/** Waits for a condition, turn by turn. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

test('a trace shows packets until the operator leaves', async (t) => {
  const { access, traces } = await bench(t);
  const leaving = new AbortController();
  const lines = getLines(access, '/api/trace?client=pump%207', leaving.signal);
  const next = async (): Promise<unknown> => JSON.parse((await lines.next()).value as string);
  assert.deepEqual(await next(), { watching: 'pump 7' });
  assert.equal(traces.wants('pump 7'), true);
  traces.packet('pump 7', 'in', 'PINGREQ');
  traces.packet('pump 7', 'out', 'PINGRESP "\n"');
  assert.deepEqual(await next(), { atMs: 1_700_000_000_000, direction: 'in', packet: 'PINGREQ' });
  assert.deepEqual(await next(), { atMs: 1_700_000_000_000, direction: 'out', packet: 'PINGRESP "\n"' });
  leaving.abort();
  assert.equal((await lines.next()).done, true);
  await until(() => traces.watchers === 0);
  assert.equal(traces.wants('pump 7'), false);
});

test('a trace may be read as server-sent events', async (t) => {
  const { url, traces } = await bench(t);
  const leaving = new AbortController();
  const response = await fetch(`${url}/api/trace?client=x`, {
    headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' },
    signal: leaving.signal,
  });
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  const reader = response.body!.getReader();
  traces.packet('x', 'in', 'PINGREQ');
  let text = '';
  while (!text.includes('PINGREQ')) text += Buffer.from((await reader.read()).value ?? '').toString();
  assert.match(text, /^data: \{"watching":"x"\}\n\ndata: \{"atMs":\d+,"direction":"in","packet":"PINGREQ"\}\n\n$/);
  leaving.abort();
  await until(() => traces.watchers === 0);
});

test('a trace that nobody reads is bounded, and there are only so many', async (t) => {
  const { url, traces, clock, access } = await bench(t);
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.pause();
  socket.write(`GET /api/trace?client=x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  await until(() => traces.wants('x'));
  const before = process.memoryUsage();
  for (let i = 0; i < 20_000; i++) {
    traces.packet('x', 'in', 'x'.repeat(4000));
    if (i % 500 === 0) clock.advance(1000);
  }
  const after = process.memoryUsage();
  assert.ok(after.external + after.heapUsed < before.external + before.heapUsed + 40e6, 'not 80 MB');
  const leave: (() => void)[] = [];
  while (traces.watchers < 16) leave.push(traces.watch('y', () => true)!);
  await assert.rejects(
    getLines(access, '/api/trace?client=z', new AbortController().signal).next(),
    (error) => error instanceof UserError && /Too many clients/.test(error.message),
  );
  for (const stop of leave) stop();
  socket.destroy();
  await until(() => traces.watchers === 0);
});

test('closing ends traces and listeners', async () => {
  const clock = new ManualClock();
  const traces = new TraceHub(clock);
  const server = createAdminServer({
    clock,
    log: silentLog,
    security: new FakeSecurity(),
    metrics: () => [],
    notReady: () => [],
    status: () => status,
    traces,
    token,
  });
  const url = `http://127.0.0.1:${await server.listen({ name: 'admin', host: '127.0.0.1', port: 0 })}`;
  const access = { url, authorization: `Bearer ${token}` };
  const lines = getLines(access, '/api/trace?client=x', new AbortController().signal);
  await lines.next();
  await server.close();
  await server.close();
  assert.equal((await lines.next()).done, true);
  assert.equal(traces.watchers, 0);
  await assert.rejects(getJson(access, '/api/status'), (error) => error instanceof UserError && /No broker listens/.test(error.message));
});

test('over HTTPS the certificate is checked, and may be replaced while running', async (t) => {
  const services = { clock: new ManualClock(Date.now()) };
  const authorityOf = async () => {
    const { pki } = await (await pkiBench(t)).open();
    const key = await newPrivateKey('ecdsa-p256');
    const issued = await pki.issuance.issueServer(publicKeyOf(key), ['127.0.0.1'], 1);
    assert.ok(issued.ok);
    const { certificate, chain, root } = issued.value;
    return { root, server: { certificate: certificate + chain, privateKey: plainPem(key) } };
  };
  const [first, second] = [await authorityOf(), await authorityOf()];
  const server = createAdminServer({
    clock: services.clock,
    log: silentLog,
    security: new FakeSecurity(),
    metrics: () => [],
    notReady: () => [],
    status: () => status,
    traces: new TraceHub(services.clock),
    token,
  });
  t.after(() => server.close());
  const port = await server.listen({ name: 'admin', host: '127.0.0.1', port: 0, tls: first.server });
  const access = { url: `https://127.0.0.1:${port}`, authorization: `Bearer ${token}` };
  const ask = (authority: string | undefined): Promise<unknown> => getJson({ ...access, authority }, '/api/status');
  assert.equal(((await ask(first.root)) as Status).name, 'n1');
  await assert.rejects(ask(second.root), UserError);
  await assert.rejects(ask(undefined), UserError);
  server.useTls('admin', second.server);
  assert.equal(((await ask(second.root)) as Status).name, 'n1');
  // Who asks for a name is shown the certificate of that name.
  const { certificate: cert, privateKey: key } = first.server;
  const named = createSecureContext({ cert, key });
  server.useTls('admin', { ...second.server, contextFor: (name) => (name === 'first.example' ? named : undefined) });
  for (const [servername, root] of [
    ['first.example', first.root],
    ['second.example', second.root],
  ] as const) {
    const socket = connectTls({ host: '127.0.0.1', port, servername, ca: root, checkServerIdentity: () => undefined });
    await once(socket, 'secureConnect');
    socket.destroy();
  }
});

test('a port in use is told', async (t) => {
  const { url } = await bench(t);
  const other = createAdminServer({
    clock: new ManualClock(),
    log: silentLog,
    security: new FakeSecurity(),
    metrics: () => [],
    notReady: () => [],
    status: () => status,
    traces: new TraceHub(new ManualClock()),
    token,
  });
  t.after(() => other.close());
  await assert.rejects(
    other.listen({ name: 'admin', host: '127.0.0.1', port: Number(new URL(url).port) }),
    (error) => error instanceof UserError && /port is in use/.test(error.message) && error.where === 'listeners.admin',
  );
});

import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { secureRandom } from '../../base/secure-random.ts';
import { atEnd } from '../../../test/contracts/temporary-journal.ts';
import type { Credentials } from '../security.ts';
import type { Verdict } from './authenticator.ts';
import { outboundUrlFault } from './outbound-json.ts';
import { JsonServer } from './testing/json-server.ts';
import { WebhookAuthenticator, type WebhookSettings } from './webhook.ts';

const credentials: Credentials = {
  listener: 'mqtts',
  remoteAddress: '192.0.2.1',
  secure: true,
  clientId: 'c',
  username: 'ann',
  password: new Uint8Array(Buffer.from('correct horse')),
  certificate: undefined,
};

type Stand = {
  readonly server: JsonServer;
  readonly clock: ManualClock;
  readonly webhook: WebhookAuthenticator;
  readonly ask: (more?: Partial<Credentials>) => Promise<Verdict>;
  readonly count: (result: string) => number;
};

async function stand(t: TestContext, answer: JsonServer['answer'], more: Partial<WebhookSettings> = {}): Promise<Stand> {
  const server = await JsonServer.start(t, answer);
  const clock = new ManualClock();
  const settings: WebhookSettings = {
    url: `${server.url}/auth`,
    timeoutMs: 5_000,
    maxAnswerBytes: 4096,
    concurrency: 8,
    failures: 3,
    pauseMs: 10_000,
    maxCacheMs: 60_000,
    cacheEntries: 3,
    tenant: 'main',
    tenants: ['acme'],
    kind: undefined,
    ...more,
  };
  const webhook = new WebhookAuthenticator(settings, { clock, random: secureRandom, log: silentLog });
  atEnd(t, () => webhook.close());
  return {
    server,
    clock,
    webhook,
    ask: (given = {}) => new Promise((resolve) => webhook.authenticate({ ...credentials, ...given }, resolve)),
    count: (result) => {
      const found = [...webhook.metrics()].find(({ name, labels }) => name.endsWith('webhook_total') && labels?.['result'] === result);
      return found !== undefined && 'value' in found ? Number(found.value) : Number.NaN;
    },
  };
}

test('it is asked with everything, and its answer is who the peer is', async (t) => {
  const said = { allow: true, id: 'ann', tenant: 'acme', roles: ['reader', 'admin'], groups: ['g'], labels: { a: 1 }, expiresInSec: 60 };
  const { server, clock, ask } = await stand(t, () => said, { authorization: 'Bearer own-secret', kind: 'user' });
  const certificate = { commonName: 'cn', uris: [], fingerprint: 'f' };
  assert.deepEqual(await ask({ certificate }), {
    kind: 'proved',
    identity: { tenant: 'acme', id: 'ann', kind: 'user', roles: ['reader'], groups: ['g'], labels: { a: '1' } },
    expiresAtMs: clock.wallMs() + 60_000,
  });
  const { method, path, headers, body } = server.asked[0]!;
  assert.deepEqual(
    [method, path, headers.authorization, headers['content-type']],
    ['POST', '/auth', 'Bearer own-secret', 'application/json'],
  );
  const { listener, remoteAddress, secure, clientId } = credentials;
  assert.deepEqual(JSON.parse(body), {
    clientId,
    username: 'ann',
    password: 'correct horse',
    listener,
    remoteAddress,
    secure,
    certificate,
  });
  await ask({ password: Uint8Array.of(0xff, 0) });
  assert.equal((JSON.parse(server.asked[1]!.body) as { passwordBase64: string }).passwordBase64, '/wA=');
  assert.deepEqual(await ask({ username: undefined, password: undefined }), { kind: 'next', reason: 'no-credentials' });
  assert.equal(server.asked.length, 2);
});

test('no is no; whatever cannot be understood lets nobody in', async (t) => {
  const { server, ask, count } = await stand(t, () => ({ allow: false }), { failures: 1000 });
  assert.deepEqual(await ask(), { kind: 'refused', reason: 'webhook-denied' });
  const nonsense: unknown[] = [
    {},
    { allow: 'true', id: 'a' },
    { allow: 1, id: 'a' },
    { allow: true },
    { allow: true, id: '' },
    { allow: true, id: 'a/b' },
    { allow: true, id: 7 },
    { allow: true, id: 'a', tenant: 'other' },
    { allow: true, id: 'a', tenant: '$system' },
    { allow: true, id: 'a', tenant: null },
    { allow: true, id: 'a', expiresInSec: -1 },
    { allow: true, id: 'a', expiresInSec: 'long' },
    { allow: true, id: 'a', more: 'x'.repeat(5000) },
    [],
    'yes',
  ];
  for (const each of nonsense) {
    server.answer = () => each;
    assert.deepEqual(await ask(), { kind: 'overloaded' }, JSON.stringify(each).slice(0, 80));
  }
  for (const status of [201, 204, 401, 500]) {
    server.answer = (_asked, response) => void response.writeHead(status).end(status === 204 ? '' : '{"allow":true,"id":"a"}');
    assert.deepEqual(await ask(), { kind: 'overloaded' }, String(status));
  }
  server.answer = (_asked, response) => void response.writeHead(307, { location: `${server.url}/other` }).end();
  assert.deepEqual(await ask(), { kind: 'overloaded' }, 'a redirect takes no password along');
  assert.ok(server.asked.every(({ path }) => path === '/auth'));
  server.answer = (_asked, response) => void response.destroy();
  assert.deepEqual(await ask(), { kind: 'overloaded' });
  assert.equal(count('failed'), nonsense.length + 6);
});

test('answers are remembered as long as they say and we allow, each for its question, without the password', async (t) => {
  const { server, clock, webhook, ask, count } = await stand(t, () => ({ allow: true, id: 'ann', cacheSec: 30 }));
  await ask();
  await ask();
  assert.deepEqual([server.asked.length, count('remembered')], [1, 1]);
  await ask({ password: new Uint8Array(Buffer.from('correct horsf')) });
  await ask({ remoteAddress: '192.0.2.2' });
  assert.equal(server.asked.length, 3);
  assert.ok(!inspect(webhook, { depth: 10, showHidden: true }).includes('horse'));
  clock.advance(30_000);
  await ask();
  assert.equal(server.asked.length, 4);
  server.answer = () => ({ allow: false, cacheSec: 1e9 });
  clock.advance(30_000);
  assert.equal((await ask()).kind, 'refused');
  clock.advance(59_999);
  assert.equal((await ask()).kind, 'refused');
  assert.equal(server.asked.length, 5);
  clock.advance(1);
  server.answer = () => ({ allow: true, id: 'ann', cacheSec: 60, expiresInSec: 5 });
  assert.equal((await ask()).kind, 'proved');
  clock.advance(5_000);
  await ask();
  assert.equal(server.asked.length, 7, 'not longer than it is good for');
  for (let i = 0; i < 10; i++) await ask({ clientId: `c${i}` });
  const remembered = [...webhook.metrics()].find(({ name }) => name.endsWith('webhook_remembered'));
  assert.equal(remembered && 'value' in remembered && remembered.value, 3);
});

test('the same question is asked once at a time, and not more than the bound', async (t) => {
  const held: (() => void)[] = [];
  const answer: JsonServer['answer'] = (_asked, response) => void held.push(() => response.end('{"allow":true,"id":"ann"}'));
  const { server, ask, count } = await stand(t, answer, { concurrency: 2 });
  const same = [ask(), ask(), ask()];
  const other = ask({ clientId: 'd' });
  assert.deepEqual(await ask({ clientId: 'e' }), { kind: 'overloaded' });
  assert.equal(count('busy'), 1);
  while (held.length < 2) await new Promise((resolve) => setImmediate(resolve));
  for (const release of held) release();
  for (const verdict of await Promise.all([...same, other])) assert.equal(verdict.kind, 'proved');
  assert.equal(server.asked.length, 2);
});

test('a service that fails is left alone for a while, then tried by one', async (t) => {
  const { server, clock, ask, count } = await stand(t, (_asked, response) => void response.writeHead(500).end('{}'));
  for (let i = 0; i < 3; i++) await ask();
  assert.deepEqual(await ask(), { kind: 'overloaded' });
  assert.deepEqual([server.asked.length, count('paused')], [3, 1]);
  clock.advance(10_000);
  await Promise.all([ask(), ask({ clientId: 'd' })]);
  assert.deepEqual([server.asked.length, count('paused')], [4, 2], 'one has tried');
  server.answer = () => ({ allow: true, id: 'ann' });
  assert.deepEqual(await ask(), { kind: 'overloaded' });
  clock.advance(10_000);
  assert.equal((await ask()).kind, 'proved');
  assert.equal((await ask({ clientId: 'd' })).kind, 'proved');
});

test('one that never answers is not waited for', async (t) => {
  const { ask, webhook } = await stand(t, () => undefined, { timeoutMs: 5 });
  assert.deepEqual(await ask(), { kind: 'overloaded' });
  const { ask: askSlow, webhook: slow } = await stand(t, () => undefined);
  const waiting = askSlow();
  slow.close();
  assert.deepEqual(await waiting, { kind: 'overloaded' }, 'nor when the node stops');
  webhook.close();
});

test('passwords leave only over TLS, or to this machine', () => {
  for (const url of ['https://auth.example/check', 'http://localhost:80/x', 'http://127.0.0.1/x', 'http://[::1]:8/x']) {
    assert.equal(outboundUrlFault(url), undefined, url);
  }
  for (const url of [
    'http://auth.example/',
    'http://127.0.0.1.evil.example/',
    'http://localhost.evil.example',
    'ftp://localhost/',
    'https://user:word@auth.example/',
    'https://auth.example/#x',
    'auth.example',
  ]) {
    assert.ok(outboundUrlFault(url) !== undefined, url);
  }
});

test('a peer that cannot be used here does not pause the service for others', async (t) => {
  const { server, ask } = await stand(t, () => ({ allow: true, id: 'a+b' }), { failures: 2 });
  for (let i = 0; i < 4; i++) assert.deepEqual(await ask(), { kind: 'overloaded' });
  server.answer = () => ({ allow: true, id: 'ann' });
  assert.equal((await ask()).kind, 'proved');
  const long = Buffer.alloc(16 * 1024 + 1, 'x');
  assert.deepEqual(await ask({ password: long }), { kind: 'next', reason: 'password-too-long' });
  assert.equal((await ask({ password: long.subarray(1) })).kind, 'proved');
});

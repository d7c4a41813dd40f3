// The management API behind the listeners: what only a socket shows.

import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import type { Security } from '../security/security.ts';
import { createAdminServer, type AdminServer } from './admin-server.ts';
import { TestApi } from './api/testing/test-api.ts';
import { TraceHub } from './trace-hub.ts';

const security = {
  allows: () => false,
  authenticate: (_credentials: unknown, answer: (result: object) => void) => answer({ ok: false, reason: 'refused' }),
} as unknown as Security;

async function stand(t: TestContext): Promise<{ server: AdminServer; url: string; made: () => number }> {
  const clock = new ManualClock(0);
  const api = await TestApi.open(t);
  let made = 0;
  const server = createAdminServer({
    clock,
    log: { ...silentLog, error: (event, fields) => assert.fail(`${event} ${JSON.stringify(fields)}`) },
    security,
    metrics: () => [],
    notReady: () => [],
    status: () => assert.fail(),
    traces: new TraceHub(clock, { watchers: 1, linesPerSecond: 1, lineLength: 80 }),
    token: 'token',
    api: async (options) => {
      made++;
      return api.apiFor(options);
    },
  });
  t.after(() => server.close());
  const url = `http://127.0.0.1:${await server.listen({ name: 'admin', host: '127.0.0.1', port: 0 })}`;
  return { server, url, made: () => made };
}

const authorization = 'Bearer token';

test('the API is made when it is first asked, and asks who it is', async (t) => {
  const { url, made } = await stand(t);
  assert.equal((await fetch(`${url}/healthz`)).status, 200);
  assert.equal(made(), 0);
  const unknown = await fetch(`${url}/api/v1/devices`);
  assert.deepEqual([unknown.status, unknown.headers.get('content-type')], [401, 'application/problem+json']);
  const [a, b] = await Promise.all([1, 2].map(() => fetch(`${url}/api/v1/devices`, { headers: { authorization } })));
  assert.deepEqual([a!.status, b!.status, made()], [200, 200, 1]);
  assert.equal((await fetch(`${url}/api/v1/nothing`, { headers: { authorization } })).status, 404);
});

test('a page of another site cannot make a browser change anything', async (t) => {
  const { url } = await stand(t);
  const post = (headers: Record<string, string>): Promise<number> =>
    new Promise((resolve, reject) => {
      const body = JSON.stringify({ id: `d${Object.values(headers).join('')}`.replaceAll(/\W/g, '').slice(0, 60) });
      const asked = request(`${url}/api/v1/devices`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json', ...headers },
      });
      asked.once('response', (response) => {
        response.resume();
        resolve(response.statusCode!);
      });
      asked.once('error', reject);
      asked.end(body);
    });
  assert.equal(await post({}), 201);
  assert.equal(await post({ origin: url }), 201);
  assert.equal(await post({ 'sec-fetch-site': 'same-origin' }), 201);
  assert.equal(await post({ origin: 'https://evil.example' }), 403);
  assert.equal(await post({ origin: 'null' }), 403);
  assert.equal(await post({ 'sec-fetch-site': 'cross-site' }), 403);
  assert.equal(await post({ 'sec-fetch-site': 'same-site' }), 403);
});

test('a file goes in while its answer comes out', async (t) => {
  const { url } = await stand(t);
  const asked = request(`${url}/api/v1/devices:import`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/x-ndjson' },
  });
  const answered = new Promise<AsyncIterable<Buffer>>((resolve, reject) => asked.once('response', resolve).once('error', reject));
  // The first refused row is told before the file has ended.
  asked.write(Array.from({ length: 2000 }, (_, i) => `{"id":"bad/${i}"}\n`).join(''));
  const answer = await answered;
  let text = '';
  for await (const chunk of answer) {
    text += chunk.toString();
    if (!asked.writableEnded) asked.end('{"id":"last"}\n');
  }
  assert.match(text, /^\{"refused":\{"line":1,/);
  assert.match(text, /\{"done":\{"bytes":\d+,"rows":2001,"accepted":1,"refused":2000\}\}\n$/);
});

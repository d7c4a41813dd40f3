import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { ApiRefusal, Client, type Sent, type Transport } from './api-client.ts';

type Request = Parameters<Transport['send']>[0];

function stand(answers: readonly (readonly [status: number, body: string, headers?: Record<string, string>])[]) {
  const asked: Request[] = [];
  const left = [...answers];
  const transport: Transport = {
    isLive: true,
    where: 'http://127.0.0.1:8080',
    async send(request): Promise<Sent> {
      asked.push(request);
      const [status, body, headers = {}] = left.shift()!;
      return { status, headers, body: Readable.from([Buffer.from(body)]) };
    },
    close: async () => {},
  };
  return { asked, client: new Client(transport) };
}

test('a request names its tenant, its version and what may be done once', async () => {
  const { asked, client } = stand([
    [201, '{"id":"a"}', { etag: '"7"' }],
    [204, ''],
  ]);
  const made = await client.request('POST', '/devices', {
    query: { tenant: 'main', label: ['a=b', 'c=d'], none: undefined },
    body: { id: 'a' },
  });
  assert.deepEqual(made, { status: 201, body: { id: 'a' }, version: 7 });
  assert.equal(asked[0]!.url, '/api/v1/devices?tenant=main&label=a%3Db&label=c%3Dd');
  assert.ok(asked[0]!.headers['idempotency-key']);
  const gone = await client.request('DELETE', '/devices/a', { ifMatch: 7 });
  assert.deepEqual([gone.body, asked[1]!.headers['if-match'], asked[1]!.headers['idempotency-key']], [undefined, '"7"', undefined]);
});

test('pages follow each other until there is no next, or enough', async () => {
  const page = (ids: string[], next?: string): [number, string] => [200, JSON.stringify({ entries: ids, next })];
  const { asked, client } = stand([page(['a', 'b'], 'x'), page([], 'y'), page(['c'])]);
  assert.deepEqual(await client.all('/devices'), ['a', 'b', 'c']);
  assert.match(asked[1]!.url, /after=x/);
  const few = stand([page(['a', 'b'], 'x')]);
  assert.deepEqual(await few.client.all('/devices', {}, 2), ['a', 'b']);
  assert.match(few.asked[0]!.url, /limit=2$/);
});

test('what is refused says why; what comes too early is sent again with the same key', async () => {
  const problem = JSON.stringify({ code: 'exists', detail: 'There is a device already.' });
  const refused = stand([[409, problem]]);
  await assert.rejects(refused.client.request('POST', '/devices', { body: {} }), (error) => {
    assert.ok(error instanceof ApiRefusal);
    assert.deepEqual(
      [error.message, error.status, error.code, error.where],
      ['There is a device already.', 409, 'exists', 'http://127.0.0.1:8080'],
    );
    return true;
  });
  const early = stand([
    [429, problem, { 'retry-after': '0' }],
    [201, '{}'],
  ]);
  assert.equal((await early.client.request('POST', '/devices', { body: {} })).status, 201);
  assert.equal(early.asked[0]!.headers['idempotency-key'], early.asked[1]!.headers['idempotency-key']);
  const never = stand([[503, problem, {}]]);
  await assert.rejects(never.client.request('GET', '/devices'), /already/);
  const stranger = stand([[500, '<html>']]);
  await assert.rejects(stranger.client.request('GET', '/devices'), /status 500/);
});

test('an answer that goes on comes line by line, however it is cut', async () => {
  const text = '{"a":1}\n\n{"b":"é"}\n{"c":3}';
  const bytes = Buffer.from(text);
  const transport: Transport = {
    isLive: false,
    where: '',
    send: async () => ({ status: 200, headers: {}, body: Readable.from(Array.from(bytes, (_byte, i) => bytes.subarray(i, i + 1))) }),
    close: async () => {},
  };
  const lines: string[] = [];
  for await (const line of new Client(transport).lines('GET', '/devices:export')) lines.push(line);
  assert.deepEqual(lines, ['{"a":1}', '{"b":"é"}', '{"c":3}']);
});

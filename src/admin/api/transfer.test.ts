import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditEvent } from '../../security/audit/audit.ts';
import { localCaller } from './caller.ts';
import type { ApiServices } from './services.ts';
import { routesAsData, TestApi } from './testing/test-api.ts';

const jsonl = { headers: { 'content-type': 'application/x-ndjson' } };
const csv = { headers: { 'content-type': 'text/csv' } };
const linesOf = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('devices come in from a file, with a word for each row that is refused, and go out again', async (t) => {
  const api = await TestApi.open(t);
  const file = 'id,groups,label:site\npump-1,a;b,Zürich\nbad/1,,\npump-2,,\n';
  const { status, text } = await api.ask('POST', '/devices:import?format=csv', { file, ...csv });
  assert.equal(status, 200);
  const [refused, done, ...more] = linesOf(text);
  assert.deepEqual([(refused!['refused'] as { line: number }).line, more.length], [3, 0]);
  assert.deepEqual(done, { done: { bytes: Buffer.byteLength(file), rows: 3, accepted: 2, refused: 1 } });
  assert.deepEqual(
    api.events.map(({ action, target, outcome, details }) => [action, target, outcome, details?.['accepted']]),
    [['device.import', 'device/main', 'done', 2]],
  );
  const out = await api.ask('GET', '/devices:export');
  assert.equal(out.headers['content-type'], 'application/x-ndjson');
  assert.deepEqual(
    linesOf(out.text).map(({ id }) => id),
    ['pump-1', 'pump-2'],
  );
  assert.match(
    (await api.ask('GET', '/devices:export?format=csv')).text,
    /^id,status,groups,roles,labels\npump-1,active,a;b,,site=Zürich\n/,
  );
  const again = await api.ask('POST', '/devices:import', { file: out.text, ...jsonl });
  assert.match(again.text, /"accepted":0,"refused":2/);
  const changed = await api.ask('POST', '/devices:import?existing=change', { file: out.text, ...jsonl });
  assert.match(changed.text, /"accepted":2,"refused":0/);
});

test('progress is told; a file that makes no sense says why', async (t) => {
  const api = await TestApi.open(t);
  const rows = Array.from({ length: 25_000 }, (_, i) => `{"id":"d${i}"}\n`).join('');
  const { text } = await api.ask('POST', '/devices:import', { file: rows, ...jsonl });
  const lines = linesOf(text);
  assert.deepEqual(
    lines.map((line) => Object.keys(line)[0]),
    ['progress', 'progress', 'done'],
  );
  assert.equal((lines.at(-1)!['done'] as { accepted: number }).accepted, 25_000);
  const odd = await api.ask('POST', '/devices:import?format=csv', { file: 'name\nx\n', ...csv });
  assert.match((linesOf(odd.text)[0]!['done'] as { error: string }).error, /unknown column "name"/);
  assert.equal(api.events.at(-1)!.outcome, 'failed');
  const wrongType = await api.ask('POST', '/devices:import', { body: { id: 'x' } });
  assert.equal(wrongType.status, 415);
});

test('a row gives no rights that who imports does not have', async (t) => {
  const api = await TestApi.open(t);
  api.rights.set('main/operator', ['devices:write']);
  const file = '{"id":"a","roles":["admin"]}\n{"id":"b","roles":["device"]}\n{"id":"c"}\n';
  const { text } = await api.ask('POST', '/devices:import', { as: 'main/operator', file, ...jsonl });
  assert.match(text, /"line":1,"id":"a","why":"The role admin brings rights/);
  assert.match(text, /"accepted":2,"refused":1/);
  const made = api.registry.get('device', 'main', 'a');
  assert.ok(made.ok && made.value === undefined);
});

test('an import that nobody listens to comes to its end, and onto the record', async (t) => {
  const api = await TestApi.open(t);
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const route = routesAsData().find(({ operation }) => operation === 'importDevices')!;
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('{"id":"first"}\n');
    for (let i = 0; i < 10; i++) yield Buffer.from('nonsense\n'.repeat(1000));
    end();
  };
  const audit = Promise.withResolvers<AuditEvent>();
  const services = {
    registry: api.registry,
    settings: () => api.settings,
    audit: { record: audit.resolve },
  } as unknown as ApiServices;
  const input = { params: undefined, query: {}, body: undefined, file: pieces() } as never;
  const answer = await route.handle(input, { caller: localCaller, tenant: 'main', from: '', ifMatch: undefined, services });
  assert.ok('stream' in answer && answer.stream !== undefined);
  const reader = answer.stream[Symbol.asyncIterator]();
  await reader.next();
  await reader.return?.(undefined);
  await ended;
  assert.deepEqual((await audit.promise).details, { rows: 10_001, accepted: 1, refused: 10_000 });
});

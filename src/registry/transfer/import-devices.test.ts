import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { good } from '../../../test/contracts/registry/place.ts';
import { atEnd, temporaryDirectory } from '../../../test/contracts/temporary-journal.ts';
import { refusal, type Registry, type Write } from '../registry.ts';
import { SqliteRegistry } from '../sqlite/sqlite-registry.ts';
import { exportDevices } from './export-devices.ts';
import { importDevices, type FileFormat, type ImportOptions, type ImportOutcome, type RefusedRow } from './import-devices.ts';

function open(t: TestContext): SqliteRegistry {
  const path = join(temporaryDirectory(t), 'registry.db');
  const registry = good(SqliteRegistry.open({ path, clock: new ManualClock(), thread: false }));
  atEnd(t, () => registry.close());
  return registry;
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

async function importText(
  registry: Registry,
  text: string | Uint8Array,
  more: Partial<ImportOptions> = {},
  pieceBytes = 7,
): Promise<ImportOutcome & { rowsRefused: RefusedRow[] }> {
  const rowsRefused: RefusedRow[] = [];
  const options: ImportOptions = {
    format: 'csv',
    tenant: 'main',
    existing: 'refuse',
    refused: (row) => void rowsRefused.push(row),
    ...more,
  };
  return { ...(await importDevices(registry, pieces(Buffer.from(text), pieceBytes), options)), rowsRefused };
}

async function exportText(registry: Registry, format: FileFormat): Promise<string> {
  let text = '';
  for await (const piece of exportDevices(registry, 'main', format, {})) {
    assert.ok('text' in piece);
    text += piece.text;
  }
  return text;
}

test('a row whose id an application or user has is refused, whether rows may change what is there or not', async (t) => {
  const registry = open(t);
  good(await registry.create('user', 'main', 'ann', {}));
  for (const existing of ['refuse', 'change'] as const) {
    const { accepted, rowsRefused } = await importText(registry, 'id\nann\n', { existing });
    assert.equal(accepted, 0);
    assert.deepEqual(rowsRefused, [{ line: 2, id: 'ann', why: 'there is a user main/ann already: a name stands for one' }]);
  }
});

test('rows are taken, and those that cannot be are told with line and reason', async (t) => {
  const registry = open(t);
  good(await registry.create('device', 'main', 'there', {}));
  const csv =
    'id,groups,label:site,tenant\r\npump-1,a;b,Zürich,\npump/2,,,\nthere,,,\n"pump-\n3",,,\npump-4,,,other\npump-5\npump-6,,,main\npump-1,,,\n';
  const outcome = await importText(registry, csv);
  assert.deepEqual(
    outcome.rowsRefused.map(({ line, id, why }) => `${line} ${id}: ${why}`).sort(),
    [
      '3 pump/2: the id holds one of / + #, which mean something in topics',
      '4 there: there is a device main/there already',
      '5 pump-\n3: the id holds a character that cannot be seen',
      '7 pump-4: is of another tenant: this import is for main',
      '8 undefined: has 1 cells, the header 4',
      '10 pump-1: there is a device main/pump-1 already',
    ].sort(),
  );
  assert.deepEqual(
    [outcome.rows, outcome.accepted, outcome.refused, outcome.bytes, outcome.error],
    [8, 2, 6, Buffer.byteLength(csv), undefined],
  );
  const made = good(registry.get('device', 'main', 'pump-1'))!;
  assert.deepEqual([made.groups, made.labels], [['a', 'b'], { site: 'Zürich' }]);
});

test('with `change`, a row changes what it says and leaves the rest; the same file again changes nothing', async (t) => {
  const registry = open(t);
  good(await registry.create('device', 'main', 'a', { groups: ['g'], labels: { k: 'v' }, status: 'disabled' }));
  const text = '{"id":"a","groups":["h"]}\n\n{"id":"b","roles":["r"]}\n{"id":"c","colour":"red"}\nnonsense\n';
  for (const _ of [1, 2]) {
    const outcome = await importText(registry, text, { format: 'jsonl', existing: 'change' });
    assert.deepEqual([outcome.accepted, outcome.rowsRefused.map(({ line }) => line).sort()], [2, [4, 5]]);
  }
  const changed = good(registry.get('device', 'main', 'a'))!;
  assert.deepEqual([changed.groups, changed.labels, changed.status], [['h'], { k: 'v' }, 'disabled']);
});

test('what is exported is imported elsewhere as it was, in both formats', async (t) => {
  const registry = open(t);
  const writes = Array.from({ length: 1000 }, (_, i): Write => ({
    do: 'create',
    kind: 'device',
    tenant: 'main',
    id: `d;"${i}`,
    fields: { groups: [`g${i % 3}`, 'a;b'], labels: { k: `v,${i}` }, ...(i % 5 === 0 && { status: 'disabled' as const }) },
  }));
  good(await registry.apply(writes, { atomic: true }));
  good(await registry.create('device', 'main', 'last', {}));
  for (const format of ['csv', 'jsonl'] as const) {
    const text = await exportText(registry, format);
    const copy = open(t);
    const outcome = await importText(copy, text, { format }, 5000);
    assert.deepEqual([outcome.accepted, outcome.refused], [1001, 0]);
    assert.equal(await exportText(copy, format), text);
  }
});

test('a file that cannot be used at all says why', async (t) => {
  const registry = open(t);
  const message = async (text: string | Uint8Array): Promise<string | undefined> => (await importText(registry, text)).error?.message;
  assert.match((await message(''))!, /empty/);
  assert.match((await message('name,age\nx,1\n'))!, /header \(line 1\) has the unknown column "name"/);
  const broken = Buffer.concat([Buffer.from('id\ngood\n'), Uint8Array.of(0xff, 0xfe), Buffer.from('\nalso good\n')]);
  const outcome = await importText(registry, broken);
  assert.deepEqual(outcome.rowsRefused, [{ line: 3, id: undefined, why: 'is not UTF-8' }]);
  assert.equal(outcome.accepted, 2);
  const failing = (async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('id\nbefore\n');
    throw new Error('disk on fire');
  })();
  const cut = await importDevices(registry, failing, { format: 'csv', tenant: 'main', existing: 'refuse', refused() {} });
  assert.match(cut.error!.message, /disk on fire/);
  assert.equal(cut.accepted, 1, 'what was read before is in');
  assert.ok(good(registry.get('device', 'main', 'before')));
});

test('it stops where the registry cannot go on, says how far it came, and holds few rows at a time', async () => {
  const sizes: number[] = [];
  const registry = {
    apply(writes: readonly Write[]) {
      sizes.push(writes.length);
      if (sizes.length === 3) return Promise.resolve(refusal('full', 'no space'));
      return Promise.resolve({ ok: true, value: writes.map(() => ({ ok: true, value: {} })) });
    },
  } as unknown as Registry;
  const text = `id\n${Array.from({ length: 10_000 }, (_, i) => `d-${i}\n`).join('')}`;
  let told = 0;
  const outcome = await importText(registry, text, { progress: () => told++ }, 1 << 20);
  assert.deepEqual([outcome.accepted, outcome.error], [2000, { code: 'full', message: 'no space' }]);
  assert.deepEqual(sizes, [1000, 1000, 1000]);
  assert.equal(told, 2);
});

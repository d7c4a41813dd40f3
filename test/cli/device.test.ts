// heliograph device, as a script and a person see it.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { connectAsync } from 'mqtt';
import { runCli, Served, type Result } from './run-cli.ts';
import { freeListeners } from '../harness/free-listeners.ts';

function scratch(t: TestContext): { directory: string; device: (...args: string[]) => Promise<Result> } {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-cli-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return { directory, device: (...args) => runCli(['device', ...args, '--data', join(directory, 'data')]) };
}

async function good(result: Promise<Result>): Promise<string> {
  const { code, stdout, stderr } = await result;
  assert.equal(code, 0, stderr);
  return stdout;
}

async function bad(result: Promise<Result>, said: RegExp): Promise<void> {
  const { code, stderr } = await result;
  assert.notEqual(code, 0);
  assert.match(stderr, said);
  assert.ok(!stderr.includes('    at '), stderr);
}

test('devices are added, shown, found, disabled, enabled and removed', async (t) => {
  const { directory, device } = scratch(t);
  assert.equal(
    await good(device('add', '--no-certificate', 'pump-7', '--label', 'site=berlin', 'floor=3', '--group', 'north')),
    'Added main/pump-7.\n',
  );
  await good(device('add', '--no-certificate', 'main/pump-8'));
  if (process.platform !== 'win32') assert.equal(statSync(join(directory, 'data', 'registry.db')).mode & 0o777, 0o600);
  await bad(device('add', '--no-certificate', 'pump-8'), /^Error: There is a device main\/pump-8 already\.$/m);
  await bad(device('add', '--no-certificate', 'a/b/c'), /cannot be a device's id/);
  await bad(device('add', '--no-certificate', 'nowhere/x'), /no tenant nowhere/);
  await bad(device('add', '--no-certificate', 'x', '--label', 'site'), /"site" is no label[^]*write key=value/);

  const shown = await good(device('show', 'pump-7'));
  assert.match(shown, /^status +active$/m);
  assert.match(shown, /^labels +floor=3, site=berlin$/m);
  const made = JSON.parse(await good(device('show', 'pump-7', '--json'))) as { version: number; groups: string[] };
  assert.deepEqual(made.groups, ['north']);

  const disabled = JSON.parse(await good(device('disable', 'pump-7', '--json'))) as { status: string; version: number };
  assert.equal(disabled.status, 'disabled');
  assert.ok(disabled.version > made.version);
  const found = JSON.parse(await good(device('list', '--status', 'disabled', '--label', 'site=berlin', '--json'))) as { id: string }[];
  assert.deepEqual(
    found.map(({ id }) => id),
    ['pump-7'],
  );
  await good(device('enable', 'pump-7'));
  const list = await device('list', '--limit', '1');
  assert.match(list.stdout, /^pump-7 +active +north, floor=3, site=berlin$/m);
  assert.ok(!list.stdout.includes('pump-8'));
  assert.match(list.stderr, /There are more/);
  await good(device('remove', 'pump-7'));
  await bad(device('show', 'pump-7'), /There is no device main\/pump-7/);
  await bad(device('list', '--limit', 'x'), /no number of devices/);
  await bad(device('list', '--status', 'sleepy'), /must be one of active, disabled/);
});

test('devices come out of files and go into files; refused rows are told', async (t) => {
  const { directory, device } = scratch(t);
  const [csv, refused, copy] = ['devices.csv', 'refused.jsonl', 'copy.jsonl'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  const bads = Array.from({ length: 30 }, (_, i) => `bad/${i},,\n`).join('');
  writeFileSync(csv, `id,groups,label:site\npump-1,a;b,Zürich\n${bads}pump-2,,\n`);
  const imported = await device('import', csv, '--refused', refused);
  assert.equal(imported.code, 1, 'a script must see that rows are missing');
  assert.equal(imported.stdout, '2 devices taken, 30 rows refused.\n');
  assert.match(imported.stderr, /^line 3 \(bad\/0\): the id holds one of/m);
  assert.match(imported.stderr, /^and 10 more; --refused FILE writes them all$/m);
  assert.equal(readFileSync(refused, 'utf8').trim().split('\n').length, 30);
  await bad(device('import', csv, '--refused', refused), /cannot be made/);

  const exported = await good(device('export', copy));
  assert.equal(exported, `${copy}: 2 devices.\n`);
  await bad(device('export', copy), /cannot be made[^]*not there yet/);
  const csvAgain = await good(device('export', '--format', 'csv'));
  assert.equal(csvAgain, 'id,status,groups,roles,labels\npump-1,active,a;b,,site=Zürich\npump-2,active,,,\n');
  const elsewhere = scratch(t);
  const counts = JSON.parse(await good(elsewhere.device('import', copy, '--json'))) as object;
  assert.deepEqual(counts, { bytes: statSync(copy).size, rows: 2, accepted: 2, refused: 0 });
  assert.equal(await good(elsewhere.device('export')), readFileSync(copy, 'utf8'));
  await good(elsewhere.device('import', copy, '--update'));

  await bad(device('import', 'nothing.txt'), /does not say what is in it[^]*--format/);
  await bad(device('import', join(directory, 'none.csv')), /cannot be read/);
  await bad(device('import', csv, '--format', 'xml'), /no format/);
  writeFileSync(join(directory, 'odd.csv'), 'name\nx\n');
  await bad(device('import', join(directory, 'odd.csv')), /unknown column "name"/);
});

test('a running broker keeps out who was disabled, from the next connect on', async (t) => {
  const { directory, device } = scratch(t);
  const data = join(directory, 'data');
  const file = join(directory, 'heliograph.yaml');
  writeFileSync(file, `listeners: ${JSON.stringify(freeListeners(['mqtt', 'admin']))}\n`);
  const password = 'open-sesame-0815';
  await good(device('add', '--no-certificate', 'pump-7', '--role', 'device'));
  assert.equal((await runCli(['device', 'password', 'pump-7', '--data', data], `${password}\n`)).code, 0);
  const served = new Served(['--config', file, '--data', data]);
  t.after(() => served.kill());
  // From now on commands ask the broker.
  await served.port('admin');
  const url = `mqtt://127.0.0.1:${await served.port('mqtt')}`;
  const connect = async (): Promise<number> => {
    try {
      const client = await connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0, username: 'pump-7', password });
      await client.endAsync(true);
      return 0;
    } catch (error) {
      return (error as { code: number }).code;
    }
  };
  assert.equal(await connect(), 0);
  await good(device('disable', 'pump-7'));
  assert.equal(await connect(), 0x86, 'as with a wrong password');
  await good(device('enable', 'pump-7'));
  assert.equal(await connect(), 0);
  await good(device('add', '--no-certificate', 'pump-8'));
  served.signal('SIGTERM');
  assert.equal((await served.ended).code, 0);
  assert.match(await good(device('list')), /^pump-8 /m);
});

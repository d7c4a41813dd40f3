import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { UserError } from '../base/user-error.ts';
import { good } from '../../test/contracts/registry/place.ts';
import { atEnd, temporaryDirectory } from '../../test/contracts/temporary-journal.ts';
import { SqliteRegistry } from '../registry/sqlite/sqlite-registry.ts';
import { SequenceFile } from '../security/oscore/sequence-store.ts';
import { oscorePath } from './paths.ts';
import { copyTrust, trustFindings } from './trust-copy.ts';

function put(path: string, content: string, mode = 0o600): void {
  fs.mkdirSync(join(path, '..'), { recursive: true });
  fs.writeFileSync(path, content, { mode });
}

function filesIn(directory: string): string[] {
  const entries = fs.readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

function dataDirectory(t: TestContext): { data: string; target: string; registry: SqliteRegistry } {
  const directory = temporaryDirectory(t);
  const [data, target] = [join(directory, 'data'), join(directory, 'copy')];
  fs.mkdirSync(data);
  fs.mkdirSync(target);
  const registry = good(SqliteRegistry.open({ path: join(data, 'registry.db'), clock: new ManualClock(), thread: false }));
  atEnd(t, () => registry.close());
  return { data, target, registry };
}

test('the copy of a running node has registry, users, keys and audit log, for their owner alone, and nothing else', async (t) => {
  const { data, target, registry } = dataDirectory(t);
  good(await registry.create('device', 'main', 'pump', {}));
  put(join(data, 'users.json.imported'), 'users');
  put(join(data, 'pki', 'server.key'), 'a key');
  put(join(data, 'pki', 'server.crt'), 'a certificate', 0o644);
  put(join(data, 'pki', 'authorities', 'root.key'), 'another key');
  put(join(data, 'pki', '.server.key.1234'), 'a draft');
  put(join(data, 'audit', '1.jsonl'), 'proof');
  put(join(data, 'admin-token'), 'secret');
  put(join(data, 'users.json.lock'), '');
  put(join(data, 'shard-0.db'), 'messages');
  const copied = await copyTrust(data, target);
  assert.equal(copied.registryBytes, fs.statSync(join(target, 'registry.db')).size);
  assert.deepEqual([copied.files, copied.bytes], [5, 'users'.length + 'a key'.length + 'a certificate'.length + 'another key'.length + 5]);
  assert.deepEqual(filesIn(target), [
    'audit/1.jsonl',
    'pki/authorities/root.key',
    'pki/server.crt',
    'pki/server.key',
    'registry.db',
    'users.json.imported',
  ]);
  assert.equal(fs.readFileSync(join(target, 'pki', 'server.key'), 'utf8'), 'a key');
  const copy = good(SqliteRegistry.open({ path: join(target, 'registry.db'), clock: new ManualClock(), thread: false }));
  assert.equal(good(copy.principal('main', 'pump'))?.kind, 'device');
  await copy.close();
  if (process.platform === 'win32') return;
  for (const name of filesIn(target)) assert.equal(fs.statSync(join(target, name)).mode & 0o777, 0o600, name);
  assert.equal(fs.statSync(join(target, 'pki')).mode & 0o777, 0o700);
});

test('a directory without any of it makes an empty copy, and a damaged registry none', async (t) => {
  const { data, target, registry } = dataDirectory(t);
  await registry.close();
  fs.rmSync(join(data, 'registry.db'));
  assert.deepEqual(await copyTrust(data, target), { registryBytes: undefined, files: 0, bytes: 0 });
  assert.deepEqual(await trustFindings(data), []);
  fs.writeFileSync(join(data, 'registry.db'), 'nonsense '.repeat(1000), { mode: 0o600 });
  await assert.rejects(copyTrust(data, target), (error) => error instanceof UserError && /backup/.test(error.fix ?? ''));
  assert.deepEqual(filesIn(target), []);
  assert.deepEqual(
    (await trustFindings(data)).map(({ where, fix }) => [where, fix]),
    [[join(data, 'registry.db'), 'restore a backup of the registry']],
  );
});

test('secrets that others may read are told', { skip: process.platform === 'win32' }, async (t) => {
  const { data } = dataDirectory(t);
  put(join(data, 'pki', 'server.crt'), 'public');
  put(join(data, 'pki', 'server.key'), 'secret');
  fs.chmodSync(join(data, 'pki', 'server.crt'), 0o644);
  assert.deepEqual(await trustFindings(data), []);
  fs.chmodSync(join(data, 'pki', 'server.key'), 0o640);
  fs.chmodSync(join(data, 'registry.db'), 0o604);
  assert.deepEqual(
    (await trustFindings(data)).map(({ fix }) => fix),
    [`chmod 600 ${join(data, 'registry.db')}`, `chmod 600 ${join(data, 'pki', 'server.key')}`],
  );
});

test('in a backup the numbers of OSCORE are far ahead, also of contexts that nobody has used yet', async (t) => {
  const { data, target } = dataDirectory(t);
  const [used, unused] = ['ab'.repeat(16), 'cd'.repeat(16)];
  const store = await SequenceFile.open(oscorePath(data));
  await store.put(used, { sentBelow: 1024, acceptedBelow: 2048 });
  const { files } = await copyTrust(data, target);
  assert.equal(files, 1);
  await store.close();
  // A copy of a copy is ahead of both.
  const again = join(target, 'again');
  fs.mkdirSync(again);
  await copyTrust(target, again);
  for (const [place, ahead] of [
    [data, 0],
    [target, 2 ** 32],
    [again, 2 ** 33],
  ] as const) {
    const copy = await SequenceFile.open(oscorePath(place));
    await copy.put('ef'.repeat(16), { sentBelow: 1, acceptedBelow: 1 });
    await copy.close();
    const reopened = await SequenceFile.open(oscorePath(place));
    assert.deepEqual(reopened.get(used), { sentBelow: 1024 + ahead, acceptedBelow: 2048 + ahead });
    assert.deepEqual(reopened.get(unused), ahead === 0 ? undefined : { sentBelow: ahead, acceptedBelow: ahead });
    await reopened.close();
  }
});

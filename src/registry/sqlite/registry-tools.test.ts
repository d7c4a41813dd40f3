import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { good, refused } from '../../../test/contracts/registry/place.ts';
import { atEnd, temporaryDirectory } from '../../../test/contracts/temporary-journal.ts';
import type { Write } from '../registry.ts';
import { compactRegistry, copyRegistry, registryFaults } from './registry-tools.ts';
import { SqliteRegistry } from './sqlite-registry.ts';

/** A registry with some devices, which is open. */
async function filled(t: TestContext): Promise<{ registry: SqliteRegistry; path: string; directory: string }> {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'registry.db');
  const registry = good(SqliteRegistry.open({ path, clock: new ManualClock(), thread: false }));
  atEnd(t, () => registry.close());
  const writes = Array.from({ length: 1000 }, (_, i): Write => {
    const fields = { labels: { site: `hall ${i}` }, groups: ['pumps'] };
    return { do: 'create', kind: 'device', tenant: 'main', id: `d-${i}`, fields };
  });
  good(await registry.apply(writes, { atomic: true }));
  return { registry, path, directory };
}

/** Breaks one page in the middle of the file. */
function damage(path: string): void {
  const file = fs.openSync(path, 'r+');
  const { size } = fs.fstatSync(file);
  fs.writeSync(file, Buffer.alloc(4096, 0xaa), 0, 4096, Math.floor(size / 8192) * 4096);
  fs.closeSync(file);
}

test('a copy of a registry in use holds what was there at one moment, for its owner alone', async (t) => {
  const { registry, path, directory } = await filled(t);
  const target = join(directory, 'copy.db');
  const umask = process.umask(0);
  try {
    assert.equal(copyRegistry(path, target), fs.statSync(target).size);
  } finally {
    process.umask(umask);
  }
  if (process.platform !== 'win32') assert.equal(fs.statSync(target).mode & 0o777, 0o600);
  good(await registry.create('device', 'main', 'later', {}));
  assert.deepEqual(registryFaults(target), []);
  const copy = good(SqliteRegistry.open({ path: target, clock: new ManualClock(), thread: false }));
  atEnd(t, () => copy.close());
  assert.deepEqual(good(copy.get('device', 'main', 'd-7')), good(registry.get('device', 'main', 'd-7')));
  assert.equal(good(copy.get('device', 'main', 'later')), undefined);
  assert.throws(() => copyRegistry(path, target), /cannot be written.*EEXIST/);
  assert.throws(() => copyRegistry(join(directory, 'none.db'), join(directory, 'x.db')), /cannot be used now/);
  assert.ok(!fs.existsSync(join(directory, 'x.db')), 'nothing half stays behind');
});

test('damage is found by the check, at the start of a node, and never copied', async (t) => {
  const { registry, path, directory } = await filled(t);
  assert.deepEqual(registryFaults(path), [], 'while it is in use');
  await registry.close();
  damage(path);
  const before = fs.readFileSync(path);
  const faults = registryFaults(path);
  assert.ok(faults.length > 0 && faults.length <= 100);
  assert.ok(faults.every(({ code }) => code === 'damaged'));
  assert.throws(() => copyRegistry(path, join(directory, 'copy.db')), /damaged|malformed|invalid|btree/i);
  assert.ok(!fs.existsSync(join(directory, 'copy.db')));
  const opened = SqliteRegistry.open({ path, clock: new ManualClock() });
  refused(opened, 'damaged');
  assert.match(opened.ok ? '' : opened.error.message, /registry\.db: the registry is damaged; restore a backup/);
  assert.ok(fs.readFileSync(path).equals(before), 'it is left as it is');
});

test('what is no registry, or one of a later version, is told', async (t) => {
  const { registry, path, directory } = await filled(t);
  await registry.close();
  const db = new DatabaseSync(path);
  db.exec('UPDATE registry_state SET schema_version = 99');
  db.close();
  assert.deepEqual(
    registryFaults(path).map(({ code }) => code),
    ['later-version'],
  );
  copyRegistry(path, join(directory, 'copy.db'));
  fs.writeFileSync(join(directory, 'other.db'), 'no database at all: '.repeat(100));
  assert.deepEqual(
    registryFaults(join(directory, 'other.db')).map(({ code }) => code),
    ['damaged'],
  );
});

test('unused space is given back', async (t) => {
  const { registry, path } = await filled(t);
  const remove = Array.from({ length: 1000 }, (_, i): Write => ({ do: 'remove', kind: 'device', tenant: 'main', id: `d-${i}` }));
  good(await registry.apply(remove, { atomic: true }));
  await registry.close();
  const { bytesBefore, bytesAfter } = compactRegistry(path);
  assert.ok(bytesAfter < bytesBefore / 2, `${bytesBefore} → ${bytesAfter}`);
  assert.deepEqual(registryFaults(path), []);
});

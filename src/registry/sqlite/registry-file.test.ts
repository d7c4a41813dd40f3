import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { fixtureSql, holdsFixture } from '../../../test/contracts/registry/fixture.ts';
import { good, refused } from '../../../test/contracts/registry/place.ts';
import { atEnd, temporaryDirectory } from '../../../test/contracts/temporary-journal.ts';
import type { Change, Result } from '../registry.ts';
import { RegistryFailure } from '../sql/failure.ts';
import { keptRevisions } from '../sql/transaction.ts';
import { migrations } from './migrations.ts';
import { RegistryFile } from './registry-file.ts';
import { SqliteRegistry, type SqliteRegistryOptions } from './sqlite-registry.ts';

function attempt(t: TestContext, path: string, more: Partial<SqliteRegistryOptions> = {}): Result<SqliteRegistry> {
  const opened = SqliteRegistry.open({ path, clock: new ManualClock(), pollMs: 1, ...more });
  if (opened.ok) atEnd(t, () => opened.value.close());
  return opened;
}

function open(t: TestContext, path: string, more: Partial<SqliteRegistryOptions> = {}): SqliteRegistry {
  return good(attempt(t, path, more));
}

/** Changes the file behind the registry's back. */
function tamper(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}

function pathIn(t: TestContext): string {
  return join(temporaryDirectory(t), 'registry.db');
}

for (let version = 1; version <= migrations.length; version++) {
  test(`a registry of schema ${version} is read, entry for entry, and goes on`, async (t) => {
    const path = pathIn(t);
    tamper(path, fixtureSql(version, 'sqlite'));
    await holdsFixture(open(t, path), version);
  });

  test(`the tables of schema ${version} are made as the release made them`, () => {
    const tables = (sql: string): unknown[] => {
      const db = new DatabaseSync(':memory:');
      db.exec(sql);
      const found = db.prepare('SELECT name, sql FROM sqlite_schema ORDER BY name').all();
      db.close();
      return found.map(({ name, sql: text }) => [name, text]);
    };
    assert.deepEqual(tables(migrations.slice(0, version).join('')), tables(fixtureSql(version, 'sqlite')));
  });
}

test('names that an earlier version gave to several stay, each can be changed and removed, and no other is added', async (t) => {
  const path = pathIn(t);
  tamper(path, fixtureSql(2, 'sqlite'));
  tamper(path, `INSERT INTO applications SELECT * FROM devices WHERE tenant = 'acme'; INSERT INTO users SELECT *, 'U' FROM devices`);
  const registry = open(t, path);
  assert.equal(good(registry.principal('acme', 'pump-ä'))?.kind, 'device');
  assert.equal(good(registry.get('application', 'acme', 'pump-ä'))?.status, 'active');
  refused(await registry.create('application', 'main', 'pump-ä', {}), 'exists');
  good(await registry.update('application', 'acme', 'pump-ä', { status: 'disabled' }));
  good(good(await registry.apply([{ do: 'put', kind: 'user', tenant: 'acme', id: 'pump-ä', fields: {} }], { atomic: false }))[0]!);
  good(await registry.remove('device', 'acme', 'pump-ä'));
  assert.equal(good(registry.principal('acme', 'pump-ä'))?.kind, 'application');
  refused(await registry.create('device', 'acme', 'pump-ä', {}), 'exists');
});

test('the file and what stands beside it are for their owner alone', (t) => {
  const path = pathIn(t);
  open(t, path);
  const files = fs.readdirSync(join(path, '..'));
  assert.deepEqual(files.sort(), ['registry.db', 'registry.db-shm', 'registry.db-wal']);
  if (process.platform === 'win32') return;
  for (const file of files) assert.equal(fs.statSync(join(path, '..', file)).mode & 0o777, 0o600, file);
});

test('what is no registry, or one of a later version, is left as it is', async (t) => {
  const directory = temporaryDirectory(t);
  const [other, text, later, nowhere] = ['other.db', 'text.db', 'later.db', 'none/x.db'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
    string,
  ];
  tamper(other, 'CREATE TABLE a (b)');
  fs.writeFileSync(text, 'not a database, but long enough to be taken for one: '.repeat(100));
  open(t, later);
  tamper(later, 'UPDATE registry_state SET schema_version = 99');
  for (const [path, code] of [
    [other, 'damaged'],
    [text, 'damaged'],
    [later, 'later-version'],
    [nowhere, 'unavailable'],
  ] as const) {
    const before = fs.existsSync(path) ? fs.readFileSync(path) : undefined;
    refused(attempt(t, path), code);
    if (before !== undefined) assert.ok(fs.readFileSync(path).equals(before), path);
  }
});

test('a file that a later version has taken over meanwhile is not written any more', async (t) => {
  const path = pathIn(t);
  const registry = open(t, path);
  good(await registry.create('device', 'main', 'a', {}));
  tamper(path, 'UPDATE registry_state SET schema_version = 99');
  refused(await registry.create('device', 'main', 'b', {}), 'later-version');
  assert.equal(good(registry.get('device', 'main', 'a'))?.id, 'a');
});

for (const thread of [true, false]) {
  test(`a writer that waits too long for another one is told (${thread ? 'thread' : 'no thread'})`, async (t) => {
    const path = pathIn(t);
    const registry = open(t, path, { writeWaitMs: 1, thread });
    const other = new DatabaseSync(path);
    atEnd(t, () => other.close());
    other.exec('BEGIN IMMEDIATE');
    refused(await registry.create('device', 'main', 'a', {}), 'unavailable');
    assert.equal(good(registry.get('device', 'main', 'a')), undefined, 'reading goes on');
    other.exec('ROLLBACK');
    good(await registry.create('device', 'main', 'a', {}));
  });
}

test(
  'where there is no room for what connections share, the node has the registry for itself',
  { skip: process.platform === 'win32' },
  async (t) => {
    const path = pathIn(t);
    await good(SqliteRegistry.open({ path, clock: new ManualClock() })).close();
    // As a full disk does: it cannot be made.
    fs.symlinkSync('/nowhere/at/all', `${path}-shm`);
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (event: string) => void warnings.push(event) };
    refused(attempt(t, path, { thread: false }), 'unavailable');
    const registry = open(t, path, { log });
    assert.match(warnings.join(), /other processes cannot use the registry/);
    const changes: Change[] = [];
    registry.subscribe((more) => void changes.push(...more));
    good(await registry.create('device', 'main', 'a', {}));
    assert.equal(good(registry.get('device', 'main', 'a'))?.id, 'a');
    assert.equal(good(await registry.list('device', 'main', {})).entries.length, 1);
    assert.deepEqual(
      changes.map(({ id }) => id),
      ['a'],
    );
    fs.unlinkSync(`${path}-shm`);
    refused(attempt(t, path, { thread: false, writeWaitMs: 1 }), 'unavailable');
  },
);

test('who looks after a very long time is told that anything may have changed', async (t) => {
  const path = pathIn(t);
  const registry = open(t, path);
  const changes: Change[] = [];
  registry.subscribe((more) => void changes.push(...more));
  good(await registry.create('device', 'main', 'a', {}));
  assert.deepEqual(
    changes.map(({ id }) => id),
    ['a'],
  );
  // As another process leaves it that has written very often, and thrown away what is too old.
  const revision = keptRevisions * 3;
  tamper(
    path,
    `UPDATE registry_state SET revision = ${revision}, changes_from = ${revision - keptRevisions}; DELETE FROM registry_changes`,
  );
  while (changes.length < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(changes[1], { version: revision, kind: undefined, tenant: undefined, id: undefined, what: 'many' });
});

test('old changes are thrown away, the last ones never', async (t) => {
  const path = pathIn(t);
  const registry = open(t, path);
  tamper(
    path,
    `UPDATE registry_state SET revision = ${keptRevisions}; INSERT INTO registry_changes VALUES (5, 0, 'device', 'main', 'x', 'created')`,
  );
  const count = 600;
  for (let i = 0; i < count; i++) good(await registry.create('device', 'main', `d-${i}`, {}));
  const db = new DatabaseSync(path);
  const state = db.prepare('SELECT revision, changes_from FROM registry_state').get()!;
  const kept = db.prepare('SELECT count(*) AS n, min(revision) AS first FROM registry_changes').get()!;
  db.close();
  assert.equal(state['revision'], keptRevisions + count);
  assert.ok((state['changes_from'] as number) > 5 && (state['changes_from'] as number) <= count);
  assert.deepEqual([kept['n'], kept['first']], [count, keptRevisions + 1]);
});

test("what cannot be sent to the thread is the caller's bug, and harms nobody else", async (t) => {
  const registry = open(t, pathIn(t));
  await assert.rejects(registry.create('device', 'main', 'b', { labels: (() => {}) as never }));
  good(await registry.create('device', 'main', 'c', {}));
});

test('a change that could not be read when it was seen is told later', async (t) => {
  const path = pathIn(t);
  const registry = open(t, path, { thread: false });
  const other = open(t, path, { thread: false });
  const told = Promise.withResolvers<readonly Change[]>();
  atEnd(t, registry.subscribe(told.resolve));
  // oxlint-disable-next-line typescript/unbound-method -- it is called with the `this` it is given
  const { run } = RegistryFile.prototype;
  let failures = 0;
  t.mock.method(RegistryFile.prototype, 'run', function (this: RegistryFile, steps: Parameters<typeof run>[0]) {
    const found: unknown = run.call(this, steps);
    const isChange = ((found as { changes?: readonly unknown[] } | undefined)?.changes?.length ?? 0) > 0;
    if (isChange && failures++ === 0) throw new RegistryFailure('unavailable', 'not now');
    return found;
  });
  good(await other.create('device', 'main', 'a', {}));
  const [change] = await told.promise;
  assert.deepEqual([change?.id, change?.what, failures], ['a', 'created', 2]);
});

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { good } from '../../test/contracts/registry/place.ts';
import { atEnd, temporaryDirectory } from '../../test/contracts/temporary-journal.ts';
import { refusal } from '../registry/registry.ts';
import { SqliteRegistry } from '../registry/sqlite/sqlite-registry.ts';
import type { AuditEvent } from '../security/audit/audit.ts';
import { importUsersFile } from './import-users-file.ts';

const passwordHash = '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g';

test('users.json goes into the registry once, and stays beside it under another name', async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'users.json');
  const registry = good(SqliteRegistry.open({ path: join(directory, 'registry.db'), clock: new ManualClock(), thread: false }));
  atEnd(t, () => registry.close());
  const events: AuditEvent[] = [];
  const audit = { record: (event: AuditEvent) => void events.push(event) };
  const warnings: unknown[] = [];
  const log = { ...silentLog, warn: (...what: unknown[]) => void warnings.push(what) };
  await importUsersFile(path, { registry, audit, log });
  assert.deepEqual([events, fs.readdirSync(directory).filter((name) => name.startsWith('users'))], [[], []]);

  const write = (names: readonly string[]): void => {
    const users = names.map((name) => ({ tenant: 'main', name, roles: name === 'bad' ? ['a/b'] : [], passwordHash, createdMs: 1 }));
    fs.writeFileSync(path, JSON.stringify({ version: 1, users }), { mode: 0o600 });
  };
  write(['ann', 'bad']);
  const full: Parameters<typeof importUsersFile>[1]['registry'] = {
    apply: () => Promise.resolve(refusal('full', 'no space')),
    principal: (...question) => registry.principal(...question),
    credentials: (...question) => registry.credentials(...question),
  };
  await assert.rejects(importUsersFile(path, { registry: full, audit, log }), /No space/);
  assert.ok(fs.existsSync(path), 'it is still to be done');

  await importUsersFile(path, { registry, audit, log });
  assert.equal(good(registry.principal('main', 'ann'))?.kind, 'application');
  assert.deepEqual(
    events.map(({ outcome, details }) => [outcome, details]),
    [['failed', { imported: 1, kept: 0, refused: 1 }]],
  );
  assert.equal(warnings.length, 1);
  assert.ok(!JSON.stringify([warnings, events]).includes('argon2'));
  const first = fs.readFileSync(`${path}.imported`);
  if (process.platform !== 'win32') assert.equal(fs.statSync(`${path}.imported`).mode & 0o777, 0o600);

  write(['bob']);
  await importUsersFile(path, { registry, audit, log });
  assert.ok(good(registry.principal('main', 'bob')));
  assert.deepEqual(fs.readFileSync(`${path}.imported`), first, 'what was kept is not written over');
  assert.deepEqual(
    fs
      .readdirSync(directory)
      .filter((name) => name.startsWith('users'))
      .sort(),
    ['users.json.imported', 'users.json.imported.2'],
  );
});

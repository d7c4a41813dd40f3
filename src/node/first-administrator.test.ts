import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { good } from '../../test/contracts/registry/place.ts';
import { atEnd, temporaryDirectory } from '../../test/contracts/temporary-journal.ts';
import { ManualClock } from '../base/clock.ts';
import { SeededRandom } from '../base/random.ts';
import { SqliteRegistry } from '../registry/sqlite/sqlite-registry.ts';
import type { AuditEvent } from '../security/audit/audit.ts';
import { parsePasswordHash, verifyPassword } from '../security/password-hash.ts';
import { createFirstAdministrator } from './first-administrator.ts';

test('the first administrator is made once, where there is nobody, and its password is kept nowhere', async (t) => {
  const directory = temporaryDirectory(t);
  const registry = good(SqliteRegistry.open({ path: join(directory, 'registry.db'), clock: new ManualClock(), thread: false }));
  atEnd(t, () => registry.close());
  const events: AuditEvent[] = [];
  const importedUsersFile = join(directory, 'users.json.imported');
  const hashCost = { memoryKib: 8, passes: 1, lanes: 1 };
  const create = () =>
    createFirstAdministrator({
      registry,
      audit: { record: (event) => events.push(event) },
      random: new SeededRandom(events.length + 1),
      tenant: 'main',
      importedUsersFile,
      hashCost,
    });
  await writeFile(importedUsersFile, '');
  assert.equal(await create(), undefined, 'an earlier release had users');
  await rm(importedUsersFile);
  good(await registry.create('application', 'main', 'app', {}));
  assert.equal(await create(), undefined, 'somebody was added before the first start');
  good(await registry.remove('application', 'main', 'app'));
  good(await registry.create('device', 'main', 'pump', {}));
  const made = (await create())!;
  assert.equal(made.name, 'admin');
  const user = good(registry.get('user', 'main', 'admin'))!;
  assert.deepEqual(user.roles, ['admin']);
  const credentials = good(registry.credentials('main', { kind: 'user', id: 'admin' }));
  assert.deepEqual(credentials.map(({ type }) => type).sort(), ['password', 'scram-sha-256']);
  const hash = parsePasswordHash(credentials.find(({ type }) => type === 'password')!.secret)!;
  assert.equal(await verifyPassword(Buffer.from(made.password), hash), true);
  assert.deepEqual(
    events.map(({ action, target }) => [action, target]),
    [['user.create', 'user/main/admin']],
  );
  assert.doesNotMatch(JSON.stringify([events, credentials]), new RegExp(made.password));
  assert.equal(await create(), undefined, 'the next start');
});

test('a device with its name keeps it', async (t) => {
  const registry = good(SqliteRegistry.open({ path: join(temporaryDirectory(t), 'registry.db'), clock: new ManualClock(), thread: false }));
  atEnd(t, () => registry.close());
  good(await registry.create('device', 'main', 'admin', {}));
  const audit = { record: () => assert.fail('nothing was done') };
  const random = new SeededRandom(1);
  const hashCost = { memoryKib: 8, passes: 1, lanes: 1 };
  assert.equal(
    await createFirstAdministrator({ registry, audit, random, tenant: 'main', importedUsersFile: '/nowhere', hashCost }),
    undefined,
  );
});

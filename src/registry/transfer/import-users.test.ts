import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { good, refused } from '../../../test/contracts/registry/place.ts';
import { atEnd, temporaryDirectory } from '../../../test/contracts/temporary-journal.ts';
import { systemScope } from '../entries.ts';
import { refusal, type Registry } from '../registry.ts';
import { SqliteRegistry } from '../sqlite/sqlite-registry.ts';
import { importUsers, type FormerUser } from './import-users.ts';

function open(t: TestContext): SqliteRegistry {
  const path = join(temporaryDirectory(t), 'registry.db');
  const registry = good(SqliteRegistry.open({ path, clock: new ManualClock(), thread: false }));
  atEnd(t, () => registry.close());
  return registry;
}

function user(name: string, roles: readonly string[], more: Partial<FormerUser> = {}): FormerUser {
  return { tenant: 'main', name, roles, passwordHash: `$argon2id$v=19$${name}`, ...more };
}

async function passwordsOf(registry: SqliteRegistry, tenant: string, id: string): Promise<readonly [string, string, readonly string[]][]> {
  const named = good(registry.principal(tenant, id))!;
  const found = good(registry.credentials(tenant, { kind: named.kind, id }));
  return found.map(({ type, secret }) => [`${named.kind} ${type}`, secret, named.entry.roles]);
}

test('each becomes what its roles say, with its password, in its tenant; again nothing changes', async (t) => {
  const registry = open(t);
  const long = 'x'.repeat(128);
  const users = [
    user('admin', ['admin']),
    user('watcher', ['viewer', 'other']),
    user('pump', ['device']),
    user('robot', ['device', 'admin']),
    user('billing', []),
    user('admin', ['admin'], { tenant: 'acme', passwordHash: '$argon2id$x' }),
    user(long, ['a role']),
  ];
  assert.deepEqual(good(await importUsers(registry, users)), { imported: 7, kept: 0, refused: [] });
  assert.deepEqual(await passwordsOf(registry, 'main', 'admin'), [['user password', '$argon2id$v=19$admin', ['admin']]]);
  assert.deepEqual(await passwordsOf(registry, 'main', 'watcher'), [['user password', '$argon2id$v=19$watcher', ['other', 'viewer']]]);
  assert.deepEqual(await passwordsOf(registry, 'main', 'pump'), [['device password', '$argon2id$v=19$pump', ['device']]]);
  assert.deepEqual(await passwordsOf(registry, 'main', 'robot'), [['device password', '$argon2id$v=19$robot', ['admin', 'device']]]);
  assert.deepEqual(await passwordsOf(registry, 'main', 'billing'), [['application password', '$argon2id$v=19$billing', []]]);
  assert.deepEqual(await passwordsOf(registry, 'acme', 'admin'), [['user password', '$argon2id$x', ['admin']]]);
  assert.equal((await passwordsOf(registry, 'main', long)).length, 1);
  const before = good(registry.get('user', 'main', 'admin'));
  const again = users.map((each) => ({ ...each, passwordHash: 'other', roles: ['more'] }));
  assert.deepEqual(good(await importUsers(registry, again)), { imported: 0, kept: 7, refused: [] });
  assert.deepEqual(good(registry.get('user', 'main', 'admin')), before);
});

test('who is in the registry already stays what it is, and gains no role of management by it', async (t) => {
  const registry = open(t);
  good(await registry.create('device', 'main', 'pump', { groups: ['g'], roles: ['device'], status: 'disabled' }));
  good(await registry.create('device', 'main', 'spare', {}));
  good(await registry.create('user', 'main', 'ann', { title: 'Ann' }));
  const users = [user('pump', ['reader']), user('spare', ['operator']), user('ann', ['operator']), user('bad', ['a/b']), user('good', [])];
  const outcome = good(await importUsers(registry, users));
  assert.deepEqual([outcome.imported, outcome.kept], [3, 0]);
  assert.deepEqual(
    outcome.refused.map(({ tenant, name, why }) => `${tenant}/${name}: ${why}`),
    [
      'main/spare: there is a device main/spare already, and a user of its name has the role operator',
      'main/bad: roles has a name that holds one of / + #, which mean something in topics',
    ],
  );
  const pump = good(registry.get('device', 'main', 'pump'))!;
  assert.deepEqual([pump.groups, pump.roles, pump.status], [['g'], ['device', 'reader'], 'disabled']);
  assert.deepEqual(await passwordsOf(registry, 'main', 'ann'), [['user password', '$argon2id$v=19$ann', ['operator']]]);
  assert.deepEqual(await passwordsOf(registry, 'main', 'good'), [['application password', '$argon2id$v=19$good', []]]);
  assert.deepEqual(good(registry.credentials('main', { kind: 'device', id: 'spare' })), []);
  assert.equal(good(registry.principal('main', 'bad')), undefined);
});

test('a crash at any write leaves nobody half, and the next time brings in the rest', async (t) => {
  const registry = open(t);
  const users = Array.from({ length: 700 }, (_, i) => user(`u${i}`, [], { tenant: i % 2 === 0 ? 'main' : 'acme' }));
  let left = 2;
  const failing: Pick<Registry, 'apply' | 'principal' | 'credentials'> = {
    apply: (...given) => (left-- > 0 ? registry.apply(...given) : Promise.resolve(refusal('full', 'no space'))),
    principal: (...given) => registry.principal(...given),
    credentials: (...given) => registry.credentials(...given),
  };
  refused(await importUsers(failing, users), 'full');
  assert.deepEqual(good(await importUsers(registry, users)), { imported: 100, kept: 600, refused: [] });
  for (const { tenant, name } of users) assert.equal((await passwordsOf(registry, tenant, name)).length, 1);
  assert.ok(good(registry.get('tenant', systemScope, 'acme')));
});

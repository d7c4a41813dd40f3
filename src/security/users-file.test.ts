import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { SeededRandom } from '../base/random.ts';
import { UserError } from '../base/user-error.ts';
import { parsePasswordHash, verifyPassword } from './password-hash.ts';
import { parseUsers, readUsers, readUsersNow, UsersFile } from './users-file.ts';

const cheap = { memoryKib: 8, passes: 1, lanes: 1 };

async function emptyFile(t: TestContext): Promise<{ file: UsersFile; directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'heliograph-'));
  t.after(() => rm(directory, { recursive: true }));
  return { file: new UsersFile(join(directory, 'users.json'), new SeededRandom(1), cheap), directory };
}

const ann = { tenant: 'main', name: 'ann', roles: ['application'], password: 'hunter2-hunter2', createdMs: 5 };

async function passwordIs(file: UsersFile, name: string, password: string): Promise<boolean> {
  const user = (await file.list()).find((one) => one.name === name)!;
  return verifyPassword(Buffer.from(password), parsePasswordHash(user.passwordHash)!);
}

test('users are added, listed, changed and removed', async (t) => {
  const { file, directory } = await emptyFile(t);
  assert.deepEqual(await file.list(), []);
  await file.add(ann);
  await file.add({ ...ann, tenant: 'acme' });
  assert.deepEqual(
    (await file.list()).map(({ tenant, name, roles, createdMs }) => ({ tenant, name, roles, createdMs })),
    [
      { tenant: 'main', name: 'ann', roles: ['application'], createdMs: 5 },
      { tenant: 'acme', name: 'ann', roles: ['application'], createdMs: 5 },
    ],
  );
  assert.equal(await passwordIs(file, 'ann', ann.password), true);
  await file.changePassword('main', 'ann', 'another one');
  assert.equal(await passwordIs(file, 'ann', 'another one'), true);
  await file.changeRoles('main', 'ann', ['device']);
  assert.deepEqual((await file.list())[0]?.roles, ['device']);
  await file.remove('main', 'ann');
  assert.deepEqual(
    readUsersNow(file.path).map(({ tenant }) => tenant),
    ['acme'],
  );
  assert.deepEqual(await readdir(directory), ['users.json'], 'no lock, no draft');
  if (process.platform !== 'win32') assert.equal((await stat(file.path)).mode & 0o777, 0o600);
  assert.ok(!(await readFile(file.path, 'utf8')).includes(ann.password));
});

test('the first administrator is made once, and its password is kept nowhere', async (t) => {
  const { file } = await emptyFile(t);
  const admin = await file.createFirstAdmin('main', 9);
  assert.equal(await passwordIs(file, 'admin', admin!.password), true);
  assert.ok(!(await readFile(file.path, 'utf8')).includes(admin!.password));
  assert.deepEqual((await file.list())[0]?.roles, ['admin']);
  assert.equal(await file.createFirstAdmin('main', 9), undefined);
  await file.remove('main', 'admin');
  assert.equal(await file.createFirstAdmin('main', 9), undefined, 'removing everyone is not a first start');
});

test('mistakes are told, change nothing, and never repeat a password', async (t) => {
  const { file } = await emptyFile(t);
  await file.add(ann);
  const before = await readFile(file.path, 'utf8');
  const mistakes: [() => Promise<void>, RegExp][] = [
    [() => file.add(ann), /exists already/],
    [() => file.add({ ...ann, name: 'a/b' }), /user name/],
    [() => file.add({ ...ann, name: 'x', tenant: '' }), /tenant/],
    [() => file.add({ ...ann, name: 'x', roles: ['a#'] }), /role/],
    [() => file.add({ ...ann, name: 'x', password: 'pw1234' }), /fewer than 8/],
    [() => file.add({ ...ann, name: 'x', password: 'long-secret'.repeat(100) }), /more than 1024/],
    [() => file.remove('main', 'bob'), /no user main\/bob/],
    [() => file.changePassword('acme', 'ann', 'long enough'), /no user acme\/ann/],
    [() => file.changeRoles('main', 'bob', []), /no user/],
  ];
  for (const [mistake, what] of mistakes) {
    await assert.rejects(mistake(), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, what);
      assert.doesNotMatch(`${error.message} ${error.fix} ${error.where}`, /hunter2|pw1234|long-secret|long enough/);
      return true;
    });
  }
  assert.equal(await readFile(file.path, 'utf8'), before);
});

test('changes at the same time all count', async (t) => {
  const { file } = await emptyFile(t);
  const names = Array.from({ length: 8 }, (_, i) => `user${i}`);
  await Promise.all(names.map((name) => file.add({ ...ann, name })));
  assert.deepEqual((await file.list()).map(({ name }) => name).sort(), names);
});

test('the lock of a process that died is taken over', async (t) => {
  const { file } = await emptyFile(t);
  await writeFile(`${file.path}.lock`, '');
  const longAgo = new Date(Date.now() - 60_000);
  await utimes(`${file.path}.lock`, longAgo, longAgo);
  await file.add(ann);
  assert.equal((await file.list()).length, 1);
});

test('a damaged file is an error that does not repeat its content', async (t) => {
  const { file } = await emptyFile(t);
  await file.add(ann);
  const good = JSON.parse(await readFile(file.path, 'utf8')) as { users: Record<string, unknown>[] };
  const user = good.users[0]!;
  const bad: [string, RegExp][] = [
    ['{"secret', /not JSON/],
    ['null', /version/],
    ['{"version":2,"users":[]}', /version/],
    ['{"version":1}', /no list/],
    [JSON.stringify({ version: 1, users: [{ ...user, passwordHash: 'secret' }] }), /entry \(number 1\)/],
    [JSON.stringify({ version: 1, users: [{ ...user, roles: 'secret' }] }), /entry/],
    [JSON.stringify({ version: 1, users: [{ ...user, name: '#' }] }), /entry/],
    [JSON.stringify({ version: 1, users: [user, user] }), /twice/],
  ];
  for (const [text, what] of bad) {
    assert.throws(
      () => parseUsers('f', text),
      (error) => error instanceof UserError && what.test(error.message) && !/secret|argon2/.test(error.message),
      text,
    );
  }
  await writeFile(file.path, '{');
  await assert.rejects(readUsers(file.path), UserError);
  await assert.rejects(file.add({ ...ann, name: 'x' }), UserError);
  assert.equal(await readFile(file.path, 'utf8'), '{', 'a damaged file is not overwritten');
});

import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SeededRandom } from '../base/random.ts';
import { findLocalAccess, newAdminToken, publishLocalAccess, withdrawLocalAccess } from './local-access.ts';

test('what a node publishes is found by its owner alone, and gone when it stops', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'heliograph-'));
  t.after(() => rm(directory, { recursive: true }));
  assert.equal(await findLocalAccess(directory), undefined);
  const access = { token: newAdminToken(new SeededRandom(1)), url: 'http://127.0.0.1:8080' };
  await publishLocalAccess(directory, access);
  assert.deepEqual(await findLocalAccess(directory), access);
  assert.equal((await readFile(join(directory, 'admin-token'), 'utf8')).trim(), access.token);
  if (process.platform !== 'win32') assert.equal((await stat(join(directory, 'admin-token'))).mode & 0o777, 0o600);
  await withdrawLocalAccess(directory);
  assert.deepEqual(await readdir(directory), []);
  await withdrawLocalAccess(directory);
});

test('a token has 256 bits and is new each time', () => {
  const random = new SeededRandom(1);
  const [a, b] = [newAdminToken(random), newAdminToken(random)];
  assert.notEqual(a, b);
  assert.match(a, /^[\w-]{43}$/);
});

import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isReadableByOthers, makePrivateDirectory, writePrivateFile } from './private-file.ts';

test('a private file is for its owner alone, replaced whole, and leaves no draft behind', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'heliograph-'));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, 'secret');
  await writeFile(path, 'old', { mode: 0o644 });
  assert.equal(await isReadableByOthers(path), process.platform !== 'win32');
  await writePrivateFile(path, 'new');
  assert.equal(await readFile(path, 'utf8'), 'new');
  assert.equal(await isReadableByOthers(path), false);
  if (process.platform !== 'win32') assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(directory), ['secret']);
});

test('a failed replacement leaves the target and no draft', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'heliograph-'));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, 'taken');
  await makePrivateDirectory(join(path, 'inside'));
  await assert.rejects(writePrivateFile(path, 'x'));
  assert.deepEqual(await readdir(directory), ['taken']);
});

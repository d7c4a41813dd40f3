import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { UserError } from '../base/user-error.ts';
import { openDataDirectory, readDataDirectory, shardPath } from './data-directory.ts';

const nowMs = Date.UTC(2026, 10, 22, 21, 0, 0);

function temporary(context: TestContext): string {
  const directory = fs.mkdtempSync(join(tmpdir(), 'heliograph-data-'));
  context.after(() => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function saysWithFix(what: RegExp, fix: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.message, what);
    assert.match(error.fix ?? '', fix);
    assert.ok(error.where !== undefined);
    return true;
  };
}

test('a data directory is made for its owner alone, and found again as it was made', async (context) => {
  const path = join(temporary(context), 'deep', 'data');
  const made = await openDataDirectory(path, { shards: 3, nowMs });
  assert.deepEqual(made, { path, shards: 3, created: '2026-11-22T21:00:00.000Z' });
  assert.equal(fs.statSync(path).mode & 0o777, 0o700);
  assert.deepEqual(fs.readdirSync(path), ['heliograph.json']);
  assert.deepEqual(await openDataDirectory(path, { shards: 3, nowMs: nowMs + 5 }), made);
  assert.deepEqual(await readDataDirectory(path), made);
  assert.equal(shardPath(path, 2), join(path, 'shard-2.db'));
});

test('another number of shards is refused, with and without the description', async (context) => {
  const path = temporary(context);
  await openDataDirectory(path, { shards: 2, nowMs });
  await assert.rejects(
    openDataDirectory(path, { shards: 1, nowMs }),
    saysWithFix(/has 2 shards, but .* asks for 1/, /set store\.shards to 2/),
  );
  const other = temporary(context);
  fs.writeFileSync(shardPath(other, 3), '');
  await assert.rejects(openDataDirectory(other, { shards: 2, nowMs }), saysWithFix(/has 4 shards/, /set store\.shards to 4/));
  assert.equal((await openDataDirectory(other, { shards: 4, nowMs })).shards, 4);
});

test('a damaged description and one of a later version are told apart', async (context) => {
  const path = temporary(context);
  const file = join(path, 'heliograph.json');
  for (const damaged of [
    '',
    '{',
    'null',
    '[]',
    '{"format":1}',
    '{"format":1,"shards":0,"created":"x"}',
    '{"format":"1","shards":1,"created":"x"}',
  ]) {
    fs.writeFileSync(file, damaged);
    await assert.rejects(openDataDirectory(path, { shards: 1, nowMs }), saysWithFix(/damaged/, /restore/));
  }
  fs.writeFileSync(file, '{"format":2,"planets":9}');
  await assert.rejects(readDataDirectory(path), saysWithFix(/later version/, /start that version/));
});

test('what is no data directory, and what cannot be one, is said with a fix', async (context) => {
  const path = temporary(context);
  await assert.rejects(readDataDirectory(path), saysWithFix(/no data directory/, /--data DIR/));
  fs.writeFileSync(join(path, 'file'), '');
  await assert.rejects(openDataDirectory(join(path, 'file'), { shards: 1, nowMs }), saysWithFix(/cannot be used/, /a file stands/));
  await assert.rejects(openDataDirectory(join(path, 'file', 'data'), { shards: 1, nowMs }), saysWithFix(/cannot be used/, /a file stands/));
});

test('a directory that this user may not write is refused', (context) => {
  const path = temporary(context);
  const script = `
    import { openDataDirectory } from ${JSON.stringify(new URL('./data-directory.ts', import.meta.url).href)};
    try {
      await openDataDirectory(${JSON.stringify(path)}, { shards: 1, nowMs: 0 });
      console.log('opened');
    } catch (error) {
      console.log(error.name + ': ' + error.message + ' / ' + error.fix);
    }`;
  fs.chmodSync(path, 0o555);
  const root = process.getuid?.() === 0;
  // Rights do not bind root, so that the test takes another identity where it is root.
  const nobody = root ? { uid: 65534, gid: 65534 } : {};
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', ...nobody });
  if (root && run.status !== 0)
    return context.skip(`another user cannot run this Node here: ${run.error?.message ?? run.stderr.slice(0, 200)}`);
  assert.match(run.stdout, /UserError: The data directory cannot be used: EACCES.* \/ give this user the right to write there/);
});

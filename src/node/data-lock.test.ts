import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { lockDataDirectory } from './data-lock.ts';

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'heliograph-lock-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Another process that holds the lock until it is killed. */
async function other(t: TestContext, directory: string, holder: 'node' | 'command'): Promise<() => Promise<void>> {
  const module = JSON.stringify(import.meta.resolve('./data-lock.ts'));
  const program = `
    const { lockDataDirectory } = await import(${module});
    globalThis.lock = await lockDataDirectory(${JSON.stringify(directory)}, '${holder}');
    process.stdin.resume();
    process.stdout.write('up');`;
  const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const end = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'close');
  };
  t.after(end);
  return end;
}

test('one process at a time may write; what a killed one left does not count', async (t) => {
  const directory = await scratch(t);
  const end = await other(t, directory, 'node');
  await assert.rejects(lockDataDirectory(directory, 'node'), /Another broker runs/);
  await assert.rejects(lockDataDirectory(directory, 'command'), /no management interface/);
  await end();
  const lock = await lockDataDirectory(directory, 'node');
  assert.equal(await readFile(join(directory, 'lock'), 'utf8'), `${process.pid} node\n`);
  assert.equal((await stat(join(directory, 'lock.db'))).mode & 0o077, 0);
  await lock.release();
  await assert.rejects(readFile(join(directory, 'lock')), /ENOENT/);
});

test('a node in another container, whose number means nothing here, holds it all the same', async (t) => {
  const directory = await scratch(t);
  await other(t, directory, 'node');
  for (const words of ['999999 1 node\n', `${process.pid} 1 node\n`, '1 node\n']) {
    await writeFile(join(directory, 'lock'), words);
    await assert.rejects(lockDataDirectory(directory, 'command'), /A broker runs/, words);
  }
});

test('of many who find what a killed one left, one has it at a time', async (t) => {
  const directory = await scratch(t);
  await writeFile(join(directory, 'lock'), '999999 1 command\n');
  let holders = 0;
  let most = 0;
  const one = async (): Promise<void> => {
    const lock = await lockDataDirectory(directory, 'command');
    most = Math.max(most, ++holders);
    await readFile(join(directory, 'lock'));
    holders--;
    await lock.release();
  };
  await Promise.all(Array.from({ length: 8 }, one));
  assert.equal(most, 1);
});

test('a command is waited for', async (t) => {
  const directory = await scratch(t);
  const end = await other(t, directory, 'command');
  const waiting = lockDataDirectory(directory, 'node');
  await end();
  await (await waiting).release();
});

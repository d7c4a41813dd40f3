import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { lockDataDirectory } from './data-lock.ts';

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'heliograph-lock-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Another process that lives until the test ends, and the first fields of its lock. */
async function other(t: TestContext): Promise<{ identity: string; end: () => Promise<void> }> {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume(); process.stdout.write("up")'], { stdio: 'pipe' });
  await once(child.stdout, 'data');
  const end = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'close');
  };
  t.after(end);
  const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8').catch(() => undefined);
  const started = stat === undefined ? '-' : stat.split(')').at(-1)!.trim().split(' ')[19]!;
  return { identity: `${child.pid} ${started}`, end };
}

test('one process at a time may write; what a killed one left does not count', async (t) => {
  const directory = await scratch(t);
  const { identity, end } = await other(t);
  await writeFile(join(directory, 'lock'), `${identity} node\n`);
  await assert.rejects(lockDataDirectory(directory, 'node'), /Another broker runs/);
  await assert.rejects(lockDataDirectory(directory, 'command'), /no management interface/);
  await end();
  const lock = await lockDataDirectory(directory, 'node');
  assert.match(await readFile(join(directory, 'lock'), 'utf8'), new RegExp(`^${process.pid} \\S+ node\n$`));
  await lock.release();
  await assert.rejects(readFile(join(directory, 'lock')), /ENOENT/);
});

test('a number that another process was given since is not the holder', { skip: process.platform !== 'linux' }, async (t) => {
  const directory = await scratch(t);
  const { identity } = await other(t);
  await writeFile(join(directory, 'lock'), `${identity.split(' ')[0]} 1 node\n`);
  await (await lockDataDirectory(directory, 'command')).release();
});

test('a command is waited for', async (t) => {
  const directory = await scratch(t);
  const { identity, end } = await other(t);
  await writeFile(join(directory, 'lock'), `${identity} command\n`);
  const waiting = lockDataDirectory(directory, 'node');
  await end();
  await (await waiting).release();
});

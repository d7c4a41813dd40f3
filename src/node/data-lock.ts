// Who may write below the data directory now: one process at a time, a node or a command that found none. What one of them leaves when
// it is killed is noticed by the next.

import { readFileSync } from 'node:fs';
import { open, readFile, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makePrivateDirectory } from '../base/private-file.ts';
import { UserError } from '../base/user-error.ts';

const lockFile = 'lock';
const retryMs = 50;
/** A command is done in a moment, mostly. */
const patienceMs = 5000;
/** A lock that says nothing is as good as none after this. */
const unwrittenMs = 1000;

export type DataLock = { release(): Promise<void> };

/** Waits a while for a command that holds it. @throws UserError when another process goes on holding it */
export async function lockDataDirectory(dataDir: string, holder: 'node' | 'command'): Promise<DataLock> {
  const directory = resolve(dataDir);
  await makePrivateDirectory(directory);
  const path = join(directory, lockFile);
  const content = `${identityOf(process.pid)} ${holder}\n`;
  for (const startedMs = performance.now(); ;) {
    if (await made(path, content)) return { release: () => rm(path, { force: true }) };
    const held = await holderOf(path);
    if (held === undefined) {
      // Whoever it was is gone. Two that notice it at the same moment: the second then finds the first one's.
      await rm(path, { force: true });
    } else if (held === 'node' || performance.now() - startedMs > patienceMs) throw taken(directory, held, holder);
    else await sleep(retryMs);
  }
}

async function made(path: string, content: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600);
    // A broker must come up on a full disk too: then its lock says nothing, and holds for a moment only.
    await file.writeFile(content).catch(() => {});
    await file.close();
    return true;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    throw new UserError(`The data directory cannot be used: ${message}`, {
      where: path,
      fix: 'give this user the right to write there, or choose another directory with --data DIR',
      cause: error,
    });
  }
}

/** Undefined: nobody any more. */
async function holderOf(path: string): Promise<'node' | 'command' | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const [, pid, started, holder] = /^(\d+) (\S+) (node|command)\n$/.exec(text) ?? [];
  // Being written at this moment, or cut off by a crash.
  if (pid === undefined) return (await ageMs(path)) < unwrittenMs ? 'command' : undefined;
  if (Number(pid) === process.pid) return undefined;
  return isAlive(Number(pid)) && identityOf(Number(pid)) === `${pid} ${started}` ? (holder as 'node' | 'command') : undefined;
}

async function ageMs(path: string): Promise<number> {
  const facts = await stat(path).catch(() => undefined);
  return facts === undefined ? Infinity : Date.now() - facts.mtimeMs;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The number and, where the system tells it, when it was started: numbers are given again. */
function identityOf(pid: number): string {
  try {
    // The name in the second field may hold spaces; the 22nd field is the start, in ticks since the system's.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(')').at(-1)!.trim().split(' ');
    return `${pid} ${fields[19]}`;
  } catch {
    return `${pid} -`;
  }
}

function taken(directory: string, held: 'node' | 'command', by: 'node' | 'command'): UserError {
  if (held === 'command') {
    return new UserError('A command is changing this data directory.', { where: directory, fix: 'wait for it, then try again' });
  }
  return by === 'node'
    ? new UserError('Another broker runs on this data directory.', {
        where: directory,
        fix: 'stop it, or choose another one with --data DIR',
      })
    : new UserError('A broker runs on this data directory, and has no management interface that this command could ask.', {
        where: directory,
        fix: 'switch on listeners.admin and admin.localAccess, or stop the broker',
      });
}

// Who may write below the data directory now: one process at a time, a node or a command that found none. The lock is one of the
// system's (SQLite's on a file of its own), which ends with its holder however that ends, and which processes in several containers
// see alike: the number of a process means nothing in another one. The file `lock` tells people, and who waits, who holds it.

import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makePrivateDirectory } from '../base/private-file.ts';
import { UserError } from '../base/user-error.ts';

const lockFile = 'lock.db';
const wordsFile = 'lock';
const retryMs = 50;
/** A command is done in a moment, mostly. */
const patienceMs = 5000;
/** Of what says that a node holds it: who has just taken it may not have written down yet who it is. */
const nodePatienceMs = 250;

export type DataLock = { release(): Promise<void> };

/** By path: the same process would be let in once more by the system. */
const held = new Set<string>();

/** Waits a while for a command that holds it. @throws UserError when somebody else goes on holding it */
export async function lockDataDirectory(dataDir: string, holder: 'node' | 'command'): Promise<DataLock> {
  const directory = resolve(dataDir);
  await makePrivateDirectory(directory);
  for (const startedMs = performance.now(); ;) {
    const release = await taken(directory);
    if (release !== undefined) {
      const words = join(directory, wordsFile);
      // A broker must come up on a full disk too: then its lock says nothing.
      await writeFile(words, `${process.pid} ${holder}\n`, { mode: 0o600 }).catch(() => {});
      return {
        async release() {
          await rm(words, { force: true }).catch(() => {});
          release();
        },
      };
    }
    const waitedMs = performance.now() - startedMs;
    const by = await holderOf(directory);
    if (waitedMs > (by === 'node' ? nodePatienceMs : patienceMs)) throw refused(directory, by, holder);
    await sleep(retryMs);
  }
}

/** How to give it back; undefined: somebody has it. */
async function taken(directory: string): Promise<(() => void) | undefined> {
  const path = join(directory, lockFile);
  if (held.has(path)) return undefined;
  held.add(path);
  try {
    // Nobody else may open it: who reads it could keep a node from starting. Closed before the lock is there: it would go with it.
    await open(path, 'a', 0o600).then((file) => file.close());
    const { DatabaseSync } = await import('node:sqlite');
    const file = new DatabaseSync(path, { timeout: 0 });
    try {
      // Nothing is written: a broker must come up on a full disk, too.
      file.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
      return () => {
        file.close();
        held.delete(path);
      };
    } catch (error) {
      file.close();
      throw error;
    }
  } catch (error) {
    held.delete(path);
    // SQLITE_BUSY, of whichever kind.
    if (((error as { readonly errcode?: number }).errcode ?? 0) % 256 === 5) return undefined;
    throw new UserError(`The data directory cannot be used: ${(error as Error).message}`, {
      where: path,
      fix: 'give this user the right to write there, or choose another directory with --data DIR',
      cause: error,
    });
  }
}

async function holderOf(directory: string): Promise<'node' | 'command'> {
  const text = await readFile(join(directory, wordsFile), 'utf8').catch(() => '');
  return text.endsWith(' node\n') ? 'node' : 'command';
}

function refused(directory: string, held: 'node' | 'command', by: 'node' | 'command'): UserError {
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

// Files that hold secrets: readable by their owner alone, and replaced as a whole, so that a crash leaves the old content or
// the new one and never half of it.

import { randomBytes } from 'node:crypto';
import { open, mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, basename } from 'node:path';

const privateMode = 0o600;
const privateDirectoryMode = 0o700;

/** Creates `directory` and its parents where missing, for the owner alone. */
export async function makePrivateDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: privateDirectoryMode });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    // What Node says of a read-only file system when it is to make parents, too; without them it tells the true reason.
    await mkdir(directory, { mode: privateDirectoryMode });
  }
}

/** Replaces the content of `path` in one step, with mode 0600, and returns when it is on the disk. */
export async function writePrivateFile(path: string, content: string | Uint8Array): Promise<void> {
  const directory = dirname(path);
  const draft = join(directory, `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = await open(draft, 'wx', privateMode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await syncDirectory(directory);
}

/** Without this the rename itself may be lost with the power. Not possible on Windows, where opening a directory fails. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes what `writePrivateFile` wrote, if it is there. */
export async function removePrivateFile(path: string): Promise<void> {
  await rm(path, { force: true });
}

/** Whether others than the owner may read `path`; false where the system has no such notion, or the file is missing. */
export async function isReadableByOthers(path: string): Promise<boolean> {
  if (process.platform === 'win32') return false;
  const facts = await stat(path).catch(() => undefined);
  return facts !== undefined && (facts.mode & 0o077) !== 0;
}

// A consistent copy of a shard's file while it is in use.

import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { JournalError } from '../journal.ts';
import { writeMeta } from './schema.ts';
import type { ShardFile } from './shard-file.ts';
import { toJournalError } from './sqlite-errors.ts';

/** Pages copied per step (1 MB). A commit waits for one step at most. */
const pagesPerStep = 64;
/** A transaction is open for a part of the time only: even under load a few are enough. */
const maxAttempts = 1000;

/**
 * Writes a copy of what `file` holds to `path`, which must not exist. The copy is made by the connection that also writes,
 * so commits go on meanwhile and are part of it. It appears under its name only when it is whole and fsynced, and has an
 * identity of its own: it is another journal from there on.
 * @throws JournalError 'io' (also when `path` exists), 'full', 'corrupt'
 */
export async function backupShard(file: ShardFile, path: string): Promise<void> {
  refuseExisting(path);
  const partial = `${path}.partial`;
  try {
    fs.rmSync(partial, { force: true });
    fs.closeSync(fs.openSync(partial, 'wx', 0o600));
    await copyPages(file.db, partial);
    const copy = new DatabaseSync(partial);
    try {
      copy.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL');
      writeMeta(copy, 'journal', randomUUID());
    } finally {
      copy.close();
    }
    putInPlace(partial, path);
  } catch (error) {
    throw backupError(error, path);
  } finally {
    for (const suffix of ['', '-journal', '-wal']) fs.rmSync(partial + suffix, { force: true });
  }
}

/**
 * SQLite refuses a step (SQLITE_BUSY) that falls between the statements of a transaction of the same connection. Node tries
 * such a step again, but takes a first one for the end of the copy and fails with 'not an error': then nothing was copied yet.
 */
async function copyPages(from: DatabaseSync, to: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await backup(from, to, { rate: pagesPerStep });
      return;
    } catch (error) {
      const busy = error instanceof Error && 'errcode' in error && error.errcode === 0;
      if (!busy || attempt === maxAttempts) throw error;
    }
  }
}

function refuseExisting(path: string): void {
  if (fs.existsSync(path)) throw new JournalError('io', `${path}: exists already; a backup never overwrites, name another file`, path);
}

function putInPlace(partial: string, path: string): void {
  try {
    fs.linkSync(partial, path); // Unlike a rename this fails when the name was taken meanwhile.
  } catch {
    refuseExisting(path);
    fs.renameSync(partial, path); // A file system without links.
  }
  if (process.platform === 'win32') return; // There a directory cannot be opened, let alone synced.
  const directory = fs.openSync(dirname(path), 'r');
  fs.fsyncSync(directory);
  fs.closeSync(directory);
}

function backupError(error: unknown, path: string): JournalError {
  const code = errno(error);
  if (code === undefined) return toJournalError(error, path);
  const said = error instanceof Error ? error.message : code;
  return new JournalError(
    code === 'ENOSPC' || code === 'EDQUOT' ? 'full' : 'io',
    `${path}: the backup cannot be written (${said})`,
    path,
    error,
  );
}

function errno(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

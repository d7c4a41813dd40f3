// `heliograph data backup`: a copy of a data directory's journals that a broker can be started on.

import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { makePrivateDirectory } from '../../base/private-file.ts';
import { UserError } from '../../base/user-error.ts';
import { copyDescription, readDataDirectory, shardPath } from '../data-directory.ts';
import { backupShard } from '../sqlite/backup-shard.ts';
import { ShardFile } from '../sqlite/shard-file.ts';
import { asUserError } from './tool-error.ts';

export type BackupReport = { readonly shards: number; readonly rows: number; readonly bytes: number };

/** What else goes into the copy, before it is called a data directory. */
export type CopyMore = (target: string) => Promise<void>;

/**
 * Copies every shard of `directory`, which no process may have open, into the new directory `target`. Each file is verified
 * while it is read. The directory's description is written last: without it the copy is no data directory.
 * @throws UserError when a broker uses it, when `target` exists and is not empty, when the source is damaged
 */
export async function backupData(directory: string, target: string, more: CopyMore = async () => {}): Promise<BackupReport> {
  const source = await readDataDirectory(directory);
  await makeBackupTarget(target);
  let rows = 0;
  let bytes = 0;
  try {
    for (let shard = 0; shard < source.shards; shard++) {
      const file = ShardFile.open({ path: shardPath(directory, shard), shard, mustExist: true });
      try {
        for (const { problem } of file.audit()) if (problem !== undefined) throw problem;
        await backupShard(file, shardPath(target, shard));
        rows += file.rows;
        bytes += file.bytes;
      } finally {
        file.close();
      }
    }
  } catch (error) {
    throw asUserError(error);
  }
  await more(target);
  await copyDescription(source, target);
  return { shards: source.shards, rows, bytes };
}

/** @throws UserError when it holds something, or cannot be made */
export async function makeBackupTarget(target: string): Promise<void> {
  try {
    await makePrivateDirectory(target);
    const [name] = await fs.readdir(target);
    if (name === undefined) return;
    throw new UserError('The backup would overwrite what is there', { where: join(target, name), fix: 'name a new or an empty directory' });
  } catch (error) {
    if (error instanceof UserError) throw error;
    const said = error instanceof Error ? error.message : String(error);
    throw new UserError(`The backup cannot be written: ${said}`, {
      where: target,
      fix: 'name a directory that this user may make',
      cause: error,
    });
  }
}

// `heliograph data compact`: gives all free space of a data directory back at once. A running broker does it bit by bit.

import { readDataDirectory, shardPath } from '../data-directory.ts';
import { ShardFile } from '../sqlite/shard-file.ts';
import { asUserError } from './tool-error.ts';

export type CompactReport = { readonly file: string; readonly bytesBefore: number; readonly bytesAfter: number };

/**
 * Rewrites each shard's file without its free space. Needs room for a second copy of the largest one. A crash leaves the
 * file as it was.
 * @throws UserError when a broker uses the directory, when the disk is full, when a file is damaged
 */
export async function compactData(directory: string, progress: (report: CompactReport) => void = () => {}): Promise<CompactReport[]> {
  const { shards } = await readDataDirectory(directory);
  const reports: CompactReport[] = [];
  for (let shard = 0; shard < shards; shard++) {
    const report = compactShard(shardPath(directory, shard), shard);
    reports.push(report);
    progress(report);
  }
  return reports;
}

function compactShard(path: string, shard: number): CompactReport {
  try {
    const file = ShardFile.open({ path, shard, mustExist: true });
    try {
      const bytesBefore = file.storedBytes;
      file.vacuum();
      file.look();
      return { file: path, bytesBefore, bytesAfter: file.storedBytes };
    } finally {
      file.close();
    }
  } catch (error) {
    throw asUserError(error);
  }
}

// The directory that holds a broker's durable state: `heliograph.json` says how many shards it has, and each shard has a file.
//
// The number of shards is fixed when the directory is made, because a queue finds its shard by hashing its name.

import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { makePrivateDirectory, writePrivateFile } from '../base/private-file.ts';
import { UserError } from '../base/user-error.ts';

/** The format of the directory: raised when an earlier release could not find its way in it. */
const directoryFormat = 1;
const descriptionFile = 'heliograph.json';
const shardFilePattern = /^shard-(\d+)\.db$/;

export type DataDirectory = {
  readonly path: string;
  readonly shards: number;
  /** When it was made: ISO 8601, UTC. */
  readonly created: string;
};

export function shardPath(directory: string, shard: number): string {
  return join(directory, `shard-${shard}.db`);
}

/**
 * Makes the directory where there is none (mode 0700), proves that it can be written, and checks that it was made for as
 * many shards.
 * @throws UserError
 */
export async function openDataDirectory(path: string, options: { shards: number; nowMs: number }): Promise<DataDirectory> {
  const { shards, nowMs } = options;
  await makeWritable(path);
  const known = await describe(path);
  if (known === undefined) {
    await refuseOtherShards(path, shards);
    const made = { format: directoryFormat, shards, created: new Date(nowMs).toISOString() };
    await orUserError(path, () => writePrivateFile(join(path, descriptionFile), `${JSON.stringify(made, undefined, 2)}\n`));
    return { path, shards, created: made.created };
  }
  if (known.shards !== shards) throw wrongShards(path, known.shards, shards);
  return known;
}

/**
 * What is known of a directory that was made before.
 * @throws UserError when it is none
 */
export async function readDataDirectory(path: string): Promise<DataDirectory> {
  const known = await describe(path);
  if (known !== undefined) return known;
  throw new UserError(`This is no data directory: it has no ${descriptionFile}`, {
    where: path,
    fix: 'name the directory that the broker was started with (--data DIR)',
  });
}

/** Copies the description into a backup. */
export async function copyDescription(from: DataDirectory, to: string): Promise<void> {
  const content = { format: directoryFormat, shards: from.shards, created: from.created };
  await orUserError(to, () => writePrivateFile(join(to, descriptionFile), `${JSON.stringify(content, undefined, 2)}\n`));
}

async function describe(path: string): Promise<DataDirectory | undefined> {
  const where = join(path, descriptionFile);
  let text: string;
  try {
    text = await fs.readFile(where, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw unusable(path, error);
  }
  const { format, shards, created } = fieldsOf(text);
  if (typeof format === 'number' && format > directoryFormat) {
    throw new UserError(
      `The data directory was made by a later version of Heliograph (format ${format}, this one knows ${directoryFormat})`,
      {
        where,
        fix: 'start that version, or choose another directory with --data DIR',
      },
    );
  }
  if (format !== directoryFormat || !Number.isSafeInteger(shards) || (shards as number) < 1 || typeof created !== 'string') {
    throw new UserError('The description of the data directory is damaged', {
      where,
      fix: `restore the file from a backup, or write {"format": 1, "shards": N, "created": "…"}, N being the number of its shard-*.db files`,
    });
  }
  return { path, shards: shards as number, created };
}

function fieldsOf(text: string): Record<'format' | 'shards' | 'created', unknown> {
  const nothing = { format: undefined, shards: undefined, created: undefined };
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...nothing, ...value } : nothing;
  } catch {
    return nothing;
  }
}

/** Shard files without a description (copied one by one, say) must at least be as many as are asked for. */
async function refuseOtherShards(path: string, shards: number): Promise<void> {
  const numbers = (await orUserError(path, () => fs.readdir(path)))
    .map((name) => shardFilePattern.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number);
  const found = numbers.length === 0 ? 0 : Math.max(...numbers) + 1;
  if (found !== 0 && found !== shards) throw wrongShards(path, found, shards);
}

function wrongShards(path: string, has: number, wanted: number): UserError {
  return new UserError(`The data directory has ${has} ${has === 1 ? 'shard' : 'shards'}, but the configuration asks for ${wanted}`, {
    where: path,
    fix: `set store.shards to ${has}, or choose a new directory with --data DIR: the number of shards cannot change`,
  });
}

async function makeWritable(path: string): Promise<void> {
  await orUserError(path, async () => {
    await makePrivateDirectory(path);
    // Rights alone do not tell: the file system may be mounted read-only, or full.
    await writePrivateFile(join(path, '.writable'), '');
    await fs.rm(join(path, '.writable'), { force: true });
  });
}

async function orUserError<T>(path: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    throw unusable(path, error);
  }
}

function unusable(path: string, error: unknown): UserError {
  const said = error instanceof Error ? error.message : String(error);
  return new UserError(`The data directory cannot be used: ${said}`, { where: path, fix: fixOf(codeOf(error)), cause: error });
}

function fixOf(code: string | undefined): string {
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'free some space on this disk, or choose another directory with --data DIR';
    case 'EROFS':
      return 'the file system is mounted read-only: mount it for writing, or choose another directory with --data DIR';
    case 'ENOTDIR':
    case 'EEXIST':
      return 'a file stands where a directory is needed: remove it, or choose another directory with --data DIR';
    default:
      return 'give this user the right to write there, or choose another directory with --data DIR';
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

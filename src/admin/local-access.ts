// How commands on the same machine reach the node without a password: two files in the data directory, for its owner alone, new
// at each start. Who can read them could read everything else there as well.
//
//   admin-token   accepted as bearer token by the management interface: curl -H "Authorization: Bearer $(cat data/admin-token)" …
//   admin-url     where that interface listens
//
// A node that was killed leaves them behind, and another program may have taken its port: before a command sends anything there, it
// has the node prove that it knows the token, without either of them telling it.

import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removePrivateFile, writePrivateFile } from '../base/private-file.ts';
import type { Random } from '../base/random.ts';
import { UserError } from '../base/user-error.ts';

const tokenFile = 'admin-token';
const urlFile = 'admin-url';
const tokenBytes = 32;

/** Header of a request for /healthz; the answer's `proof` is `proofOf` it. */
export const challengeHeader = 'heliograph-challenge';

/** Undefined: that is no challenge. */
export function proofOf(token: string, challenge: unknown): string | undefined {
  if (typeof challenge !== 'string' || !/^[\w-]{22,64}$/.test(challenge)) return undefined;
  return createHmac('sha256', token).update(`heliograph management ${challenge}`).digest('base64url');
}

export type LocalAccess = { readonly token: string; readonly url: string };

/** `random` must be the secure source. */
export function newAdminToken(random: Random): string {
  return Buffer.from(random.bytes(tokenBytes)).toString('base64url');
}

export async function publishLocalAccess(dataDir: string, { token, url }: LocalAccess): Promise<void> {
  await writePrivateFile(join(dataDir, tokenFile), `${token}\n`);
  await writePrivateFile(join(dataDir, urlFile), `${url}\n`);
}

export async function withdrawLocalAccess(dataDir: string): Promise<void> {
  await removePrivateFile(join(dataDir, tokenFile));
  await removePrivateFile(join(dataDir, urlFile));
}

/** What a running node published; undefined when none did. @throws UserError when it may not be read */
export async function findLocalAccess(dataDir: string): Promise<LocalAccess | undefined> {
  const [token, url] = await Promise.all([tokenFile, urlFile].map((name) => firstLine(join(dataDir, name))));
  return token === undefined || url === undefined ? undefined : { token, url };
}

async function firstLine(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).split('\n', 1)[0]!;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UserError('This user may not read how to reach the broker.', {
      where: path,
      fix: 'run the command as the user that runs the broker, or give --url and --user',
      cause: error,
    });
  }
}

// How files of the keystore are read.

import { readFile } from 'node:fs/promises';
import type { Log } from '../../base/log.ts';
import { isReadableByOthers } from '../../base/private-file.ts';
import { UserError } from '../../base/user-error.ts';

/** @throws UserError when it is there and cannot be read */
export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UserError('A file of the keystore cannot be read.', { where: path, fix: 'check its owner and mode', cause: error });
  }
}

export async function warnIfExposed(path: string, log: Log): Promise<void> {
  if (await isReadableByOthers(path)) log.warn('pki.key.readable.by.others', { path, fix: `chmod 600 ${path}` });
}

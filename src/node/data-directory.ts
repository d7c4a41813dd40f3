// The place of everything durable: made on first start, for its owner alone, and proven writable before anything relies on it.

import { access, constants, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { makePrivateDirectory } from '../base/private-file.ts';
import { UserError } from '../base/user-error.ts';
import type { Part } from './part.ts';

export function dataDirectory(path: string): Part {
  return {
    name: 'data directory',
    start: () => prepare(resolve(path)),
    stop: () => {},
  };
}

async function prepare(directory: string): Promise<void> {
  try {
    await makePrivateDirectory(directory);
    if (!(await stat(directory)).isDirectory()) throw new Error('it is not a directory');
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new UserError(`The data directory cannot be used: ${(error as Error).message}`, {
      where: directory,
      fix: 'choose another one with --data DIR, or give this user the right to write there',
      cause: error,
    });
  }
}

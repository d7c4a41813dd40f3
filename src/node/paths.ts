// Where things are below the data directory.

import { join, resolve } from 'node:path';

export function usersFilePath(dataDir: string): string {
  return resolve(dataDir, 'users.json');
}

export function pkiPath(dataDir: string): string {
  return resolve(dataDir, 'pki');
}

export function journalPath(dataDir: string, shard: number): string {
  return join(resolve(dataDir), `shard-${shard}.db`);
}

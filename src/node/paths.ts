// Where things are below the data directory.

import { resolve } from 'node:path';

export function usersFilePath(dataDir: string): string {
  return resolve(dataDir, 'users.json');
}

export function registryPath(dataDir: string): string {
  return resolve(dataDir, 'registry.db');
}

export function auditPath(dataDir: string): string {
  return resolve(dataDir, 'audit');
}

/** How far the numbers of OSCORE contexts have gone. */
export function oscorePath(dataDir: string): string {
  return resolve(dataDir, 'oscore', 'numbers');
}

export function pkiPath(dataDir: string): string {
  return resolve(dataDir, 'pki');
}

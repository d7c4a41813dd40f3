// SQLite's result codes in the registry's words.

import type { RegistryErrorCode } from '../registry.ts';
import { RegistryFailure } from '../sql/failure.ts';

// Primary result codes (the low byte of the extended ones): https://www.sqlite.org/rescode.html
const codes: ReadonlyMap<number, RegistryErrorCode> = new Map([
  [3, 'unavailable'], // SQLITE_PERM
  [5, 'unavailable'], // SQLITE_BUSY
  [6, 'unavailable'], // SQLITE_LOCKED
  [8, 'unavailable'], // SQLITE_READONLY
  [10, 'unavailable'], // SQLITE_IOERR
  [11, 'damaged'], // SQLITE_CORRUPT
  [13, 'full'], // SQLITE_FULL
  [14, 'unavailable'], // SQLITE_CANTOPEN
  [15, 'unavailable'], // SQLITE_PROTOCOL: the lock of the log, tried in vain
  [26, 'damaged'], // SQLITE_NOTADB
]);

const words: Readonly<Partial<Record<RegistryErrorCode, string>>> = {
  unavailable: 'the registry cannot be used now; look at who else has it open, at the rights on the file and at the disk',
  damaged: 'the registry is damaged; restore a backup',
  full: 'no space left on the disk of the registry; free some',
};

/** A failure of the file as one of ours; anything else is a bug and thrown on as it is. */
export function sqliteFailure(error: unknown, path: string): RegistryFailure {
  if (error instanceof RegistryFailure) return error;
  const code = codes.get(primaryCode(error));
  if (code === undefined) throw error;
  return new RegistryFailure(code, `${path}: ${words[code]} (SQLite: ${(error as Error).message})`, error);
}

function primaryCode(error: unknown): number {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode & 0xff : 0;
}

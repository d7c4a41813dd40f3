// SQLite's result codes in the journal's words: by whose fault, and what to do.

import { JournalError, type JournalErrorCode } from '../journal.ts';

// Primary result codes (the low byte of the extended ones): https://www.sqlite.org/rescode.html
const sqliteError = 1;
const sqlitePerm = 3;
const sqliteBusy = 5;
const sqliteLocked = 6;
const sqliteReadonly = 8;
const sqliteIoerr = 10;
const sqliteCorrupt = 11;
const sqliteFull = 13;
const sqliteCantopen = 14;
const sqliteSchema = 17;
const sqliteTooBig = 18;
const sqliteMismatch = 20;
const sqliteFormat = 24;
const sqliteNotadb = 26;

/** What to do about stored bytes that are not what was written. Ends every 'corrupt' message. */
export const corruptFix = 'restore a backup; `heliograph data check` tells the extent of the damage';

/** An error of node:sqlite as a JournalError; a JournalError stays what it is, anything else is thrown on: it is a bug. */
export function toJournalError(error: unknown, file: string): JournalError {
  if (error instanceof JournalError) return error;
  const code = sqliteCode(error);
  if (code === undefined) throw error;
  const said = error instanceof Error ? error.message : String(error);
  return new JournalError(codeOf(code), `${describe(codeOf(code), file)} (SQLite: ${said})`, file, error);
}

/** The error that says which stored bytes are wrong. */
export function corrupt(file: string, what: string, row?: number): JournalError {
  const where = row === undefined ? file : `${file}, row ${row}`;
  return new JournalError('corrupt', `${where}: ${what}; ${corruptFix}`, where);
}

/** SQLite's primary result code, or undefined when the error is not SQLite's. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode & 0xff;
}

function codeOf(code: number): JournalErrorCode {
  switch (code) {
    case sqliteBusy:
    case sqliteLocked:
      return 'locked';
    case sqliteFull:
      return 'full';
    case sqliteCorrupt:
    case sqliteNotadb:
    case sqliteFormat:
    case sqliteMismatch:
    case sqliteSchema:
    // Our statements are fixed: one that does not compile or bind finds tables that are not the ones that were created,
    // and a row that is too big to be read is one whose length was changed.
    case sqliteError:
    case sqliteTooBig:
      return 'corrupt';
    case sqlitePerm:
    case sqliteReadonly:
    case sqliteIoerr:
    case sqliteCantopen:
    default:
      return 'io';
  }
}

function describe(code: JournalErrorCode, file: string): string {
  switch (code) {
    case 'full':
      return `${file}: no space left on the disk; free some, what waits is written as soon as there is`;
    case 'locked':
      return `${file}: another process has it open; stop that one first, or choose another data directory`;
    case 'corrupt':
      return `${file}: the file is damaged; ${corruptFix}`;
    default:
      return `${file}: the disk refuses; look at its state, its mount options and the owner of the file`;
  }
}

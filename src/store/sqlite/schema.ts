// What is in a shard's file: two tables and the numbers in SQLite's header that say whose they are.
//
//   rows   one per journal row: number, format of this table's line, CRC, bytes
//   meta   name, value, CRC: the journal's identity, its shard, its checkpoint
//
// Every value has a CRC of its own, because SQLite keeps none for what is in the main file.

import { crc32 } from 'node:zlib';
import type { DatabaseSync } from 'node:sqlite';
import { JournalError } from '../journal.ts';
import { corrupt } from './sqlite-errors.ts';

/** 'Heli': tells our files from other SQLite files (PRAGMA application_id). */
export const applicationId = 0x48656c69;
/** PRAGMA user_version: raised when the tables change so that an earlier release cannot read them. */
export const schemaVersion = 1;
/** The `format` of a line in `rows`: its CRC covers the row's number and its bytes. */
export const lineFormat = 1;
export const pageBytes = 16_384;

const createTables = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE rows (row INTEGER PRIMARY KEY, format INTEGER NOT NULL, crc INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;
`;

export type MetaName = 'journal' | 'shard' | 'checkpoint';

/** Fills an empty database in one transaction, so that a crash leaves all of it or nothing. */
export function createSchema(db: DatabaseSync, journal: string, shard: number): void {
  db.exec('BEGIN EXCLUSIVE');
  db.exec(createTables);
  writeMeta(db, 'journal', journal);
  writeMeta(db, 'shard', String(shard));
  writeMeta(db, 'checkpoint', '1');
  db.exec(`PRAGMA application_id = ${applicationId}`);
  db.exec(`PRAGMA user_version = ${schemaVersion}`);
  db.exec('COMMIT');
}

/** True when nothing was ever created in this database. */
export function isEmpty(db: DatabaseSync): boolean {
  return (
    pragmaNumber(db, 'application_id') === 0 &&
    pragmaNumber(db, 'user_version') === 0 &&
    db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.['n'] === 0
  );
}

/** @throws JournalError 'corrupt' (not a journal of ours) or 'version' (of a later release) */
export function checkOwner(db: DatabaseSync, file: string): void {
  if (pragmaNumber(db, 'application_id') !== applicationId) throw corrupt(file, 'this is not a journal of Heliograph');
  const version = pragmaNumber(db, 'user_version');
  if (version < 1) throw corrupt(file, `unknown schema version ${version}`);
  if (version > schemaVersion) {
    const what = `written by a later version of Heliograph (schema ${version}, this one knows ${schemaVersion}); start that version`;
    throw new JournalError('version', `${file}: ${what}`, file);
  }
}

export function writeMeta(db: DatabaseSync, name: MetaName, value: string): void {
  db.prepare('INSERT INTO meta VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value, crc = excluded.crc').run(
    name,
    value,
    metaCrc(name, value),
  );
}

/** @throws JournalError 'corrupt' when the value is missing or not what was written */
export function readMeta(db: DatabaseSync, name: MetaName, file: string): string {
  const line = db.prepare('SELECT value, crc FROM meta WHERE name = ?').get(name);
  const value = line?.['value'];
  if (typeof value !== 'string' || line?.['crc'] !== metaCrc(name, value)) throw corrupt(file, `the journal's '${name}' is damaged`);
  return value;
}

export function metaCrc(name: MetaName, value: string): number {
  return crc32(`${name}=${value}`);
}

const numberBytes = new DataView(new ArrayBuffer(8));
const numberView = new Uint8Array(numberBytes.buffer);

/** The CRC of a line in `rows`; the number is part of it, so that no row passes for another. */
export function lineCrc(row: number, bytes: Uint8Array): number {
  numberBytes.setFloat64(0, row, true);
  return crc32(bytes, crc32(numberView));
}

export function pragmaNumber(db: DatabaseSync, name: string): number {
  const line = db.prepare(`PRAGMA ${name}`).get();
  return Number(line === undefined ? 0 : Object.values(line)[0]);
}

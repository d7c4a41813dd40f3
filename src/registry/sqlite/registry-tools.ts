// What is done to the registry's file as a whole: check, copy, compact. A node may use it meanwhile.

import * as fs from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { RegistryError } from '../registry.ts';
import { RegistryFailure } from '../sql/failure.ts';
import { checkSchema } from '../sql/transaction.ts';
import { migrations } from './migrations.ts';
import { checkOwner, defaultWriteWaitMs, RegistryFile, versionOf } from './registry-file.ts';
import { sqliteFailure } from './sqlite-failure.ts';

/** A damaged file may have one per page. */
const maxFaults = 100;

/** Reads the whole file and its indexes. Empty: all is well. Changes nothing. */
export function registryFaults(path: string): RegistryError[] {
  const faults: RegistryError[] = [];
  try {
    withFile(path, (db) => {
      for (const { integrity_check: said } of db.prepare(`PRAGMA integrity_check(${maxFaults})`).all()) {
        if (said !== 'ok') faults.push({ code: 'damaged', message: String(said) });
      }
      if (faults.length === 0) checkSchema(versionOf(db), migrations.length);
    });
  } catch (error) {
    faults.push(sqliteFailure(error, path).toError());
  }
  return faults;
}

/**
 * Writes what `path` holds at one moment to `target`, which must not exist (mode 0600), and answers when it is on the disk. Bytes of
 * the copy.
 * @throws RegistryFailure
 */
export function copyRegistry(path: string, target: string): number {
  // SQLite takes an empty file for one that is not there; it would make one with the process's umask.
  createNew(target);
  try {
    withFile(path, (db) => {
      db.prepare('VACUUM INTO ?').run(target);
    });
    sync(target);
    const [fault] = registryFaults(target);
    if (fault !== undefined && fault.code !== 'later-version') throw new RegistryFailure(fault.code, `${path}: ${fault.message}`);
    return fs.statSync(target).size;
  } catch (error) {
    fs.rmSync(target, { force: true });
    throw sqliteFailure(error, path);
  }
}

/** Gives unused space back. @throws RegistryFailure, 'unavailable' when somebody writes */
export function compactRegistry(path: string): { readonly bytesBefore: number; readonly bytesAfter: number } {
  const bytesBefore = fs.statSync(path).size;
  RegistryFile.open(path, { check: true }).close();
  try {
    const db = new DatabaseSync(path, { timeout: defaultWriteWaitMs });
    try {
      db.exec('VACUUM; PRAGMA wal_checkpoint(TRUNCATE)');
    } finally {
      db.close();
    }
  } catch (error) {
    throw sqliteFailure(error, path);
  }
  return { bytesBefore, bytesAfter: fs.statSync(path).size };
}

function withFile(path: string, body: (db: DatabaseSync) => void): void {
  const db = new DatabaseSync(path, { readOnly: true, timeout: defaultWriteWaitMs });
  try {
    checkOwner(db, path);
    body(db);
  } finally {
    db.close();
  }
}

function createNew(target: string): void {
  try {
    fs.closeSync(fs.openSync(target, 'wx', 0o600));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new RegistryFailure(
      code === 'ENOSPC' || code === 'EDQUOT' ? 'full' : 'unavailable',
      `the copy cannot be written: ${message}`,
      error,
    );
  }
}

function sync(target: string): void {
  const file = fs.openSync(target, 'r+');
  try {
    fs.fsyncSync(file);
  } finally {
    fs.closeSync(file);
  }
}

// The file of the embedded registry: opens it, brings its tables up to date, runs statements. Several processes may have it open;
// readers never wait, writers wait for each other for a while.

import * as fs from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Entry, Kind } from '../entries.ts';
import type { Result, Write } from '../registry.ts';
import { RegistryFailure } from '../sql/failure.ts';
import type { Row, Steps } from '../sql/statement.ts';
import { checkSchema } from '../sql/transaction.ts';
import { applyWrites } from '../sql/writes.ts';
import { migrations } from './migrations.ts';
import { sqliteFailure } from './sqlite-failure.ts';

/** 'HelR': tells our registry from other SQLite files (PRAGMA application_id). */
const applicationId = 0x48656c52;
/** How long a writer waits for another one, a process that imports for example: its transactions take less than 100 ms. */
export const defaultWriteWaitMs = 5_000;
/** Texts differ only by how many names are searched for or written: there are far fewer. */
const maxStatements = 1_000;
/** What the log may keep of the disk once it has been moved into the file. */
const logBytes = 16 * 1024 * 1024;
const cacheKiB = 64 * 1024;

export type OpenOptions = {
  readonly writeWaitMs?: number | undefined;
  /** No other connection can use it; the 32 KiB beside it that connections share (`-shm`) are then not needed. */
  readonly alone?: boolean;
  /** Reads all of it first, about 0.25 s per million entries: damage is told before anyone relies on what is left. */
  readonly check?: boolean;
};

export class RegistryFile {
  readonly schema: number = migrations.length;
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #dataVersion = 0;

  private constructor(path: string, db: DatabaseSync) {
    this.#path = path;
    this.#db = db;
  }

  /**
   * Opens the file, creates it where there is none (mode 0600), and brings an older one up to date.
   * @throws RegistryFailure
   */
  static open(path: string, { writeWaitMs = defaultWriteWaitMs, alone = false, check = false }: OpenOptions = {}): RegistryFile {
    let db: DatabaseSync | undefined;
    try {
      createPrivate(path);
      db = new DatabaseSync(path, { timeout: writeWaitMs });
      if (alone) db.exec('PRAGMA locking_mode = EXCLUSIVE');
      checkOwner(db, path);
      if (check) checkStructure(db, path);
      db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -${cacheKiB}`);
      db.exec(
        `PRAGMA journal_size_limit = ${logBytes}; PRAGMA wal_autocheckpoint = 4096; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON`,
      );
      migrate(db);
      return new RegistryFile(path, db);
    } catch (error) {
      if (db?.isOpen === true) db.close();
      throw sqliteFailure(error, path);
    }
  }

  /** Reads. @throws RegistryFailure */
  run<T>(steps: Steps<T>): T {
    try {
      return this.#run(steps);
    } catch (error) {
      throw sqliteFailure(error, this.#path);
    }
  }

  /** Writes in one transaction, which is on the disk when this returns. @throws RegistryFailure; then nothing was written */
  apply(writes: readonly Write[], atomic: boolean, nowMs: number): Result<readonly Result<Entry<Kind>>[]> {
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      const { result, commit } = this.#run(applyWrites(writes, atomic, this.schema, nowMs));
      this.#db.exec(commit ? 'COMMIT' : 'ROLLBACK');
      return result;
    } catch (error) {
      this.#rollBack();
      throw sqliteFailure(error, this.#path);
    }
  }

  /** True when another connection, of this process or another, has written since the last call. @throws RegistryFailure */
  changedByOthers(): boolean {
    const found = this.run(dataVersion());
    const changed = found !== this.#dataVersion;
    this.#dataVersion = found;
    return changed;
  }

  close(): void {
    this.#statements.clear();
    if (this.#db.isOpen) this.#db.close();
  }

  #run<T>(steps: Steps<T>): T {
    let step = steps.next();
    while (step.done !== true) step = steps.next(this.#rows(step.value.text, step.value.values as never[]));
    return step.value;
  }

  #rows(text: string, values: never[]): readonly Row[] {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      if (this.#statements.size >= maxStatements) this.#statements.clear();
      statement = this.#db.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement.all(...values) as unknown as readonly Row[];
  }

  #rollBack(): void {
    try {
      if (this.#db.isOpen && this.#db.isTransaction) this.#db.exec('ROLLBACK');
    } catch {
      // SQLite has rolled back by itself, which it does on the errors that make this fail.
    }
  }
}

function* dataVersion(): Steps<number> {
  const found = yield { text: 'PRAGMA data_version', values: [] };
  return found[0]!['data_version'] as number;
}

/** SQLite would create the file with the process's umask; its log takes the mode of the file. */
function createPrivate(path: string): void {
  try {
    fs.closeSync(fs.openSync(path, 'wx', 0o600));
  } catch {
    // It is there already, which must not be opened here: closing it would drop SQLite's locks. What else is wrong SQLite tells.
  }
}

/** @throws RegistryFailure when the file is something else */
export function checkOwner(db: DatabaseSync, path: string): void {
  const owner = pragma(db, 'application_id');
  if (owner === applicationId) return;
  const isEmpty = owner === 0 && db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.['n'] === 0;
  if (!isEmpty) throw new RegistryFailure('damaged', `${path}: this is not a registry of Heliograph`);
}

/** Before the tables are brought up to date: what is damaged is left as it is. @throws RegistryFailure */
function checkStructure(db: DatabaseSync, path: string): void {
  const found = db.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
  if (found === 'ok') return;
  throw new RegistryFailure('damaged', `${path}: the registry is damaged; restore a backup (SQLite: ${String(found)})`);
}

/** One transaction for each version, so that a process that dies in between leaves a version and not a part of one. */
function migrate(db: DatabaseSync): void {
  while (versionOf(db) < migrations.length) {
    db.exec('BEGIN IMMEDIATE');
    try {
      // Another process may have done it while this one waited.
      const version = versionOf(db);
      if (version < migrations.length) {
        db.exec(migrations[version]!);
        db.exec(`UPDATE registry_state SET schema_version = ${version + 1}; PRAGMA application_id = ${applicationId}`);
      }
      db.exec('COMMIT');
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      throw error;
    }
  }
  checkSchema(versionOf(db), migrations.length);
}

export function versionOf(db: DatabaseSync): number {
  const exists = db.prepare(`SELECT count(*) AS n FROM sqlite_schema WHERE name = 'registry_state'`).get()?.['n'] === 1;
  return exists ? Number(db.prepare('SELECT schema_version FROM registry_state').get()?.['schema_version']) : 0;
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
}

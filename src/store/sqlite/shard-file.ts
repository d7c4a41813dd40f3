// One shard's file, synchronously: what the journal's worker and the data tools do with it. SQLite is known only here and
// in the files beside it.

import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { JournalError } from '../journal.ts';
import { RowError, trimRow } from '../row.ts';
import { MarkWriter, markPath, readMark } from './durable-mark.ts';
import type { Operation } from './operations.ts';
import { checkOwner, createSchema, isEmpty, lineCrc, lineFormat, pageBytes, pragmaNumber, readMeta, writeMeta } from './schema.ts';
import { corrupt, toJournalError } from './sqlite-errors.ts';

export type ShardFileOptions = {
  readonly path: string;
  /** The shard this file must belong to; undefined takes any. */
  readonly shard?: number;
  /** Opens for inspection: nothing is created or changed, and other readers are not shut out. */
  readonly readOnly?: boolean;
  /** Creates nothing where there is no file. */
  readonly mustExist?: boolean;
};

type Line = { readonly format: number; readonly crc: number; readonly bytes: Uint8Array };

export class ShardFile {
  readonly path: string;
  readonly db: DatabaseSync;
  /** The journal's identity; a backup has another. */
  readonly journal: string;
  readonly shard: number;
  /** The number that the next appended row has. */
  next: number;
  checkpoint: number;
  rows: number;
  bytes: number;
  /** Bytes on disk, the write-ahead log included, at the last `look`. */
  storedBytes = 0;
  readonly #inode: number;
  readonly #mark: MarkWriter | undefined;
  readonly #insert: StatementSync;
  readonly #select: StatementSync;
  readonly #update: StatementSync;
  readonly #delete: StatementSync;

  /**
   * Opens the file, and creates it where there is none; checks its structure and that nothing that had been reported durable is
   * missing at its end. What the rows hold is checked by `replay` and `read`.
   * @throws JournalError 'corrupt', 'locked', 'version', 'io', 'full'; 'missing' when the file must exist and does not
   */
  static open(options: ShardFileOptions): ShardFile {
    const { path } = options;
    let db: DatabaseSync | undefined;
    if ((options.readOnly === true || options.mustExist === true) && !fs.existsSync(path)) {
      throw new JournalError('missing', `${path}: the file is missing`, path);
    }
    try {
      if (options.readOnly !== true) createPrivate(path);
      db = new DatabaseSync(path, { readOnly: options.readOnly ?? false });
      prepareFile(db, options);
      return new ShardFile(db, options);
    } catch (error) {
      const known = toJournalError(error, path);
      if (known.code === 'corrupt' && options.readOnly !== true) keepLog(path);
      if (db?.isOpen === true) closeQuietly(db);
      throw known;
    }
  }

  private constructor(db: DatabaseSync, options: ShardFileOptions) {
    const { path } = options;
    this.path = path;
    this.db = db;
    this.journal = readMeta(db, 'journal', path);
    this.shard = Number(readMeta(db, 'shard', path));
    if (options.shard !== undefined && options.shard !== this.shard) {
      throw corrupt(path, `this is the journal of shard ${this.shard}, not of shard ${options.shard}`);
    }
    this.checkpoint = Number(readMeta(db, 'checkpoint', path));
    const held = db.prepare('SELECT count(*) AS n, total(length(bytes)) AS bytes, coalesce(max(row), 0) AS last FROM rows').get();
    this.rows = Number(held!['n']);
    this.bytes = Number(held!['bytes']);
    this.next = Math.max(Number(held!['last']) + 1, this.checkpoint);
    const cut = options.readOnly === true ? undefined : this.missingTail();
    if (cut !== undefined) throw cut;
    this.#insert = db.prepare('INSERT INTO rows VALUES (?, ?, ?, ?)');
    this.#select = db.prepare('SELECT format, crc, bytes FROM rows WHERE row = ?');
    this.#update = db.prepare('UPDATE rows SET crc = ?, bytes = ? WHERE row = ?');
    this.#delete = db.prepare('DELETE FROM rows WHERE row = ? RETURNING length(bytes) AS bytes');
    this.#inode = fs.statSync(path).ino;
    this.look();
    if (options.readOnly !== true) syncLog(path);
    this.#mark = options.readOnly === true ? undefined : openMark(path, this.journal, this.next - 1);
  }

  /**
   * Applies operations in one transaction; they are durable when this returns, and not done at all when it throws.
   * @throws JournalError 'full', 'io', 'corrupt'
   */
  commit(operations: readonly Operation[]): void {
    const before = { next: this.next, checkpoint: this.checkpoint, rows: this.rows, bytes: this.bytes };
    try {
      this.db.exec('BEGIN IMMEDIATE');
      for (const operation of operations) this.#apply(operation);
      this.db.exec('COMMIT');
      // Somebody may clean up by hand: what goes into a file without a name is gone with this process.
      if (!this.look()) throw corrupt(this.path, 'the file or its log (-wal) was removed or replaced while it was in use');
    } catch (error) {
      Object.assign(this, before);
      this.#rollBack();
      throw toJournalError(error, this.path);
    }
    if (this.next !== before.next) this.#mark?.write(this.next - 1);
  }

  /** @throws JournalError 'missing', 'corrupt', 'io' */
  read(row: number): Uint8Array {
    try {
      const line = this.#select.get(row) as Line | undefined;
      if (line === undefined) {
        throw new JournalError('missing', `${this.path}, row ${row}: discarded, or never written`, `${this.path}, row ${row}`);
      }
      return this.#verified(row, line);
    } catch (error) {
      throw toJournalError(error, this.path);
    }
  }

  /**
   * Every row from the checkpoint on, verified.
   * @throws JournalError 'corrupt', 'io'
   */
  *replay(): Generator<{ row: number; bytes: Uint8Array }> {
    let expected = this.checkpoint;
    try {
      const lines = this.db.prepare('SELECT row, format, crc, bytes FROM rows WHERE row >= ? ORDER BY row').iterate(this.checkpoint);
      for (const line of lines as Iterable<Line & { row: number }>) {
        if (line.row !== expected) throw corrupt(this.path, `rows ${expected} to ${line.row - 1} are missing`, expected);
        expected++;
        yield { row: line.row, bytes: this.#verified(line.row, line) };
      }
    } catch (error) {
      throw toJournalError(error, this.path);
    }
    if (expected !== this.next) throw corrupt(this.path, `rows ${expected} to ${this.next - 1} are missing`, expected);
  }

  /**
   * Every row, also before the checkpoint, each with what is wrong with it. For inspection.
   * @throws JournalError 'corrupt' or 'io' when the file cannot be read further
   */
  *audit(): Generator<{ row: number; bytes: Uint8Array; problem: JournalError | undefined }> {
    try {
      const lines = this.db.prepare('SELECT row, format, crc, bytes FROM rows ORDER BY row').iterate();
      for (const line of lines as Iterable<Line & { row: number }>) {
        yield { row: line.row, bytes: line.bytes, problem: this.#problemOf(line.row, line) };
      }
    } catch (error) {
      throw toJournalError(error, this.path);
    }
  }

  /** What SQLite finds when it looks at every page, a line each. @throws JournalError */
  structureProblems(): string[] {
    try {
      const found = this.db.prepare('PRAGMA integrity_check(20)').all();
      return found.map((line) => oneLine(String(line['integrity_check']))).filter((line) => line !== 'ok');
    } catch (error) {
      throw toJournalError(error, this.path);
    }
  }

  /** The error that says which rows at the end are gone, though they had been reported durable. */
  missingTail(): JournalError | undefined {
    const last = this.next - 1;
    const mark = readMark(this.path);
    if (mark === undefined || mark.journal !== this.journal || mark.row <= last) return undefined;
    const what = `rows ${last + 1} to ${mark.row} had been stored durably and are gone: the file or its log (-wal) was cut, replaced or removed`;
    return corrupt(this.path, `${what} (to go on without them, remove ${markPath(this.path)})`, last + 1);
  }

  /** Looks at the files: how large they are (`storedBytes`), and whether they are still the ones that were opened. */
  look(): boolean {
    const file = fs.statSync(this.path, { throwIfNoEntry: false });
    const log = fs.statSync(`${this.path}-wal`, { throwIfNoEntry: false });
    this.storedBytes = (file?.size ?? 0) + (log?.size ?? 0);
    return file !== undefined && log !== undefined && file.ino === this.#inode;
  }

  /** Moves the log's pages into the main file. @throws JournalError */
  flushLog(mode: 'PASSIVE' | 'RESTART' | 'TRUNCATE'): void {
    try {
      this.db.exec(`PRAGMA wal_checkpoint(${mode})`);
    } catch (error) {
      throw toJournalError(error, this.path);
    }
  }

  /** Pages of the main file that hold nothing, and pages in all. */
  pages(): { free: number; all: number } {
    return { free: pragmaNumber(this.db, 'freelist_count'), all: pragmaNumber(this.db, 'page_count') };
  }

  /** Gives up to `pages` free pages back to the file system. @throws JournalError */
  shrink(pages: number): void {
    try {
      this.db.exec(`PRAGMA incremental_vacuum(${pages})`);
    } catch (error) {
      throw toJournalError(error, this.path);
    }
  }

  /** Rewrites the file without its free space. @throws JournalError */
  vacuum(): void {
    try {
      this.db.exec('VACUUM');
      this.db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } catch (error) {
      throw toJournalError(error, this.path);
    }
  }

  /** Lets go; the log is moved into the main file and removed by SQLite. */
  close(): void {
    closeQuietly(this.db);
    this.#mark?.close();
  }

  /** Lets go of a file that turned out to be damaged: its log is kept, for whoever mends it. */
  closeDamaged(): void {
    keepLog(this.path);
    this.close();
  }

  #apply(operation: Operation): void {
    switch (operation.kind) {
      case 'append':
        this.#insert.run(operation.row, lineFormat, lineCrc(operation.row, operation.bytes), operation.bytes);
        this.next = operation.row + 1;
        this.rows++;
        this.bytes += operation.bytes.length;
        break;
      case 'checkpoint':
        writeMeta(this.db, 'checkpoint', String(operation.row));
        this.checkpoint = operation.row;
        this.next = Math.max(this.next, operation.row);
        break;
      case 'trim':
        this.#trim(operation.row, operation.keep);
        break;
      case 'discard':
        for (const row of operation.rows) {
          const gone = this.#delete.get(row);
          if (gone === undefined) continue;
          this.rows--;
          this.bytes -= Number(gone['bytes']);
        }
        break;
    }
  }

  #trim(row: number, keep: Uint32Array): void {
    const line = this.#select.get(row) as Line | undefined;
    if (line === undefined) return;
    const whole = this.#verified(row, line);
    let rest: Uint8Array;
    try {
      rest = trimRow(whole, keep);
    } catch (error) {
      if (error instanceof RowError) return; // These bytes are what was appended, only not records: there is nothing to cut.
      throw error;
    }
    if (rest.length >= whole.length) return;
    this.#update.run(lineCrc(row, rest), rest, row);
    this.bytes += rest.length - whole.length;
  }

  #verified(row: number, line: Line): Uint8Array {
    const problem = this.#problemOf(row, line);
    if (problem !== undefined) throw problem;
    return line.bytes;
  }

  #problemOf(row: number, line: Line): JournalError | undefined {
    if (line.format !== lineFormat) return corrupt(this.path, `unknown format ${line.format}`, row);
    if (lineCrc(row, line.bytes) !== line.crc) return corrupt(this.path, 'its bytes are not what was written (CRC differs)', row);
    return undefined;
  }

  #rollBack(): void {
    try {
      if (this.db.isTransaction) this.db.exec('ROLLBACK');
    } catch {
      // SQLite has rolled back by itself, which it does on the errors that make this fail.
    }
  }
}

/** SQLite would create the file with the process's umask; its log takes the mode of the file. */
function createPrivate(path: string): void {
  try {
    fs.closeSync(fs.openSync(path, 'wx', 0o600));
  } catch {
    // It is there already, which must not be opened here: closing it would drop SQLite's lock. What else is wrong SQLite tells.
  }
}

/** Takes the lock, creates what is not there, and checks whose file it is and that it is whole. */
function prepareFile(db: DatabaseSync, options: ShardFileOptions): void {
  const { path } = options;
  if (options.readOnly !== true) {
    db.exec('PRAGMA locking_mode = EXCLUSIVE');
    if (isEmpty(db)) {
      const mark = readMark(path);
      if (mark !== undefined && mark.row > 0) throw corrupt(path, `the file is empty, but rows up to ${mark.row} had been stored durably`);
      db.exec(`PRAGMA page_size = ${pageBytes}; PRAGMA auto_vacuum = INCREMENTAL`);
      enterLogMode(db);
      createSchema(db, randomUUID(), options.shard ?? 0);
      return;
    }
  }
  checkOwner(db, path);
  if (options.readOnly !== true) enterLogMode(db);
  const found = db.prepare('PRAGMA quick_check(1)').get();
  const said = String(found?.['quick_check']);
  if (said !== 'ok') throw corrupt(path, `its structure is damaged (SQLite: ${oneLine(said)})`);
}

function enterLogMode(db: DatabaseSync): void {
  // The worker moves the log into the file itself, after it has reported what is durable; the automatic way is the net below it.
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 8192; PRAGMA cache_size = -8192');
  // On macOS fsync alone leaves the data in the disk's own memory; elsewhere these do nothing.
  db.exec('PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON');
}

/**
 * After the death of a process its last commits may be in the system's memory only. They are replayed as durable, so they
 * must be: what the broker does on their strength shall not be undone by a loss of power.
 */
function syncLog(path: string): void {
  let log: number;
  try {
    log = fs.openSync(`${path}-wal`, 'r+');
  } catch {
    return; // No log: everything is in the main file, which SQLite syncs before it drops the log.
  }
  try {
    fs.fsyncSync(log);
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new JournalError('io', `${path}: its log cannot be synced (${said}); look at the state of the disk`, path, error);
  } finally {
    fs.closeSync(log);
  }
}

function openMark(path: string, journal: string, row: number): MarkWriter {
  try {
    return new MarkWriter(path, { journal, row });
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new JournalError('io', `${path}: the durable mark beside it cannot be written (${said})`, path, error);
  }
}

/** SQLite drops a log that it cannot use; what may be left in it is kept for whoever mends the file. */
function keepLog(path: string): void {
  try {
    if (size(`${path}-wal`) > 0) fs.copyFileSync(`${path}-wal`, `${path}-wal.kept`, fs.constants.COPYFILE_EXCL);
  } catch {
    // Kept already, or no space: the refusal to open is what counts.
  }
}

function closeQuietly(db: DatabaseSync): void {
  try {
    db.close();
  } catch {
    // The file is let go in any case.
  }
}

function oneLine(text: string): string {
  return text.replaceAll('\n', ' ');
}

function size(path: string): number {
  return fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

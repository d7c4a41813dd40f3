// `heliograph data check`: reads everything in a data directory and says what is wrong with it, without changing any of it.

import { readDataDirectory, shardPath } from '../data-directory.ts';
import { JournalError } from '../journal.ts';
import { forEachRecord, RowError } from '../row.ts';
import { ShardFile } from '../sqlite/shard-file.ts';
import { fixOf } from './tool-error.ts';

export type DataFinding = {
  /** The file, and the row where that is known. */
  readonly where: string;
  readonly what: string;
  readonly fix: string;
};

export type ShardReport = {
  readonly shard: number;
  readonly file: string;
  readonly rows: number;
  readonly records: number;
  /** Bytes that the rows hold, and bytes on disk. */
  readonly bytes: number;
  readonly storedBytes: number;
  /** Restart begins at this row. */
  readonly checkpoint: number;
  readonly nextRow: number;
};

export type DataReport = {
  /** The shards that could be opened. */
  readonly shards: readonly ShardReport[];
  /** Empty when all is well. */
  readonly findings: readonly DataFinding[];
  /** A process has some of it open: that part was not looked at. */
  readonly inUse: boolean;
};

export type CheckProgress = { readonly file: string; readonly rows: number; readonly ofRows: number };

/** Between two reports of progress, so that the process can show it and be interrupted. */
const bytesPerStep = 32 * 1024 * 1024;
/** Of one shard; a damaged file may have one per row. */
const maxFindings = 100;

/** @throws UserError when `directory` is no data directory */
export async function checkData(directory: string, progress: (progress: CheckProgress) => void = () => {}): Promise<DataReport> {
  const { shards: count } = await readDataDirectory(directory);
  const shards: ShardReport[] = [];
  const findings: DataFinding[] = [];
  let inUse = false;
  for (let shard = 0; shard < count; shard++) {
    const file = shardPath(directory, shard);
    const check = new ShardCheck(file);
    try {
      shards.push(await check.run(shard, progress));
    } catch (error) {
      if (!(error instanceof JournalError)) throw error;
      if (error.code === 'locked') inUse = true;
      check.found(error);
    }
    findings.push(...check.findings);
  }
  return { shards, findings, inUse };
}

class ShardCheck {
  readonly findings: DataFinding[] = [];
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  found(error: JournalError): void {
    this.#add(error.where, error.message, fixOf(error));
  }

  /** @throws JournalError when the file cannot be opened */
  async run(shard: number, progress: (progress: CheckProgress) => void): Promise<ShardReport> {
    const file = ShardFile.open({ path: this.#file, shard, readOnly: true });
    try {
      for (const problem of file.structureProblems()) this.#add(this.#file, problem, fixOf(new JournalError('corrupt', '', '')));
      const tail = file.missingTail();
      if (tail !== undefined) this.found(tail);
      const records = await this.#rows(file, progress);
      const { rows, bytes, storedBytes, checkpoint, next } = file;
      return { shard, file: this.#file, rows, records, bytes, storedBytes, checkpoint, nextRow: next };
    } finally {
      // An empty log and an index of it may stay behind. They must not be removed: a broker may have started meanwhile.
      file.close();
    }
  }

  async #rows(file: ShardFile, progress: (progress: CheckProgress) => void): Promise<number> {
    let records = 0;
    let rows = 0;
    let bytesToStep = bytesPerStep;
    let expected = file.checkpoint;
    try {
      for (const { row, bytes, problem } of file.audit()) {
        if (row >= file.checkpoint) {
          if (row !== expected) this.#addRow(expected, `rows ${expected} to ${row - 1} are missing`);
          expected = row + 1;
        }
        if (problem === undefined) records += this.#records(row, bytes);
        else this.found(problem);
        rows++;
        bytesToStep -= bytes.length;
        if (bytesToStep > 0) continue;
        bytesToStep = bytesPerStep;
        progress({ file: this.#file, rows, ofRows: file.rows });
        await new Promise((resolve) => setImmediate(resolve));
      }
    } catch (error) {
      if (!(error instanceof JournalError)) throw error;
      this.found(error);
    }
    progress({ file: this.#file, rows, ofRows: file.rows });
    return records;
  }

  #records(row: number, bytes: Uint8Array): number {
    let records = 0;
    try {
      forEachRecord(bytes, () => {
        records++;
      });
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      this.#addRow(row, `its records are not framed as they should be (${error.message})`);
    }
    return records;
  }

  #addRow(row: number, what: string): void {
    this.#add(`${this.#file}, row ${row}`, what, fixOf(new JournalError('corrupt', what, this.#file)));
  }

  #add(where: string, what: string, fix: string): void {
    if (this.findings.length < maxFindings) this.findings.push({ where, what, fix });
  }
}

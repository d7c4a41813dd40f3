// The contract of the journal: numbered rows of bytes, appended in order, durable in order.
//
// What a row means is the broker's business (its framing is in row.ts). A journal promises:
//  - `durable(n)` is called only when rows up to n survive what `durability` names;
//  - after a crash, `replay` yields a prefix of what was appended that includes every row reported durable, each row whole
//    and byte for byte, or the journal refuses to open and says why;
//  - rows are never reordered and a row number is never used for other bytes.
// Every implementation passes test/contracts/journal.ts.

/** What an acknowledged row survives: nothing, the loss of power on this machine, the loss of a minority of machines. */
export type Durability = 'memory' | 'fsynced' | 'replicated+fsynced';

export type JournalErrorCode =
  /** No space left: appended rows stay pending and are retried until there is. */
  | 'full'
  /** The disk refuses (I/O error, read-only): appended rows stay pending and are retried. */
  | 'io'
  /** Stored bytes are not what was written. */
  | 'corrupt'
  /** Another process has the journal open. */
  | 'locked'
  /** Written by a later version of this program. */
  | 'version'
  /** The row asked for was discarded or never written. */
  | 'missing';

export class JournalError extends Error {
  readonly code: JournalErrorCode;
  /** The file, and the row where that is known. */
  readonly where: string;

  constructor(code: JournalErrorCode, message: string, where: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'JournalError';
    this.code = code;
    this.where = where;
  }
}

/** What a journal tells its owner. Called from the event loop, never from within a call to the journal. */
export interface JournalEvents {
  /** Every row up to and including `row` is durable. */
  durable(row: number): void;
  /** Appends cannot be completed for now ('full' or 'io'); they stay pending, in order, and are retried. */
  stalled(error: JournalError): void;
  /** Appends go through again. */
  resumed(): void;
  /** The journal cannot go on: the owner must stop without acknowledging anything more. */
  failed(error: JournalError): void;
}

export type JournalStats = {
  readonly rows: number;
  /** Bytes that live rows hold. */
  readonly bytes: number;
  /** Bytes on disk, or of memory where there is no disk. */
  readonly storedBytes: number;
  /** Commits so far, and how long they took in all. */
  readonly commits: number;
  readonly commitMs: number;
};

export interface Journal {
  readonly durability: Durability;

  /**
   * Opens and yields every row from the checkpoint on, in order; resolves with the number that the next `append` must have.
   * @throws JournalError 'corrupt', 'locked', 'version', 'io'
   */
  open(events: JournalEvents, onRow: (row: number, bytes: Uint8Array) => void): Promise<number>;

  /** Appends row number `row`, which must be the last one's plus one (the first row ever is number 1). Takes a copy before it returns. */
  append(row: number, bytes: Uint8Array): void;

  /** Fetches a row that was appended (or what `trim` left of it). */
  read(row: number, done: (bytes: Uint8Array | JournalError) => void): void;

  /** From now on `replay` starts at `row`; earlier rows are only fetched by `read`. Takes effect in order with appends. */
  checkpoint(row: number): void;

  /** Keeps only the records with these indexes (ascending) in a row before the checkpoint; others may go. Done when convenient. */
  trim(row: number, keep: Uint32Array): void;

  /** Rows before the checkpoint that are not needed at all any more. Done when convenient. */
  discard(rows: readonly number[]): void;

  stats(): JournalStats;

  /** Writes a consistent copy that includes every row durable at the call. */
  backup(path: string): Promise<void>;

  /** Waits until what was appended is durable or cannot be, and lets go. */
  close(): Promise<void>;
}

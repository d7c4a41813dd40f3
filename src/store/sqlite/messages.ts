// What the journal's main-thread half and its worker say to each other.

import type { JournalErrorCode } from '../journal.ts';
import { JournalError } from '../journal.ts';

export type WorkerOptions = {
  readonly path: string;
  readonly shard: number;
  readonly retryMs: number;
  readonly maxTransactionBytes: number;
  readonly walBytes: number;
  readonly idleMs: number;
  /** Shared with the main thread: see `counter`. */
  readonly counters: Float64Array;
};

/** Indexes into the shared counters. */
export const counter = { rows: 0, bytes: 1, storedBytes: 2, commits: 3, commitMs: 4, count: 5 } as const;

export type ToWorker =
  /** One chunk of the replay was taken; another may come. */
  | { readonly kind: 'credit' }
  /** Chunks that are new or gone, then operations in order. */
  | {
      readonly kind: 'work';
      readonly created: readonly (readonly [number, SharedArrayBuffer])[];
      readonly dropped: readonly number[];
      readonly operations: readonly number[];
    }
  | { readonly kind: 'read'; readonly id: number; readonly row: number }
  | { readonly kind: 'backup'; readonly id: number; readonly path: string }
  /** Only tests send this: changes the file's limits while it is in use. */
  | { readonly kind: 'exec'; readonly id: number; readonly sql: string }
  | { readonly kind: 'close' };

export type FromWorker =
  /** Per row four numbers: row, index into `buffers`, start, end. */
  | { readonly kind: 'rows'; readonly index: Float64Array; readonly buffers: readonly Uint8Array[] }
  | { readonly kind: 'opened'; readonly next: number; readonly checkpoint: number }
  | { readonly kind: 'refused'; readonly error: PlainError }
  | { readonly kind: 'durable'; readonly row: number; readonly seconds: number }
  | { readonly kind: 'stalled'; readonly error: PlainError }
  | { readonly kind: 'resumed' }
  | { readonly kind: 'failed'; readonly error: PlainError }
  | { readonly kind: 'read'; readonly id: number; readonly bytes: Uint8Array | undefined; readonly error: PlainError | undefined }
  | { readonly kind: 'done'; readonly id: number; readonly error: PlainError | undefined };

/** A JournalError as plain data: cloning keeps neither class nor code. */
export type PlainError = { readonly code: JournalErrorCode; readonly message: string; readonly where: string };

export function toPlain(error: JournalError): PlainError {
  return { code: error.code, message: error.message, where: error.where };
}

export function fromPlain(error: PlainError): JournalError {
  return new JournalError(error.code, error.message, error.where);
}

// What all records of a shard's journal have in common: a kind and a version. What each holds stands in records.ts.

import { RowError } from '../../store/row.ts';
import { RecordReader } from './record-reader.ts';
import type { RowWriter } from './row-writer.ts';

export const RecordKind = {
  /** A message with the queues of this shard it entered; may also set the retained message of its topic. */
  message: 1,
  /** An entry left its queue. */
  settle: 2,
  /** An exactly-once entry was given a delivery id; written before it is sent. */
  sent: 3,
  /** The peer has received an exactly-once delivery; only its id is kept. Written before the release is sent. */
  received: 4,
  /** A publisher released an exactly-once message it had sent. */
  originReleased: 5,
  session: 6,
  subscribe: 7,
  unsubscribe: 8,
  /** A shared or named queue. */
  queue: 9,
  /** A session or queue is gone, with all it held. */
  removed: 10,
  /** For checkpoints: the retained message of a topic stands in an earlier row. */
  retained: 11,
  retainedCleared: 12,
  /** For checkpoints: entries of a queue whose messages stand in earlier rows. */
  entries: 13,
  /** For checkpoints: ids of received exactly-once messages not yet released by their publisher. */
  origins: 14,
  /** For checkpoints: the next queue id. */
  counters: 15,
  /**
   * What entered a queue of this shard in the same row was moved here from a queue of another shard, where it may still stand: it
   * has left there. Since version 2.
   */
  movedFrom: 16,
  /** A transaction over several shards is committed: its messages and settlements whole, to be done and done again. Since version 3. */
  transaction: 17,
  /** All of it is durable where it belongs. */
  transactionDone: 18,
  /** In the row of what a transaction did in this shard: it is not done here again. */
  transactionPart: 19,
} as const;

/**
 * Version of every record that is written; earlier ones are read for ever.
 * 2: `retained` names who published it; `movedFrom`.
 * 3: origins may be tags; entries count failed deliveries; references to messages tell priority, group and when they may be
 * delivered; queues and sessions tell their next position; `queue` knows delayed ones and how long shared ones outlive their
 * members; `subscribe` has selectors; messages have `deliverAtMs`, `death` and `annotations`.
 */
export const recordVersion = 3;

const never = Number.MAX_SAFE_INTEGER;

/** In milliseconds; Infinity: for ever. */
export function writeDuration(writer: RowWriter, ms: number): void {
  writer.u64(ms === Infinity ? never : ms);
}

export function readDuration(reader: RecordReader): number {
  const ms = reader.u64();
  return ms === never ? Infinity : ms;
}

export function begin(writer: RowWriter, kind: number): void {
  writer.begin(kind);
  writer.u8(recordVersion);
}

/** Where its body begins. @throws RowError when its version is not one that this program reads */
export function open(bytes: Uint8Array, start: number, end: number): RecordReader {
  const reader = new RecordReader(bytes, start, end);
  reader.version = reader.u8();
  if (reader.version < 1 || reader.version > recordVersion) {
    throw new RowError(`a record of version ${reader.version}; this program reads versions 1 to ${recordVersion}`);
  }
  return reader;
}

// Messages that a queue or the retained set holds, and the memory their payloads take.
//
// A journaled message lives in a journal row; the row's bytes stay in memory while they are likely to be needed, and are read
// back when they were evicted. A message of a transient queue owns its payload and has no row.

import type { Attributes, Property, TypedValue } from '../../message/attributes.ts';
import type { Message } from '../../message/message.ts';
import type { StoredReference } from './stored-reference.ts';

/** Wants to know when a message can be had: a queue, whose holder is pumped then. */
export type Waiter = { readonly holder: { pump(): void } | undefined };

/** A row of a shard's journal with messages that are still wanted. */
export class StoredRow {
  readonly row: number;
  /** The row as written; undefined when evicted. */
  bytes: Uint8Array | undefined = undefined;
  /** Messages of this row that are wanted, and some that were; those with no references left are skipped. */
  messages: Stored[] = [];
  live = 0;
  liveBytes = 0;
  /** Length of the row as written. */
  length = 0;
  /** A read is under way. */
  loading = false;
  /** Queues to pump when it has been read. */
  waiting: Set<Waiter> | undefined = undefined;

  /** It may be evicted. */
  durable: boolean;
  /** Neighbours in PayloadMemory's list. */
  older: StoredRow | undefined = undefined;
  newer: StoredRow | undefined = undefined;

  constructor(row: number, durable: boolean) {
    this.row = row;
    this.durable = durable;
  }

  /** Forgets messages that nobody wants any more, when they are most of what it remembers. */
  tidy(): void {
    if (this.messages.length < 2 * this.live + 16) return;
    this.messages = this.messages.filter((stored) => stored.references > 0);
  }
}

export class Stored {
  /** Decoded, while its row is in memory; always there for a message without a row. */
  message: Message | undefined;
  readonly home: StoredRow | undefined;
  /** Index of the record in its row. */
  readonly index: number;
  /** What it counts for in limits: topic, payload and a fixed overhead. */
  readonly bytes: number;
  readonly expiresAtMs: number;
  readonly priority: number;
  /** What few messages have. */
  readonly terms: DeliveryTerms | undefined;
  /** Queues and the retained set that hold it. */
  references = 0;

  constructor(
    message: Message | undefined,
    home: StoredRow | undefined,
    index: number,
    bytes: number,
    expiresAtMs: number,
    priority: number,
    terms: DeliveryTerms | undefined,
  ) {
    this.message = message;
    this.home = home;
    this.index = index;
    this.bytes = bytes;
    this.expiresAtMs = expiresAtMs;
    this.priority = priority;
    this.terms = terms;
  }

  /** As other records refer to it. It must be journaled. */
  reference(): StoredReference {
    const { home, index, bytes, expiresAtMs, priority, terms } = this;
    return { row: home!.row, index, bytes, expiresAtMs, priority, groupId: terms?.groupId, deliverAtMs: terms?.deliverAtMs ?? 0 };
  }
}

/** What must be known of a message to deliver it, also while its bytes are not in memory. */
export type DeliveryTerms = {
  /** Its messages go to one consumer. */
  readonly groupId: string | undefined;
  /** Wall clock: not before; 0: at once. */
  readonly deliverAtMs: number;
};

export function deliveryTerms({ attributes }: Message): DeliveryTerms | undefined {
  if (attributes === undefined) return undefined;
  const { groupId, deliverAtMs = 0 } = attributes;
  return groupId === undefined && deliverAtMs === 0 ? undefined : { groupId, deliverAtMs };
}

/** The reference to a message that stands in a row. */
export function referenceTo(row: number, index: number, message: Message): StoredReference {
  const { expiresAtMs, priority } = message;
  const terms = deliveryTerms(message);
  return {
    row,
    index,
    bytes: storedBytes(message),
    expiresAtMs,
    priority,
    groupId: terms?.groupId,
    deliverAtMs: terms?.deliverAtMs ?? 0,
  };
}

/** A message that several queues without journal may keep: one copy for all of them, made when the first one does. */
export class KeptOnce {
  readonly message: Message;
  #stored: Stored | undefined = undefined;

  constructor(message: Message) {
    this.message = message;
  }

  stored(): Stored {
    const { message } = this;
    return (this.#stored ??= new Stored(
      message.kept(),
      undefined,
      0,
      storedBytes(message),
      message.expiresAtMs,
      message.priority,
      deliveryTerms(message),
    ));
  }
}

/** What a stored message costs besides its topic, payload and attributes, for limits on bytes. */
const overheadBytes = 64;
const overheadOfAttribute = 16;

export function storedBytes(message: Message): number {
  const bytes = overheadBytes + message.topicBytes.length + message.end - message.start;
  return message.attributes === undefined ? bytes : bytes + attributesBytes(message.attributes);
}

/** Roughly: what counts is that no field is free. */
function attributesBytes(attributes: Attributes): number {
  if (attributes.isReadFromResidue === true) {
    let bytes = overheadOfAttribute + attributes.residue!.bytes.length;
    for (const property of attributes.annotations ?? []) bytes += propertyBytes(property);
    return bytes;
  }
  const { contentType, contentEncoding, subject, groupId, replyTo, correlation, messageId, residue } = attributes;
  let bytes = 0;
  for (const text of [contentType, contentEncoding, subject, groupId, replyTo?.name]) bytes += text?.length ?? 0;
  for (const value of [correlation, messageId]) if (value !== undefined) bytes += valueBytes(value);
  for (const property of attributes.properties ?? []) bytes += propertyBytes(property);
  for (const property of attributes.annotations ?? []) bytes += propertyBytes(property);
  return bytes + (residue?.bytes.length ?? 0);
}

/** Roughly. */
export function propertyBytes({ key, value }: Property): number {
  return overheadOfAttribute + key.length + valueBytes(value);
}

function valueBytes({ value }: TypedValue): number {
  return typeof value === 'string' || value instanceof Uint8Array ? value.length : 8;
}

/**
 * Keeps the bytes of journal rows in memory up to a budget, shared by all shards of a node. Oldest held goes first; a row that is
 * not durable yet stays.
 */
export class PayloadMemory {
  readonly #budgetBytes: number;
  /** The rows held, as a list through the rows themselves: each can leave from its middle. */
  #oldest: StoredRow | undefined = undefined;
  #newest: StoredRow | undefined = undefined;
  #bytes = 0;
  /** What messages without a journal take: those of sessions that end with their connection. */
  transientBytes = 0;
  /** Rows that were evicted while wanted, and rows read back. */
  readonly counters = { evictions: 0, loads: 0 };

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** How much one queue may have read for it before it is wanted. */
  get readAheadBytes(): number {
    return this.#budgetBytes / 4;
  }

  /** The row must not be held yet. */
  hold(row: StoredRow, bytes: Uint8Array): void {
    row.bytes = bytes;
    this.#bytes += bytes.length;
    row.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = row;
    else this.#newest.newer = row;
    this.#newest = row;
  }

  release(row: StoredRow): void {
    if (row.bytes === undefined) return;
    this.#bytes -= row.bytes.length;
    row.bytes = undefined;
    for (const stored of row.messages) stored.message = undefined;
    if (row.older === undefined) this.#oldest = row.newer;
    else row.older.newer = row.newer;
    if (row.newer === undefined) this.#newest = row.older;
    else row.newer.older = row.older;
    row.older = row.newer = undefined;
  }

  /** Lets go of the oldest rows until the budget holds, but not of `spared`. */
  evict(spared: StoredRow | undefined): void {
    let row = this.#oldest;
    while (row !== undefined && this.#bytes > this.#budgetBytes) {
      const newer: StoredRow | undefined = row.newer;
      if (row.durable && row !== spared) {
        this.release(row);
        this.counters.evictions++;
      }
      row = newer;
    }
  }
}

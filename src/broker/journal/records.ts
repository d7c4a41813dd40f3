// The records of a shard's journal: what they hold, and nothing about what they mean for the broker's state (recovery.ts).
//
// Rules for long life: a body begins with its version; a kind's number is never reused; fields are only ever appended under a
// new version; test/fixtures holds a journal of every released format.

import { RowError } from '../../store/row.ts';
import { readEntry, readOriginId, writeEntry, writeOriginId } from './message-record.ts';
import type { EntryFields, OriginId } from './message-record.ts';
import { RecordKind, begin, open, readDuration, recordVersion, writeDuration } from './record-frame.ts';
import type { RowWriter } from './row-writer.ts';
import { readReference, writeReference } from './stored-reference.ts';
import type { StoredReference } from './stored-reference.ts';

export { readMessage, writeMessage } from './message-record.ts';
export type { EntryFields, MessageRecord, OriginId } from './message-record.ts';
export { readSession, readSubscribe, readUnsubscribe, writeSession, writeSubscribe, writeUnsubscribe } from './session-records.ts';
export type { SessionRecord, SubscriptionRecord, WillRecord } from './session-records.ts';
export type { StoredReference } from './stored-reference.ts';
export { RecordKind, recordVersion };

/** Where an entry stands on its way. The index is what is stored. */
export const entryStates = ['ready', 'sent', 'received'] as const;
export type EntryState = (typeof entryStates)[number];

export function writeSettle(writer: RowWriter, queueId: number, position: number): void {
  begin(writer, RecordKind.settle);
  writer.varint(queueId);
  writer.varint(position);
  writer.end();
}

export function readSettle(bytes: Uint8Array, start: number, end: number): { queueId: number; position: number } {
  const reader = open(bytes, start, end);
  return { queueId: reader.varint(), position: reader.varint() };
}

export type DeliveryRecord = {
  readonly queueId: number;
  readonly position: number;
  readonly session: number;
  readonly deliveryId: number;
  /** When the session is gone the message goes back to its queue; else nobody else may get it. */
  readonly returns: boolean;
};

/** For the kinds `sent` and `received`. */
export function writeDelivery(writer: RowWriter, kind: number, delivery: DeliveryRecord): void {
  begin(writer, kind);
  writer.varint(delivery.queueId);
  writer.varint(delivery.position);
  writer.varint(delivery.session);
  writer.u16(delivery.deliveryId);
  writer.u8(delivery.returns ? 1 : 0);
  writer.end();
}

export function readDelivery(bytes: Uint8Array, start: number, end: number): DeliveryRecord {
  const reader = open(bytes, start, end);
  const queueId = reader.varint();
  const position = reader.varint();
  const session = reader.varint();
  const deliveryId = reader.u16();
  return { queueId, position, session, deliveryId, returns: reader.version >= 3 && reader.u8() === 1 };
}

export function writeOrigins(writer: RowWriter, kind: number, session: number, ids: readonly OriginId[]): void {
  begin(writer, kind);
  writer.varint(session);
  writer.varint(ids.length);
  for (const id of ids) writeOriginId(writer, id);
  writer.end();
}

/** For the kinds `originReleased` and `origins`. */
export function readOrigins(bytes: Uint8Array, start: number, end: number): { session: number; ids: OriginId[] } {
  const reader = open(bytes, start, end);
  const session = reader.varint();
  const ids: OriginId[] = [];
  for (let n = reader.varint(); n > 0; n--) ids.push(readOriginId(reader));
  return { session, ids };
}

export type QueueRecord = {
  readonly queueId: number;
  readonly kind: 'shared' | 'named' | 'delayed';
  /** It is gone but for what is under way. */
  readonly retired: boolean;
  readonly tenant: string;
  readonly name: string;
  /** Positions never repeat. */
  readonly nextPosition: number;
  /** How long a shared queue outlives its last member; Infinity: until that one unsubscribes. */
  readonly keepMs: number;
  /** Wall-clock time at which it lost its last member; 0: it has one, or never had. */
  readonly forsakenAtMs: number;
  /** Of a shared queue without members: what it takes meanwhile. */
  readonly selector: string | undefined;
};

const QueueFlag = { shared: 1, named: 2, retired: 4, delayed: 8, selector: 16 } as const;

export function writeQueue(writer: RowWriter, queue: QueueRecord): void {
  begin(writer, RecordKind.queue);
  writer.varint(queue.queueId);
  writer.u8(QueueFlag[queue.kind] | (queue.retired ? QueueFlag.retired : 0) | (queue.selector === undefined ? 0 : QueueFlag.selector));
  writer.string(queue.tenant);
  writer.string(queue.name);
  writer.varint(queue.nextPosition);
  writeDuration(writer, queue.keepMs);
  writer.u64(queue.forsakenAtMs);
  if (queue.selector !== undefined) writer.string(queue.selector);
  writer.end();
}

export function readQueue(bytes: Uint8Array, start: number, end: number): QueueRecord {
  const reader = open(bytes, start, end);
  const queueId = reader.varint();
  const flags = reader.u8();
  const kind = (flags & QueueFlag.shared) !== 0 ? 'shared' : (flags & QueueFlag.delayed) !== 0 ? 'delayed' : 'named';
  const retired = (flags & QueueFlag.retired) !== 0;
  const tenant = reader.string();
  const name = reader.string();
  const isOld = reader.version < 3;
  const nextPosition = isOld ? 1 : reader.varint();
  const keepMs = isOld ? 0 : readDuration(reader);
  const forsakenAtMs = isOld ? 0 : reader.u64();
  const selector = (flags & QueueFlag.selector) === 0 ? undefined : reader.string();
  return { queueId, kind, retired, tenant, name, nextPosition, keepMs, forsakenAtMs, selector };
}

/** A record whose body is one number, for the kinds `removed` and `counters`. */
export function writeNumber(writer: RowWriter, kind: number, value: number): void {
  begin(writer, kind);
  writer.varint(value);
  writer.end();
}

export function readNumber(bytes: Uint8Array, start: number, end: number): number {
  return open(bytes, start, end).varint();
}

/** An entry of another shard's queue. */
export type MovedFrom = { readonly shard: number; readonly queueId: number; readonly position: number };

export function writeMovedFrom(writer: RowWriter, from: MovedFrom): void {
  begin(writer, RecordKind.movedFrom);
  writer.varint(from.shard);
  writer.varint(from.queueId);
  writer.varint(from.position);
  writer.end();
}

export function readMovedFrom(bytes: Uint8Array, start: number, end: number): MovedFrom {
  const reader = open(bytes, start, end);
  return { shard: reader.varint(), queueId: reader.varint(), position: reader.varint() };
}

export type RetainedRecord = {
  readonly tenant: string;
  readonly topic: string;
  readonly stored: StoredReference | undefined;
  /** The principal that published it; empty: not known, or nothing is stored. */
  readonly owner: string;
};

/** `stored` undefined: cleared. */
export function writeRetained(writer: RowWriter, retained: RetainedRecord): void {
  begin(writer, retained.stored === undefined ? RecordKind.retainedCleared : RecordKind.retained);
  writer.string(retained.tenant);
  writer.string(retained.topic);
  if (retained.stored !== undefined) {
    writeReference(writer, retained.stored);
    writer.string(retained.owner);
  }
  writer.end();
}

export function readRetained(kind: number, bytes: Uint8Array, start: number, end: number): RetainedRecord {
  const reader = open(bytes, start, end);
  const tenant = reader.string();
  const topic = reader.string();
  if (kind !== RecordKind.retained) return { tenant, topic, stored: undefined, owner: '' };
  return { tenant, topic, stored: readReference(reader), owner: reader.version < 2 ? '' : reader.string() };
}

/** In the byte of the state. */
const returnsFlag = 0x80;

export type CheckpointedEntry = EntryFields & {
  readonly state: EntryState;
  /** Session that has it and the delivery id, for the states `sent` and `received`; else 0. */
  readonly session: number;
  readonly deliveryId: number;
  /** See DeliveryRecord. */
  readonly returns: boolean;
  /** Undefined when the state is `received`: the message is gone. */
  readonly stored: StoredReference | undefined;
};

export function writeEntries(writer: RowWriter, entries: readonly CheckpointedEntry[]): void {
  begin(writer, RecordKind.entries);
  writer.varint(entries.length);
  for (const entry of entries) {
    writeEntry(writer, entry);
    writer.u8(entryStates.indexOf(entry.state) | (entry.returns ? returnsFlag : 0));
    writer.varint(entry.session);
    writer.u16(entry.deliveryId);
    writer.u8(entry.stored === undefined ? 0 : 1);
    if (entry.stored !== undefined) writeReference(writer, entry.stored);
  }
  writer.end();
}

export function readEntries(bytes: Uint8Array, start: number, end: number): CheckpointedEntry[] {
  const reader = open(bytes, start, end);
  const entries: CheckpointedEntry[] = [];
  for (let n = reader.varint(); n > 0; n--) {
    const fields = readEntry(reader);
    const flags = reader.u8();
    const state = entryStates[flags & ~returnsFlag];
    if (state === undefined) throw new RowError('unknown state of a queue entry');
    const session = reader.varint();
    const deliveryId = reader.u16();
    const stored = reader.u8() === 1 ? readReference(reader) : undefined;
    if ((state === 'received') !== (stored === undefined)) throw new RowError(`a queue entry that is ${state}, and its message do not fit`);
    entries.push({ ...fields, state, session, deliveryId, returns: (flags & returnsFlag) !== 0, stored });
  }
  return entries;
}

// The records of a shard's journal: what they hold, and nothing about what they mean for the broker's state (recovery.ts).
//
// Rules for long life: a body begins with its version; a kind's number is never reused; fields are only ever appended under a
// new version; test/fixtures holds a journal of every released format.

import type { Attributes } from '../message/attributes.ts';
import { Message } from '../message/message.ts';
import type { Guarantee } from '../message/message.ts';
import { RowError } from '../store/row.ts';
import { readAttributes, writeAttributes } from './attributes-codec.ts';
import { RecordKind, begin, open, recordVersion } from './record-frame.ts';
import type { RecordReader } from './record-reader.ts';
import type { RowWriter } from './row-writer.ts';

export { RecordKind, recordVersion };

const never = Number.MAX_SAFE_INTEGER;
const noEntries: readonly EntryFields[] = [];

/** Where an entry stands on its way. The index is what is stored. */
export const entryStates = ['ready', 'sent', 'received'] as const;
export type EntryState = (typeof entryStates)[number];

export type EntryFields = {
  readonly queueId: number;
  readonly position: number;
  readonly guarantee: Guarantee;
  readonly retained: boolean;
  readonly subscriptionIds: readonly number[] | undefined;
};

export type MessageRecord = {
  readonly message: Message;
  /** Set when the message is to be the retained one of its topic in this tenant. */
  readonly retainedIn: string | undefined;
  /** The publisher's session and packet id of an exactly-once message; session 0: none. */
  readonly originSession: number;
  readonly originId: number;
  readonly entries: readonly EntryFields[];
};

const Flag = { retainedIn: 1, attributes: 2, origin: 4, retain: 8 } as const;

/** Writes a message record; returns where its payload begins in the row. */
export function writeMessage(
  writer: RowWriter,
  message: Message,
  retainedIn: string | undefined,
  originSession: number,
  originId: number,
  entries: readonly EntryFields[],
): number {
  writer.begin(RecordKind.message);
  writer.u8(recordVersion);
  writeFields(writer, message, retainedIn, originSession, originId);
  writer.varint(entries.length);
  for (const entry of entries) writeEntry(writer, entry);
  const payloadStart = writer.raw(message.buffer, message.start, message.end);
  writer.end();
  return payloadStart;
}

function writeFields(writer: RowWriter, message: Message, retainedIn: string | undefined, originSession: number, originId: number): void {
  const flags =
    (retainedIn === undefined ? 0 : Flag.retainedIn) |
    (message.attributes === undefined ? 0 : Flag.attributes) |
    (originSession === 0 ? 0 : Flag.origin) |
    (message.retain ? Flag.retain : 0) |
    (message.guarantee << 4);
  writer.u8(flags);
  writer.u8(message.priority);
  writer.u64(message.acceptedAtMs);
  writer.u64(message.expiresAtMs);
  writer.string(message.sender);
  writer.bytes(message.topicBytes);
  if (retainedIn !== undefined) writer.string(retainedIn);
  if (originSession !== 0) {
    writer.varint(originSession);
    writer.u16(originId);
  }
  if (message.attributes !== undefined) writeAttributes(writer, message.attributes);
}

function writeEntry(writer: RowWriter, entry: EntryFields): void {
  writer.varint(entry.queueId);
  writer.varint(entry.position);
  writer.u8(entry.guarantee | (entry.retained ? 4 : 0) | (entry.subscriptionIds === undefined ? 0 : 8));
  if (entry.subscriptionIds === undefined) return;
  writer.varint(entry.subscriptionIds.length);
  for (const id of entry.subscriptionIds) writer.varint(id);
}

function readEntry(reader: RecordReader): EntryFields {
  const queueId = reader.varint();
  const position = reader.varint();
  const flags = reader.u8();
  let subscriptionIds: number[] | undefined;
  if ((flags & 8) !== 0) {
    subscriptionIds = [];
    for (let n = reader.varint(); n > 0; n--) subscriptionIds.push(reader.varint());
  }
  return { queueId, position, guarantee: (flags & 3) as Guarantee, retained: (flags & 4) !== 0, subscriptionIds };
}

/** Reads a message record; topic and payload are views of `bytes`. */
export function readMessage(bytes: Uint8Array, start: number, end: number): MessageRecord {
  const reader = open(bytes, start, end);
  const fields = readFields(reader);
  const count = reader.varint();
  let entries = noEntries;
  if (count > 0) {
    const list: EntryFields[] = [];
    for (let i = 0; i < count; i++) list.push(readEntry(reader));
    entries = list;
  }
  return {
    message: fields.message(bytes, reader.at, end),
    retainedIn: fields.retainedIn,
    originSession: fields.originSession,
    originId: fields.originId,
    entries,
  };
}

function readFields(reader: RecordReader) {
  const flags = reader.u8();
  const priority = reader.u8();
  const acceptedAtMs = reader.u64();
  const expiresAtMs = reader.u64();
  const sender = reader.string();
  const topicBytes = reader.view(reader.varint());
  const retainedIn = (flags & Flag.retainedIn) === 0 ? undefined : reader.string();
  const hasOrigin = (flags & Flag.origin) !== 0;
  const originSession = hasOrigin ? reader.varint() : 0;
  const originId = hasOrigin ? reader.u16() : 0;
  const attributes: Attributes | undefined = (flags & Flag.attributes) === 0 ? undefined : readAttributes(reader);
  const topic = reader.decode(topicBytes);
  const message = (buffer: Uint8Array, start: number, end: number): Message =>
    new Message(
      topic,
      topicBytes,
      buffer,
      start,
      end,
      ((flags >> 4) & 3) as Guarantee,
      (flags & Flag.retain) !== 0,
      priority,
      expiresAtMs,
      acceptedAtMs,
      sender,
      attributes,
    );
  return { retainedIn, originSession, originId, message };
}

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

export type DeliveryRecord = { readonly queueId: number; readonly position: number; readonly session: number; readonly deliveryId: number };

/** For the kinds `sent` and `received`. */
export function writeDelivery(writer: RowWriter, kind: number, delivery: DeliveryRecord): void {
  begin(writer, kind);
  writer.varint(delivery.queueId);
  writer.varint(delivery.position);
  writer.varint(delivery.session);
  writer.u16(delivery.deliveryId);
  writer.end();
}

export function readDelivery(bytes: Uint8Array, start: number, end: number): DeliveryRecord {
  const reader = open(bytes, start, end);
  return { queueId: reader.varint(), position: reader.varint(), session: reader.varint(), deliveryId: reader.u16() };
}

export function writeOrigins(writer: RowWriter, kind: number, session: number, ids: readonly number[]): void {
  begin(writer, kind);
  writer.varint(session);
  writer.varint(ids.length);
  for (const id of ids) writer.u16(id);
  writer.end();
}

/** For the kinds `originReleased` and `origins`. */
export function readOrigins(bytes: Uint8Array, start: number, end: number): { session: number; ids: number[] } {
  const reader = open(bytes, start, end);
  const session = reader.varint();
  const ids: number[] = [];
  for (let n = reader.varint(); n > 0; n--) ids.push(reader.u16());
  return { session, ids };
}

export type WillRecord = {
  readonly message: Message;
  readonly delayMs: number;
  /** Wall-clock time at which it is due, once the connection is lost; 0 while it is up. */
  readonly dueAtMs: number;
};

export type SessionRecord = {
  readonly queueId: number;
  readonly tenant: string;
  readonly clientId: string;
  readonly protocol: string;
  /** Principal that owns it. */
  readonly owner: string;
  /** 0: the record only keeps its will; Infinity: for ever. */
  readonly expiryMs: number;
  /** Wall-clock time of the disconnect; 0 while connected. */
  readonly disconnectedAtMs: number;
  readonly will: WillRecord | undefined;
};

export function writeSession(writer: RowWriter, session: SessionRecord): void {
  begin(writer, RecordKind.session);
  writer.varint(session.queueId);
  writer.string(session.tenant);
  writer.string(session.clientId);
  writer.string(session.protocol);
  writer.string(session.owner);
  writer.u64(session.expiryMs === Infinity ? never : session.expiryMs);
  writer.u64(session.disconnectedAtMs);
  writer.u8(session.will === undefined ? 0 : 1);
  if (session.will !== undefined) {
    const { message, delayMs, dueAtMs } = session.will;
    writer.u64(delayMs);
    writer.u64(dueAtMs);
    writeWhole(writer, message);
  }
  writer.end();
}

/** A message within another record: nothing refers to it there. */
export function writeWhole(writer: RowWriter, message: Message): void {
  writeFields(writer, message, undefined, 0, 0);
  writer.bytes(message.payload());
}

/** On bytes of its own. */
export function readWhole(reader: RecordReader): Message {
  const fields = readFields(reader);
  const payload = reader.ownBytes();
  return ownTopic(fields.message(payload, 0, payload.length));
}

export function readSession(bytes: Uint8Array, start: number, end: number): SessionRecord {
  const reader = open(bytes, start, end);
  const queueId = reader.varint();
  const tenant = reader.string();
  const clientId = reader.string();
  const protocol = reader.string();
  const owner = reader.string();
  const expiry = reader.u64();
  const disconnectedAtMs = reader.u64();
  let will: WillRecord | undefined;
  if (reader.u8() === 1) {
    const delayMs = reader.u64();
    const dueAtMs = reader.u64();
    will = { message: readWhole(reader), delayMs, dueAtMs };
  }
  return { queueId, tenant, clientId, protocol, owner, expiryMs: expiry === never ? Infinity : expiry, disconnectedAtMs, will };
}

/** The message with topic bytes of its own instead of a view of the row. */
function ownTopic(m: Message): Message {
  const topicBytes = m.topicBytes.slice();
  return new Message(
    m.topic,
    topicBytes,
    m.buffer,
    m.start,
    m.end,
    m.guarantee,
    m.retain,
    m.priority,
    m.expiresAtMs,
    m.acceptedAtMs,
    m.sender,
    m.attributes,
  );
}

export type SubscriptionRecord = {
  readonly queueId: number;
  /** As the peer wrote it, with `$share/…` or `$queue/…` in front. */
  readonly filter: string;
  readonly guarantee: Guarantee;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly subscriptionId: number;
};

export function writeSubscribe(writer: RowWriter, subscription: SubscriptionRecord): void {
  begin(writer, RecordKind.subscribe);
  writer.varint(subscription.queueId);
  writer.string(subscription.filter);
  writer.u8(subscription.guarantee | (subscription.noLocal ? 4 : 0) | (subscription.retainAsPublished ? 8 : 0));
  writer.varint(subscription.subscriptionId);
  writer.end();
}

export function readSubscribe(bytes: Uint8Array, start: number, end: number): SubscriptionRecord {
  const reader = open(bytes, start, end);
  const queueId = reader.varint();
  const filter = reader.string();
  const flags = reader.u8();
  return {
    queueId,
    filter,
    guarantee: (flags & 3) as Guarantee,
    noLocal: (flags & 4) !== 0,
    retainAsPublished: (flags & 8) !== 0,
    subscriptionId: reader.varint(),
  };
}

export function writeUnsubscribe(writer: RowWriter, queueId: number, filter: string): void {
  begin(writer, RecordKind.unsubscribe);
  writer.varint(queueId);
  writer.string(filter);
  writer.end();
}

export function readUnsubscribe(bytes: Uint8Array, start: number, end: number): { queueId: number; filter: string } {
  const reader = open(bytes, start, end);
  return { queueId: reader.varint(), filter: reader.string() };
}

export type QueueRecord = {
  readonly queueId: number;
  readonly kind: 'shared' | 'named';
  /** It is gone but for what is under way. */
  readonly retired: boolean;
  readonly tenant: string;
  readonly name: string;
};

const QueueFlag = { shared: 1, named: 2, retired: 4 } as const;

export function writeQueue(writer: RowWriter, queue: QueueRecord): void {
  begin(writer, RecordKind.queue);
  writer.varint(queue.queueId);
  writer.u8(QueueFlag[queue.kind] | (queue.retired ? QueueFlag.retired : 0));
  writer.string(queue.tenant);
  writer.string(queue.name);
  writer.end();
}

export function readQueue(bytes: Uint8Array, start: number, end: number): QueueRecord {
  const reader = open(bytes, start, end);
  const queueId = reader.varint();
  const flags = reader.u8();
  const kind = (flags & QueueFlag.shared) !== 0 ? 'shared' : 'named';
  return { queueId, kind, retired: (flags & QueueFlag.retired) !== 0, tenant: reader.string(), name: reader.string() };
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

/** Where a stored message stands, and what recovery must know of it without reading it. */
export type StoredReference = { readonly row: number; readonly index: number; readonly bytes: number; readonly expiresAtMs: number };

function writeReference(writer: RowWriter, reference: StoredReference): void {
  writer.varint(reference.row);
  writer.varint(reference.index);
  writer.varint(reference.bytes);
  writer.u64(reference.expiresAtMs);
}

function readReference(reader: RecordReader): StoredReference {
  return { row: reader.varint(), index: reader.varint(), bytes: reader.varint(), expiresAtMs: reader.u64() };
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

export type CheckpointedEntry = EntryFields & {
  readonly state: EntryState;
  /** Session that has it and the delivery id, for the states `sent` and `received`; else 0. */
  readonly session: number;
  readonly deliveryId: number;
  /** Undefined when the state is `received`: the message is gone. */
  readonly stored: StoredReference | undefined;
};

export function writeEntries(writer: RowWriter, entries: readonly CheckpointedEntry[]): void {
  begin(writer, RecordKind.entries);
  writer.varint(entries.length);
  for (const entry of entries) {
    writeEntry(writer, entry);
    writer.u8(entryStates.indexOf(entry.state));
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
    const state = entryStates[reader.u8()];
    if (state === undefined) throw new RowError('unknown state of a queue entry');
    const session = reader.varint();
    const deliveryId = reader.u16();
    const stored = reader.u8() === 1 ? readReference(reader) : undefined;
    if ((state === 'received') !== (stored === undefined)) throw new RowError(`a queue entry that is ${state}, and its message do not fit`);
    entries.push({ ...fields, state, session, deliveryId, stored });
  }
  return entries;
}

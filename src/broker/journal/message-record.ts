// The record of a message with the queues that it entered: the one that is written for every message, and so the one whose size
// and speed matter.

import type { Attributes } from '../../message/attributes.ts';
import { Message } from '../../message/message.ts';
import type { Guarantee } from '../../message/message.ts';
import { RowError } from '../../store/row.ts';
import { readAttributes, writeAttributes } from './attributes-codec.ts';
import { RecordKind, open, recordVersion } from './record-frame.ts';
import type { RecordReader } from './record-reader.ts';
import type { RowWriter } from './row-writer.ts';

const noEntries: readonly EntryFields[] = [];

/**
 * What a publisher's exactly-once message is recognised by until it is released: its packet id, 1 to 65,535, or the tag of the
 * delivery, up to 32 bytes, one character each.
 */
export type OriginId = number | string;

export const maxTagBytes = 32;
/** In place of the length of a tag: a packet id follows. */
const isPacketId = 0xff;

export type EntryFields = {
  readonly queueId: number;
  readonly position: number;
  readonly guarantee: Guarantee;
  readonly retained: boolean;
  readonly subscriptionIds: readonly number[] | undefined;
  /** How often delivering it has failed. */
  readonly deliveryCount: number;
};

export type MessageRecord = {
  readonly message: Message;
  /** Set when the message is to be the retained one of its topic in this tenant. */
  readonly retainedIn: string | undefined;
  /** The publisher's session of an exactly-once message, and what it is recognised by; session 0: none. */
  readonly originSession: number;
  readonly originId: OriginId;
  readonly entries: readonly EntryFields[];
};

const Flag = { retainedIn: 1, attributes: 2, origin: 4, retain: 8 } as const;
const EntryFlag = { retained: 4, subscriptionIds: 8, deliveryCount: 16 } as const;

/** Writes a message record; returns where its payload begins in the row. */
export function writeMessage(
  writer: RowWriter,
  message: Message,
  retainedIn: string | undefined,
  originSession: number,
  originId: OriginId,
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

/** All of a message but its payload. */
function writeFields(writer: RowWriter, message: Message, retainedIn: string | undefined, originSession: number, originId: OriginId): void {
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
    writeOriginId(writer, originId);
  }
  if (message.attributes !== undefined) writeAttributes(writer, message.attributes);
}

export function writeEntry(writer: RowWriter, entry: EntryFields): void {
  writer.varint(entry.queueId);
  writer.varint(entry.position);
  const { guarantee, retained, subscriptionIds, deliveryCount } = entry;
  writer.u8(
    guarantee |
      (retained ? EntryFlag.retained : 0) |
      (subscriptionIds === undefined ? 0 : EntryFlag.subscriptionIds) |
      (deliveryCount === 0 ? 0 : EntryFlag.deliveryCount),
  );
  if (subscriptionIds !== undefined) {
    writer.varint(subscriptionIds.length);
    for (const id of subscriptionIds) writer.varint(id);
  }
  if (deliveryCount > 0) writer.varint(deliveryCount);
}

export function readEntry(reader: RecordReader): EntryFields {
  const queueId = reader.varint();
  const position = reader.varint();
  const flags = reader.u8();
  let subscriptionIds: number[] | undefined;
  if ((flags & EntryFlag.subscriptionIds) !== 0) {
    subscriptionIds = [];
    for (let n = reader.varint(); n > 0; n--) subscriptionIds.push(reader.varint());
  }
  const retained = (flags & EntryFlag.retained) !== 0;
  const deliveryCount = (flags & EntryFlag.deliveryCount) === 0 ? 0 : reader.varint();
  return { queueId, position, guarantee: (flags & 3) as Guarantee, retained, subscriptionIds, deliveryCount };
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
  const originId = hasOrigin ? readOriginId(reader) : 0;
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

export function writeOriginId(writer: RowWriter, id: OriginId): void {
  if (typeof id === 'number') {
    writer.u8(isPacketId);
    writer.u16(id);
    return;
  }
  writer.u8(id.length);
  for (let i = 0; i < id.length; i++) writer.u8(id.charCodeAt(i));
}

export function readOriginId(reader: RecordReader): OriginId {
  if (reader.version < 3) return reader.u16();
  const length = reader.u8();
  if (length === isPacketId) return reader.u16();
  if (length > maxTagBytes) throw new RowError('the tag of a delivery is too long');
  let tag = '';
  for (let i = 0; i < length; i++) tag += String.fromCharCode(reader.u8());
  return tag;
}

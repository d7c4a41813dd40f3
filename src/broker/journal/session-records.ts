// The records of a session: what it is, its will, and what it subscribes to.

import type { Guarantee, Message } from '../../message/message.ts';
import { readWhole, writeWhole } from './message-record.ts';
import { RecordKind, begin, open, readDuration, writeDuration } from './record-frame.ts';
import type { RowWriter } from './row-writer.ts';

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
  /** Of its inbox: positions never repeat. */
  readonly nextPosition: number;
  /** See AttachRequest. */
  readonly deadLetters: boolean;
  readonly queuesAtMostOnce: boolean;
  /** It is a part of a connection, not one of its own. */
  readonly isPart: boolean;
};

const SessionFlag = { deadLetters: 1, queuesAtMostOnce: 2, isPart: 4 } as const;

export function writeSession(writer: RowWriter, session: SessionRecord): void {
  begin(writer, RecordKind.session);
  writer.varint(session.queueId);
  writer.string(session.tenant);
  writer.string(session.clientId);
  writer.string(session.protocol);
  writer.string(session.owner);
  writeDuration(writer, session.expiryMs);
  writer.u64(session.disconnectedAtMs);
  writer.u8(session.will === undefined ? 0 : 1);
  if (session.will !== undefined) {
    const { message, delayMs, dueAtMs } = session.will;
    writer.u64(delayMs);
    writer.u64(dueAtMs);
    writeWhole(writer, message);
  }
  writer.varint(session.nextPosition);
  writer.u8(
    (session.deadLetters ? SessionFlag.deadLetters : 0) |
      (session.queuesAtMostOnce ? SessionFlag.queuesAtMostOnce : 0) |
      (session.isPart ? SessionFlag.isPart : 0),
  );
  writer.end();
}

export function readSession(bytes: Uint8Array, start: number, end: number): SessionRecord {
  const reader = open(bytes, start, end);
  const queueId = reader.varint();
  const tenant = reader.string();
  const clientId = reader.string();
  const protocol = reader.string();
  const owner = reader.string();
  const expiryMs = readDuration(reader);
  const disconnectedAtMs = reader.u64();
  let will: WillRecord | undefined;
  if (reader.u8() === 1) {
    const delayMs = reader.u64();
    const dueAtMs = reader.u64();
    will = { message: readWhole(reader), delayMs, dueAtMs };
  }
  const nextPosition = reader.version < 3 ? 1 : reader.varint();
  const flags = reader.version < 3 ? 0 : reader.u8();
  return {
    queueId,
    tenant,
    clientId,
    protocol,
    owner,
    expiryMs,
    disconnectedAtMs,
    will,
    nextPosition,
    deadLetters: (flags & SessionFlag.deadLetters) !== 0,
    queuesAtMostOnce: (flags & SessionFlag.queuesAtMostOnce) !== 0,
    isPart: (flags & SessionFlag.isPart) !== 0,
  };
}

export type SubscriptionRecord = {
  readonly queueId: number;
  /** As the peer wrote it, with `$share/…` or `$queue/…` in front. */
  readonly filter: string;
  readonly guarantee: Guarantee;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly subscriptionId: number;
  /** See SubscribeRequest. */
  readonly selector: string | undefined;
  readonly exclusive: boolean;
  readonly browse: boolean;
  readonly retainedOnly: boolean;
};

const SubscriptionFlag = { noLocal: 4, retainAsPublished: 8, selector: 16, exclusive: 32, browse: 64, retainedOnly: 128 } as const;

export function writeSubscribe(writer: RowWriter, subscription: SubscriptionRecord): void {
  begin(writer, RecordKind.subscribe);
  writer.varint(subscription.queueId);
  writer.string(subscription.filter);
  writer.u8(
    subscription.guarantee |
      (subscription.noLocal ? SubscriptionFlag.noLocal : 0) |
      (subscription.retainAsPublished ? SubscriptionFlag.retainAsPublished : 0) |
      (subscription.selector === undefined ? 0 : SubscriptionFlag.selector) |
      (subscription.exclusive ? SubscriptionFlag.exclusive : 0) |
      (subscription.browse ? SubscriptionFlag.browse : 0) |
      (subscription.retainedOnly ? SubscriptionFlag.retainedOnly : 0),
  );
  writer.varint(subscription.subscriptionId);
  if (subscription.selector !== undefined) writer.string(subscription.selector);
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
    noLocal: (flags & SubscriptionFlag.noLocal) !== 0,
    retainAsPublished: (flags & SubscriptionFlag.retainAsPublished) !== 0,
    subscriptionId: reader.varint(),
    selector: (flags & SubscriptionFlag.selector) === 0 ? undefined : reader.string(),
    exclusive: (flags & SubscriptionFlag.exclusive) !== 0,
    browse: (flags & SubscriptionFlag.browse) !== 0,
    retainedOnly: (flags & SubscriptionFlag.retainedOnly) !== 0,
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

// The records of transactions whose effects stand in several shards (redo.ts).

import type { Message } from '../../message/message.ts';
import { RowError } from '../../store/row.ts';
import { RecordKind, begin, open } from '../journal/record-frame.ts';
import type { RecordReader } from '../journal/record-reader.ts';
import type { RowWriter } from '../journal/row-writer.ts';
import { readWhole, writeWhole } from '../journal/message-record.ts';

/** Names a transaction for ever: the shard that holds its record, and the row and index at which that was written first. */
export type TransactionId = { readonly shard: number; readonly row: number; readonly index: number };

/** How an entry leaves its queue. The index is what is stored. `received`: its peer waits for the release of an exactly-once delivery. */
export const redoneSettlements = ['accepted', 'received', 'rejected'] as const;
export type RedoneSettlement = (typeof redoneSettlements)[number];

export type SettledEntry = {
  readonly shard: number;
  readonly queueId: number;
  readonly position: number;
  readonly settlement: RedoneSettlement;
  /** Of what is rejected. */
  readonly reason: { readonly condition: string; readonly description: string | undefined } | undefined;
};

export type TransactionRecord = {
  readonly id: TransactionId;
  /** Says in which order those that are committed were, whichever shards hold them. Unique among those that are not done. */
  readonly order: number;
  readonly tenant: string;
  /** Shards in which messages may enter queues or become retained: others are not touched, whoever has subscribed there since. */
  readonly parts: readonly number[];
  readonly settled: readonly SettledEntry[];
  readonly messages: readonly Message[];
};

export function keyOf({ shard, row, index }: TransactionId): string {
  return `${shard}:${row}:${index}`;
}

export function writeTransaction(writer: RowWriter, { id, order, tenant, parts, settled, messages }: TransactionRecord): void {
  begin(writer, RecordKind.transaction);
  writeId(writer, id);
  writer.varint(order);
  writer.string(tenant);
  writer.varint(parts.length);
  for (const part of parts) writer.varint(part);
  writer.varint(settled.length);
  for (const entry of settled) writeSettled(writer, entry);
  writer.varint(messages.length);
  for (const message of messages) writeWhole(writer, message);
  writer.end();
}

export function readTransaction(bytes: Uint8Array, start: number, end: number): TransactionRecord {
  const reader = open(bytes, start, end);
  const id = readId(reader);
  const order = reader.varint();
  const tenant = reader.string();
  const parts: number[] = [];
  for (let n = reader.varint(); n > 0; n--) parts.push(reader.varint());
  const settled: SettledEntry[] = [];
  for (let n = reader.varint(); n > 0; n--) settled.push(readSettled(reader));
  const messages: Message[] = [];
  for (let n = reader.varint(); n > 0; n--) messages.push(readWhole(reader));
  return { id, order, tenant, parts, settled, messages };
}

/** For the kinds `transactionDone` and `transactionPart`. */
export function writeTransactionId(writer: RowWriter, kind: number, id: TransactionId): void {
  begin(writer, kind);
  writeId(writer, id);
  writer.end();
}

export function readTransactionId(bytes: Uint8Array, start: number, end: number): TransactionId {
  return readId(open(bytes, start, end));
}

function writeId(writer: RowWriter, { shard, row, index }: TransactionId): void {
  writer.varint(shard);
  writer.varint(row);
  writer.varint(index);
}

function readId(reader: RecordReader): TransactionId {
  return { shard: reader.varint(), row: reader.varint(), index: reader.varint() };
}

function writeSettled(writer: RowWriter, { shard, queueId, position, settlement, reason }: SettledEntry): void {
  writer.varint(shard);
  writer.varint(queueId);
  writer.varint(position);
  writer.u8(redoneSettlements.indexOf(settlement));
  writer.u8((reason === undefined ? 0 : 1) | (reason?.description === undefined ? 0 : 2));
  if (reason === undefined) return;
  writer.string(reason.condition);
  if (reason.description !== undefined) writer.string(reason.description);
}

function readSettled(reader: RecordReader): SettledEntry {
  const shard = reader.varint();
  const queueId = reader.varint();
  const position = reader.varint();
  const settlement = redoneSettlements[reader.u8()];
  if (settlement === undefined) throw new RowError('unknown settlement in a transaction');
  const flags = reader.u8();
  const condition = (flags & 1) === 0 ? undefined : reader.string();
  const description = (flags & 2) === 0 ? undefined : reader.string();
  return { shard, queueId, position, settlement, reason: condition === undefined ? undefined : { condition, description } };
}

import { defaultPriority } from '../../message/message.ts';
import type { RecordReader } from './record-reader.ts';
import type { RowWriter } from './row-writer.ts';

/** Where a stored message stands, and what recovery must know of it without reading it. */
export type StoredReference = {
  readonly row: number;
  readonly index: number;
  readonly bytes: number;
  readonly expiresAtMs: number;
  readonly priority: number;
  readonly groupId: string | undefined;
  /** 0: at once. */
  readonly deliverAtMs: number;
};

const maxPriority = 15;
const ReferenceFlag = { groupId: 16, deliverAtMs: 32 } as const;

export function writeReference(
  writer: RowWriter,
  { row, index, bytes, expiresAtMs, priority, groupId, deliverAtMs }: StoredReference,
): void {
  writer.varint(row);
  writer.varint(index);
  writer.varint(bytes);
  writer.u64(expiresAtMs);
  writer.u8(priority | (groupId === undefined ? 0 : ReferenceFlag.groupId) | (deliverAtMs === 0 ? 0 : ReferenceFlag.deliverAtMs));
  if (groupId !== undefined) writer.string(groupId);
  if (deliverAtMs > 0) writer.u64(deliverAtMs);
}

export function readReference(reader: RecordReader): StoredReference {
  const row = reader.varint();
  const index = reader.varint();
  const bytes = reader.varint();
  const expiresAtMs = reader.u64();
  const flags = reader.version < 3 ? defaultPriority : reader.u8();
  const groupId = (flags & ReferenceFlag.groupId) === 0 ? undefined : reader.string();
  const deliverAtMs = (flags & ReferenceFlag.deliverAtMs) === 0 ? 0 : reader.u64();
  return { row, index, bytes, expiresAtMs, priority: flags & maxPriority, groupId, deliverAtMs };
}

// Message attributes as journal bytes: a list of (field, value), ended by 0. A value carries its type.

import type { Attributes, Death, MessageId, Property, ReplyAddress, TypedValue } from '../../message/attributes.ts';
import { residueReader } from '../../message/residues.ts';
import { RowError } from '../../store/row.ts';
import type { RecordReader } from './record-reader.ts';
import type { RowWriter } from './row-writer.ts';

const Field = {
  end: 0,
  payloadFormat: 1,
  contentType: 2,
  contentEncoding: 3,
  property: 4,
  correlation: 5,
  messageId: 6,
  replyToTopic: 7,
  replyToQueue: 8,
  subject: 9,
  groupId: 10,
  groupSequence: 11,
  residue: 12,
  // Since version 3.
  deliverAtMs: 13,
  death: 14,
  annotation: 15,
} as const;

/** Order matters: the index is what is stored. Only ever append. */
const types = [
  'null',
  'boolean',
  'string',
  'symbol',
  'uuid',
  'byte',
  'short',
  'int',
  'ubyte',
  'ushort',
  'uint',
  'long',
  'ulong',
  'timestamp',
  'float',
  'double',
  'binary',
] as const satisfies readonly TypedValue['type'][];

const scratch = new DataView(new ArrayBuffer(8));

export function writeAttributes(writer: RowWriter, attributes: Attributes): void {
  if (attributes.isReadFromResidue !== true) writeOwnFields(writer, attributes);
  if (attributes.deliverAtMs !== undefined) {
    writer.u8(Field.deliverAtMs);
    writer.u64(attributes.deliverAtMs);
  }
  if (attributes.death !== undefined) writeDeath(writer, attributes.death);
  for (const annotation of attributes.annotations ?? []) {
    writer.u8(Field.annotation);
    writer.string(annotation.key);
    writeValue(writer, annotation.value);
  }
  if (attributes.residue !== undefined) {
    writer.u8(Field.residue);
    writer.string(attributes.residue.protocol);
    writer.bytes(attributes.residue.bytes);
  }
  writer.u8(Field.end);
}

/** What its publisher has said, in neutral words. */
function writeOwnFields(writer: RowWriter, attributes: Attributes): void {
  const texts = [
    [Field.contentType, attributes.contentType],
    [Field.contentEncoding, attributes.contentEncoding],
    [Field.subject, attributes.subject],
    [Field.groupId, attributes.groupId],
  ] as const;
  for (const [field, value] of texts) {
    if (value === undefined) continue;
    writer.u8(field);
    writer.string(value);
  }
  if (attributes.payloadFormat !== undefined) {
    writer.u8(Field.payloadFormat);
    writer.u8(attributes.payloadFormat === 'utf8' ? 1 : 0);
  }
  for (const property of attributes.properties ?? []) {
    writer.u8(Field.property);
    writer.string(property.key);
    writeValue(writer, property.value);
  }
  if (attributes.correlation !== undefined) {
    writer.u8(Field.correlation);
    writeValue(writer, attributes.correlation);
  }
  if (attributes.messageId !== undefined) {
    writer.u8(Field.messageId);
    writeValue(writer, attributes.messageId);
  }
  if (attributes.replyTo !== undefined) {
    writer.u8(attributes.replyTo.kind === 'topic' ? Field.replyToTopic : Field.replyToQueue);
    writer.string(attributes.replyTo.name);
  }
  if (attributes.groupSequence !== undefined) {
    writer.u8(Field.groupSequence);
    writer.varint(attributes.groupSequence);
  }
}

/** What stands beside a residue that holds all other fields. */
const besideResidue: ReadonlySet<number> = new Set([Field.residue, Field.deliverAtMs, Field.death, Field.annotation]);

export function readAttributes(reader: RecordReader): Attributes {
  const attributes: { -readonly [K in keyof Attributes]: Attributes[K] } = {};
  const properties: Property[] = [];
  const annotations: Property[] = [];
  let isResidueAlone = true;
  for (;;) {
    const field = reader.u8();
    if (field !== Field.end && !besideResidue.has(field)) isResidueAlone = false;
    switch (field) {
      case Field.end:
        if (properties.length > 0) attributes.properties = properties;
        if (annotations.length > 0) attributes.annotations = annotations;
        if (isResidueAlone && attributes.residue !== undefined) {
          return residueReader(attributes.residue.protocol)?.(attributes.residue.bytes, attributes) ?? attributes;
        }
        return attributes;
      case Field.payloadFormat:
        attributes.payloadFormat = reader.u8() === 1 ? 'utf8' : 'bytes';
        break;
      case Field.contentType:
        attributes.contentType = reader.string();
        break;
      case Field.contentEncoding:
        attributes.contentEncoding = reader.string();
        break;
      case Field.property:
        properties.push({ key: reader.string(), value: readValue(reader) });
        break;
      case Field.correlation:
        attributes.correlation = readValue(reader) as MessageId;
        break;
      case Field.messageId:
        attributes.messageId = readValue(reader) as MessageId;
        break;
      case Field.replyToTopic:
      case Field.replyToQueue:
        attributes.replyTo = { kind: field === Field.replyToTopic ? 'topic' : 'queue', name: reader.string() } satisfies ReplyAddress;
        break;
      case Field.subject:
        attributes.subject = reader.string();
        break;
      case Field.groupId:
        attributes.groupId = reader.string();
        break;
      case Field.groupSequence:
        attributes.groupSequence = reader.varint();
        break;
      case Field.deliverAtMs:
        attributes.deliverAtMs = reader.u64();
        break;
      case Field.death:
        attributes.death = readDeath(reader);
        break;
      case Field.annotation:
        annotations.push({ key: reader.string(), value: readValue(reader) });
        break;
      case Field.residue:
        attributes.residue = { protocol: reader.string(), bytes: reader.ownBytes() };
        break;
      default:
        throw new RowError(`unknown attribute field ${field}`);
    }
  }
}

function writeDeath(writer: RowWriter, { reason, description, from, diedAtMs }: Death): void {
  writer.u8(Field.death);
  writer.string(reason);
  writer.u8(description === undefined ? 0 : 1);
  if (description !== undefined) writer.string(description);
  writer.string(from);
  writer.u64(diedAtMs);
}

function readDeath(reader: RecordReader): Death {
  const reason = reader.string();
  const description = reader.u8() === 0 ? undefined : reader.string();
  return { reason, ...(description !== undefined && { description }), from: reader.string(), diedAtMs: reader.u64() };
}

function writeValue(writer: RowWriter, value: TypedValue): void {
  writer.u8(types.indexOf(value.type));
  switch (value.type) {
    case 'null':
      break;
    case 'boolean':
      writer.u8(value.value ? 1 : 0);
      break;
    case 'string':
    case 'symbol':
    case 'uuid':
      writer.string(value.value);
      break;
    case 'binary':
      writer.bytes(value.value);
      break;
    case 'long':
    case 'ulong':
    case 'timestamp':
      scratch.setBigUint64(0, BigInt.asUintN(64, value.value));
      writeScratch(writer);
      break;
    default:
      scratch.setFloat64(0, value.value);
      writeScratch(writer);
  }
}

function writeScratch(writer: RowWriter): void {
  for (let i = 0; i < 8; i++) writer.u8(scratch.getUint8(i));
}

function readValue(reader: RecordReader): TypedValue {
  const type = types[reader.u8()];
  switch (type) {
    case undefined:
      throw new RowError('unknown type of a property value');
    case 'null':
      return { type, value: null };
    case 'boolean':
      return { type, value: reader.u8() === 1 };
    case 'string':
    case 'symbol':
    case 'uuid':
      return { type, value: reader.string() };
    case 'binary':
      return { type, value: reader.ownBytes() };
    case 'long':
    case 'timestamp':
      return { type, value: BigInt.asIntN(64, readScratch(reader).getBigUint64(0)) };
    case 'ulong':
      return { type, value: readScratch(reader).getBigUint64(0) };
    default:
      return { type, value: readScratch(reader).getFloat64(0) };
  }
}

function readScratch(reader: RecordReader): DataView {
  for (let i = 0; i < 8; i++) scratch.setUint8(i, reader.u8());
  return scratch;
}

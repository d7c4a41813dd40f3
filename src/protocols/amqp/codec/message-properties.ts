// The properties of a message [AMQP 3.2.4], and the sections that are maps: annotations, application properties, footer.

import { type AmqpFault, decodeFault } from './amqp-fault.ts';
import type { AmqpEntry } from './amqp-value.ts';
import {
  binaryField,
  type Composite,
  composite,
  type Field,
  readComposite,
  stringField,
  symbolField,
  uintField,
  writeComposite,
} from './composite.ts';
import { SectionCode } from './message-sections.ts';
import { ValueReader } from './value-reader.ts';
import type { ValueWriter } from './value-writer.ts';

/** [AMQP 3.2.11] to [AMQP 3.2.14] */
export type AmqpMessageId =
  | { readonly type: 'string' | 'uuid'; readonly value: string }
  | { readonly type: 'binary'; readonly value: Uint8Array }
  | { readonly type: 'ulong'; readonly value: bigint };

export type MessageProperties = {
  readonly type: 'properties';
  readonly messageId?: AmqpMessageId | undefined;
  readonly userId?: Uint8Array | undefined;
  readonly to?: string | undefined;
  readonly subject?: string | undefined;
  readonly replyTo?: string | undefined;
  readonly correlationId?: AmqpMessageId | undefined;
  readonly contentType?: string | undefined;
  readonly contentEncoding?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly absoluteExpiryTime?: number | undefined;
  /** Milliseconds since the epoch. */
  readonly creationTime?: number | undefined;
  readonly groupId?: string | undefined;
  readonly groupSequence?: number | undefined;
  readonly replyToGroupId?: string | undefined;
};

const messageIdField: Field<AmqpMessageId> = {
  read(reader) {
    const id = reader.value();
    if (id.type === 'string' || id.type === 'uuid') return { type: id.type, value: id.value };
    if (id.type === 'binary' || id.type === 'ulong') return id;
    reader.fail(decodeFault('a message id of another type'));
    return { type: 'string', value: '' };
  },
  write: (writer, value) => writer.value(value),
};

const timestampField: Field<number> = {
  read: (reader) => reader.timestamp(),
  write: (writer, value) => writer.timestamp(value),
};

const properties: Composite<MessageProperties> = composite<MessageProperties>('properties', SectionCode.properties, {
  messageId: messageIdField,
  userId: binaryField,
  to: stringField,
  subject: stringField,
  replyTo: stringField,
  correlationId: messageIdField,
  contentType: symbolField,
  contentEncoding: symbolField,
  absoluteExpiryTime: timestampField,
  creationTime: timestampField,
  groupId: stringField,
  groupSequence: uintField,
  replyToGroupId: stringField,
});

const reader = new ValueReader();

/** Decodes the value of a properties section: MessageSections.propertiesStart to propertiesEnd. */
export function decodeProperties(bytes: Uint8Array, start: number, end: number): MessageProperties | AmqpFault {
  reader.reset(bytes, start, end);
  const read = readComposite(reader, properties);
  reader.finish('properties');
  return reader.fault ?? read;
}

export function writePropertiesSection(writer: ValueWriter, value: MessageProperties): void {
  writeComposite(writer, properties, value);
}

/** The pairs of a section that is a map, in order: the value of annotations, application properties or footer. */
export function decodeMap(bytes: Uint8Array, start: number, end: number): readonly AmqpEntry[] | AmqpFault {
  reader.reset(bytes, start, end);
  const entries = reader.map();
  reader.finish('the map');
  return reader.fault ?? entries;
}

/** `section`: SectionCode of annotations, application properties or footer. */
export function writeMapSection(writer: ValueWriter, section: number, entries: readonly AmqpEntry[]): void {
  writer.descriptor(section);
  writer.map(entries);
}

/** The descriptor, constructor and size of a data section of `length` bytes; the bytes themselves must follow. */
export function writeDataHead(writer: ValueWriter, length: number): void {
  writer.descriptor(SectionCode.data);
  writer.binaryHead(length);
}

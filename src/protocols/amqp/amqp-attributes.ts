// The neutral fields of a message that came by AMQP, read from its residue when somebody asks: a message that goes from one AMQP
// peer to another is never decoded.

import type { Attributes, Death, MessageId, Property, ReplyAddress, TypedValue } from '../../message/attributes.ts';
import { replyAddressOf } from './address.ts';
import { Annotation } from './annotations.ts';
import { type AmqpEntry, type AmqpValue, MessageSections, scanMessage, ValueReader } from './codec/index.ts';
import { readResiduesBy } from '../../message/residues.ts';
import { Body, hasReplyTo, mayHaveGroup, readResidue, residueProtocol } from './residue.ts';

/** Content type of a payload that is a body in its AMQP encoding. */
export const amqpContentType = 'application/amqp';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class AmqpAttributes implements Attributes {
  readonly isReadFromResidue = true;
  readonly residue: { readonly protocol: string; readonly bytes: Uint8Array };
  readonly deliverAtMs: number | undefined;
  readonly death: Death | undefined;
  readonly annotations: readonly Property[] | undefined;
  #fields: Attributes | undefined = undefined;

  /** Takes over `bytes`. */
  constructor(bytes: Uint8Array, deliverAtMs: number | undefined, death?: Death, annotations?: readonly Property[]) {
    this.residue = { protocol: residueProtocol, bytes };
    this.deliverAtMs = deliverAtMs;
    this.death = death;
    this.annotations = annotations;
  }

  get payloadFormat(): 'bytes' | 'utf8' | undefined {
    return this.#read().payloadFormat;
  }

  get contentType(): string | undefined {
    return this.#read().contentType;
  }

  get contentEncoding(): string | undefined {
    return this.#read().contentEncoding;
  }

  get properties(): readonly Property[] | undefined {
    return this.#read().properties;
  }

  get correlation(): MessageId | undefined {
    return this.#read().correlation;
  }

  get messageId(): MessageId | undefined {
    return this.#read().messageId;
  }

  /** Asked of each delivery: most messages have none, which is seen without decoding anything. */
  get replyTo(): ReplyAddress | undefined {
    return hasReplyTo(this.residue.bytes) ? this.#read().replyTo : undefined;
  }

  get subject(): string | undefined {
    return this.#read().subject;
  }

  get groupId(): string | undefined {
    return mayHaveGroup(this.residue.bytes) ? this.#read().groupId : undefined;
  }

  get groupSequence(): number | undefined {
    return mayHaveGroup(this.residue.bytes) ? this.#read().groupSequence : undefined;
  }

  #read(): Attributes {
    return (this.#fields ??= fieldsOf(this.residue.bytes));
  }
}

readResiduesBy(residueProtocol, (bytes, { deliverAtMs, death, annotations }) => new AmqpAttributes(bytes, deliverAtMs, death, annotations));

const sections = new MessageSections();

/** What cannot be read is left out: the message has been taken, and other peers of its protocol get it as it is. */
function fieldsOf(bytes: Uint8Array): Attributes {
  const fields: Mutable<Attributes> = {};
  const residue = readResidue(bytes);
  if (residue === undefined || scanMessage(bytes, residue.annotationsStart, residue.framingStart, sections) !== undefined) return fields;
  const annotations = readAnnotations(bytes);
  readProperties(bytes, annotations.replyType, residue.plainIsQueue ? 'queue' : 'topic', fields);
  fields.properties = annotations.properties ?? applicationProperties(bytes);
  if (residue.body === Body.raw) fields.contentType = amqpContentType;
  else if (residue.text) fields.payloadFormat = 'utf8';
  return fields;
}

type KnownAnnotations = { readonly replyType: number | undefined; readonly properties: readonly Property[] | undefined };

function readAnnotations(bytes: Uint8Array): KnownAnnotations {
  let replyType: number | undefined;
  let properties: readonly Property[] | undefined;
  for (const [key, value] of mapOf(bytes, sections.messageAnnotationsStart, sections.messageAnnotationsEnd)) {
    if (key.type !== 'symbol') continue;
    if (key.value === Annotation.jmsReplyTo && value.type === 'byte') replyType = value.value;
    else if (key.value === Annotation.properties && value.type === 'list') properties = pairsOf(value.value);
  }
  return { replyType, properties };
}

/** Keys and values in turn. */
function pairsOf(values: readonly AmqpValue[]): readonly Property[] | undefined {
  const properties: Property[] = [];
  for (let i = 0; i + 1 < values.length; i += 2) {
    const key = values[i]!;
    const value = typedValue(values[i + 1]!);
    if (key.type === 'string' && value !== undefined) properties.push({ key: key.value, value });
  }
  return properties.length === 0 ? undefined : properties;
}

function applicationProperties(bytes: Uint8Array): readonly Property[] | undefined {
  const properties: Property[] = [];
  for (const [key, value] of mapOf(bytes, sections.applicationPropertiesStart, sections.applicationPropertiesEnd)) {
    const typed = typedValue(value);
    if ((key.type === 'string' || key.type === 'symbol') && typed !== undefined) properties.push({ key: key.value, value: typed });
  }
  return properties.length === 0 ? undefined : properties;
}

const noEntries: readonly AmqpEntry[] = [];

function mapOf(bytes: Uint8Array, start: number, end: number): readonly AmqpEntry[] {
  if (start < 0) return noEntries;
  const reader = new ValueReader(bytes, start, end);
  const entries = reader.map();
  return reader.fault === undefined ? entries : noEntries;
}

/** [AMQP 3.2.4] */
function readProperties(
  bytes: Uint8Array,
  replyType: number | undefined,
  plainAddress: 'topic' | 'queue',
  fields: Mutable<Attributes>,
): void {
  if (sections.propertiesStart < 0) return;
  const reader = new ValueReader(bytes, sections.propertiesStart, sections.propertiesEnd);
  const count = reader.enterList();
  for (let field = 0; field < count && reader.fault === undefined; field++) {
    const value = reader.value();
    if (reader.fault !== undefined || value.type === 'null') continue;
    takeProperty(field, value, replyType, plainAddress, fields);
  }
}

function takeProperty(
  field: number,
  value: AmqpValue,
  replyType: number | undefined,
  plainAddress: 'topic' | 'queue',
  fields: Mutable<Attributes>,
): void {
  const text = value.type === 'string' || value.type === 'symbol' ? value.value : undefined;
  switch (field) {
    case PropertyField.messageId:
      fields.messageId = identifier(value);
      break;
    case PropertyField.subject:
      fields.subject = text;
      break;
    case PropertyField.replyTo:
      fields.replyTo = text === undefined ? undefined : replyAddressOf(text, replyType, plainAddress);
      break;
    case PropertyField.correlationId:
      fields.correlation = identifier(value);
      break;
    case PropertyField.contentType:
      fields.contentType = text;
      break;
    case PropertyField.contentEncoding:
      fields.contentEncoding = text;
      break;
    case PropertyField.groupId:
      fields.groupId = text;
      break;
    case PropertyField.groupSequence:
      if (value.type === 'uint') fields.groupSequence = value.value;
      break;
  }
}

/** Places in the list of properties. */
export const PropertyField = {
  messageId: 0,
  userId: 1,
  to: 2,
  subject: 3,
  replyTo: 4,
  correlationId: 5,
  contentType: 6,
  contentEncoding: 7,
  absoluteExpiryTime: 8,
  creationTime: 9,
  groupId: 10,
  groupSequence: 11,
  replyToGroupId: 12,
} as const;

function identifier(value: AmqpValue): MessageId | undefined {
  switch (value.type) {
    case 'string':
    case 'symbol':
    case 'uuid':
    case 'binary':
    case 'ulong':
      return value;
    default:
      return undefined;
  }
}

/** As the neutral message has it; a char becomes a string, decimals their bytes. Undefined: a compound, which nobody else knows. */
function typedValue(value: AmqpValue): TypedValue | undefined {
  switch (value.type) {
    case 'char':
      return { type: 'string', value: String.fromCodePoint(value.value) };
    case 'decimal32':
    case 'decimal64':
    case 'decimal128':
      return { type: 'binary', value: value.value };
    case 'list':
    case 'map':
    case 'array':
    case 'described':
      return undefined;
    default:
      return value;
  }
}

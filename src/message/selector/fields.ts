// What an identifier of a selector stands for: a header of JMS, a field of AMQP or of ours, else a property of the message.

import type { MessageId, TypedValue } from '../attributes.ts';
import type { Message } from '../message.ts';

/** Undefined: NULL. An object: something that equals nothing (bytes). Exact numbers are bigints, or safe integers where no one divides. */
export type Value = number | bigint | string | boolean | object | undefined;

export type Reader = (message: Message) => Value;

export type Field = {
  /** For comparisons: nothing is allocated. Whether a number is exact is not to be seen. */
  readonly plain: Reader;
  /** For arithmetic: exact numbers as bigints. */
  readonly exact: Reader;
};

/** Not NULL, and equal to nothing. */
const incomparable = Object.freeze({});

const exactNumber = (read: (message: Message) => number | undefined): Field => ({
  plain: read,
  exact: (message) => {
    const value = read(message);
    return value === undefined ? undefined : BigInt(value);
  },
});
const other = (read: Reader): Field => ({ plain: read, exact: read });

const priority = exactNumber((message) => message.priority);
const acceptedAt = exactNumber((message) => message.acceptedAtMs);
/** JMS: 0 means never. AMQP has no value then. */
const expiry = exactNumber((message) => message.expiresAtMs);
const expiryIfAny = exactNumber((message) => (message.expiresAtMs === 0 ? undefined : message.expiresAtMs));
const subject = other((message) => message.attributes?.subject);
const groupId = other((message) => message.attributes?.groupId);
const groupSequence = exactNumber((message) => message.attributes?.groupSequence);
const topic = other((message) => message.topic);

const fields: ReadonlyMap<string, Field> = new Map([
  ['JMSPriority', priority],
  ['JMSTimestamp', acceptedAt],
  ['JMSExpiration', expiry],
  ['JMSDeliveryMode', other((message) => (message.guarantee === 0 ? 'NON_PERSISTENT' : 'PERSISTENT'))],
  ['JMSMessageID', other((message) => messageIdOfJms(message.attributes?.messageId))],
  ['JMSCorrelationID', other((message) => correlationOfJms(message.attributes?.correlation))],
  ['JMSType', subject],
  ['JMSXGroupID', groupId],
  ['JMSXGroupSeq', groupSequence],
  ['amqp.durable', other((message) => message.guarantee !== 0)],
  ['amqp.priority', priority],
  ['amqp.message_id', typed((message) => message.attributes?.messageId)],
  ['amqp.correlation_id', typed((message) => message.attributes?.correlation)],
  ['amqp.to', topic],
  ['amqp.subject', subject],
  ['amqp.reply_to', other((message) => message.attributes?.replyTo?.name)],
  ['amqp.content_type', other((message) => message.attributes?.contentType)],
  ['amqp.content_encoding', other((message) => message.attributes?.contentEncoding)],
  ['amqp.absolute_expiry_time', expiryIfAny],
  ['amqp.creation_time', acceptedAt],
  ['amqp.group_id', groupId],
  ['amqp.group_sequence', groupSequence],
  ['heliograph.topic', topic],
  ['heliograph.sender', other((message) => (message.sender === '' ? undefined : message.sender))],
  ['heliograph.payload_bytes', exactNumber((message) => message.payloadBytes)],
]);

// §3.8.1.1 names the headers that a selector may use. The others are said to be refused rather than to be NULL for ever.
const notForSelectors: ReadonlySet<string> = new Set([
  'JMSDestination',
  'JMSReplyTo',
  'JMSRedelivered',
  'JMSDeliveryTime',
  'JMSXDeliveryCount',
]);

/** Why an identifier cannot be used; undefined when it can. */
export function fieldProblem(name: string): string | undefined {
  if (notForSelectors.has(name)) return `${name} cannot be used in a selector`;
  if (!fields.has(name) && /^(amqp|heliograph)\./.test(name)) return `there is no field ${name}`;
  return name === '' ? 'an identifier must have at least one character' : undefined;
}

export function fieldOf(name: string): Field {
  return fields.get(name) ?? typed((message) => property(message, name));
}

/** The first of that name. */
function property(message: Message, name: string): TypedValue | undefined {
  const properties = message.attributes?.properties;
  if (properties === undefined) return undefined;
  for (let i = 0; i < properties.length; i++) if (properties[i]!.key === name) return properties[i]!.value;
  return undefined;
}

function typed(read: (message: Message) => TypedValue | undefined): Field {
  return { plain: (message) => plainOf(read(message)), exact: (message) => exactOf(read(message)) };
}

function plainOf(value: TypedValue | undefined): Value {
  if (value === undefined || value.type === 'null') return undefined;
  return value.type === 'binary' ? incomparable : value.value;
}

function exactOf(value: TypedValue | undefined): Value {
  switch (value?.type) {
    case 'byte':
    case 'short':
    case 'int':
    case 'ubyte':
    case 'ushort':
    case 'uint':
      return BigInt(value.value);
    default:
      return plainOf(value);
  }
}

/** As Qpid JMS shows the ids of AMQP: what is not a text with `ID:` in front says there what it was. */
function messageIdOfJms(id: MessageId | undefined): string | undefined {
  if (id === undefined) return undefined;
  if (id.type === 'string' || id.type === 'symbol') {
    if (!id.value.startsWith('ID:')) return `ID:AMQP_NO_PREFIX:${id.value}`;
    return isEncoded(id.value) ? `ID:AMQP_STRING:${id.value}` : id.value;
  }
  return encoded(id);
}

/** A correlation may be a text of the application's own, without `ID:`. */
function correlationOfJms(id: MessageId | undefined): string | undefined {
  if (id === undefined) return undefined;
  if (id.type === 'string' || id.type === 'symbol') return isEncoded(id.value) ? `ID:AMQP_STRING:${id.value}` : id.value;
  return encoded(id);
}

function encoded(id: MessageId): string {
  if (id.type === 'uuid') return `ID:AMQP_UUID:${id.value}`;
  if (id.type === 'ulong') return `ID:AMQP_ULONG:${id.value}`;
  if (id.type !== 'binary') return `ID:AMQP_STRING:${id.value}`;
  return `ID:AMQP_BINARY:${Buffer.from(id.value.buffer, id.value.byteOffset, id.value.length).toString('hex').toUpperCase()}`;
}

function isEncoded(id: string): boolean {
  return /^ID:AMQP_(UUID|ULONG|BINARY|STRING|NO_PREFIX):/.test(id);
}

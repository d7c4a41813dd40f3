// Properties and application properties of messages that came by other protocols [AMQP 3.2.4] [AMQP 3.2.5].

import type { Attributes, MessageId, Property, TypedValue } from '../../message/attributes.ts';
import type { Message } from '../../message/message.ts';
import { addressOfReply, addressOfTopic } from './address.ts';
import { type AmqpValue, SectionCode, type ValueWriter } from './codec/index.ts';

/** What of a message of another protocol an AMQP peer does not get. Nothing is lost of what came by AMQP: see lostBetweenAmqp. */
export const lostToAmqp: readonly string[] = [
  'residue of another protocol',
  'payloadFormat bytes: it becomes none; utf8 of a payload that is no UTF-8, too',
  'type symbol of messageId and correlation: they become strings',
  'characters beyond ASCII in contentType and contentEncoding: they become question marks',
  'type symbol of a value that is not ASCII, type uuid of one that is none: they become strings',
  'upper case in a uuid',
  'lone surrogates in texts: they become U+FFFD',
  'groupSequence of more than 32 bits',
  'a contentType application/amqp of a payload that is no AMQP body',
  'fractions of a millisecond',
  'deliverAtMs once it is over',
];

/** `topic`: to be told as `to`. */
export function writeProperties(writer: ValueWriter, attributes: Attributes, topic: string | undefined, expiresAtMs: number): void {
  const { messageId, subject, replyTo, correlation, contentType, contentEncoding, groupId, groupSequence } = attributes;
  const sequence = groupSequence !== undefined && groupSequence <= 0xffff_ffff ? Math.trunc(groupSequence) : undefined;
  const values: readonly (AmqpValue | undefined)[] = [
    messageId === undefined ? undefined : identifier(messageId),
    undefined,
    topic === undefined ? undefined : string(addressOfTopic(topic)),
    subject === undefined ? undefined : string(subject),
    replyTo === undefined ? undefined : string(addressOfReply(replyTo)),
    correlation === undefined ? undefined : identifier(correlation),
    contentType === undefined ? undefined : asciiSymbol(contentType),
    contentEncoding === undefined ? undefined : asciiSymbol(contentEncoding),
    expiresAtMs > 0 ? { type: 'timestamp', value: BigInt(Math.trunc(expiresAtMs)) } : undefined,
    undefined,
    groupId === undefined ? undefined : string(groupId),
    sequence === undefined ? undefined : { type: 'uint', value: sequence },
  ];
  const count = values.findLastIndex((value) => value !== undefined) + 1;
  if (count === 0) return;
  writer.descriptor(SectionCode.properties);
  const start = writer.open();
  for (const value of values.slice(0, count)) {
    if (value === undefined) writer.null();
    else writer.value(value);
  }
  writer.closeList(start, count);
}

/** Descriptor, list8, size, three elements: message-id and user-id, which are absent, and `to`. */
const bareHead = Uint8Array.of(0x00, 0x53, SectionCode.properties, 0xc0, 0, 3, 0x40, 0x40);
const maxShortAddress = 0xff - 5;

/** Properties that say nothing but the topic. */
export function writeBareProperties(writer: ValueWriter, { topic, topicBytes }: Message): void {
  const address = addressOfTopic(topic);
  if (address === topic && topicBytes.length <= maxShortAddress) {
    // Count, two nulls, and the string with its constructor and length.
    bareHead[4] = 5 + topicBytes.length;
    writer.raw(bareHead);
    writer.utf8(topicBytes);
    return;
  }
  writer.descriptor(SectionCode.properties);
  const start = writer.open();
  writer.null();
  writer.null();
  writer.string(address);
  writer.closeList(start, 3);
}

/** Of properties with the same key the first stands here: a map has each key once. */
export function writeApplicationProperties(writer: ValueWriter, properties: readonly Property[] | undefined): void {
  if (properties === undefined || properties.length === 0) return;
  const byKey = new Map<string, TypedValue>();
  for (const { key, value } of properties) {
    const wellFormed = key.toWellFormed();
    if (!byKey.has(wellFormed)) byKey.set(wellFormed, value);
  }
  writer.descriptor(SectionCode.applicationProperties);
  const start = writer.open();
  for (const [key, value] of byKey) {
    writer.string(key);
    writer.value(encodable(value));
  }
  writer.closeMap(start, byKey.size * 2);
}

const uuidText = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** A value as its type can be written. */
export function encodable(value: TypedValue): AmqpValue {
  if (value.type === 'symbol' && !isAsciiText(value.value)) return string(value.value);
  if (value.type === 'uuid' && !uuidText.test(value.value)) return string(value.value);
  return value;
}

/** [AMQP 3.2.11] to [AMQP 3.2.14]: no symbol is among them. */
function identifier(id: MessageId): AmqpValue {
  return id.type === 'symbol' ? string(id.value) : encodable(id);
}

function string(value: string): AmqpValue {
  return { type: 'string', value };
}

function asciiSymbol(text: string): AmqpValue {
  return { type: 'symbol', value: text.replaceAll(/[^\0-\x7f]/gu, '?') };
}

function isAsciiText(text: string): boolean {
  return !/[^\0-\x7f]/.test(text);
}

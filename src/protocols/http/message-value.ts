// A message as a value of JSON and of CBOR, both ways: what headers say in requests, in batches, streams and answers of queues.
//
// In JSON a payload is text where it is UTF-8, else `payloadBase64`; binary properties and identifiers are `{ "base64": … }`. In CBOR
// they are byte strings.

import { isUtf8 } from 'node:buffer';
import type { Attributes, MessageId, Property, TypedValue } from '../../message/attributes.ts';
import { defaultPriority, type Guarantee, type Message } from '../../message/message.ts';
import { dateOf, momentOf, plainText, replyAddressOf, replyAddressText } from './convert.ts';

export type ValueForm = 'json' | 'cbor';
export type Value = Readonly<Record<string, unknown>>;

/** What comes with a message that is delivered. */
export type Delivered = {
  readonly delivery?: string;
  readonly leaseUntilMs?: number;
  readonly redelivered?: boolean;
  readonly deliveryCount?: number;
  readonly retained?: boolean;
};

export function valueOfMessage(message: Message, form: ValueForm, delivered: Delivered = {}): Value {
  const { attributes, priority, expiresAtMs } = message;
  const value: Record<string, unknown> = { topic: message.topic };
  const payload = message.payload();
  if (form === 'cbor') value['payload'] = new Uint8Array(payload);
  else if (isUtf8(payload)) value['payload'] = Buffer.from(payload).toString('utf8');
  else value['payloadBase64'] = Buffer.from(payload).toString('base64');
  value['qos'] = message.guarantee;
  if (delivered.retained === true) value['retained'] = true;
  if (priority !== defaultPriority) value['priority'] = priority;
  if (expiresAtMs > 0) value['expires'] = dateOf(expiresAtMs).toISOString();
  if (message.sender !== '') value['sender'] = message.sender;
  if (message.acceptedAtMs > 0) value['acceptedAt'] = dateOf(message.acceptedAtMs).toISOString();
  if (attributes !== undefined) addAttributes(value, attributes, form);
  if (delivered.delivery !== undefined) value['delivery'] = delivered.delivery;
  if (delivered.leaseUntilMs !== undefined) value['leaseUntil'] = new Date(delivered.leaseUntilMs).toISOString();
  if (delivered.redelivered === true) value['redelivered'] = true;
  if (delivered.deliveryCount !== undefined && delivered.deliveryCount > 0) value['deliveryCount'] = delivered.deliveryCount;
  return value;
}

function addAttributes(value: Record<string, unknown>, attributes: Attributes, form: ValueForm): void {
  const { payloadFormat, contentType, contentEncoding, properties, correlation, messageId, replyTo, subject } = attributes;
  const { groupId, groupSequence, deliverAtMs, death } = attributes;
  if (payloadFormat === 'utf8') value['payloadFormat'] = payloadFormat;
  if (contentType !== undefined) value['contentType'] = contentType;
  if (contentEncoding !== undefined) value['contentEncoding'] = contentEncoding;
  if (correlation !== undefined) value['correlationId'] = plainValue(correlation, form);
  if (messageId !== undefined) value['messageId'] = plainValue(messageId, form);
  if (replyTo !== undefined) value['replyTo'] = replyAddressText(replyTo);
  if (subject !== undefined) value['subject'] = subject;
  if (groupId !== undefined) value['groupId'] = groupId;
  if (groupSequence !== undefined) value['groupSequence'] = groupSequence;
  if (deliverAtMs !== undefined) value['deliverAt'] = dateOf(deliverAtMs).toISOString();
  if (properties !== undefined) value['properties'] = properties.map(({ key, value: each }) => [key, plainValue(each, form)]);
  if (death !== undefined) {
    const { reason, description, from, diedAtMs } = death;
    value['death'] = { reason, ...(description !== undefined && { description }), from, at: dateOf(diedAtMs).toISOString() };
  }
}

function plainValue(value: TypedValue, form: ValueForm): unknown {
  if (value.type !== 'binary') return plainText(value);
  return form === 'cbor' ? value.value : { base64: Buffer.from(value.value).toString('base64') };
}

// --- the other way

/** A message of a batch, as far as it names itself. */
export type MessageItem = {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly guarantee: Guarantee | undefined;
  readonly idempotencyKey: string | undefined;
  readonly retain: boolean;
  readonly priority: number;
  readonly expiresAtMs: number;
  readonly attributes: Attributes | undefined;
};

type Fields = { -readonly [K in keyof Attributes]: Attributes[K] };

const known = new Set([
  'topic',
  'queue',
  'payload',
  'payloadBase64',
  'qos',
  'idempotencyKey',
  'retain',
  'priority',
  'expires',
  'deliverAt',
  'payloadFormat',
  'contentType',
  'contentEncoding',
  'correlationId',
  'messageId',
  'replyTo',
  'subject',
  'groupId',
  'groupSequence',
  'properties',
]);

/** A text: why it is no message. */
export function readItem(value: unknown, nowMs: number): MessageItem | string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'a message is an object';
  const item = value as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(item)) if (!known.has(name)) return `there is no field ${JSON.stringify(name.slice(0, 40))}`;
  const topic = addressOf(item);
  if (topic === undefined) return 'a message has a topic or a queue';
  const payload = payloadOf(item);
  if (payload === undefined) return 'payload is a text or bytes, payloadBase64 is base64';
  const { qos, retain = false, priority = defaultPriority, idempotencyKey } = item;
  if (qos !== undefined && qos !== 0 && qos !== 1 && qos !== 2) return 'qos is 0, 1 or 2';
  if (typeof retain !== 'boolean') return 'retain is true or false';
  if (!isCount(priority, 9)) return 'priority is 0 to 9';
  if (idempotencyKey !== undefined && (typeof idempotencyKey !== 'string' || idempotencyKey === '' || idempotencyKey.length > 255)) {
    return 'idempotencyKey is a text of 1 to 255 characters';
  }
  const expiresAtMs = item['expires'] === undefined ? 0 : instantOf(item['expires'], nowMs);
  if (expiresAtMs === undefined) return 'expires is a date, or seconds from now';
  const attributes: Fields = {};
  const fault = readFields(item, attributes, nowMs);
  if (fault !== undefined) return fault;
  const given = Object.keys(attributes).length > 0 ? attributes : undefined;
  return { topic, payload, guarantee: qos, idempotencyKey, retain, priority, expiresAtMs, attributes: given };
}

function addressOf({ topic, queue }: Readonly<Record<string, unknown>>): string | undefined {
  if (typeof topic === 'string' && queue === undefined) return topic;
  return typeof queue === 'string' && topic === undefined ? `$queue/${queue}` : undefined;
}

function payloadOf({ payload, payloadBase64 }: Readonly<Record<string, unknown>>): Uint8Array | undefined {
  if (payload instanceof Uint8Array && payloadBase64 === undefined) return payload;
  if (typeof payload === 'string' && payloadBase64 === undefined) return new Uint8Array(Buffer.from(payload.toWellFormed()));
  if (payload !== undefined) return undefined;
  if (payloadBase64 === undefined) return new Uint8Array(0);
  return bytesOf({ base64: payloadBase64 });
}

const texts = ['contentType', 'contentEncoding', 'subject', 'groupId'] as const;

function readFields(item: Readonly<Record<string, unknown>>, attributes: Fields, nowMs: number): string | undefined {
  for (const name of texts) {
    const text = item[name];
    if (text === undefined) continue;
    if (typeof text !== 'string') return `${name} is a text`;
    attributes[name] = text;
  }
  const { payloadFormat, replyTo, groupSequence, deliverAt, correlationId, messageId, properties } = item;
  if (payloadFormat !== undefined) {
    if (payloadFormat !== 'utf8' && payloadFormat !== 'bytes') return 'payloadFormat is utf8 or bytes';
    attributes.payloadFormat = payloadFormat;
  }
  if (replyTo !== undefined) {
    if (typeof replyTo !== 'string' || replyTo === '') return 'replyTo is a topic, or $queue/ and the name of a queue';
    attributes.replyTo = replyAddressOf(replyTo);
  }
  if (groupSequence !== undefined) {
    if (!isCount(groupSequence, 0xffff_ffff)) return 'groupSequence is a whole number';
    attributes.groupSequence = groupSequence;
  }
  if (deliverAt !== undefined) {
    attributes.deliverAtMs = instantOf(deliverAt, nowMs);
    if (attributes.deliverAtMs === undefined) return 'deliverAt is a date, or seconds from now';
  }
  if (correlationId !== undefined && (attributes.correlation = identifier(correlationId)) === undefined)
    return 'correlationId is a text or bytes';
  if (messageId !== undefined && (attributes.messageId = identifier(messageId)) === undefined) return 'messageId is a text or bytes';
  if (properties !== undefined && (attributes.properties = readProperties(properties)) === undefined) {
    return 'properties are a list of pairs, or an object, of names and texts';
  }
  return undefined;
}

function readProperties(value: unknown): Property[] | undefined {
  const pairs: unknown[] | undefined = Array.isArray(value)
    ? value
    : typeof value === 'object' && value !== null
      ? Object.entries(value)
      : undefined;
  if (pairs === undefined || pairs.length > 256) return undefined;
  const properties: Property[] = [];
  for (const pair of pairs) {
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'string' || pair[0] === '') return undefined;
    const typed = propertyValue(pair[1]);
    if (typed === undefined) return undefined;
    properties.push({ key: pair[0], value: typed });
  }
  return properties;
}

function propertyValue(value: unknown): TypedValue | undefined {
  if (typeof value === 'boolean') return { type: 'boolean', value };
  if (typeof value === 'number') return { type: 'double', value };
  return identifier(value);
}

function identifier(
  value: unknown,
): Extract<MessageId, { type: 'binary' }> | { readonly type: 'string'; readonly value: string } | undefined {
  if (typeof value === 'string') return { type: 'string', value };
  const bytes = value instanceof Uint8Array ? value : bytesOf(value);
  return bytes === undefined ? undefined : { type: 'binary', value: bytes };
}

/** Of `{ base64 }`. */
function bytesOf(value: unknown): Uint8Array | undefined {
  if (typeof value !== 'object' || value === null || !('base64' in value)) return undefined;
  const { base64 } = value;
  if (typeof base64 !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) return undefined;
  return new Uint8Array(Buffer.from(base64, 'base64'));
}

function instantOf(value: unknown, nowMs: number): number | undefined {
  if (typeof value === 'number') return isCount(value, 9_999_999_999) ? momentOf(String(value), nowMs) : undefined;
  return typeof value === 'string' ? momentOf(value, nowMs) : undefined;
}

function isCount(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;
}

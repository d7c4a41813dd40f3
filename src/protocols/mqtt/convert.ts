// MQTT's fields and the neutral message's (docs/mapping.md §5), both ways.
//
// Three neutral fields have no property in MQTT 5 and travel as user properties with a reserved key. A publisher may send these keys
// itself, anywhere among its user properties and more than once. So the first of each becomes the field, and if writing the
// fields back would not give the very same list, the properties are also kept as they came: the residue. A transfer from MQTT
// to MQTT is the identity ([MQTT-3.3.2-4] [MQTT-3.3.2-15] to [MQTT-3.3.2-18] [MQTT-3.3.2-20], and [MQTT-3.1.3-10] for a will).

import type { Attributes, MessageId, Property, ReplyAddress, TypedValue } from '../../message/attributes.ts';
import { defaultPriority } from '../../message/message.ts';
import { Builder } from './codec/builder.ts';
import { Cursor } from './codec/cursor.ts';
import type { PublishProperties, UserProperty } from './codec/packets.ts';
import { readPropertyRange, writeProperties } from './codec/properties.ts';
import { PropertyId, PropertySet } from './codec/property-ids.ts';

/** The properties of a PUBLISH or a will that its receivers get to see, whichever connection they are on. */
export type MessageProperties = Pick<
  PublishProperties,
  'payloadFormatIndicator' | 'contentType' | 'responseTopic' | 'correlationData' | 'userProperties'
>;

const contentEncodingKey = 'content-encoding';
const messageIdKey = 'message-id';
const priorityKey = 'priority';

/** `Attributes.residue.protocol` of what an MQTT 5 publisher sent; its bytes are properties without their length. */
export const residueProtocol = 'mqtt5';

/** A Response Topic that starts so names a queue. */
const queuePrefix = '$queue/';

/** Neutral fields that do not survive a transfer from MQTT. */
export const lostFromMqtt: readonly string[] = [];

/** Neutral fields, or parts of their meaning, that do not survive a transfer to an MQTT 5 peer. */
export const lostToMqtt5: readonly string[] = [
  'subject',
  'groupId',
  'groupSequence',
  'deliverAtMs',
  'death',
  'annotations',
  'residue of another protocol',
  'type of a property value: it becomes text',
  'type of messageId: it becomes text',
  'type of correlation: it becomes binary, which holds the text of any other type',
  'texts and binaries of more than 65,535 bytes',
  'U+0000 and lone surrogates in texts: they become U+FFFD',
  'replyTo that holds a wildcard; a topic that starts with $queue/ becomes a queue',
  'first property named content-encoding, message-id or priority: it becomes the field, if the message has no such field',
];

/** Neutral fields that do not survive a transfer to an MQTT 3.1 or 3.1.1 peer. */
export const lostToMqtt3: readonly string[] = [
  'payloadFormat',
  'contentType',
  'contentEncoding',
  'properties',
  'correlation',
  'messageId',
  'replyTo',
  'subject',
  'groupId',
  'groupSequence',
  'deliverAtMs',
  'death',
  'annotations',
  'residue',
  'priority',
  'expiresAt',
];

export type NeutralFields = { readonly attributes: Attributes | undefined; readonly priority: number };

const noFields: NeutralFields = { attributes: undefined, priority: defaultPriority };

/** The neutral fields of what a publisher sent. Takes over the binary values, which must not be views of a read buffer. */
export function toNeutral(properties: MessageProperties | undefined): NeutralFields {
  if (properties === undefined) return noFields;
  const { payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties } = properties;
  const attributes: { -readonly [K in keyof Attributes]: Attributes[K] } = {};
  let priority = defaultPriority;
  let any = false;
  if (payloadFormatIndicator !== undefined) {
    attributes.payloadFormat = payloadFormatIndicator === 1 ? 'utf8' : 'bytes';
    any = true;
  }
  if (contentType !== undefined) {
    attributes.contentType = contentType;
    any = true;
  }
  if (responseTopic !== undefined) {
    attributes.replyTo = replyAddress(responseTopic);
    any = true;
  }
  if (correlationData !== undefined) {
    attributes.correlation = { type: 'binary', value: correlationData };
    any = true;
  }
  if (userProperties !== undefined) {
    const taken = takeUserProperties(userProperties, attributes);
    priority = taken.priority;
    if (!taken.inPlace) attributes.residue = { protocol: residueProtocol, bytes: encodeProperties(properties) };
    any = true;
  }
  return any ? { attributes, priority } : noFields;
}

/** What an MQTT 5 receiver gets, as a value. */
export function toMqtt(attributes: Attributes | undefined, priority: number): MessageProperties {
  const bytes = Buffer.concat([encodedPriority(priority, attributes), attributes === undefined ? nothing : encodedAttributes(attributes)]);
  return readPropertyRange(new Cursor(bytes, 0, bytes.length), PropertySet.publish) ?? {};
}

const nothing = new Uint8Array(0);

// What was encoded last: a message that goes to many peers is encoded once.
let encodedFor: Attributes | undefined;
let encoded: Uint8Array = nothing;

/** The attributes as MQTT 5 properties, without their length. Valid until the next call; never write to it. */
export function encodedAttributes(attributes: Attributes): Uint8Array {
  if (encodedFor !== attributes) {
    encodedFor = undefined; // In case the encoding throws.
    encoded = attributes.residue?.protocol === residueProtocol ? attributes.residue.bytes : encodeAttributes(attributes);
    encodedFor = attributes;
  }
  return encoded;
}

const encodedPriorities: readonly Uint8Array[] = Array.from({ length: 10 }, (_, priority) =>
  priority === defaultPriority ? nothing : encodeProperties({ userProperties: [{ key: priorityKey, value: String(priority) }] }),
);

/** The priority as an MQTT 5 user property: what `encodedAttributes` leaves out, and what comes before it. Shared: never write to it. */
export function encodedPriority(priority: number, attributes: Attributes | undefined): Uint8Array {
  if (priority === defaultPriority || attributes?.residue?.protocol === residueProtocol) return nothing;
  return encodedPriorities[priority] ?? nothing;
}

/**
 * Moves what has a field into `attributes`, the rest into its properties. `inPlace`: the fields stood where they are written
 * back, before all others and in the order priority, content encoding, message id.
 */
function takeUserProperties(
  userProperties: readonly UserProperty[],
  attributes: {
    contentEncoding?: string | undefined;
    messageId?: MessageId | undefined;
    properties?: readonly Property[] | undefined;
  },
): { priority: number; inPlace: boolean } {
  const properties: Property[] = [];
  let priority: number | undefined;
  let inPlace = true;
  for (const { key, value } of userProperties) {
    if (key === contentEncodingKey && attributes.contentEncoding === undefined) {
      inPlace &&= properties.length === 0 && attributes.messageId === undefined;
      attributes.contentEncoding = value;
    } else if (key === messageIdKey && attributes.messageId === undefined) {
      inPlace &&= properties.length === 0;
      attributes.messageId = { type: 'string', value };
    } else if (key === priorityKey && priority === undefined && /^[0-9]$/.test(value)) {
      priority = Number(value);
      const first = properties.length === 0 && attributes.contentEncoding === undefined && attributes.messageId === undefined;
      inPlace &&= first && priority !== defaultPriority;
    } else {
      properties.push({ key, value: { type: 'string', value } });
    }
  }
  if (properties.length > 0) attributes.properties = properties;
  return { priority: priority ?? defaultPriority, inPlace };
}

// What is encoded last stays here: a buffer of its own per message would cost more than the encoding.
const builder = new Builder();

/** A view of `builder`. */
function encodeAttributes(attributes: Attributes): Uint8Array {
  const { payloadFormat, contentType, replyTo, correlation, contentEncoding, messageId, properties } = attributes;
  builder.clear();
  if (payloadFormat !== undefined) {
    builder.byte(PropertyId.payloadFormatIndicator);
    builder.byte(payloadFormat === 'utf8' ? 1 : 0);
  }
  const type = contentType === undefined ? undefined : mqttText(contentType);
  if (type !== undefined) {
    builder.byte(PropertyId.contentType);
    builder.text(type);
  }
  const responseTopic = responseTopicOf(replyTo);
  if (responseTopic !== undefined) {
    builder.byte(PropertyId.responseTopic);
    builder.text(responseTopic);
  }
  const correlationData = binaryOf(correlation);
  if (correlationData !== undefined) {
    builder.byte(PropertyId.correlationData);
    builder.binary(correlationData);
  }
  if (contentEncoding !== undefined) encodePair(contentEncodingKey, contentEncoding);
  if (messageId !== undefined) encodePair(messageIdKey, textOfValue(messageId));
  if (properties !== undefined) for (const { key, value } of properties) encodePair(key, textOfValue(value));
  return builder.view();
}

function encodePair(key: string, value: string): void {
  const start = builder.length;
  builder.byte(PropertyId.userProperty);
  if (!encodeText(key) || !encodeText(value)) builder.length = start;
}

/** Returns false, having written nothing, for a text that MQTT cannot carry. */
function encodeText(text: string): boolean {
  if (builder.shortText(text)) return true;
  const clean = mqttText(text);
  if (clean === undefined) return false;
  builder.text(clean);
  return true;
}

function textOfValue(typed: TypedValue): string {
  switch (typed.type) {
    case 'binary':
      return Buffer.from(typed.value).toString('base64');
    case 'null':
      return '';
    case 'timestamp':
      return timestampText(typed.value);
    default:
      return String(typed.value);
  }
}

/** ISO 8601 where a Date can say it, else the milliseconds. */
function timestampText(ms: bigint): string {
  const date = new Date(Number(ms));
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}

const maxFieldBytes = 0xffff;

/** The text as MQTT can carry it [MQTT-1.5.4-1] [MQTT-1.5.4-2]; undefined when it is too long. */
function mqttText(text: string): string | undefined {
  if (text.length > maxFieldBytes) return undefined;
  const clean = text.includes('\0') || !text.isWellFormed() ? text.toWellFormed().replaceAll('\0', '\ufffd') : text;
  // No character takes more than three bytes per UTF-16 unit: only long texts need to be measured.
  return clean.length * 3 > maxFieldBytes && Buffer.byteLength(clean) > maxFieldBytes ? undefined : clean;
}

function binaryOf(correlation: MessageId | undefined): Uint8Array | undefined {
  if (correlation === undefined) return undefined;
  const bytes = correlation.type === 'binary' ? correlation.value : new Uint8Array(Buffer.from(textOfValue(correlation)));
  return bytes.length > maxFieldBytes ? undefined : bytes;
}

function replyAddress(responseTopic: string): ReplyAddress {
  return responseTopic.startsWith(queuePrefix)
    ? { kind: 'queue', name: responseTopic.slice(queuePrefix.length) }
    : { kind: 'topic', name: responseTopic };
}

function responseTopicOf(replyTo: ReplyAddress | undefined): string | undefined {
  if (replyTo === undefined || /[+#]/.test(replyTo.name)) return undefined; // [MQTT-3.3.2-14]
  return mqttText(replyTo.kind === 'queue' ? queuePrefix + replyTo.name : replyTo.name);
}

/** Only the properties of MessageProperties, whatever else `properties` holds. */
function encodeProperties(properties: MessageProperties): Uint8Array {
  const { payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties } = properties;
  const own = new Builder();
  writeProperties(own, { payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties });
  return own.copy();
}

// Headers of SEND and MESSAGE and the neutral message's fields (docs/mapping.md §5), both ways. What has no field is a property, in its
// order and as often as it came.

import type { Attributes, MessageId, Property, ReplyAddress, TypedValue } from '../../message/attributes.ts';
import { defaultPriority, type Guarantee, type Message } from '../../message/message.ts';
import { type Header, headerLine, StompFault, type Version } from './codec/index.ts';
import { destinationOf, parseDestination, type Style } from './destination.ts';

/** Headers of SEND, or parts of their meaning, that do not survive a transfer from STOMP. */
export const lostFromStomp: readonly string[] = [
  'repetitions of headers that mean something here: the first one counts',
  'destination: whether it was written with /topic/ or /queue/',
  'content-length, receipt, transaction',
  'persistent: it chooses the guarantee',
];

/** Neutral fields, or parts of their meaning, that do not survive a transfer to a STOMP peer. */
export const lostToStomp: readonly string[] = [
  'payloadFormat',
  'death',
  'annotations',
  'residue of another protocol',
  'type of a property value: it becomes text',
  'type of messageId: it becomes text',
  'type of correlation: it becomes text, base64 of what is binary and no UTF-8',
  'properties without a name, and those that have the name of a header that means something here',
  'lone surrogates in texts: they become U+FFFD',
  'guarantee 2: it becomes 1',
  'NUL in texts: it becomes a space',
  'line ends in texts for peers of 1.0, carriage returns for peers of 1.1: they become spaces',
];

/** What a SEND says of its message. */
export type SentFields = {
  readonly attributes: Attributes | undefined;
  readonly priority: number;
  /** Wall clock; 0: never. */
  readonly expiresAtMs: number;
  readonly guarantee: Guarantee;
  readonly retain: boolean;
};

/** The producer's own name of a message; `message-id` of MESSAGE is the broker's. */
export const originalMessageId = 'original-message-id';

/** Only the broker says these: a property of their name would be taken for its word. */
const brokersOwn: ReadonlySet<string> = new Set(['subscription', 'ack', 'timestamp', 'redelivered', originalMessageId]);
/** Of the frame, not of the message. */
const framing: ReadonlySet<string> = new Set(['destination', 'content-length', 'receipt', 'transaction']);

type Mutable = { -readonly [K in keyof Attributes]: Attributes[K] };
type Reading = { readonly attributes: Mutable; priority: number; expiresAtMs: number; guarantee: Guarantee; retain: boolean };

const text = (name: 'contentType' | 'contentEncoding' | 'subject' | 'groupId') => (reading: Reading, value: string) => {
  reading.attributes[name] = value;
  return true;
};

/** Headers with a field: each takes its value, or returns false because it is none. */
const readers: Readonly<Record<string, (reading: Reading, value: string) => boolean>> = {
  'content-type': text('contentType'),
  'content-encoding': text('contentEncoding'),
  subject: text('subject'),
  'group-id': text('groupId'),
  'group-sequence': (reading, value) => {
    reading.attributes.groupSequence = whole(value, 0xffff_ffff);
    return reading.attributes.groupSequence !== undefined;
  },
  'correlation-id': (reading, value) => {
    reading.attributes.correlation = { type: 'string', value };
    return true;
  },
  'message-id': (reading, value) => {
    reading.attributes.messageId = { type: 'string', value };
    return true;
  },
  'reply-to': (reading, value) => {
    reading.attributes.replyTo = replyAddress(value);
    return true;
  },
  'deliver-at': (reading, value) => {
    reading.attributes.deliverAtMs = whole(value, latestMs);
    return reading.attributes.deliverAtMs !== undefined;
  },
  expires: (reading, value) => {
    const at = whole(value, latestMs);
    reading.expiresAtMs = at ?? 0;
    return at !== undefined;
  },
  priority: (reading, value) => {
    reading.priority = whole(value, 9) ?? defaultPriority;
    return whole(value, 9) !== undefined;
  },
  persistent: (reading, value) => {
    reading.guarantee = value === 'false' ? 0 : 1;
    return isFlag(value);
  },
  retain: (reading, value) => {
    reading.retain = value === 'true';
    return isFlag(value);
  },
};

/** What clocks show for the next ten thousand years. */
const latestMs = 253_402_300_799_999;

const plain: SentFields = { attributes: undefined, priority: defaultPriority, expiresAtMs: 0, guarantee: 1, retain: false };

/** The fields of a SEND, or what is wrong with its headers. */
export function toNeutral(headers: readonly Header[]): SentFields | StompFault {
  if (headers.every(([name]) => framing.has(name))) return plain;
  const reading: Reading = { ...plain, attributes: {} };
  const properties: Property[] = [];
  const seen = new Set<string>();
  for (const [name, value] of headers) {
    if (framing.has(name)) continue;
    const read = Object.hasOwn(readers, name) ? readers[name] : undefined;
    if (read === undefined) {
      properties.push({ key: name, value: { type: 'string', value } });
    } else if (!seen.has(name)) {
      seen.add(name);
      if (!read(reading, value)) return new StompFault('bad header', `the value of the header ${name} is none that it can have`);
    }
  }
  if (properties.length > 0) reading.attributes.properties = properties;
  return reading;
}

/** The headers of a MESSAGE that say what the message is, as lines. */
export function messageLines(message: Message, style: Style, version: Version): string {
  if (linesFor !== message || linesStyle !== style || linesVersion !== version) {
    linesFor = undefined; // In case the writing throws.
    lines = writeLines(message, style, version);
    [linesFor, linesStyle, linesVersion] = [message, style, version];
  }
  return lines;
}

// What was written last: a message that goes to many peers is written once.
let linesFor: Message | undefined;
let linesStyle: Style = 'plain';
let linesVersion: Version = '1.2';
let lines = '';

function writeLines(message: Message, style: Style, version: Version): string {
  let out = '';
  const line = (name: string, value: string | undefined): void => {
    if (value !== undefined) out += headerLine(name, value, version);
  };
  line('destination', destinationOf(message.topic, style));
  if (message.guarantee > 0) out += 'persistent:true\n';
  if (message.priority !== defaultPriority) out += `priority:${message.priority}\n`;
  if (message.expiresAtMs > 0) out += `expires:${message.expiresAtMs}\n`;
  out += `timestamp:${message.acceptedAtMs}\n`;
  const { attributes } = message;
  if (attributes === undefined) return out;
  const { contentType, contentEncoding, correlation, messageId, replyTo, subject, groupId, groupSequence, deliverAtMs } = attributes;
  line('content-type', contentType);
  line('content-encoding', contentEncoding);
  line('correlation-id', correlation && textOfId(correlation));
  line(originalMessageId, messageId && textOfId(messageId));
  line('reply-to', replyTo && destinationOf(replyTo.kind === 'queue' ? `$queue/${replyTo.name}` : replyTo.name, style));
  line('subject', subject);
  line('group-id', groupId);
  line('group-sequence', groupSequence === undefined ? undefined : String(groupSequence));
  line('deliver-at', deliverAtMs === undefined ? undefined : String(deliverAtMs));
  for (const { key, value } of attributes.properties ?? []) {
    if (key !== '' && !brokersOwn.has(key) && !framing.has(key) && !Object.hasOwn(readers, key)) line(key, textOf(value));
  }
  return out;
}

function replyAddress(text: string): ReplyAddress {
  const { filter } = parseDestination(text);
  return filter.startsWith('$queue/') ? { kind: 'queue', name: filter.slice('$queue/'.length) } : { kind: 'topic', name: filter };
}

function textOfId(id: MessageId): string {
  if (id.type !== 'binary') return textOf(id);
  const bytes = Buffer.from(id.value);
  const words = bytes.toString('utf8');
  return Buffer.from(words).equals(bytes) ? words : bytes.toString('base64');
}

function textOf(typed: TypedValue): string {
  switch (typed.type) {
    case 'binary':
      return Buffer.from(typed.value).toString('base64');
    case 'null':
      return '';
    case 'string':
    case 'symbol':
    case 'uuid':
      return typed.value.toWellFormed();
    default:
      return String(typed.value);
  }
}

function whole(value: string, most: number): number | undefined {
  return /^\d{1,15}$/.test(value) && Number(value) <= most ? Number(value) : undefined;
}

function isFlag(value: string): boolean {
  return value === 'true' || value === 'false';
}

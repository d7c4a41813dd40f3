// Headers of HTTP and the neutral message's fields (docs/mapping.md §5), both ways. JSON and CBOR have them by other names: message-value.ts.

import { isUtf8 } from 'node:buffer';
import type { Attributes, MessageId, Property, ReplyAddress, TypedValue } from '../../message/attributes.ts';
import { defaultPriority, type Guarantee, type Message } from '../../message/message.ts';
import { binaryOf, binaryText, decodedText, encodedName, encodedText } from './header-text.ts';

/** Neutral fields that do not survive a transfer from HTTP. */
export const lostFromHttp: readonly string[] = [
  'capitals in the name of a Property header that are not percent-encoded: header names have none',
  'order of properties with different names, as intermediaries may change it',
  'white space around the value of a header',
];

/** Neutral fields, or parts of their meaning, that do not survive a transfer to HTTP. */
export const lostToHttp: readonly string[] = [
  'residue of another protocol',
  'annotations',
  'type of a property value: it becomes text, binary stays binary',
  'type of messageId and correlation: they become text, binary stays binary',
  'order of properties with different names',
  'milliseconds of expiresAt and deliverAt, in headers',
  'lone surrogates in texts: they become U+FFFD',
  'a replyTo topic that starts with $queue/ becomes a queue',
  'fields beyond 16 KiB, in headers: Fields-Omitted says how many they are',
  'payloadFormat bytes: it is what is meant when nothing is said',
];

/** What a request says of the message that it carries. */
export type Told = {
  guarantee: Guarantee | undefined;
  priority: number;
  /** Wall clock; 0: never. */
  expiresAtMs: number;
  idempotencyKey: string | undefined;
  attributes: Attributes | undefined;
};

const queuePrefix = '$queue/';
const propertyPrefix = 'property-';
const maxPropertyHeaders = 256;
/** Of a message in headers. Peers end a connection that brings them more: whoever publishes must not choose that. */
const maxFieldBytes = 16 * 1024;

type Writable = { -readonly [K in keyof Attributes]: Attributes[K] };

class Reading {
  readonly told: Told = {
    guarantee: undefined,
    priority: defaultPriority,
    expiresAtMs: 0,
    idempotencyKey: undefined,
    attributes: undefined,
  };
  properties: Property[] | undefined = undefined;
  readonly nowMs: number;

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  get attributes(): Writable {
    return (this.told.attributes ??= {}) as Writable;
  }
}

/** Returns why it cannot be taken. */
type Reader = (reading: Reading, value: string) => string | undefined;

const readers: Readonly<Record<string, Reader>> = {
  qos(reading, value) {
    if (value !== '0' && value !== '1' && value !== '2') return 'Qos is 0, 1 or 2';
    reading.told.guarantee = Number(value) as Guarantee;
    return undefined;
  },
  'idempotency-key'(reading, value) {
    // A structured string where the client writes one (draft-ietf-httpapi-idempotency-key-header §2.1).
    const key = /^"(.*)"$/.exec(value)?.[1] ?? value;
    if (key === '' || key.length > 255) return 'an Idempotency-Key has 1 to 255 characters';
    reading.told.idempotencyKey = key;
    return undefined;
  },
  expires(reading, value) {
    const atMs = momentOf(value, reading.nowMs);
    if (atMs === undefined) return 'Expires is a date of HTTP, or seconds from now such as "60" or "60s"';
    reading.told.expiresAtMs = atMs;
    return undefined;
  },
  'deliver-at'(reading, value) {
    const atMs = momentOf(value, reading.nowMs);
    if (atMs === undefined) return 'Deliver-At is a date of HTTP, or seconds from now such as "60" or "60s"';
    reading.attributes.deliverAtMs = atMs;
    return undefined;
  },
  priority(reading, value) {
    // Browsers send one of their own, with another grammar (RFC 9218): `u=1, i`.
    if (/^\d+$/.test(value) && Number(value) > 9) return 'Priority is 0 to 9';
    if (/^\d$/.test(value)) reading.told.priority = Number(value);
    return undefined;
  },
  'correlation-id': (reading, value) => idInto(reading, 'correlation', value),
  'message-id': (reading, value) => idInto(reading, 'messageId', value),
  'reply-to'(reading, value) {
    const address = decodedText(value);
    if (address === undefined || address === '') return 'Reply-To is broken';
    reading.attributes.replyTo = replyAddressOf(address);
    return undefined;
  },
  'content-type'(reading, value) {
    reading.attributes.contentType = value;
    if (/;\s*charset\s*=\s*"?utf-8"?/i.test(value)) reading.attributes.payloadFormat = 'utf8';
    return undefined;
  },
  'content-encoding'(reading, value) {
    reading.attributes.contentEncoding = value;
    return undefined;
  },
  'payload-format'(reading, value) {
    if (value !== 'utf8' && value !== 'bytes') return 'Payload-Format is utf8 or bytes';
    reading.attributes.payloadFormat = value;
    return undefined;
  },
  subject: (reading, value) => textInto(reading, 'subject', value),
  'group-id': (reading, value) => textInto(reading, 'groupId', value),
  'group-sequence'(reading, value) {
    if (!/^\d{1,10}$/.test(value) || Number(value) > 0xffff_ffff) return 'Group-Sequence is a whole number';
    reading.attributes.groupSequence = Number(value);
    return undefined;
  },
};

/** Reads names and values in turn, at `nowMs` by the wall clock. A text: why they cannot be taken. */
export function readHeaders(rawHeaders: readonly string[], nowMs: number): Told | string {
  const reading = new Reading(nowMs);
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    const reader = Object.hasOwn(readers, name) ? readers[name] : undefined;
    const fault =
      reader?.(reading, rawHeaders[i + 1]!) ?? (name.startsWith(propertyPrefix) ? property(reading, name, rawHeaders[i + 1]!) : undefined);
    if (fault !== undefined) return fault;
  }
  if (reading.properties !== undefined) reading.attributes.properties = reading.properties;
  return reading.told;
}

function property(reading: Reading, name: string, text: string): string | undefined {
  const key = decodedText(name.slice(propertyPrefix.length));
  const value = valueOf(text);
  if (key === undefined || key === '' || value === undefined) return `${name} is broken`;
  const properties = (reading.properties ??= []);
  if (properties.length >= maxPropertyHeaders) return `there are more than ${maxPropertyHeaders} properties`;
  properties.push({ key, value });
  return undefined;
}

type Given = { readonly type: 'string'; readonly value: string } | { readonly type: 'binary'; readonly value: Uint8Array };

function valueOf(text: string): Given | undefined {
  const bytes = binaryOf(text);
  if (bytes !== undefined) return { type: 'binary', value: bytes };
  const value = decodedText(text);
  return value === undefined ? undefined : { type: 'string', value };
}

function idInto(reading: Reading, field: 'correlation' | 'messageId', text: string): string | undefined {
  const value = valueOf(text);
  if (value === undefined) return 'an identifier is broken';
  reading.attributes[field] = value;
  return undefined;
}

function textInto(reading: Reading, field: 'subject' | 'groupId', text: string): string | undefined {
  const value = decodedText(text);
  if (value === undefined) return 'a header is not UTF-8, percent-encoded';
  reading.attributes[field] = value;
  return undefined;
}

export function replyAddressOf(address: string): ReplyAddress {
  return address.startsWith(queuePrefix) ? { kind: 'queue', name: address.slice(queuePrefix.length) } : { kind: 'topic', name: address };
}

export function replyAddressText({ kind, name }: ReplyAddress): string {
  return kind === 'queue' ? queuePrefix + name : name;
}

/** Wall clock; undefined: it is none. */
export function momentOf(text: string, nowMs: number): number | undefined {
  const seconds = /^(\d{1,10})s?$/.exec(text);
  // Never 0, which means for ever.
  if (seconds !== null) return Math.max(1, nowMs + Number(seconds[1]) * 1000);
  if (!/^[A-Z][a-z]{2},|^\d{4}-\d\d-\d\dT/.test(text)) return undefined;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : Math.max(1, atMs);
}

/** The payload is what it is declared to be. */
export function isWellDeclared(attributes: Attributes | undefined, payload: Uint8Array): boolean {
  return attributes?.payloadFormat !== 'utf8' || isUtf8(payload);
}

/** A message's fields as headers: its payload is the body. */
export function headersOf(message: Message): Record<string, string | readonly string[]> {
  const { attributes, priority, expiresAtMs } = message;
  const headers: Record<string, string | readonly string[]> = {};
  let left = maxFieldBytes;
  let omitted = 0;
  const fits = (name: string, value: string): boolean => {
    const bytes = name.length + value.length;
    if (bytes > left) {
      omitted++;
      return false;
    }
    left -= bytes;
    return true;
  };
  const set = (name: string, value: string | undefined): void => {
    if (value !== undefined && fits(name, value)) headers[name] = value;
  };
  set(
    'Content-Type',
    headerSafe(attributes?.contentType) ??
      (attributes?.payloadFormat === 'utf8' ? 'text/plain; charset=utf-8' : 'application/octet-stream'),
  );
  set('Qos', String(message.guarantee));
  if (priority !== defaultPriority) set('Priority', String(priority));
  if (expiresAtMs > 0) set('Expires', dateOf(expiresAtMs).toUTCString());
  if (message.sender !== '') set('Sender', encodedText(message.sender));
  if (attributes === undefined) return headers;
  set('Content-Encoding', headerSafe(attributes.contentEncoding));
  if (attributes.payloadFormat === 'utf8') set('Payload-Format', 'utf8');
  if (attributes.correlation !== undefined) set('Correlation-Id', idText(attributes.correlation));
  if (attributes.messageId !== undefined) set('Message-Id', idText(attributes.messageId));
  if (attributes.replyTo !== undefined) set('Reply-To', encodedText(replyAddressText(attributes.replyTo)));
  if (attributes.subject !== undefined) set('Subject', encodedText(attributes.subject));
  if (attributes.groupId !== undefined) set('Group-Id', encodedText(attributes.groupId));
  set('Group-Sequence', attributes.groupSequence?.toString());
  if (attributes.deliverAtMs !== undefined) set('Deliver-At', dateOf(attributes.deliverAtMs).toUTCString());
  if (attributes.death !== undefined) {
    set('Death-Reason', encodedText(attributes.death.reason));
    set('Death-From', encodedText(attributes.death.from));
    set('Death-At', dateOf(attributes.death.diedAtMs).toUTCString());
  }
  for (const { key, value } of attributes.properties ?? []) {
    const name = `Property-${encodedName(key)}`;
    const text = textOf(value);
    if (fits(name, text)) addProperty(headers, name, text);
  }
  if (omitted > 0) headers['Fields-Omitted'] = String(omitted);
  return headers;
}

/**
 * The same, where the payload is the body: whoever publishes chooses its type, and a page of his must be no page of this origin, nor
 * a script of another one.
 */
export function inertHeadersOf(message: Message): Record<string, string | readonly string[]> {
  const headers = headersOf(message);
  headers['Content-Security-Policy'] = "default-src 'none'; sandbox";
  headers['Cross-Origin-Resource-Policy'] = 'same-origin';
  return headers;
}

function addProperty(headers: Record<string, string | readonly string[]>, name: string, value: string): void {
  const before = headers[name];
  headers[name] = before === undefined ? value : typeof before === 'string' ? [before, value] : [...before, value];
}

/** Media types and codings are ASCII; what is not cannot be told. */
function headerSafe(text: string | undefined): string | undefined {
  return text !== undefined && /^[!-~]([ -~]*[!-~])?$/.test(text) ? text : undefined;
}

export function idText(id: MessageId): string {
  return id.type === 'binary' ? binaryText(id.value) : encodedText(String(id.value));
}

function textOf(value: TypedValue): string {
  return value.type === 'binary' ? binaryText(value.value) : encodedText(plainText(value));
}

/** A value as text, as MQTT writes it, too. */
export function plainText(value: Exclude<TypedValue, { type: 'binary' }>): string {
  if (value.type !== 'timestamp') return String(value.value);
  const date = new Date(Number(value.value));
  return Number.isNaN(date.getTime()) ? String(value.value) : date.toISOString();
}

/** What a `Date` can hold (ECMA-262, Time Values and Time Range). */
const latestMs = 8.64e15;

/** A moment of a message. Other protocols know moments for which there is no date: those become the last one there is. */
export function dateOf(ms: number): Date {
  return new Date(Math.min(Math.max(ms, 0), latestMs));
}

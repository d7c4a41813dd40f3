// The neutral message as an AMQP one (docs/mapping.md §5): head, payload, tail. What came by AMQP leaves with the bare message that
// came. Header and annotations are the broker's and made for each delivery; of messages that are alike they are made once.

import { isUtf8 } from 'node:buffer';
import type { Attributes, Property } from '../../message/attributes.ts';
import type { Message } from '../../message/message.ts';
import { defaultPriority } from '../../message/message.ts';
import { amqpContentType } from './amqp-attributes.ts';
import { Annotation } from './annotations.ts';
import {
  type AmqpEntry,
  type AmqpValue,
  FormatCode,
  maxHeaderBytes,
  MessageSections,
  RepeatedBytes,
  scanMessage,
  SectionCode,
  ValueReader,
  ValueWriter,
  writeHeader,
} from './codec/index.ts';
import { encodable, writeApplicationProperties, writeBareProperties, writeProperties } from './outgoing-properties.ts';
import { Body, readResidue, residueProtocol, type ResidueParts } from './residue.ts';

/** What of a delivery, beside the message, its encoding depends on. */
export type DeliveryFacts = {
  /** It is the last value of its topic. */
  readonly retained: boolean;
  /** 0: at most once, which nobody acquires and which is not delivered again. */
  readonly guarantee: 0 | 1 | 2;
  readonly redelivered: boolean;
  readonly deliveryCount: number;
  /** The link may get messages of several topics, and says of which each is. */
  readonly showsTopic: boolean;
  /** The link says who sent each. */
  readonly showsSender: boolean;
};

const nothing = new Uint8Array(0);
const noKey = -1;

/** One object for all messages: valid until the next `set`. */
export class OutgoingMessage {
  /** The message is `head[0..headLength)`, the payload `buffer[start..end)`, and `tail[tailStart..tail.length)`. */
  head: Uint8Array = nothing;
  headLength = 0;
  buffer: Uint8Array = nothing;
  start = 0;
  end = 0;
  tail: Uint8Array = nothing;
  tailStart = 0;
  messageFormat = 0;

  readonly #writer = new ValueWriter();
  /** What the head was made for, if it is made from nothing else: its header, the topic if it is shown, the length of the payload. */
  #headerKey = noKey;
  #headTopic: Uint8Array | undefined = undefined;
  #payloadBytes = 0;
  /** Annotations with the topic of a message: made for this topic, and from these. */
  #annotated: Uint8Array = nothing;
  #annotatedTopic: Uint8Array | undefined = undefined;
  readonly #annotatedFrom = new RepeatedBytes();
  /** The residue that was read last. */
  #residueOf: Uint8Array | undefined = undefined;
  #residue: ResidueParts | undefined = undefined;
  /** What is encoded of attributes that have no residue, made for these. */
  #encodedFor: Attributes | undefined = undefined;
  #encodedTopic: string | undefined = undefined;
  #encodedExpiry = 0;
  #encoded: Uint8Array = nothing;

  get length(): number {
    return this.headLength + this.end - this.start + this.tail.length - this.tailStart;
  }

  set(message: Message, facts: DeliveryFacts, nowMs: number): void {
    this.buffer = message.buffer;
    this.start = message.start;
    this.end = message.end;
    const { attributes } = message;
    const plain = attributes === undefined && !facts.showsSender && !facts.retained;
    if (plain) {
      this.messageFormat = 0;
      this.tail = nothing;
      this.tailStart = 0;
      const key = message.expiresAtMs === 0 && facts.deliveryCount === 0 ? headerKey(message, facts) : noKey;
      const payloadBytes = message.end - message.start;
      const topicBytes = facts.showsTopic ? message.topicBytes : undefined;
      if (key !== noKey && key === this.#headerKey && payloadBytes === this.#payloadBytes && topicBytes === this.#headTopic) return;
      this.#headerKey = noKey;
      this.#writer.reset();
      this.#header(message, facts, nowMs, facts.guarantee > 0);
      if (topicBytes !== undefined) writeBareProperties(this.#writer, message);
      this.#dataFraming(payloadBytes);
      this.#finish();
      this.#headerKey = key;
      this.#payloadBytes = payloadBytes;
      this.#headTopic = topicBytes;
      return;
    }
    this.#headerKey = noKey;
    this.#writer.reset();
    const residue = attributes === undefined ? undefined : this.#residueOfAttributes(attributes);
    if (residue === undefined) this.#fromNeutral(message, facts, nowMs);
    else this.#fromResidue(message, residue, facts, nowMs);
    this.#finish();
  }

  /** Writes the whole message; there must be room for `length` bytes. */
  writeTo(target: Uint8Array, at: number): number {
    at = copyRange(target, at, this.head, 0, this.headLength);
    at = copyRange(target, at, this.buffer, this.start, this.end);
    return copyRange(target, at, this.tail, this.tailStart, this.tail.length);
  }

  /** The whole message on bytes of its own. */
  copy(): Uint8Array {
    const bytes = new Uint8Array(this.length);
    this.writeTo(bytes, 0);
    return bytes;
  }

  #finish(): void {
    this.head = this.#writer.bytes;
    this.headLength = this.#writer.length;
  }

  #residueOfAttributes({ residue }: Attributes): ResidueParts | undefined {
    if (residue?.protocol !== residueProtocol) return undefined;
    if (this.#residueOf !== residue.bytes) {
      this.#residueOf = residue.bytes;
      this.#residue = readResidue(residue.bytes);
    }
    return this.#residue;
  }

  #fromResidue(message: Message, residue: ResidueParts, facts: DeliveryFacts, nowMs: number): void {
    const writer = this.#writer;
    const { bytes, annotationsStart, propertiesStart, framingStart, footerStart, body } = residue;
    this.#header(message, facts, nowMs, residue.durable);
    if (showsOnlyTopic(message, facts)) {
      writer.raw(this.#annotationsWithTopic(message, bytes, annotationsStart, propertiesStart));
    } else {
      const added = annotationsOf(message, facts, true);
      if (added === undefined) writer.raw(bytes, annotationsStart, propertiesStart);
      else writeAnnotations(writer, merged(bytes, annotationsStart, propertiesStart, added));
    }
    writer.raw(bytes, propertiesStart, framingStart);
    if (body === Body.data) this.#dataFraming(message.end - message.start);
    else if (body === Body.framed) writer.raw(bytes, framingStart, footerStart);
    this.messageFormat = residue.messageFormat;
    this.tail = bytes;
    this.tailStart = footerStart;
  }

  /** What is said of every message on a link with a wildcard: made once for messages of a topic whose annotations are the same. */
  #annotationsWithTopic(message: Message, bytes: Uint8Array, start: number, end: number): Uint8Array {
    if (this.#annotatedTopic !== message.topicBytes || !this.#annotatedFrom.are(bytes, start, end)) {
      this.#annotatedFrom.forget(); // In case the encoding throws.
      const writer = new ValueWriter();
      writeAnnotations(writer, merged(bytes, start, end, [entry(Annotation.topic, { type: 'string', value: message.topic })]));
      this.#annotated = writer.copy();
      this.#annotatedTopic = message.topicBytes;
      this.#annotatedFrom.keep(bytes, start, end);
    }
    return this.#annotated;
  }

  #fromNeutral(message: Message, facts: DeliveryFacts, nowMs: number): void {
    const writer = this.#writer;
    const { attributes } = message;
    this.messageFormat = 0;
    this.tail = nothing;
    this.tailStart = 0;
    this.#header(message, facts, nowMs, facts.guarantee > 0);
    const annotations = annotationsOf(message, facts, false);
    if (annotations !== undefined) writeAnnotations(writer, annotations);
    if (attributes === undefined) {
      if (facts.showsTopic) writeBareProperties(writer, message);
      this.#dataFraming(message.end - message.start);
      return;
    }
    writer.raw(this.#encodedAttributes(message, attributes, facts.showsTopic ? message.topic : undefined));
    const payload = message.payload();
    if (attributes.contentType === amqpContentType && isBodyEncoding(payload)) return;
    if (attributes.payloadFormat === 'utf8' && isUtf8(payload)) this.#framing(SectionCode.value, FormatCode.str8, payload.length);
    else this.#dataFraming(payload.length);
  }

  /** Properties and application properties. */
  #encodedAttributes(message: Message, attributes: Attributes, topic: string | undefined): Uint8Array {
    if (this.#encodedFor !== attributes || this.#encodedTopic !== topic || this.#encodedExpiry !== message.expiresAtMs) {
      this.#encodedFor = undefined; // In case the encoding throws.
      const writer = new ValueWriter();
      writeProperties(writer, attributes, topic, message.expiresAtMs);
      writeApplicationProperties(writer, attributes.properties);
      this.#encoded = writer.copy();
      this.#encodedFor = attributes;
      this.#encodedTopic = topic;
      this.#encodedExpiry = message.expiresAtMs;
    }
    return this.#encoded;
  }

  /** [AMQP 3.2.1] Left out where it says nothing but the defaults. */
  #header(message: Message, facts: DeliveryFacts, nowMs: number, durable: boolean): void {
    const { priority, expiresAtMs } = message;
    const acquires = facts.guarantee > 0 && !facts.redelivered && facts.deliveryCount === 0;
    // What is about to expire still has a life to live: 0 would say that it has none.
    header.ttl = expiresAtMs === 0 ? -1 : Math.min(Math.max(Math.trunc(expiresAtMs - nowMs), 1), 0xffff_ffff);
    header.durable = durable;
    header.priority = priority;
    header.firstAcquirer = acquires;
    header.deliveryCount = facts.deliveryCount;
    this.#writer.raw(headerBytes, 0, writeHeader(headerBytes, 0, header));
  }

  #dataFraming(bytes: number): void {
    this.#framing(SectionCode.data, FormatCode.vbin8, bytes);
  }

  /** Descriptor, constructor and length of what the payload follows. */
  #framing(section: number, narrow: number, bytes: number): void {
    const writer = this.#writer;
    writer.descriptor(section);
    if (bytes <= 0xff) {
      framingBytes[0] = narrow;
      framingBytes[1] = bytes;
      writer.raw(framingBytes, 0, 2);
    } else {
      framingBytes[0] = narrow | 0x10;
      for (let i = 0; i < 4; i++) framingBytes[1 + i] = bytes >>> (24 - 8 * i);
      writer.raw(framingBytes, 0, 5);
    }
  }
}

const header = { durable: false, priority: defaultPriority, ttl: -1, firstAcquirer: false, deliveryCount: 0 };
const headerBytes = new Uint8Array(maxHeaderBytes);
const framingBytes = new Uint8Array(5);

/** All that the header of a message without expiry says that was not delivered before. */
function headerKey(message: Message, { guarantee, redelivered }: DeliveryFacts): number {
  return message.priority * 4 + (guarantee > 0 ? 1 : 0) + (guarantee > 0 && !redelivered ? 2 : 0);
}

/** Up to here a loop is quicker than a call of native code. */
const shortBytes = 40;

export function copyRange(target: Uint8Array, at: number, source: Uint8Array, start: number, end: number): number {
  const bytes = end - start;
  if (bytes <= shortBytes) for (let i = 0; i < bytes; i++) target[at + i] = source[start + i]!;
  else target.set(start === 0 && end === source.length ? source : source.subarray(start, end), at);
  return at + bytes;
}

const sections = new MessageSections();

/** Whether it is a body: data sections, or sequences, or one value, and nothing else. */
function isBodyEncoding(payload: Uint8Array): boolean {
  if (scanMessage(payload, 0, payload.length, sections) !== undefined) return false;
  return sections.bodyCount > 0 && sections.bodySectionsStart === 0 && sections.bodySectionsEnd === payload.length;
}

/** The topic is all that the broker says of the message in its annotations. */
function showsOnlyTopic({ attributes }: Message, { showsTopic, showsSender, retained }: DeliveryFacts): boolean {
  return showsTopic && !showsSender && !retained && attributes?.annotations === undefined && attributes?.death === undefined;
}

/** What the broker says of a message in its annotations; undefined: nothing. */
function annotationsOf({ attributes, topic, sender }: Message, facts: DeliveryFacts, isAmqp: boolean): AmqpEntry[] | undefined {
  const entries: AmqpEntry[] = [];
  if (facts.retained) entries.push(entry(Annotation.retain, { type: 'boolean', value: true }));
  if (facts.showsTopic && isAmqp) entries.push(entry(Annotation.topic, { type: 'string', value: topic }));
  if (facts.showsSender && sender !== '') entries.push(entry(Annotation.sender, { type: 'string', value: sender }));
  if (attributes === undefined) return entries.length === 0 ? undefined : entries;
  if (!isAmqp) {
    if (attributes.deliverAtMs !== undefined) {
      entries.push(entry(Annotation.deliveryTime, { type: 'long', value: BigInt(Math.trunc(attributes.deliverAtMs)) }));
    }
    if (attributes.properties !== undefined && holdsDuplicates(attributes.properties)) {
      entries.push(entry(Annotation.properties, { type: 'list', value: attributes.properties.flatMap(pairOf) }));
    }
  }
  for (const { key, value } of attributes.annotations ?? []) entries.push(entry(key, encodable(value)));
  if (attributes.death !== undefined) {
    const { reason, description, from, diedAtMs } = attributes.death;
    entries.push(entry(Annotation.deathReason, { type: 'string', value: reason }));
    if (description !== undefined) entries.push(entry(Annotation.deathDescription, { type: 'string', value: description }));
    entries.push(entry(Annotation.deathFrom, { type: 'string', value: from }));
    entries.push(entry(Annotation.deathTime, { type: 'timestamp', value: BigInt(Math.trunc(diedAtMs)) }));
  }
  return entries.length === 0 ? undefined : entries;
}

function entry(key: string, value: AmqpValue): AmqpEntry {
  return [{ type: 'symbol', value: key }, value];
}

function pairOf({ key, value }: Property): [AmqpValue, AmqpValue] {
  return [{ type: 'string', value: key }, encodable(value)];
}

function holdsDuplicates(properties: readonly Property[]): boolean {
  return new Set(properties.map(({ key }) => key.toWellFormed())).size < properties.length;
}

/** The annotations that came, with those of `added` in the place of what has the same key. */
function merged(bytes: Uint8Array, start: number, end: number, added: readonly AmqpEntry[]): readonly AmqpEntry[] {
  if (start === end || scanMessage(bytes, start, end, sections) !== undefined) return added;
  const reader = new ValueReader(bytes, sections.messageAnnotationsStart, sections.messageAnnotationsEnd);
  const came = reader.map();
  if (reader.fault !== undefined) return added;
  const keys = new Set(added.map(([key]) => key.value));
  return [...came.filter(([key]) => key.type !== 'symbol' || !keys.has(key.value)), ...added];
}

function writeAnnotations(writer: ValueWriter, entries: readonly AmqpEntry[]): void {
  writer.descriptor(SectionCode.messageAnnotations);
  writer.map(entries);
}

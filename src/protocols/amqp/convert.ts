// An AMQP message as the neutral one (docs/mapping.md §5). The other way is outgoing-message.ts.
//
// The payload stays where it is. Of the other sections nothing is decoded here but what the broker must know at once: header,
// expiry, and the annotations that it obeys. The rest is copied into the residue, from which AmqpAttributes reads on demand.

import { isUtf8 } from 'node:buffer';
import type { Attributes } from '../../message/attributes.ts';
import { defaultPriority } from '../../message/message.ts';
import { AmqpAttributes, PropertyField } from './amqp-attributes.ts';
import { Annotation, brokersOwn } from './annotations.ts';
import {
  type AmqpEntry,
  AmqpFault,
  type AmqpValue,
  Condition,
  decodeFault,
  decodeHeader,
  FormatCode,
  HeaderFields,
  isAscii,
  MessageSections,
  RepeatedBytes,
  scanMessage,
  SectionCode,
  uint32,
  ValueReader,
  ValueWriter,
} from './codec/index.ts';
import { Body, ResidueSource } from './residue.ts';
import { isWellFormed } from './well-formed.ts';

/** What peers of other protocols do not get of an AMQP message. AMQP peers lose nothing of the bare message. */
export const lostFromAmqp: readonly string[] = [
  'to, user-id, creation-time and reply-to-group-id',
  'delivery annotations, which are for one link',
  'message annotations that mean nothing to the broker',
  'footer',
  'message-format',
  'header.durable',
  'header.priority above 9: it becomes 9',
  'application properties of type char, which become strings, and decimals, which become binary',
  'application properties whose keys are no strings, or whose values are compound: the specification has neither',
  'whether a body of binary is a data section or a value section',
];

/** What a peer receives as another AMQP peer sent it, but for: */
export const lostBetweenAmqp: readonly string[] = [
  'delivery annotations, which are for one link',
  'header.durable of a message that is nothing but a data section: it is true when the message was sent unsettled',
  'header.priority above 9: it becomes 9',
  'x-opt-sender, x-opt-topic and x-opt-death-…, when a peer sets them',
];

/** What a message is, in the words of the broker. One object for all messages: valid until the next `read`. */
export class IncomingMessage {
  /** The payload: a range of what was read. */
  payloadStart = 0;
  payloadEnd = 0;
  priority = defaultPriority;
  /** Wall clock; 0: never. */
  expiresAtMs = 0;
  retain = false;
  attributes: Attributes | undefined = undefined;
  /** properties.to and the annotation x-opt-jms-dest: only read where the terminus is anonymous. */
  to: string | undefined = undefined;
  toType: number | undefined = undefined;

  readonly #source = new ResidueSource();
  readonly #sections = new MessageSections();
  readonly #header = new HeaderFields();
  readonly #reader = new ValueReader();
  #deliverAtMs: number | undefined = undefined;
  #cleaned: Uint8Array | undefined = undefined;
  /** What the annotations that were read last say: a producer's are mostly the same. */
  readonly #known = new KnownAnnotations();
  readonly #knownFrom = new RepeatedBytes();

  /**
   * Reads the message `bytes[start..end)`, that came with `messageFormat`, at `nowMs` by the wall clock. `wantsTo`: the link's
   * terminus is anonymous. Returns what is wrong with it, if anything.
   */
  read(
    bytes: Uint8Array,
    start: number,
    end: number,
    messageFormat: number,
    nowMs: number,
    plainAddress: 'topic' | 'queue',
    wantsTo = false,
  ): AmqpFault | undefined {
    this.priority = defaultPriority;
    this.expiresAtMs = 0;
    this.retain = false;
    this.attributes = undefined;
    this.to = undefined;
    this.toType = undefined;
    if (messageFormat === 0 && this.#isBareData(bytes, start, end)) return undefined;
    const sections = this.#sections;
    this.#deliverAtMs = undefined;
    this.#cleaned = undefined;
    const fault = scanMessage(bytes, start, end, sections) ?? this.#facts(bytes, nowMs, wantsTo) ?? this.#body(bytes, end);
    if (fault !== undefined) return fault;
    if (!this.#isReadable(bytes)) return decodeFault('a section of the message holds what is no value');
    this.#ranges(end);
    const source = this.#source;
    source.messageFormat = messageFormat;
    source.plainIsQueue = plainAddress === 'queue';
    if (!source.isEmpty) this.attributes = new AmqpAttributes(source.write(bytes, this.#cleaned), this.#deliverAtMs);
    return undefined;
  }

  /** One data section in its shortest form: most messages of machines. */
  #isBareData(bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    if (length < 5 || bytes[start] !== 0 || bytes[start + 1] !== FormatCode.smallulong || bytes[start + 2] !== SectionCode.data)
      return false;
    const code = bytes[start + 3];
    if (code === FormatCode.vbin8) {
      if (length !== 5 + bytes[start + 4]!) return false;
      this.payloadStart = start + 5;
    } else {
      if (code !== FormatCode.vbin32 || length < 8 + 256 || length !== 8 + uint32(bytes, start + 4)) return false;
      this.payloadStart = start + 8;
    }
    this.payloadEnd = end;
    return true;
  }

  /** What the broker must know at once. */
  #facts(bytes: Uint8Array, nowMs: number, wantsTo: boolean): AmqpFault | undefined {
    const sections = this.#sections;
    const header = this.#header;
    header.reset();
    let fault = sections.headerStart < 0 ? undefined : decodeHeader(bytes, sections.headerStart, sections.headerEnd, header);
    this.priority = Math.min(header.priority, 9);
    this.#source.durable = header.durable;
    this.#source.mayHaveGroup = false;
    this.#source.hasReplyTo = false;
    if (sections.messageAnnotationsStart >= 0) fault ??= this.#annotations(bytes, nowMs);
    if (sections.propertiesStart >= 0) fault ??= this.#properties(bytes, wantsTo);
    const expiresAtMs = nowMs + header.ttl;
    // A ttl of 0 is how some clients say that there is none.
    if (header.ttl > 0 && (this.expiresAtMs === 0 || expiresAtMs < this.expiresAtMs)) this.expiresAtMs = expiresAtMs;
    return fault;
  }

  /** Who reads it later, here or behind another link, must be able to. Annotations have been read; the payload is opaque. */
  #isReadable(bytes: Uint8Array): boolean {
    const { propertiesStart, propertiesEnd, applicationPropertiesStart, applicationPropertiesEnd, footerStart, footerEnd } = this.#sections;
    return (
      (propertiesStart < 0 || isWellFormed(bytes, propertiesStart, propertiesEnd)) &&
      (applicationPropertiesStart < 0 || isWellFormed(bytes, applicationPropertiesStart, applicationPropertiesEnd)) &&
      (footerStart < 0 || isWellFormed(bytes, footerStart, footerEnd))
    );
  }

  /** Where the sections lie that are kept: each with its descriptor, which begins where the section before ends. */
  #ranges(end: number): void {
    const { keptStart, messageAnnotationsEnd, propertiesEnd, applicationPropertiesEnd, bodySectionsEnd, footerStart } = this.#sections;
    const source = this.#source;
    let at = keptStart;
    source.annotationsStart = at;
    source.annotationsEnd = at = Math.max(at, messageAnnotationsEnd);
    source.propertiesStart = at;
    source.propertiesEnd = at = Math.max(at, propertiesEnd);
    source.applicationPropertiesStart = at;
    source.applicationPropertiesEnd = at = Math.max(at, applicationPropertiesEnd);
    source.footerStart = Math.max(at, bodySectionsEnd);
    source.footerEnd = footerStart < 0 ? source.footerStart : end;
  }

  #annotations(bytes: Uint8Array, nowMs: number): AmqpFault | undefined {
    const { messageAnnotationsStart: start, messageAnnotationsEnd: end } = this.#sections;
    const known = this.#known;
    if (!this.#knownFrom.are(bytes, start, end)) {
      this.#knownFrom.forget();
      const fault = known.read(this.#reader.reset(bytes, start, end));
      if (fault !== undefined) return fault;
      this.#knownFrom.keep(bytes, start, end);
    }
    this.retain = known.retain;
    this.toType = known.toType;
    this.#cleaned = known.cleaned;
    const { deliveryTimeMs, delayMs } = known;
    const deliverAtMs = deliveryTimeMs ?? (delayMs === undefined ? undefined : nowMs + delayMs);
    this.#deliverAtMs = deliverAtMs !== undefined && deliverAtMs > nowMs ? deliverAtMs : undefined;
    return undefined;
  }

  /** [AMQP 3.2.4] Only as far as somebody needs to know now. */
  #properties(bytes: Uint8Array, wantsTo: boolean): AmqpFault | undefined {
    const { propertiesStart, propertiesEnd } = this.#sections;
    const reader = this.#reader.reset(bytes, propertiesStart, propertiesEnd);
    const count = reader.enterList();
    this.#source.mayHaveGroup = count > PropertyField.groupId;
    const fields = Math.min(count, PropertyField.absoluteExpiryTime + 1);
    for (let field = 0; field < fields && reader.fault === undefined; field++) {
      if (reader.skipNull()) continue;
      if (field === PropertyField.replyTo) this.#source.hasReplyTo = true;
      if (field === PropertyField.to && wantsTo) this.to = reader.string();
      else if (field === PropertyField.absoluteExpiryTime) this.expiresAtMs = Math.max(0, reader.timestamp());
      else reader.skip();
    }
    return reader.fault;
  }

  /** The payload, and what of the body is not in it. */
  #body(bytes: Uint8Array, end: number): AmqpFault | undefined {
    const { bodyCount, bodyKind, bodyStart, bodyEnd, bodySectionsStart, bodySectionsEnd } = this.#sections;
    const source = this.#source;
    source.text = false;
    source.framingStart = source.framingEnd = 0;
    const code = bodyCount === 1 ? bytes[bodyStart]! : -1;
    const isBinary = code === FormatCode.vbin8 || code === FormatCode.vbin32;
    const isString = code === FormatCode.str8 || code === FormatCode.str32;
    if (bodyKind === SectionCode.sequence || !(isBinary || isString || code === FormatCode.null)) {
      source.body = Body.raw;
      this.payloadStart = bodyCount === 0 ? end : bodySectionsStart;
      this.payloadEnd = bodyCount === 0 ? end : bodySectionsEnd;
      return undefined;
    }
    const narrow = code === FormatCode.vbin8 || code === FormatCode.str8;
    this.payloadStart = code === FormatCode.null ? bodyEnd : bodyStart + (narrow ? 2 : 5);
    this.payloadEnd = bodyEnd;
    const shortest = narrow === this.payloadEnd - this.payloadStart <= 0xff;
    if (bodyKind === SectionCode.data && shortest && bodyStart === bodySectionsStart + 3) {
      source.body = Body.data;
      return undefined;
    }
    source.body = Body.framed;
    source.text = isString;
    source.framingStart = bodySectionsStart;
    source.framingEnd = this.payloadStart;
    return isString && !isUtf8Text(bytes, this.payloadStart, bodyEnd) ? decodeFault('a string is not well-formed UTF-8') : undefined;
  }
}

/** What the broker obeys of a message's annotations. */
class KnownAnnotations {
  retain = false;
  toType: number | undefined = undefined;
  deliveryTimeMs: number | undefined = undefined;
  delayMs: number | undefined = undefined;
  /** The annotations without what only the broker may say; undefined: as they came. */
  cleaned: Uint8Array | undefined = undefined;

  read(reader: ValueReader): AmqpFault | undefined {
    this.retain = false;
    this.toType = this.deliveryTimeMs = this.delayMs = undefined;
    this.cleaned = undefined;
    const entries = reader.map();
    if (reader.fault !== undefined) return reader.fault;
    let own = 0;
    for (const [key, value] of entries) {
      if (key.type !== 'symbol') continue;
      if (key.value === Annotation.retain) {
        if (value.type !== 'boolean') return new AmqpFault(Condition.invalidField, 'the annotation x-opt-retain is a boolean');
        this.retain = value.value;
      } else if (key.value === Annotation.deliveryTime || key.value === Annotation.scheduledEnqueueTime) {
        this.deliveryTimeMs = wholeNumber(value);
      } else if (key.value === Annotation.deliveryDelay) {
        this.delayMs = wholeNumber(value);
      } else if (key.value === Annotation.jmsDestination) {
        if (value.type === 'byte') this.toType = value.value;
      } else if (brokersOwn.has(key.value)) {
        own++;
      }
    }
    if (own > 0) this.cleaned = withoutBrokersOwn(entries);
    return undefined;
  }
}

function isUtf8Text(bytes: Uint8Array, start: number, end: number): boolean {
  return (end - start <= 32 && isAscii(bytes, start, end)) || isUtf8(bytes.subarray(start, end));
}

/** Undefined: not a number, negative, or one that no clock shows. */
function wholeNumber(value: AmqpValue): number | undefined {
  switch (value.type) {
    case 'long':
    case 'ulong':
    case 'timestamp':
      return value.value >= 0n && value.value <= Number.MAX_SAFE_INTEGER / 2 ? Number(value.value) : undefined;
    case 'int':
    case 'uint':
      return value.value >= 0 ? value.value : undefined;
    default:
      return undefined;
  }
}

function withoutBrokersOwn(entries: readonly AmqpEntry[]): Uint8Array {
  const left = entries.filter(([key]) => key.type !== 'symbol' || !brokersOwn.has(key.value));
  const writer = new ValueWriter();
  if (left.length === 0) return writer.copy();
  writer.descriptor(SectionCode.messageAnnotations);
  writer.map(left);
  return writer.copy();
}

// What of an AMQP message the neutral fields cannot give back byte for byte: its sections other than header, delivery annotations
// and payload, as they came. Kept in `Attributes.residue`, so that a delivery to another AMQP peer is the message that came.
//
// Layout: flags, message-format if there is one (4 bytes), the lengths of message annotations, properties, application properties
// and framing (1 to 5 bytes each, seven bits a byte, low ones first), then these, then the footer.

/** `Attributes.residue.protocol`. */
export const residueProtocol = 'amqp';

/** How payload and body belong together. */
export const Body = {
  /** One data section in its shortest form: made anew. */
  data: 0,
  /** The payload follows the framing: a data section in another form, or a value section that holds binary, a string or null. */
  framed: 1,
  /** The payload is the body in its AMQP encoding. */
  raw: 2,
} as const;
export type Body = (typeof Body)[keyof typeof Body];

const bodyMask = 0b11;
const durableFlag = 0b100;
const formatFlag = 0b1000;
const textFlag = 0b1_0000;
const queueFlag = 0b10_0000;
const groupFlag = 0b100_0000;
const replyFlag = 0b1000_0000;

/** Most bytes before the sections. */
const headBytes = 25;

export type ResidueParts = {
  readonly bytes: Uint8Array;
  readonly body: Body;
  /** The payload is a string. */
  readonly text: boolean;
  /** An address without scheme named a queue where it came in. */
  readonly plainIsQueue: boolean;
  readonly durable: boolean;
  readonly messageFormat: number;
  /** Ranges of `bytes`; all but the annotations end where the next one starts. */
  readonly annotationsStart: number;
  readonly propertiesStart: number;
  readonly applicationPropertiesStart: number;
  readonly framingStart: number;
  readonly footerStart: number;
};

/** Sections as ranges of one source; an empty range: the message has none. */
export class ResidueSource {
  body: Body = Body.data;
  text = false;
  /** See ResidueParts. */
  plainIsQueue = false;
  /** The properties may name a group. */
  mayHaveGroup = false;
  hasReplyTo = false;
  durable = false;
  messageFormat = 0;
  annotationsStart = 0;
  annotationsEnd = 0;
  propertiesStart = 0;
  propertiesEnd = 0;
  applicationPropertiesStart = 0;
  applicationPropertiesEnd = 0;
  framingStart = 0;
  framingEnd = 0;
  footerStart = 0;
  footerEnd = 0;

  clear(): void {
    this.body = Body.data;
    this.text = false;
    this.plainIsQueue = false;
    this.mayHaveGroup = false;
    this.hasReplyTo = false;
    this.durable = false;
    this.messageFormat = 0;
    this.annotationsStart = this.annotationsEnd = 0;
    this.propertiesStart = this.propertiesEnd = 0;
    this.applicationPropertiesStart = this.applicationPropertiesEnd = 0;
    this.framingStart = this.framingEnd = 0;
    this.footerStart = this.footerEnd = 0;
  }

  #rareFlags(): number {
    return (this.plainIsQueue ? queueFlag : 0) | (this.mayHaveGroup ? groupFlag : 0) | (this.hasReplyTo ? replyFlag : 0);
  }

  /** Nothing that the payload alone would not give back. */
  get isEmpty(): boolean {
    return (
      this.body === Body.data &&
      this.messageFormat === 0 &&
      this.annotationsEnd === this.annotationsStart &&
      this.propertiesEnd === this.propertiesStart &&
      this.applicationPropertiesEnd === this.applicationPropertiesStart &&
      this.footerEnd === this.footerStart
    );
  }

  /** The residue, on bytes of its own. `annotations` replaces those of the source. */
  write(source: Uint8Array, annotations?: Uint8Array): Uint8Array {
    const annotationsLength = annotations?.length ?? this.annotationsEnd - this.annotationsStart;
    const propertiesLength = this.propertiesEnd - this.propertiesStart;
    const applicationPropertiesLength = this.applicationPropertiesEnd - this.applicationPropertiesStart;
    const framingLength = this.framingEnd - this.framingStart;
    const footerLength = this.footerEnd - this.footerStart;
    let at = 0;
    const { messageFormat } = this;
    head[at++] =
      this.body |
      (this.text ? textFlag : 0) |
      (this.durable ? durableFlag : 0) |
      this.#rareFlags() |
      (messageFormat === 0 ? 0 : formatFlag);
    if (messageFormat !== 0) for (let shift = 24; shift >= 0; shift -= 8) head[at++] = messageFormat >>> shift;
    at = writeLength(head, at, annotationsLength);
    at = writeLength(head, at, propertiesLength);
    at = writeLength(head, at, applicationPropertiesLength);
    at = writeLength(head, at, framingLength);
    const bytes = new Uint8Array(at + annotationsLength + propertiesLength + applicationPropertiesLength + framingLength + footerLength);
    for (let i = 0; i < at; i++) bytes[i] = head[i]!;
    if (annotations === undefined) at = copy(bytes, at, source, this.annotationsStart, this.annotationsEnd);
    else at = copy(bytes, at, annotations, 0, annotations.length);
    at = copy(bytes, at, source, this.propertiesStart, this.propertiesEnd);
    at = copy(bytes, at, source, this.applicationPropertiesStart, this.applicationPropertiesEnd);
    at = copy(bytes, at, source, this.framingStart, this.framingEnd);
    copy(bytes, at, source, this.footerStart, this.footerEnd);
    return bytes;
  }
}

const head = new Uint8Array(headBytes);

/** Up to here a loop is quicker than a call of native code. */
const shortBytes = 32;

function copy(target: Uint8Array, at: number, source: Uint8Array, start: number, end: number): number {
  if (end - start <= shortBytes) for (let i = start; i < end; i++) target[at + i - start] = source[i]!;
  else target.set(source.subarray(start, end), at);
  return at + end - start;
}

function writeLength(bytes: Uint8Array, at: number, value: number): number {
  let rest = value;
  while (rest > 0x7f) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

/** Reads what `ResidueSource.write` wrote; undefined: it is not that. */
export function readResidue(bytes: Uint8Array): ResidueParts | undefined {
  let at = 1;
  const flags = bytes[0] ?? -1;
  const body = flags & bodyMask;
  if (flags < 0 || flags > 0xff || body > Body.raw) return undefined;
  let messageFormat = 0;
  if ((flags & formatFlag) !== 0) for (let i = 0; i < 4; i++) messageFormat = ((messageFormat << 8) | (bytes[at++] ?? 0)) >>> 0;
  for (let i = 0; i < lengths.length; i++) {
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 28) return undefined;
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    lengths[i] = length;
  }
  const propertiesStart = at + lengths[0]!;
  const applicationPropertiesStart = propertiesStart + lengths[1]!;
  const framingStart = applicationPropertiesStart + lengths[2]!;
  const footerStart = framingStart + lengths[3]!;
  if (footerStart > bytes.length) return undefined;
  return {
    bytes,
    body: body as Body,
    text: (flags & textFlag) !== 0,
    plainIsQueue: (flags & queueFlag) !== 0,
    durable: (flags & durableFlag) !== 0,
    messageFormat,
    annotationsStart: at,
    propertiesStart,
    applicationPropertiesStart,
    framingStart,
    footerStart,
  };
}

/** False: the properties of the message name no group, and need not be looked through for one. */
export function mayHaveGroup(bytes: Uint8Array): boolean {
  return (bytes[0]! & groupFlag) !== 0;
}

/** Whether its properties have a reply-to. */
export function hasReplyTo(bytes: Uint8Array): boolean {
  return (bytes[0]! & replyFlag) !== 0;
}

const lengths = [0, 0, 0, 0];

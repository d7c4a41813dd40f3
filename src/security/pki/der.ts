// DER (X.690): what certificates are written in, and a strict reader of it. The reader takes one form of everything: what another
// reader might understand differently is refused.

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

const headerLimit = 6;

/** One element: its tag, its length, its content. */
export function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of content) length += part.length;
  const header = Buffer.allocUnsafe(headerLimit);
  let at = header.writeUInt8(tag, 0);
  if (length < 0x80) at = header.writeUInt8(length, at);
  else if (length < 0x100) at = header.writeUInt16BE(0x8100 | length, at);
  else if (length < 0x1_0000) at = header.writeUInt16BE(length, header.writeUInt8(0x82, at));
  else at = header.writeUInt32BE(length, header.writeUInt8(0x84, at));
  return Buffer.concat([header.subarray(0, at), ...content]);
}

export function sequence(...content: readonly Uint8Array[]): Buffer {
  return element(tags.sequence, ...content);
}

/** [number], constructed: EXPLICIT around `content`, or IMPLICIT in place of a SEQUENCE. */
export function context(number: number, ...content: readonly Uint8Array[]): Buffer {
  return element(0xa0 | number, ...content);
}

/** [number], IMPLICIT, in place of something that is not constructed. */
export function contextPrimitive(number: number, content: Uint8Array): Buffer {
  return element(0x80 | number, content);
}

/** In DER the elements of a SET OF stand in the order of their bytes (X.690 §11.6). */
export function setOf(...content: readonly Uint8Array[]): Buffer {
  return element(tags.set, ...content.toSorted((a, b) => Buffer.compare(a, b)));
}

export function oid(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split('.').map(BigInt) as [bigint, bigint, ...bigint[]];
  const bytes: number[] = [];
  for (const arc of [first * 40n + second, ...rest]) {
    const groups = [Number(arc & 0x7fn)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) groups.unshift(Number(left & 0x7fn) | 0x80);
    bytes.push(...groups);
  }
  return element(tags.oid, Uint8Array.from(bytes));
}

/** A number that is not negative: safe integer, or big-endian bytes. */
export function integer(value: number | Uint8Array): Buffer {
  const bytes = typeof value === 'number' ? Buffer.from(evenHex(value.toString(16)), 'hex') : Buffer.from(value);
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const content = bytes.subarray(start);
  return element(tags.integer, ...(content[0]! & 0x80 ? [Uint8Array.of(0)] : []), content);
}

function evenHex(hex: string): string {
  return hex.length % 2 === 0 ? hex : `0${hex}`;
}

export function boolean(value: boolean): Buffer {
  return element(tags.boolean, Uint8Array.of(value ? 0xff : 0));
}

export const nothing: Buffer = element(tags.null);

export function octetString(content: Uint8Array): Buffer {
  return element(tags.octetString, content);
}

export function bitString(content: Uint8Array): Buffer {
  return element(tags.bitString, Uint8Array.of(0), content);
}

/** Named bits, number 0 first; without the zeros at the end (X.690 §11.2.2). */
export function namedBits(bits: readonly number[]): Buffer {
  const last = Math.max(-1, ...bits);
  const bytes = Buffer.alloc(Math.ceil((last + 1) / 8));
  for (const bit of bits) bytes[bit >> 3]! |= 0x80 >> (bit & 7);
  return element(tags.bitString, Uint8Array.of(bytes.length * 8 - 1 - last), bytes);
}

export function utf8String(text: string): Buffer {
  return element(tags.utf8String, Buffer.from(text, 'utf8'));
}

export function ia5String(text: string): Buffer {
  return element(tags.ia5String, Buffer.from(text, 'latin1'));
}

/** To the second. UTCTime until 2049, GeneralizedTime after (RFC 5280 §4.1.2.5). */
export function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/[-T:]/g, '').slice(0, 14);
  const year = Number(digits.slice(0, 4));
  if (year >= 1950 && year < 2050) return element(tags.utcTime, Buffer.from(`${digits.slice(2)}Z`, 'latin1'));
  return generalizedTime(ms);
}

export function generalizedTime(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/[-T:]/g, '').slice(0, 14);
  return element(tags.generalizedTime, Buffer.from(`${digits}Z`, 'latin1'));
}

/** What was read is not DER, or not what was to be there. */
export class DerError extends Error {}

export type DerElement = {
  readonly tag: number;
  readonly content: Uint8Array;
  /** With its header. */
  readonly whole: Uint8Array;
};

/** Reads the elements of a stretch of bytes one after the other. What it hands out are views of the bytes. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The tag of what comes next; undefined at the end. */
  get nextTag(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** @throws DerError */
  next(): DerElement {
    const start = this.#at;
    const bytes = this.#bytes;
    const tag = bytes[start];
    if (tag === undefined) throw new DerError('ends too early');
    if ((tag & 0x1f) === 0x1f) throw new DerError('holds a tag of several bytes');
    let at = start + 1;
    const first = bytes[at++];
    if (first === undefined) throw new DerError('ends too early');
    let length = first;
    if (first >= 0x80) {
      const count = first & 0x7f;
      if (count === 0 || count > 4) throw new DerError('holds a length in a form that is not DER');
      length = 0;
      for (let i = 0; i < count; i++) length = length * 0x100 + (bytes[at++] ?? NaN);
      if (Number.isNaN(length)) throw new DerError('ends too early');
      // The shortest form is the only one (X.690 §10.1).
      if (length < 0x80 || (count > 1 && length < 0x100 ** (count - 1))) throw new DerError('holds a length in a form that is not DER');
    }
    const end = at + length;
    if (end > bytes.length) throw new DerError('ends too early');
    this.#at = end;
    return { tag, content: bytes.subarray(at, end), whole: bytes.subarray(start, end) };
  }

  /** @throws DerError when it has another tag */
  take(tag: number): DerElement {
    const found = this.next();
    if (found.tag !== tag) throw new DerError(`holds tag ${found.tag} where ${tag} belongs`);
    return found;
  }

  /** The elements within the next one, which must have this tag. */
  within(tag: number): DerReader {
    return new DerReader(this.take(tag).content);
  }

  /** @throws DerError unless everything was read */
  end(): void {
    if (!this.atEnd) throw new DerError('holds more than belongs there');
  }

  /** Dotted. */
  oid(): string {
    const { content } = this.take(tags.oid);
    const arcs: number[] = [];
    let arc = 0;
    let isStart = true;
    for (const byte of content) {
      if (isStart && byte === 0x80) throw new DerError('holds an object identifier in a form that is not DER');
      arc = arc * 0x80 + (byte & 0x7f);
      if (arc > Number.MAX_SAFE_INTEGER) throw new DerError('holds an object identifier that is too large');
      isStart = byte < 0x80;
      if (!isStart) continue;
      arcs.push(arc);
      arc = 0;
    }
    if (!isStart || arcs.length === 0) throw new DerError('holds an object identifier that is cut');
    const first = Math.min(2, Math.floor(arcs[0]! / 40));
    return [first, arcs[0]! - first * 40, ...arcs.slice(1)].join('.');
  }

  /** The bytes of a number that is not negative, without leading zeros. */
  unsigned(): Uint8Array {
    const { content } = this.take(tags.integer);
    if (content.length === 0) throw new DerError('holds a number without digits');
    if (content[0]! >= 0x80) throw new DerError('holds a negative number');
    if (content.length > 1 && content[0] === 0 && content[1]! < 0x80) throw new DerError('holds a number in a form that is not DER');
    return content[0] === 0 ? content.subarray(1) : content;
  }

  boolean(): boolean {
    const { content } = this.take(tags.boolean);
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff))
      throw new DerError('holds a truth value in a form that is not DER');
    return content[0] === 0xff;
  }

  /** A bit string of whole bytes. */
  bytesOfBits(): Uint8Array {
    const { content } = this.take(tags.bitString);
    if (content[0] !== 0) throw new DerError('holds bits that are not whole bytes');
    return content.subarray(1);
  }

  /** Numbers of the bits that are set. */
  namedBits(): number[] {
    const { content } = this.take(tags.bitString);
    const unused = content[0];
    const last = content.at(-1)!;
    const isShort = unused === undefined || unused > 7 || (content.length === 1 && unused !== 0);
    // The last bit is set, or there is none (X.690 §11.2.2).
    if (isShort || (content.length > 1 && ((last & ((1 << unused) - 1)) !== 0 || (last & (1 << unused)) === 0))) {
      throw new DerError('holds bits in a form that is not DER');
    }
    const found: number[] = [];
    for (let i = 8; i < content.length * 8; i++) if (content[i >> 3]! & (0x80 >> (i & 7))) found.push(i - 8);
    return found;
  }
}

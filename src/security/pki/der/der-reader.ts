// Reads DER (ITU-T X.690 §10) strictly: what has two encodings is refused in all but the one. It holds positions in the bytes that
// it was given and copies nothing. Within it a fault is a DerError; `readDer` makes a value of it, so that none gets away.

export class DerError extends Error {
  override readonly name = 'DerError';
}

/** One element: tag, and where its content lies in `bytes`. */
export type Element = {
  readonly bytes: Uint8Array;
  readonly tag: number;
  /** Of the tag. */
  readonly start: number;
  /** Of the content. */
  readonly from: number;
  readonly end: number;
};

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** `[n]` of a choice or an optional field: constructed, or primitive. */
export const context = (n: number): number => 0xa0 | n;
export const primitiveContext = (n: number): number => 0x80 | n;

/** What `read` makes of the bytes; undefined when they are not DER, or not what `read` wants. */
export function readDer<T>(bytes: Uint8Array, read: (reader: DerReader) => T): T | undefined {
  try {
    const reader = new DerReader(bytes, 0, bytes.length);
    const value = read(reader);
    reader.end();
    return value;
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

export class DerReader {
  readonly #bytes: Uint8Array;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, from: number, end: number) {
    this.#bytes = bytes;
    this.#at = from;
    this.#end = end;
  }

  get atEnd(): boolean {
    return this.#at === this.#end;
  }

  /** Tag of the next element; undefined at the end. */
  get nextTag(): number | undefined {
    return this.#at < this.#end ? this.#bytes[this.#at] : undefined;
  }

  /** The next element, which must have this tag. */
  take(tag?: number): Element {
    const bytes = this.#bytes;
    const start = this.#at;
    if (start + 2 > this.#end) throw new DerError('ends too early');
    const found = bytes[start]!;
    if ((found & 0x1f) === 0x1f) throw new DerError('a tag of several bytes');
    if (tag !== undefined && found !== tag) throw new DerError(`tag ${found} instead of ${tag}`);
    let from = start + 2;
    let length = bytes[start + 1]!;
    if (length >= 0x80) {
      // Four bytes are more than anything that is read here; 0x80 is BER's indefinite length.
      const count = length & 0x7f;
      if (count === 0 || count > 4 || from + count > this.#end) throw new DerError('length');
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + bytes[from + i]!;
      if (length < 0x80 || length < 256 ** (count - 1)) throw new DerError('a length that is not the shortest');
      from += count;
    }
    const end = from + length;
    if (end > this.#end) throw new DerError('longer than what holds it');
    this.#at = end;
    return { bytes, tag: found, start, from, end };
  }

  takeIf(tag: number): Element | undefined {
    return this.nextTag === tag ? this.take(tag) : undefined;
  }

  /** A reader of what a constructed element holds. */
  enter(tag: number): DerReader {
    return inside(this.take(tag));
  }

  enterIf(tag: number): DerReader | undefined {
    return this.nextTag === tag ? this.enter(tag) : undefined;
  }

  end(): void {
    if (!this.atEnd) throw new DerError('more than expected');
  }
}

export function inside({ bytes, from, end }: Element): DerReader {
  return new DerReader(bytes, from, end);
}

/** The content, not copied. */
export function contentOf({ bytes, from, end }: Element): Uint8Array {
  return bytes.subarray(from, end);
}

/** Tag, length and content, not copied. */
export function wholeOf({ bytes, start, end }: Element): Uint8Array {
  return bytes.subarray(start, end);
}

/** Dotted numbers. */
export function oidOf(element: Element): string {
  const content = contentOf(element);
  if (content.length === 0 || content.length > 64 || (content.at(-1)! & 0x80) !== 0) throw new DerError('object identifier');
  const numbers: bigint[] = [];
  let value = 0n;
  for (const [i, byte] of content.entries()) {
    if (value === 0n && byte === 0x80 && (i === 0 || (content[i - 1]! & 0x80) === 0)) throw new DerError('object identifier with padding');
    value = (value << 7n) | BigInt(byte & 0x7f);
    if ((byte & 0x80) !== 0) continue;
    if (numbers.length === 0) {
      const first = value < 80n ? value / 40n : 2n;
      numbers.push(first, value - first * 40n);
    } else numbers.push(value);
    value = 0n;
  }
  return numbers.join('.');
}

/** Lower-case hex without leading zeros. Negative numbers, which no field here may hold, are faults. */
export function unsignedHexOf(element: Element, maxBytes: number): string {
  const content = contentOf(element);
  // A zero in front says that the number is not negative.
  if (content.length === 0 || content.length > maxBytes + (content[0] === 0 ? 1 : 0)) throw new DerError('integer');
  if ((content[0]! & 0x80) !== 0) throw new DerError('negative');
  if (content.length > 1 && content[0] === 0 && (content[1]! & 0x80) === 0) throw new DerError('integer with padding');
  return Buffer.from(content.buffer, content.byteOffset, content.length)
    .toString('hex')
    .replace(/^0+(?=.)/, '');
}

/** A whole number below 2^31. */
export function smallIntegerOf(element: Element): number {
  const value = Number.parseInt(unsignedHexOf(element, 4), 16);
  if (value > 0x7fff_ffff) throw new DerError('integer too large');
  return value;
}

export function booleanOf(element: Element): boolean {
  const content = contentOf(element);
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) throw new DerError('boolean');
  return content[0] === 0xff;
}

/** The bytes of a bit string that is made of whole ones. */
export function bitBytesOf(element: Element): Uint8Array {
  const content = contentOf(element);
  if (content.length === 0 || content[0] !== 0) throw new DerError('bit string');
  return content.subarray(1);
}

/** UTCTime or GeneralizedTime as RFC 5280 §4.1.2.5 allows them: to the second, in UTC. Milliseconds since the epoch. */
export function timeOf(element: Element): number {
  const text = Buffer.from(contentOf(element)).toString('latin1');
  const isShort = element.tag === tags.utcTime;
  if (!isShort && element.tag !== tags.generalizedTime) throw new DerError('time');
  const found = (isShort ? /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/ : /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/).exec(text);
  if (found === null) throw new DerError('time');
  const [year, month, day, hour, minute, second] = found.slice(1).map(Number) as [number, number, number, number, number, number];
  const fullYear = isShort ? (year < 50 ? 2000 : 1900) + year : year;
  const date = new Date(0);
  date.setUTCFullYear(fullYear, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const isReal = date.getUTCMonth() === month - 1 && date.getUTCDate() === day && hour < 24 && minute < 60 && second < 60;
  if (!isReal) throw new DerError('a date that there is not');
  return date.getTime();
}

// Writes MQTT's data types into a growing buffer of its own. For packets whose length is not known beforehand; the hot packets
// are written straight into the output.

const firstBytes = 512;
/** A larger buffer is not kept for the next packet. */
const keptBytes = 64 * 1024;

/** Up to this length a loop over ASCII beats the call into the runtime. */
const shortCharacters = 40;

export class Builder {
  #bytes = new Uint8Array(firstBytes);
  length = 0;

  /** Starts anew, and gives up a buffer that one large packet made large. */
  clear(): this {
    if (this.#bytes.length > keptBytes) this.#bytes = new Uint8Array(firstBytes);
    this.length = 0;
    return this;
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.length++] = value;
  }

  twoBytes(value: number): void {
    this.#room(2);
    this.#bytes[this.length++] = value >>> 8;
    this.#bytes[this.length++] = value;
  }

  fourBytes(value: number): void {
    this.twoBytes(value >>> 16);
    this.twoBytes(value & 0xffff);
  }

  variableByteInteger(value: number): void {
    this.#room(4);
    this.length = writeVariableByteInteger(this.#bytes, this.length, value);
  }

  /** A string with its length. A lone surrogate, which UTF-8 cannot carry, becomes U+FFFD [MQTT-1.5.4-1]. */
  text(value: string): void {
    if (this.shortText(value)) return;
    this.#room(2 + value.length * 3);
    const start = this.length + 2;
    const bytes = utf8Write.call(this.#bytes, value, start);
    if (bytes > 0xffff) throw new RangeError('an MQTT string holds at most 65535 bytes');
    this.twoBytes(bytes);
    this.length = start + bytes;
  }

  /** The same if the string is short, ASCII and without U+0000; else writes nothing and returns false. */
  shortText(value: string): boolean {
    const length = value.length;
    if (length > shortCharacters) return false;
    this.#room(2 + shortCharacters);
    const bytes = this.#bytes;
    const start = this.length + 2;
    for (let i = 0; i < length; i++) {
      const unit = value.charCodeAt(i);
      if (unit === 0 || unit > 0x7f) return false;
      bytes[start + i] = unit;
    }
    bytes[start - 2] = 0;
    bytes[start - 1] = length;
    this.length = start + length;
    return true;
  }

  /** A binary field with its length. */
  binary(value: Uint8Array): void {
    if (value.length > 0xffff) throw new RangeError('an MQTT binary field holds at most 65535 bytes');
    this.twoBytes(value.length);
    this.raw(value);
  }

  raw(value: Uint8Array): void {
    this.#room(value.length);
    this.#bytes.set(value, this.length);
    this.length += value.length;
  }

  /** A view of what was written; valid until the next call. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  /** A copy of what was written. */
  copy(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }

  #room(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.view());
    this.#bytes = grown;
  }
}

// Without a Buffer object per builder and growth.
const { utf8Write } = Buffer.prototype as unknown as { utf8Write: (this: Uint8Array, text: string, start: number) => number };

/** Writes `value` (0 to 268,435,455) at `at` in as few bytes as possible [MQTT-1.5.5-1]. Returns the position after it. */
export function writeVariableByteInteger(buffer: Uint8Array, at: number, value: number): number {
  let rest = value;
  let next = at;
  while (rest > 0x7f) {
    buffer[next++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[next++] = rest;
  return next;
}

/** How many bytes `writeVariableByteInteger` writes. */
export function variableByteIntegerBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4;
}

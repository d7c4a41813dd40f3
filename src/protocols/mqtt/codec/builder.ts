// Writes MQTT's data types into a growing buffer of its own. For packets whose length is not known beforehand; the hot packets
// are written straight into the output.

const keptBytes = 64 * 1024;

export class Builder {
  #buffer = Buffer.allocUnsafe(512);
  length = 0;

  /** Starts anew, and gives up a buffer that one large packet made large. */
  clear(): this {
    if (this.#buffer.length > keptBytes) this.#buffer = Buffer.allocUnsafe(512);
    this.length = 0;
    return this;
  }

  byte(value: number): void {
    this.#room(1);
    this.#buffer[this.length++] = value;
  }

  twoBytes(value: number): void {
    this.#room(2);
    this.#buffer[this.length++] = value >>> 8;
    this.#buffer[this.length++] = value;
  }

  fourBytes(value: number): void {
    this.twoBytes(value >>> 16);
    this.twoBytes(value & 0xffff);
  }

  variableByteInteger(value: number): void {
    this.#room(4);
    this.length = writeVariableByteInteger(this.#buffer, this.length, value);
  }

  /** A string with its length. A lone surrogate, which UTF-8 cannot carry, becomes U+FFFD [MQTT-1.5.4-1]. */
  text(value: string): void {
    this.#room(2 + value.length * 3);
    const start = this.length + 2;
    const bytes = this.#buffer.write(value, start, 'utf8');
    if (bytes > 0xffff) throw new RangeError('an MQTT string holds at most 65535 bytes');
    this.twoBytes(bytes);
    this.length = start + bytes;
  }

  /** A binary field with its length. */
  binary(value: Uint8Array): void {
    if (value.length > 0xffff) throw new RangeError('an MQTT binary field holds at most 65535 bytes');
    this.twoBytes(value.length);
    this.raw(value);
  }

  raw(value: Uint8Array): void {
    this.#room(value.length);
    this.#buffer.set(value, this.length);
    this.length += value.length;
  }

  /** A view of what was written; valid until the next call. */
  view(): Uint8Array {
    return this.#buffer.subarray(0, this.length);
  }

  /** A copy of what was written. */
  copy(): Uint8Array {
    return new Uint8Array(this.view());
  }

  #room(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.view());
    this.#buffer = grown;
  }
}

/** Most that a variable byte integer, and so a remaining length, can say. */
export const maxVariableByteInteger = 268_435_455;

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

// Reading and writing the presentation language of TLS (RFC 5246 §4), with every length checked.

import { fail } from './alert.ts';

/** Reads what must be there; what is cut short or too long ends the handshake with decode_error. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.#number(1);
  }

  u16(): number {
    return this.#number(2);
  }

  u24(): number {
    return this.#number(3);
  }

  /** A view, not a copy: who keeps it beyond the call copies it (`slice` of a Buffer does not). */
  take(length: number): Uint8Array {
    if (length > this.left) fail('decode-error', 'protocol');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** With a length of one, two or three bytes in front. */
  vector(lengthBytes: 1 | 2 | 3, least = 0): Uint8Array {
    const length = this.#number(lengthBytes);
    if (length < least) fail('decode-error', 'protocol');
    return this.take(length);
  }

  /** Numbers of two bytes, with their length in bytes in front. */
  u16List(lengthBytes: 1 | 2): number[] {
    const list = new ByteReader(this.vector(lengthBytes));
    const found: number[] = [];
    while (list.left > 0) found.push(list.u16());
    return found;
  }

  end(): void {
    if (this.left > 0) fail('decode-error', 'protocol');
  }

  #number(length: number): number {
    let value = 0;
    for (const byte of this.take(length)) value = value * 256 + byte;
    return value;
  }
}

export function u8(value: number): Uint8Array {
  return Uint8Array.of(value);
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

export function u24(value: number): Uint8Array {
  return Uint8Array.of(value >>> 16, (value >>> 8) & 0xff, value & 0xff);
}

export function vector(lengthBytes: 1 | 2 | 3, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const front = lengthBytes === 1 ? u8(length) : lengthBytes === 2 ? u16(length) : u24(length);
  return Buffer.concat([front, ...parts]);
}

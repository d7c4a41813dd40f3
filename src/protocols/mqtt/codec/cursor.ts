// Reads MQTT's data types from a range of bytes. The first error sticks: later reads give empty values and read nothing, so that a decoder
// reads on in a straight line and looks at `error` once.

import { type DecodeError, malformed } from './decode-error.ts';
import { isMqttText, textOf } from './utf8.ts';

const nothing = new Uint8Array(0);

export class Cursor {
  bytes: Uint8Array;
  at: number;
  end: number;
  error: DecodeError | undefined;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.error = undefined;
  }

  reset(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.error = undefined;
  }

  get atEnd(): boolean {
    return this.at >= this.end;
  }

  /** Keeps the first error and ends the reading. */
  fail(error: DecodeError): void {
    this.error ??= error;
    this.at = this.end;
  }

  /** Nothing may be left. */
  finish(what: string): void {
    if (this.at < this.end) this.fail(malformed(`bytes after the end of ${what}`));
  }

  byte(): number {
    if (this.at >= this.end) return this.#cut();
    return this.bytes[this.at++]!;
  }

  twoBytes(): number {
    if (this.end - this.at < 2) return this.#cut();
    const value = (this.bytes[this.at]! << 8) | this.bytes[this.at + 1]!;
    this.at += 2;
    return value;
  }

  fourBytes(): number {
    if (this.end - this.at < 4) return this.#cut();
    const { bytes, at } = this;
    this.at += 4;
    return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
  }

  variableByteInteger(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte();
      if (this.error !== undefined) return 0;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte === 0 && shift > 0) this.fail(malformed('an integer is not written in as few bytes as possible')); // [MQTT-1.5.5-1]
        return value;
      }
    }
    this.fail(malformed('a variable byte integer is longer than four bytes'));
    return 0;
  }

  text(): string {
    const length = this.twoBytes();
    const start = this.at;
    const end = start + length;
    if (end > this.end) {
      this.#cut();
      return '';
    }
    if (!isMqttText(this.bytes, start, end)) {
      this.fail(malformed('a string is not well-formed UTF-8, or holds U+0000')); // [MQTT-1.5.4-1] [MQTT-1.5.4-2]
      return '';
    }
    this.at = end;
    return textOf(this.bytes, start, end);
  }

  /** A copy of a binary field. */
  binary(): Uint8Array {
    const length = this.twoBytes();
    if (this.at + length > this.end) {
      this.#cut();
      return nothing;
    }
    this.at += length;
    return copyOf(this.bytes, this.at - length, this.at);
  }

  #cut(): number {
    this.fail(malformed('the packet ends within a field'));
    return 0;
  }
}

/** A copy of a range. (`slice` would not do: a Buffer's is a view.) */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.subarray(start, end));
}

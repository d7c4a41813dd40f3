// Reads the body of a journal record. Stored bytes are checked by the journal's checksum, so what does not fit here was
// written by another program or a later version: it throws RowError and the node refuses to start.

import { RowError } from '../../store/row.ts';

const text = new TextDecoder('utf-8', { fatal: true });

export class RecordReader {
  bytes: Uint8Array;
  at: number;
  end: number;
  /** Of the record, once it is known. */
  version = 0;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  u8(): number {
    this.#need(1);
    return this.bytes[this.at++]!;
  }

  u16(): number {
    this.#need(2);
    return (this.bytes[this.at++]! << 8) | this.bytes[this.at++]!;
  }

  u64(): number {
    const high = this.#u32();
    return high * 0x1_0000_0000 + this.#u32();
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw new RowError('a number is longer than 8 bytes');
  }

  /** A view of the next `length` bytes. */
  view(length: number): Uint8Array {
    this.#need(length);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** A copy of bytes with their length in front. */
  ownBytes(): Uint8Array {
    return this.view(this.varint()).slice();
  }

  string(): string {
    return this.decode(this.view(this.varint()));
  }

  /** Text that was written as UTF-8. */
  decode(bytes: Uint8Array): string {
    try {
      return text.decode(bytes);
    } catch {
      throw new RowError('a text is not UTF-8');
    }
  }

  #u32(): number {
    this.#need(4);
    const bytes = this.bytes;
    const at = this.at;
    this.at += 4;
    return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
  }

  #need(length: number): void {
    if (this.end - this.at < length) throw new RowError(`a record of version ${this.version} ends within a field`);
  }
}

// Builds a journal row (framing: store/row.ts) in one growing scratch buffer that is reused from row to row.
//
// A record is written in place: `begin` leaves room for its length, the caller appends the body, `end` fills the length in.

import { wholeRow } from '../../store/row.ts';

const lengthBytes = 4;
/** Largest body that a length of four varint bytes can tell. */
export const maxRecordBytes = 2 ** 28 - 1;
const firstCapacity = 64 * 1024;
/** A scratch buffer that grew beyond this is not kept. */
const maxIdleCapacity = 4 * 1024 * 1024;
/** Its length takes one byte. */
const maxShortAscii = 0x7f;
const text = new TextEncoder();

export class RowWriter {
  #bytes = new Uint8Array(firstCapacity);
  #at = 0;
  #bodyStart = 0;
  #records = 0;

  /** Bytes written so far; 0 when the row is empty. */
  get length(): number {
    return this.#at;
  }

  /** Records begun so far: the index of the next one in its row. */
  get records(): number {
    return this.#records;
  }

  /** Starts a record. */
  begin(kind: number): void {
    if (this.#at === 0) {
      this.#bytes[0] = wholeRow;
      this.#at = 1;
    }
    this.#room(lengthBytes + 1);
    this.#bytes[this.#at + lengthBytes] = kind;
    this.#at += lengthBytes + 1;
    this.#bodyStart = this.#at;
    this.#records++;
  }

  end(): void {
    const length = this.#at - this.#bodyStart;
    if (length > maxRecordBytes) throw new RangeError(`a journal record of ${length} bytes is over the limit of ${maxRecordBytes}`);
    const at = this.#bodyStart - 1 - lengthBytes;
    this.#bytes[at] = (length & 0x7f) | 0x80;
    this.#bytes[at + 1] = ((length >>> 7) & 0x7f) | 0x80;
    this.#bytes[at + 2] = ((length >>> 14) & 0x7f) | 0x80;
    this.#bytes[at + 3] = (length >>> 21) & 0x7f;
  }

  u8(value: number): void {
    this.#room(1);
    this.#bytes[this.#at++] = value;
  }

  u16(value: number): void {
    this.#room(2);
    this.#bytes[this.#at++] = value >>> 8;
    this.#bytes[this.#at++] = value;
  }

  /** An integer of up to 53 bits, such as a time in milliseconds. */
  u64(value: number): void {
    this.#room(8);
    const high = Math.floor(value / 0x1_0000_0000);
    const low = value >>> 0;
    const bytes = this.#bytes;
    let at = this.#at;
    bytes[at++] = high >>> 24;
    bytes[at++] = high >>> 16;
    bytes[at++] = high >>> 8;
    bytes[at++] = high;
    bytes[at++] = low >>> 24;
    bytes[at++] = low >>> 16;
    bytes[at++] = low >>> 8;
    bytes[at++] = low;
    this.#at = at;
  }

  varint(value: number): void {
    this.#room(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#at++] = rest;
  }

  /** Copies `source[start..end)` and returns where it begins in the row. */
  raw(source: Uint8Array, start: number, end: number): number {
    const length = end - start;
    this.#room(length);
    const at = this.#at;
    if (length < 96) {
      const bytes = this.#bytes;
      for (let i = 0; i < length; i++) bytes[at + i] = source[start + i]!;
    } else {
      this.#bytes.set(source.subarray(start, end), at);
    }
    this.#at += length;
    return at;
  }

  /** Bytes with their length in front. */
  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.raw(value, 0, value.length);
  }

  string(value: string): void {
    if (!this.#shortAscii(value)) this.bytes(text.encode(value));
  }

  /** Names are nearly always short and ASCII: written here at a tenth of what the encoder costs. Returns false, with nothing written, for others. */
  #shortAscii(value: string): boolean {
    const length = value.length;
    if (length > maxShortAscii) return false;
    this.#room(1 + length);
    const bytes = this.#bytes;
    const at = this.#at;
    bytes[at] = length;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) return false;
      bytes[at + 1 + i] = code;
    }
    this.#at = at + 1 + length;
    return true;
  }

  /** The finished row on bytes of its own; the writer starts over. */
  finish(): Uint8Array {
    const row = this.#bytes.slice(0, this.#at);
    this.#at = 0;
    this.#records = 0;
    if (this.#bytes.length > maxIdleCapacity) this.#bytes = new Uint8Array(firstCapacity);
    return row;
  }

  #room(bytes: number): void {
    if (this.#bytes.length - this.#at >= bytes) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#at + bytes));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}

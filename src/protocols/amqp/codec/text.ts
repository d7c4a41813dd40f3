// Strings are well-formed UTF-8 [AMQP 1.6.20], symbols ASCII [AMQP 1.6.21].

import { isUtf8 } from 'node:buffer';

// Without a Buffer object per string, which Buffer.from(...).toString() would cost.
const { utf8Slice, latin1Slice, hexSlice } = Buffer.prototype as unknown as Record<
  'utf8Slice' | 'latin1Slice' | 'hexSlice',
  (this: Uint8Array, start: number, end: number) => string
>;
const { latin1Write, utf8Write, hexWrite } = Buffer.prototype as unknown as Record<
  'latin1Write' | 'utf8Write' | 'hexWrite',
  (this: Uint8Array, text: string, at: number, length: number) => number
>;

/** Up to here a loop is quicker than a call of native code. */
const shortBytes = 24;

export function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at]! > 0x7f) return false;
  return true;
}

/** The string of `bytes[start..end)`; undefined: it is not well-formed UTF-8. */
export function stringOf(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (end - start <= shortBytes) {
    if (isAscii(bytes, start, end)) return latin1Slice.call(bytes, start, end);
  }
  return isUtf8(bytes.subarray(start, end)) ? utf8Slice.call(bytes, start, end) : undefined;
}

/** One character per byte: symbols, and delivery tags as keys. */
export function latin1Of(bytes: Uint8Array, start: number, end: number): string {
  return latin1Slice.call(bytes, start, end);
}

export function bytesOfLatin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  latin1Write.call(bytes, text, 0, text.length);
  return bytes;
}

/** A UUID in its usual notation, from 16 bytes. */
export function uuidOf(bytes: Uint8Array, at: number): string {
  const hex = hexSlice.call(bytes, at, at + 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export function writeUuid(bytes: Uint8Array, at: number, uuid: string): void {
  hexWrite.call(bytes, uuid.replaceAll('-', ''), at, 16);
}

export function writeLatin1(bytes: Uint8Array, at: number, text: string): void {
  latin1Write.call(bytes, text, at, text.length);
}

/** Writes at most `length` bytes; returns how many. */
export function writeUtf8(bytes: Uint8Array, at: number, text: string, length: number): number {
  return utf8Write.call(bytes, text, at, length);
}

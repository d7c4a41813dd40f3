// What is alike in every framing of CoAP: token, options and payload (RFC 7252 §3.1, RFC 8974 §2.1).

import type { CoapOption } from './message.ts';
import { noBytes } from './option-values.ts';

const noOptions: readonly CoapOption[] = [];
const payloadMarker = 0xff;
const highestOptionNumber = 65_535;
/**
 * Most options of one message. A byte may be an option, and an option is an object: without a bound a large message over TCP would
 * be a hundred times as large in memory.
 */
const maxOptions = 1024;
/** RFC 8974 §2.1: what a token length of 14 with its two bytes can say. */
export const maxTokenBytes = 65_804;

/** How many bytes follow the header for a token length above 12: 13 has one, 14 two; -1: 15, which is reserved. */
export function tokenExtensionBytes(tkl: number): number {
  if (tkl < 13) return 0;
  return tkl === 13 ? 1 : tkl === 14 ? 2 : -1;
}

/** The length of the token, from the length nibble and its extension at `position`. */
export function tokenLength(tkl: number, bytes: Uint8Array, position: number): number {
  if (tkl < 13) return tkl;
  if (tkl === 13) return bytes[position]! + 13;
  return bytes[position]! * 256 + bytes[position + 1]! + 269;
}

/** Views of the bytes they were read from. */
export type MessageBody = { readonly options: readonly CoapOption[]; readonly payload: Uint8Array };

/** Reads `bytes[start..end)`: options, then the payload behind its marker. Undefined: a message format error. */
export function readBody(bytes: Uint8Array, start: number, end: number): MessageBody | undefined {
  if (start === end) return { options: noOptions, payload: noBytes };
  const { buffer, byteOffset } = bytes;
  const options: CoapOption[] = [];
  let number = 0;
  let at = start;
  while (at < end) {
    const head = bytes[at++]!;
    if (head === payloadMarker) {
      // RFC 7252 §3: a marker without payload is a message format error.
      if (at === end) return undefined;
      return { options, payload: new Uint8Array(buffer, byteOffset + at, end - at) };
    }
    let delta = head >>> 4;
    let length = head & 0x0f;
    if (delta > 12) {
      if (delta === 15) return undefined;
      const more = delta - 12;
      if (at + more > end) return undefined;
      delta = more === 1 ? bytes[at]! + 13 : bytes[at]! * 256 + bytes[at + 1]! + 269;
      at += more;
    }
    if (length > 12) {
      if (length === 15) return undefined;
      const more = length - 12;
      if (at + more > end) return undefined;
      length = more === 1 ? bytes[at]! + 13 : bytes[at]! * 256 + bytes[at + 1]! + 269;
      at += more;
    }
    number += delta;
    if (at + length > end || number > highestOptionNumber || options.length === maxOptions) return undefined;
    options.push({ number, value: new Uint8Array(buffer, byteOffset + at, length) });
    at += length;
  }
  return { options, payload: noBytes };
}

/** Bytes of the options on the wire. They ascend. */
export function optionsLength(options: readonly CoapOption[]): number {
  let bytes = 0;
  let before = 0;
  for (let i = 0; i < options.length; i++) {
    const { number, value } = options[i]!;
    bytes += 1 + extensionBytes(number - before) + extensionBytes(value.length) + value.length;
    before = number;
  }
  return bytes;
}

/** Bytes of the payload on the wire, its marker included. */
export function payloadLength(payload: Uint8Array): number {
  return payload.length === 0 ? 0 : payload.length + 1;
}

/** Writes options and payload from `at` on, and returns where it ends. The options ascend. */
export function writeBody(into: Uint8Array, at: number, options: readonly CoapOption[], payload: Uint8Array): number {
  let before = 0;
  for (let i = 0; i < options.length; i++) {
    const { number, value } = options[i]!;
    const delta = number - before;
    const length = value.length;
    into[at++] = (nibble(delta) << 4) | nibble(length);
    at = writeExtension(into, at, delta);
    at = writeExtension(into, at, length);
    at = writeBytes(into, at, value);
    before = number;
  }
  if (payload.length === 0) return at;
  into[at++] = payloadMarker;
  into.set(payload, at);
  return at + payload.length;
}

/** The nibble that stands for a token of so many bytes. */
export function tokenNibble(length: number): number {
  return nibble(length);
}

export function tokenWireLength(length: number): number {
  return extensionBytes(length) + length;
}

/** Writes the extension of the token's length and the token. */
export function writeToken(into: Uint8Array, at: number, token: Uint8Array): number {
  return writeBytes(into, writeExtension(into, at, token.length), token);
}

/** The same options in ascending order, those with one number in the order they had (RFC 7252 §3.1). */
export function ascending(options: readonly CoapOption[]): readonly CoapOption[] {
  for (let i = 1; i < options.length; i++) {
    if (options[i]!.number < options[i - 1]!.number) return [...options].sort((a, b) => a.number - b.number);
  }
  return options;
}

/** For few bytes a loop is quicker than `set`. */
function writeBytes(into: Uint8Array, at: number, bytes: Uint8Array): number {
  const { length } = bytes;
  if (length > 32) into.set(bytes, at);
  else for (let i = 0; i < length; i++) into[at + i] = bytes[i]!;
  return at + length;
}

function nibble(value: number): number {
  return value < 13 ? value : value < 269 ? 13 : 14;
}

function extensionBytes(value: number): number {
  return value < 13 ? 0 : value < 269 ? 1 : 2;
}

function writeExtension(into: Uint8Array, at: number, value: number): number {
  if (value < 13) return at;
  if (value < 269) {
    into[at] = value - 13;
    return at + 1;
  }
  into[at] = (value - 269) >>> 8;
  into[at + 1] = value - 269;
  return at + 2;
}

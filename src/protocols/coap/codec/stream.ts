// The message format of CoAP over TCP, TLS (RFC 8323 §3.2) and WebSocket (§4.2), with tokens of any length (RFC 8974).

import type { CoapMessage, CoapOption } from './message.ts';
import {
  ascending,
  optionsLength,
  payloadLength,
  readBody,
  tokenExtensionBytes,
  tokenLength,
  tokenNibble,
  tokenWireLength,
  writeBody,
  writeToken,
} from './message-body.ts';
import { noBytes } from './option-values.ts';
import { ownBytes } from './own-bytes.ts';

/** What is wrong with a frame: nothing behind it can be understood, and the connection is over. */
export type StreamFault = 'message too large' | 'malformed message';

/** First byte, four bytes of length, code, two bytes of token length. */
const maxHeaderBytes = 8;

export interface StreamSink {
  /** A message with bytes of its own. False: nothing more is wanted. */
  message(message: CoapMessage): boolean;
}

/** Cuts a stream of bytes into messages. Holds no more than one message of the allowed size, and no more than twice what it was given. */
export class StreamReader {
  /** The largest message that is taken, from the first byte of its header to the last of its payload. */
  maxMessageBytes: number;
  #held: Uint8Array = noBytes;
  #heldBytes = 0;
  #fault: StreamFault | undefined = undefined;

  constructor(maxMessageBytes: number) {
    this.maxMessageBytes = maxMessageBytes;
  }

  /** Bytes of memory for a message that is not whole yet. */
  get bufferedBytes(): number {
    return this.#held.length;
  }

  /** Hands the messages that are whole to `sink`. After a fault nothing is read any more. `bytes` is only needed during the call. */
  push(bytes: Uint8Array, sink: StreamSink): StreamFault | undefined {
    let at = 0;
    while (this.#fault === undefined) {
      const held = this.#heldBytes;
      if (held > 0) {
        const taken = this.#fill(bytes, at);
        at += taken;
        const whole = this.#wholeHeld();
        if (whole === undefined) {
          if (taken === 0) return this.#fault;
          continue;
        }
        if (!this.#deliver(whole, sink)) return this.#fault;
        continue;
      }
      if (at === bytes.length) return undefined;
      const length = frameLength(bytes, at, bytes.length);
      if (length < 0 || length > this.maxMessageBytes) return this.#fail(length);
      if (length > 0 && at + length <= bytes.length) {
        const frame = ownBytes(bytes, at, at + length);
        at += length;
        if (!this.#deliver(frame, sink)) return this.#fault;
        continue;
      }
      this.#hold(bytes, at, length);
      return undefined;
    }
    return this.#fault;
  }

  #deliver(frame: Uint8Array, sink: StreamSink): boolean {
    const message = decodeStreamFrame(frame);
    if (message === undefined) {
      this.#fault = 'malformed message';
      return false;
    }
    return sink.message(message);
  }

  #hold(bytes: Uint8Array, at: number, length: number): void {
    const count = bytes.length - at;
    this.#held = new Uint8Array(Math.max(maxHeaderBytes, Math.min(length, 2 * count)));
    this.#held.set(bytes.subarray(at));
    this.#heldBytes = count;
  }

  /** Moves as much of `bytes` as belongs to the held message, or to its header while its length is not known. */
  #fill(bytes: Uint8Array, at: number): number {
    const length = frameLength(this.#held, 0, this.#heldBytes);
    if (length < 0 || length > this.maxMessageBytes) {
      this.#fail(length);
      return 0;
    }
    const wanted = length === 0 ? 1 : length - this.#heldBytes;
    const count = Math.min(wanted, bytes.length - at);
    this.#reserve(count, length);
    for (let i = 0; i < count && count <= 32; i++) this.#held[this.#heldBytes + i] = bytes[at + i]!;
    if (count > 32) this.#held.set(bytes.subarray(at, at + count), this.#heldBytes);
    this.#heldBytes += count;
    return count;
  }

  #reserve(count: number, length: number): void {
    const needed = this.#heldBytes + count;
    if (needed <= this.#held.length) return;
    const grown = new Uint8Array(Math.max(maxHeaderBytes, needed, Math.min(length, 2 * needed)));
    grown.set(this.#held.subarray(0, this.#heldBytes));
    this.#held = grown;
  }

  #wholeHeld(): Uint8Array | undefined {
    const length = frameLength(this.#held, 0, this.#heldBytes);
    if (length <= 0 || length !== this.#heldBytes) return undefined;
    const whole = this.#held.length === length ? this.#held : this.#held.slice(0, length);
    this.#held = noBytes;
    this.#heldBytes = 0;
    return whole;
  }

  #fail(length: number): StreamFault {
    this.#fault = length < 0 ? 'malformed message' : 'message too large';
    this.#held = noBytes;
    this.#heldBytes = 0;
    return this.#fault;
  }
}

/** One message that is the whole content of a WebSocket message (RFC 8323 §4.2); undefined: it is none. Made of views of `bytes`. */
export function decodeWebSocketMessage(bytes: Uint8Array): CoapMessage | undefined {
  // Len must be zero: the length is that of the WebSocket message.
  if (bytes.length < 2 || bytes[0]! >>> 4 !== 0) return undefined;
  return decodeFrom(bytes, 1);
}

/** Bytes that the message takes on the wire of a stream. */
export function streamLength(tokenBytes: number, options: readonly CoapOption[], payload: Uint8Array): number {
  const body = optionsLength(ascending(options)) + payloadLength(payload);
  return 2 + lengthExtensionBytes(body) + tokenWireLength(tokenBytes) + body;
}

/** Writes a message into `into` from `at` on and returns where it ends: room for `streamLength` bytes must be there. */
export function writeStream(
  into: Uint8Array,
  at: number,
  code: number,
  token: Uint8Array,
  options: readonly CoapOption[],
  payload: Uint8Array,
): number {
  const ordered = ascending(options);
  const body = optionsLength(ordered) + payloadLength(payload);
  const extension = lengthExtensionBytes(body);
  into[at++] = ((extension === 0 ? body : 12 + Math.min(extension, 3)) << 4) | tokenNibble(token.length);
  if (extension === 1) into[at++] = body - 13;
  if (extension === 2) {
    into[at++] = (body - 269) >>> 8;
    into[at++] = body - 269;
  }
  if (extension === 4) for (let shift = 24; shift >= 0; shift -= 8) into[at++] = (body - 65_805) >>> shift;
  into[at++] = code;
  return writeBody(into, writeToken(into, at, token), ordered, payload);
}

/** A whole WebSocket message. */
export function encodeWebSocketMessage(code: number, token: Uint8Array, options: readonly CoapOption[], payload: Uint8Array): Uint8Array {
  const ordered = ascending(options);
  const bytes = new Uint8Array(2 + tokenWireLength(token.length) + optionsLength(ordered) + payloadLength(payload));
  bytes[0] = tokenNibble(token.length);
  bytes[1] = code;
  writeBody(bytes, writeToken(bytes, 2, token), ordered, payload);
  return bytes;
}

/** The bytes of the whole frame that begins at `at`; 0: too few are there to know; -1: it is malformed. */
function frameLength(bytes: Uint8Array, at: number, end: number): number {
  if (at === end) return 0;
  const first = bytes[at]!;
  const tkl = first & 0x0f;
  const len = first >>> 4;
  const tokenExtension = tokenExtensionBytes(tkl);
  if (tokenExtension < 0) return -1;
  const lengthExtension = len < 13 ? 0 : len === 13 ? 1 : len === 14 ? 2 : 4;
  const tokenAt = at + 1 + lengthExtension + 1;
  if (tokenAt + tokenExtension > end) return 0;
  return tokenAt - at + tokenExtension + tokenLength(tkl, bytes, tokenAt) + bodyLength(bytes, at + 1, len);
}

function bodyLength(bytes: Uint8Array, at: number, len: number): number {
  if (len < 13) return len;
  if (len === 13) return bytes[at]! + 13;
  if (len === 14) return bytes[at]! * 256 + bytes[at + 1]! + 269;
  return ((bytes[at]! * 256 + bytes[at + 1]!) * 256 + bytes[at + 2]!) * 256 + bytes[at + 3]! + 65_805;
}

function decodeStreamFrame(frame: Uint8Array): CoapMessage | undefined {
  const len = frame[0]! >>> 4;
  return decodeFrom(frame, 1 + (len < 13 ? 0 : len === 13 ? 1 : len === 14 ? 2 : 4));
}

/** What stands from the code on; the first byte of `bytes` has the length of the token. */
function decodeFrom(bytes: Uint8Array, codeAt: number): CoapMessage | undefined {
  const tkl = bytes[0]! & 0x0f;
  const extension = tokenExtensionBytes(tkl);
  const start = codeAt + 1 + extension;
  if (extension < 0 || start > bytes.length) return undefined;
  const tokenEnd = start + tokenLength(tkl, bytes, codeAt + 1);
  if (tokenEnd > bytes.length) return undefined;
  const body = readBody(bytes, tokenEnd, bytes.length);
  if (body === undefined) return undefined;
  const token = tokenEnd === start ? noBytes : new Uint8Array(bytes.buffer, bytes.byteOffset + start, tokenEnd - start);
  return { code: bytes[codeAt]!, token, options: body.options, payload: body.payload };
}

function lengthExtensionBytes(body: number): number {
  return body < 13 ? 0 : body < 269 ? 1 : body < 65_805 ? 2 : 4;
}

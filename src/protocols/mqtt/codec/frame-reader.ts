// Cuts a stream of bytes, in whatever pieces it arrives, into control packets. A packet that is whole in the chunk is handed on
// where it lies; only a packet that is cut is copied together. Between packets a reader holds no buffer.

import { DecodeError, malformed } from './decode-error.ts';
import { checkFirstByte, type FirstBytes } from './first-bytes.ts';
import { ReasonCode } from './reason-codes.ts';

export interface FrameSink {
  /**
   * One whole packet whose body is `bytes[start..end)`, valid during the call only. May change the reader's `accept` and
   * `maxPacketBytes`: that holds from the next packet on. Returns false to stop: the rest of the chunk is forgotten.
   */
  packet(firstByte: number, bytes: Uint8Array, start: number, end: number): boolean;
}

/** A cut packet gets this much room at first, however long it says it is: memory follows what was really sent. */
const firstRoomBytes = 1024;

/** No fixed header needs more: a first byte and up to four bytes of length. */
const maxLengthBytes = 4;

const nothing = new Uint8Array(0);

export class FrameReader {
  /** Which packets may come now. */
  accept: FirstBytes;
  /** Of a whole packet, fixed header included. */
  maxPacketBytes: number;

  // A cut packet, if `#firstByte` is not -1. `#bodyBytes` is -1 until its length is complete.
  #firstByte = -1;
  #lengthBytes = 0;
  #lengthSoFar = 0;
  #bodyBytes = -1;
  #body: Uint8Array = nothing;
  #filled = 0;

  constructor(accept: FirstBytes, maxPacketBytes: number) {
    this.accept = accept;
    this.maxPacketBytes = maxPacketBytes;
  }

  /** Memory held for a packet that has not arrived whole. */
  get bufferedBytes(): number {
    return this.#body.length;
  }

  /** Takes the next bytes. After an error the reader is of no further use. */
  push(chunk: Uint8Array, sink: FrameSink): DecodeError | undefined {
    let at = 0;
    if (this.#firstByte >= 0) {
      const next = this.#continueCut(chunk, 0, sink);
      if (typeof next !== 'number') return next;
      at = next;
    }
    while (at < chunk.length) {
      const firstByte = chunk[at]!;
      if (this.accept.verdicts[firstByte] !== 0) return checkFirstByte(this.accept, firstByte);
      const length = shortLength(chunk, at + 1);
      const bodyStart = at + (length > 0x7f ? 3 : 2);
      const bodyEnd = bodyStart + length;
      if (length >= 0 && bodyEnd <= chunk.length && bodyEnd - at <= this.maxPacketBytes) {
        if (!sink.packet(firstByte, chunk, bodyStart, bodyEnd)) return undefined;
        at = bodyEnd;
      } else {
        this.#firstByte = firstByte;
        const next = this.#continueCut(chunk, at + 1, sink);
        if (typeof next !== 'number') return next;
        at = next;
      }
    }
    return undefined;
  }

  /** Feeds the cut packet from `at` on. Returns where the next packet starts (Infinity: nowhere in this chunk), or the error. */
  #continueCut(chunk: Uint8Array, at: number, sink: FrameSink): number | DecodeError {
    while (this.#bodyBytes < 0) {
      if (at === chunk.length) return Infinity;
      const error = this.#takeLengthByte(chunk[at++]!);
      if (error !== undefined) return error;
    }
    const bodyBytes = this.#bodyBytes;
    if (this.#filled === 0 && chunk.length - at >= bodyBytes) {
      return this.#deliver(sink, chunk, at, at + bodyBytes) ? at + bodyBytes : Infinity;
    }
    const end = Math.min(chunk.length, at + bodyBytes - this.#filled);
    if (end > at) {
      this.#makeRoom(this.#filled + end - at);
      this.#body.set(chunk.subarray(at, end), this.#filled);
      this.#filled += end - at;
    }
    if (this.#filled < bodyBytes) return Infinity;
    return this.#deliver(sink, this.#body, 0, bodyBytes) ? end : Infinity;
  }

  #takeLengthByte(byte: number): DecodeError | undefined {
    this.#lengthSoFar += (byte & 0x7f) * 128 ** this.#lengthBytes;
    this.#lengthBytes++;
    if (byte > 0x7f) {
      if (this.#lengthBytes === maxLengthBytes) return malformed('remaining length is longer than four bytes');
      // The cap is checked while the length grows: what is to come only adds to it.
      return this.#lengthSoFar > this.maxPacketBytes ? tooLarge(this.maxPacketBytes) : undefined;
    }
    // [MQTT-1.5.5-1]; before version 5 a longer form was only unusual.
    if (byte === 0 && this.#lengthBytes > 1 && this.accept.minimalLengths) {
      return malformed('remaining length is not written in as few bytes as possible');
    }
    if (1 + this.#lengthBytes + this.#lengthSoFar > this.maxPacketBytes) return tooLarge(this.maxPacketBytes);
    this.#bodyBytes = this.#lengthSoFar;
    return undefined;
  }

  /** Doubling, so that many small pieces of a large packet are copied a constant number of times. */
  #makeRoom(bytes: number): void {
    if (this.#body.length >= bytes) return;
    const room = Math.min(this.#bodyBytes, Math.max(bytes, firstRoomBytes, this.#body.length * 2));
    const grown = new Uint8Array(room);
    grown.set(this.#body.subarray(0, this.#filled));
    this.#body = grown;
  }

  #deliver(sink: FrameSink, bytes: Uint8Array, start: number, end: number): boolean {
    const firstByte = this.#firstByte;
    this.#firstByte = -1;
    this.#lengthBytes = 0;
    this.#lengthSoFar = 0;
    this.#bodyBytes = -1;
    this.#body = nothing;
    this.#filled = 0;
    return sink.packet(firstByte, bytes, start, end);
  }
}

function tooLarge(maxPacketBytes: number): DecodeError {
  return new DecodeError(ReasonCode.packetTooLarge, `packet is larger than ${maxPacketBytes} bytes`);
}

/** A length of one or two bytes at `at`; -1: longer, not minimal, or not all here. */
function shortLength(chunk: Uint8Array, at: number): number {
  if (at >= chunk.length) return -1;
  const first = chunk[at]!;
  if (first < 0x80) return first;
  if (at + 1 >= chunk.length) return -1;
  const second = chunk[at + 1]!;
  return second > 0x7f || second === 0 ? -1 : (first & 0x7f) | (second << 7);
}

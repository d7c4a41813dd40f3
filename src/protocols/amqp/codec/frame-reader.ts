// Cuts a stream of bytes, in whatever pieces it arrives, into protocol headers and frames. A frame that is whole in the chunk is handed
// on where it lies; only a frame that is cut is copied together. Between frames a reader holds no buffer.

import { type AmqpFault, framingFault } from './amqp-fault.ts';
import { uint32 } from './format-code.ts';

/** [AMQP 2.8.19] Until a peer has said more, frames are no longer than this; those of SASL never are [AMQP 5.3.1]. */
export const minMaxFrameSize = 512;

/** What a protocol header asks for [AMQP 2.2] [AMQP 5.2.1] [AMQP 5.3.2]. */
export const ProtocolId = { amqp: 0, tls: 2, sasl: 3 } as const;

/** [AMQP 2.3.1] */
export const FrameType = { amqp: 0, sasl: 1 } as const;

/** Methods return false to stop: the rest of the chunk is forgotten. They may change the reader; that holds from the next frame on. */
export interface FrameSink {
  /** `AMQP` and four bytes. Frames follow, unless the reader is told to `expectHeader` again. */
  protocolHeader(id: number, major: number, minor: number, revision: number): boolean;

  /** One whole frame whose body is `bytes[start..end)`, valid during the call only. An empty body only says that the peer lives. */
  frame(type: number, channel: number, bytes: Uint8Array, start: number, end: number): boolean;
}

/** A cut frame gets this much room at first, however long it says it is: memory follows what was really sent. */
const firstRoomBytes = 1024;
const frameHeaderBytes = 8;
const protocolHeaderBytes = 8;
const magic = [0x41, 0x4d, 0x51, 0x50]; // AMQP

const nothing = new Uint8Array(0);

export class FrameReader {
  /** Of a whole frame. */
  maxFrameSize: number;
  #expectsHeader = true;
  /** What there is of a cut header or frame. */
  #kept: Uint8Array = nothing;
  #filled = 0;

  constructor(maxFrameSize: number = minMaxFrameSize) {
    this.maxFrameSize = maxFrameSize;
  }

  /** A protocol header must come next: at the beginning, and after a security layer. */
  get expectsHeader(): boolean {
    return this.#expectsHeader;
  }

  expectHeader(): void {
    this.#expectsHeader = true;
  }

  /** Memory held for what has not arrived whole. */
  get bufferedBytes(): number {
    return this.#kept.length;
  }

  /**
   * Takes the next bytes. After a fault the reader is of no further use: a peer whose first bytes were no protocol header
   * (`expectsHeader` is still true) speaks something else.
   */
  push(chunk: Uint8Array, sink: FrameSink): AmqpFault | undefined {
    let at = 0;
    if (this.#filled > 0) {
      const next = this.#continueCut(chunk, sink);
      if (typeof next !== 'number') return next;
      at = next;
    }
    while (at < chunk.length) {
      const available = chunk.length - at;
      if (this.#expectsHeader) {
        if (!startsAsHeader(chunk, at, available)) return notAmqp();
        if (available < protocolHeaderBytes) return this.#keep(chunk, at, protocolHeaderBytes);
        if (!this.#header(chunk, at, sink)) return undefined;
        at += protocolHeaderBytes;
        continue;
      }
      if (available < frameHeaderBytes) {
        // The size alone may already be wrong.
        if (available >= 4) {
          const fault = this.#sizeFault(uint32(chunk, at));
          if (fault !== undefined) return fault;
        }
        return this.#keep(chunk, at, frameHeaderBytes);
      }
      const size = uint32(chunk, at);
      // [AMQP 2.3.1] The body begins at DOFF four-byte words; what lies between header and body is ignored.
      const bodyStart = at + (chunk[at + 4]! << 2);
      if (size < frameHeaderBytes || size > this.maxFrameSize) return this.#sizeFault(size);
      if (bodyStart < at + frameHeaderBytes || bodyStart > at + size) return badOffset();
      if (size > available) return this.#keep(chunk, at, size);
      if (!sink.frame(chunk[at + 5]!, (chunk[at + 6]! << 8) | chunk[at + 7]!, chunk, bodyStart, at + size)) return undefined;
      at += size;
    }
    return undefined;
  }

  /** Feeds what is cut. Returns where the next frame starts (Infinity: nowhere in this chunk), or the fault. */
  #continueCut(chunk: Uint8Array, sink: FrameSink): number | AmqpFault {
    let at = 0;
    for (;;) {
      const wanted = this.#wanted();
      if (typeof wanted !== 'number') return wanted;
      if (this.#filled === wanted) break;
      if (at === chunk.length) return Infinity;
      const end = Math.min(chunk.length, at + wanted - this.#filled);
      this.#append(chunk, at, end, wanted);
      at = end;
    }
    const kept = this.#kept;
    const size = this.#filled;
    this.#kept = nothing;
    this.#filled = 0;
    if (this.#expectsHeader) return this.#header(kept, 0, sink) ? at : Infinity;
    const channel = (kept[6]! << 8) | kept[7]!;
    return sink.frame(kept[5]!, channel, kept, kept[4]! << 2, size) ? at : Infinity;
  }

  /** How many bytes are needed for the next step: the header first, then all of the frame. */
  #wanted(): number | AmqpFault {
    const kept = this.#kept;
    if (this.#expectsHeader) return startsAsHeader(kept, 0, this.#filled) ? protocolHeaderBytes : notAmqp();
    if (this.#filled < 4) return 4;
    const size = uint32(kept, 0);
    const fault = this.#sizeFault(size);
    if (fault !== undefined) return fault;
    if (this.#filled < frameHeaderBytes) return frameHeaderBytes;
    const offset = kept[4]! << 2;
    return offset < frameHeaderBytes || offset > size ? badOffset() : size;
  }

  #sizeFault(size: number): AmqpFault | undefined {
    if (size < frameHeaderBytes) return framingFault('a frame shorter than its header');
    // [AMQP 2.7.1] max-frame-size
    return size > this.maxFrameSize ? framingFault(`a frame of more than ${this.maxFrameSize} bytes`) : undefined;
  }

  #keep(chunk: Uint8Array, at: number, wanted: number): undefined {
    this.#append(chunk, at, chunk.length, wanted);
  }

  /** Doubling, so that many small pieces of a large frame are copied a constant number of times. */
  #append(chunk: Uint8Array, at: number, end: number, wanted: number): void {
    const needed = this.#filled + end - at;
    if (this.#kept.length < needed) {
      const room = Math.max(needed, Math.min(wanted, Math.max(firstRoomBytes, this.#kept.length * 2)));
      const grown = new Uint8Array(room);
      grown.set(this.#kept.subarray(0, this.#filled));
      this.#kept = grown;
    }
    this.#kept.set(chunk.subarray(at, end), this.#filled);
    this.#filled = needed;
  }

  #header(bytes: Uint8Array, at: number, sink: FrameSink): boolean {
    this.#expectsHeader = false;
    return sink.protocolHeader(bytes[at + 4]!, bytes[at + 5]!, bytes[at + 6]!, bytes[at + 7]!);
  }
}

function startsAsHeader(bytes: Uint8Array, at: number, available: number): boolean {
  for (let i = 0; i < magic.length && i < available; i++) if (bytes[at + i] !== magic[i]) return false;
  return true;
}

function notAmqp(): AmqpFault {
  return framingFault('no AMQP protocol header'); // [AMQP 2.2]
}

function badOffset(): AmqpFault {
  return framingFault('a data offset outside of the frame'); // [AMQP 2.3.1]
}

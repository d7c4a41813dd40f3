// Frames into an output [AMQP 2.3]. Transfer, disposition and flow are written where they leave; everything else goes through a scratch
// buffer first.

import type { Output } from '../../../base/output.ts';
import { AmqpFault, Condition } from './amqp-fault.ts';
import { type DeliveryState, StateCode, writeDeliveryState } from './delivery-state.ts';
import { FormatCode } from './format-code.ts';
import { FrameType, minMaxFrameSize } from './frame-reader.ts';
import { numberTagBytes, type OutgoingTransfer } from './outgoing-transfer.ts';
import { type Flow, type Performative, PerformativeCode } from './performatives.ts';
import { writePerformative } from './performative-codec.ts';
import { type SaslFrame, writeSaslFrame } from './sasl.ts';
import { ValueWriter } from './value-writer.ts';

const frameHeaderBytes = 8;
/** The body begins behind the header: two words of four bytes. */
const dataOffset = 2;
/** Frame header, descriptor, list head and all fields but the state: at most this many bytes. */
const transferHeadBytes = 96;
const dispositionBytes = 64;
/** Payload up to here goes into the same piece of output as its head. */
const togetherBytes = 4096;
/** Up to here a loop is quicker than `set`, which needs a view of a range. */
const loopBytes = 24;

const scratch = new ValueWriter(1024);
const stateScratch = new ValueWriter();

export class FrameWriter {
  readonly output: Output;
  /** What the peer takes, of a whole frame. */
  maxFrameSize: number;

  constructor(output: Output, maxFrameSize: number = minMaxFrameSize) {
    this.output = output;
    this.maxFrameSize = maxFrameSize;
  }

  /** `AMQP` and what follows it; version 1.0.0 [AMQP 2.2]. */
  protocolHeader(id: number): void {
    this.output.write(new Uint8Array([0x41, 0x4d, 0x51, 0x50, id, 1, 0, 0]), 0, 8);
  }

  /** A frame without a body: I am alive [AMQP 2.4.5]. */
  empty(): void {
    this.output.reserve(frameHeaderBytes);
    this.output.position = frameHeader(this.output.buffer, this.output.position, frameHeaderBytes, FrameType.amqp, 0);
  }

  /** Any performative. A fault when it is larger than the peer takes: then nothing was written. `payload` only behind a transfer. */
  performative(channel: number, performative: Performative, payload?: Uint8Array): AmqpFault | undefined {
    writePerformative(scratch.reset(), performative);
    if (payload !== undefined) scratch.raw(payload);
    return this.#frame(FrameType.amqp, channel);
  }

  sasl(frame: SaslFrame): AmqpFault | undefined {
    writeSaslFrame(scratch.reset(), frame);
    return this.#frame(FrameType.sasl, 0);
  }

  /**
   * Writes frames of a delivery until it is done or `maxFrames` are written; returns how many were. Each frame takes one of the
   * session's window [AMQP 2.5.6]. May be called again until `transfer.done`.
   */
  transfer(channel: number, transfer: OutgoingTransfer, maxFrames: number): number {
    let frames = 0;
    while (frames < maxFrames && !transfer.done) {
      this.#transferFrame(channel, transfer);
      frames++;
    }
    return frames;
  }

  /** Ends a delivery that has begun, as if it had never been sent. One frame. */
  abort(channel: number, handle: number): void {
    this.performative(channel, { type: 'transfer', handle, more: false, aborted: true });
  }

  /** A fault when a state is larger than the peer takes: then nothing was written. */
  disposition(
    channel: number,
    receiver: boolean,
    first: number,
    last: number,
    settled: boolean,
    state: DeliveryState | undefined,
    batchable = false,
  ): AmqpFault | undefined {
    const stateBytes = stateLength(state);
    if (dispositionBytes + stateBytes > this.maxFrameSize) return tooLarge(dispositionBytes + stateBytes);
    const { output } = this;
    output.reserve(dispositionBytes + stateBytes);
    const { buffer, position: start } = output;
    let at = performativeHead(buffer, start, channel, PerformativeCode.disposition);
    const list = at;
    at = listHead(at, stateBytes);
    buffer[at++] = receiver ? FormatCode.true : FormatCode.false;
    at = writeUint(buffer, at, first);
    let count = 2;
    // [AMQP 1.4] Absent fields at the end are left out.
    if (last !== first || settled || state !== undefined || batchable) {
      count = 4;
      if (last === first) buffer[at++] = FormatCode.null;
      else at = writeUint(buffer, at, last);
      buffer[at++] = settled ? FormatCode.true : FormatCode.false;
    }
    if (state !== undefined || batchable) {
      count = 5;
      at = writeState(buffer, at, state, stateBytes);
    }
    if (batchable) {
      count = 6;
      buffer[at++] = FormatCode.true;
    }
    closeList(buffer, list, at, count, stateBytes);
    writeFrameSize(buffer, start, at - start);
    output.position = at;
    return undefined;
  }

  flow(channel: number, flow: Flow): AmqpFault | undefined {
    return this.performative(channel, flow);
  }

  #transferFrame(channel: number, transfer: OutgoingTransfer): void {
    const { output } = this;
    const first = !transfer.begun;
    const stateBytes = first ? stateLength(transfer.state) : 0;
    const head = transferHeadBytes + stateBytes;
    const together = transfer.remaining <= togetherBytes ? transfer.remaining : 0;
    output.reserve(head + together);
    const { buffer, position: start } = output;
    let at = performativeHead(buffer, start, channel, PerformativeCode.transfer);
    const list = at;
    at = listHead(at, stateBytes);
    at = writeUint(buffer, at, transfer.handle);
    let count = 1;
    let moreAt = 0;
    if (first) {
      at = writeUint(buffer, at, transfer.deliveryId);
      at = writeTag(buffer, at, transfer);
      at = writeUint(buffer, at, transfer.messageFormat);
      buffer[at++] = transfer.settled ? FormatCode.true : FormatCode.false;
      moreAt = at++;
      count = 6;
      if (transfer.rcvSettleMode >= 0 || transfer.state !== undefined || transfer.resume || transfer.batchable) {
        at = writeRareFields(buffer, at, transfer, stateBytes);
        count = transfer.batchable ? 11 : 9;
      }
    } else {
      // [AMQP 2.7.5] What the first frame said need not be said again.
      for (let i = 0; i < 4; i++) buffer[at++] = FormatCode.null;
      moreAt = at++;
      count = 6;
    }
    const room = this.maxFrameSize - (at - start);
    if (room <= 0 && transfer.remaining > 0) throw new RangeError('a delivery state leaves no room for the message');
    const payload = room < transfer.remaining ? room : transfer.remaining;
    buffer[moreAt] = payload < transfer.remaining ? FormatCode.true : FormatCode.false;
    closeList(buffer, list, at, count, stateBytes);
    writeFrameSize(buffer, start, at - start + payload);
    transfer.begun = true;
    transfer.remaining -= payload;
    if (payload <= together) {
      output.position = takePayload(transfer, payload, buffer, at);
    } else {
      output.position = at;
      writePayload(output, transfer, payload);
    }
  }

  #frame(type: number, channel: number): AmqpFault | undefined {
    const size = frameHeaderBytes + scratch.length;
    if (size > this.maxFrameSize) return tooLarge(size);
    const { output } = this;
    output.reserve(size);
    const at = frameHeader(output.buffer, output.position, size, type, channel);
    output.buffer.set(scratch.written(), at);
    output.position = at + scratch.length;
    return undefined;
  }
}

function tooLarge(size: number): AmqpFault {
  return new AmqpFault(Condition.frameSizeTooSmall, `a frame would need ${size} bytes`);
}

function frameHeader(buffer: Uint8Array, at: number, size: number, type: number, channel: number): number {
  writeFrameSize(buffer, at, size);
  buffer[at + 4] = dataOffset;
  buffer[at + 5] = type;
  buffer[at + 6] = channel >>> 8;
  buffer[at + 7] = channel;
  return at + frameHeaderBytes;
}

/** Frame header without its size, and descriptor. */
function performativeHead(buffer: Uint8Array, at: number, channel: number, code: number): number {
  buffer[at + 4] = dataOffset;
  buffer[at + 5] = FrameType.amqp;
  buffer[at + 6] = channel >>> 8;
  buffer[at + 7] = channel;
  buffer[at + 8] = FormatCode.described;
  buffer[at + 9] = FormatCode.smallulong;
  buffer[at + 10] = code;
  return at + 11;
}

function writeFrameSize(buffer: Uint8Array, at: number, size: number): void {
  buffer[at] = size >>> 24;
  buffer[at + 1] = size >>> 16;
  buffer[at + 2] = size >>> 8;
  buffer[at + 3] = size;
}

/** A list is narrow unless a state might make it larger. */
function listHead(at: number, stateBytes: number): number {
  return at + (isNarrow(stateBytes) ? 3 : 9);
}

function isNarrow(stateBytes: number): boolean {
  return stateBytes < 128;
}

function closeList(buffer: Uint8Array, list: number, end: number, count: number, stateBytes: number): void {
  if (isNarrow(stateBytes)) {
    buffer[list] = FormatCode.list8;
    buffer[list + 1] = end - list - 2;
    buffer[list + 2] = count;
  } else {
    buffer[list] = FormatCode.list32;
    writeFrameSize(buffer, list + 1, end - list - 5);
    writeFrameSize(buffer, list + 5, count);
  }
}

function writeUint(buffer: Uint8Array, at: number, value: number): number {
  if (value > 0xff) {
    buffer[at] = FormatCode.uint;
    buffer[at + 1] = value >>> 24;
    buffer[at + 2] = value >>> 16;
    buffer[at + 3] = value >>> 8;
    buffer[at + 4] = value;
    return at + 5;
  }
  if (value === 0) {
    buffer[at] = FormatCode.uint0;
    return at + 1;
  }
  buffer[at] = FormatCode.smalluint;
  buffer[at + 1] = value;
  return at + 2;
}

function writeTag(buffer: Uint8Array, at: number, transfer: OutgoingTransfer): number {
  buffer[at] = FormatCode.vbin8;
  const bytes = transfer.tagBytes;
  if (bytes !== undefined) {
    buffer[at + 1] = bytes.length;
    buffer.set(bytes, at + 2);
    return at + 2 + bytes.length;
  }
  const tag = transfer.tagNumber;
  const length = numberTagBytes(tag);
  buffer[at + 1] = length;
  let rest = tag;
  for (let i = length + 1; i >= 2; i--) {
    buffer[at + i] = rest;
    rest = rest > 0xffff_ffff ? Math.floor(rest / 256) : rest >>> 8;
  }
  return at + 2 + length;
}

function writeRareFields(buffer: Uint8Array, start: number, transfer: OutgoingTransfer, stateBytes: number): number {
  let at = start;
  if (transfer.rcvSettleMode < 0) {
    buffer[at++] = FormatCode.null;
  } else {
    buffer[at++] = FormatCode.ubyte;
    buffer[at++] = transfer.rcvSettleMode;
  }
  at = writeState(buffer, at, transfer.state, stateBytes);
  buffer[at++] = transfer.resume ? FormatCode.true : FormatCode.false;
  if (transfer.batchable) {
    buffer[at++] = FormatCode.false; // aborted
    buffer[at++] = FormatCode.true;
  }
  return at;
}

/** How long a state will be; it must be written next. */
function stateLength(state: DeliveryState | undefined): number {
  if (state === undefined) return 1;
  if (state.type === 'accepted' || state.type === 'released') return 4;
  writeDeliveryState(stateScratch.reset(), state);
  return stateScratch.length;
}

function writeState(buffer: Uint8Array, at: number, state: DeliveryState | undefined, stateBytes: number): number {
  if (state === undefined) {
    buffer[at] = FormatCode.null;
    return at + 1;
  }
  if (state.type === 'accepted' || state.type === 'released') {
    buffer[at] = FormatCode.described;
    buffer[at + 1] = FormatCode.smallulong;
    buffer[at + 2] = state.type === 'accepted' ? StateCode.accepted : StateCode.released;
    buffer[at + 3] = FormatCode.list0;
    return at + 4;
  }
  buffer.set(stateScratch.written(), at);
  return at + stateBytes;
}

/** Copies the next `bytes` of the message to `target` at `at`; returns where they end. */
function takePayload(transfer: OutgoingTransfer, bytes: number, target: Uint8Array, at: number): number {
  for (let left = bytes; left > 0;) {
    const i = transfer.pieceAt;
    const start = transfer.starts[i]!;
    const available = transfer.ends[i]! - start;
    const length = available < left ? available : left;
    copyRange(transfer.pieces[i]!, start, length, target, at);
    at += length;
    left -= length;
    if (length === available) transfer.pieceAt++;
    else transfer.starts[i] = start + length;
  }
  return at;
}

function writePayload(output: Output, transfer: OutgoingTransfer, bytes: number): void {
  for (let left = bytes; left > 0;) {
    const i = transfer.pieceAt;
    const start = transfer.starts[i]!;
    const end = Math.min(transfer.ends[i]!, start + left);
    output.write(transfer.pieces[i]!, start, end);
    left -= end - start;
    if (end === transfer.ends[i]) transfer.pieceAt++;
    else transfer.starts[i] = end;
  }
}

function copyRange(source: Uint8Array, start: number, length: number, target: Uint8Array, at: number): void {
  // Not `subarray`: that of a Buffer, which sockets hand out, makes a Buffer, which takes longer.
  if (length > loopBytes) target.set(new Uint8Array(source.buffer, source.byteOffset + start, length), at);
  else for (let i = 0; i < length; i++) target[at + i] = source[start + i]!;
}

// A delivery on its way out: what its transfer says, and the message in pieces that lie where they are. Used again and again. A message
// that does not fit into one frame, or into the peer's window, is sent by several calls of FrameWriter.transfer, which keeps here how far
// it has come.

import type { DeliveryState } from './delivery-state.ts';

export class OutgoingTransfer {
  handle = 0;
  deliveryId = 0;
  /** A tag that is a number: its big-endian bytes without leading zeros, at least one (`tagOfNumber`). Counts when `tagBytes` is undefined. */
  tagNumber = 0;
  /** At most 32 bytes [AMQP 2.8.7]. */
  tagBytes: Uint8Array | undefined = undefined;
  messageFormat = 0;
  settled = false;
  /** -1: as the link has it. */
  rcvSettleMode = -1;
  state: DeliveryState | undefined = undefined;
  resume = false;
  batchable = false;

  /** Bytes that are still to be sent. */
  remaining = 0;
  /** The first frame has been written. */
  begun = false;
  // The pieces, and where the first one that has not been sent begins.
  readonly pieces: Uint8Array[] = [];
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  pieceCount = 0;
  pieceAt = 0;

  /** A new delivery, without pieces, settled by nobody. What else was set before is set back. */
  begin(handle: number, deliveryId: number, tagNumber: number): this {
    this.handle = handle;
    this.deliveryId = deliveryId;
    this.tagNumber = tagNumber;
    this.tagBytes = undefined;
    this.messageFormat = 0;
    this.settled = false;
    this.rcvSettleMode = -1;
    this.state = undefined;
    this.resume = false;
    this.batchable = false;
    this.remaining = 0;
    this.begun = false;
    this.pieceCount = 0;
    this.pieceAt = 0;
    return this;
  }

  /** Appends a piece of the message. The bytes must stay as they are until all is sent. */
  add(bytes: Uint8Array, start: number, end: number): this {
    if (start === end) return this;
    const i = this.pieceCount++;
    this.pieces[i] = bytes;
    this.starts[i] = start;
    this.ends[i] = end;
    this.remaining += end - start;
    return this;
  }

  /** All of it has been written. */
  get done(): boolean {
    return this.begun && this.remaining === 0;
  }
}

/** Bytes of a tag that is a number. */
export function numberTagBytes(tag: number): number {
  let bytes = 1;
  for (let rest = Math.floor(tag / 256); rest > 0; rest = Math.floor(rest / 256)) bytes++;
  return bytes;
}

/** The tag that OutgoingTransfer.tagNumber is written as, one character per byte. */
export function tagOfNumber(tag: number): string {
  let text = '';
  let rest = tag;
  do {
    text = String.fromCharCode(rest % 256) + text;
    rest = Math.floor(rest / 256);
  } while (rest > 0);
  return text;
}

/** The other way round; -1: no number of ours is written like this. */
export function numberOfTag(tag: string): number {
  if (tag.length === 0 || tag.length > 7 || (tag.length > 1 && tag.charCodeAt(0) === 0)) return -1;
  let number = 0;
  for (let i = 0; i < tag.length; i++) {
    const byte = tag.charCodeAt(i);
    if (byte > 0xff) return -1;
    number = number * 256 + byte;
  }
  return number <= Number.MAX_SAFE_INTEGER ? number : -1;
}

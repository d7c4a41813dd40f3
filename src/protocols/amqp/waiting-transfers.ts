// Deliveries whose frames wait for the session's window. Their bytes are copied: what a link sends may lie in a buffer that is
// used again at the end of the turn.

import { OutgoingTransfer } from './codec/index.ts';
import type { PeerWriter } from './peer-writer.ts';

export class WaitingTransfers {
  #queue: OutgoingTransfer[] = [];

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  add(transfer: OutgoingTransfer): void {
    this.#queue.push(restOf(transfer));
  }

  /** The link with this handle of ours is detached: nothing of it may be sent any more. */
  drop(handle: number): void {
    if (this.#queue.length > 0) this.#queue = this.#queue.filter((each) => each.handle !== handle);
  }

  clear(): void {
    this.#queue = [];
  }

  /** Writes up to `maxFrames` frames. Returns how many. */
  send(writer: PeerWriter, channel: number, maxFrames: number): number {
    let frames = 0;
    while (frames < maxFrames && this.#queue.length > 0) {
      const next = this.#queue[0]!;
      frames += writer.transfer(channel, next, maxFrames - frames);
      if (next.done) this.#queue.shift();
    }
    return frames;
  }
}

/** What is still to be sent of a delivery, with bytes of its own. */
function restOf(transfer: OutgoingTransfer): OutgoingTransfer {
  const rest = new OutgoingTransfer().begin(transfer.handle, transfer.deliveryId, transfer.tagNumber);
  const { tagBytes, messageFormat, settled, rcvSettleMode, state, resume, batchable, begun, remaining } = transfer;
  Object.assign(rest, { tagBytes: tagBytes?.slice(), messageFormat, settled, rcvSettleMode, state, resume, batchable, begun });
  const bytes = new Uint8Array(remaining);
  let at = 0;
  for (let i = transfer.pieceAt; i < transfer.pieceCount; i++) {
    const piece = transfer.pieces[i]!.subarray(transfer.starts[i], transfer.ends[i]);
    bytes.set(piece, at);
    at += piece.length;
  }
  return rest.add(bytes, 0, bytes.length);
}

// A delivery of which not all frames have come. Its memory follows what was really sent.

import type { DeliveryState } from './codec/index.ts';
import type { AmqpTransaction } from './transactions.ts';

const firstRoomBytes = 4096;

export class PartialDelivery {
  readonly deliveryId: number;
  readonly tag: string;
  readonly messageFormat: number;
  /** The mode for this delivery; see TransferFields. */
  readonly rcvSettleMode: number;
  readonly resume: boolean;
  settled = false;
  state: DeliveryState | undefined = undefined;
  /** It is posted in one. */
  transaction: AmqpTransaction | undefined = undefined;
  bytes = new Uint8Array(0);
  length = 0;

  constructor(deliveryId: number, tag: string, messageFormat: number, rcvSettleMode: number, resume: boolean) {
    this.deliveryId = deliveryId;
    this.tag = tag;
    this.messageFormat = messageFormat;
    this.rcvSettleMode = rcvSettleMode;
    this.resume = resume;
  }

  append(bytes: Uint8Array, start: number, end: number, maxBytes: number): void {
    const needed = this.length + end - start;
    if (needed > this.bytes.length) {
      // Doubling, so that many small frames of a large message are copied a constant number of times.
      const room = Math.max(needed, Math.min(maxBytes, Math.max(firstRoomBytes, this.bytes.length * 2)));
      const grown = new Uint8Array(room);
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    this.bytes.set(bytes.subarray(start, end), this.length);
    this.length = needed;
  }
}

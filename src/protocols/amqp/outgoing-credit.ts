// How many deliveries a receiving peer takes [AMQP 2.6.7].

import type { FlowFields } from './codec/index.ts';
import { serialAdd, serialDistance } from './serial.ts';

export class OutgoingCredit {
  /** Deliveries so far, and those that were given up: a serial number. */
  deliveryCount = 0;
  /** Deliveries that may still be sent. */
  left = 0;
  /** What cannot be used at once is to be given up. */
  drains = false;

  onFlow({ deliveryCount, linkCredit, drain }: FlowFields): void {
    this.drains = drain;
    if (linkCredit < 0) return;
    // Before the peer has our attach it does not know where we count from: it has seen nothing.
    const seen = deliveryCount < 0 ? 0 : deliveryCount;
    // The peer counts from what it has seen; what is on its way to it has been spent.
    this.left = Math.max(0, serialDistance(this.deliveryCount, serialAdd(seen, Math.min(linkCredit, 0x7fff_ffff))));
  }

  spend(): void {
    this.deliveryCount = serialAdd(this.deliveryCount, 1);
    this.left--;
  }

  /** As if all of it had been spent. */
  giveUp(): void {
    this.deliveryCount = serialAdd(this.deliveryCount, this.left);
    this.left = 0;
  }
}

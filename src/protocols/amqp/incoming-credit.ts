// How many deliveries a peer may send on a link, and when it is told that it may send more [AMQP 2.6.7].

import { serialAdd, serialDistance } from './serial.ts';

export class IncomingCredit {
  /** The sender's delivery-count, as far as we know [AMQP 2.6.7]. */
  deliveryCount: number;
  /** Deliveries that may still come. */
  credit = 0;
  /** Deliveries whose outcome is not known yet. */
  waiting = 0;
  /** The broker holds publishers back: what was granted stands, no more is granted. */
  held = false;
  /** No more is granted for good. */
  closed = false;

  constructor(deliveryCount: number) {
    this.deliveryCount = deliveryCount;
  }

  /** A delivery begins. Returns false when there was no credit for it. */
  take(): boolean {
    if (this.credit === 0) return false;
    this.credit--;
    this.deliveryCount = serialAdd(this.deliveryCount, 1);
    return true;
  }

  /** The sender's own delivery-count: only it may move it without a delivery, and the limit stays where it is [AMQP 2.6.7]. */
  follow(deliveryCount: number): void {
    const moved = serialDistance(this.deliveryCount, deliveryCount);
    if (moved <= 0) return;
    this.deliveryCount = deliveryCount;
    this.credit = Math.max(0, this.credit - moved);
  }

  /**
   * The link-credit to tell now; -1: nothing needs to be told. What waits for its outcome is a part of what was granted, so that
   * a slow journal slows the peer. Told when half of it is used, so that a flow stands for many deliveries.
   */
  toGrant(linkCredit: number): number {
    if (this.held || this.closed) return -1;
    const wanted = linkCredit - this.waiting;
    return this.credit * 2 <= wanted && this.credit < wanted ? wanted : -1;
  }
}

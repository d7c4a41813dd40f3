// The books: accepted + recovered = delivered + queued + expired + dropped, per queue and in total, at every moment.
//
// A message counts once per queue it goes to. At-most-once deliveries to a connected peer pass through the books of its
// inbox without being stored.

/** Why a message was dropped by policy. */
export const dropReasons = [
  'queueFull',
  'noConsumer',
  'slowConsumer',
  'tooLarge',
  'refusedByConsumer',
  'sessionEnded',
  'purged',
  'revoked',
  'deliveryLimit',
  'undeliverable',
] as const;
export type DropReason = (typeof dropReasons)[number];

export class Ledger {
  /** Offered to the queue and taken. */
  accepted = 0;
  /** Found in the journal at start. */
  recovered = 0;
  /** Settled by the consumer, handed to the wire when at most once was asked, or moved to another queue, which accepts it: by an operator, or because it is dead. */
  delivered = 0;
  expired = 0;
  /** Waiting or unsettled now. */
  queued = 0;
  queueFull = 0;
  noConsumer = 0;
  slowConsumer = 0;
  tooLarge = 0;
  refusedByConsumer = 0;
  sessionEnded = 0;
  /** An operator emptied the queue. */
  purged = 0;
  /** Its receiver may not have it any more. */
  revoked = 0;
  /** Delivering it failed too often, and there is no place for dead messages. */
  deliveryLimit = 0;
  /** No consumer there is may have it, and there is no place for dead messages. */
  undeliverable = 0;

  dropped(): number {
    let dropped = 0;
    for (const reason of dropReasons) dropped += this[reason];
    return dropped;
  }

  /** What the two sides of the books differ by; anything but 0 is a broken invariant. */
  imbalance(): number {
    return this.accepted + this.recovered - this.delivered - this.queued - this.expired - this.dropped();
  }
}

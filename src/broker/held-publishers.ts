// Publishers that are held back: not read from until every reason to hold them is gone.

import type { Consumer } from './port.ts';

export const HoldReason = {
  /** The journal is behind. */
  pressure: 1,
  /** Its principal, or its tenant, is over its rates, and its protocol has no way to refuse a publish. */
  rates: 2,
} as const;
export type HoldReason = (typeof HoldReason)[keyof typeof HoldReason];

export class HeldPublishers {
  readonly #reasons = new Map<Consumer, number>();

  get size(): number {
    return this.#reasons.size;
  }

  /** Returns false when it is held for this reason already. */
  hold(consumer: Consumer, reason: HoldReason): boolean {
    const before = this.#reasons.get(consumer) ?? 0;
    if ((before & reason) !== 0) return false;
    this.#reasons.set(consumer, before | reason);
    if (before === 0) consumer.hold(true);
    return true;
  }

  release(consumer: Consumer, reason: HoldReason): void {
    const before = this.#reasons.get(consumer);
    if (before === undefined || (before & reason) === 0) return;
    const rest = before & ~reason;
    if (rest !== 0) {
      this.#reasons.set(consumer, rest);
      return;
    }
    this.#reasons.delete(consumer);
    consumer.hold(false);
  }

  releaseAll(reason: HoldReason): void {
    for (const consumer of [...this.#reasons.keys()]) this.release(consumer, reason);
  }

  /** Its connection is over. */
  forget(consumer: Consumer): void {
    this.#reasons.delete(consumer);
  }
}

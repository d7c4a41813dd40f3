// Which refusals go onto the record: all of somebody who is refused now and then, and of a flood some, with the number of the others.
// Whoever can sign in as anything, as every device can, must not be able to fill the disk with what it is refused.

import type { Clock } from '../../base/clock.ts';

/** Of one caller: at once, and then a second. */
const burst = 200;
const perSecond = 2;
/** The one that was refused least recently is forgotten. */
const maxCallers = 10_000;

type Bucket = { tokens: number; atMs: number; left: number };

export class RefusalRecord {
  readonly #clock: Clock;
  readonly #buckets = new Map<string, Bucket>();
  /** Refusals that are on no record but as a number. */
  leftOut = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Undefined: this one is left out. Else how many were left out since the last that was not. */
  take(caller: string): number | undefined {
    const now = this.#clock.monotonicMs();
    const bucket = this.#buckets.get(caller) ?? { tokens: burst, atMs: now, left: 0 };
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.atMs) * perSecond) / 1000);
    bucket.atMs = now;
    this.#buckets.delete(caller);
    if (this.#buckets.size >= maxCallers) this.#buckets.delete(this.#buckets.keys().next().value!);
    this.#buckets.set(caller, bucket);
    if (bucket.tokens < 1) {
      bucket.left++;
      this.leftOut++;
      return undefined;
    }
    bucket.tokens--;
    const { left } = bucket;
    bucket.left = 0;
    return left;
  }
}

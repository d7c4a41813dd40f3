// How many requests one principal, or one address, may make. A bucket of tokens each, filled at a steady rate.

import type { Clock } from '../../base/clock.ts';

/** Stops a flood of addresses from filling the memory: the one that asked least recently is forgotten. */
const maxBuckets = 10_000;

type Bucket = { tokens: number; atMs: number };

export class RateLimit {
  readonly #clock: Clock;
  readonly #perSecond: () => number;
  readonly #buckets = new Map<string, Bucket>();
  /** How often somebody was told to wait. */
  refused = 0;

  /** A burst may be twice as many as a second's. */
  constructor(clock: Clock, perSecond: () => number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
  }

  /** Takes one; how many seconds to wait where there is none, 0 where there is. */
  take(key: string): number {
    const rate = this.#perSecond();
    const now = this.#clock.monotonicMs();
    const bucket = this.#buckets.get(key) ?? { tokens: 2 * rate, atMs: now };
    bucket.tokens = Math.min(2 * rate, bucket.tokens + ((now - bucket.atMs) * rate) / 1000);
    bucket.atMs = now;
    this.#buckets.delete(key);
    if (this.#buckets.size >= maxBuckets) this.#buckets.delete(this.#buckets.keys().next().value!);
    this.#buckets.set(key, bucket);
    if (bucket.tokens < 1) {
      this.refused++;
      return Math.max(1, Math.ceil((1 - bucket.tokens) / rate));
    }
    bucket.tokens--;
    return 0;
  }
}

// How often the public may ask: a bucket for everybody together, and one for each address.

import type { Clock } from '../../../base/clock.ts';
import { addressKey } from '../../../base/address-key.ts';

type Bucket = { tokens: number; atMs: number };

/** Addresses that are remembered; when there are more, all are forgotten, and the bucket for everybody still holds. */
const maxAddresses = 10_000;

export class RequestBrake {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #perAddress: number;
  readonly #all: Bucket;
  readonly #addresses = new Map<string, Bucket>();

  /** Requests a second; a burst may be as many as there are in two. */
  constructor(clock: Clock, perSecond: number, perAddressPerSecond: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#perAddress = perAddressPerSecond;
    this.#all = { tokens: perSecond * 2, atMs: clock.monotonicMs() };
  }

  /** Of IPv6 a whole /64 counts as one address. */
  allows(address: string): boolean {
    const key = addressKey(address);
    const nowMs = this.#clock.monotonicMs();
    let bucket = this.#addresses.get(key);
    if (bucket === undefined) {
      if (this.#addresses.size >= maxAddresses) this.#addresses.clear();
      bucket = { tokens: this.#perAddress * 2, atMs: nowMs };
      this.#addresses.set(key, bucket);
    }
    return takes(bucket, this.#perAddress, nowMs) && takes(this.#all, this.#perSecond, nowMs);
  }
}

function takes(bucket: Bucket, perSecond: number, nowMs: number): boolean {
  bucket.tokens = Math.min(perSecond * 2, bucket.tokens + ((nowMs - bucket.atMs) * perSecond) / 1000);
  bucket.atMs = nowMs;
  if (bucket.tokens < 1) return false;
  bucket.tokens--;
  return true;
}

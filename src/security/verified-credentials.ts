// Remembers credentials that were verified a while ago, so that a fleet that reconnects at once does not pay for a slow hash
// each. What is kept is a keyed hash whose key exists in this process alone; the password itself is never kept.

import { createHmac } from 'node:crypto';
import type { Random } from '../base/random.ts';

const keyBytes = 32;

export type Verified<T> = { readonly subject: T; /** Where it last succeeded from. */ address: string };

export class VerifiedCredentials<T> {
  readonly #key: Uint8Array;
  readonly #max: number;
  /** In the order of last use. */
  readonly #entries = new Map<string, Verified<T>>();

  /** `random` must be the secure source. `max` 0 switches the memory off. */
  constructor(max: number, random: Random) {
    this.#key = random.bytes(keyBytes);
    this.#max = max;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Names these credentials for `get` and `put`. */
  tokenFor(account: string, password: Uint8Array): string {
    // The length in front keeps account and password apart.
    return createHmac('sha256', this.#key)
      .update(`${Buffer.byteLength(account)}:${account}`)
      .update(password)
      .digest('base64');
  }

  get(token: string): Verified<T> | undefined {
    const entry = this.#entries.get(token);
    if (entry === undefined) return undefined;
    this.#entries.delete(token);
    this.#entries.set(token, entry);
    return entry;
  }

  put(token: string, subject: T, address: string): void {
    if (this.#max === 0) return;
    this.#entries.delete(token);
    if (this.#entries.size >= this.#max) {
      const oldest = this.#entries.keys().next();
      if (oldest.done !== true) this.#entries.delete(oldest.value);
    }
    this.#entries.set(token, { subject, address });
  }

  clear(): void {
    this.#entries.clear();
  }
}

// Slows guessing down. Each account and each address has an allowance of failures that grows back with time; who has used it
// up is banned for a while, and for twice as long each time it happens again.

import type { Clock } from '../base/clock.ts';

export type LockoutLimits = {
  /** Failures in a row that cost nothing. */
  readonly failures: number;
  /** One failure is forgiven after this time. */
  readonly forgiveMs: number;
  readonly banMs: number;
  readonly maxBanMs: number;
  /** Entries kept; the table forgets the least recently failed first, and banned ones last. */
  readonly entries: number;
};

type Entry = { failures: number; countedAtMs: number; bannedUntilMs: number; bans: number };

/** How many entries are looked at for one that is not banned, before the oldest has to go. */
const evictionSearch = 16;

export class Lockout {
  readonly #limits: LockoutLimits;
  readonly #clock: Clock;
  /** In the order of the last failure. */
  readonly #entries = new Map<string, Entry>();

  constructor(limits: LockoutLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  isBanned(key: string): boolean {
    const entry = this.#entries.get(key);
    return entry !== undefined && entry.bannedUntilMs > this.#clock.monotonicMs();
  }

  /** Counts a failure; true when it led to a ban. */
  failed(key: string): boolean {
    const now = this.#clock.monotonicMs();
    const entry = this.#entries.get(key) ?? { failures: 0, countedAtMs: now, bannedUntilMs: -Infinity, bans: 0 };
    this.#forgive(entry, now);
    entry.failures++;
    this.#entries.delete(key);
    if (this.#entries.size >= this.#limits.entries) this.#evict(now);
    this.#entries.set(key, entry);
    if (entry.failures <= this.#limits.failures || entry.bannedUntilMs > now) return false;
    entry.bannedUntilMs = now + Math.min(this.#limits.banMs * 2 ** entry.bans, this.#limits.maxBanMs);
    entry.bans++;
    entry.failures = 0;
    return true;
  }

  succeeded(key: string): void {
    this.#entries.delete(key);
  }

  /** Lets time lower the count; once all is forgiven, earlier bans are forgotten as well. */
  #forgive(entry: Entry, now: number): void {
    const since = Math.max(entry.countedAtMs, entry.bannedUntilMs);
    const forgiven = Math.floor((now - since) / this.#limits.forgiveMs);
    if (forgiven <= 0) return;
    if (forgiven > entry.failures + this.#limits.failures) entry.bans = 0;
    entry.failures = Math.max(0, entry.failures - forgiven);
    entry.countedAtMs = since + forgiven * this.#limits.forgiveMs;
  }

  #evict(now: number): void {
    let searched = 0;
    for (const [key, entry] of this.#entries) {
      if (entry.bannedUntilMs <= now) {
        this.#entries.delete(key);
        return;
      }
      if (++searched === evictionSearch) break;
    }
    const oldest = this.#entries.keys().next();
    if (oldest.done !== true) this.#entries.delete(oldest.value);
  }
}

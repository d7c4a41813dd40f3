// Heart-beats of one connection (STOMP 1.2, Heart-beating), and the end of what proved who its client is.

import type { Clock } from '../../base/clock.ts';
import type { HeartBeats } from './terms.ts';

/** A peer is given twice the time that was agreed on: networks are late. */
const tolerance = 2;
/** Between two looks at the wall clock, where something ends on it. */
const longestLookMs = 3_600_000;

export class Beats {
  readonly #clock: Clock;
  readonly #beats: HeartBeats;
  /** On the wall clock. */
  readonly #expiresAtMs: number;
  #heardAtMs: number;
  #nextSendMs: number;

  constructor(clock: Clock, beats: HeartBeats, expiresAtMs: number | undefined) {
    this.#clock = clock;
    this.#beats = beats;
    this.#expiresAtMs = expiresAtMs ?? Infinity;
    this.#heardAtMs = clock.monotonicMs();
    this.#nextSendMs = this.#heardAtMs + this.#lookEveryMs;
  }

  /** Whoever looks twice as often as something must be sent, and sends when nothing was, is never late. */
  get #lookEveryMs(): number {
    return this.#beats.sendEveryMs / 2;
  }

  heard(): void {
    this.#heardAtMs = this.#clock.monotonicMs();
  }

  /** When to look again, on the monotonic clock. */
  get deadlineMs(): number {
    const silenceMs = this.#heardAtMs + this.#beats.hearEveryMs * tolerance;
    const left = this.#expiresAtMs === Infinity ? Infinity : Math.min(this.#expiresAtMs - this.#clock.wallMs(), longestLookMs);
    return Math.min(this.#nextSendMs, silenceMs, this.#clock.monotonicMs() + left);
  }

  get isSilent(): boolean {
    return this.#heardAtMs + this.#beats.hearEveryMs * tolerance <= this.#clock.monotonicMs();
  }

  get isExpired(): boolean {
    return this.#expiresAtMs <= this.#clock.wallMs();
  }

  /** Whether it is time to see that something is sent; if so, the next time is later. */
  takeTurn(): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (this.#nextSendMs > nowMs) return false;
    this.#nextSendMs = nowMs + this.#lookEveryMs;
    return true;
  }
}

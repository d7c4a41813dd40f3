// Spares a service that fails, and everybody's time: after some failures in a row it is not asked for a while, then by one caller; its
// answer decides for all.

import type { Clock } from '../../base/clock.ts';

export class CircuitBreaker {
  readonly #clock: Clock;
  readonly #failures: number;
  readonly #pauseMs: number;
  #inARow = 0;
  #openUntilMs = -Infinity;
  #isTrying = false;

  /** Opens after `failures` in a row, for `pauseMs`. */
  constructor(clock: Clock, failures: number, pauseMs: number) {
    this.#clock = clock;
    this.#failures = failures;
    this.#pauseMs = pauseMs;
  }

  get isOpen(): boolean {
    return this.#inARow >= this.#failures;
  }

  /** May it be asked now? Whoever is told yes must say how it went. */
  mayAsk(): boolean {
    if (!this.isOpen) return true;
    if (this.#isTrying || this.#clock.monotonicMs() < this.#openUntilMs) return false;
    this.#isTrying = true;
    return true;
  }

  succeeded(): void {
    this.#isTrying = false;
    this.#inARow = 0;
  }

  failed(): void {
    this.#isTrying = false;
    this.#inARow++;
    if (this.isOpen) this.#openUntilMs = this.#clock.monotonicMs() + this.#pauseMs;
  }
}

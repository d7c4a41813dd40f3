// A request that is sent again under the same Idempotency-Key is answered as it was the first time, and done once.

import type { Clock } from '../../base/clock.ts';
import { Problem } from './problem.ts';

const keptMs = 24 * 3_600_000;
/** Stops keys from filling the memory: beyond either, the oldest answers are forgotten. */
const maxAnswers = 10_000;
const maxBytes = 16 * 1024 * 1024;

export type KeptAnswer = { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string };

type Kept = { readonly fingerprint: string; readonly atMs: number; answer: KeptAnswer | undefined };

export class Idempotency {
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Answers that are remembered, and their bytes. */
  get held(): { readonly answers: number; readonly bytes: number } {
    return { answers: this.#kept.size, bytes: this.#bytes };
  }

  /**
   * undefined: do it, then call `finish`. `key` names the caller too; `fingerprint` stands for the request. A Problem: the same key
   * was used for something else, or the first is still under way.
   */
  begin(key: string, fingerprint: string): KeptAnswer | Problem | undefined {
    this.#forgetOld();
    const known = this.#kept.get(key);
    if (known === undefined) {
      this.#kept.set(key, { fingerprint, atMs: this.#clock.monotonicMs(), answer: undefined });
      return undefined;
    }
    if (known.fingerprint !== fingerprint) {
      return new Problem(422, 'idempotency-key-reused', 'this Idempotency-Key was used for another request');
    }
    return (
      known.answer ??
      new Problem(409, 'in-progress', 'the first request with this Idempotency-Key is under way', {}, { 'Retry-After': '1' })
    );
  }

  /** `answer` undefined: it failed in a way that trying again may mend. */
  finish(key: string, answer: KeptAnswer | undefined): void {
    const known = this.#kept.get(key);
    if (known === undefined) return;
    if (answer === undefined) {
      this.#kept.delete(key);
      return;
    }
    known.answer = answer;
    this.#bytes += answer.body.length;
    this.#forgetOld();
  }

  #forgetOld(): void {
    const now = this.#clock.monotonicMs();
    for (const [key, { atMs, answer }] of this.#kept) {
      const isOver = now - atMs >= keptMs || this.#kept.size > maxAnswers || this.#bytes > maxBytes;
      if (!isOver) return;
      this.#kept.delete(key);
      this.#bytes -= answer?.body.length ?? 0;
    }
  }
}

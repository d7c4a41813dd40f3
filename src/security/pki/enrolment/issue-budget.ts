// How many certificates one owner may be given: a device that asks again and again would fill the registry.

import type { Clock } from '../../../base/clock.ts';

export type IssueBudgetLimits = {
  /** Certificates in an hour; so many may also come at once. */
  readonly perHour: number;
  /** Owners that are remembered; the one that asked longest ago is forgotten first. */
  readonly owners: number;
};

const hourMs = 3_600_000;

export class IssueBudget {
  readonly #clock: Clock;
  readonly #limits: IssueBudgetLimits;
  /** What is spent, in the order of the last question. */
  readonly #spent = new Map<string, { amount: number; atMs: number }>();

  constructor(clock: Clock, limits: IssueBudgetLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get size(): number {
    return this.#spent.size;
  }

  /** Spends one. Returns 0, or, when there is none left, in how many milliseconds there is. */
  spend(owner: string): number {
    const { perHour, owners } = this.#limits;
    const now = this.#clock.monotonicMs();
    const { amount, atMs } = this.#spent.get(owner) ?? { amount: 0, atMs: now };
    const rest = Math.max(0, amount - ((now - atMs) * perHour) / hourMs);
    this.#spent.delete(owner);
    if (this.#spent.size >= owners) {
      const oldest = this.#spent.keys().next();
      if (oldest.done !== true) this.#spent.delete(oldest.value);
    }
    const isGranted = rest + 1 <= perHour;
    this.#spent.set(owner, { amount: isGranted ? rest + 1 : rest, atMs: now });
    return isGranted ? 0 : Math.ceil(((rest + 1 - perHour) * hourMs) / perHour);
  }
}

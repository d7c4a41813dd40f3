// How many certificates one owner may be given: a device that asks again and again would fill the registry.

import type { Clock } from '../../../base/clock.ts';

const hourMs = 3_600_000;

export class IssueBudget {
  readonly #clock: Clock;
  readonly #owners: number;
  /** What is spent, in the order of the last question. */
  readonly #spent = new Map<string, { amount: number; atMs: number }>();

  /** `owners` are remembered; the one that asked longest ago is forgotten first. */
  constructor(clock: Clock, owners: number) {
    this.#clock = clock;
    this.#owners = owners;
  }

  get size(): number {
    return this.#spent.size;
  }

  /** Spends one of `perHour`, which may also come at once. Returns 0, or, when there is none left, in how many milliseconds there is. */
  spend(owner: string, perHour: number): number {
    const now = this.#clock.monotonicMs();
    const { amount, atMs } = this.#spent.get(owner) ?? { amount: 0, atMs: now };
    const rest = Math.max(0, amount - ((now - atMs) * perHour) / hourMs);
    this.#spent.delete(owner);
    if (this.#spent.size >= this.#owners) {
      const oldest = this.#spent.keys().next();
      if (oldest.done !== true) this.#spent.delete(oldest.value);
    }
    const isGranted = rest + 1 <= perHour;
    this.#spent.set(owner, { amount: isGranted ? rest + 1 : rest, atMs: now });
    return isGranted ? 0 : Math.ceil(((rest + 1 - perHour) * hourMs) / perHour);
  }
}

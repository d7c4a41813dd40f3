// Choices that a simulation makes from its seed.

import type { Random } from '../src/base/random.ts';

export function chance(random: Random, probability: number): boolean {
  return random.float() < probability;
}

/** Uniform in [low, high). */
export function between(random: Random, low: number, high: number): number {
  return low + random.float() * (high - low);
}

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[random.below(values.length)]!;
}

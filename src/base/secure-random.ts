import { randomBytes, randomInt } from 'node:crypto';
import type { Random } from './random.ts';

/** The system's secure source. */
export const secureRandom: Random = {
  float: () => randomInt(0x1_0000_0000) / 0x1_0000_0000,
  below: (n) => (n > 1 ? randomInt(n) : 0),
  bytes: (length) => randomBytes(length),
};

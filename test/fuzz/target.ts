// What the fuzzer needs to know of a thing that takes bytes from outside. A target module exports one as `target`.

import type { Random } from '../../src/base/random.ts';

type Words = readonly string[] | undefined;

export type Target = {
  readonly name: string;
  /** The properties that must hold for every input, in words. */
  readonly properties: readonly string[];
  /** Addresses of the modules whose coverage leads the search. */
  readonly covers: RegExp;
  readonly maxBytes: number;
  /** An input that takes longer, again and again, is reported. */
  readonly slowMs: number;
  readonly seeds: readonly Uint8Array[];
  /** Pieces that are hard to guess. */
  readonly dictionary: readonly Uint8Array[];
  /** A mutation that knows the input's structure; used for half of the inputs. `other` gives another good input. */
  mutate?(input: Uint8Array, random: Random, other: () => Uint8Array): Uint8Array;
  /**
   * Must be deterministic and leave nothing behind. Throws when a property does not hold. What it returns is a kind of coverage of
   * its own: an input with a word not seen before is kept.
   */
  run(input: Uint8Array): Words | Promise<Words>;
};

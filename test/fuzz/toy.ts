// A parser with a planted mistake that chance alone would not find: the fuzzer's own test.

import type { Target } from './target.ts';

/** Reads `HG`, a version, and a list of fields behind two-byte lengths. */
function parse(bytes: Uint8Array): number {
  if (bytes[0] !== 0x48) return 0;
  if (bytes[1] !== 0x47) return 1;
  const version = bytes[2];
  if (version !== 3) return 2;
  let at = 3;
  let fields = 0;
  while (at + 2 <= bytes.length) {
    const length = (bytes[at]! << 8) | bytes[at + 1]!;
    at += 2;
    if (at + length > bytes.length) return 3;
    if (length > 0 && bytes[at] === 0xee) {
      if (fields > 1) {
        throw new Error('planted: the third field or a later one must not start with 0xee');
      }
    }
    at += length;
    fields++;
  }
  return 4;
}

export const target: Target = {
  name: 'toy',
  properties: ['nothing throws'],
  covers: /\/test\/fuzz\/toy\.ts$/,
  maxBytes: 64,
  slowMs: 1000,
  seeds: [new Uint8Array(8)],
  dictionary: [],
  run(input) {
    parse(input);
    return undefined;
  },
};

// Any message of CoAP, for properties.

import * as fc from 'fast-check';
import type { CoapMessage, CoapOption } from '../message.ts';

function bytes(maxLength: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ maxLength });
}

/** Lengths and numbers around the places where their encoding changes. */
const length = fc.oneof({ arbitrary: fc.integer({ min: 0, max: 12 }), weight: 8 }, fc.constantFrom(12, 13, 14, 268, 269, 270, 300));
const number = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.constantFrom(0, 12, 13, 14, 268, 269, 270, 2049, 65_535),
  fc.integer({ min: 0, max: 65_535 }),
);

const option: fc.Arbitrary<CoapOption> = fc
  .tuple(number, length, fc.integer({ min: 0, max: 255 }))
  .map(([n, size, fill]) => ({ number: n, value: new Uint8Array(size).fill(fill) }));

const token = fc.oneof(
  { arbitrary: bytes(8), weight: 5 },
  length.map((size) => new Uint8Array(size).fill(7)),
);

/** `codes`: those that the transport carries. */
export function anyMessage(codes: fc.Arbitrary<number>): fc.Arbitrary<CoapMessage> {
  return fc
    .record({
      code: codes,
      token,
      options: fc.array(option, { maxLength: 12 }),
      payload: fc.oneof(
        bytes(40),
        length.map((n) => new Uint8Array(n)),
      ),
    })
    .map((message) => ({ ...message, options: message.options.sort((a, b) => a.number - b.number) }));
}

/** Requests and responses. */
export const ordinaryCodes = fc.oneof(fc.integer({ min: 1, max: 31 }), fc.integer({ min: 0x40, max: 0xbf }));

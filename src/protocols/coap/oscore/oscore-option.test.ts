import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { oscoreOptionValue, readOscoreOption } from './oscore-option.ts';

const hex = (text: string): Uint8Array => Buffer.from(text, 'hex');
const text = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString('hex');

test('the examples of RFC 8613 §6.3 are read and written', () => {
  for (const [value, piv, kidContext, kid] of [
    ['090525', '05', undefined, '25'],
    ['', undefined, undefined, undefined],
    ['19050544616c656b', '05', '44616c656b', ''],
    ['0107', '07', undefined, undefined],
    ['0914', '14', undefined, ''],
    ['19140837cbf3210017a2d3', '14', '37cbf3210017a2d3', ''],
  ] as const) {
    const read = readOscoreOption(hex(value))!;
    assert.deepEqual([text(read.piv), text(read.kidContext), text(read.kid)], [piv, kidContext, kid], value);
    assert.equal(text(oscoreOptionValue(read)), value);
  }
});

test('what is malformed is not read', () => {
  for (const value of ['00', '06', '07ffffffffffffff', '2000', '8000', '4101', '01', '030102', '10', '1002ff', '0105ff', '110503ffff']) {
    assert.equal(readOscoreOption(hex(value)), undefined, value);
  }
});

test('what is written is read back, and what is read has one form', () => {
  const bytes = (maxLength: number, minLength = 0) => fc.option(fc.uint8Array({ minLength, maxLength }), { nil: undefined });
  fc.assert(
    fc.property(bytes(5, 1), bytes(255), bytes(20), (piv, kidContext, kid) => {
      assert.deepEqual(readOscoreOption(oscoreOptionValue({ piv, kidContext, kid })), { piv, kidContext, kid });
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), (value) => {
      const read = readOscoreOption(value);
      if (read !== undefined) assert.deepEqual(oscoreOptionValue(read), value);
    }),
  );
});

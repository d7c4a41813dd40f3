import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeValue, encodeValue } from './codec/index.ts';
import { anyValue } from './codec/testing/arbitraries.ts';
import { isWellFormed } from './well-formed.ts';

function check(...bytes: number[]): boolean {
  return isWellFormed(Uint8Array.from(bytes), 0, bytes.length);
}

test('any value is well-formed, and no part of one', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const bytes = encodeValue(value);
      assert.equal(isWellFormed(bytes, 0, bytes.length), true);
      for (let end = 0; end < bytes.length; end++) assert.equal(isWellFormed(bytes, 0, end), false);
    }),
    { numRuns: 500 },
  );
});

test('what is well-formed can be read', () => {
  const broken = fc.tuple(anyValue, fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
    const bytes = encodeValue(value);
    bytes[at % bytes.length] = byte;
    return bytes;
  });
  let readable = 0;
  fc.assert(
    fc.property(broken, (bytes) => {
      if (!isWellFormed(bytes, 0, bytes.length)) return;
      readable++;
      const value = decodeValue(bytes, 0, bytes.length);
      // What only who makes values of it sees: characters and booleans that are none, the same key twice, too many at a time.
      if ('condition' in value) assert.match(value.message, /char|boolean|key stands twice|too many values/);
    }),
    { numRuns: 3000 },
  );
  assert.ok(readable > 100);
});

test('what is not well-formed is seen', () => {
  assert.equal(check(), false);
  assert.equal(check(0x46), false);
  assert.equal(check(0x40, 0x40), false);
  assert.equal(check(0xa1, 1, 0xff), false);
  assert.equal(check(0xa3, 1, 0x80), false);
  assert.equal(check(0xc1, 2, 1, 0x40), false);
  assert.equal(check(0xc0, 1, 1), false);
  assert.equal(check(0xc0, 0), false);
  assert.equal(check(0xb0, 0xff, 0xff, 0xff, 0xff), false);
  assert.equal(check(0xd0, 0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff, 0x40, 0x40, 0x40, 0x40), false);
  assert.equal(check(0xe0, 2, 1, 0x50), false);
  assert.equal(check(0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x40), true);
});

test('depth is bounded', () => {
  let bytes = Buffer.from([0x40]);
  for (let i = 0; i < 60; i++) bytes = Buffer.concat([Buffer.from([0xc0, bytes.length + 1, 1]), bytes]);
  assert.equal(isWellFormed(bytes, 0, bytes.length), false);
  const described = new Uint8Array(10_000);
  assert.equal(isWellFormed(described, 0, described.length), false);
  const arrays = Buffer.concat([Buffer.from([0xf0, 0, 0, 0x27, 0x14, 0, 0, 0, 1]), Buffer.alloc(10_000)]);
  assert.equal(isWellFormed(arrays, 0, arrays.length), false);
});

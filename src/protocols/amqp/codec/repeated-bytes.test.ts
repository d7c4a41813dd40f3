import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RepeatedBytes } from './repeated-bytes.ts';

test('only the very bytes that were kept last are recognised', () => {
  const few = fc.uint8Array({ maxLength: 3, max: 1 });
  fc.assert(
    fc.property(fc.array(fc.tuple(few, fc.nat(2)), { maxLength: 20 }), (pieces) => {
      const repeated = new RepeatedBytes();
      let last: Uint8Array | undefined;
      for (const [piece, before] of pieces) {
        const bytes = Buffer.concat([Buffer.alloc(before, 7), piece, Buffer.alloc(1, 7)]);
        const [start, end] = [before, before + piece.length];
        assert.equal(repeated.are(bytes, start, end), last !== undefined && Buffer.compare(last, piece) === 0);
        repeated.keep(bytes, start, end);
        bytes.fill(9);
        last = piece;
      }
      repeated.forget();
      assert.equal(last !== undefined && repeated.are(last, 0, last.length), false);
    }),
  );
});

test('what is long is not kept', () => {
  const repeated = new RepeatedBytes();
  repeated.keep(new Uint8Array(10), 0, 10);
  repeated.keep(new Uint8Array(2000), 0, 2000);
  assert.equal(repeated.are(new Uint8Array(2000), 0, 2000), false);
  assert.equal(repeated.are(new Uint8Array(10), 0, 10), false);
});

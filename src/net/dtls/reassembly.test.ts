import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Fragment } from './handshake-message.ts';
import { Reassembly } from './reassembly.ts';

const limits = { messageBytes: 16_384, handshakeBytes: 65_536 };

function fragment(body: Uint8Array, offset: number, end: number, sequence = 0, type = 11): Fragment {
  return { type, sequence, length: body.length, offset, bytes: body.subarray(offset, end) };
}

test('fragments in any order, twice and overlapping, make the message again, and nothing is kept afterwards', () => {
  const pieces = fc.array(fc.tuple(fc.nat(299), fc.integer({ min: 1, max: 120 })), { maxLength: 40 });
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 300, maxLength: 300 }), pieces, (body, cuts) => {
      const reassembly = new Reassembly(0, limits);
      const have = new Set<number>();
      for (const [offset, length] of cuts) {
        const end = Math.min(body.length, offset + length);
        assert.ok(reassembly.add(fragment(body, offset, end)));
        for (let i = offset; i < end; i++) have.add(i);
        assert.equal(reassembly.held, have.size, 'no byte is kept twice');
        if (have.size < body.length) assert.equal(reassembly.take(), undefined);
      }
      assert.ok(reassembly.add(fragment(body, 0, body.length)));
      assert.deepEqual(reassembly.take(), { type: 11, sequence: 0, body: Buffer.from(body) });
      assert.equal(reassembly.held, 0);
    }),
    { numRuns: 200 },
  );
});

test('what came first stays: an overlap cannot change bytes that are there', () => {
  const reassembly = new Reassembly(0, limits);
  reassembly.add(fragment(Buffer.from('abcdef'), 0, 4));
  reassembly.add(fragment(Buffer.from('XXXXYZ'), 2, 6));
  assert.equal(Buffer.from(reassembly.take()!.body).toString(), 'abcdYZ');
});

test('messages come out in their order', () => {
  const reassembly = new Reassembly(1, limits);
  reassembly.add(fragment(Buffer.from('second'), 0, 6, 2));
  assert.equal(reassembly.take(), undefined);
  reassembly.add(fragment(Buffer.from('first'), 0, 5, 1));
  assert.equal(Buffer.from(reassembly.take()!.body).toString(), 'first');
  assert.equal(Buffer.from(reassembly.take()!.body).toString(), 'second');
  assert.ok(reassembly.add(fragment(Buffer.from('first'), 0, 5, 1)), 'a repetition is nothing wrong');
  assert.equal(reassembly.take(), undefined);
});

test('an empty message is whole at once', () => {
  const reassembly = new Reassembly(0, limits);
  reassembly.add(fragment(new Uint8Array(), 0, 0, 0, 14));
  assert.deepEqual(reassembly.take(), { type: 14, sequence: 0, body: Buffer.alloc(0) });
});

test('what contradicts, is too far ahead, too long or too much is refused', () => {
  const reassembly = new Reassembly(0, { messageBytes: 1000, handshakeBytes: 1500 });
  const body = Buffer.alloc(1000);
  assert.ok(reassembly.add(fragment(body, 0, 500)));
  assert.ok(!reassembly.add(fragment(body, 500, 1000, 0, 16)), 'another type');
  assert.ok(!reassembly.add(fragment(Buffer.alloc(900), 500, 900)), 'another length');
  assert.ok(!reassembly.add(fragment(body, 0, 500, 8)), 'too far ahead');
  assert.ok(!reassembly.add(fragment(Buffer.alloc(1001), 0, 10, 1)), 'longer than a message may be');
  assert.ok(reassembly.add(fragment(body, 0, 1000, 1)));
  assert.ok(!reassembly.add(fragment(body, 0, 1000, 2)), 'more than a handshake may be');
  assert.equal(reassembly.held, 1500);
});

test('a message in crumbs is refused before they weigh more than it', () => {
  const reassembly = new Reassembly(0, limits);
  const body = Buffer.alloc(1000);
  let taken = 0;
  for (let i = 0; i < 1000; i += 2) if (reassembly.add(fragment(body, i, i + 1))) taken++;
  assert.equal(taken, 160);
});

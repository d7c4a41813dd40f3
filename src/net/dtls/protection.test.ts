import assert from 'node:assert/strict';
import { createDecipheriv, createSecretKey } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { aadOf, aadWithCid, Opener, Sealer } from './protection.ts';
import { contentTypes, RecordCursor } from './record.ts';
import { suites } from './suites.ts';

const keys = { key: createSecretKey(Buffer.alloc(16, 7)), salt: 0x0a0b0c0d };
const noCid = new Uint8Array();

test('the additional data of a plain record: sequence number, type, version, length (RFC 5246 §6.2.3.3)', () => {
  assert.equal(aadOf(23, 0x0102_0304_0506, 0x0708).toString('hex'), ['0001', '010203040506', '17', 'fefd', '0708'].join(''));
});

test('the additional data with a Connection ID: eight times ff, type, its length, type, version, epoch and number, ID, length (RFC 9146 §5.3)', () => {
  const aad = aadWithCid(Buffer.from('aabbcc', 'hex'), 0x0102_0304_0506, 0x0708);
  assert.equal(aad.toString('hex'), ['ffffffffffffffff', '19', '03', '19', 'fefd', '0001', '010203040506', 'aabbcc', '0708'].join(''));
});

test('a record with a Connection ID opens with the additional data and the inner plaintext of RFC 9146, done by hand', () => {
  const suite = suites.find(({ name }) => name === 'PSK-AES128-CCM8')!;
  const cid = Buffer.from('aabb', 'hex');
  const record = new Sealer(suite, keys, cid).seal(contentTypes.applicationData, Buffer.from('hello'));
  // Type, version, epoch, number, ID, length.
  assert.equal(record.subarray(0, 15).toString('hex'), ['19', 'fefd', '0001', '000000000000', 'aabb', '0016'].join(''));
  const inner = record.subarray(23, -8);
  const nonce = Buffer.concat([Buffer.from('0a0b0c0d', 'hex'), record.subarray(15, 23)]);
  const decipher = createDecipheriv('aes-128-ccm', keys.key, nonce, { authTagLength: 8 });
  decipher.setAAD(Buffer.from('ffffffffffffffff190219fefd0001000000000000aabb0006', 'hex'), { plaintextLength: inner.length });
  decipher.setAuthTag(record.subarray(-8));
  assert.deepEqual(decipher.update(inner), Buffer.concat([Buffer.from('hello'), Buffer.of(23)]));
  decipher.final();
});

for (const suite of suites) {
  test(`what ${suite.name} seals it opens, with and without Connection ID; one wrong bit, and it does not`, () => {
    const cases = fc.record({
      data: fc.uint8Array({ maxLength: 300 }),
      cid: fc.uint8Array({ minLength: 0, maxLength: 6 }),
      flip: fc.nat(),
    });
    fc.assert(
      fc.property(cases, ({ data, cid, flip }) => {
        const cursor = new RecordCursor(cid.length);
        const sealed = new Sealer(suite, keys, cid).seal(contentTypes.applicationData, data);
        assert.ok(cursor.read(sealed, 0));
        assert.equal(cursor.end, sealed.length);
        const opener = new Opener(suite, keys);
        assert.deepEqual(opener.open(sealed, cursor), { type: contentTypes.applicationData, content: Buffer.from(data) });
        sealed[flip % sealed.length]! ^= 1 << (flip % 8);
        // Other epochs are never tried (server.ts).
        if (cursor.read(sealed, 0) && cursor.epoch === 1) assert.equal(opener.open(sealed, cursor), undefined);
      }),
      { numRuns: 40 },
    );
  });
}

test('padding is taken off; a record of nothing but padding does not open (RFC 9146 §4)', () => {
  const suite = suites[0]!;
  const cid = Buffer.from('cc', 'hex');
  const open = (content: Uint8Array): unknown => {
    // The sealer puts its type behind: zero makes padding of it.
    const sealed = new Sealer(suite, keys, cid).seal(0, content);
    const cursor = new RecordCursor(1);
    assert.ok(cursor.read(sealed, 0));
    return new Opener(suite, keys).open(sealed, cursor);
  };
  assert.deepEqual(open(Buffer.of(1, 2, 23, 0, 0, 0)), { type: 23, content: Buffer.of(1, 2) });
  assert.equal(open(Buffer.of(0, 0)), undefined);
});

test('each record has a number of its own', () => {
  const sealer = new Sealer(suites[0]!, keys, noCid);
  const cursor = new RecordCursor(0);
  for (const expected of [0, 1, 2]) {
    assert.ok(cursor.read(sealer.seal(23, Buffer.from('same')), 0));
    assert.equal(cursor.sequence, expected);
  }
});

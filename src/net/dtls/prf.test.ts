import assert from 'node:assert/strict';
import { createSecretKey } from 'node:crypto';
import { test } from 'node:test';
import { prf, pskPremaster } from './prf.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

test('the PRF gives what the vector for P_SHA256 of the TLS working group says', () => {
  const secret = createSecretKey(bytes('9b be 43 6b a9 40 f0 17 b1 76 52 84 9a 71 db 35'));
  const seed = bytes('a0 ba 9f 93 6c da 31 18 27 a6 f7 96 ff d5 19 8c');
  const expected = bytes(
    'e3 f2 29 ba 72 7b e1 7b 8d 12 26 20 55 7c d4 53 c2 aa b2 1d 07 c3 d4 95 32 9b 52 d4 e6 1e db 5a' +
      '6b 30 17 91 e9 0d 35 c9 c9 a4 6b 4e 14 ba f9 af 0f a0 22 f7 07 7d ef 17 ab fd 37 97 c0 56 4b ab' +
      '4f bc 91 66 6e 9d ef 9b 97 fc e3 4f 79 67 89 ba a4 80 82 d1 22 ee 42 c5 a7 2e 5a 51 10 ff f7 01' +
      '87 34 7b 66',
  );
  assert.deepEqual(prf(secret, 'test label', [seed], 100), expected);
  // In one piece or in two, the seed is the same; and a shorter result is its beginning.
  assert.deepEqual(prf(secret, 'test label', [seed.subarray(0, 5), seed.subarray(5)], 33), expected.subarray(0, 33));
});

test('the premaster secret of a pre-shared key (RFC 4279 §2, RFC 5489 §2)', () => {
  const key = createSecretKey(bytes('01 02 03'));
  assert.deepEqual(pskPremaster(key, undefined), bytes('00 03 00 00 00 00 03 01 02 03'));
  assert.deepEqual(pskPremaster(key, bytes('ff fe')), bytes('00 02 ff fe 00 03 01 02 03'));
});

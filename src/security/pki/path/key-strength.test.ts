import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { isStrongKey } from './key-strength.ts';
import { PathValidator } from './path-validator.ts';
import { keyPair, nowMs, root } from './testing/path-maker.ts';

/** As a stranger may make it up: it need not be able to sign. */
function rsaKey(bits: number, exponent: Buffer): KeyObject {
  const modulus = Buffer.alloc(bits / 8, 0xff);
  return createPublicKey({ key: { kty: 'RSA', n: modulus.toString('base64url'), e: exponent.toString('base64url') }, format: 'jwk' });
}

test('RSA keys are taken that are neither weak nor costly to compute with', () => {
  const usual = Buffer.from('010001', 'hex');
  for (const [bits, exponent, isTaken] of [
    [1024, usual, false],
    [2048, usual, true],
    [8192, usual, true],
    [16_384, usual, false],
    [2048, Buffer.of(3), true],
    [2048, Buffer.alloc(4, 0xff), true],
    [2048, Buffer.alloc(5, 0xff), false],
    [3072, Buffer.alloc(380, 0x7f), false],
  ] as const) {
    assert.equal(isStrongKey(rsaKey(bits, exponent)), isTaken, `${bits} bits, exponent of ${exponent.length} bytes`);
  }
  assert.equal(isStrongKey(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey), false);
});

test('no signature is checked with a key that would take long', () => {
  const top = root();
  const costly = rsaKey(3072, Buffer.alloc(380, 0x7f));
  const keys = { key: keyPair().key, spki: costly.export({ type: 'spki', format: 'der' }) };
  const sent = Array.from({ length: 5 }, () => top.authority('same', { withoutKeyIds: true, keys }));
  const own = sent[0]!.client('device', { withoutKeyIds: true, signer: keyPair('rsa2048') });
  const verdict = new PathValidator([top.der]).validate(
    [own, ...sent].map(({ der }) => der),
    nowMs,
  );
  assert.equal(!verdict.ok && verdict.fault, 'other', 'not bad-signature: it was not looked at');
});

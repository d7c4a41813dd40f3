import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { HandshakeEnd } from './alert.ts';
import { vector } from './bytes.ts';
import { readShownKey } from './client-proof.ts';
import { isSignedBy } from './signature-schemes.ts';

test('a raw key has one form only, because its digest is its name', () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  assert.ok(readShownKey(vector(3, spki), 'rawKey', 6));
  // The same point, compressed: OpenSSL reads it, too.
  const head = Buffer.from('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'hex');
  const compressed = Buffer.concat([head, Buffer.of(2 + (spki.at(-1)! & 1)), spki.subarray(27, 59)]);
  assert.ok(createPublicKey({ key: compressed, format: 'der', type: 'spki' }).equals(publicKey));
  assert.throws(() => readShownKey(vector(3, compressed), 'rawKey', 6), HandshakeEnd);
  assert.throws(() => readShownKey(vector(3, Buffer.concat([spki, Buffer.of(0)])), 'rawKey', 6), HandshakeEnd);
});

test('signatures by keys of each kind; RSA keys that are too short, or costly to compute with, are refused', () => {
  const data = Buffer.from('what is signed');
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const long = generateKeyPairSync('rsa', { modulusLength: 2048 });
  // 2^32 + 15 is a prime.
  const costly = withExponent(long.privateKey, 0x1_0000_000fn);
  assert.ok(verify('sha256', data, createPublicKey(costly), sign('sha256', data, costly)));
  assert.ok(!isSignedBy(createPublicKey(costly), 0x0401, data, sign('sha256', data, costly)));
  const ed25519 = generateKeyPairSync('ed25519');
  assert.ok(isSignedBy(long.publicKey, 0x0401, data, sign('sha256', data, long.privateKey)));
  assert.ok(!isSignedBy(short.publicKey, 0x0401, data, sign('sha256', data, short.privateKey)));
  assert.ok(isSignedBy(ed25519.publicKey, 0x0807, data, sign(null, data, ed25519.privateKey)));
  assert.ok(!isSignedBy(long.publicKey, 0x0804, data, sign('sha256', data, long.privateKey)), 'PKCS#1 is not PSS');
  assert.ok(!isSignedBy(long.publicKey, 0x0201, data, sign('sha1', data, long.privateKey)), 'SHA-1 is not taken');
});

/** The same primes, another exponent: Node itself makes none above 32 bits. */
function withExponent(key: KeyObject, e: bigint): KeyObject {
  const jwk = key.export({ format: 'jwk' });
  const [p, q] = [jwk.p!, jwk.q!].map((text) => BigInt(`0x${Buffer.from(text, 'base64url').toString('hex')}`)) as [bigint, bigint];
  const d = inverse(e, (p - 1n) * (q - 1n));
  const text = (value: bigint): string => {
    const hex = value.toString(16);
    return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url');
  };
  return createPrivateKey({ key: { ...jwk, e: text(e), d: text(d), dp: text(d % (p - 1n)), dq: text(d % (q - 1n)) }, format: 'jwk' });
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [r0, r1, t0, t1] = [modulus, value, 0n, 1n];
  while (r1 !== 0n) [r0, r1, t0, t1] = [r1, r0 % r1, t1, t0 - (r0 / r1) * t1];
  return ((t0 % modulus) + modulus) % modulus;
}

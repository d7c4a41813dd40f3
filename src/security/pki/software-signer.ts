// Keys in this process's memory. P-256 signs about 40,000 times a second, so it is done at once, on the thread that asks.

import { createPublicKey, generateKeyPair, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { KeyAlgorithm, Signer } from './pki.ts';

const curves: Readonly<Record<string, KeyAlgorithm>> = { prime256v1: 'ecdsa-p256', secp384r1: 'ecdsa-p384' };
const digests: Readonly<Record<KeyAlgorithm, string | null>> = { 'ecdsa-p256': 'sha256', 'ecdsa-p384': 'sha384', ed25519: null };
const generate = promisify(generateKeyPair) as (type: string, options?: object) => Promise<{ privateKey: KeyObject }>;

export async function newPrivateKey(algorithm: KeyAlgorithm): Promise<KeyObject> {
  const made =
    algorithm === 'ed25519' ? generate('ed25519') : generate('ec', { namedCurve: algorithm === 'ecdsa-p256' ? 'P-256' : 'P-384' });
  return (await made).privateKey;
}

/** Undefined: none that we sign with. */
export function algorithmOf(key: KeyObject): KeyAlgorithm | undefined {
  if (key.asymmetricKeyType === 'ed25519') return 'ed25519';
  return key.asymmetricKeyType === 'ec' ? curves[key.asymmetricKeyDetails?.namedCurve ?? ''] : undefined;
}

/** SubjectPublicKeyInfo, DER. */
export function publicKeyOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}

/** PKCS #8, PEM, not encrypted: for who the key belongs to. */
export function plainPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}

/** `key` must be of a known algorithm. */
export function softwareSigner(key: KeyObject): Signer {
  const algorithm = algorithmOf(key)!;
  const digest = digests[algorithm];
  return {
    algorithm,
    publicKey: publicKeyOf(key),
    // Not in Node's pool: that would take longer than the signature.
    sign: (data) => Promise.resolve(sign(digest, data, key)),
  };
}

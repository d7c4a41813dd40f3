// Signature algorithms by their object identifiers: what our signers make, and what we verify of others.

import { createPublicKey, verify } from 'node:crypto';
import { tags, oidOf, type DerReader } from '../der/der-reader.ts';
import { oid, sequence } from '../der/der-writer.ts';
import type { KeyAlgorithm } from '../pki.ts';

/** AlgorithmIdentifier, DER (RFC 5758 §3.2, RFC 8410 §3: no parameters). */
export const signatureAlgorithms: Readonly<Record<KeyAlgorithm, Uint8Array>> = {
  'ecdsa-p256': sequence(oid('1.2.840.10045.4.3.2')),
  'ecdsa-p384': sequence(oid('1.2.840.10045.4.3.3')),
  ed25519: sequence(oid('1.3.101.112')),
};

/** Digests of what we accept; null: the algorithm has its own. SHA-1 is not among them. */
const digests: Readonly<Record<string, string | null>> = {
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.3.101.112': null,
};

/** Reads an AlgorithmIdentifier and gives its object identifier. */
export function readAlgorithm(reader: DerReader): string {
  const inner = reader.enter(tags.sequence);
  const id = oidOf(inner.take(tags.oid));
  // NULL with RSA; nothing else that is known here has any.
  inner.takeIf(tags.null);
  inner.end();
  return id;
}

/** `publicKey`: SubjectPublicKeyInfo. Checked in Node's pool. Never rejects: what cannot be checked is not right. */
export function verifySignature(algorithm: string, publicKey: Uint8Array, data: Uint8Array, signature: Uint8Array): Promise<boolean> {
  const digest = digests[algorithm];
  if (digest === undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    try {
      const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
      const type = key.asymmetricKeyType;
      // OpenSSL goes by the key: the algorithm that is named must be one of that key's.
      const fits = algorithm.startsWith('1.2.840.10045.')
        ? type === 'ec'
        : algorithm.startsWith('1.2.840.113549.')
          ? type === 'rsa'
          : type === 'ed25519';
      if (!fits) return resolve(false);
      verify(digest, data, { key, dsaEncoding: 'der' }, signature, (error, isRight) => resolve(error === null && isRight));
    } catch {
      resolve(false);
    }
  });
}

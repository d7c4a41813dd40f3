// Which keys and signatures are strong enough in a path: what OpenSSL's security level 2 allows, and no more of RSA than can be
// checked quickly.

import type { KeyObject } from 'node:crypto';
import { inside, oidOf, tags, context, type Element } from '../der/der-reader.ts';

const minRsaBits = 2048;
/** A stranger chooses the key that we compute with: a long exponent makes a signature a hundred times as costly to check. */
const maxRsaBits = 8192;
const maxRsaExponent = 0xffff_ffffn;

const curves: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const plainTypes: ReadonlySet<string> = new Set(['ed25519', 'ed448', 'ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87']);

export function isStrongKey({ asymmetricKeyType, asymmetricKeyDetails = {} }: KeyObject): boolean {
  if (asymmetricKeyType === 'rsa' || asymmetricKeyType === 'rsa-pss') {
    const { modulusLength = 0, publicExponent = 0n } = asymmetricKeyDetails;
    return modulusLength >= minRsaBits && modulusLength <= maxRsaBits && publicExponent <= maxRsaExponent;
  }
  if (asymmetricKeyType === 'ec') return curves.has(asymmetricKeyDetails.namedCurve ?? '');
  return asymmetricKeyType !== undefined && plainTypes.has(asymmetricKeyType);
}

const pss = '1.2.840.113549.1.1.10';
/** RFC 4055, 5758, 8410, 9881: none of MD5 or SHA-1. */
const algorithms: ReadonlySet<string> = new Set([
  '1.2.840.113549.1.1.11', // sha256WithRSAEncryption
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  '1.2.840.10045.4.3.2', // ecdsa-with-SHA256
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
  '1.3.101.112', // Ed25519
  '1.3.101.113', // Ed448
  '2.16.840.1.101.3.4.3.17', // ML-DSA-44
  '2.16.840.1.101.3.4.3.18',
  '2.16.840.1.101.3.4.3.19',
]);
const pssHashes: ReadonlySet<string> = new Set(['2.16.840.1.101.3.4.2.1', '2.16.840.1.101.3.4.2.2', '2.16.840.1.101.3.4.2.3']);

/** `algorithm`: AlgorithmIdentifier of a signature. @throws DerError */
export function isStrongSignature(algorithm: Element): boolean {
  const reader = inside(algorithm);
  const id = oidOf(reader.take(tags.oid));
  if (id !== pss) return algorithms.has(id);
  // Without a hash it is SHA-1 (RFC 4055 §3.1).
  const hash = reader.enterIf(tags.sequence)?.enterIf(context(0))?.enter(tags.sequence);
  return hash !== undefined && pssHashes.has(oidOf(hash.take(tags.oid)));
}

// The signatures of ServerKeyExchange and CertificateVerify, by their SignatureAndHashAlgorithm (RFC 5246 §7.4.1.4.1, RFC 8422 §5.1.3).

import { constants, verify, type KeyObject } from 'node:crypto';
import type { DtlsSigner } from './endpoint.ts';

export type SignatureScheme = {
  readonly code: number;
  readonly keyType: DtlsSigner['keyType'];
  /** undefined: the algorithm has its own. */
  readonly hash: 'sha256' | 'sha384' | undefined;
  readonly isPss: boolean;
};

/** In the order in which they are chosen, and asked for. */
export const signatureSchemes: readonly SignatureScheme[] = [
  { code: 0x0403, keyType: 'ec', hash: 'sha256', isPss: false },
  { code: 0x0503, keyType: 'ec', hash: 'sha384', isPss: false },
  { code: 0x0807, keyType: 'ed25519', hash: undefined, isPss: false },
  { code: 0x0401, keyType: 'rsa', hash: 'sha256', isPss: false },
  { code: 0x0804, keyType: 'rsa', hash: 'sha256', isPss: true },
];

/**
 * What a client that names none can do. RFC 5246 would have it be SHA-1, which nobody should use any more; the small stacks that
 * leave it out have SHA-256, because their suites need it.
 */
const unnamed = [0x0403, 0x0401];

/** How the server signs for this client; undefined: it cannot. */
export function schemeFor(keyType: DtlsSigner['keyType'], offered: readonly number[] | undefined): SignatureScheme | undefined {
  const codes = offered ?? unnamed;
  return signatureSchemes.find((scheme) => scheme.keyType === keyType && !scheme.isPss && codes.includes(scheme.code));
}

/** The least that RSA keys of clients must have, as in TLS. */
const leastRsaBits = 2048;
/** A stranger chooses the key that we compute with: long ones, and long exponents, are a hundred times as costly. */
const mostRsaBits = 8192;
const mostRsaExponent = 0xffff_ffffn;

function isFitRsa({ asymmetricKeyDetails: { modulusLength = 0, publicExponent = 0n } = {} }: KeyObject): boolean {
  return modulusLength >= leastRsaBits && modulusLength <= mostRsaBits && publicExponent <= mostRsaExponent;
}

/** Of a client's key; false, too, when key and algorithm do not fit, or the key is too weak or too costly. */
export function isSignedBy(key: KeyObject, code: number, data: Uint8Array, signature: Uint8Array): boolean {
  const scheme = signatureSchemes.find((candidate) => candidate.code === code);
  if (scheme === undefined || key.asymmetricKeyType !== scheme.keyType) return false;
  if (scheme.keyType === 'rsa' && !isFitRsa(key)) return false;
  try {
    const options = scheme.isPss
      ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
      : { key };
    return verify(scheme.hash ?? null, data, options, signature);
  } catch {
    return false;
  }
}

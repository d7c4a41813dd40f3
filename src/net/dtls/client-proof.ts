// By what a client proves who it is: its certificates or its raw public key, and the signature with its key.

import { createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import { fail } from './alert.ts';
import { ByteReader } from './bytes.ts';
import type { CertificateForm } from './negotiation.ts';
import { sha256 } from './prf.ts';
import { isSignedBy } from './signature-schemes.ts';

export type ShownKey = {
  readonly form: CertificateForm;
  /** DER: certificates, the client's own first; of a raw key only its SubjectPublicKeyInfo. */
  readonly chain: readonly Uint8Array[];
  /** SHA-256 of the first of `chain`, lower-case hex. */
  readonly fingerprint: string;
  readonly key: KeyObject;
};

/** The body of a Certificate message (RFC 5246 §7.4.6, RFC 7250 §3); undefined: the client shows none. @throws HandshakeEnd */
export function readShownKey(body: Uint8Array, form: CertificateForm, maxChain: number): ShownKey | undefined {
  const reader = new ByteReader(body);
  const list = reader.vector(3);
  reader.end();
  if (list.length === 0) return undefined;
  const chain = form === 'rawKey' ? [new Uint8Array(list)] : readChain(list, maxChain);
  const first = chain[0]!;
  return { form, chain, fingerprint: sha256([first]).toString('hex'), key: form === 'rawKey' ? rawKeyOf(first) : keyOf(first) };
}

function readChain(bytes: Uint8Array, maxChain: number): Uint8Array[] {
  const list = new ByteReader(bytes);
  const chain: Uint8Array[] = [];
  while (list.left > 0) {
    if (chain.length === maxChain) fail('bad-certificate', 'certificate');
    chain.push(new Uint8Array(list.vector(3, 1)));
  }
  return chain;
}

function keyOf(der: Uint8Array): KeyObject {
  try {
    const certificate = new X509Certificate(der);
    // It also reads PEM, and overlooks what follows a certificate: then others would see another one in the same bytes.
    if (certificate.raw.length === der.length) return certificate.publicKey;
  } catch {
    // Refused below.
  }
  return fail('bad-certificate', 'certificate');
}

function rawKeyOf(spki: Uint8Array): KeyObject {
  try {
    const read = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
    // One key must have one name: by way of JWK it comes back in its usual form, which has no compressed points.
    const key = createPublicKey({ key: read.export({ format: 'jwk' }), format: 'jwk' });
    if (key.export({ type: 'spki', format: 'der' }).equals(spki)) return key;
  } catch {
    // Refused below.
  }
  return fail('bad-certificate', 'certificate');
}

/** CertificateVerify (RFC 5246 §7.4.8). @throws HandshakeEnd when the client does not have the key */
export function checkCertificateVerify(body: Uint8Array, { key }: ShownKey, transcript: readonly Uint8Array[]): void {
  const reader = new ByteReader(body);
  const code = reader.u16();
  const signature = reader.vector(2);
  reader.end();
  if (!isSignedBy(key, code, Buffer.concat(transcript), signature)) fail('decrypt-error', 'certificate');
}

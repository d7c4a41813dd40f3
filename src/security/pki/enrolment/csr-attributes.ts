// What a request should be made of (RFC 7030 §4.5.2, RFC 8951 §3.2): the kind of key, and how it signs. Names are the owner's in any
// case, so none are asked for.

import { element, oid, sequence } from '../der/der-writer.ts';
import { tags } from '../der/der-reader.ts';
import type { KeyAlgorithm } from '../pki.ts';

const ellipticKey = '1.2.840.10045.2.1';
const curves = {
  'ecdsa-p256': { curve: '1.2.840.10045.3.1.7', signature: '1.2.840.10045.4.3.2' },
  'ecdsa-p384': { curve: '1.3.132.0.34', signature: '1.2.840.10045.4.3.3' },
} as const;
const ed25519 = '1.3.101.112';

/** DER. */
export function csrAttributes(wanted: KeyAlgorithm): Buffer {
  if (wanted === 'ed25519') return sequence(oid(ed25519));
  const { curve, signature } = curves[wanted];
  return sequence(sequence(oid(ellipticKey), element(tags.set, oid(curve))), oid(signature));
}

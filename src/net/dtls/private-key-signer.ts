// The server's private key in memory.

import { createPublicKey, sign, type KeyObject } from 'node:crypto';
import { UserError } from '../../base/user-error.ts';
import type { DtlsSigner } from './endpoint.ts';
import type { GroupName } from './suites.ts';

/** By OpenSSL's names. */
const curves: Readonly<Record<string, GroupName>> = { prime256v1: 'secp256r1', secp384r1: 'secp384r1' };

/** @throws UserError when DTLS has no use for keys of this kind */
export function privateKeySigner(key: KeyObject): DtlsSigner {
  const { asymmetricKeyType: keyType } = key;
  if (keyType !== 'ec' && keyType !== 'rsa' && keyType !== 'ed25519') {
    throw new UserError(`DTLS cannot use a private key of type ${keyType}.`, { fix: 'take an EC key (P-256), Ed25519 or RSA' });
  }
  const curve = curves[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (keyType === 'ec' && curve === undefined) {
    throw new UserError('DTLS cannot use an EC key on this curve.', { fix: 'take one on P-256 or P-384' });
  }
  return {
    keyType,
    ...(curve !== undefined && { curve }),
    spki: createPublicKey(key).export({ type: 'spki', format: 'der' }),
    sign: (data, hash) => sign(hash ?? null, data, key),
  };
}

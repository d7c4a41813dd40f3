// The server's private key in memory.

import { createPublicKey, sign, type KeyObject } from 'node:crypto';
import { UserError } from '../../base/user-error.ts';
import type { DtlsSigner } from './endpoint.ts';

/** @throws UserError when DTLS has no use for keys of this kind */
export function privateKeySigner(key: KeyObject): DtlsSigner {
  const { asymmetricKeyType: keyType } = key;
  if (keyType !== 'ec' && keyType !== 'rsa' && keyType !== 'ed25519') {
    throw new UserError(`DTLS cannot use a private key of type ${keyType}.`, { fix: 'take an EC key (P-256), Ed25519 or RSA' });
  }
  return {
    keyType,
    spki: createPublicKey(key).export({ type: 'spki', format: 'der' }),
    sign: (data, hash) => sign(hash ?? null, data, key),
  };
}

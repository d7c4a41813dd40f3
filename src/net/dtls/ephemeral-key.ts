// The server's half of an ephemeral Diffie-Hellman exchange (RFC 8422 §5.4, RFC 7748).

import { createECDH, createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto';
import { fail } from './alert.ts';
import type { GroupName } from './suites.ts';

export interface EphemeralKey {
  /** As it goes over the wire. */
  readonly publicBytes: Uint8Array;
  /** The shared secret. @throws HandshakeEnd when the other half is not a point of the curve */
  sharedWith(other: Uint8Array): Buffer;
}

const nodeNames = { secp256r1: 'prime256v1', secp384r1: 'secp384r1' } as const;
const coordinateBytes = { secp256r1: 32, secp384r1: 48 } as const;
/** SubjectPublicKeyInfo of X25519 up to its 32 bytes (RFC 8410). */
const x25519Prefix = Buffer.from('302a300506032b656e032100', 'hex');

/** @throws HandshakeEnd when the system does not have the group (FIPS) */
export function newEphemeralKey(group: GroupName): EphemeralKey {
  try {
    return group === 'x25519' ? newX25519() : newEcdh(group);
  } catch {
    return fail('internal-error', 'parameters');
  }
}

function newEcdh(group: 'secp256r1' | 'secp384r1'): EphemeralKey {
  const ecdh = createECDH(nodeNames[group]);
  const publicBytes = ecdh.generateKeys();
  return {
    publicBytes,
    sharedWith(other) {
      // Only uncompressed points (RFC 8422 §5.1.2); whether it is on the curve is checked by OpenSSL.
      if (other.length !== 1 + 2 * coordinateBytes[group] || other[0] !== 4) fail('illegal-parameter', 'protocol');
      try {
        return ecdh.computeSecret(other);
      } catch {
        return fail('illegal-parameter', 'protocol');
      }
    },
  };
}

function newX25519(): EphemeralKey {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  return {
    publicBytes: publicKey.export({ type: 'spki', format: 'der' }).subarray(x25519Prefix.length),
    sharedWith(other) {
      if (other.length !== 32) fail('illegal-parameter', 'protocol');
      try {
        const peer = createPublicKey({ key: Buffer.concat([x25519Prefix, other]), format: 'der', type: 'spki' });
        const secret = diffieHellman({ privateKey, publicKey: peer });
        // RFC 7748 §6.1: the result of a point of small order is zero.
        if (secret.every((byte) => byte === 0)) fail('illegal-parameter', 'protocol');
        return secret;
      } catch {
        return fail('illegal-parameter', 'protocol');
      }
    },
  };
}

// The algorithms of contexts, by their numbers in COSE (RFC 9053 §4, RFC 8613 §3.2.1).

export type AeadAlgorithm = {
  readonly number: number;
  readonly name: string;
  /** As node:crypto calls it. */
  readonly cipher: 'aes-128-ccm' | 'aes-256-ccm' | 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305';
  readonly keyBytes: number;
  readonly nonceBytes: number;
  readonly tagBytes: number;
};

/** The first is the one that everybody must know (RFC 8613 §3.2.1). */
export const aeadAlgorithms: readonly AeadAlgorithm[] = [
  { number: 10, name: 'AES-CCM-16-64-128', cipher: 'aes-128-ccm', keyBytes: 16, nonceBytes: 13, tagBytes: 8 },
  { number: 30, name: 'AES-CCM-16-128-128', cipher: 'aes-128-ccm', keyBytes: 16, nonceBytes: 13, tagBytes: 16 },
  { number: 11, name: 'AES-CCM-16-64-256', cipher: 'aes-256-ccm', keyBytes: 32, nonceBytes: 13, tagBytes: 8 },
  { number: 31, name: 'AES-CCM-16-128-256', cipher: 'aes-256-ccm', keyBytes: 32, nonceBytes: 13, tagBytes: 16 },
  { number: 1, name: 'A128GCM', cipher: 'aes-128-gcm', keyBytes: 16, nonceBytes: 12, tagBytes: 16 },
  { number: 3, name: 'A256GCM', cipher: 'aes-256-gcm', keyBytes: 32, nonceBytes: 12, tagBytes: 16 },
  { number: 24, name: 'ChaCha20/Poly1305', cipher: 'chacha20-poly1305', keyBytes: 32, nonceBytes: 12, tagBytes: 16 },
];

export type HkdfAlgorithm = { readonly number: number; readonly name: string; readonly hash: 'sha256' | 'sha512' };

export const hkdfAlgorithms: readonly HkdfAlgorithm[] = [
  { number: -10, name: 'HKDF-SHA-256', hash: 'sha256' },
  { number: -11, name: 'HKDF-SHA-512', hash: 'sha512' },
];

export function aeadAlgorithm(number: number): AeadAlgorithm | undefined {
  return aeadAlgorithms.find((each) => each.number === number);
}

export function hkdfAlgorithm(number: number): HkdfAlgorithm | undefined {
  return hkdfAlgorithms.find((each) => each.number === number);
}

/** RFC 8613 §3.3: a sender id must fit into the nonce, beside the Partial IV and its own length. */
export function maxIdBytes({ nonceBytes }: AeadAlgorithm): number {
  return nonceBytes - 6;
}

// The cipher suites and groups of the DTLS server: AEAD only, all with SHA-256 as their hash. No CBC, no RSA key exchange.

/** Names by IANA, without `TLS_` and `_WITH_…` where it says nothing. */
export type SuiteName =
  | 'ECDHE-ECDSA-AES128-CCM'
  | 'ECDHE-ECDSA-AES128-GCM-SHA256'
  | 'ECDHE-RSA-AES128-GCM-SHA256'
  | 'ECDHE-ECDSA-AES128-CCM8'
  | 'ECDHE-PSK-AES128-CCM-SHA256'
  | 'ECDHE-PSK-AES128-GCM-SHA256'
  | 'PSK-AES128-GCM-SHA256'
  | 'PSK-AES128-CCM'
  | 'PSK-AES128-CCM8';

export type KeyExchange = 'ecdhe-ecdsa' | 'ecdhe-rsa' | 'ecdhe-psk' | 'psk';

export type Suite = {
  readonly name: SuiteName;
  readonly code: number;
  readonly exchange: KeyExchange;
  readonly aead: 'aes-128-ccm' | 'aes-128-gcm';
  readonly tagBytes: 8 | 16;
};

/**
 * In the order in which they are chosen. CCM_8 is mandatory for CoAP (RFC 7252 §9.1.3) and stands last of its kind: its tag is short.
 * ECDHE-PSK with a plain PSK's ease has forward secrecy, so it comes first.
 */
export const suites: readonly Suite[] = [
  { name: 'ECDHE-ECDSA-AES128-CCM', code: 0xc0ac, exchange: 'ecdhe-ecdsa', aead: 'aes-128-ccm', tagBytes: 16 },
  { name: 'ECDHE-ECDSA-AES128-GCM-SHA256', code: 0xc02b, exchange: 'ecdhe-ecdsa', aead: 'aes-128-gcm', tagBytes: 16 },
  { name: 'ECDHE-RSA-AES128-GCM-SHA256', code: 0xc02f, exchange: 'ecdhe-rsa', aead: 'aes-128-gcm', tagBytes: 16 },
  { name: 'ECDHE-ECDSA-AES128-CCM8', code: 0xc0ae, exchange: 'ecdhe-ecdsa', aead: 'aes-128-ccm', tagBytes: 8 },
  { name: 'ECDHE-PSK-AES128-CCM-SHA256', code: 0xd005, exchange: 'ecdhe-psk', aead: 'aes-128-ccm', tagBytes: 16 },
  { name: 'ECDHE-PSK-AES128-GCM-SHA256', code: 0xd001, exchange: 'ecdhe-psk', aead: 'aes-128-gcm', tagBytes: 16 },
  { name: 'PSK-AES128-GCM-SHA256', code: 0x00a8, exchange: 'psk', aead: 'aes-128-gcm', tagBytes: 16 },
  { name: 'PSK-AES128-CCM', code: 0xc0a4, exchange: 'psk', aead: 'aes-128-ccm', tagBytes: 16 },
  { name: 'PSK-AES128-CCM8', code: 0xc0a8, exchange: 'psk', aead: 'aes-128-ccm', tagBytes: 8 },
];

export const suiteNames: readonly SuiteName[] = suites.map(({ name }) => name);

export type GroupName = 'secp256r1' | 'x25519' | 'secp384r1';

/** NamedCurve (RFC 8422 §5.1.1). In the order in which they are chosen: CoAP makes secp256r1 mandatory. */
export const groups: Readonly<Record<GroupName, number>> = { secp256r1: 23, x25519: 29, secp384r1: 24 };
export const groupNames = Object.keys(groups) as readonly GroupName[];

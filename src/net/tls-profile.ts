// What TLS may agree on. Of what a client offers, the server's order decides.

import type { X509Certificate } from 'node:crypto';

/**
 * default: what is strong and widely known. cnsa: the algorithms of CNSA 1.0 and, where both sides know them, 2.0. fips: what
 * FIPS 140-3 approves.
 */
export type TlsProfile = 'default' | 'cnsa' | 'fips';

/** Hybrids first: a key exchange that is recorded today must not fall to a quantum computer later. */
const defaultGroups: readonly string[] = ['X25519MLKEM768', 'X25519', 'P-256', 'P-384'];

const groupsOf: Readonly<Record<TlsProfile, readonly string[]>> = {
  default: defaultGroups,
  cnsa: ['SecP384r1MLKEM1024', 'P-384'],
  fips: ['SecP256r1MLKEM768', 'SecP384r1MLKEM1024', 'P-256', 'P-384', 'P-521'],
};

const suites: Readonly<Record<TlsProfile, readonly string[]>> = {
  default: [
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'TLS_AES_128_GCM_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ],
  cnsa: ['TLS_AES_256_GCM_SHA384', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  fips: [
    'TLS_AES_256_GCM_SHA384',
    'TLS_AES_128_GCM_SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
  ],
};

/**
 * For pre-shared keys. OpenSSL ties a key that is not from a ticket to SHA-256, so that in TLS 1.3 a suite with that hash must be
 * agreed on for it to be used. In TLS 1.2 those with an ephemeral exchange (RFC 5489, RFC 7905) stand first; the rest is for
 * devices that have nothing else (RFC 5487, RFC 6655).
 */
const pskSuites = ['TLS_AES_128_GCM_SHA256', 'TLS_CHACHA20_POLY1305_SHA256'];
const pskSuitesOf12 = [
  'ECDHE-PSK-CHACHA20-POLY1305',
  'ECDHE-PSK-AES128-CBC-SHA256',
  'PSK-AES128-GCM-SHA256',
  'PSK-AES128-CCM',
  'PSK-AES128-CCM8',
];

const cnsaSignatures = 'ecdsa_secp384r1_sha384:rsa_pss_pss_sha384:rsa_pss_rsae_sha384:rsa_pkcs1_sha384:mldsa87';
const fipsSignatures =
  'ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:rsa_pkcs1_sha256:rsa_pkcs1_sha384';

/** As node:tls takes them. */
export type TlsParameters = { readonly ecdhCurve: string; readonly ciphers: string; readonly sigalgs?: string };

/** `groups`: in place of the profile's. `psk`: pre-shared keys are accepted, too. */
export function tlsParameters(profile: TlsProfile, groups: readonly string[] | undefined, psk: boolean): TlsParameters {
  const strong = suites[profile];
  const ciphers = psk ? withPsk(profile, strong) : strong;
  const signatures = { default: undefined, cnsa: cnsaSignatures, fips: fipsSignatures }[profile];
  return {
    // Each stands for itself: the server takes the first that the client knows, also if it has to ask for its share once more.
    ecdhCurve: (groups ?? groupsOf[profile]).join('/'),
    ciphers: ciphers.join(':'),
    ...(signatures !== undefined && { sigalgs: signatures }),
  };
}

/** Under cnsa there is none (see pskSuites); under fips those of TLS 1.2 are left out, because not all of them are approved. */
function withPsk(profile: TlsProfile, strong: readonly string[]): readonly string[] {
  if (profile === 'cnsa') return strong;
  const first = pskSuites.filter((suite) => strong.includes(suite));
  const rest = strong.filter((suite) => !first.includes(suite));
  return profile === 'default' ? [...first, rest[0]!, ...pskSuitesOf12, ...rest.slice(1)] : [...first, ...rest];
}

/** What keeps a server's certificate from being used with a profile, in words; undefined: nothing. */
export function profileFault(profile: TlsProfile, { publicKey }: X509Certificate): string | undefined {
  if (profile === 'default') return undefined;
  const { asymmetricKeyType: type, asymmetricKeyDetails: details = {} } = publicKey;
  const { namedCurve = '', modulusLength = 0 } = details;
  if (type === 'rsa' || type === 'rsa-pss') {
    const least = profile === 'cnsa' ? 3072 : 2048;
    return modulusLength >= least ? undefined : `has an RSA key of ${modulusLength} bits, and the profile ${profile} wants ${least}`;
  }
  const curves = profile === 'cnsa' ? ['secp384r1'] : ['prime256v1', 'secp384r1', 'secp521r1'];
  if (type === 'ec' && curves.includes(namedCurve)) return undefined;
  if (profile === 'cnsa' && (type as string) === 'ml-dsa-87') return undefined;
  return `has a key (${namedCurve === '' ? type : namedCurve}) that the profile ${profile} does not take`;
}

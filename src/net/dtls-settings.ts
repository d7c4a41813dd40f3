// What a DTLS endpoint is given, from the settings that TLS has: the same certificates, keys and profile.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { UserError } from '../base/user-error.ts';
import type { DtlsAdmissionSettings } from './dtls-admission.ts';
import type { DtlsCredential, DtlsSettings } from './dtls/endpoint.ts';
import type { DtlsLimits } from './dtls/limits.ts';
import { suites } from './dtls/suites.ts';
import { privateKeySigner } from './dtls/private-key-signer.ts';
import { profileFault } from './tls-profile.ts';
import { nameMatcher, type TlsCertificate, type TlsSettings } from './tls.ts';

export type DtlsListenerSettings = DtlsAdmissionSettings &
  Pick<TlsSettings, 'certificates' | 'profile' | 'clientCertificate'> & {
    /** Names (DER) of who may issue client certificates. */
    readonly clientAuthorities: readonly Uint8Array[];
    /** Clients may show a raw public key in place of a certificate (RFC 7250). */
    readonly rawPublicKeys: boolean;
    /** Offer Connection IDs (RFC 9146). */
    readonly connectionIds: boolean;
    /** Cipher suites with tags of 8 bytes, too. */
    readonly ccm8: boolean;
    /** Refuse clients without RFC 7627. */
    readonly requireExtendedMasterSecret: boolean;
    /** Shown to clients that have several identities. */
    readonly pskHint: string;
    readonly limits: DtlsLimits;
  };

/** @throws UserError when a certificate or key cannot be used */
export function dtlsSettings(settings: DtlsListenerSettings, listener: string): DtlsSettings {
  const {
    certificates,
    profile = 'default',
    clientCertificate,
    clientAuthorities,
    rawPublicKeys,
    connectionIds,
    ccm8,
    requireExtendedMasterSecret,
    pskHint,
    psk,
    limits,
  } = settings;
  const where = `listener ${listener}`;
  if (profile === 'cnsa') {
    // DTLS 1.2 for devices is AES-128 with SHA-256.
    throw new UserError('The profile cnsa has no cipher suite for DTLS.', {
      where,
      fix: 'disable the listener, or choose another tls.profile',
    });
  }
  return {
    ...(profile === 'fips' && { groups: ['secp256r1', 'secp384r1'] }),
    credentials: certificates.map((certificate, i) => credentialOf(certificate, profile, `TLS certificate ${i + 1}`, where)),
    clientCertificate,
    clientAuthorities,
    rawPublicKeys,
    connectionIds,
    suites: suites.filter(({ tagBytes }) => ccm8 || tagBytes === 16).map(({ name }) => name),
    requireExtendedMasterSecret,
    resumption: limits.resumptions > 0,
    ...(psk && { psk: { hint: Buffer.from(pskHint) } }),
    limits,
  };
}

function credentialOf(given: TlsCertificate, profile: 'default' | 'fips', name: string, where: string): DtlsCredential {
  try {
    const chain = certificatesIn(given.certificate);
    const unfit = profileFault(profile, new X509Certificate(chain[0]!));
    if (unfit !== undefined) throw new UserError(unfit);
    const key = createPrivateKey(given.privateKey);
    if (!new X509Certificate(chain[0]!).checkPrivateKey(key)) throw new UserError('the key is another one’s');
    return { chain, signer: privateKeySigner(key), matches: nameMatcher(given) };
  } catch (error) {
    throw new UserError(`${name} and its key cannot be used for DTLS: ${(error as Error).message}`, {
      where,
      fix: 'take a certificate with an EC key (P-256), Ed25519 or RSA',
      cause: error,
    });
  }
}

function certificatesIn(pem: string): Uint8Array[] {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (found.length === 0) throw new UserError('there is no certificate in it');
  return found.map((text) => new X509Certificate(text).raw);
}

// What a certificate may be used for, by what its owner is (RFC 5280 §4.2.1.3, §4.2.1.12).

import { extendedUsage } from './certificate-facts.ts';
import type { KeyUsage } from './certificate-builder.ts';
import type { RequestedKey } from './certificate-request.ts';

export type ProfileName = 'device' | 'application' | 'user' | 'server' | 'audit';

export type ProfileSettings = { readonly validityDays: number; readonly maxValidityDays: number; readonly allowRsa: boolean };

export const serverAuth = '1.3.6.1.5.5.7.3.1';
/** Says that a key signs the audit log and nothing else. Below 2.25, where anybody may make one of a UUID (ITU-T X.667). */
export const auditSigning = '2.25.264729382194729385016284759301827465';

const extended: Readonly<Record<ProfileName, string>> = {
  device: extendedUsage.clientAuth,
  application: extendedUsage.clientAuth,
  user: extendedUsage.clientAuth,
  server: serverAuth,
  audit: auditSigning,
};

export function extendedUsageOf(profile: ProfileName): string {
  return extended[profile];
}

/** TLS before 1.3 lets RSA keys also decrypt. */
export function usagesOf(profile: ProfileName, key: RequestedKey): readonly KeyUsage[] {
  if (profile === 'audit') return ['digitalSignature', 'nonRepudiation'];
  return key === 'rsa' ? ['digitalSignature', 'keyEncipherment'] : ['digitalSignature'];
}

// What Heliograph reads from a client's certificate once TLS has verified it, and who that makes the client.

import type { X509Certificate } from 'node:crypto';
import { nameFault } from '../message/names.ts';
import type { PeerCertificate } from './security.ts';

/** URI in the subject alternative name by which a certificate names its principal: `heliograph:<tenant>/<name>`. */
const principalUriScheme = 'heliograph:';

/** Where the principal's name is looked for. */
export const certificateRules = ['san', 'cn', 'fingerprint'] as const;
export type CertificateRule = (typeof certificateRules)[number];

export function describeCertificate(certificate: X509Certificate): PeerCertificate {
  // The type says that every field is one string; a name may well hold the field twice.
  const subject = certificate.toLegacyObject().subject as { readonly CN?: string | readonly string[] } | undefined;
  const commonName = subject?.CN;
  const notAfterMs = Date.parse(certificate.validTo);
  return {
    // Two common names would be two identities: better none.
    commonName: typeof commonName === 'string' ? commonName : undefined,
    uris: urisOf(certificate.subjectAltName),
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    // What cannot be read is taken to be over: TLS has let it in, but nobody knows until when.
    notAfterMs: Number.isNaN(notAfterMs) ? 0 : notAfterMs,
  };
}

/**
 * Picks the URIs from Node's text form, `DNS:a, URI:"…"`. An entry that could be mistaken for two is quoted as JSON there, so
 * the text is read from left to right and never just split.
 */
function urisOf(text: string | undefined): string[] {
  const uris: string[] = [];
  const entry = /([A-Za-z0-9 ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/y;
  while (text !== undefined && entry.lastIndex < text.length) {
    const found = entry.exec(text);
    // Not the form we know: trust none of it.
    if (found === null) return [];
    const [, type, value] = found as unknown as [string, string, string];
    if (type === 'URI') uris.push(value.startsWith('"') ? (JSON.parse(value) as string) : value);
  }
  return uris;
}

/**
 * The principal a certificate names by what stands in it. Undefined when no rule finds one; 'unclear' when it tries to name one
 * and fails (several principal URIs, a name with characters that mean something elsewhere): it gets no second try.
 */
export function identityOf(
  certificate: PeerCertificate,
  rules: readonly CertificateRule[],
  commonNameTenant: string,
): { readonly tenant: string; readonly id: string } | 'unclear' | undefined {
  const own = certificate.uris.filter((uri) => uri.toLowerCase().startsWith(principalUriScheme));
  for (const rule of rules) {
    if (rule === 'san' && own.length > 0) {
      const parts = own.length === 1 ? own[0]!.slice(principalUriScheme.length).split('/') : [];
      return parts.length === 2 ? valid(decoded(parts[0]!), decoded(parts[1]!)) : 'unclear';
    }
    if (rule === 'cn' && certificate.commonName !== undefined) return valid(commonNameTenant, certificate.commonName);
  }
  return undefined;
}

/** The URI that makes `identityOf` find this principal. */
export function principalUri(tenant: string, id: string): string {
  return `${principalUriScheme}${encodeURIComponent(tenant)}/${encodeURIComponent(id)}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

function valid(tenant: string, id: string): { readonly tenant: string; readonly id: string } | 'unclear' {
  return nameFault(tenant) === undefined && nameFault(id) === undefined ? { tenant, id } : 'unclear';
}

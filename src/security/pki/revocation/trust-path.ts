// Which authorities stand above a certificate, among those that this node knows. TLS has verified the path when the session began;
// here it is found again, because a resumed session is not verified again, and because TLS does not say which path it took.

import type { X509Certificate } from 'node:crypto';
import type { AuthorityRole, AuthorityStatus } from '../../../registry/entries.ts';
import { certificateFacts, type CertificateFacts } from '../certificate-facts.ts';

export type TrustedAuthority = {
  readonly id: string;
  readonly certificate: X509Certificate;
  readonly facts: CertificateFacts;
  /** Of the certificate. */
  readonly fingerprint: string;
  readonly tenant: string;
  /** 'operator': of a file that the configuration names; the registry knows nothing of it. */
  readonly role: AuthorityRole | 'operator';
  readonly status: AuthorityStatus;
};

/** A certificate, and who has signed it. */
export type TrustLink = {
  readonly below: CertificateFacts;
  readonly issuer: CertificateFacts;
  /** Undefined: the peer has sent it, and somebody above is known. */
  readonly authority: TrustedAuthority | undefined;
};

export type TrustPath = {
  readonly facts: CertificateFacts;
  /** Ids, nearest first. */
  readonly issuers: readonly string[];
  /** Nearest first; the last one's authority is known. At least one. */
  readonly links: readonly TrustLink[];
};

/** As many authorities above a certificate as can be meant. */
const maxDepth = 8;
/** Authorities that peers have sent along, about 3 KiB each. */
const maxSent = 1000;

export class TrustPaths {
  readonly #cacheEntries: number;
  readonly #bySubject = new Map<string, TrustedAuthority[]>();
  readonly #byId = new Map<string, TrustedAuthority>();
  /** By fingerprint, in the order of use. */
  #found = new Map<string, TrustPath>();
  /** Who has signed an authority; undefined: nobody that is known. A signature check for each handshake would be half of its cost here. */
  readonly #above = new Map<TrustedAuthority, TrustedAuthority | undefined>();

  /**
   * By subject, authorities that peers have sent along below one that is known here. A session that is resumed brings the peer's own
   * certificate alone.
   */
  readonly #sent = new Map<string, Pair>();

  constructor(cacheEntries: number) {
    this.#cacheEntries = cacheEntries;
  }

  /** From now on these, retired ones too. Of several that say something of one certificate, or of one key, the first counts. */
  use(authorities: readonly TrustedAuthority[]): void {
    this.#bySubject.clear();
    this.#byId.clear();
    this.#found.clear();
    this.#above.clear();
    for (const authority of authorities) {
      const name = nameKey(authority.facts.subjectName);
      const others = this.#bySubject.get(name) ?? [];
      if (!this.#byId.has(authority.id)) this.#byId.set(authority.id, authority);
      if (others.some(({ fingerprint }) => fingerprint === authority.fingerprint)) continue;
      this.#bySubject.set(name, [...others, authority]);
    }
  }

  authority(id: string): TrustedAuthority | undefined {
    return this.#byId.get(id);
  }

  remembered(fingerprint: string): TrustPath | undefined {
    return this.#found.get(fingerprint);
  }

  /** `fingerprint`: of `certificate`. 'unknown': no path to any authority that is known here. */
  of(certificate: X509Certificate, fingerprint: string): TrustPath | 'unknown' | 'malformed' {
    const kept = this.#found.get(fingerprint);
    if (kept !== undefined) {
      this.#found.delete(fingerprint);
      this.#found.set(fingerprint, kept);
      return kept;
    }
    const facts = certificateFacts(certificate.raw);
    if (facts === undefined) return 'malformed';
    const path = this.#build(certificate, facts);
    if (path === undefined) return 'unknown';
    if (this.#cacheEntries > 0) {
      for (const oldest of this.#found.keys()) {
        if (this.#found.size < this.#cacheEntries) break;
        this.#found.delete(oldest);
      }
      this.#found.set(fingerprint, path);
    }
    return path;
  }

  #build(certificate: X509Certificate, facts: CertificateFacts): TrustPath | undefined {
    const links: TrustLink[] = [];
    const between: Pair[] = [];
    let current: Pair & { readonly authority?: TrustedAuthority } = { certificate, facts };
    let sent = certificate.issuerCertificate;
    while (links.length < maxDepth) {
      const { facts: below } = current;
      const name = nameKey(below.issuerName);
      if (links.length > 0 && name === nameKey(below.subjectName)) break;
      const authority = this.#issuerOf(current, name);
      if (authority !== undefined) {
        links.push({ below, issuer: authority.facts, authority });
        current = { ...authority, authority };
        continue;
      }
      // What the peer has sent along.
      const next = pairOf(sent) ?? this.#sent.get(name);
      if (next === undefined || !hasIssued(next, current)) break;
      links.push({ below, issuer: next.facts, authority: undefined });
      between.push(next);
      current = next;
      sent = sent?.issuerCertificate;
    }
    while (links.length > 0 && links.at(-1)!.authority === undefined) links.pop();
    // Only what somebody who is known has signed is kept: strangers must not fill this.
    for (const one of between.slice(0, links.filter(({ authority }) => authority === undefined).length)) this.#keep(one);
    return links.length === 0 ? undefined : { facts, issuers: links.map(({ issuer }) => issuer.keyId), links };
  }

  #keep(one: Pair): void {
    const name = nameKey(one.facts.subjectName);
    this.#sent.delete(name);
    for (const oldest of this.#sent.keys()) {
      if (this.#sent.size < maxSent) break;
      this.#sent.delete(oldest);
    }
    this.#sent.set(name, one);
  }

  #issuerOf(one: Pair & { readonly authority?: TrustedAuthority }, name: string): TrustedAuthority | undefined {
    const find = (): TrustedAuthority | undefined => this.#bySubject.get(name)?.find((other) => hasIssued(other, one));
    const { authority } = one;
    if (authority === undefined) return find();
    if (!this.#above.has(authority)) this.#above.set(authority, find());
    return this.#above.get(authority);
  }
}

type Pair = Pick<TrustedAuthority, 'certificate' | 'facts'>;

function pairOf(certificate: X509Certificate | undefined): Pair | undefined {
  const facts = certificate && certificateFacts(certificate.raw);
  return certificate === undefined || facts === undefined ? undefined : { certificate, facts };
}

function hasIssued(issuer: Pair, { certificate, facts }: Pair): boolean {
  const wanted = facts.authorityKeyId;
  const own = issuer.facts.subjectKeyId;
  if (!issuer.facts.isAuthority || (wanted !== undefined && own !== undefined && Buffer.compare(wanted, own) !== 0)) return false;
  try {
    return certificate.verify(issuer.certificate.publicKey);
  } catch {
    return false;
  }
}

function nameKey(name: Uint8Array): string {
  return Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1');
}

/** Undefined: the bytes are no certificate that could be used here. */
export function trustedAuthority(
  certificate: X509Certificate,
  { tenant, role, status }: Pick<TrustedAuthority, 'tenant' | 'role' | 'status'>,
): TrustedAuthority | undefined {
  const facts = certificateFacts(certificate.raw);
  if (facts === undefined) return undefined;
  const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
  return { id: facts.keyId, certificate, facts, fingerprint, tenant, role, status };
}

// Decides at the end of a TLS handshake whether a certificate is taken. OpenSSL has verified signatures, times, path length, name
// constraints and usage; what it does not know is said here: what the registry has revoked, disabled and retired, what other
// authorities have revoked, and all of it again for sessions that are resumed, which OpenSSL does not verify a second time.

import type { X509Certificate } from 'node:crypto';
import type { Clock } from '../../../base/clock.ts';
import type { Log } from '../../../base/log.ts';
import type { MetricSource, Sample } from '../../../base/metrics.ts';
import { systemScope, type AuthorityRole, type Entry } from '../../../registry/entries.ts';
import type { LookUps, NowOrLater } from '../../../registry/registry.ts';
import type { Audit } from '../../audit/audit.ts';
import type { CertificateFault, HandshakeGuard, HandshakeOrigin, HandshakeVerdict, PeerCertificate } from '../../security.ts';
import { certificateFaults } from '../../security.ts';
import { extendedUsage, type CertificateFacts } from '../certificate-facts.ts';
import { RefusalRecord } from './refusal-record.ts';
import { TrustPaths, type TrustedAuthority, type TrustLink, type TrustPath } from './trust-path.ts';

/** What an authority that is not ours says of a certificate. */
export interface ForeignRevocation {
  /** undetermined: it cannot be found out, and must be. */
  check(certificate: CertificateFacts, issuer: CertificateFacts, terms: RevocationTerms): NowOrLater<'good' | 'revoked' | 'undetermined'>;
}

export type RevocationTerms = Pick<Entry<'authority'>, 'revocationCheck' | 'crlUrls' | 'ocspUrls'>;

export type AdmissionServices = {
  readonly lookUps: Pick<LookUps, 'get' | 'certificate'>;
  readonly foreign: ForeignRevocation | undefined;
  readonly describe: (certificate: X509Certificate) => PeerCertificate;
  readonly clock: Clock & { refresh?(): void };
  readonly log: Log;
  readonly audit: Audit;
};

export type AdmissionSettings = {
  /** Also of authorities that are not ours: a certificate that does not say what it is for is not taken. May change in place. */
  requireClientUsage: boolean;
  /** Certificates whose path is remembered. */
  readonly cacheEntries: number;
};

type Judged = CertificateFault | undefined;

export class HandshakeAdmission implements HandshakeGuard, MetricSource {
  readonly #services: AdmissionServices;
  readonly #settings: AdmissionSettings;
  readonly #paths: TrustPaths;
  readonly #record: RefusalRecord;
  readonly #refused = new Map<CertificateFault, number>();
  #admitted = 0;
  #unagreed = 0;

  constructor(services: AdmissionServices, settings: AdmissionSettings) {
    this.#services = services;
    this.#settings = settings;
    this.#paths = new TrustPaths(settings.cacheEntries);
    this.#record = new RefusalRecord(services.clock, services.log, services.audit);
  }

  /** Whom handshakes are judged by from now on: every authority that is known, retired ones too. */
  trust(authorities: readonly TrustedAuthority[]): void {
    this.#paths.use(authorities);
  }

  /** By id; undefined: it is not known, or the operator's own. */
  authorityOf(id: string): (TrustedAuthority & { readonly role: AuthorityRole }) | undefined {
    const found = this.#paths.authority(id);
    return found === undefined || found.role === 'operator' ? undefined : { ...found, role: found.role };
  }

  /** Of a certificate that was admitted not long ago; undefined: it is not remembered. */
  detailsOf(fingerprint: string): { readonly facts: CertificateFacts; readonly issuer: string } | undefined {
    const path = this.#paths.remembered(fingerprint);
    return path && { facts: path.facts, issuer: path.issuers[0]! };
  }

  admit(certificate: X509Certificate, from: HandshakeOrigin): NowOrLater<HandshakeVerdict> {
    const described = this.#services.describe(certificate);
    const path = this.#paths.of(certificate, described.fingerprint);
    if (path === 'unknown' || path === 'malformed') {
      return this.#verdict(path === 'unknown' ? 'unknown-authority' : path, described, undefined, certificate, from);
    }
    let judged: NowOrLater<Judged>;
    try {
      judged = this.#fixedFault(path) ?? this.#registryFault(described.fingerprint, path);
    } catch (error) {
      judged = this.#broken(error);
    }
    const end = (fault: Judged): HandshakeVerdict => this.#verdict(fault, described, path, certificate, from);
    return judged instanceof Promise ? judged.catch((error: unknown) => this.#broken(error)).then(end) : end(judged);
  }

  refused(fault: CertificateFault, certificate: X509Certificate | undefined, from: HandshakeOrigin): void {
    this.#count(fault);
    const fingerprint = certificate && this.#services.describe(certificate).fingerprint;
    this.#record.tell({ ...from, fault, fingerprint, subject: undefined });
  }

  unagreed(from: HandshakeOrigin): void {
    this.#unagreed++;
    this.#record.tell({ ...from, fault: 'parameters', fingerprint: undefined, subject: undefined });
  }

  *metrics(): Iterable<Sample> {
    const name = 'heliograph_security_handshakes_total';
    const help =
      'Client certificates judged at the end of a TLS handshake, by result; parameters: there was no common version, cipher or group.';
    yield { name, help, type: 'counter', labels: { result: 'admitted' }, value: this.#admitted };
    yield { name, help, type: 'counter', labels: { result: 'parameters' }, value: this.#unagreed };
    for (const fault of certificateFaults) {
      yield { name, help, type: 'counter', labels: { result: fault }, value: this.#refused.get(fault) ?? 0 };
    }
  }

  /** What stands in the certificates themselves. */
  #fixedFault({ facts, links }: TrustPath): Judged {
    const nowMs = this.#wallMs();
    if (facts.notAfterMs < nowMs) return 'expired';
    if (facts.notBeforeMs > nowMs) return 'not-yet-valid';
    if (links.some(({ issuer: { notAfterMs } }) => notAfterMs < nowMs)) return 'expired';
    const { extendedUsages } = facts;
    const nearest = links[0]!.authority?.role;
    const isOurs = nearest === 'issuing' || nearest === 'root';
    // RFC 5280 §4.2.1.12: without the extension any use would be fine. Ours always have it.
    if (extendedUsages === undefined ? isOurs || this.#settings.requireClientUsage : !extendedUsages.includes(extendedUsage.clientAuth)) {
      return 'wrong-usage';
    }
    const isTrusted = (authority: TrustedAuthority): boolean => authority.status === 'active' || authority.status === 'retiring';
    return links.every(({ authority }) => authority === undefined || isTrusted(authority)) ? undefined : 'authority-retired';
  }

  #registryFault(fingerprint: string, path: TrustPath): NowOrLater<Judged> {
    const { lookUps } = this.#services;
    return after(lookUps.certificate(fingerprint), (found): NowOrLater<Judged> => {
      // When the registry does not answer, nobody is let in at CONNECT, with the words for it.
      const entry = found.ok ? found.value : undefined;
      if (entry?.status === 'revoked') return 'revoked';
      return after(this.#ownerFault(entry), (fault) => fault ?? this.#authorityFault(path.links));
    });
  }

  #ownerFault(entry: Entry<'certificate'> | undefined): NowOrLater<Judged> {
    if (entry?.owner === undefined) return undefined;
    const { tenant, owner } = entry;
    const { lookUps } = this.#services;
    return after(lookUps.get('tenant', systemScope, tenant), (found): NowOrLater<Judged> => {
      if (found.ok && found.value?.status === 'disabled') return 'owner-disabled';
      return after(lookUps.get(owner.kind, tenant, owner.id), (known) =>
        known.ok && known.value?.status === 'disabled' ? 'owner-disabled' : undefined,
      );
    });
  }

  /** Authorities that were revoked themselves, and what those that are not ours say of those below them. */
  #authorityFault(links: readonly TrustLink[], depth = 0): NowOrLater<Judged> {
    const link = links[depth];
    if (link === undefined) return undefined;
    const next = (): NowOrLater<Judged> => this.#authorityFault(links, depth + 1);
    return after(this.#revokedAuthority(link), (fault): NowOrLater<Judged> => {
      if (fault !== undefined) return fault;
      return after(this.#foreignStatus(links, depth), (status) => {
        if (status === 'revoked') return depth === 0 ? 'revoked' : 'authority-retired';
        return status === 'undetermined' ? status : next();
      });
    });
  }

  /** Nobody asks again at CONNECT: what the registry does not say now must not be taken for good. */
  #revokedAuthority({ authority }: TrustLink): NowOrLater<Judged> {
    if (authority === undefined) return undefined;
    return after(this.#services.lookUps.certificate(authority.fingerprint), (found): Judged => {
      if (!found.ok) return 'undetermined';
      return found.value?.status === 'revoked' ? 'authority-retired' : undefined;
    });
  }

  #foreignStatus(links: readonly TrustLink[], depth: number): NowOrLater<'good' | 'revoked' | 'undetermined'> {
    const { lookUps, foreign } = this.#services;
    const { below, issuer } = links[depth]!;
    // The terms of one that the peer has sent are those of the authority that vouches for it.
    const authority = links.slice(depth).find((link) => link.authority !== undefined)!.authority!;
    if (authority.role !== 'foreign' || foreign === undefined) return 'good';
    return after(lookUps.get('authority', authority.tenant, authority.id), (found) => {
      if (!found.ok || found.value === undefined) return 'undetermined';
      if (found.value.revocationCheck === 'none') return 'good';
      const { revocationCheck, crlUrls, ocspUrls } = found.value;
      const isItsOwn = issuer.keyId === authority.id;
      return foreign.check(below, issuer, { revocationCheck, crlUrls: isItsOwn ? crlUrls : [], ocspUrls: isItsOwn ? ocspUrls : [] });
    });
  }

  #verdict(
    fault: Judged,
    described: PeerCertificate,
    path: TrustPath | undefined,
    certificate: X509Certificate,
    from: HandshakeOrigin,
  ): HandshakeVerdict {
    if (fault === undefined && path !== undefined) {
      this.#admitted++;
      return { ok: true, certificate: { ...described, issuers: path.issuers } };
    }
    const told = fault ?? 'other';
    this.#count(told);
    const { fingerprint } = described;
    this.#record.tell({ ...from, fault: told, fingerprint, subject: path === undefined ? undefined : certificate.subject });
    return { ok: false, fault: told };
  }

  #broken(error: unknown): Judged {
    this.#services.log.error('tls.admission.failed', { error: (error as Error).message });
    return 'other';
  }

  #count(fault: CertificateFault): void {
    this.#refused.set(fault, (this.#refused.get(fault) ?? 0) + 1);
  }

  #wallMs(): number {
    return this.#services.clock.wallMs();
  }
}

function after<T, U>(value: NowOrLater<T>, then: (value: T) => NowOrLater<U>): NowOrLater<U> {
  return value instanceof Promise ? value.then(then) : then(value);
}

// What authorities that are not ours say of their certificates: from their lists, else from their responders, and what holds when
// neither can be had.

import type { Log } from '../../../base/log.ts';
import type { MetricSource, Sample } from '../../../base/metrics.ts';
import type { NowOrLater } from '../../../registry/registry.ts';
import type { Audit } from '../../audit/audit.ts';
import type { CertificateFacts } from '../certificate-facts.ts';
import { ForeignAnswers } from './foreign-answers.ts';
import { ForeignLists, type ForeignServices } from './foreign-lists.ts';
import type { ForeignRevocation, RevocationTerms } from './handshake-admission.ts';

/** Addresses of each kind that are asked about one certificate. */
const maxUrls = 4;
/** What is told of an authority is told again after this time. */
const quietMs = 600_000;
const maxRemembered = 1000;

type Services = Omit<ForeignServices, 'told'> & { readonly log: Log; readonly audit: Audit };

export class ForeignCheck implements ForeignRevocation, MetricSource {
  readonly #services: Services;
  readonly #lists: ForeignLists;
  readonly #answers: ForeignAnswers;
  readonly #fetches = new Map<string, { readonly kind: string; readonly result: string; count: number }>();
  readonly #checks = { known: 0, asked: 0, soft: 0, hard: 0 };
  readonly #toldMs = new Map<string, number>();

  constructor(services: Services) {
    this.#services = services;
    const told = (kind: 'crl' | 'ocsp', url: string, fault: string | undefined): void => this.#fetched(kind, url, fault);
    this.#lists = new ForeignLists({ ...services, told });
    this.#answers = new ForeignAnswers({ ...services, told });
  }

  check(certificate: CertificateFacts, issuer: CertificateFacts, terms: RevocationTerms): NowOrLater<'good' | 'revoked' | 'undetermined'> {
    if (terms.revocationCheck === 'none') return 'good';
    const { certificateUrls } = this.#services.settings;
    const crlUrls = [...new Set([...terms.crlUrls, ...(certificateUrls ? certificate.crlUrls : [])])].slice(0, maxUrls);
    const ocspUrls = [...new Set([...terms.ocspUrls, ...(certificateUrls ? certificate.ocspUrls : [])])].slice(0, maxUrls);
    const { serial } = certificate;
    const known = worst(crlUrls.map((url) => this.#lists.known(url, issuer, certificate))) ?? this.#answers.known(issuer, serial);
    if (known !== undefined) {
      this.#checks.known++;
      return known;
    }
    if (crlUrls.length + ocspUrls.length === 0) return this.#undetermined(issuer, terms, 'no-address');
    return this.#ask(certificate, issuer, terms, crlUrls, ocspUrls);
  }

  /** Lists are renewed before they end. To be called every few seconds. */
  tick(): void {
    this.#lists.tick();
  }

  /** Resolves when no request is under way. */
  async idle(): Promise<void> {
    await Promise.all([this.#lists.idle(), this.#answers.idle()]);
  }

  *metrics(): Iterable<Sample> {
    const name = (what: string): string => `heliograph_pki_foreign_${what}`;
    for (const { kind, result, count } of this.#fetches.values()) {
      const help = 'Lists and answers of other authorities that were asked for, by result.';
      yield { name: name('fetches_total'), help, type: 'counter', labels: { kind, result }, value: count };
    }
    for (const [result, value] of Object.entries(this.#checks)) {
      const help =
        'Certificates of other authorities that were checked: known here, asked for, not to be found out (soft: let in, hard: kept out).';
      yield { name: name('checks_total'), help, type: 'counter', labels: { result }, value };
    }
    yield { name: name('lists'), help: 'Lists of other authorities that are kept.', type: 'gauge', value: this.#lists.lists };
    yield { name: name('list_entries'), help: 'Entries of these lists.', type: 'gauge', value: this.#lists.entries };
    yield { name: name('answers'), help: 'OCSP answers of other authorities that are kept.', type: 'gauge', value: this.#answers.answers };
    const end = this.#lists.earliestEndMs;
    if (end !== Infinity) {
      const help = 'When the first of the lists of other authorities ends, in seconds since the epoch.';
      yield { name: name('list_end_timestamp_seconds'), help, type: 'gauge', value: end / 1000 };
    }
  }

  async #ask(
    certificate: CertificateFacts,
    issuer: CertificateFacts,
    terms: RevocationTerms,
    crlUrls: readonly string[],
    ocspUrls: readonly string[],
  ): Promise<'good' | 'revoked' | 'undetermined'> {
    this.#checks.asked++;
    const lists = await Promise.all(crlUrls.map((url) => this.#lists.ask(url, issuer, certificate)));
    const fromLists = worst(lists);
    if (fromLists !== undefined) return fromLists;
    const answers = await Promise.all(ocspUrls.map((url) => this.#answers.ask(url, issuer, certificate.serial)));
    return worst(answers) ?? this.#undetermined(issuer, terms, 'unreachable');
  }

  #undetermined(issuer: CertificateFacts, { revocationCheck }: RevocationTerms, reason: string): 'good' | 'undetermined' {
    const isSoft = revocationCheck === 'soft';
    this.#checks[isSoft ? 'soft' : 'hard']++;
    if (this.#isNews(`${issuer.keyId} ${reason}`)) {
      const facts = { reason, policy: revocationCheck };
      this.#services.log.warn('pki.foreign.undetermined', { authority: issuer.keyId, ...facts });
      this.#services.audit.record({
        actor: { kind: 'node' },
        action: 'revocation.check',
        target: `authority/${issuer.keyId}`,
        from: '',
        outcome: 'failed',
        details: facts,
      });
    }
    return isSoft ? 'good' : 'undetermined';
  }

  #fetched(kind: 'crl' | 'ocsp', url: string, fault: string | undefined): void {
    // Words of ours and codes of the system; others in one, so that their number is bounded.
    const result = fault === undefined ? 'done' : /^[a-z-]+(-\d{3})?$|^E[A-Z_]{2,20}$/.test(fault) ? fault : 'failed';
    const key = `${kind} ${result}`;
    const found = this.#fetches.get(key);
    if (found !== undefined) found.count++;
    else if (this.#fetches.size < maxRemembered) this.#fetches.set(key, { kind, result, count: 1 });
    if (fault !== undefined && this.#isNews(`${url} ${fault}`))
      this.#services.log.warn('pki.foreign.fetch.failed', { kind, url, reason: fault });
  }

  #isNews(key: string): boolean {
    const nowMs = this.#services.clock.monotonicMs();
    if (nowMs < (this.#toldMs.get(key) ?? -Infinity)) return false;
    if (this.#toldMs.size >= maxRemembered) this.#toldMs.clear();
    this.#toldMs.set(key, nowMs + quietMs);
    return true;
  }
}

/** Revoked by one is revoked. */
function worst(found: readonly ('good' | 'revoked' | undefined)[]): 'good' | 'revoked' | undefined {
  return found.includes('revoked') ? 'revoked' : found.find((each) => each !== undefined);
}

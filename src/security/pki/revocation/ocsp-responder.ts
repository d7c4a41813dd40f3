// Answers whether certificates of the own authorities are revoked (RFC 6960, RFC 5019). The registry knows; the authority's own
// signer signs. Answers to questions without a nonce are kept and given again while nothing has changed.

import type { Clock } from '../../../base/clock.ts';
import type { Log } from '../../../base/log.ts';
import type { MetricSource, Sample } from '../../../base/metrics.ts';
import type { Change, Registry } from '../../../registry/registry.ts';
import { reasonNumbers } from './crl-format.ts';
import { ocspError, readOcspRequest, signOcspAnswer } from './ocsp-format.ts';
import type { CertificateId, CertificateStatus, OcspRequest, ocspErrors } from './ocsp-format.ts';
import type { OwnAuthorities, OwnAuthority } from './own-authorities.ts';

export type OcspSettings = {
  /** How long an answer is good. */
  readonly validityMs: number;
  /** Answers that are kept. */
  readonly cacheEntries: number;
  /** Answers being made at a time; more are told to come later. */
  readonly signing: number;
};

export type OcspServices = {
  readonly authorities: OwnAuthorities;
  readonly registry: Pick<Registry, 'certificateBySerial' | 'subscribe'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly settings: OcspSettings;
};

/** `producedMs`: of answers that others may keep, too. */
export type OcspReply = { readonly der: Buffer; readonly producedMs?: number; readonly nextUpdateMs?: number };

type Kept = { readonly reply: OcspReply; readonly nextUpdateMs: number; readonly fingerprint: string };
type Outcome = 'good' | 'revoked' | 'unknown' | keyof typeof ocspErrors;

export class OcspResponder implements MetricSource {
  readonly #services: OcspServices;
  /** In the order of use. */
  readonly #kept = new Map<string, Kept>();
  readonly #keysOf = new Map<string, Set<string>>();
  readonly #counts = new Map<Outcome, number>();
  readonly #stop: () => void;
  #signing = 0;
  #fromCache = 0;
  /** Moves with every change: an answer that was begun before one is not kept. */
  #changes = 0;
  #hasFailed = false;

  constructor(services: OcspServices) {
    this.#services = services;
    this.#stop = services.registry.subscribe((changes) => this.#note(changes));
  }

  /** Never rejects: what goes wrong is an answer, too. */
  async answer(question: Uint8Array): Promise<OcspReply> {
    const request = readOcspRequest(question);
    if (request === undefined) return this.#error('malformedRequest');
    const authority = this.#services.authorities.named(request.asked[0]!);
    // Not ours, or its key is elsewhere: nobody here can sign (RFC 6960 §2.3).
    if (authority === undefined || this.#services.authorities.signerOf(authority.view.id) === undefined) return this.#error('unauthorized');
    const key = request.nonce === undefined && request.asked.length === 1 ? keyOf(authority, request.asked[0]!) : undefined;
    const kept = key === undefined ? undefined : this.#find(key);
    if (kept !== undefined) return kept;
    if (this.#signing >= this.#services.settings.signing) return this.#error('tryLater');
    this.#signing++;
    try {
      return await this.#make(authority, request, key);
    } catch (error) {
      if (!this.#hasFailed) this.#services.log.error('pki.ocsp.failed', { authority: authority.view.id, error: (error as Error).message });
      this.#hasFailed = true;
      return this.#error('internalError');
    } finally {
      this.#signing--;
    }
  }

  close(): void {
    this.#stop();
  }

  *metrics(): Iterable<Sample> {
    for (const [outcome, value] of this.#counts) {
      const help = 'Certificates whose status was told, and questions that were not answered, by outcome.';
      yield { name: 'heliograph_pki_ocsp_answers_total', help, type: 'counter', labels: { outcome }, value };
    }
    const help = 'Answers that were given again.';
    yield { name: 'heliograph_pki_ocsp_cache_hits_total', help, type: 'counter', value: this.#fromCache };
    yield { name: 'heliograph_pki_ocsp_cache_entries', help: 'Answers that are kept.', type: 'gauge', value: this.#kept.size };
  }

  async #make(authority: OwnAuthority, { asked, nonce }: OcspRequest, key: string | undefined): Promise<OcspReply> {
    const { authorities, clock, registry, settings } = this.#services;
    const changes = this.#changes;
    const answers: { readonly id: Uint8Array; readonly status: CertificateStatus }[] = [];
    let fingerprint: string | undefined;
    for (const id of asked) {
      if (authorities.named(id) !== authority) {
        answers.push({ id: id.der, status: { kind: 'unknown' } });
        continue;
      }
      const found = await registry.certificateBySerial(authority.view.id, id.serial);
      if (!found.ok) return this.#error('tryLater');
      fingerprint = found.value?.id;
      answers.push({ id: id.der, status: statusOf(found.value) });
    }
    const producedMs = Math.floor(clock.wallMs() / 1000) * 1000;
    const nextUpdateMs = producedMs + settings.validityMs;
    const signer = authorities.signerOf(authority.view.id);
    if (signer === undefined) return this.#error('unauthorized');
    const der = await signOcspAnswer({ answers, producedMs, nextUpdateMs, nonce, issuer: authority.facts }, signer);
    this.#hasFailed = false;
    for (const { status } of answers) this.#count(status.kind);
    if (key === undefined) return { der };
    const reply = { der, producedMs, nextUpdateMs };
    // What is not registered may be at any moment, and there are very many numbers to ask for.
    if (fingerprint !== undefined && changes === this.#changes) this.#keep(key, { reply, nextUpdateMs, fingerprint });
    return reply;
  }

  #find(key: string): OcspReply | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    this.#drop(key, kept);
    // In its second half an answer is made anew, so that nobody is given one that is about to end.
    if (kept.nextUpdateMs - this.#services.clock.wallMs() < this.#services.settings.validityMs / 2) return undefined;
    this.#keep(key, kept);
    this.#fromCache++;
    return kept.reply;
  }

  #keep(key: string, kept: Kept): void {
    const { cacheEntries } = this.#services.settings;
    if (cacheEntries === 0) return;
    for (const [oldest, its] of this.#kept) {
      if (this.#kept.size < cacheEntries) break;
      this.#drop(oldest, its);
    }
    this.#kept.set(key, kept);
    const keys = this.#keysOf.get(kept.fingerprint);
    if (keys === undefined) this.#keysOf.set(kept.fingerprint, new Set([key]));
    else keys.add(key);
  }

  #drop(key: string, { fingerprint }: Kept): void {
    this.#kept.delete(key);
    const keys = this.#keysOf.get(fingerprint);
    keys?.delete(key);
    if (keys?.size === 0) this.#keysOf.delete(fingerprint);
  }

  #note(changes: readonly Change[]): void {
    for (const { kind, id, what } of changes) {
      if ((kind !== undefined && kind !== 'certificate') || what === 'created') continue;
      this.#changes++;
      if (id === undefined) {
        this.#kept.clear();
        this.#keysOf.clear();
        continue;
      }
      for (const key of this.#keysOf.get(id) ?? []) this.#kept.delete(key);
      this.#keysOf.delete(id);
    }
  }

  #error(status: keyof typeof ocspErrors): OcspReply {
    this.#count(status);
    return { der: ocspError(status) };
  }

  #count(outcome: Outcome): void {
    this.#counts.set(outcome, (this.#counts.get(outcome) ?? 0) + 1);
  }
}

/** The two digests make two answers. */
function keyOf({ view }: OwnAuthority, { digest, serial }: CertificateId): string {
  return `${view.id} ${digest} ${serial}`;
}

type Found = {
  readonly status: 'valid' | 'revoked';
  readonly revokedAtMs: number | undefined;
  readonly reason: keyof typeof reasonNumbers | undefined;
};

function statusOf(found: Found | undefined): CertificateStatus {
  if (found === undefined) return { kind: 'unknown' };
  if (found.status === 'valid') return { kind: 'good' };
  return { kind: 'revoked', atMs: found.revokedAtMs ?? 0, reason: reasonNumbers[found.reason ?? 'unspecified'] };
}

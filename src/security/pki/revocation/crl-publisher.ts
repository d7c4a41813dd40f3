// Issues the revocation lists of the own authorities: regularly, and as soon as somebody is revoked. With each full list comes its
// difference to an earlier regular one, for those who have that.
//
// Nothing here has a timer: `tick` is called twice a second or so.

import type { Clock } from '../../../base/clock.ts';
import type { Log } from '../../../base/log.ts';
import type { MetricSource, Sample } from '../../../base/metrics.ts';
import type { Entry } from '../../../registry/entries.ts';
import type { Change, Registry } from '../../../registry/registry.ts';
import type { Audit } from '../../audit/audit.ts';
import type { Signer } from '../pki.ts';
import { crlEntry, reasonNumbers, removeFromCrl, signCrl, type CrlFields } from './crl-format.ts';
import type { CrlMark, CrlNumbers } from './crl-numbers.ts';
import { publishedUrls, type OwnAuthorities, type OwnAuthority } from './own-authorities.ts';
import { SerialTable } from './serial-table.ts';

export type CrlSettings = {
  /** Between regular lists, and how long each is good: longer, so that there is always one. */
  readonly intervalMs: number;
  readonly validityMs: number;
  /** A list with more is not issued. */
  readonly maxEntries: number;
  /** Where the lists are found; undefined: a full list does not tell where its difference is. */
  readonly publicUrl: string | undefined;
};

export type CrlServices = {
  readonly authorities: OwnAuthorities;
  readonly registry: Pick<Registry, 'revoked' | 'certificate' | 'subscribe'>;
  readonly numbers: CrlNumbers;
  readonly clock: Clock;
  readonly log: Log;
  readonly audit: Audit;
  readonly settings: CrlSettings;
};

export type PublishedCrl = {
  readonly full: Buffer;
  readonly delta: Buffer;
  readonly number: number;
  readonly entries: number;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
};

type State = {
  published: PublishedCrl | undefined;
  /** The regular list that differences are to. */
  base: { readonly number: number; readonly revoked: SerialTable } | undefined;
  nextRegularMs: number;
  isDirty: boolean;
  issuing: Promise<void> | undefined;
  /** Not before, after a failure. */
  retryMs: number;
  hasFailed: boolean;
};

const pageSize = 1000;
const retryAfterMs = 10_000;
/** Changed certificates that are looked at one by one; more, and all lists are issued again. */
const maxChanged = 1000;

export class CrlPublisher implements MetricSource {
  readonly #services: CrlServices;
  readonly #states = new Map<string, State>();
  readonly #stop: () => void;
  #changed = new Set<string>();
  #anyChanged = false;
  #issued = 0;
  #failures = 0;

  constructor(services: CrlServices) {
    this.#services = services;
    this.#stop = services.registry.subscribe((changes) => this.#note(changes));
  }

  /** Undefined: there is none yet, or the authority's key is elsewhere. */
  of(authorityId: string): PublishedCrl | undefined {
    return this.#states.get(authorityId)?.published;
  }

  /** Every list there is, by authority. */
  *all(): Iterable<readonly [authorityId: string, crl: PublishedCrl]> {
    for (const [id, { published }] of this.#states) if (published !== undefined) yield [id, published];
  }

  /** Issues what is due. Resolves when everything under way is done. Never rejects. */
  async tick(): Promise<void> {
    await this.#markDirty();
    const nowMs = this.#services.clock.wallMs();
    const known = new Set<string>();
    for (const authority of this.#services.authorities.all) {
      const { id } = authority.view;
      known.add(id);
      const state = this.#state(id);
      const signer = this.#services.authorities.signerOf(id);
      const isRegular = nowMs >= state.nextRegularMs;
      if (signer === undefined || state.issuing !== undefined || nowMs < state.retryMs || !(isRegular || state.isDirty)) continue;
      state.isDirty = false;
      state.issuing = this.#issue(authority, signer, state, isRegular).finally(() => {
        state.issuing = undefined;
      });
    }
    for (const id of this.#states.keys()) if (!known.has(id)) this.#states.delete(id);
    await Promise.all([...this.#states.values()].flatMap(({ issuing }) => issuing ?? []));
  }

  async close(): Promise<void> {
    this.#stop();
    await Promise.all([...this.#states.values()].flatMap(({ issuing }) => issuing ?? []));
  }

  *metrics(): Iterable<Sample> {
    const name = (what: string): string => `heliograph_pki_crl_${what}`;
    yield { name: name('issued_total'), help: 'Revocation lists issued.', type: 'counter', value: this.#issued };
    yield { name: name('failures_total'), help: 'Revocation lists that could not be issued.', type: 'counter', value: this.#failures };
    for (const [id, { entries, full, nextUpdateMs }] of this.all()) {
      const labels = { authority: id.slice(0, 16) };
      yield { name: name('entries'), help: 'Revoked certificates on the list of an authority.', type: 'gauge', labels, value: entries };
      yield { name: name('bytes'), help: 'Size of the list of an authority.', type: 'gauge', labels, value: full.length };
      const help = 'When the list of an authority must have been issued again, in seconds since the epoch.';
      yield { name: name('next_update_timestamp_seconds'), help, type: 'gauge', labels, value: nextUpdateMs / 1000 };
    }
  }

  #state(id: string): State {
    let state = this.#states.get(id);
    if (state === undefined) {
      const nothing = { published: undefined, base: undefined, issuing: undefined };
      state = { ...nothing, nextRegularMs: -Infinity, isDirty: false, retryMs: -Infinity, hasFailed: false };
      this.#states.set(id, state);
    }
    return state;
  }

  #note(changes: readonly Change[]): void {
    for (const { kind, id } of changes) {
      if (kind !== undefined && kind !== 'certificate') continue;
      if (id === undefined || this.#changed.size >= maxChanged) this.#anyChanged = true;
      else this.#changed.add(id);
    }
  }

  /** A change does not say whose certificate it is about. */
  async #markDirty(): Promise<void> {
    const changed = this.#changed;
    const all = this.#anyChanged;
    this.#changed = new Set();
    this.#anyChanged = false;
    if (all) for (const state of this.#states.values()) state.isDirty = true;
    if (all) return;
    for (const fingerprint of changed) {
      const found = await this.#services.registry.certificate(fingerprint);
      if (!found.ok) this.#changed.add(fingerprint);
      else if (found.value !== undefined && this.#isNews(found.value)) this.#state(found.value.issuer).isDirty = true;
    }
  }

  /** Revoked, or not revoked any more. Most changes are new certificates. */
  #isNews({ issuer, serial, status }: Entry<'certificate'>): boolean {
    return status === 'revoked' || this.#states.get(issuer)?.base?.revoked.get(serial) !== undefined;
  }

  async #issue(authority: OwnAuthority, signer: Signer, state: State, isRegular: boolean): Promise<void> {
    const { clock, numbers, log, audit } = this.#services;
    const { id } = authority.view;
    try {
      const nowMs = clock.wallMs();
      const before = numbers.get(id);
      // Seconds would do if lists were rarer; the time keeps the numbers of several nodes apart, and ahead of lost ones.
      const number = Math.max((before?.number ?? 0) + 1, Math.floor(nowMs));
      const found = await this.#gather(id, state, before, nowMs);
      await numbers.set(id, { number, regularMs: isRegular ? nowMs : (before?.regularMs ?? nowMs) });
      state.published = await this.#sign(authority, signer, state, found, number, nowMs);
      if (isRegular) {
        state.base = { number, revoked: found.revoked };
        state.nextRegularMs = nowMs + this.#services.settings.intervalMs;
      }
      this.#issued++;
      state.retryMs = -Infinity;
      if (state.hasFailed) log.info('pki.crl.issued.again', { authority: id });
      state.hasFailed = false;
    } catch (error) {
      this.#failures++;
      state.isDirty = true;
      state.retryMs = clock.wallMs() + retryAfterMs;
      if (state.hasFailed) return;
      state.hasFailed = true;
      const reason = (error as Error).message;
      log.error('pki.crl.failed', { authority: id, error: reason });
      audit.record({ actor: { kind: 'node' }, action: 'crl.issue', target: `authority/${id}`, from: '', outcome: 'failed' });
    }
  }

  async #gather(id: string, state: State, before: CrlMark | undefined, nowMs: number) {
    const { registry, settings } = this.#services;
    const lastRegularMs = before?.regularMs ?? -Infinity;
    const revoked = new SerialTable(0, state.base?.revoked.size);
    const entries: Buffer[] = [];
    const news: Buffer[] = [];
    let after: string | undefined;
    do {
      const page = await registry.revoked(id, { limit: pageSize, after });
      if (!page.ok) throw new Error(page.error.message);
      const parts: Buffer[] = [];
      for (const { serial, notAfterMs, revokedAtMs = nowMs, reason = 'unspecified' } of page.value.entries) {
        // What has expired must have been on one regular list after that (RFC 5280 §3.3).
        if (notAfterMs < lastRegularMs && revokedAtMs < lastRegularMs) continue;
        const code = reasonNumbers[reason];
        const entry = crlEntry(serial, revokedAtMs, code);
        parts.push(entry);
        revoked.set(serial, code);
        if (state.base !== undefined && state.base.revoked.get(serial) !== code) news.push(entry);
      }
      entries.push(Buffer.concat(parts));
      if (revoked.size > settings.maxEntries) throw new Error(`more than ${settings.maxEntries} certificates are revoked`);
      after = page.value.next;
    } while (after !== undefined);
    for (const [serial] of state.base?.revoked ?? []) {
      if (revoked.get(serial) === undefined) news.push(crlEntry(serial, nowMs, removeFromCrl));
    }
    return { revoked, entries, news };
  }

  async #sign(
    { view, facts, keyId }: OwnAuthority,
    signer: Signer,
    state: State,
    found: { readonly revoked: SerialTable; readonly entries: Buffer[]; readonly news: Buffer[] },
    number: number,
    nowMs: number,
  ): Promise<PublishedCrl> {
    const { validityMs, publicUrl } = this.#services.settings;
    const thisUpdateMs = Math.floor(nowMs / 1000) * 1000;
    const nextUpdateMs = thisUpdateMs + validityMs;
    const fields: CrlFields = {
      issuerName: facts.subjectName,
      authorityKeyId: keyId,
      thisUpdateMs,
      nextUpdateMs,
      number,
      baseNumber: undefined,
      freshestUrl: publicUrl === undefined ? undefined : publishedUrls(publicUrl, view.id).delta,
      entries: found.entries,
    };
    const full = await signCrl(fields, signer);
    const delta = await signCrl({ ...fields, baseNumber: state.base?.number ?? number, entries: found.news }, signer);
    return { full, delta, number, entries: found.revoked.size, thisUpdateMs, nextUpdateMs };
  }
}

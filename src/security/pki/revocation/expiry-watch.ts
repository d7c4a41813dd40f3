// Warns before something ends: certificates of peers, of servers, of authorities, and revocation lists. Nothing here has a timer:
// `look` is called every few minutes.

import type { Clock } from '../../../base/clock.ts';
import type { Log } from '../../../base/log.ts';
import type { MetricSource, Sample } from '../../../base/metrics.ts';
import type { Registry } from '../../../registry/registry.ts';

const dayMs = 86_400_000;

export type EndingKind = 'server' | 'authority' | 'crl';

/** Something that ends, and is only one or a few on a node. */
export type Ending = {
  readonly kind: EndingKind;
  /** For people; also the last level of a topic: without `/`, `+` and `#`. */
  readonly name: string;
  readonly endMs: number;
  /** So long before that it is warned of. */
  readonly warnMs: number;
};

/** A certificate of a peer. */
export type EndingPeer = { readonly tenant: string; readonly owner: string; readonly fingerprint: string; readonly endMs: number };

export type ExpiryReport = {
  /** When it was made; undefined: not yet. */
  readonly atMs: number | undefined;
  /** Certificates of peers that end within so many days; `isMore`: there are more than were counted. */
  readonly peers: readonly { readonly days: number; readonly count: number }[];
  readonly isMore: boolean;
  /** Those that end first. */
  readonly first: readonly EndingPeer[];
  readonly endings: readonly Ending[];
};

export type ExpiryServices = {
  readonly registry: Pick<Registry, 'expiring'>;
  /** What there is now. */
  readonly endings: () => readonly Ending[];
  readonly clock: Clock;
  readonly log: Log;
};

const dayLimits = [1, 7, 30] as const;
/** Certificates of peers that are counted in one look, and shown. */
const maxCounted = 100_000;
const maxShown = 20;
const pageSize = 1000;

export class ExpiryWatch implements MetricSource {
  readonly #services: ExpiryServices;
  /** When each was warned of. */
  readonly #warnedMs = new Map<string, number>();
  #report: ExpiryReport = { atMs: undefined, peers: dayLimits.map((days) => ({ days, count: 0 })), isMore: false, first: [], endings: [] };

  constructor(services: ExpiryServices) {
    this.#services = services;
  }

  get report(): ExpiryReport {
    return this.#report;
  }

  /** Looks, counts, and warns of each thing once a day. Never rejects. */
  async look(): Promise<void> {
    const { clock, endings } = this.#services;
    const atMs = clock.wallMs();
    const found = endings();
    const peers = await this.#peers(atMs);
    this.#report = { ...(peers ?? this.#report), atMs, endings: found };
    this.#warn(atMs);
  }

  /** For `$SYS/broker/`: topics below it, with their values. */
  topics(): [topic: string, value: string][] {
    const { peers, first, endings } = this.#report;
    const topics = peers.map(({ days, count }): [string, string] => [`certificates/peers/${days}-days`, String(count)]);
    if (first.length > 0) topics.push(['certificates/peers/first', isoOf(first[0]!.endMs)]);
    for (const { kind, name, endMs } of endings) topics.push([`certificates/${kind}/${name}`, isoOf(endMs)]);
    return topics;
  }

  *metrics(): Iterable<Sample> {
    const { peers, first, endings } = this.#report;
    for (const { days, count } of peers) {
      const help = 'Valid certificates of peers that end within so many days, counted up to 100,000.';
      yield { name: 'heliograph_pki_peer_certificates_ending', help, type: 'gauge', labels: { days: String(days) }, value: count };
    }
    const help = 'When the first valid certificate of a peer ends, in seconds since the epoch.';
    if (first.length > 0)
      yield { name: 'heliograph_pki_peer_certificates_first_end_timestamp_seconds', help, type: 'gauge', value: first[0]!.endMs / 1000 };
    for (const { kind, name, endMs } of endings) {
      const text = 'When a server’s certificate, an authority or a revocation list ends, in seconds since the epoch.';
      yield { name: 'heliograph_pki_end_timestamp_seconds', help: text, type: 'gauge', labels: { kind, name }, value: endMs / 1000 };
    }
  }

  async #peers(nowMs: number): Promise<Pick<ExpiryReport, 'peers' | 'isMore' | 'first'> | undefined> {
    const counts = dayLimits.map(() => 0);
    const first: EndingPeer[] = [];
    let counted = 0;
    let after: string | undefined;
    do {
      const page = await this.#services.registry.expiring(nowMs, nowMs + dayLimits.at(-1)! * dayMs, { limit: pageSize, after });
      if (!page.ok) {
        this.#services.log.warn('pki.expiry.unknown', { error: page.error.message });
        return undefined;
      }
      for (const { owner, tenant, id, notAfterMs } of page.value.entries) {
        // An authority's or a server's: those are among the endings.
        if (owner === undefined) continue;
        counted++;
        for (const [i, days] of dayLimits.entries()) if (notAfterMs < nowMs + days * dayMs) counts[i]!++;
        if (first.length < maxShown) first.push({ tenant, owner: `${owner.kind}/${owner.id}`, fingerprint: id, endMs: notAfterMs });
      }
      after = page.value.next;
    } while (after !== undefined && counted < maxCounted);
    return { peers: dayLimits.map((days, i) => ({ days, count: counts[i]! })), isMore: after !== undefined, first };
  }

  #warn(nowMs: number): void {
    const { log } = this.#services;
    const { endings, peers } = this.#report;
    const known = new Set<string>();
    for (const { kind, name, endMs, warnMs } of endings) {
      const key = `${kind} ${name}`;
      known.add(key);
      if (endMs - nowMs > warnMs || !this.#isDue(key, nowMs)) continue;
      const days = Math.floor((endMs - nowMs) / dayMs);
      log.warn(endMs <= nowMs ? 'pki.ended' : 'pki.ends.soon', { kind, name, end: isoOf(endMs), days });
    }
    // There may be very many, and most are renewed in their last days: one line tells of those that were not.
    const count = peers[0]!.count;
    known.add('peers');
    if (count > 0 && this.#isDue('peers', nowMs)) log.warn('pki.peers.end.soon', { certificates: count, days: peers[0]!.days });
    for (const key of this.#warnedMs.keys()) if (!known.has(key)) this.#warnedMs.delete(key);
  }

  #isDue(key: string, nowMs: number): boolean {
    if (nowMs - (this.#warnedMs.get(key) ?? -Infinity) < dayMs) return false;
    this.#warnedMs.set(key, nowMs);
    return true;
  }
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString();
}

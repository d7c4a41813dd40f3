// Sees to it that what changes in the registry, in the policies or among the authorities holds for who is connected already, and
// not only from the next connect on. What has changed is gathered for a moment, and then only those are looked at whom it
// concerns.
//
// Who was about to connect in that moment may have been let in by what was true before: they are looked at once more after a while.

import type { Clock } from '../base/clock.ts';
import { Histogram, type MetricSource, type Sample } from '../base/metrics.ts';
import type { Concerned, Reassess, ReviewResult } from '../broker/review.ts';
import { systemScope } from '../registry/entries.ts';
import type { Change, LookUps } from '../registry/registry.ts';
import type { Audit } from '../security/audit/audit.ts';
import type { Principal, Reassessment } from '../security/security.ts';

export type LiveCutServices = {
  readonly clock: Clock;
  readonly audit: Audit;
  readonly registry: Pick<LookUps, 'get' | 'principal'>;
  /** Of Security: moves when decisions made earlier may no longer hold. */
  readonly version: () => number;
  readonly reassess: Reassess;
  /** Broker.review. */
  readonly review: (concerned: Concerned, reassess: Reassess, done: (result: ReviewResult) => void) => void;
  /** Broker.endSessionsOf: a principal has been removed. Returns how many there were. */
  readonly endSessions: (tenant: string, principal: string) => number;
};

/** Why a review was begun. */
const reasons = ['registry', 'policy', 'authority', 'latecomers', 'periodic'] as const;
type Reason = (typeof reasons)[number];

/** How long somebody may take from being asked about to being connected. */
const latecomersMs = 3000;

type Removed = { readonly tenant: string; readonly id: string };

/** What has changed since the last review was begun. */
class Pending {
  everybody: Reason | undefined = undefined;
  readonly sinceMs: number;
  /** Tenants of whose principals any may be concerned. */
  readonly tenants = new Set<string>();
  readonly principals = new Map<string, Set<string>>();
  readonly fingerprints = new Set<string>();
  /** Tenants where credentials are gone of which nobody knows any more whose they were. */
  readonly credentials = new Set<string>();
  readonly removed: Removed[] = [];

  constructor(sinceMs: number) {
    this.sinceMs = sinceMs;
  }

  principal(tenant: string, id: string): void {
    const ids = this.principals.get(tenant);
    if (ids === undefined) this.principals.set(tenant, new Set([id]));
    else ids.add(id);
  }

  concerned(): Concerned[] {
    if (this.everybody !== undefined) return [{}];
    const { tenants, fingerprints, credentials } = this;
    const list: Concerned[] = [...tenants].map((tenant) => ({ tenant }));
    for (const [tenant, ids] of this.principals) if (!tenants.has(tenant)) list.push({ tenant, principals: [...ids] });
    for (const tenant of credentials) {
      if (!tenants.has(tenant)) list.push({ tenant, where: ({ access }) => access?.method !== 'certificate' });
    }
    if (fingerprints.size > 0) list.push({ where: (principal) => isCertifiedBy(principal, fingerprints) });
    return list;
  }
}

function isCertifiedBy({ access }: Principal, fingerprints: ReadonlySet<string>): boolean {
  const certificate = access?.certificate;
  return (
    certificate !== undefined &&
    (fingerprints.has(certificate.fingerprint) || certificate.issuers?.some((each) => fingerprints.has(each)) === true)
  );
}

type Latecomers = { readonly dueMs: number; readonly sinceWallMs: number; readonly concerned: readonly Concerned[] };

export class LiveCut implements MetricSource {
  readonly #services: LiveCutServices;
  #pending: Pending | undefined = undefined;
  #latecomers: Latecomers[] = [];
  #version: number;
  #lastFullMs: number;
  #running = false;
  readonly #counts: Record<Reason, number> = { registry: 0, policy: 0, authority: 0, latecomers: 0, periodic: 0 };
  #looked = 0;
  #cut = 0;
  #subscriptions = 0;
  readonly #seconds = new Histogram([0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5]);

  constructor(services: LiveCutServices) {
    this.#services = services;
    this.#version = services.version();
    this.#lastFullMs = services.clock.monotonicMs();
  }

  get #soon(): Pending {
    return (this.#pending ??= new Pending(this.#services.clock.monotonicMs()));
  }

  /** The registry's change feed. */
  changed(changes: readonly Change[]): void {
    for (const change of changes) this.#note(change);
  }

  /** Whom the node trusts to certify peers has changed. */
  authoritiesChanged(): void {
    this.#soon.everybody ??= 'authority';
  }

  #note({ kind, tenant, id, what }: Change): void {
    if (kind === 'enrolment' || kind === 'approval') return;
    const pending = this.#soon;
    if (kind === undefined || (tenant === undefined && kind !== 'certificate')) {
      pending.everybody ??= 'registry';
      return;
    }
    switch (kind) {
      case 'tenant':
        if (id === undefined) pending.everybody ??= 'registry';
        else pending.tenants.add(id);
        return;
      case 'authority':
        pending.everybody ??= 'authority';
        return;
      case 'certificate':
        // In a foreign tenant's place there is nothing to find: a fingerprint is unique over all tenants.
        if (id === undefined) pending.everybody ??= 'registry';
        else pending.fingerprints.add(id);
        return;
      case 'credential':
        if (id !== undefined) return this.#credential(tenant!, id, what);
        break;
      case 'device':
      case 'application':
      case 'user':
        if (id === undefined) break;
        if (what === 'removed') pending.removed.push({ tenant: tenant!, id });
        return pending.principal(tenant!, id);
      case 'role':
      case 'policy':
        break;
    }
    if (tenant === systemScope) pending.everybody ??= 'registry';
    else pending.tenants.add(tenant!);
  }

  /** A new credential keeps nobody out. Whose an old one is, its entry says, if there still is one. */
  #credential(tenant: string, id: string, what: Change['what']): void {
    if (what === 'created') return;
    const found = this.#services.registry.get('credential', tenant, id);
    const owned = (answer: Awaited<typeof found>): void => {
      if (answer.ok && answer.value !== undefined) this.#soon.principal(tenant, answer.value.owner.id);
      else this.#soon.credentials.add(tenant);
    };
    if (found instanceof Promise) void found.then(owned, () => this.#soon.credentials.add(tenant));
    else owned(found);
  }

  /** To be called many times a second. `everyMs`: everybody is looked at this often, whatever has changed; 0: never. */
  tick(everyMs: number): void {
    const { clock, version } = this.#services;
    const nowMs = clock.monotonicMs();
    if (version() !== this.#version) {
      this.#version = version();
      this.#soon.everybody ??= 'policy';
    }
    if (everyMs > 0 && nowMs - this.#lastFullMs >= everyMs) this.#soon.everybody ??= 'periodic';
    if (this.#running) return;
    const pending = this.#pending;
    if (pending !== undefined) {
      this.#pending = undefined;
      const reason = pending.everybody ?? 'registry';
      if (pending.everybody !== undefined) this.#lastFullMs = nowMs;
      const concerned = pending.concerned();
      if (reason !== 'periodic') {
        this.#latecomers.push({ dueMs: nowMs + latecomersMs, sinceWallMs: clock.wallMs() - latecomersMs, concerned });
      }
      this.#begin(reason, concerned, pending.sinceMs, pending.removed);
      return;
    }
    if (this.#latecomers.length === 0 || this.#latecomers[0]!.dueMs > nowMs) return;
    const { sinceWallMs, concerned } = this.#latecomers.shift()!;
    this.#begin(
      'latecomers',
      concerned.map((each) => ({ ...each, attachedSinceMs: sinceWallMs })),
      nowMs,
    );
  }

  #begin(reason: Reason, concerned: readonly Concerned[], sinceMs: number, removed: readonly Removed[] = []): void {
    this.#running = true;
    this.#counts[reason]++;
    const { clock, audit } = this.#services;
    let sum: ReviewResult = { sessions: 0, cut: 0, subscriptions: 0 };
    const rest = concerned.values();
    const next = (): void => {
      const { value, done } = rest.next();
      if (done !== true) return this.#services.review(value, this.#reassess, finished);
      this.#running = false;
      for (const each of removed) this.#forget(each);
      this.#looked += sum.sessions;
      this.#cut += sum.cut;
      this.#subscriptions += sum.subscriptions;
      if (reason !== 'periodic' && reason !== 'latecomers') this.#seconds.observe((clock.monotonicMs() - sinceMs) / 1000);
      if (sum.subscriptions === 0) return;
      const details = { reason, sessions: sum.sessions, subscriptions: sum.subscriptions };
      audit.record({ actor: { kind: 'node' }, action: 'session.subscriptions.revoke', target: '', from: '', outcome: 'done', details });
    };
    const finished = (result: ReviewResult): void => {
      sum = {
        sessions: sum.sessions + result.sessions,
        cut: sum.cut + result.cut,
        subscriptions: sum.subscriptions + result.subscriptions,
      };
      next();
    };
    next();
  }

  /** Who may stay all the same (the registry is not all there is) is connected, and keeps its session. */
  #forget({ tenant, id }: Removed): void {
    const { registry, endSessions, audit } = this.#services;
    const asked = registry.principal(tenant, id);
    const judge = (found: Awaited<typeof asked>): void => {
      if (!found.ok || found.value !== undefined) return;
      const sessions = endSessions(tenant, id);
      if (sessions === 0) return;
      const target = `principal/${tenant}/${id}`;
      audit.record({ actor: { kind: 'node' }, action: 'session.end', target, from: '', outcome: 'done', details: { sessions } });
    };
    if (asked instanceof Promise) void asked.then(judge, () => {});
    else judge(asked);
  }

  readonly #reassess: Reassess = (principal, answer) => {
    this.#services.reassess(principal, (result: Reassessment) => {
      if (result.standing === 'barred') this.#recordCut(principal);
      answer(result);
    });
  };

  #recordCut({ tenant, id, kind, access }: Principal): void {
    this.#services.audit.record({
      actor: { kind: 'node' },
      action: 'session.cut',
      target: `${kind}/${tenant}/${id}`,
      from: access?.remoteAddress ?? '',
      outcome: 'done',
      ...(access !== undefined && { details: { listener: access.listener, method: access.method } }),
    });
  }

  *metrics(): Iterable<Sample> {
    const counter = (name: string, help: string, value: number, labels: Record<string, string> = {}): Sample => ({
      name: `heliograph_live_cut_${name}`,
      help,
      type: 'counter',
      labels,
      value,
    });
    for (const reason of reasons) yield counter('reviews_total', 'Looks at connected sessions, by why.', this.#counts[reason], { reason });
    yield counter('sessions_reviewed_total', 'Connected sessions looked at.', this.#looked);
    yield counter('sessions_cut_total', 'Connections ended because their principals may not stay.', this.#cut);
    yield counter('subscriptions_revoked_total', 'Subscriptions taken from connected sessions.', this.#subscriptions);
    const help = 'From a change to the end of the review it caused.';
    yield { name: 'heliograph_live_cut_seconds', help, type: 'histogram', value: this.#seconds };
  }
}

// What the audit log is told of connects. Failures always, but those of one address in a minute as one entry with a count, and
// no more than so many a second in all: a flood of wrong passwords must not be able to fill the disk or bury what matters.
// Successes by choice, because a fleet that reconnects is a flood as well.

import type { Clock } from '../../base/clock.ts';
import type { MetricSource, Sample } from '../../base/metrics.ts';
import type { Audit } from '../audit/audit.ts';
import { addressKey } from '../../base/address-key.ts';
import type { Credentials, Method, Principal } from '../security.ts';

/** Which successes are told: none, those of people and of who may manage the node, all. */
export const loginAuditLevels = ['none', 'management', 'all'] as const;
export type LoginAuditLevel = (typeof loginAuditLevels)[number];

export const managementRoles: readonly string[] = ['viewer', 'operator', 'security-officer', 'admin'];

const windowMs = 60_000;
/** Addresses whose failures are being counted; beyond it, those of others are counted together. */
const maxAddresses = 1024;
/** Entries that failures may make: at once, and then a second. */
const burst = 100;
const perSecond = 5;

type Window = { readonly from: string; readonly listener: string; readonly sinceMs: number; reason: string; unwritten: number };
export type Failure = { readonly method: Method | 'none'; readonly reason: string; readonly account?: string | undefined };

export class LoginAudit implements MetricSource {
  readonly #audit: Audit;
  readonly #clock: Clock;
  readonly #level: () => LoginAuditLevel;
  /** In the order in which they began. */
  readonly #windows = new Map<string, Window>();
  /** Failures that found no place: told together. */
  #others = 0;
  #tokens = burst;
  #tokensAtMs: number;
  #coalesced = 0;

  constructor(audit: Audit, clock: Clock, level: () => LoginAuditLevel) {
    this.#audit = audit;
    this.#clock = clock;
    this.#level = level;
    this.#tokensAtMs = clock.monotonicMs();
  }

  succeeded(principal: Principal, credentials: Credentials): void {
    this.flush();
    const level = this.#level();
    if (level === 'none' || (level === 'management' && !isManagement(principal))) return;
    const { tenant, id, access } = principal;
    const method = access?.method;
    this.#audit.record({
      actor: { kind: 'principal', tenant, id, ...(method !== undefined && { method }) },
      action: 'authentication.succeed',
      target: targetOf(credentials.listener),
      from: credentials.remoteAddress,
      outcome: 'done',
      details: { kind: principal.kind },
    });
  }

  failed({ method, reason, account }: Failure, { remoteAddress, listener }: Pick<Credentials, 'remoteAddress' | 'listener'>): void {
    this.flush();
    const key = addressKey(remoteAddress);
    const window = this.#windows.get(key);
    if (window !== undefined) {
      window.unwritten++;
      window.reason = reason;
      this.#coalesced++;
      return;
    }
    if (this.#windows.size >= maxAddresses || !this.#take()) {
      this.#others++;
      this.#coalesced++;
      return;
    }
    this.#windows.set(key, { from: remoteAddress, listener, sinceMs: this.#clock.monotonicMs(), reason, unwritten: 0 });
    this.#audit.record({
      actor: { kind: 'stranger', ...(account !== undefined && { claimed: account }) },
      action: 'authentication.fail',
      target: targetOf(listener),
      from: remoteAddress,
      outcome: 'refused',
      details: { method, reason },
    });
  }

  /** Bans are rare: each ends a series of failures. */
  banned(what: 'account' | 'address', address: string, account: string | undefined): void {
    this.#audit.record({
      actor: { kind: 'stranger', ...(account !== undefined && { claimed: account }) },
      action: 'authentication.ban',
      target: account === undefined ? '' : `account/${account}`,
      from: address,
      outcome: 'refused',
      details: { what },
    });
  }

  /** Tells of what was only counted in minutes that are over; `all`: of the others too, at the end. */
  flush(all = false): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [key, window] of this.#windows) {
      if (!all && nowMs - window.sinceMs < windowMs) break;
      this.#windows.delete(key);
      if (window.unwritten > 0) this.#repeated(window.from, window.listener, window.reason, window.unwritten);
    }
    if (this.#others === 0 || !(all || this.#take())) return;
    this.#repeated('', '', 'several', this.#others);
    this.#others = 0;
  }

  #repeated(from: string, listener: string, reason: string, count: number): void {
    this.#audit.record({
      actor: { kind: 'stranger' },
      action: 'authentication.fail',
      target: listener === '' ? '' : targetOf(listener),
      from,
      outcome: 'refused',
      details: { reason, repeated: count },
    });
  }

  #take(): boolean {
    const nowMs = this.#clock.monotonicMs();
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#tokensAtMs) / 1000) * perSecond);
    this.#tokensAtMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  *metrics(): Iterable<Sample> {
    yield {
      name: 'heliograph_security_coalesced_failures_total',
      help: 'Failures to authenticate that share an entry of the audit log with others.',
      type: 'counter',
      value: this.#coalesced,
    };
  }
}

function isManagement({ kind, roles }: Principal): boolean {
  return kind === 'user' || roles.some((role) => managementRoles.includes(role));
}

function targetOf(listener: string): string {
  return `listener/${listener}`;
}

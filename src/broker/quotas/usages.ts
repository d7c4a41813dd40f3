// The books of quotas of one tenant: its own, and those of its principals that have quotas.

import type { Principal } from '../../security/security.ts';
import type { ClientSession } from '../sessions/client-session.ts';
import type { PrincipalIndex } from '../sessions/principal-index.ts';
import type { Quotas, QuotaSource } from './quotas.ts';
import { Usage } from './usage.ts';

/** Principals without sessions whose rates are remembered. */
const maxResting = 10_000;

export class Usages {
  readonly tenant = new Usage(undefined);
  readonly #source: QuotaSource;
  readonly #name: string;
  readonly #sessions: PrincipalIndex;
  readonly #principals = new Map<string, Usage>();
  /** Of principals without sessions that have used up some of their rates: by connecting again nobody gets more. The oldest first. */
  readonly #resting = new Map<string, Usage>();

  constructor(source: QuotaSource, tenant: string, sessions: PrincipalIndex) {
    this.#source = source;
    this.#name = tenant;
    this.#sessions = sessions;
    this.tenant.quotas = source.ofTenant(tenant);
  }

  /** Principals with books of their own. */
  get principals(): number {
    return this.#principals.size;
  }

  /** The books for one who is about to connect, by what is known of it now. */
  of(principal: Principal): Usage {
    const quotas = this.#source.ofPrincipal(principal);
    const known = this.#principals.get(principal.id);
    if (isEmpty(quotas)) {
      if (known !== undefined) this.#move(principal.id, this.tenant);
      return this.tenant;
    }
    const usage = known ?? this.#resting.get(principal.id) ?? new Usage(this.tenant);
    this.#resting.delete(principal.id);
    usage.quotas = quotas;
    if (known === undefined) {
      this.#principals.set(principal.id, usage);
      this.#move(principal.id, usage);
    }
    return usage;
  }

  /** What is there already, of all sessions of a principal, counts in other books from now on. */
  #move(id: string, to: Usage): void {
    if (to === this.tenant) this.#principals.delete(id);
    for (const session of this.#sessions.of(id)) moveSession(session, to);
  }

  sessionEnded(id: string, nowMs: number): void {
    const usage = this.#principals.get(id);
    if (usage === undefined || this.#sessions.has(id)) return;
    this.#principals.delete(id);
    if (usage.isSpent(nowMs)) this.#resting.set(id, usage);
    for (const [each, resting] of this.#resting) {
      if (this.#resting.size <= maxResting && resting.isSpent(nowMs)) break;
      this.#resting.delete(each);
    }
  }

  /** Quotas have changed. */
  refresh(): void {
    this.tenant.quotas = this.#source.ofTenant(this.#name);
    for (const session of this.#sessions.all()) if (session.attachment !== undefined) this.of(session.principal);
    for (const usage of this.#principals.values()) usage.quotas = { ...usage.quotas };
  }
}

function moveSession(session: ClientSession, to: Usage): void {
  const { inbox } = session;
  const from = inbox.usage;
  if (from === to) return;
  const connections = session.attachment === undefined || session.isPart ? 0 : 1;
  const subscriptions = session.subscriptions.size;
  if (from?.parent !== undefined) from.moved(-connections, -subscriptions);
  if (to.parent !== undefined) to.moved(connections, subscriptions);
  inbox.countIn(to);
}

function isEmpty(quotas: Quotas): boolean {
  for (const key in quotas) if (quotas[key as keyof Quotas] !== undefined) return false;
  return true;
}

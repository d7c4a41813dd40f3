// The books of quotas of one tenant: its own, and those of its principals that have quotas.

import type { Principal } from '../security/security.ts';
import type { ClientSession } from './client-session.ts';
import type { PrincipalIndex } from './principal-index.ts';
import type { Quotas, QuotaSource } from './quotas.ts';
import { Usage } from './usage.ts';

export class Usages {
  readonly tenant = new Usage(undefined);
  readonly #source: QuotaSource;
  readonly #name: string;
  readonly #sessions: PrincipalIndex;
  readonly #principals = new Map<string, Usage>();

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
    const usage = known ?? new Usage(this.tenant);
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

  sessionEnded(id: string): void {
    if (this.#principals.size > 0 && !this.#sessions.has(id)) this.#principals.delete(id);
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
  const connections = session.attachment === undefined ? 0 : 1;
  const subscriptions = session.subscriptions.size;
  if (from?.parent !== undefined) from.moved(-connections, -subscriptions);
  if (to.parent !== undefined) to.moved(connections, subscriptions);
  inbox.countIn(to);
}

function isEmpty(quotas: Quotas): boolean {
  for (const key in quotas) if (quotas[key as keyof Quotas] !== undefined) return false;
  return true;
}

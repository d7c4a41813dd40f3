// The quotas of tenants and roles as the registry has them, at hand for the broker, which asks at every connect.

import { noQuotas } from '../broker/quotas/quotas.ts';
import type { Quotas, QuotaSource } from '../broker/quotas/quotas.ts';
import { quotaNames, systemScope } from '../registry/entries.ts';
import type { Entry, Kind } from '../registry/entries.ts';
import { maxPage } from '../registry/registry.ts';
import type { Change, Registry, RegistryError } from '../registry/registry.ts';
import type { Principal } from '../security/security.ts';

type OfTenant = {
  readonly tenant: Quotas;
  readonly principal: Quotas;
  /** Roles that have any. */
  readonly roles: ReadonlyMap<string, Quotas>;
};

export class RegistryQuotas implements QuotaSource {
  readonly #registry: Pick<Registry, 'list'>;
  readonly #onChange: () => void;
  readonly #onFault: (error: RegistryError) => void;
  #tenants: ReadonlyMap<string, OfTenant> = new Map();
  #described = '';
  #loading: Promise<void> | undefined = undefined;
  #isStale = false;

  /** `onChange`: others hold from now on. `onFault`: what was known last holds on. */
  constructor(registry: Pick<Registry, 'list'>, onChange: () => void, onFault: (error: RegistryError) => void) {
    this.#registry = registry;
    this.#onChange = onChange;
    this.#onFault = onFault;
  }

  ofTenant(tenant: string): Quotas {
    return this.#tenants.get(tenant)?.tenant ?? noQuotas;
  }

  ofPrincipal({ tenant, roles }: Principal): Quotas {
    const known = this.#tenants.get(tenant);
    if (known === undefined) return noQuotas;
    let quotas = known.principal;
    if (known.roles.size === 0) return quotas;
    const byRole = roles.map((role) => known.roles.get(role)).filter((each) => each !== undefined);
    if (byRole.length > 0) quotas = { ...quotas, ...largest(byRole) };
    return quotas;
  }

  /** The registry's change feed. */
  changed(changes: readonly Change[]): void {
    if (changes.some(({ kind }) => kind === undefined || kind === 'tenant' || kind === 'role')) void this.load();
  }

  /** Reads all of them. Whoever asks while that is under way waits for the next time. */
  load(): Promise<void> {
    if (this.#loading !== undefined) {
      this.#isStale = true;
      return this.#loading;
    }
    this.#loading = this.#loadUntilFresh().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  async #loadUntilFresh(): Promise<void> {
    do {
      this.#isStale = false;
      const tenants = await this.#read();
      if (tenants === undefined) return;
      const described = JSON.stringify([...tenants], (_key, value: unknown) => (value instanceof Map ? [...value] : value));
      if (described === this.#described) continue;
      this.#described = described;
      this.#tenants = tenants;
      this.#onChange();
    } while (this.#isStale);
  }

  async #read(): Promise<ReadonlyMap<string, OfTenant> | undefined> {
    const found = new Map<string, OfTenant>();
    const tenants = await this.#all('tenant', systemScope);
    if (tenants === undefined) return undefined;
    for (const { id, quotas, principalQuotas } of tenants) {
      const entries = await this.#all('role', id);
      if (entries === undefined) return undefined;
      const roles = new Map(entries.filter((role) => isAny(role.quotas)).map((role) => [role.id, role.quotas]));
      if (roles.size > 0 || isAny(quotas) || isAny(principalQuotas)) found.set(id, { tenant: quotas, principal: principalQuotas, roles });
    }
    return found;
  }

  async #all<K extends Kind>(kind: K, tenant: string): Promise<readonly Entry<K>[] | undefined> {
    const entries: Entry<K>[] = [];
    let after: string | undefined;
    do {
      const page = await this.#registry.list(kind, tenant, { limit: maxPage, after });
      if (!page.ok) {
        // The node goes down with its registry; there is nobody to tell.
        this.#onFault(page.error);
        return undefined;
      }
      entries.push(...page.value.entries);
      after = page.value.next;
    } while (after !== undefined);
    return entries;
  }
}

function isAny(quotas: Quotas): boolean {
  return quotaNames.some((name) => quotas[name] !== undefined);
}

/** Quota by quota the largest. */
function largest(each: readonly Quotas[]): Quotas {
  const most: { -readonly [Name in keyof Quotas]: Quotas[Name] } = {};
  for (const quotas of each) {
    for (const name of quotaNames) {
      const one = quotas[name];
      if (one !== undefined && one > (most[name] ?? -1)) most[name] = one;
    }
  }
  return most;
}

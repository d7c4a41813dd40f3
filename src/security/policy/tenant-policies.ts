// The roles and policies of each tenant as the registry has them, held ready: a decision cannot wait for a server. A tenant is
// read when it is first asked for, as a whole, and again when the registry tells of a change.
//
// A tenant that could not be read has no snapshot, and without one nothing is allowed: what would be denied is not known. A
// policy that is broken grants nothing; where it may have denied something, it denies messages altogether. It is counted, told in the
// log, and named by `explain`.

import type { Log } from '../../base/log.ts';
import type { Entry } from '../../registry/entries.ts';
import { systemScope } from '../../registry/entries.ts';
import type { Change, NowOrLater, Registry, RegistryError, Result } from '../../registry/registry.ts';
import type { Principal } from '../security.ts';
import { policyLimits, readPolicy } from './policy-document.ts';
import type { Fault } from './policy-document.ts';
import { compileDocument, windowsOf } from './statement.ts';
import type { CompiledStatement } from './statement.ts';
import { readStrictJson } from './strict-json.ts';
import type { TimeWindow } from './time-window.ts';

export type LoadedPolicy = {
  readonly name: string;
  /** Of the entry in the registry. */
  readonly version: number;
  readonly statements: readonly CompiledStatement[];
  /** Not empty: the policy is broken, and has no statements, or one that denies. */
  readonly faults: readonly Fault[];
};

/** What a tenant has at a moment. Never changed. */
export type TenantSnapshot = {
  readonly policies: ReadonlyMap<string, LoadedPolicy>;
  /** Names of policies by role. */
  readonly roles: ReadonlyMap<string, readonly string[]>;
  /** Of all its statements. */
  readonly windows: readonly TimeWindow[];
};

/** Names of the policies that a principal's roles grant it, each once. One that does not exist grants nothing. */
export function policiesOf({ roles }: Principal, snapshot: TenantSnapshot | undefined): Iterable<string> {
  const names = new Set<string>();
  if (snapshot !== undefined) for (const role of roles) for (const name of snapshot.roles.get(role) ?? []) names.add(name);
  return names;
}

export type TenantPoliciesLimits = {
  /** Tenants that are held ready; more are refused. */
  readonly tenants: number;
  /** Roles, and policies, of a tenant; with more it cannot be read. */
  readonly entriesPerTenant: number;
};

export type TenantPoliciesServices = {
  readonly registry: Pick<Registry, 'list' | 'subscribe'>;
  readonly log: Log;
  /** Runs `task` after `ms`. Returns how to call it off. */
  readonly later: (ms: number, task: () => void) => () => void;
  /** A tenant has another snapshot than before. */
  readonly onChange: (tenant: string) => void;
};

type Tenant = {
  snapshot: TenantSnapshot | undefined;
  /** The registry has told of a change that the snapshot does not show yet. */
  isStale: boolean;
  reading: Promise<boolean> | undefined;
  cancelRetry: (() => void) | undefined;
};

/** After the registry could not be read. */
const retryMs = 5000;
/** A document has up to 64 KiB: what is read at once must not hold up the loop. */
const pageSize = 50;

export class TenantPolicies {
  readonly #services: TenantPoliciesServices;
  readonly #limits: TenantPoliciesLimits;
  readonly #tenants = new Map<string, Tenant>();
  /** Tenants with time conditions. */
  readonly #timed = new Set<string>();
  readonly #unsubscribe: () => void;
  #isClosed = false;
  failures = 0;

  constructor(services: TenantPoliciesServices, limits: TenantPoliciesLimits) {
    this.#services = services;
    this.#limits = limits;
    this.#unsubscribe = services.registry.subscribe((changes) => this.#changed(changes));
  }

  /** Undefined: it has not been read; `ready` reads it. */
  snapshot(tenant: string): TenantSnapshot | undefined {
    return this.#tenants.get(tenant)?.snapshot;
  }

  /** Whether the tenant's snapshot shows what the registry has. false: it cannot be read now. */
  ready(name: string): NowOrLater<boolean> {
    const tenant = this.#tenants.get(name);
    if (tenant?.snapshot !== undefined && !tenant.isStale && tenant.reading === undefined) return true;
    return this.#read(name);
  }

  *snapshots(): Iterable<TenantSnapshot> {
    for (const { snapshot } of this.#tenants.values()) if (snapshot !== undefined) yield snapshot;
  }

  /** Only those with time conditions. */
  *timed(): Iterable<TenantSnapshot> {
    for (const name of this.#timed) yield this.#tenants.get(name)!.snapshot!;
  }

  close(): void {
    this.#isClosed = true;
    this.#unsubscribe();
    for (const { cancelRetry } of this.#tenants.values()) cancelRetry?.();
    this.#tenants.clear();
    this.#timed.clear();
  }

  #changed(changes: readonly Change[]): void {
    for (const { kind, tenant, id } of changes) {
      if (kind !== undefined && kind !== 'role' && kind !== 'policy' && kind !== 'tenant') continue;
      // The name of a tenant is the id of its entry.
      const named = kind === 'tenant' ? id : tenant;
      if (named !== undefined) this.#touch(named);
      else for (const each of this.#tenants.keys()) this.#touch(each);
    }
  }

  #touch(name: string): void {
    const tenant = this.#tenants.get(name);
    if (tenant === undefined) return;
    tenant.isStale = true;
    void this.#read(name);
  }

  #read(name: string): NowOrLater<boolean> {
    if (this.#isClosed) return false;
    let tenant = this.#tenants.get(name);
    if (tenant === undefined) {
      if (this.#tenants.size >= this.#limits.tenants) {
        this.failures++;
        return false;
      }
      tenant = { snapshot: undefined, isStale: true, reading: undefined, cancelRetry: undefined };
      this.#tenants.set(name, tenant);
    }
    const known = tenant;
    return (known.reading ??= this.#readUntilFresh(name, known).finally(() => (known.reading = undefined)));
  }

  async #readUntilFresh(name: string, tenant: Tenant): Promise<boolean> {
    tenant.cancelRetry?.();
    tenant.cancelRetry = undefined;
    do {
      tenant.isStale = false;
      const read = await this.#snapshotOf(name, tenant.snapshot);
      if (this.#isClosed) return false;
      if (!read.ok) return this.#failed(name, tenant, read.error);
      const isFirst = tenant.snapshot === undefined;
      tenant.snapshot = read.value;
      if (read.value.windows.length > 0) this.#timed.add(name);
      else this.#timed.delete(name);
      if (!isFirst) this.#services.onChange(name);
      // A change may have come while it was being read.
    } while (tenant.isStale);
    return true;
  }

  #failed(name: string, tenant: Tenant, { code, message }: RegistryError): false {
    this.failures++;
    tenant.isStale = true;
    this.#services.log.error('security.policies.read.failed', { tenant: name, code, message });
    tenant.cancelRetry = this.#services.later(retryMs, () => void this.#read(name));
    return false;
  }

  async #snapshotOf(tenant: string, before: TenantSnapshot | undefined): Promise<Result<TenantSnapshot>> {
    const roles = new Map<string, readonly string[]>();
    const readRoles = await this.#each('role', tenant, ({ id, policies }) => roles.set(id, policies));
    if (!readRoles.ok) return readRoles;
    const policies = new Map<string, LoadedPolicy>();
    const readPolicies = await this.#each('policy', tenant, ({ id, version, document }) => {
      const known = before?.policies.get(id);
      policies.set(id, known?.version === version ? known : this.#load(tenant, id, version, document));
    });
    if (!readPolicies.ok) return readPolicies;
    return { ok: true, value: { roles, policies, windows: windowsOf([...policies.values()].flatMap(({ statements }) => statements)) } };
  }

  async #each<K extends 'role' | 'policy'>(kind: K, tenant: string, take: (entry: Entry<K>) => void): Promise<Result<undefined>> {
    let after: string | undefined;
    let count = 0;
    do {
      const page = await this.#list(kind, tenant, after);
      // A principal of a tenant that the registry does not have is granted nothing by it.
      if (!page.ok) return page.error.code === 'unknown-tenant' ? { ok: true, value: undefined } : page;
      count += page.value.entries.length;
      if (count > this.#limits.entriesPerTenant) {
        const message = `the tenant has more than ${this.#limits.entriesPerTenant} entries of kind ${kind}`;
        return { ok: false, error: { code: 'limit', message } };
      }
      for (const entry of page.value.entries) take(entry);
      after = page.value.next;
    } while (after !== undefined);
    return { ok: true, value: undefined };
  }

  async #list<K extends 'role' | 'policy'>(kind: K, tenant: string, after: string | undefined) {
    try {
      return await this.#services.registry.list(kind, tenant, { limit: pageSize, after });
    } catch (error) {
      const message = (error as Error).message;
      return { ok: false, error: { code: 'unavailable', message } } as const;
    }
  }

  #load(tenant: string, name: string, version: number, document: string): LoadedPolicy {
    const reading = readPolicy(document);
    if (reading.ok) return { name, version, statements: compileDocument(reading.document, 'registry', name), faults: [] };
    const [{ path, what }] = reading.faults as [Fault, ...Fault[]];
    this.#services.log.error('security.policy.broken', { tenant, policy: name, path, what, faults: reading.faults.length });
    return { name, version, statements: mayDeny(document) ? [denyingMessages(name)] : [], faults: reading.faults };
  }
}

/** Whether a broken document could have denied something: it has a statement that does not say `allow`, or cannot be read at all. */
function mayDeny(document: string): boolean {
  const read = readStrictJson(document, policyLimits.depth);
  const { statements } = ((read.ok ? read.value : undefined) ?? {}) as { readonly statements?: unknown };
  if (!Array.isArray(statements)) return true;
  return statements.some((one: unknown) => (one as { readonly effect?: unknown } | null)?.effect !== 'allow');
}

/** What its denials meant is not known: so nothing goes in or out. Who it binds may still connect, and manage to repair it. */
function denyingMessages(name: string): CompiledStatement {
  return {
    origin: { source: 'registry', name, index: 0 },
    effect: 'deny',
    actions: ['publish', 'subscribe', 'consume', 'retain'],
    patterns: undefined,
    conditions: undefined,
    title: 'the policy is broken',
    isOfNode: false,
    binds: () => true,
  };
}

/** What belongs to no tenant binds nobody: no principal is in the system's scope. */
export function hasPolicies(tenant: string): boolean {
  return tenant !== systemScope;
}

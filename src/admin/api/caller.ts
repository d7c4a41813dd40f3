// Who asks the management interface, after it has proved who it is.

import { defaultTenant } from '../../message/names.ts';
import type { Actor } from '../../security/audit/audit.ts';
import type { Principal, Security } from '../../security/security.ts';
import type { Permission } from './permission.ts';

export type Caller = {
  readonly actor: Actor;
  /** `tenant/id`; of who may read the data directory: `$system/local`. Keeps idempotency keys and rates apart. */
  readonly name: string;
  /** The tenant that is meant when a request names none. */
  readonly tenant: string;
  may(permission: Permission): boolean;
  /** Every tenant, and what belongs to none; others read and change their own tenant only. */
  isSystemWide(access: 'read' | 'write'): boolean;
  /** Absent: it holds as long as the node runs. */
  readonly standing?: CallerStanding;
};

/** Whether who asked is still let in while the answer goes on. */
export type CallerStanding = {
  /** On the wall clock: what was shown ends then. */
  readonly untilMs?: number | undefined;
  /** As it is now; undefined: it is not let in any more. What cannot be found out changes nothing. */
  again(): Promise<Caller | undefined>;
};

/** Who may read the data directory could do all of it without asking. */
export const localCaller: Caller = {
  actor: { kind: 'local' },
  name: '$system/local',
  tenant: defaultTenant,
  may: () => true,
  isSystemWide: () => true,
};

/** What a rule that allows `manage` on `$admin` has always opened. */
const seenByAll: readonly Permission[] = ['status:read', 'metrics:read', 'trace:read'];

/**
 * Only the default tenant has system-wide administrators: whoever writes the policies of another tenant must not be able to make
 * one there.
 */
export function callerOf(principal: Principal, security: Pick<Security, 'allows'>): Caller {
  const { tenant, id } = principal;
  const method = principal.access?.method;
  const may = (permission: Permission): boolean =>
    security.allows(principal, 'manage', permission) || (seenByAll.includes(permission) && security.allows(principal, 'manage', '$admin'));
  return {
    actor: { kind: 'principal', tenant, id, ...(method !== undefined && { method }) },
    name: `${tenant}/${id}`,
    tenant,
    may,
    isSystemWide: (access) => tenant === defaultTenant && may(`tenants:${access}`),
  };
}

/** 401: no or wrong credentials; 403: right ones that do not suffice; 429 and 503: later. */
export type Identification =
  | { readonly ok: true; readonly caller: Caller }
  | { readonly ok: false; readonly status: 401 | 403 | 429 | 503; readonly detail: string; readonly retrySeconds?: number };

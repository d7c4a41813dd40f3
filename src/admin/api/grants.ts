// Nobody gives rights that are not theirs to give: neither by a role, nor by a way to sign in as somebody who has them.

import { defaultTenant } from '../../message/names.ts';
import type { OwnerKind } from '../../registry/entries.ts';
import type { Principal } from '../../security/security.ts';
import { managedResources, type Permission } from './permission.ts';
import { forbidden, registryProblem, type Problem } from './problem.ts';
import type { Call } from './route.ts';

const permissions: readonly Permission[] = managedResources.flatMap((name) => [`${name}:read`, `${name}:write`] as const);

/** A right that tells each reserved role from those below it: known also where policies cannot be asked. */
const markOf: Readonly<Record<string, Permission>> = {
  admin: 'tenants:write',
  'security-officer': 'policies:write',
  operator: 'queues:write',
  viewer: 'status:read',
};

/** What of management somebody may. */
function* rightsOf(principal: Principal, { services }: Call, concerned = permissions): Generator<Permission> {
  for (const role of principal.roles) if (Object.hasOwn(markOf, role)) yield markOf[role]!;
  if (services.allows === undefined) return;
  for (const permission of concerned) if (services.allows(principal, permission)) yield permission;
}

/** Who writes policies decides about rights in any case; only administrators make administrators. */
function beyond(principal: Principal, call: Call): Permission | undefined {
  const decides = call.caller.may('policies:write');
  for (const right of rightsOf(principal, call)) {
    if (!call.caller.may(right) && (!decides || right === 'tenants:write')) return right;
  }
  return undefined;
}

/** May the caller give these roles? */
export function grantForbidden(roles: readonly string[] | undefined, call: Call): Problem | undefined {
  for (const role of roles ?? []) {
    // One by one, so that it can be said which; policies that bind by name are the roles' no more than the caller's.
    const right = beyond({ tenant: call.tenant, id: '', kind: 'user', roles: [role] }, call);
    if (right !== undefined) return forbidden(`the role ${role} brings rights that you do not have: ${right}`);
  }
  return undefined;
}

/** What decides what somebody may. */
export type Facts = {
  readonly id: string;
  readonly roles: readonly string[];
  readonly groups: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
};

/**
 * May the caller make `before` into `after`? Policies go by groups, labels and names as well as by roles. `asksForRoles`: where duties
 * are separated a second person has seen it, or will.
 */
export function changeForbidden(
  kind: OwnerKind,
  before: Facts | undefined,
  after: Facts,
  asksForRoles: boolean,
  call: Call,
): Problem | undefined {
  const { tenant, caller, services } = call;
  const decides = caller.may('policies:write');
  const isBeyond = (right: Permission): boolean => !caller.may(right) && (!decides || right === 'tenants:write');
  const wantsSecond = services.settings().separationOfDuties && !asksForRoles;
  // Of many rows by an administrator nothing needs to be asked.
  const concerned = wantsSecond ? permissions : permissions.filter(isBeyond);
  if (concerned.length === 0) return undefined;
  const gained = [...rightsOf({ tenant, kind, ...factsOf(after) }, call, concerned)];
  if (gained.length === 0) return undefined;
  const had = new Set(before === undefined ? [] : rightsOf({ tenant, kind, ...factsOf(before) }, call, concerned));
  const right = gained.find((each) => !had.has(each) && isBeyond(each)) ?? gained.find((each) => !had.has(each));
  if (right === undefined) return undefined;
  if (isBeyond(right)) return forbidden(`its roles, groups, labels or name would bring rights that you do not have: ${right}`);
  if (!wantsSecond) return undefined;
  return forbidden(`duties are separated: its groups, labels or name would bring the right ${right}; give it by a role`);
}

/** Of devices whose names are not known yet. */
export function newDeviceForbidden(
  { roles = [], groups = [] }: { readonly roles?: readonly string[] | undefined; readonly groups?: readonly string[] | undefined },
  call: Call,
): Problem | undefined {
  return changeForbidden('device', undefined, { id: '', roles, groups, labels: {} }, roles.length > 0, call);
}

function factsOf({ id, roles, groups, labels }: Facts): Facts {
  return { id, roles, groups, labels };
}

/** Only administrators say who else is one: neither a policy nor a role of somebody below makes one. */
export async function policiesForbidden(
  given: { readonly documents?: readonly string[]; readonly policies?: readonly string[] | undefined },
  call: Call,
): Promise<Problem | undefined> {
  const { caller, tenant, services } = call;
  if (given.policies !== undefined && given.policies.length > 0 && !caller.may('policies:write')) {
    return forbidden('what a role grants is for who may change policies: it wants the permission manage on policies:write');
  }
  // Elsewhere that right means nothing (caller.ts).
  if (tenant !== defaultTenant || caller.may('tenants:write') || services.mightAllow === undefined) return undefined;
  const documents = [...(given.documents ?? [])];
  for (const name of given.policies ?? []) {
    const found = await services.registry.get('policy', tenant, name);
    if (!found.ok) return registryProblem(found.error);
    if (found.value !== undefined) documents.push(found.value.document);
  }
  if (!documents.some((document) => services.mightAllow!(document, 'tenants:write'))) return undefined;
  return forbidden('it would bring rights that you do not have: tenants:write');
}

/** May the caller give a password, a token or a certificate to `owner`, and with it the possibility to act as that one? */
export function actingForbidden(kind: OwnerKind, { id, roles, groups, labels }: Facts, call: Call): Problem | undefined {
  const { caller, tenant, services } = call;
  if (caller.name === `${tenant}/${id}`) return undefined;
  const principal: Principal = { tenant, id, kind, roles, groups, labels };
  const right = beyond(principal, call);
  if (right !== undefined) return forbidden(`it would let you act with rights that you do not have: ${right}`);
  // Else one person could be two.
  if (!services.settings().separationOfDuties || rightsOf(principal, call).next().done === true) return undefined;
  return forbidden('duties are separated: nobody gives another who manages something a way to sign in; take the roles away first');
}

// Nobody gives rights that are not theirs to give: neither by a role, nor by a way to sign in as somebody who has them.

import type { OwnerKind } from '../../registry/entries.ts';
import type { Principal } from '../../security/security.ts';
import { managedResources, type Permission } from './permission.ts';
import { forbidden, type Problem } from './problem.ts';
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
function* rightsOf(principal: Principal, { services }: Call): Generator<Permission> {
  for (const role of principal.roles) if (Object.hasOwn(markOf, role)) yield markOf[role]!;
  if (services.allows === undefined) return;
  for (const permission of permissions) if (services.allows(principal, 'manage', permission)) yield permission;
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

type Owner = {
  readonly id: string;
  readonly roles: readonly string[];
  readonly groups: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
};

/** May the caller give a password, a token or a certificate to `owner`, and with it the possibility to act as that one? */
export function actingForbidden(kind: OwnerKind, { id, roles, groups, labels }: Owner, call: Call): Problem | undefined {
  const { caller, tenant, services } = call;
  if (caller.name === `${tenant}/${id}`) return undefined;
  const principal: Principal = { tenant, id, kind, roles, groups, labels };
  const right = beyond(principal, call);
  if (right !== undefined) return forbidden(`it would let you act with rights that you do not have: ${right}`);
  // Else one person could be two.
  if (!services.settings().separationOfDuties || rightsOf(principal, call).next().done === true) return undefined;
  return forbidden('duties are separated: nobody gives another who manages something a way to sign in; take the roles away first');
}

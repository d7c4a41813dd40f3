// Nobody gives rights that are not theirs to give: the reserved roles of management go only from who has what they bring.

import type { Permission } from './permission.ts';
import { forbidden, type Problem } from './problem.ts';
import type { Call } from './route.ts';

/** A right that tells each reserved role from those below it. */
const markOf: Readonly<Record<string, Permission>> = {
  admin: 'tenants:write',
  'security-officer': 'policies:write',
  operator: 'queues:write',
  viewer: 'status:read',
};

export function grantForbidden(roles: readonly string[] | undefined, { caller }: Call): Problem | undefined {
  const beyond = roles?.find((role) => Object.hasOwn(markOf, role) && !caller.may(markOf[role]!));
  return beyond === undefined ? undefined : forbidden(`the role ${beyond} brings rights that you do not have`);
}

// What the registry says of a principal, of whatever kind it is.

import type { Entry, OwnerKind } from '../../registry/entries.ts';
import type { LookUps, NowOrLater, Result } from '../../registry/registry.ts';
import { whenKnown } from './now-or-later.ts';

export type KnownPrincipal = Pick<Entry<'device'>, 'status' | 'roles' | 'groups' | 'labels'> & { readonly kind: OwnerKind };

export function knownPrincipal(lookUps: LookUps, tenant: string, id: string): NowOrLater<Result<KnownPrincipal | undefined>> {
  return whenKnown(lookUps.principal(tenant, id), (found): Result<KnownPrincipal | undefined> => {
    if (!found.ok || found.value === undefined) return found as Result<undefined>;
    const { status, roles, groups, labels } = found.value.entry;
    return { ok: true, value: { kind: found.value.kind, status, roles, groups, labels } };
  });
}

// What the registry says of a peer that connects. A peer that it does not know is nobody's business here: credentials and rules have
// decided.

import type { Kind } from '../registry/entries.ts';
import { systemScope } from '../registry/entries.ts';
import type { LookUps, NowOrLater, Result } from '../registry/registry.ts';
import type { Principal } from '../security/security.ts';
import type { AskStanding, Standing } from '../security/standing.ts';

type Found = Result<{ readonly status: string } | undefined>;

export function standingIn(lookUps: LookUps): AskStanding {
  return (principal, certificate) => {
    const { tenant, id } = principal;
    const asked: NowOrLater<Found>[] = [lookUps.get('tenant', systemScope, tenant)];
    for (const kind of kindsOf(principal)) asked.push(lookUps.get(kind, tenant, id) as NowOrLater<Found>);
    if (certificate !== undefined) asked.push(lookUps.certificate(certificate.fingerprint));
    const isLater = asked.some((answer) => answer instanceof Promise);
    return isLater ? Promise.all(asked.map((answer) => Promise.resolve(answer))).then(judge) : judge(asked as Found[]);
  };
}

function kindsOf({ kind }: Principal): readonly Kind[] {
  if (kind === 'anonymous') return [];
  // Passwords do not tell people from programs.
  return kind === 'device' ? ['device'] : ['application', 'user'];
}

function judge(found: readonly Found[]): Standing {
  if (!found.every((result) => result.ok)) return 'unknown';
  const isGood = found.every(({ value }) => value === undefined || value.status === 'active' || value.status === 'valid');
  return isGood ? 'good' : 'barred';
}

// The users of users.json, which earlier releases kept beside the registry, into the registry: each becomes a device, an application
// or a user with a credential of type `password`. It can be done again after a crash: who has a password in the registry keeps it.

import { createHash } from 'node:crypto';
import type { Owner, OwnerKind } from '../entries.ts';
import { systemScope } from '../entries.ts';
import { refusal, value, type NamedPrincipal, type Registry, type RegistryError, type Result, type Write } from '../registry.ts';

export type FormerUser = {
  readonly tenant: string;
  readonly name: string;
  readonly roles: readonly string[];
  /** PHC string of argon2id. */
  readonly passwordHash: string;
};

export type UsersImport = {
  /** Written now. */
  readonly imported: number;
  /** Had a password in the registry already: nothing was changed. */
  readonly kept: number;
  /** What the registry does not take, with the reason; never a hash. */
  readonly refused: readonly { readonly tenant: string; readonly name: string; readonly why: string }[];
};

/** Who has one of these is a person; they are reserved for management. */
const managementRoles = ['admin', 'operator', 'security-officer', 'viewer'];
/** Three writes each at most. */
const usersAtATime = 300;

/**
 * Imports all that can be. A refused user is told in `refused`; an error means that the registry could not be used: then do it again.
 * All that belongs to one user is written in one transaction.
 */
export async function importUsers(
  registry: Pick<Registry, 'apply' | 'principal' | 'credentials'>,
  users: readonly FormerUser[],
): Promise<Result<UsersImport>> {
  const refused: UsersImport['refused'][number][] = [];
  let imported = 0;
  let kept = 0;
  for (let start = 0; start < users.length; start += usersAtATime) {
    const batch: Planned[] = [];
    for (const user of users.slice(start, start + usersAtATime)) {
      const planned = await planOf(registry, user);
      if (!planned.ok && stops(planned.error)) return planned;
      if (!planned.ok) refused.push({ tenant: user.tenant, name: user.name, why: planned.error.message });
      else if (planned.value === 'kept') kept++;
      else batch.push({ user, writes: planned.value });
    }
    const done = await applyAll(registry, batch);
    if (!done.ok) return done;
    imported += batch.length - done.value.length;
    refused.push(...done.value);
  }
  return value({ imported, kept, refused });
}

type Planned = { readonly user: FormerUser; readonly writes: readonly Write[] };

/** One transaction, again without whoever is refused. */
async function applyAll(registry: Pick<Registry, 'apply'>, batch: readonly Planned[]): Promise<Result<UsersImport['refused']>> {
  const refused: UsersImport['refused'][number][] = [];
  let rest = batch;
  while (rest.length > 0) {
    const applied = await registry.apply(
      rest.flatMap(({ writes }) => writes),
      { atomic: true },
    );
    if (applied.ok) break;
    const { index, message } = applied.error;
    if (index === undefined || stops(applied.error)) return applied;
    let before = 0;
    const at = rest.findIndex(({ writes }) => (before += writes.length) > index);
    const { tenant, name } = rest[at]!.user;
    refused.push({ tenant, name, why: message });
    rest = rest.toSpliced(at, 1);
  }
  return value(refused);
}

async function planOf(registry: Pick<Registry, 'principal' | 'credentials'>, user: FormerUser): Promise<Result<readonly Write[] | 'kept'>> {
  const { tenant, name, roles, passwordHash } = user;
  const there = await registry.principal(tenant, name);
  if (!there.ok) return there;
  const kind = there.value?.kind ?? kindOf(roles);
  const owner: Owner = { kind, id: name };
  if (there.value !== undefined) {
    const credentials = await registry.credentials(tenant, owner);
    if (!credentials.ok) return credentials;
    if (credentials.value.some(({ type }) => type === 'password')) return value('kept');
  }
  const principal = principalWrite(there.value, kind, user);
  if (!principal.ok) return principal;
  const fields = { owner, type: 'password', secret: passwordHash } as const;
  const writes: Write[] = [...principal.value, { do: 'create', kind: 'credential', tenant, id: credentialIdOf(name), fields }];
  // A tenant that was known by its users alone.
  return value(tenant === systemScope ? writes : [{ do: 'put', kind: 'tenant', tenant: systemScope, id: tenant, fields: {} }, ...writes]);
}

function principalWrite(there: NamedPrincipal | undefined, kind: OwnerKind, { tenant, name, roles }: FormerUser): Result<Write[]> {
  if (there === undefined) return value([{ do: 'create', kind, tenant, id: name, fields: { roles } } as Write]);
  // Who comes with its certificate is the same one from now on, and must not be more than it was.
  const gained = roles.find((role) => managementRoles.includes(role) && !there.entry.roles.includes(role));
  if (kind !== 'user' && gained !== undefined) {
    return refusal('exists', `there is a ${kind} ${tenant}/${name} already, and a user of its name has the role ${gained}`);
  }
  const all = [...new Set([...there.entry.roles, ...roles])];
  return value([{ do: 'update', kind, tenant, id: name, fields: { roles: all }, version: there.entry.version } as Write]);
}

function kindOf(roles: readonly string[]): OwnerKind {
  if (roles.includes('device')) return 'device';
  return roles.some((role) => managementRoles.includes(role)) ? 'user' : 'application';
}

/** The same each time; a name itself may be too long with anything before it. */
function credentialIdOf(name: string): string {
  return `password-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
}

/** Not this user's fault: nobody else would fare better. */
function stops({ code }: RegistryError): boolean {
  return ['unavailable', 'full', 'damaged', 'later-version'].includes(code);
}

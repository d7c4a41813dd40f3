// The administrator of a node that nobody has told of any yet.

import { stat } from 'node:fs/promises';
import type { Random } from '../base/random.ts';
import type { OwnerKind } from '../registry/entries.ts';
import type { Registry } from '../registry/registry.ts';
import type { Audit } from '../security/audit/audit.ts';
import { passwordCredentials } from '../security/authentication/password-credentials.ts';
import { generatePassword } from '../security/generate-password.ts';
import type { HashCost } from '../security/password-hash.ts';
import { registryProblem } from './registry-of.ts';

const name = 'admin';
const adminRole = 'admin';
/** Whoever added one of these has taken matters into own hands. */
const peopleAndPrograms: readonly OwnerKind[] = ['user', 'application'];

export type FirstAdministratorServices = {
  readonly registry: Pick<Registry, 'list' | 'apply'>;
  readonly audit: Audit;
  /** Must be the secure source. */
  readonly random: Random;
  readonly tenant: string;
  /** What earlier releases' users.json is called once it was imported: then there was a start before this one. */
  readonly importedUsersFile: string;
  readonly hashCost?: HashCost;
};

/**
 * Creates the user `admin` when there are neither users nor applications in the tenant, and returns its password, which is kept
 * nowhere else. Undefined when there was somebody. @throws UserError when the registry cannot be used
 */
export async function createFirstAdministrator(
  services: FirstAdministratorServices,
): Promise<{ readonly name: string; readonly password: string } | undefined> {
  const { registry, audit, random, tenant, importedUsersFile, hashCost } = services;
  if ((await stat(importedUsersFile).catch(() => undefined)) !== undefined) return undefined;
  for (const kind of peopleAndPrograms) {
    const found = await registry.list(kind, tenant, { limit: 1 });
    if (!found.ok) throw registryProblem(found.error);
    if (found.value.entries.length > 0) return undefined;
  }
  const password = generatePassword(random);
  const owner = { kind: 'user', id: name } as const;
  const credentials = await passwordCredentials(password, random, hashCost);
  const written = await registry.apply(
    [
      { do: 'create', kind: 'user', tenant, id: name, fields: { title: 'First administrator', roles: [adminRole] } },
      ...credentials.map(({ type, secret }) => {
        const id = Buffer.from(random.bytes(16)).toString('hex');
        return { do: 'create', kind: 'credential', tenant, id, fields: { owner, type, secret } } as const;
      }),
    ],
    { atomic: true },
  );
  // A device may have this name already: then it is for the operator to add somebody.
  if (!written.ok && written.error.code === 'exists') return undefined;
  if (!written.ok) throw registryProblem(written.error);
  audit.record({ actor: { kind: 'node' }, action: 'user.create', target: `user/${tenant}/${name}`, from: '', outcome: 'done' });
  return { name, password };
}

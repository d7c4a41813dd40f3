// users.json of earlier releases, once, into the registry.

import type { Log } from '../base/log.ts';
import type { Registry } from '../registry/registry.ts';
import { importUsers } from '../registry/transfer/import-users.ts';
import type { Audit } from '../security/audit/audit.ts';
import { handOverUsers } from '../security/users-file.ts';
import { registryProblem } from './registry-of.ts';

type Services = { readonly registry: Pick<Registry, 'apply' | 'principal' | 'credentials'>; readonly audit: Audit; readonly log: Log };

/** Does nothing where there is no such file. @throws UserError when it cannot be read, or the registry not be written */
export async function importUsersFile(path: string, { registry, audit, log }: Services): Promise<void> {
  await handOverUsers(path, async (users) => {
    const done = await importUsers(registry, users);
    if (!done.ok) throw registryProblem(done.error);
    const { imported, kept, refused } = done.value;
    for (const { tenant, name, why } of refused) log.warn('users.import.refused', { tenant, name, why });
    log.info('users.imported', { path, imported, kept, refused: refused.length });
    const outcome = refused.length === 0 ? 'done' : 'failed';
    const details = { imported, kept, refused: refused.length };
    audit.record({ actor: { kind: 'node' }, action: 'users.import', target: 'users.json', from: '', outcome, details });
  });
}

import { UserError } from '../base/user-error.ts';
import { defaultTenant } from '../message/names.ts';
import { createSecurity } from '../security/create-security.ts';
import type { Join } from '../security/authentication/principal-facts.ts';
import { fipsFault } from '../security/fips.ts';
import { usualCost } from '../security/password-hash.ts';
import { createAuthorization } from '../security/policy/authorization.ts';
import { usersFileIsExposed } from '../security/users-file.ts';
import { createFirstAdministrator } from './first-administrator.ts';
import { importUsersFile } from './import-users-file.ts';
import { securityPolicy } from './options.ts';
import { outsideAuthenticators } from './outside-authenticators.ts';
import type { Part } from './part.ts';
import { usersFilePath } from './paths.ts';
import type { Rooms } from './rooms.ts';

/** Whose certificates name peers, and how devices of other authorities are added. */
function authoritiesOf({ revocation }: Rooms) {
  const join: Join | undefined =
    revocation && ((identity, certificate, from) => revocation.justInTime.register(identity, certificate, from));
  return { ...(revocation && { authorityOf: (id: string) => revocation.admission.authorityOf(id) }), ...(join && { join }) };
}

/** Who peers are and what they may do. The first start makes an administrator, unless somebody added users before it. */
export function securityPart(rooms: Rooms): Part {
  return {
    name: 'security',
    async start() {
      const { config, clock, random, log, lookUps, registry, audit } = rooms;
      const unfit = config.tls.profile === 'fips' ? fipsFault() : undefined;
      if (unfit !== undefined) {
        const fix = 'start Node with --force-fips and an OpenSSL configuration that loads the provider, or choose another profile';
        throw new UserError(`The profile fips cannot be kept: ${unfit}.`, { where: 'tls.profile', fix });
      }
      const usersFile = usersFilePath(config.node.dataDir);
      if (await usersFileIsExposed(usersFile))
        log.warn('others may read the users file', { path: usersFile, fix: `chmod 600 ${usersFile}` });
      await importUsersFile(usersFile, { registry, audit, log });
      rooms.firstAdmin = await createFirstAdministrator({
        registry,
        audit,
        random,
        tenant: defaultTenant,
        importedUsersFile: `${usersFile}.imported`,
      });
      const policy = securityPolicy(config, rooms.dev);
      const authenticators = await outsideAuthenticators(config, { clock, random, log });
      rooms.authorization = createAuthorization(policy, { clock, log, registry }, config.security.policyLimits);
      rooms.security = createSecurity(
        { ...policy, limits: config.security.limits },
        {
          clock,
          random,
          log,
          lookUps,
          audit,
          authenticators,
          // Opens what others must keep as it is: pre-shared keys.
          secrets: rooms.sealer,
          authorization: rooms.authorization,
          hashCost: usualCost(),
          ...authoritiesOf(rooms),
        },
      );
    },
    stop: () => rooms.security.close(),
    reload: (config) => rooms.security.reload(securityPolicy(config, rooms.dev)),
  };
}

import { createSecurity } from '../security/create-security.ts';
import { defaultTenant } from '../message/names.ts';
import { UsersFile, usersFileIsExposed } from '../security/users-file.ts';
import { securityPolicy } from './options.ts';
import type { Part } from './part.ts';
import { usersFilePath } from './paths.ts';
import type { Rooms } from './rooms.ts';
import { standingIn } from './standing.ts';

/** Users and rules. The first start makes an administrator, unless somebody added users before it. */
export function securityPart(rooms: Rooms): Part {
  return {
    name: 'security',
    async start() {
      const { config, clock, random, log } = rooms;
      const file = new UsersFile(usersFilePath(config.node.dataDir), random);
      rooms.firstAdmin = await file.createFirstAdmin(defaultTenant, clock.wallMs());
      if (await usersFileIsExposed(file.path))
        log.warn('others may read the users file', { path: file.path, fix: `chmod 600 ${file.path}` });
      const policy = securityPolicy(config, rooms.dev);
      rooms.security = createSecurity(
        { ...policy, usersFile: file.path, limits: config.security.limits },
        { clock, random, log, standing: standingIn(rooms.lookUps) },
      );
    },
    stop() {},
    reload: (config) => rooms.security.reload(securityPolicy(config, rooms.dev)),
  };
}

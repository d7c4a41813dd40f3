// What the management API is given: by a node, which has all of it, or by a command that found no node and opens the registry itself.

import type { ApiServices } from '../admin/api/services.ts';
import type { Clock } from '../base/clock.ts';
import { silentLog, type Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Config } from '../config.ts';
import type { Registry } from '../registry/registry.ts';
import { noAudit } from '../security/audit/audit.ts';
import { hashPassword, maxPasswordBytes } from '../security/password-hash.ts';
import type { Rooms } from './rooms.ts';
import { shownConfig } from './shown-config.ts';

/** Fewer characters would be guessed even through the rate limit, when the registry is stolen for certain. */
const minPasswordLength = 8;

type Own = {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly registry: Registry;
  readonly config: () => Config;
};

export function apiServicesOf(rooms: Rooms, config: () => Config, status: () => object): ApiServices {
  return {
    ...common({ clock: rooms.clock, random: rooms.random, log: rooms.log, registry: rooms.registry, config }),
    status,
  };
}

/** For a command: what only a running node can tell is not there. */
export function offlineApiServices(own: Omit<Own, 'log'>): ApiServices {
  return common({ ...own, log: silentLog });
}

function common({ config, ...own }: Own): ApiServices {
  return {
    ...own,
    settings: () => config().admin,
    audit: noAudit,
    passwordCredentials: (password) => credentialsOf(password, own.random),
    config: () => shownConfig(config()),
  };
}

async function credentialsOf(password: string, random: Random): ReturnType<ApiServices['passwordCredentials']> {
  if (password.length < minPasswordLength) return { fault: `the password has fewer than ${minPasswordLength} characters` };
  const bytes = Buffer.from(password);
  if (bytes.length > maxPasswordBytes) return { fault: `the password has more than ${maxPasswordBytes} bytes` };
  return { credentials: [{ type: 'password', secret: await hashPassword(bytes, random) }] };
}

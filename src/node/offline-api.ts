// The management API for a command that finds no running node: the same application, on the registry under the data directory, asked
// in process.

import type { Api } from '../admin/api/api.ts';
import { localCaller } from '../admin/api/caller.ts';
import { SystemClock } from '../base/clock.ts';
import { secureRandom } from '../base/secure-random.ts';
import type { Config } from '../config.ts';
import { offlineApiServices } from './api-services.ts';
import { openRegistryOf } from './registry-of.ts';

/** @throws UserError when the registry cannot be opened */
export async function openOfflineApi(config: Config): Promise<Api> {
  const clock = new SystemClock();
  const [registry, { createApi }] = await Promise.all([openRegistryOf(config, { clock, thread: false }), import('../admin/api/api.ts')]);
  const services = offlineApiServices({ clock, random: secureRandom, registry, config: () => config });
  const api = await createApi(services, { identify: async () => ({ ok: true, caller: localCaller }), describe: false });
  const close = async (): Promise<void> => {
    await api.close();
    await registry.close();
  };
  return { ...api, close };
}

import type { Part } from './part.ts';
import { openRegistryOf } from './registry-of.ts';
import type { Rooms } from './rooms.ts';

/** Who may exist. What other processes change in it (the command line does) is noticed while the node runs. */
export function registryPart(rooms: Rooms): Part {
  return {
    name: 'registry',
    async start() {
      const { config, clock, log } = rooms;
      const registry = await openRegistryOf(config, { clock, log, thread: true });
      rooms.registry = registry;
      rooms.lookUps = registry;
      if (config.registry.kind === 'sqlite' || config.registry.cacheEntries === 0) return;
      const { LookUpCache } = await import('../registry/look-up-cache.ts');
      const { cacheEntries: entries, cacheMaxAgeMs: maxAgeMs } = config.registry;
      const cache = new LookUpCache(registry, clock, { entries, maxAgeMs });
      rooms.lookUps = cache;
      rooms.registryMetrics = cache;
    },
    stop: () => rooms.registry.close(),
  };
}

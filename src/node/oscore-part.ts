import { NodeOscoreContexts } from '../security/oscore/contexts.ts';
import { SequenceFile } from '../security/oscore/sequence-store.ts';
import type { Part } from './part.ts';
import { oscorePath } from './paths.ts';
import type { Rooms } from './rooms.ts';

/** The security contexts of OSCORE, and the file that keeps their numbers beyond a crash. */
export function oscorePart(rooms: Rooms): Part {
  let store: SequenceFile | undefined;
  let unsubscribe = (): void => {};
  return {
    name: 'oscore',
    async start() {
      const { config, clock, random, registry, lookUps, sealer, security } = rooms;
      store = await SequenceFile.open(oscorePath(config.node.dataDir));
      const refused = security.oscoreRefused.bind(security);
      const contexts = new NodeOscoreContexts(config.security.oscore, { lookUps, box: sealer, store, clock, random, refused });
      unsubscribe = registry.subscribe((changes) => contexts.changed(changes));
      rooms.oscore = contexts;
    },
    async stop() {
      unsubscribe();
      await rooms.oscore.close();
      await store?.close();
    },
  };
}

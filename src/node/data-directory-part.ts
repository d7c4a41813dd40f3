import { resolve } from 'node:path';
import { makePrivateDirectory } from '../base/private-file.ts';
import { openDataDirectory } from '../store/data-directory.ts';
import type { Part } from './part.ts';
import type { Rooms } from './rooms.ts';

/** The place of everything durable; with store.kind memory, of users and keys alone. */
export function dataDirectoryPart({ config, clock }: Rooms): Part {
  const directory = resolve(config.node.dataDir);
  return {
    name: 'data directory',
    async start() {
      if (config.store.kind === 'memory') await makePrivateDirectory(directory);
      else await openDataDirectory(directory, { shards: config.store.shards, nowMs: clock.wallMs() });
    },
    stop() {},
  };
}

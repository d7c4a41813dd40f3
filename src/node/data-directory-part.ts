import { resolve } from 'node:path';
import { makePrivateDirectory } from '../base/private-file.ts';
import { openDataDirectory } from '../store/data-directory.ts';
import { lockDataDirectory, type DataLock } from './data-lock.ts';
import type { Part } from './part.ts';
import type { Rooms } from './rooms.ts';

/** The place of everything durable; with store.kind memory, of users and keys alone. Nobody else writes there while the node runs. */
export function dataDirectoryPart({ config, clock }: Rooms): Part {
  const directory = resolve(config.node.dataDir);
  let lock: DataLock | undefined;
  return {
    name: 'data directory',
    async start() {
      if (config.store.kind === 'memory') await makePrivateDirectory(directory);
      else await openDataDirectory(directory, { shards: config.store.shards, nowMs: clock.wallMs() });
      lock = await lockDataDirectory(directory, 'node');
    },
    stop: () => lock?.release(),
  };
}

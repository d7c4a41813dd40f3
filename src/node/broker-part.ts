import { resolve } from 'node:path';
import type { MetricSource } from '../base/metrics.ts';
import { UserError } from '../base/user-error.ts';
import { Broker } from '../broker/broker.ts';
import { shardPath } from '../store/data-directory.ts';
import { JournalError, type Journal } from '../store/journal.ts';
import { MemoryJournal } from '../store/memory/memory-journal.ts';
import { SqliteJournal } from '../store/sqlite/sqlite-journal.ts';
import { changeInPlace } from './change-in-place.ts';
import { LoopTimers } from './loop-timers.ts';
import type { RegistryError } from '../registry/registry.ts';
import { brokerLimits } from './options.ts';
import type { Part } from './part.ts';
import { RegistryQuotas } from './registry-quotas.ts';
import type { Rooms } from './rooms.ts';

/** The journals and the broker on them. Stopping writes what is left and lets go of the files. */
export function brokerPart(rooms: Rooms): Part {
  const limits = brokerLimits(rooms.config);
  let unsubscribe = (): void => {};
  return {
    name: 'broker',
    async start() {
      const { config, clock, random, log, loop, security } = rooms;
      if (config.store.kind === 'memory') log.warn('store.kind is memory: nothing survives the end of this process');
      const quotas = quotasOf(rooms);
      await quotas.load();
      const journals = Array.from({ length: config.store.shards }, (_, shard) => journal(rooms, shard));
      rooms.journals = journals;
      rooms.broker = new Broker({
        clock,
        turn: loop,
        timers: new LoopTimers(loop),
        log,
        security,
        random,
        limits,
        quotas,
        journals,
        onFailed: (error) => rooms.fatal(error),
      });
      const beganMs = performance.now();
      try {
        await rooms.broker.start();
      } catch (error) {
        await Promise.allSettled(journals.map((each) => each.close()));
        throw error instanceof JournalError ? inWords(error) : error;
      }
      unsubscribe = rooms.registry.subscribe((changes) => quotas.changed(changes));
      // What changed since they were read.
      void quotas.load();
      const rows = journals.reduce((sum, each) => sum + each.stats().rows, 0);
      log.info('recovered', { rows, sessions: rooms.broker.sessionCount, ms: Math.round(performance.now() - beganMs) });
    },
    stop() {
      unsubscribe();
      return rooms.broker.stop();
    },
    reload: (config) => {
      changeInPlace(limits, brokerLimits(config));
      rooms.loop.enterTurn();
      rooms.broker.refreshQueueSettings();
    },
  };
}

function quotasOf(rooms: Rooms): RegistryQuotas {
  const refresh = (): void => {
    if (rooms.broker?.state !== 'serving') return;
    rooms.loop.enterTurn();
    rooms.broker.refreshQuotas();
  };
  const failed = ({ code, message }: RegistryError): void => rooms.log.warn('quotas cannot be read', { code, reason: message });
  return new RegistryQuotas(rooms.registry, refresh, failed);
}

function journal({ config }: Rooms, shard: number): Journal & MetricSource {
  const { kind, shards: _, ...tuning } = config.store;
  if (kind === 'memory') return new MemoryJournal({ shard });
  return new SqliteJournal({ path: shardPath(resolve(config.node.dataDir), shard), shard, ...tuning });
}

function inWords(error: JournalError): UserError {
  return new UserError(`The stored data cannot be opened: ${error.message}`, { where: error.where, fix: fixes[error.code], cause: error });
}

const fixes: Readonly<Record<JournalError['code'], string>> = {
  locked: 'stop the other broker on this data, or give this one its own with --data DIR',
  full: 'free some space on this disk',
  io: 'look at the state of the disk, and at the rights of the directory and its files',
  corrupt: 'run "heliograph data check"; put the last backup of the data directory in its place',
  missing: 'run "heliograph data check"; put the last backup of the data directory in its place',
  version: 'start the version of Heliograph that wrote it',
};

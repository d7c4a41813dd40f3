import { count, flag, milliseconds, section } from '../fields.ts';

export const adminSection = section(
  {
    localAccess: flag(
      { default: true },
      'Commands on this machine (status, trace) need no password when they may read the data directory: a token lies there, new at each start.',
    ),
    systemTopicsMs: milliseconds({ default: 10_000, min: 0, max: 3_600_000 }, 'How often the topics below $SYS/broker/ are set. 0: never.'),
    traceWatchers: count({ default: 16, min: 0, max: 1000 }, 'Clients that are watched at a time.'),
    traceLinesPerSecond: count({ default: 1000, min: 1, max: 100_000 }, 'Packets a second that one watcher is shown.'),
    traceLineLength: count({ default: 4096, min: 80, max: 65_536 }, 'Characters shown of one packet.'),
  },
  'Being seen from outside. Where the management interface listens is among the listeners.',
);

import { count, flag, milliseconds, section } from '../fields.ts';

export const adminSection = section(
  {
    localAccess: flag(
      { default: true },
      'Commands on this machine (status, trace) need no password when they may read the data directory: a token lies there, new at each start.',
    ),
    requestsPerSecond: count(
      { default: 200, min: 1, max: 100_000, live: true },
      'Requests a second to /api/v1 that one principal, and one address, may make; a burst may be twice as many.',
    ),
    separationOfDuties: flag(
      { default: false, live: true },
      'true: what changes the certificate authority, policies, roles or who has them waits until a second person has approved it.',
    ),
    approvalExpiryMs: milliseconds(
      { default: 86_400_000, min: 60_000, max: 2_592_000_000, live: true },
      'With separation of duties: how long a change waits for the second person.',
    ),
    systemTopicsMs: milliseconds({ default: 10_000, min: 0, max: 3_600_000 }, 'How often the topics below $SYS/broker/ are set. 0: never.'),
    traceWatchers: count({ default: 16, min: 0, max: 1000 }, 'Clients that are watched at a time.'),
    traceLinesPerSecond: count({ default: 1000, min: 1, max: 100_000 }, 'Packets a second that one watcher is shown.'),
    traceLineLength: count({ default: 4096, min: 80, max: 65_536 }, 'Characters shown of one packet.'),
  },
  'Being seen from outside. Where the management interface listens is among the listeners.',
);

import { bytes, choice, count, milliseconds, optional, section, seconds, text } from '../fields.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export const auditSection = section(
  {
    segmentBytes: bytes({ default: 16 * MiB, min: 4 * KiB, max: 1024 * MiB }, 'A file of the log that has grown to this is ended.'),
    sealMs: milliseconds({ default: 5000, min: 10, max: 3_600_000 }, 'At most so long after an entry the log is signed.'),
    maxPending: count(
      { default: 10_000, min: 100, max: 1_000_000 },
      'Entries held in memory while the disk does not take them; what comes then is lost, and the log says how much.',
    ),
    retentionSec: seconds({ default: 0, min: 0, max: 3_153_600_000 }, 'Files whose entries are all older are removed. 0: never.'),
    syslog: section(
      {
        transport: choice(['none', 'tls', 'tcp'], { default: 'none' }, 'Sends every entry to a syslog server, too (RFC 5424).'),
        host: text({ default: 'localhost', maxLength: 255 }, 'The server.'),
        port: count({ default: 6514, min: 1, max: 65_535 }, 'Its port.'),
        caFile: optional(
          text({ example: '/etc/heliograph/syslog-ca.pem' }, 'PEM: who may certify the server. Absent: the authorities of the system.'),
        ),
        maxWaiting: count(
          { default: 10_000, min: 1, max: 1_000_000 },
          'Entries that wait for the server; beyond it they stand on the disk only.',
        ),
        retryMs: milliseconds({ default: 5000, min: 10, max: 600_000 }, 'Before a lost connection is made again.'),
      },
      'Where the log goes besides the disk.',
    ),
  },
  'The audit log, in the directory audit of the data directory: who did what. Hash-chained and signed.',
);

import { bytes, choice, count, milliseconds, section } from '../fields.ts';

const MiB = 1024 * 1024;

export const storeSection = section(
  {
    kind: choice(
      ['sqlite', 'memory'],
      { default: 'sqlite' },
      'sqlite: what is acknowledged is on the disk. memory: everything is lost at the end; for tests.',
    ),
    shards: count(
      { default: 1, min: 1, max: 64 },
      'Journals that durable queues are spread over. Fixed when the data directory is created.',
    ),
    retryMs: milliseconds(
      { default: 250, min: 10, max: 60_000 },
      'Before a commit that the disk refused is tried again; doubles up to eight times that.',
    ),
    maxTransactionBytes: bytes({ default: 8 * MiB, min: 64 * 1024, max: 1024 * MiB }, 'What one transaction takes, about.'),
    walBytes: bytes(
      { default: 16 * MiB, min: MiB, max: 1024 * MiB },
      'What the write-ahead log may hold before it is moved into the main file.',
    ),
    idleMs: milliseconds({ default: 1000, min: 10, max: 3_600_000 }, 'Time without a commit after which space is tidied up.'),
  },
  'Durable state.',
);

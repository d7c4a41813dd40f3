import { choice, count, section } from '../fields.ts';

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
  },
  'Durable state.',
);

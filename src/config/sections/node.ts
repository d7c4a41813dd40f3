import { milliseconds, section, text } from '../fields.ts';

export const nodeSection = section(
  {
    name: text(
      { default: 'heliograph', maxLength: 63, pattern: '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$', shape: 'lower-case letters, digits and hyphens' },
      'Names this node in logs, metrics and its generated certificate.',
    ),
    dataDir: text({ default: './data' }, 'Where everything durable lives. A relative path starts at the working directory.'),
    shutdownTimeoutMs: milliseconds(
      { default: 10_000, min: 100, max: 600_000, live: true },
      'After SIGTERM or SIGINT: how long connections may take to finish before they are cut.',
    ),
  },
  'This process.',
);

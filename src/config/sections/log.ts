import { choice, section } from '../fields.ts';

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;

export const logSection = section(
  {
    level: choice([...logLevels], { default: 'info', live: true }, 'The least important line that is still written.'),
    format: choice(
      ['auto', 'json', 'pretty'],
      { default: 'auto' },
      'JSON lines, or lines for people; auto: for people on a terminal, else JSON.',
    ),
  },
  'The log goes to standard error. There is never a line per message, and never a secret.',
);

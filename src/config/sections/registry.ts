import { choice, count, milliseconds, optional, section, text } from '../fields.ts';

export const registrySection = section(
  {
    kind: choice(
      ['sqlite', 'postgres'],
      { default: 'sqlite' },
      'sqlite: the file registry.db in the data directory. postgres: a server that several nodes can share.',
    ),
    urlFile: optional(
      text(
        { example: '/etc/heliograph/registry.url' },
        'Only with postgres: a file, readable by this process only, that holds postgresql://user:password@host:port/database. Another machine is spoken to by TLS, unless the address says otherwise (sslmode).',
      ),
    ),
    caFile: optional(
      text(
        { example: '/etc/heliograph/postgres-ca.pem' },
        'Only with postgres: PEM of who vouches for the server. Absent: the authorities of the system.',
      ),
    ),
    schema: text(
      { default: 'heliograph', maxLength: 63, pattern: '^[a-z_][a-z0-9_]*$', shape: 'lower-case letters, digits and underscores' },
      'Only with postgres: the schema that holds the tables; it is made if it is not there.',
    ),
    connections: count({ default: 4, min: 1, max: 100 }, 'Only with postgres: connections to the server, besides one to listen on.'),
    cacheEntries: count(
      { default: 100_000, min: 0, max: 10_000_000 },
      'Only with postgres: answers that are remembered for connecting peers, about 500 bytes each. What changes is dropped at once.',
    ),
    cacheMaxAgeMs: milliseconds(
      { default: 60_000, min: 0, max: 3_600_000 },
      'Only with postgres: how long an answer is believed when the server cannot tell of changes.',
    ),
  },
  'Who may exist on this broker: tenants, devices, applications, users, their credentials and certificates.',
);

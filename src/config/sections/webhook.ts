import { defaultTenant } from '../../message/names.ts';
import { bytes, choice, count, list, milliseconds, optional, section, text } from '../fields.ts';

const name = (description: string) => text({ maxLength: 128 }, description);

export const webhookSection = section(
  {
    url: optional(
      text(
        { maxLength: 2048, example: 'https://accounts.example.com/mqtt' },
        'Address that is asked (POST, JSON): https, or http on this machine. Absent: nobody is asked.',
      ),
    ),
    authorizationFile: optional(text({}, 'A file with what is sent as "authorization", such as "Bearer …".')),
    timeoutMs: milliseconds({ default: 5_000, min: 100, max: 60_000 }, 'How long it is waited for.'),
    maxAnswerBytes: bytes({ default: 16 * 1024, min: 256, max: 1024 * 1024 }, 'Largest answer.'),
    concurrency: count({ default: 64, min: 1, max: 10_000 }, 'Questions under way; who comes then is told that the server is busy.'),
    failures: count({ default: 5, min: 1, max: 1_000_000 }, 'Failures in a row after which it is not asked for pauseMs.'),
    pauseMs: milliseconds({ default: 10_000, min: 100, max: 3_600_000 }, 'Then one question tries whether it answers again.'),
    maxCacheMs: milliseconds(
      { default: 60_000, min: 0, max: 86_400_000 },
      'Longest that an answer is believed when it allows that by cacheSec. Who is shut out there may come in here for so long. 0: never.',
    ),
    cacheEntries: count({ default: 10_000, min: 0, max: 1_000_000 }, 'Answers that are remembered, about 500 bytes each.'),
    kind: optional(choice(['device', 'application', 'user'], {}, 'What its peers are. Absent: what the registry says, else applications.')),
    tenant: text({ default: defaultTenant, maxLength: 128 }, 'Tenant of its peers, where the answer names none.'),
    tenants: list(name('A tenant.'), { max: 1000 }, 'Other tenants that an answer may name.'),
    grantable: optional(
      list(
        name('A role.'),
        { max: 1000 },
        'Roles that an answer may grant. Absent: all but those of management (admin, operator, security-officer, viewer).',
      ),
    ),
  },
  'A service of your own that knows who peers are.',
);

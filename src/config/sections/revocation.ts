import { bytes, count, flag, milliseconds, section } from '../fields.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

const foreign = section(
  {
    certificateUrls: flag(
      { default: true },
      'Whether the addresses that certificates themselves name are asked, too, besides those of the authority’s entry.',
    ),
    privateAddresses: flag(
      { default: false },
      'Whether addresses of this machine and of private networks may be asked. Without it nobody who registers an authority can make this node send requests into your network.',
    ),
    timeoutMs: milliseconds({ default: 3000, min: 100, max: 60_000 }, 'For one request. A handshake that needs the answer waits for it.'),
    maxBytes: bytes({ default: 16 * MiB, min: 64 * KiB, max: 256 * MiB }, 'Largest list that is taken.'),
    maxEntries: count({ default: 500_000, min: 1000, max: 10_000_000 }, 'Most entries of a list that is taken. Each takes 30 to 60 bytes.'),
    maxLists: count({ default: 100, min: 1, max: 10_000 }, 'Lists that are kept.'),
    maxAnswers: count({ default: 10_000, min: 0, max: 1_000_000 }, 'Answers of OCSP that are kept.'),
    maxRequests: count({ default: 16, min: 1, max: 1000 }, 'Requests under way at a time.'),
    maxAgeMs: milliseconds(
      { default: 86_400_000, min: 60_000, max: 2_592_000_000 },
      'A list or an answer is asked for again after this time, even if it says that it is good for longer.',
    ),
    retryMs: milliseconds({ default: 30_000, min: 100, max: 3_600_000 }, 'After a failure an address is left alone for this time.'),
  },
  'Authorities that are not ours.',
);

export const revocationSection = section(
  {
    crlIntervalMs: milliseconds(
      { default: 3_600_000, min: 10_000, max: 2_592_000_000 },
      'Between regular lists of each own authority. After a revocation there is one within two seconds.',
    ),
    crlValidityMs: milliseconds(
      { default: 86_400_000, min: 60_000, max: 7_776_000_000 },
      'How long a list is good: the time in which others do without this node.',
    ),
    crlEntries: count({ default: 1_000_000, min: 1000, max: 10_000_000 }, 'Most revoked certificates on a list.'),
    ocspValidityMs: milliseconds({ default: 300_000, min: 10_000, max: 604_800_000 }, 'How long an answer of OCSP is good.'),
    ocspCacheEntries: count({ default: 10_000, min: 0, max: 1_000_000 }, 'Answers that are kept and given again. About 500 bytes each.'),
    ocspSigning: count({ default: 64, min: 1, max: 10_000 }, 'Answers being signed at a time; more are told to come later.'),
    ocspRequestBytes: bytes({ default: 4 * KiB, min: 512, max: 64 * KiB }, 'Largest question.'),
    connections: count({ default: 256, min: 1, max: 100_000 }, 'Most connections of a listener of kind pki.'),
    requestsPerSecond: count({ default: 1000, min: 1, max: 1_000_000 }, 'Requests that listeners of kind pki answer a second.'),
    requestsPerSecondPerAddress: count({ default: 100, min: 1, max: 1_000_000 }, 'And from one address.'),
    requireClientUsage: flag(
      { default: true, live: true },
      'Whether certificates of other authorities, too, must say that they are for TLS clients (extended key usage clientAuth). false: those that do not say what they are for are taken.',
    ),
    pathCacheEntries: count(
      { default: 10_000, min: 100, max: 1_000_000 },
      'Client certificates whose authorities are remembered. About 3 KiB each; the others cost a signature check at each handshake.',
    ),
    warnDays: count({ default: 30, min: 1, max: 365, live: true }, 'Days before its end from which an expiring certificate is warned of.'),
    registrationsPerMinute: count(
      { default: 600, min: 1, max: 1_000_000 },
      'Devices that are added just in time, by certificates of authorities that are registered for it.',
    ),
    foreign,
  },
  'Which certificates are taken no more, how others learn of it, and whom this node asks.',
);

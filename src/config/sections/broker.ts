import { bytes, choice, count, milliseconds, seconds, section, text } from '../fields.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

type QueueDefaults = { maxMessages: number; maxBytes: number; onFull: 'reject-new' | 'drop-oldest' | 'drop-new' };

function queue(defaults: QueueDefaults, description: string) {
  return section(
    {
      maxMessages: count({ default: defaults.maxMessages, min: 1, max: 1e9, live: true }, 'Most messages that wait.'),
      maxBytes: bytes(
        { default: defaults.maxBytes, min: 1 * KiB, max: 1024 * GiB, live: true },
        'Most bytes that wait: topics, payloads and what keeping them costs.',
      ),
      onFull: choice(
        ['reject-new', 'drop-oldest', 'drop-new'],
        { default: defaults.onFull, live: true },
        'When full: the publisher is refused (reject-new), the oldest waiting message makes room, or the new one is dropped. The last two are counted as losses by policy.',
      ),
    },
    description,
  );
}

export const brokerSection = section(
  {
    durableInbox: queue(
      { maxMessages: 100_000, maxBytes: 256 * MiB, onFull: 'reject-new' },
      'Inboxes of sessions that outlive their connection. reject-new keeps the promise; a forgotten session can then hold up its publishers.',
    ),
    transientInbox: queue(
      { maxMessages: 10_000, maxBytes: 64 * MiB, onFull: 'drop-oldest' },
      'Inboxes of sessions that end with their connection.',
    ),
    sharedQueue: queue({ maxMessages: 1_000_000, maxBytes: GiB, onFull: 'reject-new' }, 'Queues of shared subscriptions.'),
    namedQueue: queue({ maxMessages: 1_000_000, maxBytes: GiB, onFull: 'reject-new' }, 'Queues addressed by name.'),
    delayedQueue: queue(
      { maxMessages: 1_000_000, maxBytes: GiB, onFull: 'reject-new' },
      'Messages of one tenant that are to be delivered later.',
    ),
    maxDeliveries: count(
      { default: 10, min: 0, max: 65_535, live: true },
      'How often delivering a message of a named or shared queue may fail; then it is dead. 0: as often as it does. queues may say otherwise.',
    ),
    deadLetterQueue: text(
      { default: 'dead-letter', minLength: 0, maxLength: 1024, live: true },
      'Where dead messages of named and shared queues go: a named queue of the same tenant. Empty: they are dropped, counted. queues may say otherwise.',
    ),
    maxTemporaryQueuesPerPrincipal: count(
      { default: 1000, min: 0, max: 1_000_000, live: true },
      'Most temporary queues and topics of one principal, such as AMQP clients make for the answers to their requests.',
    ),
    maxSessions: count({ default: 1_000_000, min: 1, max: 100_000_000, live: true }, 'Most sessions, connected or not.'),
    maxSessionsPerPrincipal: count(
      { default: 100_000, min: 1, max: 100_000_000, live: true },
      'Most sessions of one principal, connected or not. Where each device has its own account, a few are enough.',
    ),
    maxSubscriptionsPerSession: count({ default: 10_000, min: 1, max: 10_000_000, live: true }, 'Most filters a session may subscribe to.'),
    maxSharedQueues: count({ default: 10_000, min: 0, max: 10_000_000, live: true }, 'Most shared subscriptions (group and filter).'),
    maxNamedQueues: count({ default: 10_000, min: 0, max: 10_000_000, live: true }, 'Most queues addressed by name.'),
    maxRetainedMessages: count({ default: 1_000_000, min: 0, max: 1e9, live: true }, 'Most retained messages.'),
    maxRetainedBytes: bytes({ default: GiB, min: 0, max: 1024 * GiB, live: true }, 'Most bytes of payload in retained messages.'),
    maxTopicLevels: count({ default: 32, min: 1, max: 65_535 }, 'Most levels in a topic or filter.'),
    maxSessionExpirySec: seconds(
      { default: 7 * 86_400, min: 0, max: 0xffff_ffff, live: true },
      'Longest life of a session without connection; a longer wish is shortened. 4294967295: for ever.',
    ),
    maxWillDelayMs: milliseconds(
      { default: 86_400_000, min: 0, max: 31_536_000_000, live: true },
      'Longest will delay; a longer one is shortened.',
    ),
    payloadMemoryBytes: bytes(
      { default: 256 * MiB, min: MiB, max: 1024 * GiB },
      'Payloads of queued and retained messages that are held in memory; beyond it they are read from the journal when needed.',
    ),
    transientMemoryBytes: bytes(
      { default: 256 * MiB, min: MiB, max: 1024 * GiB, live: true },
      'Messages that wait for sessions which end with their connection, and so only in memory; beyond it new ones are dropped, counted.',
    ),
    maxUncommittedBytes: bytes(
      { default: 64 * MiB, min: MiB, max: 16 * GiB, live: true },
      'Bytes handed to the journal and not yet durable, above which publishers are held back.',
    ),
    checkpointBytes: bytes(
      { default: 64 * MiB, min: MiB, max: 1024 * GiB, live: true },
      'A checkpoint is written when this much was appended since the last, or twice the last one if that is more. Less means a quicker restart.',
    ),
    expirySweepMs: milliseconds(
      { default: 10_000, min: 10, max: 3_600_000, live: true },
      'How often waiting messages are searched for expired ones.',
    ),
    replies: section(
      {
        maxPerPrincipal: count(
          { default: 1000, min: 0, max: 1_000_000, live: true },
          'Most requests of one principal that it may still answer; beyond it the oldest is forgotten.',
        ),
        max: count({ default: 100_000, min: 0, max: 100_000_000, live: true }, 'Most of all principals together. About 200 bytes each.'),
        lifetimeMs: milliseconds(
          { default: 300_000, min: 0, max: 86_400_000, live: true },
          'How long a request may be answered. 0: nobody may answer without a right of its own.',
        ),
      },
      'Who was asked may answer once, to the address that the request names, without a right of its own (docs/mapping.md).',
    ),
    transactions: section(
      {
        maxOpenPerPrincipal: count(
          { default: 100, min: 0, max: 1_000_000, live: true },
          'Most transactions that one principal may have open, or on their way into the journal. 0: none are possible.',
        ),
        maxMessages: count({ default: 10_000, min: 1, max: 1_000_000, live: true }, 'Most messages and settlements in one transaction.'),
        maxBytes: bytes(
          { default: 32 * MiB, min: 1 * KiB, max: 64 * MiB, live: true },
          'Most bytes of messages in one transaction: they wait in memory, and are written into one row of the journal.',
        ),
        timeoutMs: milliseconds(
          { default: 60_000, min: 100, max: 86_400_000, live: true },
          'A transaction that is open for longer is rolled back.',
        ),
      },
      'Messages and settlements that happen together or not at all.',
    ),
  },
  'Sessions, queues and retained messages.',
);

import { bytes, choice, count, flag, list, optional, seconds, section, text } from '../fields.ts';

const KiB = 1024;
const GiB = 1024 * 1024 * KiB;

const live = true;

const queue = section(
  {
    match: text(
      { maxLength: 65_535, live, example: 'orders/#' },
      'Names of queues, in the grammar of MQTT filters: a named queue as it is called (orders), a shared one with $share/, its group and its filter in front. The first entry that matches a queue is the one that counts.',
    ),
    maxMessages: optional(
      count({ min: 1, max: 1e9, live }, 'Most messages that wait. As for its kind in broker when absent; so for the next two.'),
    ),
    maxBytes: optional(bytes({ min: KiB, max: 1024 * GiB, live }, 'Most bytes that wait.')),
    onFull: optional(choice(['reject-new', 'drop-oldest', 'drop-new'], { live }, 'When full: see broker.namedQueue.onFull.')),
    priorities: optional(
      flag(
        { default: true, live },
        'Messages of higher priority first, each priority in its order. false: all in the order in which they came. True when absent.',
      ),
    ),
    maxDeliveries: optional(
      count(
        { min: 0, max: 65_535, live },
        'How often delivering a message may fail; then it is dead. 0: as often as it does. As broker.maxDeliveries when absent.',
      ),
    ),
    deadLetterQueue: optional(
      text(
        { minLength: 0, maxLength: 1024, live, example: 'orders-dead' },
        'Named queue for dead messages. Empty: they are dropped, counted. As broker.deadLetterQueue when absent.',
      ),
    ),
    deadLetterExpired: optional(
      flag({ default: false, live }, 'true: what expires is dead, too. False when absent: it is dropped, counted.'),
    ),
    singleActive: optional(
      flag(
        { default: false, live },
        'true: one consumer at a time gets the messages, and the next one takes over when it goes. False when absent.',
      ),
    ),
    defaultExpirySec: optional(
      seconds({ min: 0, max: 0xffff_ffff, live }, 'Lifetime of messages that come to named queues without one. 0, or absent: none.'),
    ),
    durable: optional(
      flag(
        { default: true },
        'false: the messages are in memory only, and gone with the node; publishers are told they are accepted all the same. For queues that are made from then on. True when absent.',
      ),
    ),
  },
  'Settings of some queues.',
);

export const queuesSection = list(queue, { max: 10_000, live }, 'Settings of named and shared queues, by their names.');

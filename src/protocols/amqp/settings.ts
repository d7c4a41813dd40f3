// The section `amqp` of the configuration.

import { bytes, choice, count, flag, list, milliseconds, section, type SettingsOf } from '../../config/fields.ts';
import { maxSessionExpiryMs, type SettingsProblem, type SharedSettings } from '../protocol-kind.ts';
import { type AmqpOptions, saslMechanisms } from './options.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export const amqpSettings = section(
  {
    connectTimeoutMs: milliseconds(
      { default: 10_000, min: 100, max: 600_000 },
      'From the opened connection to the answered open. Stops connections that are held open without credentials.',
    ),
    maxFrameBytes: bytes(
      { default: 128 * KiB, min: 512, max: 16 * MiB },
      'Largest frame taken from a peer, and largest one sent. Larger messages come in several.',
    ),
    maxConnectFrameBytes: bytes(
      { default: 32 * KiB, min: 512, max: 16 * MiB },
      'Largest frame taken before the peer is authenticated; a token must fit. Stops strangers from filling memory.',
    ),
    maxEarlyBytes: bytes({ default: 64 * KiB, min: 0, max: 16 * MiB }, 'Most bytes kept of what a peer sends before its open is answered.'),
    maxMessageBytes: bytes(
      { default: 16 * MiB, min: KiB, max: 1024 * MiB, live: true },
      'Largest message taken, all its frames together. Peers are told when they attach a link.',
    ),
    maxIncompleteBytes: bytes(
      { default: 64 * MiB, min: KiB, max: 4096 * MiB, live: true },
      'Most bytes kept of messages of one connection of which not all frames have come. One message may always take maxMessageBytes.',
    ),
    channelMax: count({ default: 255, min: 0, max: 65_535 }, 'Highest channel number: each session of a connection takes one.'),
    handleMax: count({ default: 4095, min: 0, max: 0xffff_ffff }, 'Highest link handle: each link of a session takes one.'),
    maxLinks: count({ default: 4096, min: 1, max: 1_000_000, live: true }, 'Most links of one connection, over all its sessions.'),
    idleTimeoutMs: milliseconds(
      { default: 120_000, min: 0, max: 86_400_000 },
      'A peer that is silent for longer is taken for lost; it is told half of it. At least 1s. 0: no bound.',
    ),
    minPeerIdleTimeoutMs: milliseconds(
      { default: 500, min: 0, max: 600_000 },
      'Shortest idle time-out that a peer may ask of the broker. A shorter one is refused: it would cost an empty frame at every turn.',
    ),
    incomingWindow: count(
      { default: 2048, min: 1, max: 0x7fff_ffff },
      'Transfer frames that a peer may send in one session before it hears of the broker.',
    ),
    linkCredit: count({ default: 1000, min: 1, max: 65_535, live: true }, 'Deliveries that a sending link is granted at a time.'),
    maxUnsettledPerLink: count(
      { default: 5000, min: 1, max: 65_535 },
      'Most deliveries of one link that may be unsettled at a time, in either direction.',
    ),
    saslMechanisms: list(
      choice([...saslMechanisms], {}, 'A SASL mechanism.'),
      { min: 1, max: saslMechanisms.length, default: [...saslMechanisms], example: ['EXTERNAL', 'SCRAM-SHA-256'] },
      'What may be offered, in this order, within what the listener accepts (authentication).',
    ),
    cbs: flag(
      { default: false, live: true },
      'Clients of Azure: after SASL ANONYMOUS a peer may prove by a token on $cbs who it is, where a listener accepts jwt and not anonymous. Until then it has no rights, and as long as connectTimeoutMs.',
    ),
    plainAddress: choice(
      ['topic', 'queue'],
      { default: 'topic', live: true },
      'What an address without topic: or queue: in front and without capability names.',
    ),
    hostnameIsTenant: flag(
      { default: false },
      'The hostname that a peer gives in sasl-init names the tenant of accounts without one that come by PLAIN.',
    ),
    maxContainerIdBytes: bytes({ default: 256, min: 36, max: 4096 }, 'Longest container id.'),
    maxLinkNameBytes: bytes({ default: 1024, min: 36, max: 8192 }, 'Longest name of a link.'),
    maxOutputBytes: bytes(
      { default: 4 * MiB, min: 64 * KiB, max: 1024 * MiB },
      'Above so many unsent bytes a peer loses settled deliveries, counted, and nothing more is read from it.',
    ),
    topicCacheEntries: count(
      { default: 64, min: 1, max: 65_536 },
      'Most addresses whose check and route a link without target (anonymous terminus) remembers. A power of two.',
    ),
    maxTopicBytes: bytes({ default: 1024, min: 1, max: 65_535 }, 'Longest topic or filter.'),
  },
  'AMQP 1.0.',
);

export function amqpOptions(amqp: SettingsOf<typeof amqpSettings>, shared: SharedSettings): AmqpOptions {
  return {
    ...amqp,
    containerId: shared.node.name,
    maxLinkExpiryMs: maxSessionExpiryMs(shared),
    maxTopicLevels: shared.broker.maxTopicLevels,
    outputHighWaterBytes: shared.net.outputHighWaterBytes,
  };
}

export function* amqpProblems({ idleTimeoutMs }: SettingsOf<typeof amqpSettings>): Generator<SettingsProblem> {
  if (idleTimeoutMs > 0 && idleTimeoutMs < 1000) {
    yield { path: 'amqp.idleTimeoutMs', what: `${idleTimeoutMs} ms is too short for any peer`, fix: 'use at least 1s, or 0 for no bound' };
  }
}

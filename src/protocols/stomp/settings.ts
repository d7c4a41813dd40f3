// The section `stomp` of the configuration.

import { bytes, count, milliseconds, section, type SettingsOf } from '../../config/fields.ts';
import { maxSessionExpiryMs, type SharedSettings } from '../protocol-kind.ts';
import type { StompOptions } from './options.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export const stompSettings = section(
  {
    connectTimeoutMs: milliseconds(
      { default: 10_000, min: 100, max: 600_000 },
      'From the opened connection to CONNECTED. Stops connections that are held open without credentials.',
    ),
    maxHeadBytes: bytes({ default: 16 * KiB, min: 256, max: MiB }, 'Most bytes of the command and the headers of a frame.'),
    maxHeaders: count({ default: 100, min: 10, max: 10_000 }, 'Most headers of a frame.'),
    maxBodyBytes: bytes({ default: MiB, min: 128, max: 1024 * MiB, live: true }, 'Largest body of a frame.'),
    maxConnectBytes: bytes(
      { default: 8 * KiB, min: 256, max: MiB },
      'Most bytes of the headers of CONNECT; a token must fit. Stops strangers from filling memory.',
    ),
    maxEarlyBytes: bytes(
      { default: 256 * KiB, min: 0, max: 16 * MiB },
      'Most bytes kept of what a client sends before CONNECT or a SUBSCRIBE is answered.',
    ),
    maxSubscriptions: count({ default: 100, min: 1, max: 65_535, live: true }, 'Most subscriptions of one connection.'),
    maxUnacknowledged: count(
      { default: 1000, min: 1, max: 65_535 },
      'Most messages of one subscription that wait for an ACK at a time; a client may ask for fewer by the header prefetch-count.',
    ),
    maxWaiting: count(
      { default: 1000, min: 1, max: 65_535, live: true },
      'Most frames of one client that wait to be durable. Beyond them nothing more is read from it.',
    ),
    maxTransactions: count(
      { default: 16, min: 1, max: 65_535, live: true },
      'Most transactions of one connection that are open at a time.',
    ),
    heartBeatMs: milliseconds(
      { default: 10_000, min: 100, max: 3_600_000 },
      'How often the broker wants to hear of its clients, and can let them hear of itself. A client that asks for less gets less.',
    ),
    maxOutputBytes: bytes(
      { default: 4 * MiB, min: 64 * KiB, max: 1024 * MiB },
      'Above so many unsent bytes a client loses messages that are delivered at most once, counted, and nothing more is read from it.',
    ),
    maxClientIdBytes: bytes({ default: 256, min: 23, max: 4096 }, 'Longest client-id, and longest id of a subscription or transaction.'),
    topicCacheEntries: count({ default: 64, min: 1, max: 65_536 }, 'Most destinations whose check and route a connection remembers.'),
    maxTopicBytes: bytes({ default: 1024, min: 1, max: 65_535 }, 'Longest topic or filter.'),
  },
  'STOMP 1.0, 1.1 and 1.2.',
);

export function stompOptions(stomp: SettingsOf<typeof stompSettings>, shared: SharedSettings): StompOptions {
  return {
    ...stomp,
    maxSubscriptionExpiryMs: maxSessionExpiryMs(shared),
    maxTopicLevels: shared.broker.maxTopicLevels,
    outputHighWaterBytes: shared.net.outputHighWaterBytes,
  };
}

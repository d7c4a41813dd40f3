// The section `http` of the configuration, and what is made of it.

import { bytes, count, list, milliseconds, section, seconds, text, type SettingsOf } from '../../config/fields.ts';
import type { SharedSettings } from '../protocol-kind.ts';
import type { HttpOptions } from './options.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

export const httpSettings = section(
  {
    maxBodyBytes: bytes({ default: MiB, min: KiB, max: 256 * MiB, live: true }, 'Largest payload of a message.'),
    maxBatchBytes: bytes({ default: 8 * MiB, min: KiB, max: 1024 * MiB, live: true }, 'Largest body of a batch.'),
    maxBatchMessages: count({ default: 1000, min: 1, max: 100_000, live: true }, 'Most messages of a batch.'),
    maxOpenRequests: count(
      { default: 128, min: 1, max: 10_000, live: true },
      'Requests of one connection that may wait for their answers; one more ends it. Stops floods of pipelined requests.',
    ),
    maxStreams: count({ default: 20_000, min: 1, max: 10_000_000, live: true }, 'Most event streams at a time.'),
    maxFilters: count({ default: 64, min: 1, max: 10_000, live: true }, 'Most filters of one event stream.'),
    heartbeatMs: milliseconds(
      { default: 15_000, min: 0, max: hour, live: true },
      'A stream that was silent for so long gets a comment, which keeps proxies from closing it. 0: never.',
    ),
    stallMs: milliseconds({ default: 60_000, min: 1000, max: day, live: true }, 'A stream whose peer takes nothing for so long is cut.'),
    retryMs: milliseconds({ default: 1000, min: 0, max: hour, live: true }, 'How long browsers wait before they come back to a stream.'),
    subscriptionWindow: count(
      { default: 1000, min: 1, max: 65_535, live: true },
      'Events of a named subscription that may be unacknowledged; then its stream ends, and its peer comes back with the last id.',
    ),
    subscriptionExpiryMs: milliseconds(
      { default: day, min: 1000, max: 365 * day, live: true },
      'How long a named subscription waits for its peer, when the peer does not say.',
    ),
    maxWaitMs: milliseconds(
      { default: 5 * minute, min: 100, max: day, live: true },
      'Longest wait for a message of a queue, or for a reply.',
    ),
    leaseMs: milliseconds(
      { default: 30_000, min: 100, max: day, live: true },
      'How long a received message of a queue is its receiver’s, when that does not say.',
    ),
    maxLeaseMs: milliseconds({ default: hour, min: 100, max: 7 * day, live: true }, 'Longest lease.'),
    maxLeases: count({ default: 1000, min: 1, max: 65_535 }, 'Messages of one queue that one principal may have leased.'),
    maxQueueConsumers: count({ default: 10_000, min: 1, max: 1_000_000, live: true }, 'Pairs of principal and queue consumed at a time.'),
    maxReceive: count({ default: 100, min: 1, max: 10_000, live: true }, 'Most messages of one answer of a queue.'),
    idempotencyMs: milliseconds(
      { default: 10 * minute, min: 1000, max: 7 * day, live: true },
      'How long an Idempotency-Key is remembered: the same key is published once.',
    ),
    maxIdempotencyKeys: count({ default: 50_000, min: 1, max: 65_535, live: true }, 'Idempotency-Keys of one principal.'),
    maxIdempotentPrincipals: count(
      { default: 10_000, min: 1, max: 1_000_000, live: true },
      'Principals that use Idempotency-Keys at a time.',
    ),
    corsOrigins: list(
      text({ pattern: '^https?://[^/]+$', shape: 'an origin such as https://example.com', maxLength: 255 }, 'An origin.'),
      { max: 100, example: ['https://app.example.com'], live: true },
      'Origins of the web pages that may use the API, in lower case; https://example.com:* is any port. Empty: only pages of its own origin.',
    ),
    corsMaxAgeSec: seconds({ default: 600, min: 0, max: 86_400, live: true }, 'How long a browser may remember what it may send.'),
    maxRequestsPerConnection: count(
      { default: 100_000, min: 1, max: 1_000_000_000 },
      'Requests on one connection, which is closed after the last. Spreads what clients keep open.',
    ),
    maxHeaderBytes: bytes({ default: 16 * KiB, min: KiB, max: MiB }, 'Largest headers of a request, all together.'),
    headersTimeoutMs: milliseconds(
      { default: 20_000, min: 100, max: 10 * minute },
      'From the first byte of a request to the end of its headers. Stops peers that say a byte now and then.',
    ),
    requestTimeoutMs: milliseconds({ default: minute, min: 100, max: hour }, 'From the first byte of a request to the end of its body.'),
    idleTimeoutMs: milliseconds({ default: minute, min: 100, max: day }, 'A connection without a request for so long is closed.'),
    answerTimeoutMs: milliseconds(
      { default: minute, min: 100, max: hour },
      'How long a peer may take to accept an answer, besides a second for each 16 KiB of it. One that needs longer is cut: it holds memory.',
    ),
    maxUnfinishedBytes: bytes(
      { default: 32 * MiB, min: KiB, max: 4096 * MiB },
      'Bodies of which not all has come may hold so much on one connection; a request beyond is reset. Stops HTTP/2 peers that begin many.',
    ),
    maxStreamsPerConnection: count({ default: 128, min: 1, max: 10_000 }, 'HTTP/2: requests at a time on one connection.'),
  },
  'The HTTP API.',
);

export function httpOptions(settings: SettingsOf<typeof httpSettings>, { net }: SharedSettings): HttpOptions {
  const { maxRequestsPerConnection, maxHeaderBytes, headersTimeoutMs, requestTimeoutMs, idleTimeoutMs, ...rest } = settings;
  const { answerTimeoutMs, maxUnfinishedBytes, maxStreamsPerConnection, ...options } = rest;
  return {
    ...options,
    highWaterBytes: net.outputHighWaterBytes,
    wire: {
      maxRequestsPerConnection,
      maxHeaderBytes,
      headersTimeoutMs,
      requestTimeoutMs,
      idleTimeoutMs,
      answerTimeoutMs,
      maxUnfinishedBytes,
      maxStreamsPerConnection,
    },
  };
}

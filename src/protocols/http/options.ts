// What an operator may set of the HTTP API: limits first, each next to what it bounds.

import { UserError } from '../../base/user-error.ts';
import { defaultHttpWireLimits, type HttpWireLimits } from '../http-exchange.ts';

export type HttpOptions = {
  /** Largest payload of a message, and of an ack. */
  readonly maxBodyBytes: number;
  /** Largest body of a batch, and most messages in it. */
  readonly maxBatchBytes: number;
  readonly maxBatchMessages: number;
  /** Requests of one connection that are being answered; one more ends it. Stops floods of pipelined requests. */
  readonly maxOpenRequests: number;
  /** Event streams over all connections. */
  readonly maxStreams: number;
  /** Filters of one event stream. */
  readonly maxFilters: number;
  /** A comment is sent on a stream that was silent for so long; 0: never. */
  readonly heartbeatMs: number;
  /** A stream whose peer has taken nothing for so long is cut. */
  readonly stallMs: number;
  /** How long browsers wait before they come back to a stream. */
  readonly retryMs: number;
  /** Unsent bytes of a stream above which its messages wait, or are dropped when they are delivered at most once. */
  readonly highWaterBytes: number;
  /** Events of a named subscription that may be unacknowledged; then the stream ends, and the peer comes back with what it has. */
  readonly subscriptionWindow: number;
  /** How long a named subscription waits for its peer when the peer does not say. */
  readonly subscriptionExpiryMs: number;
  /** Longest wait for a message or for a reply. */
  readonly maxWaitMs: number;
  readonly leaseMs: number;
  readonly maxLeaseMs: number;
  /** Messages that one principal may have leased of one queue. */
  readonly maxLeases: number;
  /** Pairs of principal and queue that are consumed at a time. */
  readonly maxQueueConsumers: number;
  /** Most messages of one answer of a queue. */
  readonly maxReceive: number;
  /** How long an Idempotency-Key is remembered, and how many of one principal. */
  readonly idempotencyMs: number;
  readonly maxIdempotencyKeys: number;
  /** Principals that use Idempotency-Keys at a time. */
  readonly maxIdempotentPrincipals: number;
  /** Origins whose pages may use the API, `https://example.com:*` for any port. Empty: only pages of the same origin. */
  readonly corsOrigins: readonly string[];
  /** How long browsers may remember what a preflight allows. */
  readonly corsMaxAgeSec: number;
  /** What the server holds connections to. */
  readonly wire: HttpWireLimits;
};

/** @throws UserError when the options do not fit together */
export function checkHttpOptions(options: HttpOptions): void {
  const tooSmall = (what: string, than: string): UserError =>
    new UserError(`http.${what} must not be smaller than http.${than}.`, { where: `http.${what}`, fix: 'make it larger' });
  if (options.maxLeaseMs < options.leaseMs) throw tooSmall('maxLeaseMs', 'leaseMs');
  if (options.maxBatchBytes < options.maxBodyBytes) throw tooSmall('maxBatchBytes', 'maxBodyBytes');
}

export const testHttpOptions: HttpOptions = {
  maxBodyBytes: 64 * 1024,
  maxBatchBytes: 256 * 1024,
  maxBatchMessages: 100,
  maxOpenRequests: 16,
  maxStreams: 100,
  maxFilters: 8,
  heartbeatMs: 15_000,
  stallMs: 30_000,
  retryMs: 1000,
  highWaterBytes: 64 * 1024,
  subscriptionWindow: 10,
  subscriptionExpiryMs: 3_600_000,
  maxWaitMs: 60_000,
  leaseMs: 30_000,
  maxLeaseMs: 600_000,
  maxLeases: 20,
  maxQueueConsumers: 10,
  maxReceive: 10,
  idempotencyMs: 3_600_000,
  maxIdempotencyKeys: 10,
  maxIdempotentPrincipals: 4,
  corsOrigins: [],
  corsMaxAgeSec: 600,
  wire: defaultHttpWireLimits,
};

// What every part of the broker shares: handed down once, at construction.

import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Timers } from '../base/timers.ts';
import type { Security } from '../security/security.ts';
import type { HeldPublishers } from './held-publishers.ts';
import type { Ledger } from './queues/ledger.ts';
import type { BrokerLimits } from './limits.ts';
import type { QuotaSource } from './quotas/quotas.ts';
import type { ReplyPermissions } from './sessions/reply-permissions.ts';
import type { Shard } from './journal/shard.ts';
import type { ServiceTopics } from './routing/service-topics.ts';
import type { PayloadMemory } from './journal/stored.ts';
import type { Transactions } from './transactions/transactions.ts';
import type { Turn } from './turn.ts';

export type BrokerContext = {
  readonly clock: Clock;
  /** On the monotonic clock. */
  readonly timers: Timers;
  readonly turn: Turn;
  readonly log: Log;
  readonly security: Security;
  readonly quotas: QuotaSource;
  readonly limits: BrokerLimits;
  /** Absent: nothing can be made that nobody may guess. */
  readonly random: Random | undefined;
  readonly shards: readonly Shard[];
  readonly memory: PayloadMemory;
  /** The books of all queues together, including those that are gone. */
  readonly total: Ledger;
  readonly counters: BrokerCounters;
  readonly services: ServiceTopics;
  readonly held: HeldPublishers;
  readonly transactions: Transactions;
  readonly replies: ReplyPermissions;
  /** Bytes handed to the journals and not yet durable are above their limit: publishers are to be held back. */
  readonly pressure: { on: boolean };
};

/** What the broker counts besides the books. */
export class BrokerCounters {
  sessionsCreated = 0;
  sessionsResumed = 0;
  sessionsExpired = 0;
  takeOvers = 0;
  publishesAccepted = 0;
  publishesDelayed = 0;
  /** Messages that went to dead-letter queues. */
  deadLettered = 0;
  publishesWithoutSubscribers = 0;
  publishesRefusedByFullQueue = 0;
  publishesRefusedByStore = 0;
  publishesRepeated = 0;
  willsPublished = 0;
  /** Wills whose owners may not publish them any more. */
  willsRevoked = 0;
  /** Connections ended because their principals may not stay. */
  sessionsCut = 0;
  subscriptionsRevoked = 0;
  /** By operators, from queue to queue. */
  messagesMoved = 0;
  reviews = 0;
  sessionsReviewed = 0;
  retainedRefused = 0;
  publishersHeld = 0;
  publishersHeldByRates = 0;
  checkpoints = 0;
}

/** The shard that owns what has this name in this tenant (FNV-1a). */
export function shardOf(context: BrokerContext, tenant: string, name: string): Shard {
  const shards = context.shards;
  if (shards.length === 1) return shards[0]!;
  let hash = 0x811c9dc5;
  for (let i = 0; i < tenant.length; i++) hash = Math.imul(hash ^ tenant.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ 0x100, 0x01000193);
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return shards[(hash >>> 0) % shards.length]!;
}

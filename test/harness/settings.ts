// Limits for tests in memory: wide, so that a test meets only the one it sets.

import type { BrokerLimits } from '../../src/broker/limits.ts';
import type { MqttOptions } from '../../src/protocols/mqtt/index.ts';

export const testMqttOptions: MqttOptions = {
  connectTimeoutMs: 10_000,
  maxPacketBytes: 4 * 1024 * 1024,
  maxConnectPacketBytes: 128 * 1024,
  maxEarlyBytes: 64 * 1024,
  receiveMaximum: 100,
  topicAliasMaximum: 10,
  outboundTopicAliasMaximum: 10,
  maxKeepAliveSec: 0,
  defaultKeepAliveSec: 0,
  maxSilenceSec: 0,
  maxSessionExpirySec: 0xffff_ffff,
  maxQos: 2,
  retainAvailable: true,
  wildcardSubscriptionsAvailable: true,
  sharedSubscriptionsAvailable: true,
  subscriptionIdentifiersAvailable: true,
  maxSubscriptionsPerRequest: 100,
  outputHighWaterBytes: 64 * 1024,
  maxOutputBytes: 256 * 1024,
  payloadFormatCheck: true,
  assignClientId: true,
  maxClientIdBytes: 1024,
  topicCacheEntries: 16,
  maxTopicBytes: 65_535,
  maxTopicLevels: 128,
  responseTopicPrefix: '',
};

const queue = { maxMessages: 10_000, maxBytes: 64 * 1024 * 1024, onFull: 'reject-new' } as const;

export const testLimits: BrokerLimits = {
  durableInbox: queue,
  transientInbox: queue,
  sharedQueue: queue,
  namedQueue: queue,
  delayedQueue: queue,
  maxDeliveries: 10,
  deadLetterQueue: 'dead-letter',
  queues: [],
  maxTemporaryQueuesPerPrincipal: 100,
  maxSessions: 10_000,
  maxSessionsPerPrincipal: 1000,
  maxSubscriptionsPerSession: 1000,
  maxSharedQueues: 1000,
  maxNamedQueues: 1000,
  maxRetainedMessages: 10_000,
  maxRetainedBytes: 64 * 1024 * 1024,
  maxTopicLevels: 128,
  maxSessionExpiryMs: Infinity,
  maxWillDelayMs: Infinity,
  payloadMemoryBytes: 64 * 1024 * 1024,
  transientMemoryBytes: 1_000_000,
  maxUncommittedBytes: 64 * 1024 * 1024,
  checkpointBytes: 64 * 1024 * 1024,
  expirySweepMs: 10_000,
  transactions: { maxOpenPerPrincipal: 10, maxMessages: 100, maxBytes: 100_000, timeoutMs: 60_000 },
  replies: { maxPerPrincipal: 100, max: 1000, lifetimeMs: 60_000 },
};

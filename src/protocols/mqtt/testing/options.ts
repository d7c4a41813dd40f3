// Options for tests: generous where a test does not ask for a limit.

import type { MqttOptions } from '../options.ts';

export const defaultMqttOptions: MqttOptions = {
  connectTimeoutMs: 10_000,
  maxPacketBytes: 1024 * 1024,
  maxConnectPacketBytes: 64 * 1024,
  maxEarlyBytes: 64 * 1024,
  receiveMaximum: 1000,
  topicAliasMaximum: 10,
  outboundTopicAliasMaximum: 10,
  maxKeepAliveSec: 3600,
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
  maxClientIdBytes: 256,
  topicCacheEntries: 64,
  maxTopicBytes: 1024,
  maxTopicLevels: 64,
  responseTopicPrefix: '',
};

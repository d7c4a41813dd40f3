// Options for tests: generous where a test does not ask for a limit.

import { type AmqpOptions, saslMechanisms } from '../options.ts';

export const defaultAmqpOptions: AmqpOptions = {
  containerId: 'heliograph',
  connectTimeoutMs: 10_000,
  maxFrameBytes: 64 * 1024,
  maxConnectFrameBytes: 8 * 1024,
  maxEarlyBytes: 64 * 1024,
  channelMax: 255,
  handleMax: 255,
  maxLinks: 100,
  idleTimeoutMs: 60_000,
  minPeerIdleTimeoutMs: 1000,
  incomingWindow: 2048,
  linkCredit: 100,
  maxMessageBytes: 1024 * 1024,
  maxIncompleteBytes: 2 * 1024 * 1024,
  maxUnsettledPerLink: 1000,
  maxLinkExpiryMs: Infinity,
  saslMechanisms,
  plainAddress: 'topic',
  hostnameIsTenant: false,
  maxContainerIdBytes: 256,
  maxLinkNameBytes: 1024,
  outputHighWaterBytes: 1024 * 1024,
  maxOutputBytes: 4 * 1024 * 1024,
  topicCacheEntries: 64,
  maxTopicBytes: 1024,
  maxTopicLevels: 32,
};

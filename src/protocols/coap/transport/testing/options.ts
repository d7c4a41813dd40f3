// Limits as RFC 7252 §4.8 has them, and small ones elsewhere.

import type { TransportOptions } from '../../transport-options.ts';

export const testOptions: TransportOptions = {
  ackTimeoutMs: 2000,
  ackRandomFactor: 1.5,
  maxRetransmit: 4,
  nstart: 1,
  piggybackMs: 50,
  maxRequestsPerPeer: 8,
  maxQueuedPerPeer: 8,
  maxRememberedPerPeer: 32,
  maxRememberedPeerBytes: 16_384,
  maxRemembered: 128,
  maxRememberedBytes: 65_536,
  qBlock: true,
  maxTokenBytes: 16,
  maxAmplification: 3,
  echoLifetimeMs: 60_000,
  answerMulticast: false,
  leisureMs: 5000,
  maxDelayedPerPeer: 4,
  responseTimeoutMs: 90_000,
  maxOutgoingPerPeer: 4,
  maxStreamMessageBytes: 4096,
  csmTimeoutMs: 10_000,
  requireCsm: true,
  keepAliveMs: 60_000,
  pongTimeoutMs: 20_000,
  maxOutputBytes: 65_536,
  outputHighWaterBytes: 16_384,
};

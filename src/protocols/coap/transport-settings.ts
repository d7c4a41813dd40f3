// Limits of CoAP's transports: part of the section of CoAP in the configuration.

import { bytes, count, flag, milliseconds } from '../../config/fields.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export const transportFields = {
  ackTimeoutMs: milliseconds(
    { default: 2000, min: 100, max: 120_000 },
    'From the first transmission of a confirmable message to its first repetition; each further one waits twice as long.',
  ),
  ackRandomFactorPercent: count(
    { default: 150, min: 100, max: 1000 },
    'That time is stretched by a random factor up to so many percent, so that many peers do not repeat at one moment.',
  ),
  maxRetransmit: count({ default: 4, min: 0, max: 20 }, 'How often a confirmable message is repeated before it counts as lost.'),
  nstart: count(
    { default: 1, min: 1, max: 1000 },
    'Most confirmable messages to one peer that are not acknowledged. Above 1 the peers must be known to bear it.',
  ),
  piggybackMs: milliseconds(
    { default: 50, min: 0, max: 60_000 },
    'How long an answer may take to come with the acknowledgement; then that goes first, and the answer follows. 0: an answer that is not there at once follows.',
  ),
  maxRequestsPerPeer: count(
    { default: 256, min: 1, max: 65_535 },
    'Most requests of one peer that wait for an answer; more are answered 5.03.',
  ),
  maxQueuedPerPeer: count(
    { default: 256, min: 1, max: 65_535 },
    'Most confirmable messages to one peer that wait for their turn; further answers and notifications count as lost.',
  ),
  maxRememberedPerPeer: count(
    { default: 1024, min: 1, max: 65_536 },
    'Most messages of one peer that are remembered, so that their repetitions are recognised; the oldest are forgotten first.',
  ),
  maxRememberedPeerBytes: bytes({ default: 256 * KiB, min: KiB, max: 64 * MiB }, 'Most memory for those, with the answers given to them.'),
  maxRemembered: count({ default: 500_000, min: 1, max: 100_000_000 }, 'The same of all peers.'),
  maxRememberedBytes: bytes({ default: 128 * MiB, min: KiB, max: 65_536 * MiB }, 'Most memory for the remembered messages of all peers.'),
  maxTokenBytes: count({ default: 64, min: 8, max: 65_804 }, 'Longest token that is taken (RFC 8974).'),
  maxAmplification: count(
    { default: 3, min: 0, max: 1000 },
    'An address that has not proven itself is sent so many times at most what it has sent; larger answers are asked for again with an Echo. Loopback and DTLS are proven. 0: no limit.',
  ),
  echoLifetimeMs: milliseconds({ default: 60_000, min: 1000, max: 3_600_000 }, 'How long an Echo value proves an address.'),
  answerMulticast: flag({ default: false }, 'Whether requests to a group address are answered.'),
  leisureMs: milliseconds({ default: 5000, min: 0, max: 600_000 }, 'Answers to a group are spread over this time.'),
  maxDelayedPerPeer: count(
    { default: 8, min: 1, max: 1000 },
    'Most answers to requests to groups that wait for their moment, of one peer.',
  ),
  responseTimeoutMs: milliseconds({ default: 90_000, min: 100, max: 3_600_000 }, "How long a device's answer to a request is waited for."),
  maxOutgoingPerPeer: count(
    { default: 64, min: 1, max: 65_535 },
    'Most requests to one device that wait for its answer, observations included.',
  ),
  maxStreamMessageBytes: bytes(
    { default: 2 * MiB, min: 1152, max: 1024 * MiB },
    'Over TCP, TLS and WebSocket: largest message that is taken.',
  ),
  csmTimeoutMs: milliseconds({ default: 10_000, min: 100, max: 600_000 }, "From the opened connection to the peer's capabilities (CSM)."),
  requireCsm: flag(
    { default: true },
    'Over TCP, TLS and WebSocket: end connections whose first message is not CSM, as RFC 8323 says. False: serve them, with messages of at most 1152 bytes; Californium never sends one.',
  ),
  keepAliveMs: milliseconds(
    { default: 300_000, min: 0, max: 86_400_000 },
    'Over TCP, TLS and WebSocket: after so long a silence a peer is asked whether it is there. 0: never.',
  ),
  pongTimeoutMs: milliseconds({ default: 20_000, min: 100, max: 600_000 }, 'How long it has to say so.'),
  maxOutputBytes: bytes(
    { default: 4 * MiB, min: 64 * KiB, max: 1024 * MiB },
    'Above so many unsent bytes of a connection nothing more is read from it.',
  ),
};

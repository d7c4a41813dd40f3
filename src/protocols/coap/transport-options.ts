// Every limit of CoAP's transports. The defaults stand in settings.ts; nothing here has one, so that no limit is set in two places.

export type TransportOptions = {
  /** RFC 7252 §4.8: from the first transmission of a confirmable message to its first repetition. */
  readonly ackTimeoutMs: number;
  /** That time is stretched by a random factor up to this one. At least 1. */
  readonly ackRandomFactor: number;
  readonly maxRetransmit: number;
  /** Confirmable messages to one peer that are not acknowledged at a time (RFC 7252 §4.7). */
  readonly nstart: number;
  /** How long an answer may take to ride on the acknowledgement; then that goes alone. 0: it waits for nothing. */
  readonly piggybackMs: number;
  /** Most requests of one peer that wait for an answer. */
  readonly maxRequestsPerPeer: number;
  /** Most messages that wait for their turn to one peer, of those that are to be acknowledged. */
  readonly maxQueuedPerPeer: number;
  /** What is remembered to recognise repeated messages (RFC 7252 §4.5): of one peer, and of all. */
  readonly maxRememberedPerPeer: number;
  readonly maxRememberedPeerBytes: number;
  readonly maxRemembered: number;
  readonly maxRememberedBytes: number;
  /** Longest token that is taken (RFC 8974); at least 8. */
  /** Q-Block (RFC 9177) is understood in requests. */
  readonly qBlock: boolean;
  readonly maxTokenBytes: number;
  /** As many times what an unproven address has sent is sent to it at most (RFC 9175 §2.4); 0: no limit. */
  readonly maxAmplification: number;
  /** How long an Echo value proves an address. */
  readonly echoLifetimeMs: number;
  /** Whether requests to a group are answered (RFC 7252 §8). */
  readonly answerMulticast: boolean;
  /** Answers to a group are spread over this time (RFC 7252 §8.2). */
  readonly leisureMs: number;
  /** Most answers to requests to groups that wait for their moment, of one peer. */
  readonly maxDelayedPerPeer: number;
  /** How long an answer is waited for by who asks a peer. */
  readonly responseTimeoutMs: number;
  /** Most requests to one peer that wait for its answer, observations included. */
  readonly maxOutgoingPerPeer: number;
  /** Over TCP, TLS and WebSocket: largest message that is taken (RFC 8323 §5.3.1). */
  readonly maxStreamMessageBytes: number;
  /** From the opened connection to the peer's capabilities (CSM). */
  readonly csmTimeoutMs: number;
  /** False: who begins with something else than capabilities is served as if it had none to tell. */
  readonly requireCsm: boolean;
  /** After so long a silence a peer is asked whether it is there; 0: never. */
  readonly keepAliveMs: number;
  /** How long it has to say so. */
  readonly pongTimeoutMs: number;
  /** Above so many unsent bytes of a connection nothing more is read from it. */
  readonly maxOutputBytes: number;
  /** Above so many a connection is congested: notifications wait. Equal to the wire's own mark. */
  readonly outputHighWaterBytes: number;
};

/** RFC 7252 §4.8.2: the longest that a datagram is on its way. */
const maxLatencyMs = 100_000;

/** RFC 7252 §4.8.2: from the first transmission of a confirmable message to the last moment at which its id may not be used again. */
export function exchangeLifetimeMs(options: TransportOptions): number {
  return maxTransmitSpanMs(options) + 2 * maxLatencyMs + options.ackTimeoutMs;
}

/** RFC 7252 §4.8.2: the same for a non-confirmable one. */
export function nonLifetimeMs(options: TransportOptions): number {
  return maxTransmitSpanMs(options) + maxLatencyMs;
}

function maxTransmitSpanMs({ ackTimeoutMs, maxRetransmit, ackRandomFactor }: TransportOptions): number {
  return ackTimeoutMs * (2 ** maxRetransmit - 1) * ackRandomFactor;
}

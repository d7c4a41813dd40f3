// What a listener of datagrams holds and sends at most.

export type DatagramLimits = {
  /** Peers of the listener. Each costs memory; a peer that is idle makes room for a new one. */
  readonly maxPeers: number;
  /** Peers at one IPv4 address or one IPv6 /64; Infinity: no bound. */
  readonly maxPeersPerAddress: number;
  /** New peers a second, on average; Infinity: no bound. Source addresses can be forged: this bounds what a flood of them costs. */
  readonly newPeersPerSecond: number;
  readonly newPeerBurst: number;
  /** Silence after which an idle peer is forgotten; Infinity: never (sessions of DTLS end by its own limits). */
  readonly idleMs: number;
  /** What a datagram may have that is sure to go in one packet. */
  readonly maxDatagramBytes: number;
  /** Of the system, for what has arrived and is not yet read; it may grant less. */
  readonly receiveBufferBytes: number;
  readonly sendBufferBytes: number;
  /** Bytes that may wait in the process until the system takes them. */
  readonly maxQueuedBytes: number;
};

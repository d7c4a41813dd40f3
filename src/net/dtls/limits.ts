// What a DTLS endpoint holds at most. Each bound stops somebody who costs more than he should.

export type DtlsLimits = {
  /** Handshakes under way whose client has shown that it receives at its address; more are dropped, and try again. */
  readonly pendingHandshakes: number;
  /** The same for one address (host, not port) or IPv6 network. */
  readonly pendingPerHost: number;
  /** Handshakes that one host may begin in a second; Infinity: no bound. Each costs a key exchange and a signature. */
  readonly handshakesPerHostAndSecond: number;
  /** Bytes that one handshake may make the server keep: messages, fragments, records that came too early. */
  readonly handshakeBytes: number;
  /** Of all together; where they keep more, only small ones go on. */
  readonly allHandshakeBytes: number;
  /** Bytes of one handshake message. */
  readonly messageBytes: number;
  /** Certificates in a client's chain. */
  readonly chainLength: number;
  /** Milliseconds from the first hello with a cookie to the end of the handshake, questions to others included. */
  readonly handshakeMs: number;
  /** Milliseconds until a flight is sent again; doubles each time (RFC 6347 §4.2.4.1). */
  readonly retransmitMs: number;
  readonly retransmitMaxMs: number;
  /** Open sessions; handshakes beyond are dropped. */
  readonly sessions: number;
  /** Of them with one identity, or from one host without identity; the oldest is closed. One device may begin anew from many addresses. */
  readonly sessionsPerPeer: number;
  /** Milliseconds after which a session that is known by its address ends when nothing comes. */
  readonly idleMs: number;
  /** The same with a Connection ID: the peer may sleep for long and come back from elsewhere. */
  readonly idleWithCidMs: number;
  /** Bytes of a UDP datagram of the server's handshake: 1,280 of IPv6 without its headers, with some air (RFC 9147 uses the same). */
  readonly mtu: number;
  /** Sessions that may be resumed; the one whose use is longest ago goes first. */
  readonly resumptions: number;
  /** Milliseconds from the full handshake on for which a session may be resumed. */
  readonly resumptionMs: number;
};

export const defaultDtlsLimits: DtlsLimits = {
  pendingHandshakes: 10_000,
  pendingPerHost: 10_000,
  handshakesPerHostAndSecond: Infinity,
  handshakeBytes: 65_536,
  allHandshakeBytes: 134_217_728,
  messageBytes: 16_384,
  chainLength: 6,
  handshakeMs: 60_000,
  retransmitMs: 1000,
  retransmitMaxMs: 16_000,
  sessions: 100_000,
  sessionsPerPeer: 1000,
  idleMs: 3_600_000,
  idleWithCidMs: 86_400_000,
  mtu: 1152,
  resumptions: 20_000,
  resumptionMs: 86_400_000,
};

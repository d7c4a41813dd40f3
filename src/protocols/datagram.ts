// The contract between a path of datagrams and a protocol: what protocol.ts is for streams. One peer is one path: an address of a UDP
// socket, or a session of DTLS, whose address may move under it. `net` drives it in production, `sim` under test.

import type { WireFacts } from './protocol.ts';

/** The way to one peer. */
export interface DatagramPath {
  /** `remoteAddress` and `remotePort` are those of now: a peer known by its Connection ID may move (RFC 9146). */
  readonly facts: WireFacts;
  /** The largest datagram that is sure to go in one packet, without what DTLS adds. */
  readonly maxBytes: number;
  /** The peer has shown that it receives what is sent to its address. DTLS: always, but for a moment after its address has changed. */
  readonly isProven: boolean;
  /** The protocol has found out that the peer receives where it has moved to; absent: it keeps that to itself. */
  proven?(): void;
  /** Sends one datagram, or drops and counts it. The bytes must not be changed afterwards. */
  send(bytes: Uint8Array): void;
  /** The next deadline on the monotonic clock (Infinity: none). `onDeadline` is called at or after it. */
  setDeadline(monotonicMs: number): void;
  /** Forgets the peer, with a goodbye where there is one (DTLS close_notify). `onClosed` follows. */
  close(): void;
}

/** One peer's protocol machine. No method throws because of what a peer sent. */
export interface DatagramPeer {
  /**
   * One whole datagram. `bytes` are the peer's from here on, nobody changes them: a socket gives each datagram memory of its own, and
   * a copy would cost a tenth of a small request. `isMulticast`: it was sent to a group, not to this node alone.
   */
  receive(bytes: Uint8Array, isMulticast: boolean): void;
  onDeadline(): void;
  /** Nothing of worth would be lost with it: the first to be forgotten when there are too many peers. */
  readonly isIdle: boolean;
  /** The path is gone; called exactly once, whoever closed it, and nothing is called afterwards. */
  onClosed(): void;
  /** The node is going down: say so in the protocol's words and close. */
  shutDown(): void;
}

export interface DatagramProtocol {
  readonly name: string;
  /** A datagram came from somebody who is not known here yet, or a DTLS handshake is done; that datagram follows. */
  open(path: DatagramPath): DatagramPeer;
}

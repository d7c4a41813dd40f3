// The contract between a wire and a protocol. A protocol is a pure machine: bytes, answers, deliveries and the time come in;
// bytes go into `wire.output`. No socket, timer, promise or clock of its own. `net` drives it in production, `sim` under test.

import type { Output } from '../base/output.ts';
import type { PeerCertificate } from '../security/security.ts';

/** What is known about the other end when a connection opens. */
export type WireFacts = {
  /** Name of the listener it came in by, as in the configuration. */
  readonly listener: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** The bytes are protected by TLS or DTLS. */
  readonly secure: boolean;
  /** The certificate the peer proved to hold, already verified against the listener's trust anchors. */
  readonly peerCertificate: PeerCertificate | undefined;
  /** Identity of the pre-shared key by which the TLS or DTLS handshake was done. */
  readonly pskIdentity?: string;
  /** DTLS, whose sessions last for days: SHA-256 of that key, lower-case hex. It must still be the key of the identity. */
  readonly pskKeyHash?: string;
  /** SHA-256 of the SubjectPublicKeyInfo that the peer has proved to hold the key of (RFC 7250), lower-case hex. */
  readonly rawPublicKey?: string;
};

/** A connection's hold on its wire. */
export interface Wire {
  readonly output: Output;
  readonly facts: WireFacts;
  /** Stops reading from the peer until `resume`. Bytes already read may still arrive. Counted: n pauses want n resumes. */
  pause(): void;
  resume(): void;
  /** Sends what the output holds, then closes. Nothing more is received. */
  close(): void;
  /** Closes at once; what the output holds is lost. */
  abort(): void;
  /**
   * Only on a WebSocket, for protocols to which its messages mean something: each call of `receive` brings one whole, and what was
   * written since the last call of this goes out as one. Who never calls it writes a stream.
   */
  endMessage?(): void;
  /** The connection's next deadline on the monotonic clock (Infinity: none). `onDeadline` is called at or after it. */
  setDeadline(monotonicMs: number): void;
}

/** One connection's protocol machine. No method throws because of what a peer sent. */
export interface Connection {
  /** Bytes from the peer, any cut. `bytes` is only valid during the call: what is kept must be copied. */
  receive(bytes: Uint8Array): void;
  /** The output has drained below its low-water mark after `output.pendingBytes` went over the high one. */
  onDrained(): void;
  onDeadline(): void;
  /** The wire is gone; called exactly once, whoever closed it, and nothing is called afterwards. */
  onClosed(): void;
  /** The node is going down: say so in the protocol's words and close. */
  shutDown(): void;
}

export interface Protocol {
  readonly name: string;
  /** WebSocket subprotocols by which a client asks for it (`mqtt`). */
  readonly webSocketProtocols: readonly string[];
  /** Over WebSocket its clients may send text messages, too; their bytes are taken as those of binary ones. Absent: they end the connection. */
  readonly takesText?: true;
  connect(wire: Wire): Connection;
}

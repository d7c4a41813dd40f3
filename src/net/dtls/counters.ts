// What a DTLS endpoint has seen. Hot code adds to the plain fields.

import type { Labels, Sample } from '../../base/metrics.ts';
import type { CloseReason, HandshakeFailureReason } from './endpoint.ts';

/** Why a datagram, or a record in it, was dropped without a word. */
export const dropReasons = [
  /** Not a record of DTLS 1.2, or cut short. */
  'malformed',
  /** Nobody here knows the sender, or the Connection ID. */
  'unknown-peer',
  /** It does not open: forged, damaged, or made with another key. */
  'bad-record',
  /** It was there already, or is too old to tell. */
  'replayed',
  /** Without Connection ID, where one was agreed on. */
  'without-cid',
  /** A ClientHello in pieces from somebody who has not returned a cookie yet. */
  'fragmented-hello',
  /** A ClientHello whose cookie is right, seen before. */
  'repeated-hello',
  /** Too many handshakes or sessions. */
  'full',
  /** A host begins handshakes faster than it may. */
  'too-fast',
  /** Fragments that contradict others, come too far ahead, or are too many. */
  'bad-fragment',
  /** A record that does not belong where it came. */
  'unexpected',
  /** Data of ours that is longer than a record may be for this peer. */
  'too-long',
] as const;
export type DropReason = (typeof dropReasons)[number];

const failureReasons = [
  'timeout',
  'certificate',
  'distrusted',
  'parameters',
  'psk',
  'protocol',
] as const satisfies HandshakeFailureReason[];
const closeReasons = ['peer', 'local', 'alert', 'idle', 'replaced', 'exhausted'] as const satisfies CloseReason[];

export class DtlsCounters {
  handshakesPending = 0;
  /** What those keep. */
  handshakeBytes = 0;
  sessions = 0;
  resumptionEntries = 0;
  helloVerifyRequests = 0;
  opened = 0;
  resumed = 0;
  recordsIn = 0;
  recordsOut = 0;
  /** Flights sent again, by time or because the peer repeated its own. */
  retransmissions = 0;
  /** Peers with a Connection ID that came from another address. */
  moves = 0;
  renegotiationsRefused = 0;
  readonly dropped: Record<DropReason, number> = zeros(dropReasons);
  readonly failed: Record<HandshakeFailureReason, number> = zeros(failureReasons);
  readonly closed: Record<CloseReason, number> = zeros(closeReasons);

  /** Samples for one listener. */
  *metrics(listener: string): Iterable<Sample> {
    const labels: Labels = { listener };
    const sample = (type: 'counter' | 'gauge', name: string, help: string, value: number): Sample => ({
      name: `heliograph_dtls_${name}${type === 'counter' ? '_total' : ''}`,
      help,
      type,
      labels,
      value,
    });
    yield sample('gauge', 'handshakes_pending', 'DTLS handshakes under way whose client has returned a cookie.', this.handshakesPending);
    yield sample(
      'gauge',
      'handshake_bytes',
      'Memory of DTLS handshakes under way: messages, fragments, early records.',
      this.handshakeBytes,
    );
    yield sample('gauge', 'sessions', 'Open DTLS sessions.', this.sessions);
    yield sample('gauge', 'resumption_entries', 'DTLS sessions that may be resumed.', this.resumptionEntries);
    yield sample('counter', 'hello_verify_requests', 'ClientHellos answered with a cookie.', this.helloVerifyRequests);
    yield sample('counter', 'opened', 'DTLS sessions opened, resumed ones included.', this.opened);
    yield sample('counter', 'resumed', 'DTLS sessions opened by resumption.', this.resumed);
    yield sample('counter', 'received_records', 'Records that were opened.', this.recordsIn);
    yield sample('counter', 'sent_records', 'Records of application data sent.', this.recordsOut);
    yield sample('counter', 'retransmissions', 'Flights of the handshake sent again.', this.retransmissions);
    yield sample('counter', 'moves', 'Peers that changed their address under a Connection ID.', this.moves);
    yield sample('counter', 'renegotiations_refused', 'Attempts to renegotiate.', this.renegotiationsRefused);
    yield* labelled(labels, 'dropped', 'Datagrams, records or data dropped, by reason.', this.dropped);
    yield* labelled(labels, 'failed_handshakes', 'DTLS handshakes that failed, by reason.', this.failed);
    yield* labelled(labels, 'closed', 'DTLS sessions closed, by reason.', this.closed);
  }
}

function* labelled(labels: Labels, name: string, help: string, values: Readonly<Record<string, number>>): Iterable<Sample> {
  for (const [reason, value] of Object.entries(values)) {
    yield { name: `heliograph_dtls_${name}_total`, help, type: 'counter', labels: { ...labels, reason }, value };
  }
}

function zeros<K extends string>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
}

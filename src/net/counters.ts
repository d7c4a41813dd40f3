// What one listener has seen. Hot code adds to the plain fields.

import type { Labels, Sample } from '../base/metrics.ts';
import type { ListenerCounters } from './listener-counters.ts';
import type { Negotiated } from './negotiated.ts';
import { certificateFaults, type CertificateFault } from '../security/security.ts';

/** Why a connection was not taken. */
export const refusalReasons = [
  /** The listener is full. */
  'connections',
  /** The address has too many. */
  'address',
  /** New connections come too fast. */
  'rate',
  /** Too many handshakes are under way. */
  'handshakes',
  /** The system could not accept it (out of file descriptors…). */
  'system',
  /** The node is going down. */
  'draining',
] as const;
export type RefusalReason = (typeof refusalReasons)[number];

/** How a handshake ended that did not become a connection. */
export const handshakeFailures = [
  'timeout',
  /** The peer went away. */
  'reset',
  /** No client certificate, or one that does not verify. */
  'certificate',
  /** The client does not accept our certificate. */
  'distrusted',
  /** No common version, cipher or group. */
  'parameters',
  /** A wrong pre-shared key, or an identity that nobody has. */
  'psk',
  /** What came is not TLS, or broken. */
  'protocol',
  /** The upgrade to WebSocket was refused: path, origin, subprotocol, or malformed HTTP. */
  'upgrade',
] as const;
export type HandshakeFailure = (typeof handshakeFailures)[number];

/** Why HTTP was ended by us: headers too large, no HTTP, a request or the taking of an answer that took too long, silence, or too many unfinished bodies. */
export type HttpEnd = 'headers' | 'malformed' | 'request' | 'answer' | 'idle' | 'bodies';

export class NetCounters implements ListenerCounters {
  readonly listener: string;
  accepted = 0;
  /** Open now, handshakes included. */
  active = 0;
  bytesIn = 0;
  bytesOut = 0;
  reads = 0;
  writes = 0;
  /** How often reading from a peer was stopped to hold it back. */
  pauses = 0;
  /** How often a connection's output went over the high-water mark. */
  congestions = 0;
  handshakesPending = 0;
  /** Text messages on a WebSocket; each ended its connection. */
  textMessages = 0;
  /** Connections that were cut because they did not take the last bytes in time. */
  closeTimeouts = 0;
  readonly httpEnded: Record<HttpEnd, number> = { headers: 0, malformed: 0, request: 0, answer: 0, idle: 0, bodies: 0 };
  readonly refused: Record<RefusalReason, number> = { connections: 0, address: 0, rate: 0, handshakes: 0, system: 0, draining: 0 };
  readonly failedHandshakes: Record<HandshakeFailure, number> = {
    timeout: 0,
    reset: 0,
    certificate: 0,
    distrusted: 0,
    parameters: 0,
    psk: 0,
    protocol: 0,
    upgrade: 0,
  };
  /** Why client certificates were not taken; each is a failed handshake, too. */
  readonly refusedCertificates = Object.fromEntries(certificateFaults.map((fault) => [fault, 0])) as Record<CertificateFault, number>;

  readonly #handshakes = new Map<string, { readonly agreed: Negotiated; count: number }>();

  constructor(listener: string) {
    this.listener = listener;
  }

  /** What TLS agreed on, with how often; the combinations are few, because the server chooses. */
  get handshakes(): readonly (Negotiated & { readonly count: number })[] {
    return [...this.#handshakes.values()].map(({ agreed, count }) => ({ ...agreed, count }));
  }

  secured(agreed: Negotiated): void {
    const key = `${agreed.version} ${agreed.cipher} ${agreed.group}`;
    const entry = this.#handshakes.get(key);
    if (entry === undefined) this.#handshakes.set(key, { agreed, count: 1 });
    else entry.count++;
  }

  *metrics(): Iterable<Sample> {
    const labels: Labels = { listener: this.listener };
    const counter = (name: string, help: string, value: number): Sample => ({
      name: `heliograph_net_${name}_total`,
      help,
      type: 'counter',
      labels,
      value,
    });
    const gauge = (name: string, help: string, value: number): Sample => ({
      name: `heliograph_net_${name}`,
      help,
      type: 'gauge',
      labels,
      value,
    });
    yield gauge('connections', 'Open connections, handshakes included.', this.active);
    yield gauge('handshakes_pending', 'TLS handshakes and WebSocket upgrades under way.', this.handshakesPending);
    yield counter('accepted', 'Connections taken.', this.accepted);
    yield counter('received_bytes', 'Bytes received from peers, without TLS and framing.', this.bytesIn);
    yield counter('sent_bytes', 'Bytes handed to the system for peers, without TLS and framing.', this.bytesOut);
    yield counter('reads', 'Times bytes of a peer were handed to its protocol.', this.reads);
    yield counter('writes', 'Flushes of a connection’s output.', this.writes);
    yield counter('pauses', 'Times reading from a peer was stopped to hold it back.', this.pauses);
    yield counter('congestions', 'Times a connection’s unsent output went over the high-water mark.', this.congestions);
    yield counter('text_messages', 'WebSocket text messages; each ends its connection.', this.textMessages);
    yield counter('close_timeouts', 'Connections cut because they did not take the last bytes in time.', this.closeTimeouts);
    for (const reason of refusalReasons) {
      yield { ...counter('refused', 'Connections not taken, by reason.', this.refused[reason]), labels: { ...labels, reason } };
    }
    for (const kind of handshakeFailures) {
      yield {
        ...counter('failed_handshakes', 'Handshakes that failed, by kind.', this.failedHandshakes[kind]),
        labels: { ...labels, kind },
      };
    }
    for (const [reason, value] of Object.entries(this.httpEnded)) {
      // Most listeners do not speak HTTP.
      if (value > 0)
        yield { ...counter('http_ended', 'Requests and connections of HTTP ended by the node.', value), labels: { ...labels, reason } };
    }
    for (const { count, ...agreed } of this.handshakes) {
      yield {
        ...counter('tls_handshakes', 'TLS handshakes that were done, by what was agreed on.', count),
        labels: { ...labels, ...agreed },
      };
    }
    for (const fault of certificateFaults) {
      yield {
        ...counter('refused_certificates', 'Client certificates not taken at the handshake, by reason.', this.refusedCertificates[fault]),
        labels: { ...labels, reason: fault },
      };
    }
  }
}

// What one listener of datagrams has seen. Hot code adds to the plain fields.

import type { Labels, Sample } from '../base/metrics.ts';
import type { ListenerCounters } from './listener-counters.ts';

/** Why a datagram that came was not handed on, or one that was to be sent was not. */
export const dropReasons = [
  /** Nobody can be answered there (port 0), or nothing is in it. */
  'malformed',
  /** There are too many peers, and none is idle. */
  'peers',
  /** There are too many peers at the address. */
  'address',
  /** New peers come too fast. */
  'rate',
  /** The node is going down. */
  'draining',
  /** It is not decided yet whether the peer may come in. */
  'undecided',
  /** The peer was closed in this turn. */
  'closed',
  /** The system does not take as much as is to be sent. */
  'congested',
  /** The system could not receive, or send. */
  'system',
] as const;
export type DropReason = (typeof dropReasons)[number];

export class DatagramCounters implements ListenerCounters {
  readonly listener: string;
  /** Datagrams received and sent. */
  received = 0;
  sent = 0;
  bytesIn = 0;
  bytesOut = 0;
  /** Those that went to a group. */
  multicast = 0;
  peers = 0;
  opened = 0;
  /** Peers that made room for others, and that had not been heard for long. */
  displaced = 0;
  expired = 0;
  readonly dropped: Record<DropReason, number> = {
    malformed: 0,
    peers: 0,
    address: 0,
    rate: 0,
    draining: 0,
    undecided: 0,
    closed: 0,
    congested: 0,
    system: 0,
  };

  constructor(listener: string) {
    this.listener = listener;
  }

  get active(): number {
    return this.peers;
  }

  get accepted(): number {
    return this.opened;
  }

  /** Datagrams of newcomers that were not taken. */
  get refused(): Readonly<Record<string, number>> {
    const { peers, address, rate, draining } = this.dropped;
    return { peers, address, rate, draining };
  }

  readonly handshakes = [];

  *metrics(): Iterable<Sample> {
    const labels: Labels = { listener: this.listener };
    const counter = (name: string, help: string, value: number, more?: Labels): Sample => ({
      name: `heliograph_datagram_${name}_total`,
      help,
      type: 'counter',
      labels: { ...labels, ...more },
      value,
    });
    yield {
      name: 'heliograph_datagram_peers',
      help: 'Peers that datagrams came from and that are not forgotten.',
      type: 'gauge',
      labels,
      value: this.peers,
    };
    yield counter('received', 'Datagrams received.', this.received);
    yield counter('sent', 'Datagrams handed to the system.', this.sent);
    yield counter('received_bytes', 'Bytes of datagrams received.', this.bytesIn);
    yield counter('sent_bytes', 'Bytes of datagrams sent.', this.bytesOut);
    yield counter('multicast', 'Datagrams received that had been sent to a group.', this.multicast);
    yield counter('peers_opened', 'Peers that were new.', this.opened);
    const forgotten = 'Peers forgotten because they were not heard for long (expired), or to make room (displaced).';
    yield counter('peers_forgotten', forgotten, this.expired, { reason: 'expired' });
    yield counter('peers_forgotten', forgotten, this.displaced, { reason: 'displaced' });
    for (const reason of dropReasons) {
      yield counter('dropped', 'Datagrams not handed on or not sent, by reason.', this.dropped[reason], { reason });
    }
  }
}

// The layers of CoAP, one upon the other: transport → OSCORE → checks → blocks → resources.

import type { Clock } from '../../base/clock.ts';
import type { Sample } from '../../base/metrics.ts';
import type { Random } from '../../base/random.ts';
import type { Timers } from '../../base/timers.ts';
import type { DatagramPath, DatagramPeer, DatagramProtocol } from '../datagram.ts';
import type { Connection, Protocol, Wire } from '../protocol.ts';
import type { Trace } from '../trace.ts';
import { BlockWise } from './block/block-wise.ts';
import { Counters } from './counters.ts';
import type { RequestHandler } from './exchange.ts';
import { RequestCheck } from './request-check.ts';
import type { CoapOptions } from './settings.ts';
import { StreamPeer } from './transport/stream-peer.ts';
import { Transport } from './transport/transport.ts';
import { UdpPeer } from './transport/udp-peer.ts';

export type CoapServerParts = {
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
  readonly trace: Trace;
  readonly options: CoapOptions;
  /** What answers in the end. */
  readonly resources: RequestHandler;
  /** Puts the layer of OSCORE below `next`; absent: nothing is protected by it here. */
  readonly oscore?: (next: RequestHandler) => RequestHandler;
  /** Called once, when the first peer is told that the node goes down: what is to be said to all can still be sent. */
  readonly goingDown?: () => void;
};

export class CoapServer {
  readonly counters = new Counters();
  /** Over UDP and DTLS. */
  readonly datagram: DatagramProtocol;
  /** Over TCP, TLS and WebSocket. */
  readonly stream: Protocol;
  readonly #blocks: BlockWise;

  constructor({ clock, random, timers, trace, options, resources, oscore, goingDown }: CoapServerParts) {
    this.#blocks = new BlockWise({ next: resources, options, clock, timers, random });
    const checked = new RequestCheck(this.#blocks);
    const handler = oscore === undefined ? checked : oscore(checked);
    const transport = new Transport({ clock, random, options, counters: this.counters, trace, handler, goingDown });
    this.datagram = { name: 'coap', open: (path: DatagramPath): DatagramPeer => new UdpPeer(transport, path) };
    this.stream = {
      name: 'coap',
      // RFC 8323 §4.1.
      webSocketProtocols: ['coap'],
      connect: (wire: Wire): Connection => new StreamPeer(transport, wire),
    };
  }

  *metrics(): Iterable<Sample> {
    yield* this.counters.samples();
    yield* this.#blocks.metrics();
  }
}

// One peer of the message layer on a clock that is moved by hand, a path that keeps what is sent, and a handler that keeps what it is asked.

import assert from 'node:assert/strict';
import { ManualClock } from '../../../../base/clock.ts';
import { SeededRandom } from '../../../../base/random.ts';
import { noTrace, type Trace } from '../../../trace.ts';
import type { DatagramPath } from '../../../datagram.ts';
import type { WireFacts } from '../../../protocol.ts';
import {
  Code,
  type CoapOption,
  decodeUdp,
  emptyMessage,
  encodeUdp,
  MessageType,
  noBytes,
  textBytes,
  textOption,
  type UdpMessage,
} from '../../codec/index.ts';
import { Counters } from '../../counters.ts';
import type { CoapRequest, CoapResponse, Reply } from '../../exchange.ts';
import type { TransportOptions } from '../../transport-options.ts';
import { Transport } from '../transport.ts';
import { UdpPeer } from '../udp-peer.ts';
import { testOptions } from './options.ts';

export type Asked = { readonly request: CoapRequest; readonly reply: Reply; gone: number };

export type UdpWorldOptions = Partial<TransportOptions> & {
  readonly address?: string;
  readonly isProven?: boolean;
  readonly trace?: Trace;
};

export class UdpWorld {
  readonly clock = new ManualClock();
  readonly counters = new Counters();
  readonly transport: Transport;
  readonly peer: UdpPeer;
  readonly asked: Asked[] = [];
  /** Datagrams that the peer was sent and `take` has not taken. */
  readonly sent: Uint8Array[] = [];
  sentBytes = 0;
  receivedBytes = 0;
  deadlineMs = Infinity;
  isClosed = false;
  /** What the path says; a session of DTLS whose address moved is not sure any more. */
  isProven: boolean;
  /** The address of a session moves. */
  move: () => void = () => {};
  /** Called with each request; by default it is only kept. */
  onRequest: (asked: Asked) => void = () => {};

  constructor({ address = '192.0.2.7', isProven = true, trace = noTrace, ...options }: UdpWorldOptions = {}) {
    const { clock, counters } = this;
    this.isProven = isProven;
    this.transport = new Transport({
      clock,
      random: new SeededRandom(7),
      options: { ...testOptions, ...options },
      counters,
      trace,
      handler: { handle: (request, reply) => this.#handle(request, reply) },
    });
    this.peer = this.open(address, isProven);
  }

  /** Another peer of the same server; its path is that of the first. */
  open(address: string, isProven: boolean, port = 40_000): UdpPeer {
    let facts: WireFacts = { listener: 'coap', remoteAddress: address, remotePort: port, secure: isProven, peerCertificate: undefined };
    const isStill = (): boolean => this.isProven;
    const path: DatagramPath = {
      get facts() {
        return facts;
      },
      maxBytes: 1152,
      get isProven() {
        return isProven && isStill();
      },
      ...(isProven && { proven: () => (this.isProven = true) }),
      send: (bytes) => {
        this.sent.push(bytes);
        this.sentBytes += bytes.length;
      },
      setDeadline: (ms) => {
        this.deadlineMs = ms;
      },
      close: () => {
        this.isClosed = true;
      },
    };
    this.move = () => {
      facts = { ...facts, remotePort: facts.remotePort + 1 };
      this.isProven = false;
    };
    return new UdpPeer(this.transport, path);
  }

  receive(bytes: Uint8Array, isMulticast = false): this {
    this.receivedBytes += bytes.length;
    this.peer.receive(Uint8Array.from(bytes), isMulticast);
    return this;
  }

  request(
    type: MessageType,
    messageId: number,
    {
      code = Code.get,
      token = 't',
      path = 'a',
      options = [],
      payload = '',
      isMulticast = false,
    }: { code?: number; token?: string; path?: string; options?: readonly CoapOption[]; payload?: string; isMulticast?: boolean } = {},
  ): this {
    const all = [...path.split('/').map((segment) => textOption(11, segment)), ...options];
    return this.receive(encodeUdp(type, messageId, code, textBytes(token), all, textBytes(payload)), isMulticast);
  }

  ack(messageId: number): this {
    return this.receive(emptyMessage(MessageType.acknowledgement, messageId));
  }

  reset(messageId: number): this {
    return this.receive(emptyMessage(MessageType.reset, messageId));
  }

  /** Lets time pass, and calls the peer when it wanted to be called. */
  pass(ms: number): this {
    const untilMs = this.clock.monotonicMs() + ms;
    while (this.deadlineMs <= untilMs) {
      this.clock.advance(Math.max(0, this.deadlineMs - this.clock.monotonicMs()));
      this.deadlineMs = Infinity;
      this.peer.onDeadline();
    }
    this.clock.advance(untilMs - this.clock.monotonicMs());
    return this;
  }

  /** The next datagram that was sent, decoded. */
  take(): UdpMessage {
    const bytes = this.sent.shift();
    assert.ok(bytes !== undefined, 'nothing was sent');
    const message = decodeUdp(bytes);
    assert.ok(message !== undefined, 'what was sent is no message');
    return message;
  }

  takeNothing(): this {
    assert.deepEqual(this.sent, [], 'nothing should have been sent');
    return this;
  }

  /** The reply to the request that was asked last. */
  get last(): Asked {
    const asked = this.asked.at(-1);
    assert.ok(asked !== undefined, 'nothing was asked');
    return asked;
  }

  #handle(request: CoapRequest, reply: Reply): void {
    const asked: Asked = { request, reply, gone: 0 };
    reply.onGone = () => asked.gone++;
    this.asked.push(asked);
    this.onRequest(asked);
  }
}

export function response(code: number, payload = '', options: readonly CoapOption[] = []): CoapResponse {
  return { code, options, payload: payload === '' ? noBytes : textBytes(payload) };
}

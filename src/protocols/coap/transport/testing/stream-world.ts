// One connection of CoAP over a stream on a clock that is moved by hand, a wire that keeps what is written, and a handler that keeps what it is asked.

import assert from 'node:assert/strict';
import { ManualClock } from '../../../../base/clock.ts';
import { Output } from '../../../../base/output.ts';
import { SeededRandom } from '../../../../base/random.ts';
import type { Wire } from '../../../protocol.ts';
import { noTrace } from '../../../trace.ts';
import {
  Code,
  type CoapMessage,
  type CoapOption,
  decodeWebSocketMessage,
  encodeWebSocketMessage,
  StreamReader,
  streamLength,
  textBytes,
  textOption,
  writeStream,
} from '../../codec/index.ts';
import { Counters } from '../../counters.ts';
import type { TransportOptions } from '../../transport-options.ts';
import { StreamPeer } from '../stream-peer.ts';
import { Transport } from '../transport.ts';
import { testOptions } from './options.ts';
import type { Asked } from './udp-world.ts';

export class StreamWorld {
  readonly clock = new ManualClock();
  readonly counters = new Counters();
  readonly output = new Output(() => {});
  readonly peer: StreamPeer;
  readonly asked: Asked[] = [];
  readonly #isWebSocket: boolean;
  readonly #reader = new StreamReader(1_000_000);
  #ends: number[] = [];
  #received: CoapMessage[] = [];
  deadlineMs = Infinity;
  isClosed = false;
  pauses = 0;
  onRequest: (asked: Asked) => void = () => {};

  constructor({ isWebSocket = false, ...options }: Partial<TransportOptions> & { readonly isWebSocket?: boolean } = {}) {
    this.#isWebSocket = isWebSocket;
    const wire: Wire = {
      output: this.output,
      facts: { listener: 'coap-tcp', remoteAddress: '192.0.2.7', remotePort: 40_000, secure: false, peerCertificate: undefined },
      pause: () => void this.pauses++,
      resume: () => void this.pauses--,
      close: () => {
        this.isClosed = true;
      },
      abort: () => {
        this.isClosed = true;
      },
      setDeadline: (ms) => {
        this.deadlineMs = ms;
      },
      ...(isWebSocket && { endMessage: () => void this.#ends.push(this.output.pendingBytes) }),
    };
    const transport = new Transport({
      clock: this.clock,
      random: new SeededRandom(3),
      options: { ...testOptions, ...options },
      counters: this.counters,
      trace: noTrace,
      handler: {
        handle: (request, reply) => {
          const asked: Asked = { request, reply, gone: 0 };
          reply.onGone = () => asked.gone++;
          this.asked.push(asked);
          this.onRequest(asked);
        },
      },
    });
    this.peer = new StreamPeer(transport, wire);
  }

  send(code: number, token: string | Uint8Array = '', options: readonly CoapOption[] = [], payload = ''): this {
    const t = typeof token === 'string' ? textBytes(token) : token;
    const p = textBytes(payload);
    if (this.#isWebSocket) {
      this.peer.receive(encodeWebSocketMessage(code, t, options, p));
      return this;
    }
    const bytes = new Uint8Array(streamLength(t.length, options, p));
    writeStream(bytes, 0, code, t, options, p);
    this.peer.receive(bytes);
    return this;
  }

  /** Capabilities of both sides are exchanged. */
  greet(options: readonly CoapOption[] = []): this {
    this.send(Code.csm, '', options);
    assert.equal(this.take().code, Code.csm);
    return this;
  }

  get(token: string, options: readonly CoapOption[] = []): this {
    return this.send(
      Code.get,
      token,
      [...options, textOption(11, 'a')].sort((a, b) => a.number - b.number),
    );
  }

  /** The next message that was written. */
  take(): CoapMessage {
    this.#read();
    const message = this.#received.shift();
    assert.ok(message !== undefined, 'nothing was written');
    return message;
  }

  takeNothing(): this {
    this.#read();
    assert.deepEqual(this.#received, []);
    return this;
  }

  pass(ms: number): this {
    const untilMs = this.clock.monotonicMs() + ms;
    while (this.deadlineMs <= untilMs && !this.isClosed) {
      this.clock.advance(Math.max(0, this.deadlineMs - this.clock.monotonicMs()));
      this.deadlineMs = Infinity;
      this.peer.onDeadline();
    }
    this.clock.advance(untilMs - this.clock.monotonicMs());
    return this;
  }

  get last(): Asked {
    const asked = this.asked.at(-1);
    assert.ok(asked !== undefined, 'nothing was asked');
    return asked;
  }

  #read(): void {
    const bytes = Buffer.concat(this.output.takeChunks());
    if (!this.#isWebSocket) {
      const fault = this.#reader.push(bytes, { message: (message) => this.#received.push(message) > 0 });
      assert.equal(fault, undefined);
      return;
    }
    let at = 0;
    for (const end of this.#ends) {
      const message = decodeWebSocketMessage(bytes.subarray(at, end));
      assert.ok(message !== undefined, 'what was written is no message');
      this.#received.push(message);
      at = end;
    }
    assert.equal(at, bytes.length);
    this.#ends = [];
  }
}

// Q-Block through the whole stack of UDP: a client that keeps to the RFCs, and a network that loses each datagram in turn.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';

import { ManualClock } from '../../../base/clock.ts';
import { SeededRandom } from '../../../base/random.ts';
import { Timers } from '../../../base/timers.ts';
import { defaultConfig } from '../../../config.ts';
import { noTrace } from '../../trace.ts';
import {
  Code,
  decodeUdp,
  emptyMessage,
  encodeUdp,
  MessageType,
  noBytes,
  OptionNumber,
  optionValue,
  textOption,
  uintValue,
} from '../codec/index.ts';
import { CoapServer } from '../server.ts';
import { coapOptions } from '../settings.ts';
import { blockOption, readBlock } from './block-option.ts';
import { body } from './testing/block-world.ts';

import type { DatagramPath, DatagramPeer } from '../../datagram.ts';
import type { CoapOption, UdpMessage } from '../codec/index.ts';
import type { CoapRequest, Reply } from '../exchange.ts';

const szx = 2;
const step = 64;
const path = textOption(OptionNumber.uriPath, 'large');

/** One peer, both ends of it; datagrams are counted from 1 in both directions. */
class Udp {
  readonly clock = new ManualClock();
  readonly timers = new Timers();
  readonly server: CoapServer;
  readonly peer: DatagramPeer;
  readonly asked: CoapRequest[] = [];
  readonly blocks = new Map<number, Uint8Array>();
  answer: (request: CoapRequest, reply: Reply) => void = () => {};
  /** The client is there: it acknowledges, and asks again. */
  acknowledges = true;
  size: number | undefined;
  datagrams = 0;
  readonly #type: MessageType;
  readonly #lost: ReadonlySet<number>;
  #deadlineMs = Infinity;
  #messageId = 1;
  #again: { bytes: Uint8Array; dueMs: number; timeoutMs: number; left: number } | undefined;
  #heardMs = 0;
  #repeats = 0;
  #continued = 0;
  #inbox: Uint8Array[] = [];

  constructor(type: MessageType, lost: readonly number[]) {
    this.#type = type;
    this.#lost = new Set(lost);
    const config = defaultConfig();
    this.server = new CoapServer({
      clock: this.clock,
      random: new SeededRandom(1),
      timers: this.timers,
      trace: noTrace,
      options: coapOptions(config.coap, config),
      resources: {
        handle: (request, reply) => {
          this.asked.push(request);
          this.answer(request, reply);
        },
      },
      goingDown: () => {},
    });
    const facts = { listener: 'coap', remoteAddress: '127.0.0.1', remotePort: 5, secure: true, peerCertificate: undefined };
    const way: DatagramPath = {
      facts,
      maxBytes: 1152,
      isProven: true,
      send: (bytes) => void (this.#isLost() || this.#inbox.push(bytes)),
      setDeadline: (ms) => (this.#deadlineMs = ms),
      close() {},
    };
    this.peer = this.server.datagram.open(way);
  }

  get isComplete(): boolean {
    return this.size !== undefined && this.blocks.size === Math.ceil(this.size / step);
  }

  get whole(): Uint8Array {
    const bytes = new Uint8Array(this.size ?? 0);
    for (const [number, block] of this.blocks) bytes.set(block, number * step);
    return bytes;
  }

  metric(name: string): number {
    for (const sample of this.server.metrics()) if (sample.name === `heliograph_coap_${name}`) return sample.value as number;
    throw new Error(`no metric ${name}`);
  }

  ask(...wanted: readonly CoapOption[]): void {
    const messageId = this.#messageId++;
    const bytes = encodeUdp(this.#type, messageId, Code.get, Uint8Array.of(messageId), [path, ...wanted], noBytes);
    if (this.#type === MessageType.confirmable) {
      this.#again = { bytes, dueMs: this.clock.monotonicMs() + 2500, timeoutMs: 5000, left: 4 };
    }
    this.#heardMs = this.clock.monotonicMs();
    this.#out(bytes);
  }

  /** Until the client has all of it and the server is at rest, or time is up. */
  run(maxMs: number): void {
    for (let ms = 0; ms < maxMs && !(this.isComplete && this.peer.isIdle); ms += 100) {
      this.#read();
      if (!this.isComplete && this.acknowledges) this.#missed();
      this.clock.advance(100);
      const nowMs = this.clock.monotonicMs();
      this.timers.advance(nowMs);
      if (this.#deadlineMs > nowMs) continue;
      this.#deadlineMs = Infinity;
      this.peer.onDeadline();
    }
    this.#read();
  }

  #read(): void {
    for (let bytes = this.#inbox.shift(); bytes !== undefined; bytes = this.#inbox.shift()) {
      const message = decodeUdp(bytes)!;
      // RFC 7252 §5.2.2: any message that belongs to the request ends its repetitions.
      this.#again = undefined;
      if (message.code !== Code.empty) this.#block(message);
      if (message.type === MessageType.confirmable && this.acknowledges) {
        this.#out(emptyMessage(MessageType.acknowledgement, message.messageId));
      }
    }
  }

  #block({ code, options, payload }: UdpMessage): void {
    assert.equal(code, Code.content);
    this.#heardMs = this.clock.monotonicMs();
    this.#repeats = 0;
    this.size = uintValue(optionValue(options, OptionNumber.size2)!);
    const { number } = readBlock(optionValue(options, OptionNumber.qBlock2)!);
    this.blocks.set(number, payload);
    let lowest = 0;
    while (this.blocks.has(lowest)) lowest++;
    if (this.#type === MessageType.confirmable || lowest % 10 > 0 || lowest <= this.#continued || this.isComplete) return;
    this.#continued = lowest;
    this.ask(blockOption(OptionNumber.qBlock2, { number: lowest, more: true, szx }));
  }

  #missed(): void {
    const nowMs = this.clock.monotonicMs();
    if (this.#again !== undefined && this.#again.dueMs <= nowMs && this.#again.left-- > 0) {
      this.#again.dueMs += this.#again.timeoutMs;
      this.#again.timeoutMs *= 2;
      this.#out(this.#again.bytes);
    }
    if (this.#again !== undefined || nowMs - this.#heardMs < 4000 * 2 ** this.#repeats || this.#repeats > 4) return;
    this.#repeats++;
    const end = Math.min(Math.ceil((this.size ?? step) / step), (Math.floor(Math.max(0, ...this.blocks.keys()) / 10) + 1) * 10);
    const missing = Array.from({ length: end }, (_, i) => i).filter((number) => !this.blocks.has(number));
    if (this.size === undefined) this.ask(blockOption(OptionNumber.qBlock2, { number: 0, more: true, szx }));
    else this.ask(...missing.map((number) => blockOption(OptionNumber.qBlock2, { number, more: false, szx })));
  }

  #out(bytes: Uint8Array): void {
    if (!this.#isLost()) this.peer.receive(Uint8Array.from(bytes), false);
  }

  #isLost(): boolean {
    return this.#lost.has(++this.datagrams);
  }
}

const first = blockOption(OptionNumber.qBlock2, { number: 0, more: true, szx });

suite('Q-Block2 over UDP', () => {
  const whole = body(25 * step - 5);

  for (const type of [MessageType.confirmable, MessageType.nonConfirmable] as const) {
    const name = type === MessageType.confirmable ? 'confirmable' : 'not confirmable';
    test(`whichever datagram is lost: ${name}`, () => {
      const fine = new Udp(type, []);
      fine.answer = (_request, reply) => reply.send({ code: Code.content, options: [], payload: whole });
      fine.ask(first);
      fine.run(10_000);
      assert.deepEqual(fine.whole, whole);
      for (let lost = 1; lost <= fine.datagrams + 1; lost++) {
        const udp = new Udp(type, [lost]);
        udp.answer = fine.answer;
        udp.ask(first);
        udp.run(60_000);
        assert.deepEqual(udp.whole, whole, `lost ${lost}`);
        assert.ok(udp.peer.isIdle);
        // A lone request that is not confirmable may be lost without a trace, and is made anew.
        assert.equal(udp.asked.length, 1, `lost ${lost}`);
      }
    });
  }

  test('what is given only once is settled when the client has all of it, whichever datagram is lost', () => {
    for (let lost = 0; lost <= 60; lost++) {
      const udp = new Udp(MessageType.confirmable, [lost]);
      const results: string[] = [];
      udp.answer = (_request, reply) =>
        reply.sendConfirmed({ code: Code.content, options: [], payload: whole }, (result) => {
          results.push(result);
          if (result === 'acknowledged') assert.ok(udp.isComplete, `lost ${lost}: settled too early`);
        });
      udp.ask(first);
      udp.run(60_000);
      assert.deepEqual(results, ['acknowledged'], `lost ${lost}`);
      assert.equal(udp.asked.length, 1);
    }
  });

  test('a client that acknowledges no more is given up, and nothing is left', () => {
    const udp = new Udp(MessageType.confirmable, []);
    const results: string[] = [];
    udp.answer = (_request, reply) =>
      reply.sendConfirmed({ code: Code.content, options: [], payload: whole }, (result) => results.push(result));
    udp.acknowledges = false;
    udp.ask(first);
    udp.run(20_000);
    assert.deepEqual(results, []);
    assert.ok(!udp.peer.isIdle);
    udp.run(400_000);
    assert.deepEqual(results, ['lost']);
    assert.ok(udp.peer.isIdle);
    assert.equal(udp.metric('qblock_answers'), 0);
    assert.equal(udp.metric('qblock_answer_bytes'), 0);
    assert.equal(udp.timers.size, 0);
  });

  test('a first block whose acknowledgement nobody knows goes once more, as a message of its own', () => {
    const udp = new Udp(MessageType.confirmable, [2]);
    udp.answer = (_request, reply) => reply.send({ code: Code.content, options: [], payload: whole });
    udp.ask(first);
    udp.run(1000);
    assert.deepEqual(udp.whole, whole);
    assert.equal(udp.metric('qblock_answers'), 1);
  });
});

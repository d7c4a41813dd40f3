// One peer of CoAP over datagrams, and steps as bytes: datagrams in any order, whole or broken, answers at once, late, twice or never,
// notifications, requests the other way, acknowledgements of what was sent, and time that passes.

import assert from 'node:assert/strict';
import { Code, emptyMessage, type CoapOption, uintOption } from '../../../src/protocols/coap/codec/index.ts';
import type { NotificationResult } from '../../../src/protocols/coap/exchange.ts';
import { testOptions } from '../../../src/protocols/coap/transport/testing/options.ts';
import { UdpWorld } from '../../../src/protocols/coap/transport/testing/udp-world.ts';
import { coapDatagrams, coapWords } from '../coap-seeds.ts';
import type { Target } from '../target.ts';

const maxSteps = 200;
const seeds = coapDatagrams();

/** Something that must be told once, at the latest when the peer is gone. */
class Promised {
  readonly what: string;
  told = 0;

  constructor(what: string) {
    this.what = what;
  }
}

class Scene {
  readonly world: UdpWorld;
  readonly promised: Promised[] = [];
  readonly seen = new Set<string>();
  /** Ids of what was sent and not yet acknowledged here. */
  readonly ids: number[] = [];
  echo: Uint8Array | undefined;

  constructor(flags: number) {
    this.world = new UdpWorld({
      isProven: (flags & 1) !== 0,
      answerMulticast: (flags & 2) !== 0,
      piggybackMs: (flags & 4) !== 0 ? 0 : 50,
      nstart: (flags & 8) !== 0 ? 3 : 1,
    });
    const answersAtOnce = (flags & 16) !== 0;
    this.world.onRequest = ({ reply }) => {
      if (answersAtOnce) reply.send({ code: Code.content, options: [], payload: new Uint8Array(flags) });
    };
  }

  receive(bytes: Uint8Array, isMulticast: boolean): void {
    this.world.receive(bytes, isMulticast);
  }

  step(kind: number, argument: number, bytes: Uint8Array): void {
    const { world } = this;
    const asked = world.asked.length === 0 ? undefined : world.asked[argument % world.asked.length];
    const payload = new Uint8Array((argument & 7) * 40);
    if (kind === 0) this.receive(bytes, (argument & 1) !== 0);
    else if (kind === 1) this.receive(this.#known(argument), (argument & 64) !== 0);
    else if (kind === 2) world.pass(2 ** (argument % 19));
    else if (kind === 3) asked?.reply.send({ code: argument & 128 ? Code.notFound : Code.changed, options: [], payload });
    else if (kind === 4) asked?.reply.sendConfirmed({ code: Code.content, options: [], payload }, this.#promise('sendConfirmed'));
    else if (kind === 5)
      asked?.reply.notify(
        { code: Code.content, options: [uintOption(6, argument)], payload },
        (argument & 8) !== 0,
        this.#promise('notify'),
      );
    else if (kind === 6)
      this.receive(emptyMessage((argument & 1) !== 0 ? 2 : 3, this.ids[argument % (this.ids.length || 1)] ?? argument), false);
    else this.#ask(argument, payload);
  }

  /** One of the good messages, with an id, a type and a token that may have been there before, and perhaps with the Echo that was asked for. */
  #known(argument: number): Uint8Array {
    const bytes = Uint8Array.from(seeds[argument % seeds.length]!);
    bytes[3] = argument;
    if (bytes.length > 8 && (argument & 3) === 0) bytes[4] = argument;
    if ((argument & 15) !== 5 || this.echo === undefined) return bytes;
    return Uint8Array.of(0x40, Code.get, 1, argument, 0xd6, 252 - 13, ...this.echo);
  }

  #ask(argument: number, payload: Uint8Array): void {
    const observe = (argument & 16) !== 0;
    const options: readonly CoapOption[] = observe ? [uintOption(6, 0)] : [];
    const promised = new Promised('request');
    if (!observe) this.promised.push(promised);
    const cancel = this.world.peer.request({ code: Code.get, options, payload, confirmable: (argument & 8) !== 0 }, () => {
      promised.told++;
      assert.ok(observe || promised.told === 1, 'a request is answered twice');
    });
    if (observe && (argument & 32) !== 0) cancel();
  }

  #promise(what: string): (result: NotificationResult) => void {
    const promised = new Promised(what);
    this.promised.push(promised);
    return (result) => {
      this.seen.add(`${what} ${result}`);
      promised.told++;
      assert.equal(promised.told, 1, `${what} is told twice`);
    };
  }

  check(): void {
    const { world } = this;
    const { counters } = world;
    if (!world.peer.isProven) assert.ok(world.sentBytes <= 3 * world.receivedBytes, 'an address that is not proven is sent too much');
    assert.ok(counters.remembered <= testOptions.maxRememberedPerPeer);
    assert.ok(counters.rememberedBytes <= testOptions.maxRememberedPeerBytes + 2048);
    assert.ok(counters.pendingRequests >= 0 && counters.pendingRequests <= testOptions.maxRequestsPerPeer);
    for (const { gone } of world.asked) assert.ok(gone <= 1, 'told twice that it is gone');
    while (world.sent.length > 0) {
      const message = world.take();
      this.ids.push(message.messageId);
      if (this.ids.length > 8) this.ids.shift();
      const echo = message.options.find(({ number }) => number === 252);
      if (echo !== undefined) this.echo = echo.value;
      this.seen.add(`sent ${message.type} ${message.code}`);
    }
  }

  end(): void {
    const { world } = this;
    world.pass(400_000);
    this.check();
    world.peer.onClosed();
    for (const { what, told } of this.promised) assert.equal(told, 1, `${what} is never told`);
    const { remembered, rememberedBytes, pendingRequests, datagramPeers } = world.counters;
    assert.deepEqual(
      { remembered, rememberedBytes, pendingRequests, datagramPeers },
      { remembered: 0, rememberedBytes: 0, pendingRequests: 0, datagramPeers: 0 },
    );
    assert.ok(world.peer.isIdle, 'something is left of a peer that is gone');
  }
}

function run(input: Uint8Array): readonly string[] {
  const scene = new Scene(input[0] ?? 0);
  let at = 1;
  for (let steps = 0; at < input.length && steps < maxSteps; steps++) {
    const kind = input[at]! & 7;
    const argument = input[at + 1] ?? 0;
    at += 2;
    const length = kind === 0 ? Math.min(input[at - 2]! >>> 2, input.length - at) : 0;
    scene.step(kind, argument, input.subarray(at, at + length));
    at += length;
    scene.check();
  }
  scene.end();
  for (const [cause, count] of Object.entries(scene.world.counters.dropped)) if (count > 0) scene.seen.add(`dropped ${cause}`);
  return [...scene.seen];
}

export const target: Target = {
  name: 'coap-message-layer',
  properties: [
    'nothing throws, whatever comes and whenever',
    'an address that is not proven is sent at most three times what came from it',
    'what is remembered and what waits stays within its bounds, and nothing is left when the peer is gone',
    'who waits for an answer, an acknowledgement or the end of an observation is told once',
  ],
  covers: /\/src\/protocols\/coap\/transport\//,
  maxBytes: 1024,
  slowMs: 500,
  seeds: [
    ...seeds.map((bytes, i) => Uint8Array.of(i, 0xf8 & (bytes.length << 2), 0, ...bytes.subarray(0, (0xf8 & (bytes.length << 2)) >>> 2))),
    Uint8Array.of(1, 1, 0, 2, 10, 3, 0, 1, 1, 5, 8, 6, 1, 7, 8, 2, 18),
    Uint8Array.of(0, 1, 4, 5, 8, 6, 1, 5, 9, 6, 1, 5, 15, 1, 5, 4, 7),
    Uint8Array.of(17, 1, 2, 1, 2, 7, 16, 7, 56, 2, 18, 4, 0),
  ],
  dictionary: coapWords,
  run,
};

// Requests under OSCORE in any order, made by a device, bent on the way, or invented; and crashes in between. The input is a list of
// steps: a byte for what is done, a byte for how long its argument is, the argument.

import assert from 'node:assert/strict';
import { ManualClock } from '../../../src/base/clock.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { Code, isRequest, isResponse, noBytes, OptionNumber, optionValue } from '../../../src/protocols/coap/codec/index.ts';
import type { CoapOption } from '../../../src/protocols/coap/codec/message.ts';
import type { CoapPeer, CoapRequest, CoapResponse, Reply } from '../../../src/protocols/coap/exchange.ts';
import { OscoreLayer } from '../../../src/protocols/coap/oscore/oscore-layer.ts';
import { OscorePeer } from '../../../src/protocols/coap/oscore/oscore-peer.ts';
import { oscoreOptionValue, readOscoreOption } from '../../../src/protocols/coap/oscore/oscore-option.ts';
import { readPlaintext } from '../../../src/protocols/coap/oscore/plaintext.ts';
import { aeadAlgorithms, hkdfAlgorithms } from '../../../src/security/oscore/algorithms.ts';
import { SecurityContext } from '../../../src/security/oscore/context.ts';
import type { ContextInput } from '../../../src/security/oscore/derivation.ts';
import type { OscoreContext, OscoreContexts, SealedRequest } from '../../../src/security/oscore/oscore.ts';
import { MemorySequenceStore, type SequenceState } from '../../../src/security/oscore/sequence-store.ts';
import type { Target } from '../target.ts';

const windowSize = 8;
const node: ContextInput = {
  algorithm: aeadAlgorithms[0]!,
  hkdf: hkdfAlgorithms[0]!,
  masterSecret: Buffer.alloc(16, 7),
  masterSalt: noBytes,
  senderId: Buffer.from('n'),
  recipientId: Buffer.from('d'),
  idContext: undefined,
};
const settings = { stretch: 16, maxWaiting: 8, echoMs: 1000 };
const name = { tenant: 'main', principal: 'd', contextId: 'c' };
const facts = { listener: 'coap', remoteAddress: '192.0.2.1', remotePort: 1, secure: false, peerCertificate: undefined };

class InstantStore extends MemorySequenceStore {
  writes = 0;

  override put(fingerprint: string, state: SequenceState): Promise<void> {
    this.writes++;
    void super.put(fingerprint, state);
    // oxlint-disable-next-line unicorn/no-thenable -- done at once, not at the end of the turn
    return { then: (done: () => void) => done() } as unknown as Promise<void>;
  }
}

/** `seed`: another one in each life of a process, or else an Echo of the one before would be good again. */
function open(store: MemorySequenceStore, input: ContextInput, seed = 0): SecurityContext {
  return new SecurityContext(name, input, windowSize, settings, { store, clock: new ManualClock(), random: new SeededRandom(seed) });
}

class World {
  readonly #store = new InstantStore();
  readonly #device = open(new InstantStore(), { ...node, senderId: node.recipientId, recipientId: node.senderId });
  readonly #sent: SealedRequest[] = [];
  /** Numbers of requests that were handed on, ever. */
  readonly #handed = new Set<number>();
  /** Numbers that the node has sealed with. */
  readonly #own = new Set<string>();
  #context = open(this.#store, node);
  /** Numbers that the window knows, also of what was no request inside. */
  readonly #taken = new Set<number>();
  readonly #valid: boolean[] = [];
  /** No crash yet: what is new must be taken. */
  #isExact = true;
  #newest = -1;
  readonly seen: string[] = [];
  readonly #layer: OscoreLayer;
  #underWay = -1;
  #lastEcho: Uint8Array | undefined;
  #lives = 0;

  constructor() {
    const contexts: OscoreContexts = {
      find: (_kid, _context, answer) => answer([this.#context]),
      named: (_name, answer: (found: OscoreContext) => void) => answer(this.#context),
      refused: () => {},
    };
    this.#layer = new OscoreLayer(contexts, { handle: (request, reply) => this.#next(request, reply) });
    this.peer = new OscorePeer(this.#path, name, contexts, () => {});
  }

  readonly peer: OscorePeer;
  #back: ((response: CoapResponse) => void) | undefined;
  readonly #path: CoapPeer = {
    facts,
    isReliable: false,
    isProven: true,
    maxMessageBytes: 1152,
    request: (sent, answer) => {
      this.#sealedWith(sent.options);
      this.#back = answer;
      return () => {};
    },
    whenGone: () => {},
    close: () => {},
  };

  #next({ message, oscore }: CoapRequest, reply: Reply): void {
    assert.deepEqual(oscore, name);
    assert.ok(this.#underWay >= 0, 'nothing is handed on but what the device has sealed');
    assert.ok(!this.#handed.has(this.#underWay), 'nothing is handed on twice');
    assert.ok(message.code > 0 && message.code < 32);
    this.#handed.add(this.#underWay);
    const response = { code: Code.content, options: message.options.slice(0, 3), payload: message.payload };
    reply.notify({ ...response, options: [] }, false, () => {});
    reply.send({ code: Code.content, options: [], payload: noBytes });
    reply.send(response);
  }

  #sealedWith(options: readonly CoapOption[]): void {
    const piv = readOscoreOption(optionValue(options, OptionNumber.oscore)!)!.piv;
    if (piv === undefined) return;
    const text = Buffer.from(piv).toString('hex');
    assert.ok(!this.#own.has(text), 'no number is used twice');
    this.#own.add(text);
  }

  /** `number`: of the device's request, unbent; -1: of none. */
  #deliver(value: Uint8Array, payload: Uint8Array, number: number): void {
    const answers: CoapResponse[] = [];
    const take = (response: CoapResponse): void => {
      assert.ok(isResponse(response.code) || response.code === Code.empty);
      if (optionValue(response.options, OptionNumber.oscore) !== undefined) this.#sealedWith(response.options);
      answers.push(response);
    };
    const reply: Reply = { onGone: undefined, send: take, sendConfirmed: take, notify: take };
    const before = this.#store.writes;
    const options = [{ number: OptionNumber.oscore, value }];
    this.#underWay = number;
    this.#layer.handle(
      { message: { code: Code.post, token: noBytes, options, payload }, peer: this.#path, confirmable: true, isMulticast: false },
      reply,
    );
    this.#underWay = -1;
    if (number < 0) assert.equal(this.#store.writes, before, 'nothing is written for what was not opened');
    this.seen.push(...answers.map(({ code, options: { length } }) => `${code} ${length}`));
    this.#challenged(answers[0], number);
  }

  #challenged(answer: CoapResponse | undefined, number: number): void {
    if (number < 0 || answer === undefined) return;
    const value = optionValue(answer.options, OptionNumber.oscore);
    if (value === undefined) return;
    const plain = this.#device.openResponse(this.#sent[number]!.binding, readOscoreOption(value)!.piv, answer.payload);
    if (plain?.[0] === Code.unauthorized && plain.length > 8) this.#lastEcho = plain.slice(-8);
  }

  step(kind: number, argument: Uint8Array): void {
    switch (kind % 7) {
      case 0:
        return this.#deliver(argument.subarray(1), argument.subarray(0, 20), -1);
      case 1:
        return this.#send(argument.length === 0 ? Uint8Array.of(Code.get) : argument);
      case 2:
        return this.#again((argument[0] ?? 0) % Math.max(1, this.#sent.length), (argument[1] ?? 0) % 40, argument[2] ?? 0);
      case 3:
        void this.#context.putAway();
        return this.#restart(true);
      case 4:
        return this.#restart(false);
      case 5:
        return this.#ask(argument);
      default:
        // With what the node has asked for.
        return this.#send(Buffer.concat([Uint8Array.of(Code.get, 0xd8, 0xef), this.#lastEcho ?? Buffer.alloc(8)]));
    }
  }

  #restart(isClean: boolean): void {
    this.#context = open(this.#store, node, ++this.#lives);
    if (!isClean) this.#isExact = false;
    this.seen.push(isClean ? 'put away' : 'crash');
  }

  #send(plaintext: Uint8Array): void {
    if (this.#sent.length >= 200) return;
    const plain = readPlaintext(plaintext);
    this.#valid.push(plain !== undefined && isRequest(plain.code));
    this.#device.sealRequest(plaintext, (sealed) => this.#sent.push(sealed!));
    // Every other one is delivered later, or never.
    if (plaintext.length % 2 === 1) this.#again(this.#sent.length - 1, 0, 0);
  }

  #again(number: number, at: number, change: number): void {
    const sealed = this.#sent[number];
    if (sealed === undefined) return;
    const ciphertext = Buffer.from(sealed.ciphertext);
    const value = oscoreOptionValue({ piv: sealed.piv, kid: sealed.kid, kidContext: undefined });
    if (change !== 0) {
      ciphertext[at % ciphertext.length]! ^= change;
      return this.#deliver(value, ciphertext, -1);
    }
    const isNew = !this.#taken.has(number) && number > this.#newest - windowSize;
    const had = this.#handed.size;
    this.#deliver(value, ciphertext, number);
    const isHanded = this.#handed.size > had;
    // After a crash it is more that is refused, never less.
    if (this.#isExact) assert.equal(isHanded, isNew && this.#valid[number], `${number} with ${this.#newest} the newest`);
    if (!isNew) return assert.ok(!isHanded);
    if (!this.#isExact && !isHanded) return;
    this.#taken.add(number);
    this.#newest = Math.max(this.#newest, number);
  }

  /** The node asks the device, and anything comes back. */
  #ask(argument: Uint8Array): void {
    const results: unknown[] = [];
    this.peer.request({ code: Code.get, options: [], payload: noBytes, confirmable: true }, (result) => results.push(result));
    const value = argument.subarray(0, 3);
    this.#back?.({ code: Code.changed, options: [{ number: OptionNumber.oscore, value }], payload: argument.subarray(3) });
    assert.deepEqual(results, [{ failure: 'reset' }], 'only the device can answer');
  }
}

function run(input: Uint8Array): readonly string[] {
  const world = new World();
  for (let at = 0; at + 2 <= input.length;) {
    const end = Math.min(input.length, at + 2 + (input[at + 1]! & 0x3f));
    world.step(input[at]!, input.subarray(at + 2, end));
    at = end;
  }
  return world.seen;
}

const steps = (...list: readonly (readonly number[])[]): Uint8Array =>
  Buffer.concat(list.map(([kind, ...argument]) => Uint8Array.of(kind!, argument.length, ...argument)));

export const target: Target = {
  name: 'oscore',
  properties: [
    'nothing throws, whatever stands in the option, in the payload, or in what was sealed',
    'nothing is written or handed on before a request was opened, and nothing is handed on twice, also after a crash',
    'without a crash the window is exact',
    'no number is sealed with twice, also after a crash',
    'what answers a request of the node was sealed by the device',
  ],
  covers: /\/src\/(protocols\/coap\/oscore|security\/oscore)\//,
  maxBytes: 512,
  slowMs: 50,
  seeds: [
    steps([1, 1], [1, 1, 0], [2, 1], [2, 0]),
    steps([1, 1], [4], [1, 1], [6], [1, 1], [2, 1], [2, 2]),
    steps([1, 1], [3], [1, 1], [2, 0], [4], [6], [6]),
    steps([0, 9, 0x09, 0x05, 0x64], [0], [0, 1, 2, 3]),
    steps([5, 0, 1, 2], [5], [5, 0x01, 0x00, 0x41, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    steps([1, 0x45], [1, 1, 0xff], [1, 1, 0xb1, 0x74, 0xff, 1, 2], [2, 0, 3, 1]),
  ],
  dictionary: [
    Buffer.of(0x09),
    Buffer.of(0x19, 0, 1),
    Buffer.of(0xff),
    Buffer.of(0xd8, 0xef),
    Buffer.of(0x60),
    Buffer.of(4, 0),
    Buffer.of(6, 0),
    Buffer.of(1, 1, 1),
  ],
  run,
};

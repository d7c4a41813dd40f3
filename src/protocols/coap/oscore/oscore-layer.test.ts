import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../../base/clock.ts';
import { SeededRandom } from '../../../base/random.ts';
import { aeadAlgorithms, hkdfAlgorithms } from '../../../security/oscore/algorithms.ts';
import { SecurityContext } from '../../../security/oscore/context.ts';
import type { ContextInput } from '../../../security/oscore/derivation.ts';
import type { OscoreContext, OscoreContexts, OscoreFault } from '../../../security/oscore/oscore.ts';
import { MemorySequenceStore, type SequenceState } from '../../../security/oscore/sequence-store.ts';
import { codeNumber, decodeUdp, encodeUdp, Code, noBytes, OptionNumber, optionValue, textOption, uintOption } from '../codec/index.ts';
import type { CoapMessage, CoapOption } from '../codec/message.ts';
import type { CoapPeer, CoapRequest, CoapResponse, NotificationResult, OutgoingRequest, Reply, RequestFailure } from '../exchange.ts';
import { OscoreLayer } from './oscore-layer.ts';
import { OscorePeer } from './oscore-peer.ts';

const hex = (text: string): Uint8Array => Buffer.from(text, 'hex');
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const none = new Uint8Array(0);
const name = { tenant: 'main', principal: 'pump', contextId: 'c1' };
const facts = { listener: 'coap', remoteAddress: '192.0.2.1', remotePort: 5683, secure: false, peerCertificate: undefined };
const get: CoapMessage = { code: Code.get, token: none, options: [textOption(OptionNumber.uriPath, 't')], payload: none };

function input(given: Partial<ContextInput> = {}): ContextInput {
  return {
    algorithm: aeadAlgorithms[0]!,
    hkdf: hkdfAlgorithms[0]!,
    masterSecret: hex('0102030405060708090a0b0c0d0e0f10'),
    masterSalt: hex('9e7ca92223786340'),
    senderId: hex('01'),
    recipientId: none,
    idContext: undefined,
    ...given,
  };
}

const mirrored = (given: ContextInput): ContextInput => ({ ...given, senderId: given.recipientId, recipientId: given.senderId });

/** Writes are done at once: nothing here is about them. */
class InstantStore extends MemorySequenceStore {
  override put(fingerprint: string, state: SequenceState): Promise<void> {
    void super.put(fingerprint, state);
    // oxlint-disable-next-line unicorn/no-thenable -- done at once, not at the end of the turn
    return { then: (done: () => void) => done() } as unknown as Promise<void>;
  }
}

function contextOf(given: ContextInput, store: MemorySequenceStore = new InstantStore()): SecurityContext {
  const settings = { stretch: 64, maxWaiting: 10, echoMs: 1000 };
  return new SecurityContext(name, given, 32, settings, { store, clock: new ManualClock(), random: new SeededRandom(1) });
}

class Known implements OscoreContexts {
  readonly faults: OscoreFault[] = [];
  contexts: readonly OscoreContext[] | 'unavailable';

  constructor(...contexts: OscoreContext[]) {
    this.contexts = contexts;
  }

  find(_kid: Uint8Array, _kidContext: Uint8Array | undefined, answer: (found: readonly OscoreContext[] | 'unavailable') => void): void {
    answer(this.contexts);
  }

  named(_name: unknown, answer: (found: OscoreContext | undefined) => void): void {
    answer(this.contexts === 'unavailable' ? undefined : this.contexts[0]);
  }

  refused(fault: OscoreFault): void {
    this.faults.push(fault);
  }
}

class TestReply implements Reply {
  readonly sent: CoapResponse[] = [];
  readonly notified: CoapResponse[] = [];
  onGone: (() => void) | undefined = undefined;

  send(response: CoapResponse): void {
    this.sent.push(response);
  }

  sendConfirmed(response: CoapResponse, done: (result: NotificationResult) => void): void {
    this.sent.push(response);
    done('acknowledged');
  }

  notify(response: CoapResponse, _confirmable: boolean, done: (result: NotificationResult) => void): void {
    this.notified.push(response);
    done('sent');
  }
}

/** The way to a layer of OSCORE, as a device sees it; `bend` changes what goes there. */
class Way implements CoapPeer {
  readonly facts = facts;
  readonly isReliable = false;
  readonly isProven = true;
  readonly maxMessageBytes = 1152;
  readonly sent: OutgoingRequest[] = [];
  readonly #gone: (() => void)[] = [];
  readonly #layer: (request: CoapRequest, reply: Reply) => void;
  bend: (request: OutgoingRequest) => OutgoingRequest = (request) => request;
  bendBack: (response: CoapResponse) => CoapResponse = (response) => response;

  constructor(layer: (request: CoapRequest, reply: Reply) => void) {
    this.#layer = layer;
  }

  request(given: OutgoingRequest, answer: (result: CoapResponse | RequestFailure) => void): () => void {
    const { code, options, payload } = this.bend(given);
    this.sent.push(given);
    const back = (response: CoapResponse): void => answer(this.bendBack(response));
    const reply: Reply = {
      onGone: undefined,
      send: back,
      sendConfirmed: (response, done) => (back(response), done('sent')),
      notify: (response, _confirmable, done) => (back(response), done('sent')),
    };
    this.#layer({ message: { code, token: none, options, payload }, peer: this, confirmable: true, isMulticast: false }, reply);
    return () => reply.onGone?.();
  }

  whenGone(task: () => void): void {
    this.#gone.push(task);
  }

  close(): void {
    for (const task of this.#gone) task();
  }
}

const nowhere = new Way(() => {});

function arrived(message: CoapMessage): CoapRequest {
  return { message, peer: nowhere, confirmable: true, isMulticast: false };
}

/** A device and a node that know each other. */
function pair(answer: (request: CoapRequest, reply: Reply) => void, given = input(), store?: MemorySequenceStore) {
  const known = new Known(contextOf(given, store));
  const layer = new OscoreLayer(known, { handle: answer });
  const way = new Way((request, reply) => layer.handle(request, reply));
  const device = new OscorePeer(way, name, new Known(contextOf(mirrored(given))), () => {});
  const ask = (request: CoapMessage): (CoapResponse | RequestFailure)[] => {
    const results: (CoapResponse | RequestFailure)[] = [];
    device.request({ ...request, confirmable: true }, (result) => results.push(result));
    return results;
  };
  return { known, layer, way, device, ask };
}

function shown(result: CoapResponse | RequestFailure | undefined): string {
  if (result === undefined) return 'nothing';
  return 'failure' in result ? result.failure : `${codeNumber(result.code)} ${Buffer.from(result.payload).toString()}`;
}

/** RFC 8613 appendix C.4 to C.6: unprotected, protected, and the context of the client. */
const requests: readonly [string, string, string, Partial<ContextInput>][] = [
  ['C.4', '44015d1f00003974396c6f63616c686f737483747631', '44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e', {}],
  [
    'C.5',
    '440171c30000b932396c6f63616c686f737483747631',
    '440271c30000b932396c6f63616c686f737463091400ff4ed339a5a379b0b8bc731fffb0',
    { masterSalt: none, senderId: hex('01'), recipientId: hex('00') },
  ],
  [
    'C.6',
    '44012f8eef9bbf7a396c6f63616c686f737483747631',
    '44022f8eef9bbf7a396c6f63616c686f73746b19140837cbf3210017a2d3ff72cd7273fd331ac45cffbe55c3',
    { idContext: hex('37cbf3210017a2d3') },
  ],
];

test('requests are sealed and opened as in RFC 8613 appendix C.4 to C.6', async () => {
  for (const [vector, plain, sealed, given] of requests) {
    const asked = decodeUdp(hex(plain))!;
    const seen: CoapRequest[] = [];
    const layer = new OscoreLayer(new Known(contextOf(input(given))), { handle: (request) => seen.push(request) });
    layer.handle(arrived(decodeUdp(hex(sealed))!), new TestReply());
    assert.equal(seen.length, 1, vector);
    const { message, oscore } = seen[0]!;
    assert.deepEqual(oscore, name);
    assert.equal(
      toHex(encodeUdp(asked.type, asked.messageId, message.code, message.token, message.options, message.payload)),
      plain,
      vector,
    );

    const store = new MemorySequenceStore();
    const client = mirrored(input(given));
    await store.put(contextOf(client).fingerprint, { sentBelow: 20, acceptedBelow: 0, window: { newest: -1, seen: '' } });
    const sent: OutgoingRequest[] = [];
    const way = new Way(() => {});
    way.request = (request) => (sent.push(request), () => {});
    const device = new OscorePeer(way, name, new Known(contextOf(client, store)), () => {});
    device.request({ ...asked, confirmable: true }, () => {});
    await new Promise((resolve) => setImmediate(resolve));
    const { code, options, payload } = sent[0]!;
    assert.equal(toHex(encodeUdp(asked.type, asked.messageId, code, asked.token, options, payload)), sealed, vector);
  }
});

test('answers are sealed as in RFC 8613 appendix C.7 and C.8', () => {
  const asked = decodeUdp(hex(requests[0]![2]))!;
  for (const [own, sealed] of [
    [false, '64445d1f0000397490ffdbaad1e9a7e7b2a813d3c31524378303cdafae119106'],
    [true, '64445d1f00003974920100ff4d4c13669384b67354b2b6175ff4b8658c666a6cf88e'],
  ] as const) {
    const response = { code: Code.content, options: [], payload: Buffer.from('Hello World!') };
    const layer = new OscoreLayer(new Known(contextOf(input())), {
      handle: (_request, reply) => (own ? reply.notify(response, false, () => {}) : reply.send(response)),
    });
    const reply = new TestReply();
    layer.handle(arrived(asked), reply);
    const { code, options, payload } = (own ? reply.notified : reply.sent)[0]!;
    assert.equal(toHex(encodeUdp(2, asked.messageId, code, asked.token, options, payload)), sealed);
  }
});

test('what is asked and answered is inside; what proxies need stays outside', () => {
  const seen: CoapRequest[] = [];
  const options = [
    textOption(OptionNumber.uriHost, 'example'),
    textOption(OptionNumber.uriPath, 't'),
    uintOption(OptionNumber.contentFormat, 60),
    textOption(OptionNumber.uriQuery, 'a=b'),
    textOption(OptionNumber.proxyScheme, 'coap'),
  ];
  const { way, ask } = pair((request, reply) => {
    seen.push(request);
    reply.send({ code: Code.created, options: [textOption(OptionNumber.locationPath, 'x')], payload: Buffer.from('made') });
  });
  const [answer] = ask({ code: Code.put, token: none, options, payload: Buffer.from('value') });
  assert.equal(shown(answer), '2.01 made');
  assert.deepEqual((answer as CoapResponse).options, [textOption(OptionNumber.locationPath, 'x')]);
  assert.equal(way.sent[0]!.code, Code.post);
  assert.deepEqual(
    way.sent[0]!.options.map(({ number }) => number),
    [OptionNumber.uriHost, OptionNumber.oscore, OptionNumber.proxyScheme],
  );
  assert.deepEqual(
    seen[0]!.message.options.map(({ number, value }) => [number, Buffer.from(value).toString('latin1')]),
    options.map(({ number, value }) => [number, Buffer.from(value).toString('latin1')]),
  );
  assert.deepEqual([seen[0]!.message.code, Buffer.from(seen[0]!.message.payload).toString()], [Code.put, 'value']);
});

test('what stands outside, and was not sealed, changes nothing', () => {
  const seen: CoapRequest[] = [];
  const { way, ask } = pair((request, reply) => (seen.push(request), reply.send({ code: Code.content, options: [], payload: none })));
  const foreign = [
    textOption(OptionNumber.uriPath, 'admin'),
    textOption(OptionNumber.uriQuery, 'x'),
    uintOption(OptionNumber.accept, 1),
    uintOption(OptionNumber.observe, 0),
    { number: OptionNumber.echo, value: Buffer.from('e') },
    uintOption(OptionNumber.noResponse, 26),
  ];
  way.bend = (request) => ({
    ...request,
    code: Code.delete,
    options: [...request.options, ...foreign].sort((a, b) => a.number - b.number),
  });
  assert.equal(shown(ask(get)[0]), '2.05 ');
  assert.deepEqual(
    seen[0]!.message.options.map(({ number, value }) => [number, Buffer.from(value).toString()]),
    [[OptionNumber.uriPath, 't']],
  );
  assert.equal(seen[0]!.message.code, Code.get);
});

test('a message in clear passes as it is', () => {
  const seen: CoapRequest[] = [];
  const { layer, known } = pair((request) => seen.push(request));
  const request = arrived(get);
  layer.handle(request, new TestReply());
  assert.equal(seen[0], request);
  assert.deepEqual(known.faults, []);
});

test('errors are those of RFC 8613 §8.2, and nobody learns more', () => {
  const { layer, known, way, ask } = pair((_request, reply) => reply.send({ code: Code.content, options: [], payload: none }));
  ask(get);
  const { options, payload } = way.sent[0]!;
  const value = optionValue(options, OptionNumber.oscore)!;
  const answers = (changed: readonly CoapOption[], bytes: Uint8Array): string => {
    const reply = new TestReply();
    layer.handle(arrived({ code: Code.post, token: none, options: changed, payload: bytes }), reply);
    assert.deepEqual(
      reply.sent.map((each) => each.options),
      [[{ number: OptionNumber.maxAge, value: noBytes }]],
    );
    return shown(reply.sent[0]);
  };
  const oscore = (bytes: Uint8Array): CoapOption => ({ number: OptionNumber.oscore, value: bytes });
  assert.equal(answers(options, payload), '4.01 Replay detected');
  const bent = Buffer.from(payload);
  bent[0]! ^= 1;
  // A number that was taken is not looked into any more.
  assert.equal(answers(options, bent), '4.01 Replay detected');
  assert.equal(answers([oscore(Uint8Array.of(0x09, 7))], payload), '4.00 Decryption failed');
  assert.equal(answers([oscore(Uint8Array.of(0x09, 7))], bent), '4.00 Decryption failed');
  for (const malformed of [none, Uint8Array.of(0), Uint8Array.of(1, 7), Uint8Array.of(8), Uint8Array.of(0x89, 7)]) {
    assert.equal(answers([oscore(malformed)], payload), '4.02 Failed to decode COSE');
  }
  assert.equal(answers([oscore(value), oscore(value)], payload), '4.02 Failed to decode COSE');
  assert.equal(answers([oscore(value)], none), '4.02 Failed to decode COSE');
  const block = uintOption(OptionNumber.block1, 0x18);
  assert.equal(answers([oscore(value), block], payload), '4.02 Block outside of OSCORE');
  known.contexts = [];
  assert.equal(answers(options, payload), '4.01 Security context not found');
  assert.deepEqual([...new Set(known.faults)], ['replay', 'decryption-failed', 'malformed', 'unknown-context']);
  known.contexts = 'unavailable';
  const reply = new TestReply();
  layer.handle(arrived({ code: Code.post, token: none, options, payload }), reply);
  assert.equal(shown(reply.sent[0]), '5.03 ');
});

test('of several contexts with one kid the one is taken that opens it', () => {
  const given = input();
  const known = new Known(
    contextOf(input({ idContext: hex('aa') })),
    contextOf(input({ idContext: hex('bb'), algorithm: aeadAlgorithms[4]! })),
    contextOf(given),
  );
  const seen: CoapRequest[] = [];
  const layer = new OscoreLayer(known, { handle: (request) => seen.push(request) });
  const way = new Way((request, reply) => layer.handle(request, reply));
  const device = new OscorePeer(way, name, new Known(contextOf(mirrored(given))), () => {});
  device.request({ ...get, confirmable: true }, () => {});
  assert.equal(seen.length, 1);
});

test('what is inside and no request is refused, sealed', () => {
  const { ask, known } = pair(() => assert.fail('it is none'));
  assert.equal(shown(ask({ ...get, code: Code.content })[0]), '4.00 ');
  assert.deepEqual(known.faults, ['malformed']);
});

test('notifications are numbered, older ones and forged ones are dropped, and the last answer ends it', () => {
  let reply: Reply | undefined;
  const observe = uintOption(OptionNumber.observe, 0);
  let gone = 0;
  const { ask, way, device } = pair((request, way_) => {
    assert.equal(optionValue(request.message.options, OptionNumber.observe)?.length, 0);
    reply = way_;
    reply.onGone = () => gone++;
  });
  const results = ask({ ...get, options: [observe, ...get.options] });
  assert.equal(way.sent[0]!.code, Code.fetch);
  const kept: CoapResponse[] = [];
  way.bendBack = (response) => (kept.push(response), response);
  const notify = (number: number, text: string): void =>
    reply!.notify({ code: Code.content, options: [uintOption(OptionNumber.observe, number)], payload: Buffer.from(text) }, false, () => {});
  for (const [number, text] of [
    [1, 'a'],
    [2, 'b'],
    [3, 'c'],
  ] as const)
    notify(number, text);
  assert.deepEqual(results.map(shown), ['2.05 a', '2.05 b', '2.05 c']);
  assert.equal(kept[0]!.code, Code.content);
  assert.deepEqual(
    kept.map(({ options }) => Buffer.from(optionValue(options, OptionNumber.oscore)!).toString('hex')),
    ['0100', '0101', '0102'],
  );
  assert.deepEqual(
    (results[1] as CoapResponse).options.map(({ number, value }) => [number, ...value]),
    [[OptionNumber.observe, 2]],
  );
  way.bendBack = () => kept[1]!;
  notify(4, 'old one instead');
  way.bendBack = (response) => ({ ...response, payload: new Uint8Array(response.payload.length) });
  notify(5, 'forged');
  way.bendBack = () => ({ code: Code.notFound, options: [], payload: none });
  notify(6, 'in clear');
  assert.equal(results.length, 3);
  way.bendBack = (response) => response;
  reply!.send({ code: Code.notFound, options: [], payload: none });
  assert.equal(shown(results[3]), '4.04 ');
  assert.ok(device.maxMessageBytes < way.maxMessageBytes);
  assert.equal(gone, 1);
});

test('a proxy that does not observe is not sent notifications', () => {
  const seen: CoapRequest[] = [];
  const { ask, way } = pair((request, reply) => (seen.push(request), reply.send({ code: Code.content, options: [], payload: none })));
  way.bend = (request) => ({ ...request, options: request.options.filter(({ number }) => number !== OptionNumber.observe) });
  const results = ask({ ...get, options: [uintOption(OptionNumber.observe, 0), ...get.options] });
  assert.equal(optionValue(seen[0]!.message.options, OptionNumber.observe), undefined);
  assert.equal(shown(results[0]), '2.05 ');
});

test('of two answers to one request only the first has its nonce', () => {
  const reply = new TestReply();
  const layer = new OscoreLayer(new Known(contextOf(input())), {
    handle: (_request, way) => {
      way.notify({ code: Code.content, options: [], payload: none }, false, () => {});
      way.send({ code: Code.notFound, options: [], payload: none });
      way.send({ code: Code.notFound, options: [], payload: none });
    },
  });
  layer.handle(arrived(decodeUdp(hex(requests[0]![2]))!), reply);
  const [first, second] = [...reply.notified, ...reply.sent].map(({ options }) => toHex(optionValue(options, OptionNumber.oscore)!));
  assert.deepEqual([first, second, reply.sent.length], ['0100', '0101', 1]);
});

test('who wants no answer inside gets none', () => {
  for (const [code, isSent] of [
    [Code.changed, false],
    [Code.notFound, true],
  ] as const) {
    const { ask } = pair((_request, reply) => reply.send({ code, options: [], payload: none }));
    const options = [...get.options, uintOption(OptionNumber.noResponse, 2)];
    const [result] = ask({ ...get, options });
    // The transport acknowledges at most what is told with an empty code.
    assert.equal(shown(result), isSent ? '4.04 ' : 'reset');
  }
});

test('a node that lost its window asks for an Echo, and the device repeats', async () => {
  const given = input();
  const store = new InstantStore();
  await store.put(contextOf(given).fingerprint, { sentBelow: 7, acceptedBelow: 100 });
  const { ask, way } = pair(
    (_request, reply) => reply.send({ code: Code.content, options: [], payload: Buffer.from('once') }),
    given,
    store,
  );
  const kept: CoapResponse[] = [];
  way.bendBack = (response) => (kept.push(response), response);
  assert.deepEqual(ask(get).map(shown), ['2.05 once']);
  assert.equal(way.sent.length, 2);
  assert.equal(toHex(optionValue(kept[0]!.options, OptionNumber.oscore)!), '0107', 'with a number that was never used');
  assert.equal(toHex(optionValue(kept[1]!.options, OptionNumber.oscore)!), '');
  ask(get);
  assert.equal(way.sent.length, 3);
});

test('who takes a request back takes back the one that is under way, also after an Echo', async () => {
  const given = input();
  const store = new InstantStore();
  await store.put(contextOf(given).fingerprint, { sentBelow: 7, acceptedBelow: 100 });
  let gone = 0;
  const { way, device } = pair((_request, reply) => (reply.onGone = () => gone++), given, store);
  const results: unknown[] = [];
  const cancel = device.request({ ...get, confirmable: true }, (result) => results.push(result));
  assert.equal(way.sent.length, 2);
  cancel();
  assert.deepEqual([gone, results], [1, []]);
});

test('a device that is asked under a context answers under it, or the request has failed', () => {
  for (const bend of [
    (): CoapResponse => ({ code: Code.unauthorized, options: [], payload: Buffer.from('Security context not found') }),
    (response: CoapResponse): CoapResponse => ({ ...response, payload: response.payload.subarray(1) }),
    (response: CoapResponse): CoapResponse => ({ ...response, options: [{ number: OptionNumber.oscore, value: Uint8Array.of(0x80) }] }),
  ]) {
    const { ask, way } = pair((_request, reply) => reply.send({ code: Code.content, options: [], payload: none }));
    way.bendBack = bend;
    assert.deepEqual(ask(get), [{ failure: 'reset' }]);
  }
});

test('each context has a peer of its own, as long as the way is there', () => {
  const seen: CoapRequest[] = [];
  const { ask, way } = pair((request, reply) => (seen.push(request), reply.send({ code: Code.content, options: [], payload: none })));
  ask(get);
  ask(get);
  assert.equal(seen[0]!.peer, seen[1]!.peer);
  assert.notEqual(seen[0]!.peer, way);
  let gone = 0;
  seen[0]!.peer.whenGone(() => gone++);
  seen[0]!.peer.close();
  assert.equal(gone, 1);
  ask(get);
  assert.notEqual(seen[2]!.peer, seen[0]!.peer, 'who was closed comes as somebody new');
  seen[2]!.peer.whenGone(() => gone++);
  way.close();
  assert.equal(gone, 2);
  const results: unknown[] = [];
  seen[2]!.peer.request({ ...get, confirmable: true }, (result) => results.push(result));
  assert.deepEqual(results, [{ failure: 'gone' }]);
});

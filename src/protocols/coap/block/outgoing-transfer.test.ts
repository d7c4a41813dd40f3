import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { Code } from '../codec/message.ts';
import { noBytes, textOption, uintOption, uintValue } from '../codec/option-values.ts';
import { hasOption, OptionNumber, optionValue } from '../codec/options.ts';
import { blockOption } from './block-option.ts';
import { BlockWorld, blockOf, body, FakePeer } from './testing/block-world.ts';

import type { CoapResponse, OutgoingRequest, RequestFailure } from '../exchange.ts';
import type { BlockOptions } from './block-settings.ts';

const path = textOption(OptionNumber.uriPath, 'command');
const { block1, block2, etag, observe, requestTag, size1 } = OptionNumber;

type Result = CoapResponse | RequestFailure;

function command(code: number, payload: Uint8Array, more: OutgoingRequest['options'] = []): OutgoingRequest {
  return { code, options: [...more, path], payload, confirmable: true };
}

/** A broker whose peer is `device`, and what it is told. */
function broker(device: FakePeer, options: Partial<BlockOptions> = {}) {
  const world = new BlockWorld(options);
  const results: Result[] = [];
  const ask = (request: OutgoingRequest) => world.layer.peer(device).request(request, (result) => results.push(result));
  return { world, results, ask };
}

/** A device that is served by this same layer, as `world` answers. */
function deviceOf(world: BlockWorld, peer: FakePeer): { device: FakePeer; run: () => void } {
  const device = new FakePeer({ isReliable: peer.isReliable, maxMessageBytes: peer.maxMessageBytes });
  // As on a wire: no answer before `request` has returned.
  const way: (() => void)[] = [];
  device.device = (request, answer) => {
    way.push(() => {
      const reply = world.send(peer, request.code, request.options, request.payload);
      for (const response of reply.responses) answer(response);
    });
  };
  const run = (): void => {
    for (let task = way.shift(); task !== undefined; task = way.shift()) task();
  };
  return { device, run };
}

test('any command and any answer, over UDP and TCP, in any sizes of blocks', () => {
  const property = fc.property(
    fc.integer({ min: 0, max: 20_000 }),
    fc.integer({ min: 0, max: 20_000 }),
    fc.integer({ min: 4, max: 10 }),
    fc.integer({ min: 4, max: 10 }),
    fc.constantFrom({}, { maxMessageBytes: 300 }, { isReliable: true }, { isReliable: true, maxMessageBytes: 8000 }),
    fc.constantFrom(Code.post, Code.put, Code.fetch, Code.ipatch),
    (up, down, ours, theirs, wire, code) => {
      const served = new BlockWorld({ blockBytes: 1 << theirs });
      const { device, run } = deviceOf(served, new FakePeer(wire));
      served.answer = (_request, reply) =>
        reply.send({ code: Code.content, options: [uintOption(OptionNumber.contentFormat, 42)], payload: body(down, 9) });
      const { world, results, ask } = broker(device, { blockBytes: 1 << ours });
      ask(command(code, body(up)));
      run();
      assert.equal(served.requests.length, 1);
      assert.deepEqual(served.requests[0]!.message.payload, body(up));
      assert.equal(results.length, 1);
      const { code: answered, options, payload } = results[0] as CoapResponse;
      assert.deepEqual([answered, payload], [Code.content, body(down, 9)]);
      assert.deepEqual(
        options.filter(({ number }) => number !== etag),
        [uintOption(OptionNumber.contentFormat, 42)],
      );
      assert.equal(world.metric('block_outgoing_bytes'), 0);
    },
  );
  fc.assert(property, { numRuns: 100 });
});

test('a large command says how large it is, and is told from others by its Request-Tag (RFC 9175 §3.5)', () => {
  const device = new FakePeer();
  const { ask } = broker(device);
  ask(command(Code.post, body(3000)));
  ask(command(Code.post, body(3000)));
  const [first, second] = device.sent;
  assert.deepEqual(blockOf(first!, block1), { number: 0, more: true, szx: 6 });
  assert.equal(uintValue(optionValue(first!.options, size1)!), 3000);
  assert.notDeepEqual(optionValue(first!.options, requestTag), optionValue(second!.options, requestTag));
});

test('a device that wants smaller blocks gets them from where it stands, or anew after 4.13 (RFC 7959 §2.9.3)', () => {
  const device = new FakePeer();
  const { results, ask } = broker(device);
  const answers: CoapResponse[] = [
    { code: Code.requestEntityTooLarge, options: [blockOption(block1, { number: 0, more: false, szx: 4 })], payload: noBytes },
    { code: Code.continue, options: [blockOption(block1, { number: 0, more: true, szx: 2 })], payload: noBytes },
    { code: Code.notFound, options: [], payload: noBytes },
  ];
  device.device = (_request, answer) => answer(answers.shift()!);
  ask(command(Code.post, body(3000)));
  const blocks = device.sent.map((request) => blockOf(request, block1));
  assert.deepEqual(blocks, [
    { number: 0, more: true, szx: 6 },
    { number: 0, more: true, szx: 4 },
    { number: 4, more: true, szx: 2 },
  ]);
  assert.deepEqual(results, [{ code: Code.notFound, options: [], payload: noBytes }]);
});

test('a device that asks for an Echo gets the request again with it, once (RFC 9175 §2.3)', () => {
  for (const length of [10, 3000]) {
    const device = new FakePeer();
    const { results, ask } = broker(device);
    const echo = { number: OptionNumber.echo, value: Uint8Array.of(1, 2, 3) };
    const unauthorized = { code: Code.unauthorized, options: [echo], payload: noBytes };
    let trusts = true;
    device.device = (request, answer) => {
      const isFresh = trusts && hasOption(request.options, OptionNumber.echo);
      answer(isFresh ? { code: Code.changed, options: [], payload: noBytes } : unauthorized);
    };
    ask(command(Code.put, body(length)));
    assert.deepEqual(optionValue(device.sent[1]!.options, OptionNumber.echo), echo.value);
    assert.equal((results[0] as CoapResponse).code, Code.changed);
    trusts = false;
    device.sent.length = 0;
    ask(command(Code.put, body(length)));
    assert.equal(device.sent.length, 2);
    assert.equal((results[1] as CoapResponse).code, Code.unauthorized);
    assert.equal(results.length, 2);
  }
});

test('a device that has lost what it had gets all of it again, but not for ever', () => {
  const device = new FakePeer();
  const { results, ask } = broker(device);
  device.device = (request, answer) => {
    const isFirst = blockOf(request, block1)!.number === 0;
    answer({ code: isFirst ? Code.continue : Code.requestEntityIncomplete, options: [], payload: noBytes });
  };
  ask(command(Code.post, body(3000)));
  assert.equal(device.sent.length, 6);
  assert.equal((results[0] as CoapResponse).code, Code.requestEntityIncomplete);
  assert.equal(results.length, 1);
});

test('a failure of any block is the failure of all, and nothing is sent after it was cancelled', () => {
  for (const failing of [0, 1, 2, 3]) {
    const device = new FakePeer();
    const { results, ask } = broker(device);
    let count = 0;
    device.device = (request, answer) => {
      if (count++ === failing) answer({ failure: 'timeout' });
      else if (blockOf(request, block1)?.more === true) answer({ code: Code.continue, options: [], payload: noBytes });
      else answer({ code: Code.content, options: [blockOption(block2, { number: 0, more: true, szx: 0 })], payload: body(16) });
    };
    ask(command(Code.post, body(2500)));
    assert.deepEqual(results, [{ failure: 'timeout' }]);
    assert.equal(device.sent.length, failing + 1);
  }
  const device = new FakePeer();
  const { results, ask } = broker(device);
  let answer: (result: Result) => void = () => {};
  device.device = (_request, later) => (answer = later);
  const cancel = ask(command(Code.post, body(2500)));
  cancel();
  answer({ code: Code.continue, options: [], payload: noBytes });
  assert.equal(device.cancelled, 1);
  assert.equal(device.sent.length, 1);
  assert.deepEqual(results, []);
});

/** A device that answers with blocks of one representation, then of another. */
function changing(pieces: readonly (readonly [number, boolean, Uint8Array, number])[], szx = 2): FakePeer {
  const device = new FakePeer();
  const left = [...pieces];
  device.device = (_request, answer) => {
    const [number, more, payload, tag] = left.shift() ?? [0, false, noBytes, 0];
    const options = [{ number: etag, value: Uint8Array.of(tag) }, blockOption(block2, { number, more, szx })];
    answer({ code: Code.content, options, payload });
  };
  return device;
}

test('blocks of different representations are not put together: a GET begins anew, others fail', () => {
  const whole = body(100);
  const pieces = [
    [0, true, body(64, 9), 1],
    [1, false, whole.subarray(64), 2],
    [0, true, whole.subarray(0, 64), 2],
    [1, false, whole.subarray(64), 2],
  ] as const;
  const first = broker(changing(pieces));
  first.ask(command(Code.get, noBytes));
  assert.deepEqual((first.results[0] as CoapResponse).payload, whole);
  const second = broker(changing(pieces));
  second.ask(command(Code.post, noBytes));
  assert.deepEqual(second.results, [{ failure: 'incomplete' }]);
  assert.equal(second.world.metric('block_outgoing_bytes'), 0);
  assert.equal(second.world.metric('block_outgoing_events_total', 'failed'), 1);
});

test('answers that never end, leave blocks out, repeat them or are not whole', () => {
  const part = body(64);
  const cases = {
    'leaves one out': [
      [0, true, part, 1],
      [2, true, part, 1],
    ],
    'repeats one': [
      [0, true, part, 1],
      [0, true, part, 1],
    ],
    'is not whole': [
      [0, true, part, 1],
      [1, true, part.subarray(1), 1],
    ],
    'is empty': [
      [0, true, part, 1],
      [1, true, noBytes, 1],
    ],
    'begins with an empty one': [[0, true, noBytes, 1]],
    'begins in the middle': [[1, false, part, 1]],
  } as const;
  for (const [name, pieces] of Object.entries(cases)) {
    const { world, results, ask } = broker(changing(pieces));
    ask(command(Code.post, noBytes));
    assert.deepEqual(results, [{ failure: 'incomplete' }], name);
    assert.equal(world.metric('block_outgoing_bytes'), 0);
  }
  const device = new FakePeer();
  device.device = (request, answer) => {
    const number = blockOf(request, block2)?.number ?? 0;
    answer({ code: Code.content, options: [blockOption(block2, { number, more: true, szx: 6 })], payload: body(1024) });
  };
  const endless = broker(device, { maxBodyBytes: 10_000 });
  endless.ask(command(Code.post, noBytes));
  assert.deepEqual(endless.results, [{ failure: 'incomplete' }]);
  assert.ok(device.sent.length <= 11);
  const full = broker(device, { maxTransferBytes: 5000 });
  full.ask(command(Code.post, noBytes));
  assert.deepEqual(full.results, [{ failure: 'incomplete' }]);
});

test('of a large notification the rest is fetched without Observe; a newer one ends that', () => {
  const device = new FakePeer();
  const { world, results, ask } = broker(device);
  const answers: ((result: Result) => void)[] = [];
  device.device = (_request, answer) => answers.push(answer);
  const cancel = ask(command(Code.get, noBytes, [uintOption(observe, 0)]));
  const notification = (seed: number, sequence: number): CoapResponse => ({
    code: Code.content,
    options: [
      { number: etag, value: Uint8Array.of(seed) },
      uintOption(observe, sequence),
      blockOption(block2, { number: 0, more: true, szx: 2 }),
    ],
    payload: body(100, seed).subarray(0, 64),
  });
  answers[0]!(notification(1, 1));
  assert.ok(!hasOption(device.sent[1]!.options, observe));
  assert.deepEqual(blockOf(device.sent[1]!, block2), { number: 1, more: false, szx: 2 });
  answers[0]!(notification(2, 2));
  assert.equal(device.cancelled, 1);
  const rest = (seed: number): CoapResponse => ({
    code: Code.content,
    options: [{ number: etag, value: Uint8Array.of(seed) }, blockOption(block2, { number: 1, more: false, szx: 2 })],
    payload: body(100, seed).subarray(64),
  });
  answers[1]!(rest(1));
  assert.deepEqual(results, []);
  answers[2]!(rest(2));
  assert.equal(results.length, 1);
  const whole = results[0]! as CoapResponse;
  assert.deepEqual(whole.payload, body(100, 2));
  assert.equal(uintValue(optionValue(whole.options, observe)!), 2);
  // One whose rest is lost is left out; the observation goes on.
  answers[0]!(notification(3, 3));
  answers[3]!({ failure: 'timeout' });
  answers[0]!({ code: Code.content, options: [uintOption(observe, 4)], payload: body(5) });
  assert.equal(results.length, 2);
  cancel();
  assert.equal(world.metric('block_outgoing_bytes'), 0);
  answers[0]!({ code: Code.content, options: [uintOption(observe, 5)], payload: body(5) });
  assert.equal(results.length, 2);
});

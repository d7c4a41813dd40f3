import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { Code } from '../codec/message.ts';
import { textOption, uintOption, uintValue } from '../codec/option-values.ts';
import { hasOption, OptionNumber, optionValue } from '../codec/options.ts';
import { udpLength } from '../codec/udp.ts';
import { blockBytes, blockOption } from './block-option.ts';
import { BlockWorld, blockOf, body, FakePeer } from './testing/block-world.ts';

import type { CoapResponse, NotificationResult } from '../exchange.ts';
import type { FakeReply } from './testing/block-world.ts';

const path = textOption(OptionNumber.uriPath, 'large');
const { block1, block2, etag, observe, size2 } = OptionNumber;

function serve(world: BlockWorld, whole: Uint8Array, options: CoapResponse['options'] = []): void {
  world.answer = (_request, reply) => reply.send({ code: Code.content, options, payload: whole });
}

function get(world: BlockWorld, peer: FakePeer, number?: number, szx = 2, code: number = Code.get): CoapResponse {
  const block = number === undefined ? [] : [blockOption(block2, { number, more: false, szx })];
  const reply = world.send(peer, code, [path, ...block]);
  assert.equal(reply.responses.length, 1);
  return reply.responses[0]!;
}

/** The whole, as a client puts it together. */
function fetchAll(world: BlockWorld, peer: FakePeer, first: CoapResponse, szx = blockOf(first, block2)!.szx): Uint8Array {
  const parts = [first.payload];
  let last = first;
  for (let offset = first.payload.length; blockOf(last, block2)!.more; offset += last.payload.length) {
    last = get(world, peer, offset / blockBytes(szx), szx);
    assert.equal(last.code, Code.content);
    assert.equal(blockOf(last, block2)!.number * blockBytes(blockOf(last, block2)!.szx), offset);
    assert.deepEqual(optionValue(last.options, etag), optionValue(first.options, etag));
    parts.push(last.payload);
  }
  return Buffer.concat(parts);
}

test('a large answer is cut; the rest comes from what was kept, and nobody is asked again', () => {
  const world = new BlockWorld();
  const peer = new FakePeer();
  const whole = body(3000);
  serve(world, whole, [uintOption(OptionNumber.contentFormat, 42)]);
  const first = get(world, peer);
  assert.deepEqual(blockOf(first, block2), { number: 0, more: true, szx: 6 });
  assert.equal(uintValue(optionValue(first.options, size2)!), 3000);
  assert.equal(optionValue(first.options, etag)!.length, 8);
  assert.ok(hasOption(first.options, OptionNumber.contentFormat));
  assert.ok(world.metric('block_answer_bytes') >= 3000);
  assert.deepEqual(new Uint8Array(fetchAll(world, peer, first)), whole);
  assert.equal(world.requests.length, 1);
  assert.equal(world.metric('block_answers'), 0);
});

test('what fits is not touched; what does not is cut so that it does', () => {
  const property = fc.property(
    fc.integer({ min: 64, max: 1300 }),
    fc.integer({ min: 1, max: 3000 }),
    fc.integer({ min: 0, max: 12 }),
    fc.integer({ min: 4, max: 10 }),
    (maxMessageBytes, length, names, exponent) => {
      const world = new BlockWorld({ blockBytes: 1 << exponent });
      const peer = new FakePeer({ maxMessageBytes });
      const whole = body(length);
      const options = Array.from({ length: names }, (_, i) => textOption(OptionNumber.locationPath, `n${i}`));
      serve(world, whole, options);
      const first = get(world, peer);
      // Sixteen bytes are the least.
      assert.ok(udpLength(8, first.options, first.payload) <= maxMessageBytes || first.payload.length <= 16);
      if (hasOption(first.options, block2)) assert.deepEqual(new Uint8Array(fetchAll(world, peer, first)), whole);
      else assert.deepEqual(first.payload, whole);
    },
  );
  fc.assert(property, { numRuns: 200 });
});

test('early negotiation: the client says how large blocks may be, and later wants smaller ones (RFC 7959 §3.1, figures 3 and 4)', () => {
  const world = new BlockWorld();
  const peer = new FakePeer();
  const whole = body(300);
  serve(world, whole);
  const first = get(world, peer, 0, 2);
  assert.deepEqual(blockOf(first, block2), { number: 0, more: true, szx: 2 });
  assert.deepEqual(new Uint8Array(fetchAll(world, peer, first)), whole);
  const again = get(world, peer, 0, 3);
  assert.equal(again.payload.length, 128);
  assert.deepEqual(new Uint8Array(fetchAll(world, peer, again, 1)), whole);
  // It fits into the block, and says so.
  serve(world, body(10));
  assert.deepEqual(blockOf(get(world, peer, 0, 0), block2), { number: 0, more: false, szx: 0 });
});

test('any block of what is not kept is answered anew, with the same ETag for the same content', () => {
  const world = new BlockWorld({ maxTransfersPerPeer: 1 });
  const peer = new FakePeer();
  const whole = body(200);
  serve(world, whole);
  const middle = get(world, peer, 1);
  assert.deepEqual(blockOf(middle, block2), { number: 1, more: true, szx: 2 });
  assert.deepEqual(middle.payload, whole.subarray(64, 128));
  assert.equal(world.requests.length, 1);
  assert.equal(world.requests[0]!.message.options.length, 1);
  const first = get(world, peer, 0);
  assert.deepEqual(optionValue(first.options, etag), optionValue(middle.options, etag));
  world.pass(60_000);
  assert.equal(world.metric('block_answers'), 0);
  serve(world, body(200, 5));
  assert.notDeepEqual(optionValue(get(world, peer, 1).options, etag), optionValue(middle.options, etag));
  assert.equal(world.metric('block_answer_events_total', 'again'), 2);
});

test('a representation changes only between transfers, and not for ever in the middle of one', () => {
  const world = new BlockWorld();
  const peer = new FakePeer();
  serve(world, body(400, 1));
  const first = get(world, peer, 0);
  serve(world, body(400, 2));
  assert.deepEqual(new Uint8Array(fetchAll(world, peer, first)), body(400, 1));
  get(world, peer, 0);
  serve(world, body(400, 3));
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(get(world, peer, 1).payload, body(400, 2).subarray(64, 128));
    world.pass(50_000);
  }
  assert.deepEqual(get(world, peer, 1).payload, body(400, 3).subarray(64, 128));
});

test('a block beyond the last one', () => {
  const world = new BlockWorld();
  const peer = new FakePeer();
  serve(world, body(200));
  assert.equal(get(world, peer, 4).code, Code.badRequest);
  get(world, peer, 0);
  assert.equal(get(world, peer, 4).code, Code.badRequest);
  assert.equal(get(world, peer, 0xf_ffff).code, Code.badRequest);
  assert.equal(get(world, peer, 3).payload.length, 8);
  serve(world, new Uint8Array(0));
  assert.equal(get(world, peer, 0).code, Code.content);
});

test('a POST with a large body and a large answer: both are in blocks, and it is done once (RFC 7959 §3.3, figure 11)', () => {
  const world = new BlockWorld();
  const peer = new FakePeer();
  const whole = body(300);
  world.answer = (request, reply) => reply.send({ code: Code.changed, options: [], payload: request.message.payload.toReversed() });
  let reply: FakeReply | undefined;
  for (let number = 0; number < 3; number++) {
    const block = blockOption(block1, { number, more: number < 2, szx: 3 });
    reply = world.send(
      peer,
      Code.post,
      [path, block, blockOption(block2, { number: 0, more: false, szx: 3 })],
      whole.subarray(number * 128, number * 128 + 128),
    );
  }
  const first = reply!.responses[0]!;
  assert.equal(first.code, Code.changed);
  assert.deepEqual(blockOf(first, block1), { number: 2, more: false, szx: 3 });
  assert.deepEqual(blockOf(first, block2), { number: 0, more: true, szx: 3 });
  const rest = [1, 2].map((number) => get(world, peer, number, 3, Code.post));
  assert.deepEqual(new Uint8Array(Buffer.concat([first.payload, ...rest.map(({ payload }) => payload)])), whole.toReversed());
  // The last block may be asked for again; after a while nobody knows any more, and it is not done again.
  assert.deepEqual(get(world, peer, 2, 3, Code.post), rest[1]);
  world.pass(60_000);
  assert.equal(get(world, peer, 2, 3, Code.post).code, Code.requestEntityIncomplete);
  assert.equal(world.requests.length, 1);
});

test('a FETCH is told by its body, which further requests may leave out', () => {
  const world = new BlockWorld();
  const peer = new FakePeer();
  world.answer = (request, reply) => reply.send({ code: Code.content, options: [], payload: body(200, request.message.payload[0]) });
  const ask = (number: number, query: number[]): Uint8Array => {
    const options = [path, blockOption(block2, { number, more: false, szx: 2 })];
    return world.send(peer, Code.fetch, options, Uint8Array.from(query)).responses[0]!.payload;
  };
  assert.deepEqual(ask(0, [7]), body(200, 7).subarray(0, 64));
  assert.deepEqual(ask(1, []), body(200, 7).subarray(64, 128));
  assert.deepEqual(ask(2, [7]), body(200, 7).subarray(128, 192));
  assert.equal(world.requests.length, 1);
  assert.deepEqual(ask(1, [8]), body(200, 8).subarray(64, 128));
});

test('a notification that is too large begins with its first block; the rest is fetched without Observe (RFC 7959 §3.4)', () => {
  const world = new BlockWorld();
  const peer = new FakePeer();
  let notify: (seed: number) => void = () => {};
  world.answer = (_request, reply) => {
    notify = (seed) =>
      reply.notify({ code: Code.content, options: [uintOption(observe, seed)], payload: body(200, seed) }, true, (result) =>
        assert.equal(result, 'acknowledged'),
      );
    notify(1);
  };
  const reply = world.send(peer, Code.get, [uintOption(observe, 0), path, blockOption(block2, { number: 0, more: false, szx: 2 })]);
  notify(2);
  for (const [i, seed] of [1, 2].entries()) {
    const notification = reply.notifications[i]!;
    assert.equal(uintValue(optionValue(notification.options, observe)!), seed);
    assert.deepEqual(blockOf(notification, block2), { number: 0, more: true, szx: 2 });
    assert.deepEqual(notification.payload, body(200, seed).subarray(0, 64));
  }
  assert.deepEqual(new Uint8Array(fetchAll(world, peer, reply.notifications[1]!)), body(200, 2));
  assert.equal(world.requests.length, 1);
});

test('over TCP what fits into a message stays whole, and what does not has as many blocks in each as fit (RFC 8323 §6)', () => {
  const world = new BlockWorld();
  const peer = new FakePeer({ isReliable: true, maxMessageBytes: 8000 });
  serve(world, body(7000));
  assert.equal(get(world, peer).payload.length, 7000);
  const whole = body(50_000);
  serve(world, whole);
  const first = get(world, peer);
  assert.deepEqual(blockOf(first, block2), { number: 0, more: true, szx: 7 });
  assert.equal(first.payload.length, 7168);
  assert.deepEqual(new Uint8Array(fetchAll(world, peer, first)), whole);
  // A peer that has not said that it takes more gets ordinary blocks.
  const small = new FakePeer({ isReliable: true, maxMessageBytes: 1152 });
  assert.deepEqual(blockOf(get(world, small), block2), { number: 0, more: true, szx: 6 });
});

test('who wants to know whether the peer has an answer hears of its last block, or that it is lost', () => {
  const world = new BlockWorld({ maxTransfersPerPeer: 1 });
  const peer = new FakePeer();
  const results: NotificationResult[] = [];
  world.answer = (_request, reply) =>
    reply.sendConfirmed({ code: Code.content, options: [], payload: body(150) }, (result) => results.push(result));
  get(world, peer, 0);
  get(world, peer, 1);
  assert.deepEqual(results, []);
  const reply = world.send(peer, Code.get, [path, blockOption(block2, { number: 2, more: false, szx: 2 })]);
  assert.deepEqual(results, []);
  reply.done!('acknowledged');
  assert.deepEqual(results, ['acknowledged']);
  // It is not taken out of a queue to be read from its middle on.
  assert.equal(get(world, peer, 1).code, Code.requestEntityIncomplete);
  assert.deepEqual(results.splice(0), ['acknowledged', 'lost']);
  get(world, peer, 0);
  get(world, peer, 0);
  assert.deepEqual(results.splice(0), ['lost']);
  world.pass(60_000);
  assert.deepEqual(results.splice(0), ['lost']);
  get(world, peer, 0);
  peer.close();
  assert.deepEqual(results, ['lost']);
});

test('answers that nobody fetches stay in bounds, and the oldest goes first', () => {
  const world = new BlockWorld({ maxTransferBytes: 40_000, maxTransferPeerBytes: 20_000, maxTransfersPerPeer: 100 });
  serve(world, body(4000));
  for (let p = 0; p < 20; p++) {
    const peer = new FakePeer();
    for (let i = 0; i < 20; i++) world.send(peer, Code.get, [textOption(OptionNumber.uriPath, `r${i}`)]);
    assert.ok(world.metric('block_answer_bytes') <= Math.min(40_000, (p + 1) * 20_000));
  }
  serve(world, body(50_000));
  assert.equal(get(world, new FakePeer(), 0).payload.length, 64);
  world.pass(60_000);
  assert.equal(world.metric('block_answer_bytes'), 0);
});

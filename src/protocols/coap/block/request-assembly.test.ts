import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { Code } from '../codec/message.ts';
import { textOption, uintOption, uintValue } from '../codec/option-values.ts';
import { OptionNumber, optionValue } from '../codec/options.ts';
import { blockBytes, blockOption } from './block-option.ts';
import { BlockWorld, blockOf, body, FakePeer } from './testing/block-world.ts';

import type { FakeReply } from './testing/block-world.ts';

const path = textOption(OptionNumber.uriPath, 'status');
const format = uintOption(OptionNumber.contentFormat, 0);
const { block1, size1, requestTag } = OptionNumber;
const tag = (byte: number) => ({ number: requestTag, value: Uint8Array.of(byte) });

/** One block of a PUT. */
function put(world: BlockWorld, peer: FakePeer, whole: Uint8Array, number: number, szx: number, more?: boolean): FakeReply {
  const offset = number * blockBytes(szx);
  const part = whole.subarray(offset, offset + blockBytes(szx));
  const block = { number, more: more ?? offset + part.length < whole.length, szx };
  return world.send(peer, Code.put, [path, format, blockOption(block1, block)], part);
}

function code(reply: FakeReply): number {
  assert.equal(reply.responses.length, 1);
  return reply.responses[0]!.code;
}

test('a body comes in blocks and is handed on whole, once (RFC 7959 §3.2, figure 7)', () => {
  const world = new BlockWorld();
  const peer = new FakePeer();
  const whole = body(300);
  assert.equal(code(put(world, peer, whole, 0, 3)), Code.continue);
  const second = put(world, peer, whole, 1, 3).responses[0]!;
  assert.equal(second.code, Code.continue);
  assert.deepEqual(blockOf(second, block1), { number: 1, more: true, szx: 3 });
  assert.equal(world.requests.length, 0);
  const last = put(world, peer, whole, 2, 3).responses[0]!;
  assert.equal(last.code, Code.changed);
  assert.deepEqual(blockOf(last, block1), { number: 2, more: false, szx: 3 });
  const { message } = world.requests[0]!;
  assert.deepEqual(message.payload, whole);
  assert.deepEqual(message.options, [path, format]);
  assert.equal(world.metric('block_request_bytes'), 0);
});

test('the server asks for smaller blocks in its first answer, and the numbers go on in them (RFC 7959 §3.2, figure 8)', () => {
  const world = new BlockWorld({ blockBytes: 32 });
  const peer = new FakePeer();
  const whole = body(300);
  assert.deepEqual(blockOf(put(world, peer, whole, 0, 3).responses[0]!, block1), { number: 0, more: true, szx: 1 });
  for (let number = 4; number < 9; number++) assert.equal(code(put(world, peer, whole, number, 1)), Code.continue);
  assert.equal(code(put(world, peer, whole, 9, 1)), Code.changed);
  assert.deepEqual(world.requests[0]!.message.payload, whole);
});

test('any body in any blocks, with a change of size on the way and blocks that come twice', () => {
  const property = fc.property(
    fc.integer({ min: 1, max: 3000 }),
    fc.integer({ min: 0, max: 6 }),
    fc.array(fc.record({ smaller: fc.boolean(), twice: fc.boolean() }), { maxLength: 20 }),
    (length, firstSzx, events) => {
      const world = new BlockWorld();
      const peer = new FakePeer();
      const whole = body(length, length);
      let szx = firstSzx;
      let offset = 0;
      for (let i = 0; offset < whole.length; i++) {
        const { smaller, twice } = events[i] ?? { smaller: false, twice: false };
        if (smaller && szx > 0) szx--;
        const number = offset / blockBytes(szx);
        offset = Math.min(whole.length, offset + blockBytes(szx));
        const isLast = offset === whole.length;
        if (twice && !isLast) assert.equal(code(put(world, peer, whole, number, szx)), Code.continue);
        assert.equal(code(put(world, peer, whole, number, szx)), isLast ? Code.changed : Code.continue);
      }
      assert.equal(world.requests.length, 1);
      assert.deepEqual(world.requests[0]!.message.payload, whole);
      assert.equal(world.metric('block_requests'), 0);
    },
  );
  fc.assert(property, { numRuns: 200 });
});

test('a missing block, one of another body, and one without a beginning end the transfer with 4.08', () => {
  const world = new BlockWorld();
  const peer = new FakePeer();
  const whole = body(200);
  assert.equal(code(put(world, peer, whole, 1, 2)), Code.requestEntityIncomplete);
  put(world, peer, whole, 0, 2);
  assert.equal(code(put(world, peer, whole, 2, 2)), Code.requestEntityIncomplete);
  put(world, peer, whole, 0, 2);
  put(world, peer, whole, 1, 2);
  assert.equal(code(put(world, peer, body(200, 7), 1, 2)), Code.requestEntityIncomplete);
  // What comes afterwards is of nothing.
  assert.equal(code(put(world, peer, whole, 2, 2)), Code.requestEntityIncomplete);
  assert.equal(world.requests.length, 0);
  assert.equal(world.metric('block_request_events_total', 'incomplete'), 4);
  assert.equal(world.metric('block_requests'), 0);
});

test('a first block begins anew what was not complete (RFC 7959 §2.5)', () => {
  const world = new BlockWorld();
  const peer = new FakePeer();
  put(world, peer, body(200, 1), 0, 2);
  const whole = body(100, 2);
  put(world, peer, whole, 0, 2);
  assert.equal(code(put(world, peer, whole, 1, 2)), Code.changed);
  assert.deepEqual(world.requests[0]!.message.payload, whole);
});

test('too large a body is refused with the largest size: as soon as it is announced, or grows too large', () => {
  const world = new BlockWorld({ maxBodyBytes: 1024 });
  const peer = new FakePeer();
  const first = [path, format, blockOption(block1, { number: 0, more: true, szx: 5 })];
  const announced = world.send(peer, Code.put, [...first, uintOption(size1, 1025)], body(512)).responses[0]!;
  assert.equal(announced.code, Code.requestEntityTooLarge);
  assert.equal(uintValue(optionValue(announced.options, size1)!), 1024);
  assert.equal(blockOf(announced, block1), undefined);
  const whole = body(1100);
  assert.equal(code(put(world, peer, whole, 0, 5)), Code.continue);
  assert.equal(code(put(world, peer, whole, 1, 5)), Code.continue);
  assert.equal(code(put(world, peer, whole, 2, 5)), Code.requestEntityTooLarge);
  assert.equal(world.metric('block_requests'), 0);
  const exact = body(1024);
  put(world, peer, exact, 0, 5);
  assert.equal(code(put(world, peer, exact, 1, 5)), Code.changed);
});

test('blocks that are none: size 7 over UDP, not whole, more than their size', () => {
  const world = new BlockWorld();
  const peer = new FakePeer();
  const send = (szx: number, more: boolean, length: number): number =>
    code(world.send(peer, Code.put, [path, blockOption(block1, { number: 0, more, szx })], body(length)));
  assert.equal(send(7, true, 1024), Code.badRequest);
  assert.equal(send(7, false, 10), Code.badRequest);
  assert.equal(send(2, true, 63), Code.badRequest);
  assert.equal(send(2, true, 0), Code.badRequest);
  assert.equal(send(2, false, 65), Code.badRequest);
  assert.equal(
    code(world.send(peer, Code.get, [path, blockOption(OptionNumber.block2, { number: 0, more: false, szx: 7 })])),
    Code.badRequest,
  );
  assert.equal(world.requests.length, 0);
  assert.equal(world.metric('block_request_events_total', 'malformed'), 5);
});

test('over TCP a message may carry several blocks (RFC 8323 §6)', () => {
  const world = new BlockWorld();
  const peer = new FakePeer({ isReliable: true, maxMessageBytes: 65_536 });
  const whole = body(10_000);
  const send = (number: number, more: boolean, from: number, to: number): number =>
    code(world.send(peer, Code.put, [path, blockOption(block1, { number, more, szx: 7 })], whole.subarray(from, to)));
  assert.equal(send(0, true, 0, 4096), Code.continue);
  assert.equal(send(4, true, 4096, 9216), Code.continue);
  assert.equal(send(9, false, 9216, 10_000), Code.changed);
  assert.deepEqual(world.requests[0]!.message.payload, whole);
  assert.equal(send(0, true, 0, 1000), Code.badRequest);
});

test('transfers side by side: peers, paths, Request-Tags and OSCORE contexts keep them apart', () => {
  const world = new BlockWorld({ maxTransfersPerPeer: 16 });
  const peers = [new FakePeer(), new FakePeer()];
  const contexts = [undefined, 'c1', 'c2'].map((contextId) =>
    contextId === undefined ? {} : { oscore: { tenant: 't', principal: 'p', contextId } as never },
  );
  const transfers = peers.flatMap((peer, p) =>
    contexts.flatMap((more, c) =>
      [1, 2].flatMap((tagged) =>
        ['a', 'b'].map((name) => ({ peer, more, tagged, name, whole: body(150, p * 100 + c * 10 + tagged + name.charCodeAt(0)) })),
      ),
    ),
  );
  for (let number = 0; number < 3; number++) {
    for (const { peer, more, tagged, name, whole } of transfers) {
      const block = blockOption(block1, { number, more: number < 2, szx: 2 });
      const options = [textOption(OptionNumber.uriPath, name), block, tag(tagged)];
      const reply = world.send(peer, Code.post, options, whole.subarray(number * 64, number * 64 + 64), more);
      assert.equal(code(reply), number < 2 ? Code.continue : Code.changed);
    }
  }
  assert.deepEqual(
    world.requests.map(({ message }) => message.payload),
    transfers.map(({ whole }) => whole),
  );
  assert.ok(world.requests.every(({ message }) => optionValue(message.options, requestTag) === undefined));
});

test('what is never finished stays in bounds: per peer, in all, and in time', () => {
  const world = new BlockWorld({ maxTransfersPerPeer: 3, maxTransferBytes: 20_000, maxTransferPeerBytes: 8000, maxBodyBytes: 4096 });
  const begin = (peer: FakePeer, name: number): number =>
    code(world.send(peer, Code.put, [path, blockOption(block1, { number: 0, more: true, szx: 6 }), tag(name)], body(1024)));
  const first = new FakePeer();
  for (let i = 0; i < 200; i++) assert.equal(begin(first, i), Code.continue);
  assert.equal(world.metric('block_requests'), 3);
  const codes = Array.from({ length: 100 }, () => begin(new FakePeer(), 1));
  assert.ok(codes.includes(Code.continue) && codes.at(-1) === Code.serviceUnavailable);
  assert.ok(world.metric('block_request_bytes') <= 20_000);
  // Who has something may begin another at the cost of its own.
  assert.equal(begin(first, 201), Code.continue);
  first.close();
  assert.equal(begin(new FakePeer(), 1), Code.continue);
  world.pass(60_000);
  assert.equal(world.metric('block_requests'), 0);
  assert.equal(world.metric('block_request_bytes'), 0);
  assert.equal(world.timers.nextDeadlineMs(), Infinity);
  assert.ok(world.metric('block_request_events_total', 'expired') > 0);
});

test('a transfer lives as long as blocks of it come', () => {
  const world = new BlockWorld();
  const peer = new FakePeer();
  const whole = body(320);
  for (let number = 0; number < 4; number++) {
    assert.equal(code(put(world, peer, whole, number, 2)), Code.continue);
    world.pass(59_000);
  }
  assert.equal(code(put(world, peer, whole, 4, 2)), Code.changed);
});

test('no order of blocks, sizes and numbers makes it keep more than it may, or hand on what was not sent in order', () => {
  const event = fc.record({
    peer: fc.integer({ min: 0, max: 2 }),
    name: fc.integer({ min: 0, max: 3 }),
    number: fc.oneof(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 0xf_ffff })),
    szx: fc.integer({ min: 0, max: 7 }),
    more: fc.boolean(),
    length: fc.oneof(fc.constantFrom(16, 32, 64, 1024), fc.integer({ min: 0, max: 1100 })),
  });
  const property = fc.property(fc.array(event, { maxLength: 60 }), (events) => {
    const world = new BlockWorld({ maxTransfersPerPeer: 2, maxTransferBytes: 16_000, maxTransferPeerBytes: 8000, maxBodyBytes: 2048 });
    const peers = [new FakePeer(), new FakePeer(), new FakePeer()];
    const whole = body(2048);
    for (const { peer, name, number, szx, more, length } of events) {
      const offset = number * blockBytes(szx);
      const options = [path, blockOption(block1, { number, more, szx }), tag(name)];
      const reply = world.send(peers[peer]!, Code.put, options, whole.subarray(offset, offset + length));
      assert.equal(reply.responses.length, 1);
      assert.ok(world.metric('block_request_bytes') <= 16_000);
      assert.ok(world.metric('block_requests') <= 6);
    }
    for (const { message } of world.requests) assert.deepEqual(message.payload, whole.subarray(0, message.payload.length));
    world.pass(60_000);
    assert.equal(world.metric('block_request_bytes'), 0);
  });
  fc.assert(property, { numRuns: 150 });
});

test('long options are part of what a transfer costs', () => {
  const world = new BlockWorld({
    maxTransferPeerBytes: 100_000,
    maxTransferBytes: 100_000,
    maxBodyBytes: 4096,
    maxTransfersPerPeer: 100,
  });
  const peer = new FakePeer({ isReliable: true });
  const long = textOption(OptionNumber.uriPath, 'x'.repeat(30_000));
  for (let i = 0; i < 20; i++) world.send(peer, Code.put, [long, blockOption(block1, { number: 0, more: true, szx: 0 }), tag(i)], body(16));
  assert.equal(world.metric('block_requests'), 3);
});

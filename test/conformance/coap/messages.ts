// The message layer (RFC 7252 §3 and §4).

import assert from 'node:assert/strict';
import {
  Code,
  emptyMessage,
  emptyOption,
  encodeUdp,
  MessageType,
  noBytes,
  textBytes,
  textOption,
  uintOption,
} from '../../../src/protocols/coap/codec/index.ts';
import { response, UdpWorld } from '../../../src/protocols/coap/transport/testing/udp-world.ts';
import { conforms } from './conforms.ts';

const { confirmable: CON, nonConfirmable: NON, acknowledgement: ACK, reset: RST } = MessageType;

function answering(what = response(Code.content, 'v')): UdpWorld {
  const world = new UdpWorld();
  world.onRequest = ({ reply }) => reply.send(what);
  return world;
}

function hex(text: string): Uint8Array {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}

conforms('7252/3-1', 'versions 0, 2 and 3', () => {
  for (const first of [0x00, 0x80, 0xc0])
    answering()
      .receive(Uint8Array.of(first, 1, 0, 1))
      .takeNothing();
});

conforms('7252/3-2 7252/3-3 7252/3-4 7252/4.1-1 7252/4.2-4', 'format errors and reserved classes in confirmable messages', () => {
  const cases = ['4f010001', '40010001ff', '40010001f0', '400100010f', '4100000161', '40000001ff', '40200001', '40c00001', '40e10001'];
  for (const bytes of cases) {
    const world = answering().receive(hex(bytes));
    const { type, messageId, code } = world.take();
    assert.deepEqual([type, messageId, code], [RST, 1, Code.empty], bytes);
    assert.equal(world.asked.length, 0);
  }
});

conforms('7252/4.3-2', 'format errors in non-confirmable messages', () => {
  for (const bytes of ['5f010001', '50010001ff', '50200001']) assert.equal(answering().receive(hex(bytes)).asked.length, 0);
});

conforms('7252/3-5', 'options of an answer are put in order', () => {
  const world = answering(response(Code.content, 'v', [uintOption(14, 60), { number: 4, value: Uint8Array.of(1) }, uintOption(12, 50)]));
  assert.deepEqual(
    world
      .request(CON, 1)
      .take()
      .options.map(({ number }) => number),
    [4, 12, 14],
  );
});

conforms('7252/4.2-1 7252/4.2-2 7252/4.2-3 7252/5.2.1-1 7252/5.3.1-1', 'a confirmable request is acknowledged by its answer', () => {
  const { type, messageId, token } = answering().request(CON, 0x1234, { token: 'tok' }).take();
  assert.deepEqual([type, messageId, token], [ACK, 0x1234, textBytes('tok')]);
});

conforms('7252/4.2-5', 'acknowledgements and Resets, whatever they hold, are never answered', () => {
  for (const type of [ACK, RST]) {
    const world = answering().receive(emptyMessage(type, 5));
    for (const code of [Code.get, Code.content, 0x20, 0xe1])
      world.receive(encodeUdp(type, 6, code, textBytes('t'), [textOption(11, 'a')], noBytes));
    world
      .receive(hex(type === ACK ? '6f010001' : '7f010001'))
      .pass(300_000)
      .takeNothing();
    assert.equal(world.asked.length, 0);
  }
});

conforms('7252/4.2-6 7252/4.2-7', 'repetitions of what the node sends', () => {
  const world = new UdpWorld({ piggybackMs: 0 }).request(CON, 1);
  world.last.reply.send(response(Code.content));
  world.take();
  const times: number[] = [];
  const first = world.sent[0];
  while (world.sent.length > 0 || world.deadlineMs < Infinity) {
    for (const bytes of world.sent.splice(0)) {
      assert.deepEqual(bytes, first);
      times.push(world.clock.monotonicMs());
    }
    if (world.deadlineMs < Infinity) world.pass(Math.max(0, world.deadlineMs - world.clock.monotonicMs()));
  }
  const pauses = times.slice(1).map((time, i) => time - times[i]!);
  assert.equal(times.length, 5);
  assert.ok(pauses[0]! >= 2000 && pauses[0]! <= 3000);
  for (let i = 1; i < 4; i++) assert.ok(Math.abs(pauses[i]! / pauses[i - 1]! - 2) < 1e-9);
});

conforms('7252/4.2-8', 'nothing is repeated that was acknowledged or rejected', () => {
  for (const type of [ACK, RST]) {
    const world = new UdpWorld({ piggybackMs: 0 }).request(CON, 1);
    world.last.reply.send(response(Code.content));
    world.take();
    world.receive(emptyMessage(type, world.take().messageId)).pass(300_000).takeNothing();
  }
});

conforms('7252/4.3-1 7252/5.2.3-1', 'a non-confirmable request', () => {
  const world = answering().request(NON, 1);
  assert.equal(world.take().type, NON);
  world.pass(1000).takeNothing();
});

conforms('7252/4.3-3', 'a ping', () => {
  const { type, messageId } = answering().receive(emptyMessage(CON, 77)).take();
  assert.deepEqual([type, messageId], [RST, 77]);
});

conforms('7252/4.4-1', 'ids of what the node sends', () => {
  const world = answering();
  const ids = new Set<number>();
  for (let id = 0; id < 2000; id++) ids.add(world.request(NON, id).take().messageId);
  assert.equal(ids.size, 2000);
});

conforms('7252/4.5-1 7252/4.5-2', 'a repeated confirmable message', () => {
  const world = answering().request(CON, 1).request(CON, 1);
  assert.deepEqual(world.sent[0], world.sent[1]);
  assert.equal(world.asked.length, 1);
  const rejected = answering().request(NON, 1, { options: [emptyOption(65_001)] });
  assert.equal(rejected.take().type, RST);
  assert.equal(rejected.request(NON, 1, { options: [emptyOption(65_001)] }).take().type, RST);
});

conforms('7252/4.5-3', 'a repeated non-confirmable message', () => {
  const world = answering().request(NON, 1);
  world.take();
  world.request(NON, 1).takeNothing();
});

conforms('7252/4.7-1', 'one confirmable message is outstanding', () => {
  const world = new UdpWorld({ piggybackMs: 0 }).request(CON, 1, { token: 'a' }).request(CON, 2, { token: 'b' });
  world.sent.length = 0;
  for (const { reply } of world.asked) reply.send(response(Code.content));
  const first = world.take();
  world.takeNothing().ack(first.messageId);
  world.take();
});

conforms('7252/8.1-1 7252/8.1-2', 'what went to a group is not rejected', () => {
  const world = new UdpWorld({ answerMulticast: true });
  world.onRequest = ({ reply }) => reply.send(response(Code.content));
  world.request(CON, 1, { isMulticast: true }).receive(emptyMessage(CON, 2), true).receive(hex('40010001ff'), true);
  world
    .request(NON, 3, { isMulticast: true, options: [emptyOption(65_001)] })
    .pass(10_000)
    .takeNothing();
});

conforms('7252/8.2-1 7252/8.2-2', 'answers to a group are delayed, and no errors', () => {
  const world = new UdpWorld({ answerMulticast: true });
  const times = new Set<number>();
  for (let id = 0; id < 3; id++) {
    world.request(NON, id, { isMulticast: true, token: String(id) });
    world.last.reply.send(response(Code.content));
    const start = world.clock.monotonicMs();
    world.takeNothing();
    while (world.sent.length === 0) world.pass(100);
    times.add(world.clock.monotonicMs() - start);
    world.take();
  }
  assert.ok(times.size > 1 && Math.max(...times) <= 5000);
  world.request(NON, 9, { isMulticast: true });
  world.last.reply.send(response(Code.notFound));
  world.pass(10_000).takeNothing();
});

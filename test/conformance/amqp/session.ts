// Sessions (2.5, 2.7.2, 2.7.8).

import assert from 'node:assert/strict';
import type { Performative } from '../../../src/protocols/amqp/codec/index.ts';
import * as frames from '../../../src/protocols/amqp/testing/peer-frames.ts';
import { conforms } from './conforms.ts';
import { begun, endsOf, meet, silent } from './scene.ts';

const { header, frame, open, begin } = frames;
const flow = { type: 'flow', nextIncomingId: 0, incomingWindow: 1000, nextOutgoingId: 0, outgoingWindow: 1000 } as const;

conforms('2.5.1-1 2.5.1-2 2.7.2-1', 'a begin is answered with its channel, on the lowest one that is free', async () => {
  const { wire, test } = await silent();
  wire.send(header(), frame(0, open), frame(200, begin), frame(7, begin), frame(90, begin));
  test.settle();
  const channels = (): (number | undefined)[][] =>
    wire.frames().flatMap((each) => (each.type === 'begin' ? [[each.channel, each.remoteChannel]] : []));
  assert.deepEqual(channels(), [
    [0, 200],
    [1, 7],
    [2, 90],
  ]);
  wire.send(frame(7, { type: 'end' }), frame(8, begin));
  assert.deepEqual(channels(), [[1, 8]]);
});

conforms('2.4-1', 'frames of a session are told by their own channel in each direction', async () => {
  const { wire, test } = await silent();
  wire.send(header(), frame(0, open), frame(9, begin), frame(0, begin));
  wire.frames();
  wire.send(frame(0, frames.senderAttach({ name: 'on-0' })), frame(9, frames.senderAttach({ name: 'on-9' })));
  test.settle();
  const attaches = wire.frames().flatMap((each) => (each.type === 'attach' ? [[each.name, each.channel]] : []));
  assert.deepEqual(attaches.sort(), [
    ['on-0', 1],
    ['on-9', 0],
  ]);
});

conforms('2.5.1-3', 'a begin that answers what nobody has begun, or on a channel in use, ends the connection', async () => {
  for (const wrong of [frame(3, { ...begin, remoteChannel: 3 }), frame(0, begin)]) {
    const { send } = await begun();
    assert.match(send(wrong)[0] ?? '', /^close amqp:/);
  }
});

conforms('2.5.2-1 2.5.2-2', 'an end is answered with end; a frame on a channel without session ends the connection', async () => {
  const { send } = await begun();
  assert.deepEqual(send(frame(0, { type: 'end' })), ['end']);
  assert.match(send(frame(0, { type: 'end' }))[0] ?? '', /^close amqp:/);
});

conforms(
  '2.5.3-1 2.5.4-1 2.5.4-2 2.5.5-1',
  'a session that cannot go on is ended with the reason; what comes until the peer’s end is discarded',
  async () => {
    const { send } = await begun();
    assert.deepEqual(send(frame(0, { ...flow, handle: 9 })), ['end amqp:session:unattached-handle']);
    const late: Performative[] = [frames.senderAttach(), { ...flow, handle: 3 }, { type: 'detach', handle: 5 }];
    assert.deepEqual(send(...late.map((each) => frame(0, each)), frames.transfer(0, 'x', { handle: 77 })), []);
    // The peer may have ended it at the same time: this is what answers ours.
    assert.deepEqual(send(frame(0, { type: 'end' })), []);
    assert.deepEqual(send(frame(0, begin)), ['begin']);
  },
);

conforms('2.5.6-1 2.5.6-2', 'next-incoming-id counts the peer’s transfer frames, and wraps', async () => {
  const { wire, test } = await begun({ nextOutgoingId: 0xffff_fffe });
  wire.send(frame(0, frames.senderAttach()));
  test.settle();
  wire.frames();
  for (let i = 0; i < 4; i++) wire.send(frames.transfer(i, 'x', { settled: true }));
  wire.send(frame(0, { ...flow, nextOutgoingId: 2, echo: true }));
  const heard = wire.frames().find((each) => each.type === 'flow');
  assert.equal(heard?.type === 'flow' && heard.nextIncomingId, 2);
});

conforms('2.5.6-3', 'next-incoming-id is what the peer’s flow says that it sends next', async () => {
  const { wire } = await begun({ nextOutgoingId: 5 });
  wire.frames();
  wire.send(frame(0, { ...flow, nextOutgoingId: 40, echo: true }));
  const heard = wire.frames().find((each) => each.type === 'flow');
  assert.equal(heard?.type === 'flow' && heard.nextIncomingId, 40);
});

conforms('2.5.6-4', 'more transfers than the incoming window are a window violation', async () => {
  const { send } = await begun({}, { options: { incomingWindow: 4 } });
  send(frame(0, frames.senderAttach()));
  const many = Array.from({ length: 5 }, (_, i) => frames.transfer(i, 'x', { settled: true }));
  assert.deepEqual(endsOf(send(...many)), ['end amqp:session:window-violation']);
});

conforms('2.5.6-5', 'the incoming window is renewed, so that a peer may go on for ever', async () => {
  const { send } = await begun({}, { options: { incomingWindow: 4 } });
  send(frame(0, frames.senderAttach()));
  for (let i = 0; i < 200; i += 2) {
    assert.deepEqual(endsOf(send(frames.transfer(i, 'x', { settled: true }), frames.transfer(i + 1, 'x', { settled: true }))), []);
  }
});

conforms(
  '2.5.6-6 2.5.6-7',
  'no more transfer frames are sent than the peer’s window, which is what its flow says minus what is on its way',
  async () => {
    const { peer } = await meet({ window: 3 });
    peer.receiver(1, 'a', {}, 0);
    // The credit’s own flow must not widen the window.
    peer.say({ ...flow, incomingWindow: 3, handle: 1, deliveryCount: 0, linkCredit: 100 });
    peer.sender(0, 'a');
    for (let i = 0; i < 10; i++) peer.publish(0, `m${i}`);
    assert.equal(peer.transfers().length, 3);
    // It has seen one, and takes four from there: two are on their way.
    peer.say({ ...flow, nextIncomingId: 1, incomingWindow: 4 });
    assert.equal(peer.transfers().length, 2);
    peer.say({ ...flow, nextIncomingId: 5, incomingWindow: 0 });
    assert.equal(peer.transfers().length, 0);
    peer.say({ ...flow, nextIncomingId: 5, incomingWindow: 2 ** 31 });
    assert.equal(peer.transfers().length, 5);
  },
);

conforms('2.5.6-8', 'a flow without next-incoming-id counts from our first', async () => {
  const { peer } = await meet({ window: 0 });
  peer.receiver(1, 'a', {}, 0);
  peer.say({ ...flow, nextIncomingId: undefined, incomingWindow: 2, handle: 1, deliveryCount: 0, linkCredit: 100 });
  peer.sender(0, 'a');
  for (let i = 0; i < 5; i++) peer.publish(0, `m${i}`);
  assert.equal(peer.transfers().length, 2);
});

conforms('2.5.6-9', 'next-outgoing-id moves with each transfer frame that we send', async () => {
  const { peer } = await meet({ maxFrameSize: 512 });
  peer.receiver(1, 'a');
  peer.sender(0, 'a');
  peer.publish(0, 'x'.repeat(2000));
  const cut = peer.transfers().length;
  assert.ok(cut > 3);
  peer.say({ ...flow, nextIncomingId: cut, nextOutgoingId: 1, echo: true });
  const heard = peer.heard().find((each) => each.type === 'flow');
  assert.equal(heard?.type === 'flow' && heard.nextOutgoingId, cut);
});

conforms('2.7.2-2', 'a handle above handle-max is a framing error, and none above the peer’s is used', async () => {
  const { send } = await begun({}, { options: { handleMax: 3 } });
  assert.deepEqual(send(frame(0, frames.senderAttach({ handle: 4 }))), ['close amqp:connection:framing-error', 'closed']);
  const small = await begun({ handleMax: 0 });
  small.send(frame(0, frames.senderAttach()));
  assert.match(small.send(frame(0, frames.senderAttach({ handle: 1, name: 'other' })))[0] ?? '', /^end amqp:/);
});

conforms('2.7.4-1', 'a flow, a transfer or a detach on a handle that is not attached ends the session', async () => {
  for (const wrong of [frame(0, { ...flow, handle: 2 }), frames.transfer(0, 'x', { handle: 2 }), frame(0, { type: 'detach', handle: 2 })]) {
    const { send } = await begun();
    assert.deepEqual(send(wrong), ['end amqp:session:unattached-handle']);
  }
});

conforms('2.7.4-2', 'a flow of the session that asks for it is answered; a link’s fields stay out of the answer', async () => {
  const { wire } = await begun();
  wire.frames();
  wire.send(frame(0, { ...flow, echo: true }));
  const [heard, ...more] = wire.frames();
  assert.deepEqual(more, []);
  assert.ok(heard?.type === 'flow');
  assert.deepEqual([heard.handle, heard.deliveryCount, heard.linkCredit, heard.available, heard.drain], Array(5).fill(undefined));
  wire.send(frame(0, flow));
  assert.deepEqual(wire.frames(), []);
});

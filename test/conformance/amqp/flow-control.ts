// Flow control of links (2.6.7 to 2.6.10, 2.7.4).

import assert from 'node:assert/strict';
import type { Attach } from '../../../src/protocols/amqp/codec/index.ts';
import * as frames from '../../../src/protocols/amqp/testing/peer-frames.ts';
import type { LivePeer } from '../../../src/protocols/amqp/testing/live-peer.ts';
import { conforms } from './conforms.ts';
import { endsOf, meet } from './scene.ts';

const { frame } = frames;
const window = { nextIncomingId: 0, incomingWindow: 1000, nextOutgoingId: 0, outgoingWindow: 1000 } as const;

async function queue(...texts: string[]): Promise<LivePeer> {
  const { peer } = await meet();
  peer.receiver(1, '$queue/q', {}, 0);
  peer.sender(0, 'queue:q');
  for (const text of texts) peer.publish(0, text);
  peer.heard();
  return peer;
}

function flowsOf(peer: LivePeer): (number | boolean | undefined)[][] {
  return peer.heard().flatMap((each) => (each.type === 'flow' ? [[each.deliveryCount, each.linkCredit, each.drain === true]] : []));
}

conforms('2.6.7-1', 'a new link has no credit', async () => {
  const peer = await queue('a');
  assert.deepEqual(peer.texts(), []);
});

conforms(
  '2.6.7-2 2.6.7-3',
  'the limit is the receiver’s delivery-count and credit, whatever is on its way; each delivery takes one',
  async () => {
    const peer = await queue('a', 'b', 'c', 'd', 'e', 'f', 'g');
    peer.credit(1, 3);
    assert.deepEqual(peer.texts(), ['a', 'b', 'c']);
    // The same limit told again, and one that has seen two.
    peer.credit(1, 3);
    peer.credit(1, 1, { deliveryCount: 2 });
    assert.deepEqual(peer.texts(), []);
    peer.credit(1, 3, { deliveryCount: 2 });
    assert.deepEqual(peer.texts(), ['d', 'e']);
    // A limit that is behind what was sent is no credit, and not very much.
    peer.credit(1, 1, { deliveryCount: 0 });
    assert.deepEqual(peer.texts(), []);
  },
);

conforms('2.6.7-4', 'without delivery-count the credit counts from our first', async () => {
  const peer = await queue('a', 'b', 'c');
  peer.credit(1, 2, { deliveryCount: undefined });
  assert.deepEqual(peer.texts(), ['a', 'b']);
  peer.credit(1, 2, { deliveryCount: undefined });
  assert.deepEqual(peer.texts(), []);
});

conforms('2.6.7-5 2.6.8-1', 'a drain sends what there is, moves delivery-count to the limit and says so', async () => {
  const peer = await queue('a', 'b');
  peer.credit(1, 10, { drain: true });
  const heard = peer.heard();
  assert.equal(heard.filter((each) => each.type === 'transfer').length, 2);
  const flow = heard.at(-1);
  assert.ok(flow?.type === 'flow');
  assert.deepEqual([flow.handle, flow.deliveryCount, flow.linkCredit, flow.drain], [0, 10, 0, true]);
  peer.publish(0, 'c');
  assert.deepEqual(peer.texts(), []);
});

conforms('2.6.7-6', 'delivery-count wraps: drained over and over it goes on from 0', async () => {
  const peer = await queue();
  const most = 0x7fff_ffff;
  let count = 0;
  for (let i = 0; i < 2; i++) {
    peer.credit(1, most, { deliveryCount: count, drain: true });
    count += most;
    assert.deepEqual(flowsOf(peer), [[count, 0, true]]);
  }
  peer.publish(0, 'a');
  peer.publish(0, 'b');
  peer.publish(0, 'c');
  peer.heard();
  peer.credit(1, 3, { deliveryCount: count });
  assert.deepEqual(peer.texts(), ['a', 'b', 'c']);
  peer.credit(1, 1, { deliveryCount: 1, echo: true });
  assert.deepEqual(flowsOf(peer), [[1, 1, false]]);
});

conforms('2.6.7-7', 'a drain without credit is answered, too', async () => {
  const peer = await queue('a');
  peer.credit(1, 0, { drain: true });
  assert.deepEqual(flowsOf(peer), [[0, 0, true]]);
});

conforms('2.6.7-11', 'a drain waits for the window: what is there is sent before the credit is given up', async () => {
  const peer = await queue('a', 'b');
  peer.say({ type: 'flow', ...window, incomingWindow: 1, nextOutgoingId: 2, handle: 1, deliveryCount: 0, linkCredit: 10, drain: true });
  assert.deepEqual(
    peer.heard().map((each) => each.type),
    ['transfer'],
  );
  peer.say({ type: 'flow', ...window, nextIncomingId: 1, nextOutgoingId: 2 });
  const [transfer, ...flows] = peer.heard();
  assert.equal(transfer?.type, 'transfer');
  assert.deepEqual(
    flows.map((each) => each.type === 'flow' && [each.deliveryCount, each.linkCredit, each.drain]),
    [[10, 0, true]],
  );
});

conforms('2.6.7-12', 'a drain is answered where no more may be unsettled, too', async () => {
  const { peer } = await meet({ options: { maxUnsettledPerLink: 2, linkCredit: 2 } });
  peer.receiver(1, '$queue/q', {}, 0);
  peer.sender(0, 'queue:q');
  for (let i = 0; i < 5; i++) peer.publish(0, `m${i}`);
  peer.heard();
  peer.credit(1, 10);
  assert.equal(peer.transfers().length, 2);
  peer.credit(1, 10, { drain: true });
  assert.deepEqual(flowsOf(peer), [[10, 0, true]]);
});

conforms('2.6.7-8', 'deliveries beyond the credit detach the link', async () => {
  const { peer } = await meet({ options: { linkCredit: 2 } });
  peer.sender(0, 'a');
  peer.send(...[0, 1, 2].map((id) => frames.transfer(id, 'x', { settled: true })));
  assert.deepEqual(endsOf(peer.words()), ['detach 0 closed amqp:link:transfer-limit-exceeded']);
});

conforms('2.6.7-9', 'the delivery-count of a sending peer is where it says, wraps, and is told back with the credit', async () => {
  const { peer } = await meet({ options: { linkCredit: 4 } });
  peer.say(frames.senderAttach({ initialDeliveryCount: 0xffff_ffff }));
  assert.deepEqual(flowsOf(peer), [[0xffff_ffff, 4, false]]);
  peer.publish(0, 'a', true);
  peer.publish(0, 'b', true);
  assert.deepEqual(flowsOf(peer), [[1, 4, false]]);
});

conforms('2.6.7-10', 'a sending peer that moves its delivery-count has that much less credit', async () => {
  const { peer } = await meet({ options: { linkCredit: 4 } });
  peer.sender(0, 'a');
  peer.say({ type: 'flow', ...window, handle: 0, deliveryCount: 1, linkCredit: 3, echo: true });
  assert.deepEqual(flowsOf(peer), [[1, 3, false]]);
  peer.say({ type: 'flow', ...window, handle: 0, deliveryCount: 4, linkCredit: 0 });
  assert.deepEqual(flowsOf(peer), [[4, 4, false]]);
});

conforms('2.6.10-1 2.7.4-3', 'a link is stopped by a credit of 0, and an echo tells when', async () => {
  const peer = await queue('a', 'b', 'c');
  peer.credit(1, 1);
  peer.heard();
  peer.credit(1, 0, { deliveryCount: 1, echo: true });
  assert.deepEqual(flowsOf(peer), [[1, 0, false]]);
  peer.publish(0, 'd');
  assert.deepEqual(peer.texts(), []);
});

conforms('2.7.4-4', 'an echo that comes before the attach is answered is answered after it', async () => {
  const { peer } = await meet();
  const attach: Attach = {
    type: 'attach',
    name: 'r',
    handle: 1,
    role: 'receiver',
    source: { type: 'source', address: 'a' },
    target: { type: 'target' },
  };
  peer.send(frame(0, attach), frame(0, { type: 'flow', ...window, handle: 1, linkCredit: 5, echo: true }));
  const heard = peer.words();
  assert.deepEqual(heard, ['attach 0 r', 'flow 0 count=0 credit=5']);
});

conforms('2.7.4-5', 'a flow for a link tells the state of the session, too', async () => {
  const peer = await queue('a', 'b');
  peer.say({ type: 'flow', ...window, incomingWindow: 1, nextOutgoingId: 2, handle: 1, deliveryCount: 0, linkCredit: 10, echo: true });
  const heard = peer.heard();
  assert.equal(heard.filter((each) => each.type === 'transfer').length, 1);
  const flow = heard.find((each) => each.type === 'flow');
  assert.ok(flow?.type === 'flow');
  assert.deepEqual([flow.nextIncomingId, flow.nextOutgoingId, flow.deliveryCount, flow.linkCredit], [2, 1, 1, 9]);
});

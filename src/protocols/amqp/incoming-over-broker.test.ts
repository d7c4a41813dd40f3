// Links on which the peer sends, over the real broker, on a journal in memory that a test moves by hand.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestBroker, type TestConsumer } from '../../broker/testing/test-broker.ts';
import { acceptedState, type Attach, ReceiverSettleMode, type Target } from './codec/index.ts';
import { LivePeer } from './testing/live-peer.ts';
import { dataMessage, frame, senderAttach, transfer } from './testing/peer-frames.ts';

const durableTarget: Target = { type: 'target', address: 'a', durable: 2, expiryPolicy: 'never' };
const exactlyOnce: Partial<Attach> = { name: 'in', rcvSettleMode: ReceiverSettleMode.second, target: durableTarget };

/** Somebody for whom messages are journaled. */
function subscriber(t: TestBroker, clientId = 'durable'): TestConsumer {
  const consumer = t.connect(clientId, { sessionExpiryMs: 3_600_000 });
  consumer.subscribe('a', 2);
  t.settle();
  return consumer;
}

function tagged(deliveryId: number, tag: string, text: string, more = {}): Uint8Array {
  return transfer(deliveryId, text, { deliveryTag: Buffer.from(tag), ...more });
}

test('a sending link is told accepted when the message is durable, and not before', async () => {
  const t = await TestBroker.start();
  subscriber(t);
  const peer = new LivePeer(t);
  peer.sender(0, 'a');
  peer.dialogue.connection.receive(transfer(0, 'one'));
  t.endTurn();
  assert.deepEqual(peer.words(), []);
  t.settle();
  assert.deepEqual(peer.words(), ['receiver 0 settled accepted']);
  assert.equal(t.failed, undefined);
});

test('a sending link sends large messages in many frames', async () => {
  const t = await TestBroker.start();
  const peer = new LivePeer(t, 'peer', { maxFrameSize: 512 });
  peer.receiver(1, 'a');
  peer.sender(0, 'a');
  const message = dataMessage('abcdefgh'.repeat(10_000));
  const part = (from: number, more: object): Uint8Array =>
    frame(0, { type: 'transfer', handle: 0, ...more }, message.subarray(from, from + 7000));
  peer.send(part(0, { deliveryId: 0, deliveryTag: Buffer.from('t'), more: true }));
  for (let from = 7000; from < message.length; from += 7000) peer.send(part(from, { more: from + 7000 < message.length }));
  const transfers = peer.transfers();
  assert.ok(transfers.length > 150);
  assert.ok(Buffer.concat(transfers.map((each) => each.message)).includes(Buffer.from(message)));
});

test('a sending link gets each message through once, whenever its connection is lost', async () => {
  const t = await TestBroker.start();
  const consumer = subscriber(t);
  const first = new LivePeer(t);
  first.sender(0, 'a', exactlyOnce);
  first.send(tagged(0, 't0', 'zero'), tagged(1, 't1', 'one'));
  assert.deepEqual(first.words(), ['receiver 0-1 accepted']);
  // Zero is settled; of one the peer never learns; two is on its way when the wire is cut.
  first.say({ type: 'disposition', role: 'sender', first: 0, settled: true, state: acceptedState });
  first.dialogue.connection.receive(tagged(2, 't2', 'two'));
  first.lose();
  const second = new LivePeer(t);
  const unsettled = new Map([
    ['t1', undefined],
    ['t2', undefined],
    ['t3', undefined],
  ]);
  second.say(senderAttach({ ...exactlyOnce, unsettled }));
  const attach = second.heard().find((each) => each.type === 'attach');
  assert.ok(attach?.type === 'attach');
  const known = [...attach.unsettled!.keys()];
  assert.deepEqual(known, ['t1', 't2']);
  second.send(tagged(0, 't1', 'one', { resume: true }), tagged(1, 't2', 'two', { resume: true, settled: true }), tagged(2, 't3', 'three'));
  assert.deepEqual(second.words(), ['receiver 0 accepted', 'receiver 2 accepted']);
  second.say({ type: 'disposition', role: 'sender', first: 0, last: 2, settled: true, state: acceptedState });
  assert.deepEqual(consumer.payloads, ['zero', 'one', 'two', 'three']);
  // Nothing is kept of what is settled: the same tag is another message now.
  second.send(tagged(3, 't1', 'four'));
  assert.deepEqual(consumer.payloads.at(-1), 'four');
});

test('a sending link gets each message through once, also when the broker is killed', async () => {
  let t = await TestBroker.start();
  subscriber(t);
  const first = new LivePeer(t);
  first.sender(0, 'a', exactlyOnce);
  first.send(tagged(0, 't0', 'zero'));
  // Not durable when the power goes.
  first.dialogue.connection.receive(tagged(1, 't1', 'one'));
  t = await t.restart();
  const consumer = subscriber(t);
  const second = new LivePeer(t);
  const unsettled = new Map([
    ['t0', undefined],
    ['t1', undefined],
  ]);
  second.say(senderAttach({ ...exactlyOnce, unsettled }));
  const attach = second.heard().find((each) => each.type === 'attach');
  assert.ok(attach?.type === 'attach');
  assert.deepEqual([...attach.unsettled!.keys()], ['t0']);
  second.send(tagged(0, 't0', 'zero', { resume: true }), tagged(1, 't1', 'one'));
  second.say({ type: 'disposition', role: 'sender', first: 0, last: 1, settled: true });
  assert.deepEqual(consumer.payloads, ['zero', 'one']);
  const third = new LivePeer(t);
  third.say(senderAttach({ ...exactlyOnce, unsettled: new Map() }));
  const again = third.heard().find((each) => each.type === 'attach');
  assert.ok(again?.type === 'attach');
  assert.equal(again.unsettled?.size, 0);
});

test('a sending link is stolen by the same name of the same container', async () => {
  const t = await TestBroker.start();
  const first = new LivePeer(t);
  first.sender(0, 'a', { name: 'in' });
  const second = new LivePeer(t);
  second.sender(0, 'a', { name: 'in' });
  assert.deepEqual(first.words(), ['detach 0 closed amqp:link:stolen']);
  // Twice in one session, the later one has it; other containers have names of their own.
  second.say(senderAttach({ name: 'in', handle: 5 }));
  assert.deepEqual(second.words(), ['detach 0 closed amqp:link:stolen', 'attach 1 in', 'flow 1 count=0 credit=100']);
  const other = new LivePeer(t, 'other');
  other.sender(0, 'a', { name: 'in' });
  assert.deepEqual(second.words(), []);
  second.publish(5, 'x');
  assert.deepEqual(second.words(), ['receiver 0 settled accepted']);
});

test('a sending link makes a temporary queue that others can receive from, until it is detached', async () => {
  const t = await TestBroker.start();
  const peer = new LivePeer(t);
  peer.say(senderAttach({ target: { type: 'target', dynamic: true } }));
  const attach = peer.heard().find((each) => each.type === 'attach');
  assert.ok(attach?.type === 'attach' && attach.target?.type === 'target');
  const { address } = attach.target;
  assert.match(address!, /^queue:/);
  peer.publish(0, 'one');
  peer.heard();
  peer.receiver(1, address);
  assert.deepEqual(peer.texts(), ['one']);
  peer.detach(0, true);
  peer.heard();
  const again = peer.receiver(2, address, {}, 0);
  assert.equal(again.source, undefined);
});

test('a sending link makes a temporary topic: each of those who receive from it gets each message, until it is detached', async () => {
  const t = await TestBroker.start();
  const peer = new LivePeer(t);
  peer.say(senderAttach({ target: { type: 'target', dynamic: true, capabilities: ['temporary-topic'] } }));
  const attach = peer.heard().find((each) => each.type === 'attach');
  assert.ok(attach?.type === 'attach' && attach.target?.type === 'target');
  const { address, capabilities } = attach.target;
  assert.deepEqual(capabilities, ['temporary-topic']);
  for (const handle of [1, 2]) {
    const { source } = peer.receiver(handle, { address: address!, capabilities: ['temporary-topic'] }, { name: `r${handle}` });
    assert.equal(source?.address, address);
    assert.equal(source?.distributionMode, 'copy');
  }
  peer.publish(0, 'news');
  assert.deepEqual(peer.texts(), ['news', 'news']);
  peer.detach(0, true);
  peer.heard();
  const again = peer.receiver(3, { address: address!, capabilities: ['temporary-topic'] }, { name: 'late' }, 0);
  assert.equal(again.source, undefined);
});

test('a sending link gives everything back when its connection goes', async () => {
  const t = await TestBroker.start();
  const peer = new LivePeer(t);
  peer.sender(0, 'a');
  peer.sender(1, undefined);
  peer.lose();
  const kept = new LivePeer(t, 'kept');
  kept.sender(0, 'a', exactlyOnce);
  kept.lose();
  const names = [...t.broker.spaces.values()].flatMap((space) => [...space.sessions.keys()]);
  assert.deepEqual(names, ['$amqp/kept/in/in']);
});

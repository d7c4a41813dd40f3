// What a peer can make the broker keep, and what its frames can hold.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptedState } from './codec/index.ts';
import { Dialogue } from './testing/dialogue.ts';
import { dataMessage, frame, open, begin, senderAttach, transfer } from './testing/peer-frames.ts';

const durable = { type: 'target', address: 'a', durable: 2, expiryPolicy: 'never' } as const;

function part(handle: number, bytes: number, more: object): Uint8Array {
  return frame(0, { type: 'transfer', handle, ...more }, new Uint8Array(bytes));
}

function first(handle: number, deliveryId: number, bytes: number): Uint8Array {
  return part(handle, bytes, { deliveryId, deliveryTag: Buffer.from(`t${deliveryId}`), more: true });
}

test('deliveries that are not whole take no more than a limit, over all links of a connection', () => {
  const dialogue = Dialogue.begun({ options: { maxMessageBytes: 1000, maxIncompleteBytes: 1500 } });
  for (const handle of [0, 1, 2]) dialogue.send(frame(0, senderAttach({ handle, name: `l${handle}` })));
  dialogue.heard();
  dialogue.send(first(0, 0, 900), first(1, 1, 500));
  assert.deepEqual(dialogue.heard(), []);
  dialogue.send(first(2, 2, 200));
  assert.deepEqual(dialogue.heard(), ['detach 2 closed amqp:resource-limit-exceeded']);
  // What is given up makes room: aborted, detached, or whole.
  dialogue.send(part(0, 0, { aborted: true }), part(1, 900, { more: true }));
  assert.deepEqual(dialogue.heard(), ['detach 1 closed amqp:link:message-size-exceeded']);
  dialogue.send(first(0, 3, 900), part(0, 90, { more: true }), part(0, 0, {}));
  assert.deepEqual(dialogue.heard(), ['receiver 3 settled rejected amqp:decode-error']);
  dialogue.send(frame(0, { type: 'detach', handle: 1, closed: true }), frame(0, senderAttach({ handle: 1, name: 'again' })));
  dialogue.send(first(0, 4, 1000), first(1, 5, 500));
  assert.ok(!dialogue.heard().some((words) => words.startsWith('detach')));
});

test('one message may always take as much as a message may', () => {
  const dialogue = Dialogue.sending({}, { options: { maxMessageBytes: 1000, maxIncompleteBytes: 10 } });
  const message = dataMessage('x'.repeat(900));
  const of = (from: number, to: number, more: object): Uint8Array =>
    frame(0, { type: 'transfer', handle: 0, ...more }, message.subarray(from, to));
  dialogue.send(of(0, 500, { deliveryId: 0, deliveryTag: Buffer.from('t'), more: true }), of(500, message.length, {}));
  assert.deepEqual(dialogue.heard(), ['receiver 0 settled accepted']);
});

test('an attach that does not fit into the peer’s frames leaves out of its map what is too much, and says so', () => {
  const dialogue = Dialogue.opened({ open: { ...open, maxFrameSize: 512 } });
  dialogue.send(frame(0, begin));
  dialogue.heard();
  const tags = Array.from({ length: 100 }, (_, i) => `a-rather-long-tag-${i}`);
  dialogue.broker.script = { tags };
  const unsettled = new Map(tags.map((tag) => [tag, acceptedState]));
  dialogue.send(frame(0, senderAttach({ rcvSettleMode: 1, target: durable, unsettled })));
  const [attach] = dialogue.frames();
  assert.ok(attach?.type === 'attach');
  assert.equal(attach.incompleteUnsettled, true);
  assert.ok(attach.unsettled!.size > 0 && attach.unsettled!.size < 100);
  // A new delivery may be one that the peer could not be told of.
  const [known] = attach.unsettled!.keys();
  dialogue.send(transfer(0, 'x', { deliveryTag: Buffer.from(known!), resume: true }), transfer(1, 'y'));
  assert.deepEqual(dialogue.heard(), ['receiver 0 accepted', 'detach 0 closed amqp:not-allowed']);
});

test('an attach whose name alone is too long for the peer’s frames ends the connection', () => {
  const dialogue = Dialogue.opened({ open: { ...open, maxFrameSize: 512 } });
  dialogue.send(frame(0, begin), frame(0, senderAttach({ name: 'x'.repeat(1000) })));
  assert.deepEqual(dialogue.heard(), ['begin', 'flow 0 count=0 credit=100', 'close amqp:frame-size-too-small', 'closed']);
});

test('what was recovered counts against what may be unsettled', () => {
  const dialogue = Dialogue.begun({ options: { linkCredit: 10, maxUnsettledPerLink: 10 } });
  const tags = Array.from({ length: 8 }, (_, i) => `t${i}`);
  dialogue.broker.script = { tags };
  dialogue.send(frame(0, senderAttach({ rcvSettleMode: 1, target: durable, unsettled: new Map(tags.map((tag) => [tag, undefined])) })));
  assert.deepEqual(dialogue.heard().at(-1), 'flow 0 count=0 credit=2');
});

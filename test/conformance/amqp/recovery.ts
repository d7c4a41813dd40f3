// Link recovery (2.6.13, 2.7.3), with the deliveries 1 to 14 of the example of 3.4.6. A sender of ours keeps all of a message until
// its outcome is known: of a delivery it has either no state, as in 1 to 4, or a terminal one, as in 10 to 14.

import assert from 'node:assert/strict';
import { TestBroker } from '../../../src/broker/testing/test-broker.ts';
import { acceptedState, type DeliveryState, releasedState, type Source, type Target } from '../../../src/protocols/amqp/codec/index.ts';
import { type HeardTransfer, LivePeer } from '../../../src/protocols/amqp/testing/live-peer.ts';
import * as frames from '../../../src/protocols/amqp/testing/peer-frames.ts';
import { conforms } from './conforms.ts';
import { endsOf, latin1 } from './scene.ts';

const source: Partial<Source> = { address: 'a', durable: 2, expiryPolicy: 'never' };
const target: Target = { type: 'target', address: 'a', durable: 2, expiryPolicy: 'never' };
const received: DeliveryState = { type: 'received', sectionNumber: 1, sectionOffset: 2n };
const modes = [0, 1] as const;
type Mode = (typeof modes)[number];
type Maps = ReadonlyMap<string, DeliveryState | undefined>;

/** A durable link on which `count` messages are unsettled, and whose connection is lost. */
async function lost(rcvSettleMode: Mode, count = 1): Promise<{ test: TestBroker; tags: string[] }> {
  const test = await TestBroker.start();
  const peer = new LivePeer(test);
  peer.receiver(1, source, { name: 'sub', rcvSettleMode }, 1000);
  peer.sender(0, 'a', { rcvSettleMode });
  for (let i = 0; i < count; i++) peer.publish(0, `m${i}`);
  const tags = peer.transfers().map(({ deliveryTag }) => latin1(deliveryTag));
  assert.equal(tags.length, count);
  peer.lose();
  return { test, tags };
}

/** As `lost`; the peer has said accepted, and was lost before it was answered. */
async function lostWithOutcome(): Promise<{ test: TestBroker; tags: string[] }> {
  const test = await TestBroker.start();
  const peer = new LivePeer(test);
  peer.receiver(1, source, { name: 'sub', rcvSettleMode: 1 });
  peer.sender(0, 'a', { rcvSettleMode: 1 });
  peer.publish(0, 'm0');
  const tags = peer.transfers().map(({ deliveryTag }) => latin1(deliveryTag));
  const disposition = { type: 'disposition', role: 'receiver', first: 0, state: acceptedState } as const;
  peer.dialogue.connection.receive(frames.frame(0, disposition));
  test.endTurn();
  peer.lose();
  return { test, tags };
}

function resume(test: TestBroker, rcvSettleMode: Mode, unsettled: Maps | undefined, more = {}, credit = 100) {
  const peer = new LivePeer(test);
  const answer = peer.receiver(1, source, { name: 'sub', rcvSettleMode, unsettled, ...more }, credit);
  return { peer, answer, heard: peer.transfers() };
}

const inShort = ({ deliveryTag, resume: resumes, settled, state, message }: HeardTransfer): unknown[] => [
  latin1(deliveryTag),
  resumes === true,
  settled === true,
  state?.type,
  message.length > 0,
];

conforms('2.6.13-1 3.4.6-1', '1: what the receiver does not know is sent again, not as a resumed delivery', async () => {
  for (const mode of modes) {
    const { test, tags } = await lost(mode);
    const { answer, heard } = resume(test, mode, new Map());
    assert.deepEqual([...(answer.unsettled ?? [])], [[tags[0], undefined]]);
    assert.deepEqual(heard.map(inShort), [[tags[0], false, false, undefined, true]]);
  }
});

conforms('2.6.13-2 2.6.13-3 3.4.6-2', '2, 4: what both know is resumed, from its start, whatever part the receiver has', async () => {
  for (const mode of modes) {
    for (const state of [received, undefined]) {
      const { test, tags } = await lost(mode);
      const { peer, heard } = resume(test, mode, new Map([[tags[0]!, state]]));
      assert.deepEqual(heard.map(inShort), [[tags[0], true, false, 'received', true]]);
      assert.deepEqual(heard[0]!.state, { type: 'received', sectionNumber: 0, sectionOffset: 0n });
      peer.settle(heard[0]!.deliveryId!, acceptedState, false);
      assert.deepEqual(peer.words(), [`sender ${heard[0]!.deliveryId} settled accepted`]);
    }
  }
});

conforms('3.4.6-3', '3: the outcome of the receiver is taken: the delivery is settled, or resumed without bytes as settled', async () => {
  const first = await lost(0);
  const settled = resume(first.test, 0, new Map([[first.tags[0]!, acceptedState]]));
  assert.deepEqual([settled.answer.unsettled?.size ?? 0, settled.heard], [0, []]);
  const second = await lost(1);
  const told = resume(second.test, 1, new Map([[second.tags[0]!, acceptedState]]));
  assert.deepEqual(told.heard.map(inShort), [[second.tags[0], true, true, 'accepted', false]]);
  for (const { test } of [first, second]) assert.deepEqual(resume(test, 0, new Map()).heard, []);
});

conforms(
  '3.4.6-4',
  '10: what the sender knows to be accepted, and the receiver has forgotten, is settled and never sent again',
  async () => {
    const { test } = await lostWithOutcome();
    assert.deepEqual(resume(test, 1, new Map()).heard, []);
    assert.deepEqual(resume(test, 1, new Map()).answer.unsettled?.size ?? 0, 0);
  },
);

conforms(
  '3.4.6-5',
  '11 to 14: an outcome at the sender stands, whatever state the receiver comes back with, and is told without bytes',
  async () => {
    for (const state of [received, acceptedState, releasedState, undefined]) {
      const { test, tags } = await lostWithOutcome();
      const { answer, heard } = resume(test, 1, new Map([[tags[0]!, state]]));
      assert.deepEqual([...(answer.unsettled ?? [])], [[tags[0], acceptedState]]);
      assert.deepEqual(heard.map(inShort), [[tags[0], true, true, 'accepted', false]]);
    }
  },
);

conforms('2.6.13-4', 'what only the receiver knows is ignored', async () => {
  const { test, tags } = await lost(0);
  const unknown = new Map<string, DeliveryState | undefined>([
    ['unknown', undefined],
    ['another', acceptedState],
  ]);
  const { answer, heard } = resume(test, 0, unknown);
  assert.deepEqual([...(answer.unsettled?.keys() ?? [])], tags);
  assert.equal(heard.length, 1);
});

conforms('2.6.13-5', 'a resumed delivery has a delivery-id of its new session', async () => {
  const { test, tags } = await lost(0, 3);
  const { heard } = resume(test, 0, new Map(tags.slice(1).map((tag) => [tag, undefined])));
  assert.deepEqual(
    heard.map((each) => [each.deliveryId, latin1(each.deliveryTag), each.resume === true]),
    [
      [0, tags[0], false],
      [1, tags[1], true],
      [2, tags[2], true],
    ],
  );
});

conforms(
  '2.6.13-6 2.7.3-8',
  'a receiver that has not told all gets nothing new: the link is reduced, and detached to be resumed again',
  async () => {
    for (const mode of modes) {
      const { test, tags } = await lost(mode, 3);
      const maps = new Map<string, DeliveryState | undefined>([
        [tags[0]!, acceptedState],
        [tags[1]!, undefined],
      ]);
      const { peer, heard } = resume(test, mode, maps, { incompleteUnsettled: true });
      assert.deepEqual(
        heard.filter((each) => each.resume !== true),
        [],
      );
      peer.lose();
      // Told again, and all of it now: nothing was lost, and nothing that was accepted comes again.
      const again = resume(test, mode, mode === 1 ? new Map([[tags[0]!, acceptedState]]) : new Map());
      const texts = again.heard.filter((each) => each.message.length > 0).map((each) => each.message.subarray(-2).toString());
      assert.deepEqual(texts.sort(), ['m1', 'm2']);
    }
  },
);

conforms('2.6.13-7', 'also where there is nothing of it here', async () => {
  const test = await TestBroker.start();
  const other = new LivePeer(test, 'other');
  other.sender(0, 'a');
  const peer = new LivePeer(test);
  peer.receiver(1, source, { name: 'sub', unsettled: new Map([['x', undefined]]), incompleteUnsettled: true }, 0);
  assert.deepEqual(endsOf(peer.words()), ['detach 0']);
  other.publish(0, 'new');
  assert.deepEqual(peer.transfers(), []);
});

conforms(
  '2.6.13-8 2.7.3-9',
  'a map that does not fit into the peer’s frames: known deliveries go before others, and no frame is too large',
  async () => {
    const { test, tags } = await lost(1, 90);
    const peer = new LivePeer(test, 'peer', { maxFrameSize: 512 });
    const maps = new Map<string, DeliveryState | undefined>([[tags[89]!, undefined]]);
    const answer = peer.receiver(1, source, { name: 'sub', rcvSettleMode: 1, unsettled: maps }, 0);
    assert.ok(answer.unsettled!.has(tags[89]!));
    assert.notEqual(answer.incompleteUnsettled, true);
    peer.credit(1, 1000);
    const heard = peer.transfers();
    assert.equal(heard.length, 90);
    assert.deepEqual(
      heard.filter((each) => each.resume === true).map((each) => latin1(each.deliveryTag)),
      [tags[89]],
    );
  },
);

conforms('2.6.13-8 2.7.3-9', 'a map takes all the room that a frame of the peer has', async () => {
  const { test, tags } = await lost(1, 400);
  const peer = new LivePeer(test, 'peer', { maxFrameSize: 2048 });
  const maps = new Map<string, DeliveryState | undefined>(tags.map((tag) => [tag, undefined]));
  const answer = peer.receiver(1, source, { name: 'sub', rcvSettleMode: 1, unsettled: maps }, 1000);
  assert.equal(answer.unsettled?.size, 400);
  assert.ok(peer.transfers().every((each) => each.resume === true));
});

// ---- The peer sends

/** A durable link on which the peer has sent `tags`, which were accepted, and has settled none of them. */
async function taken(tags: readonly string[], more: { readonly maxFrameSize?: number } = {}) {
  const test = await TestBroker.start();
  const consumer = test.connect('watcher', { sessionExpiryMs: 3_600_000 });
  consumer.subscribe('a', 2);
  test.settle();
  const peer = new LivePeer(test);
  peer.say(frames.senderAttach({ name: 'in', rcvSettleMode: 1, target }));
  tags.forEach((tag, i) => peer.send(frames.transfer(i, 'x', { deliveryTag: Buffer.from(tag) })));
  peer.lose();
  const again = new LivePeer(test, 'peer', more);
  const attach = (unsettled: Maps, incompleteUnsettled = false) => {
    again.say(
      frames.senderAttach({ name: 'in', rcvSettleMode: 1, target, unsettled, ...(incompleteUnsettled && { incompleteUnsettled }) }),
    );
    return again.heard().find((each) => each.type === 'attach');
  };
  return { test, consumer, again, attach };
}

conforms('2.6.13-9', 'what the sender has settled is settled here: its tag is free', async () => {
  const { consumer, again, attach } = await taken(['t']);
  const answer = attach(new Map());
  assert.equal(answer?.type === 'attach' && answer.unsettled?.size, 0);
  again.send(frames.transfer(0, 'y', { deliveryTag: Buffer.from('t') }));
  assert.deepEqual(consumer.payloads, ['x', 'y']);
});

conforms('2.6.13-10 2.6.13-11', 'what both know is answered again and not taken twice; a settled resume ends it', async () => {
  const { consumer, again, attach } = await taken(['t', 'u']);
  const answer = attach(
    new Map([
      ['t', undefined],
      ['u', undefined],
    ]),
  );
  assert.deepEqual(answer?.type === 'attach' && [...(answer.unsettled ?? [])], [
    ['t', acceptedState],
    ['u', acceptedState],
  ]);
  again.send(frames.transfer(0, 'x', { deliveryTag: Buffer.from('t'), resume: true }));
  assert.deepEqual(again.words(), ['receiver 0 accepted']);
  again.send(
    frames.frame(0, {
      type: 'transfer',
      handle: 0,
      deliveryId: 1,
      deliveryTag: Buffer.from('u'),
      resume: true,
      settled: true,
      state: acceptedState,
    }),
  );
  assert.deepEqual(again.words(), []);
  assert.deepEqual(consumer.payloads, ['x', 'x']);
});

conforms('2.6.13-12', 'a delivery that is resumed without being known is ignored: the sender sends it anew', async () => {
  const { consumer, again, attach } = await taken([]);
  const answer = attach(new Map([['t', undefined]]));
  assert.equal(answer?.type === 'attach' && answer.unsettled?.has('t'), false);
  again.send(frames.transfer(0, 'x', { deliveryTag: Buffer.from('t'), resume: true }));
  assert.deepEqual([again.words(), consumer.payloads], [[], []]);
  again.send(frames.transfer(1, 'x', { deliveryTag: Buffer.from('t') }));
  assert.deepEqual([again.words(), consumer.payloads], [['receiver 1 accepted'], ['x']]);
});

conforms('2.6.13-13', 'what a sender that has not told all leaves out is not settled', async () => {
  const { attach } = await taken(['t', 'u']);
  const answer = attach(new Map([['t', undefined]]), true);
  assert.deepEqual(answer?.type === 'attach' && [...(answer.unsettled?.keys() ?? [])], ['t', 'u']);
});

conforms('2.7.3-10', 'where we have not told all, a delivery that is not resumed detaches the link with an error', async () => {
  const tags = Array.from({ length: 100 }, (_, i) => `tag-${i}-`.padEnd(16, 'x'));
  const { again, attach } = await taken(tags, { maxFrameSize: 512 });
  const answer = attach(new Map([[tags[0]!, undefined]]), true);
  assert.ok(answer?.type === 'attach' && answer.incompleteUnsettled === true && (answer.unsettled?.size ?? 0) > 0);
  again.send(frames.transfer(0, 'new', { deliveryTag: Buffer.from('new') }));
  assert.match(endsOf(again.words())[0] ?? '', /^detach 0 closed amqp:/);
});

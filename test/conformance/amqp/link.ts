// Links: names, handles, attach, detach, errors (2.6.1 to 2.6.6, 2.7.3, 2.7.7).

import assert from 'node:assert/strict';
import type { AmqpValue, Attach, Source } from '../../../src/protocols/amqp/codec/index.ts';
import { LivePeer } from '../../../src/protocols/amqp/testing/live-peer.ts';
import * as frames from '../../../src/protocols/amqp/testing/peer-frames.ts';
import { conforms } from './conforms.ts';
import { begun, endsOf, meet } from './scene.ts';

const { frame, senderAttach } = frames;
const nothing: AmqpValue = { type: 'null', value: null } as never;
const durable: Partial<Source> = { durable: 2, expiryPolicy: 'never' };
const receiverAttach = (more: Partial<Attach> = {}): Attach => ({
  type: 'attach',
  name: 'link',
  handle: 0,
  role: 'receiver',
  source: { type: 'source', address: 'a' },
  target: { type: 'target' },
  ...more,
});

conforms('2.6.1-1', 'links of the two directions may have the same name', async () => {
  const { peer } = await meet();
  peer.say(senderAttach({ handle: 0, name: 'same' }));
  peer.receiver(1, 'a', { name: 'same' });
  peer.publish(0, 'x');
  assert.deepEqual(peer.texts(), ['x']);
});

conforms(
  '2.6.1-2',
  'an attach of a name that is attached steals the link, on whatever connection or session, in both directions',
  async () => {
    const { test, peer } = await meet();
    peer.say(senderAttach({ name: 'sends' }), receiverAttach({ name: 'receives', handle: 1 }));
    peer.heard();
    const thief = new LivePeer(test);
    thief.say(senderAttach({ name: 'sends' }), receiverAttach({ name: 'receives', handle: 1 }));
    assert.deepEqual(endsOf(thief.words()), []);
    peer.send();
    assert.deepEqual(
      endsOf(peer.words()).map((each) => each.replace(/ \d+/, '')),
      ['detach closed amqp:link:stolen', 'detach closed amqp:link:stolen'],
    );
    // And within one session.
    thief.say(receiverAttach({ name: 'receives', handle: 7 }));
    assert.match(endsOf(thief.words())[0] ?? '', /amqp:link:stolen$/);
  },
);

conforms('2.6.1-3', 'the same name of another container is another link', async () => {
  const { test, peer } = await meet();
  peer.receiver(1, 'a', { name: 'same' });
  new LivePeer(test, 'other').receiver(1, 'a', { name: 'same' });
  peer.send();
  assert.deepEqual(endsOf(peer.words()), []);
});

conforms('2.6.2-1 2.7.3-2', 'each side has handles of its own; ours is the lowest that is free', async () => {
  const { peer } = await meet();
  const first = peer.receiver(70, 'a');
  const second = peer.receiver(3, 'b');
  assert.deepEqual([first.handle, second.handle], [0, 1]);
  peer.sender(200, 'b');
  peer.publish(200, 'x');
  const [transfer] = peer.transfers();
  assert.equal(transfer?.handle, 1);
  peer.detach(70, true);
  assert.deepEqual(peer.words(), ['detach 0 closed']);
  assert.equal(peer.receiver(5, 'c').handle, 0);
});

conforms('2.6.3-1 2.6.3-2', 'a terminus that is not to be had: an attach without it, and at once a detach with the reason', async () => {
  const { peer } = await meet();
  peer.say(senderAttach({ target: { type: 'target', address: 'a/#' } }));
  assert.deepEqual(peer.words(), ['attach 0 link no-source no-target', 'detach 0 closed amqp:invalid-field']);
  peer.say(receiverAttach({ handle: 1, source: { type: 'source', address: '$queue/' } }));
  const [attach, detach] = peer.heard();
  assert.ok(attach?.type === 'attach' && attach.source === undefined && attach.role === 'sender');
  assert.ok(detach?.type === 'detach' && detach.closed === true && detach.error !== undefined);
  // Both handles are the peer’s until it detaches.
  peer.say({ type: 'detach', handle: 0, closed: true }, { type: 'detach', handle: 1, closed: true });
  assert.deepEqual(peer.words(), []);
  peer.say(senderAttach());
  assert.deepEqual(peer.words(), ['attach 0 link', 'flow 0 count=0 credit=100']);
});

conforms('2.6.3-3', 'the answer tells the terminus as it is', async () => {
  const { peer } = await meet({ options: { maxLinkExpiryMs: 10_000 } });
  const source = { address: 'a', durable: 2, expiryPolicy: 'never', filter: new Map([['x', nothing]]) } as const;
  const answer = peer.receiver(1, source, { sndSettleMode: 1 });
  assert.deepEqual([answer.source?.expiryPolicy, answer.source?.timeout], ['link-detach', 10]);
  assert.equal(answer.source?.filter?.has('x') ?? false, false);
  peer.say(senderAttach({ target: { type: 'target', address: 'a', durable: 2, expiryPolicy: 'session-end', timeout: 60 } }));
  const sending = peer.heard().find((each) => each.type === 'attach');
  assert.ok(sending?.type === 'attach' && sending.target?.type === 'target');
  assert.deepEqual([sending.target.expiryPolicy, sending.target.timeout, sending.target.durable], ['link-detach', 10, 2]);
});

conforms('2.6.3-4', 'a terminus that keeps nothing is not told to be durable', async () => {
  const { peer } = await meet();
  const answer = peer.receiver(1, { address: 'a', durable: 2 });
  assert.deepEqual([answer.source?.durable, answer.source?.timeout], [0, 0]);
  peer.say(senderAttach({ target: { type: 'target', address: 'a', durable: 2 } }));
  const sending = peer.heard().find((each) => each.type === 'attach');
  assert.ok(sending?.type === 'attach' && sending.target?.type === 'target');
  assert.deepEqual([sending.target.durable ?? 0, sending.target.timeout ?? 0], [0, 0]);
});

conforms('2.6.3-5', 'a link that is resumed without source finds its own', async () => {
  const { test, peer } = await meet();
  peer.receiver(1, { address: 'a', ...durable }, { name: 'sub' });
  peer.lose();
  const again = new LivePeer(test);
  assert.equal(again.receiver(1, undefined, { name: 'sub' }).source?.address, 'a');
  assert.equal(again.receiver(2, undefined, { name: 'unknown' }, 0).source, undefined);
});

conforms('2.6.3-6', 'the attach of a terminus that was there tells what it has unsettled', async () => {
  const { test, peer } = await meet();
  peer.receiver(1, { address: 'a', ...durable }, { name: 'sub' });
  peer.sender(0, 'a');
  peer.publish(0, 'x');
  assert.equal(peer.transfers().length, 1);
  peer.lose();
  const answer = new LivePeer(test).receiver(1, { address: 'a', ...durable }, { name: 'sub', unsettled: new Map() });
  assert.equal(answer.unsettled?.size, 1);
});

conforms(
  '2.6.4-1 2.6.6-1 2.7.7-1',
  'a detach is answered with detach, a closing one with a closing one; the handle is free then',
  async () => {
    for (const closed of [false, true]) {
      const { peer } = await meet();
      for (let i = 0; i < 3; i++) {
        peer.receiver(4, 'a', { name: `r${i}` });
        peer.heard();
        peer.detach(4, closed);
        assert.deepEqual(peer.words(), [closed ? 'detach 0 closed' : 'detach 0']);
      }
    }
  },
);

conforms('2.6.4-2', 'a link is detached and attached again within its session', async () => {
  const { peer } = await meet();
  peer.receiver(1, { address: 'a', ...durable }, { name: 'sub' });
  peer.sender(0, 'a');
  peer.detach(1, false);
  peer.publish(0, 'meanwhile');
  peer.receiver(5, { address: 'a', ...durable }, { name: 'sub' });
  assert.deepEqual(peer.texts(), ['meanwhile']);
});

conforms('2.6.4-3', 'both sides may detach at once: neither detach is answered', async () => {
  const { peer } = await meet();
  peer.sender(0, 'a');
  const wrong = frame(0, { type: 'transfer', handle: 0, deliveryId: 0 });
  peer.send(wrong, frame(0, { type: 'detach', handle: 0, closed: true }));
  assert.deepEqual(peer.words(), ['detach 0 closed amqp:invalid-field']);
  peer.sender(0, 'a', { name: 'next' });
});

conforms('2.6.4-4', 'nothing more is sent on a handle that was detached, of deliveries that wait for the window neither', async () => {
  const flow = { type: 'flow', nextIncomingId: 2, incomingWindow: 1000, nextOutgoingId: 0, outgoingWindow: 1000 } as const;
  for (const how of ['peer', 'stolen'] as const) {
    const { test, peer } = await meet({ maxFrameSize: 512, window: 2 });
    peer.receiver(1, 'a', { name: 'r' }, 0);
    peer.receiver(2, 'b', { name: 'other' }, 0);
    for (const handle of [1, 2]) {
      peer.say({ ...flow, nextIncomingId: 0, incomingWindow: 2, handle, deliveryCount: 0, linkCredit: 10 });
    }
    peer.sender(0, 'a');
    peer.sender(3, 'b');
    peer.publish(0, 'x'.repeat(3000));
    peer.publish(3, 'for the other link');
    assert.equal(peer.transfers().length, 2);
    if (how === 'peer') peer.detach(1, false);
    else new LivePeer(test).receiver(1, 'a', { name: 'r' });
    peer.send();
    assert.equal(endsOf(peer.words()).length, 1);
    peer.say(flow);
    assert.deepEqual(
      peer.transfers().map(({ handle }) => handle),
      [1],
    );
  }
});

conforms('2.6.5-1', 'an error of a link detaches it with the reason, and touches no other link', async () => {
  const { peer } = await meet();
  peer.sender(0, 'a');
  peer.sender(1, 'a', { name: 'other' });
  peer.send(frame(0, { type: 'transfer', handle: 0, deliveryId: 0 }));
  assert.match(peer.words()[0] ?? '', /^detach 0 closed amqp:/);
  peer.send(frames.transfer(0, 'x', { handle: 1 }));
  assert.deepEqual(peer.words(), ['receiver 0 settled accepted']);
});

conforms('2.7.3-1', 'an attach on a handle in use ends the session', async () => {
  const { send } = await begun();
  send(frame(0, senderAttach()));
  assert.deepEqual(send(frame(0, senderAttach({ name: 'other' }))), ['end amqp:session:handle-in-use']);
});

conforms('2.7.3-3', 'the settle modes that a sender of ours uses are told, and they are the ones that were asked for', async () => {
  for (const sndSettleMode of [0, 1, 2] as const) {
    const { peer } = await meet();
    const answer = peer.receiver(1, 'a', { sndSettleMode });
    assert.equal(answer.sndSettleMode ?? 2, sndSettleMode);
    peer.sender(0, 'a');
    peer.publish(0, 'unsettled');
    peer.publish(0, 'settled', true);
    const settled = peer.transfers().map((each) => each.settled === true);
    assert.deepEqual(
      settled,
      [
        [false, false],
        [true, true],
        [false, true],
      ][sndSettleMode],
    );
  }
});

conforms('2.7.3-4', 'a sender without initial-delivery-count is refused', async () => {
  const { send } = await begun();
  assert.deepEqual(send(frame(0, senderAttach({ initialDeliveryCount: undefined }))), ['end amqp:invalid-field']);
});

conforms('2.7.3-5', 'our attach as a sender has an initial-delivery-count, also where it refuses', async () => {
  const { peer } = await meet();
  assert.equal(peer.receiver(1, 'a').initialDeliveryCount, 0);
  assert.equal(peer.receiver(2, '$queue/', {}, 0).initialDeliveryCount, 0);
});

conforms('2.7.3-6 2.8.18-1', 'a message above the max-message-size that was told detaches the link', async () => {
  const { peer } = await meet({ options: { maxMessageBytes: 1000 } });
  peer.say(senderAttach());
  const attach = peer.heard().find((each) => each.type === 'attach');
  assert.equal(attach?.type === 'attach' && attach.maxMessageSize, 1000n);
  peer.publish(0, 'x'.repeat(990));
  assert.deepEqual(peer.words(), ['receiver 0 settled accepted']);
  peer.publish(0, 'x'.repeat(1000));
  assert.deepEqual(peer.words(), ['detach 0 closed amqp:link:message-size-exceeded']);
});

conforms('2.7.3-7', 'nothing above the max-message-size of a receiving peer is sent to it; 0 is no limit', async () => {
  const { peer } = await meet();
  peer.receiver(1, 'a', { maxMessageSize: 100n });
  peer.receiver(2, 'a', { maxMessageSize: 0n });
  peer.sender(0, 'a');
  peer.publish(0, 'x'.repeat(200));
  peer.publish(0, 'short');
  assert.deepEqual(
    peer.transfers().map(({ handle }) => handle),
    [1, 0, 1],
  );
});

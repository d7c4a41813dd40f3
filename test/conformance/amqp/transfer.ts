// Deliveries and what becomes of them (2.6.11, 2.6.12, 2.6.14, 2.7.5, 2.7.6).

import assert from 'node:assert/strict';
import { acceptedState, releasedState, type Attach, type Performative } from '../../../src/protocols/amqp/codec/index.ts';
import type { LivePeer } from '../../../src/protocols/amqp/testing/live-peer.ts';
import * as frames from '../../../src/protocols/amqp/testing/peer-frames.ts';
import { conforms } from './conforms.ts';
import { begun, endsOf, latin1, meet, rawFrame } from './scene.ts';

const { frame, dataMessage, transfer } = frames;

/** One who sends on handle 0 and receives all of it on handle 1. */
async function both(attach: Partial<Attach> = {}, more: Parameters<typeof meet>[0] = {}): Promise<LivePeer> {
  const { peer } = await meet(more);
  peer.receiver(1, 'a', { sndSettleMode: 1 });
  peer.sender(0, 'a', attach);
  return peer;
}

/** A frame of a delivery, with a part of a message. */
function part(text: string, more: Partial<Extract<Performative, { type: 'transfer' }>> = {}): Uint8Array {
  return frame(0, { type: 'transfer', handle: 0, ...more }, Buffer.from(text, 'latin1'));
}

const whole = latin1(dataMessage('abcdef'));
const first = { deliveryId: 0, deliveryTag: Buffer.from('t'), messageFormat: 0, more: true };
const dispositionsOf = (words: readonly string[]): string[] => words.filter((each) => each.startsWith('receiver'));

conforms(
  '2.6.12-1',
  'each delivery of ours has a tag of its own and a delivery-id, which count on over all links of the session',
  async () => {
    const { peer } = await meet();
    peer.receiver(1, 'a');
    peer.receiver(2, 'a');
    peer.sender(0, 'a');
    for (let i = 0; i < 3; i++) peer.publish(0, `m${i}`);
    const heard = peer.transfers();
    assert.deepEqual(
      heard.map(({ deliveryId }) => deliveryId),
      [0, 1, 2, 3, 4, 5],
    );
    for (const handle of [0, 1]) {
      const tags = heard.filter((each) => each.handle === handle).map(({ deliveryTag }) => latin1(deliveryTag));
      assert.equal(new Set(tags).size, 3);
      assert.ok(tags.every((tag) => tag.length > 0 && tag.length <= 32));
    }
  },
);

conforms('2.6.12-2 2.8.3-1', 'settled first: the answer settles; second: it does not until the peer has settled', async () => {
  const peer = await both();
  peer.publish(0, 'x');
  assert.deepEqual(dispositionsOf(peer.words()), ['receiver 0 settled accepted']);
  const second = await both({ rcvSettleMode: 1 });
  second.publish(0, 'x');
  assert.deepEqual(dispositionsOf(second.words()), ['receiver 0 accepted']);
  second.say({ type: 'disposition', role: 'sender', first: 0, settled: true, state: acceptedState });
  assert.deepEqual(second.words(), []);
});

conforms('2.6.12-3', 'what was sent settled is not answered', async () => {
  const peer = await both();
  peer.publish(0, 'x', true);
  assert.deepEqual(dispositionsOf(peer.words()), []);
});

conforms('2.6.12-4', 'a sender of ours settles when the receiver has reached an outcome, and says the outcome', async () => {
  const { peer } = await meet();
  peer.receiver(1, '$queue/q');
  peer.sender(0, 'queue:q');
  peer.publish(0, 'x');
  peer.publish(0, 'y');
  peer.heard();
  peer.settle(0, acceptedState, false);
  assert.deepEqual(peer.words(), ['sender 0 settled accepted']);
  peer.settle(1, releasedState, false);
  assert.ok(peer.words().includes('sender 1 settled released'));
});

conforms('2.6.12-5', 'what the receiver has settled is not spoken of again', async () => {
  const { peer } = await meet();
  peer.receiver(1, '$queue/q');
  peer.sender(0, 'queue:q');
  peer.publish(0, 'x');
  peer.heard();
  peer.settle(0, acceptedState);
  peer.settle(0, acceptedState, false);
  assert.deepEqual(peer.words(), []);
});

conforms('2.6.14-1 2.7.5-1', 'a delivery in several frames, whose later ones leave out or repeat what the first says', async () => {
  const { deliveryId, deliveryTag, messageFormat } = first;
  for (const more of [{}, { deliveryId }, { deliveryTag }, { messageFormat }, { deliveryId, deliveryTag, messageFormat }]) {
    const peer = await both();
    peer.send(part(whole.slice(0, 3), first), part(whole.slice(3, 5), { ...more, more: true }), part(whole.slice(5), more));
    const heard = peer.heard();
    const got = heard.find((each) => each.type === 'transfer');
    assert.ok(got !== undefined && 'message' in got && got.message.includes('abcdef'));
    assert.equal(heard.filter((each) => each.type === 'disposition').length, 1);
  }
});

conforms('2.7.5-2', 'a later frame of another delivery-id, tag or message-format is an error', async () => {
  for (const wrong of [{ deliveryId: 1 }, { deliveryTag: Buffer.from('u') }, { messageFormat: 1 }]) {
    const peer = await both();
    peer.send(part(whole.slice(0, 3), first), part(whole.slice(3), wrong));
    assert.match(endsOf(peer.words())[0] ?? '', /^detach 1 closed amqp:/);
  }
});

conforms('2.7.5-3', 'the first frame has delivery-id and tag', async () => {
  for (const wrong of [{ deliveryId: undefined }, { deliveryTag: undefined }]) {
    const peer = await both();
    peer.send(part(whole, { ...first, more: false, ...wrong }));
    assert.match(endsOf(peer.words())[0] ?? '', /^detach 1 closed amqp:/);
  }
});

conforms('2.6.14-2', 'deliveries of other links may come between its frames', async () => {
  const peer = await both();
  peer.sender(2, 'b');
  peer.send(part(whole.slice(0, 3), first), transfer(1, 'between', { handle: 2 }), part(whole.slice(3)));
  assert.deepEqual(peer.texts(), ['abcdef']);
});

conforms('2.6.14-3 2.7.5-4', 'an aborted delivery is discarded and settled, whatever `more` says; the next one is whole', async () => {
  for (const more of [false, true]) {
    const peer = await both();
    peer.send(part(whole.slice(0, 3), first), part('what is in here is ignored', { aborted: true, more }));
    peer.send(part(whole, { ...first, deliveryId: 1, more: false }));
    const heard = peer.heard();
    assert.equal(heard.filter((each) => each.type === 'transfer').length, 1);
    assert.deepEqual(
      heard.flatMap((each) => (each.type === 'disposition' ? [each.first] : [])),
      [1],
    );
  }
});

conforms(
  '2.6.14-4',
  'ours are cut where they do not fit, with `more` on all frames but the last, and never one within another',
  async () => {
    const { peer } = await meet({ maxFrameSize: 512 });
    peer.receiver(1, 'a');
    peer.sender(0, 'a');
    peer.publish(0, 'x'.repeat(1200));
    peer.publish(0, 'y'.repeat(1200));
    const heard = peer.transfers();
    const starts = heard.flatMap((each, i) => (each.deliveryTag === undefined ? [] : [i]));
    assert.equal(starts.length, 2);
    heard.forEach((each, i) => assert.equal(each.more === true, i + 1 !== starts[1] && i + 1 !== heard.length));
  },
);

conforms('2.7.5-5', 'settled is false if the first frame leaves it out, and stays true once a frame has said it', async () => {
  const peer = await both();
  peer.send(part(whole.slice(0, 2), first), part(whole.slice(2, 4), { settled: true, more: true }), part(whole.slice(4)));
  assert.deepEqual(dispositionsOf(peer.words()), []);
  peer.send(part(whole.slice(0, 2), { ...first, deliveryId: 1 }), part(whole.slice(2)));
  assert.deepEqual(dispositionsOf(peer.words()), ['receiver 1 settled accepted']);
});

conforms('2.7.5-6', 'rcv-settle-mode of a delivery: first settles at once; second is illegal where the link says first', async () => {
  const second = await both({ rcvSettleMode: 1 });
  second.send(part(whole, { ...first, more: false, rcvSettleMode: 0 }));
  assert.deepEqual(dispositionsOf(second.words()), ['receiver 0 settled accepted']);
  const peer = await both();
  peer.send(part(whole, { ...first, more: false, rcvSettleMode: 1 }));
  assert.match(endsOf(peer.words())[0] ?? '', /^detach 1 closed amqp:/);
});

conforms('2.7.5-7', 'rcv-settle-mode of a delivery that is sent settled is ignored', async () => {
  const peer = await both();
  peer.send(part(whole, { ...first, more: false, rcvSettleMode: 1, settled: true }));
  peer.send(part(whole.slice(0, 3), { ...first, deliveryId: 1, rcvSettleMode: 1 }), part(whole.slice(3), { settled: true }));
  assert.equal(peer.texts().length, 2);
});

conforms('2.7.5-8', 'a resumed delivery that is not known is ignored', async () => {
  for (const rcvSettleMode of [0, 1] as const) {
    const peer = await both({ rcvSettleMode });
    peer.send(part(whole, { ...first, more: false, resume: true }));
    peer.send(part(whole.slice(0, 3), { ...first, deliveryId: 1, resume: true }), part(whole.slice(3), { resume: true }));
    assert.deepEqual(peer.words(), []);
  }
});

conforms('2.7.5-9', 'frames of ours keep what the negotiated snd-settle-mode promises, on each frame', async () => {
  for (const sndSettleMode of [0, 1] as const) {
    const { peer } = await meet({ maxFrameSize: 512 });
    peer.receiver(1, 'a', { sndSettleMode });
    peer.sender(0, 'a');
    peer.publish(0, 'x'.repeat(1500));
    const settled = peer.transfers().map((each) => each.settled === true);
    assert.ok(sndSettleMode === 0 ? !settled.includes(true) : settled.includes(true));
  }
});

conforms('2.8.7-1', 'a delivery-tag has 32 bytes at most', async () => {
  const peer = await both();
  peer.send(part(whole, { ...first, more: false, deliveryTag: Buffer.alloc(32, 'x') }));
  assert.deepEqual(dispositionsOf(peer.words()), ['receiver 0 settled accepted']);
  const { send } = await begun();
  send(frame(0, frames.senderAttach()));
  assert.match(send(part(whole, { ...first, more: false, deliveryTag: Buffer.alloc(33, 'x') }))[0] ?? '', /^close amqp:/);
});

conforms(
  '2.7.6-1',
  'a disposition holds for all of its range, over all links of its direction; `last` is `first` where it is left out',
  async () => {
    const { peer } = await meet();
    peer.receiver(1, '$queue/q');
    peer.receiver(2, '$queue/r');
    peer.sender(0, 'queue:q');
    peer.sender(3, 'queue:r');
    for (let i = 0; i < 3; i++) {
      peer.publish(0, 'q');
      peer.publish(3, 'r');
    }
    peer.heard();
    peer.settle(0, acceptedState, false, 4);
    assert.deepEqual(peer.words(), ['sender 0-4 settled accepted']);
    peer.settle(5, acceptedState, false);
    assert.deepEqual(peer.words(), ['sender 5 settled accepted']);
  },
);

conforms('2.7.6-2', 'the role says whose deliveries are meant: of two with the same id only one', async () => {
  const { peer } = await meet();
  peer.receiver(1, '$queue/q');
  peer.sender(0, 'queue:q', { rcvSettleMode: 1 });
  peer.publish(0, 'x');
  peer.heard();
  // Delivery 0 in both directions. The sender’s part does not settle what we have sent.
  peer.say({ type: 'disposition', role: 'sender', first: 0, settled: true, state: acceptedState });
  assert.deepEqual(peer.words(), []);
  peer.settle(0, acceptedState, false);
  assert.deepEqual(peer.words(), ['sender 0 settled accepted']);
});

conforms('2.7.6-3', 'a range may pass the end of the numbers; ids that are not outstanding do not matter', async () => {
  const peer = await both({ rcvSettleMode: 1 });
  for (const deliveryId of [0xffff_ffff, 0, 1])
    peer.send(part(whole, { ...first, more: false, deliveryId, deliveryTag: Buffer.from(`${deliveryId}`) }));
  assert.deepEqual(dispositionsOf(peer.words()).length > 0, true);
  peer.say({ type: 'disposition', role: 'sender', first: 0xffff_fff0, last: 5, settled: true, state: acceptedState });
  assert.deepEqual(peer.words(), []);
  peer.detach(0, false);
  peer.heard();
});

conforms('2.7.6-4', 'without state and without settlement a disposition says nothing', async () => {
  const { peer } = await meet();
  peer.receiver(1, '$queue/q');
  peer.sender(0, 'queue:q');
  peer.publish(0, 'x');
  peer.heard();
  peer.say({ type: 'disposition', role: 'receiver', first: 0 });
  peer.settle(0, { type: 'received', sectionNumber: 0, sectionOffset: 3n }, false);
  assert.deepEqual(peer.words(), []);
  peer.settle(0, acceptedState, false);
  assert.deepEqual(peer.words(), ['sender 0 settled accepted']);
});

conforms('2.7.6-5', 'an answer is never lost because it does not fit into the peer’s frames: what can be left out is', async () => {
  const { peer } = await meet({ maxFrameSize: 512 });
  peer.receiver(1, '$queue/q');
  peer.sender(0, 'queue:q');
  const messageAnnotations = new Map([['x-opt-long', { type: 'string', value: 'x'.repeat(2000) } as const]]);
  const error = { type: 'error', condition: 'com.example:bad', description: 'x'.repeat(2000) } as const;
  peer.publish(0, 'x');
  peer.heard();
  peer.settle(0, { type: 'modified', messageAnnotations }, false);
  assert.ok(peer.words().includes('sender 0 settled modified'));
  // It came again, larger: now it is refused.
  peer.settle(1, { type: 'rejected', error }, false);
  assert.match(peer.words()[0] ?? '', /^sender 1 settled rejected/);
});

conforms('2.7.6-6', 'a disposition of the sender holds for a delivery that is not whole yet', async () => {
  for (const rcvSettleMode of [0, 1] as const) {
    const peer = await both({ rcvSettleMode });
    peer.send(part(whole.slice(0, 3), first));
    peer.say({ type: 'disposition', role: 'sender', first: 0, settled: true });
    peer.send(part(whole.slice(3)));
    const words = peer.words();
    assert.deepEqual(dispositionsOf(words), []);
    peer.send(part(whole, { ...first, deliveryId: 1, more: false }));
    assert.match(dispositionsOf(peer.words()).at(-1) ?? '', /accepted/);
  }
});

conforms('1.4-1', 'a mandatory field that is missing or null, and one of another type, end the connection', async () => {
  const wrong = [
    [0, 0x53, 0x14, 0xc0, 0x03, 0x02, 0x40, 0x43],
    [0, 0x53, 0x14, 0x45],
    [0, 0x53, 0x15, 0xc0, 0x03, 0x02, 0x41, 0x40],
    [0, 0x53, 0x13, 0xc0, 0x03, 0x02, 0x43, 0x40],
    [0, 0x53, 0x16, 0xc0, 0x03, 0x01, 0x50, 0x01],
    [0, 0x53, 0x12, 0xc0, 0x05, 0x03, 0xa1, 0x01, 0x61, 0x43],
  ];
  for (const body of wrong) {
    const { send } = await begun();
    assert.match(send(rawFrame(body))[0] ?? '', /^close amqp:(decode-error|invalid-field)/);
  }
});

conforms('1.4-2', 'fields at the end may be left out or be null', async () => {
  const { send } = await begun();
  const attach = [
    0xa1, 4, 0x6c, 0x69, 0x6e, 0x6b, 0x43, 0x42, 0x40, 0x40, 0x40, 0, 0x53, 0x29, 0xc0, 4, 1, 0xa1, 1, 0x61, 0x40, 0x40, 0x43,
  ];
  assert.deepEqual(send(rawFrame([0, 0x53, 0x12, 0xc0, attach.length + 1, 10, ...attach])), [
    'attach 0 link no-source',
    'flow 0 count=0 credit=100',
  ]);
});

conforms('1.3-1', 'performatives may be described by their symbols, and their lists and numbers be of any width', async () => {
  const { send } = await begun();
  const name = [...Buffer.from('amqp:end:list')];
  assert.deepEqual(send(rawFrame([0, 0xa3, name.length, ...name, 0xd0, 0, 0, 0, 4, 0, 0, 0, 0])), ['end']);
  const next = await begun();
  assert.deepEqual(next.send(rawFrame([0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x17, 0xc0, 2, 1, 0x40])), ['end']);
});

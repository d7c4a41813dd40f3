import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Performative } from './codec/index.ts';
import { Dialogue } from './testing/dialogue.ts';
import { begin, frame, senderAttach, transfer } from './testing/peer-frames.ts';

/** The peer's next-outgoing-id near its end, to see it wrap. */
const nearEnd = 0xffff_fffe;

test('a session ends on both sides, and its channel is free again', () => {
  const dialogue = Dialogue.sending();
  dialogue.say(0, { type: 'end' });
  assert.deepEqual(dialogue.heard(), ['end']);
  assert.deepEqual(dialogue.asked(), ['detach $amqp/peer/in/link']);
  assert.equal(dialogue.server.counters.sessions, 0);
  dialogue.say(0, begin);
  assert.deepEqual(dialogue.heard(), ['begin']);
  assert.equal(dialogue.server.counters.sessions, 1);
});

test('sessions of one connection have channels of their own', () => {
  const dialogue = Dialogue.opened();
  dialogue.send(frame(7, begin), frame(3, begin));
  const begins = dialogue.frames();
  assert.deepEqual(
    begins.map((one) => one.type === 'begin' && [one.channel, one.remoteChannel]),
    [
      [0, 7],
      [1, 3],
    ],
  );
  dialogue.say(3, senderAttach());
  const [attach] = dialogue.frames();
  assert.ok(attach?.type === 'attach' && attach.channel === 1);
});

test('a peer with a small channel-max or handle-max is not given more', () => {
  const channels = Dialogue.opened({ open: { channelMax: 0 } });
  channels.send(frame(0, begin), frame(1, begin));
  assert.deepEqual(channels.heard(), ['begin', 'close amqp:resource-limit-exceeded', 'closed']);
  const handles = Dialogue.opened();
  handles.send(frame(0, { ...begin, handleMax: 0 }), frame(0, senderAttach()), frame(0, senderAttach({ name: 'other', handle: 1 })));
  assert.deepEqual(handles.heard(), ['begin', 'attach 0 link', 'flow 0 count=0 credit=100', 'end amqp:resource-limit-exceeded']);
});

test('what breaks the rules of a session ends it, and only it', () => {
  const flow = { type: 'flow', incomingWindow: 10, nextOutgoingId: 0, outgoingWindow: 10, nextIncomingId: 0 } as const;
  const cases: readonly (readonly [string, Performative | Uint8Array])[] = [
    ['amqp:session:handle-in-use', senderAttach({ name: 'other' })],
    ['amqp:session:unattached-handle', { type: 'detach', handle: 9 }],
    ['amqp:session:unattached-handle', { ...flow, handle: 9 }],
    ['amqp:session:unattached-handle', transfer(0, 'x', { handle: 9 })],
    ['amqp:invalid-field', { ...flow, nextIncomingId: 5 }],
    ['amqp:invalid-field', { type: 'disposition', role: 'receiver', first: 5, last: 4 }],
    ['amqp:invalid-field', senderAttach({ handle: 1, initialDeliveryCount: undefined })],
  ];
  for (const [condition, performative] of cases) {
    const dialogue = Dialogue.sending();
    dialogue.send(performative instanceof Uint8Array ? performative : frame(0, performative));
    assert.deepEqual(dialogue.heard(), [`end ${condition}`]);
    assert.deepEqual(dialogue.asked(), ['detach $amqp/peer/in/link']);
    // What was on its way is ignored until the peer's end.
    dialogue.send(
      transfer(0, 'x'),
      frame(0, senderAttach()),
      frame(0, { type: 'flow', incomingWindow: 1, nextOutgoingId: 0, outgoingWindow: 1 }),
    );
    assert.deepEqual(dialogue.heard(), []);
    assert.deepEqual(dialogue.asked(), []);
    dialogue.send(frame(0, { type: 'end' }), frame(0, begin), frame(0, senderAttach()));
    assert.deepEqual(dialogue.heard(), ['begin', 'attach 0 link', 'flow 0 count=0 credit=100']);
  }
});

test('a begin before the end of an ended session, and an attach above the handles, end the connection', () => {
  const dialogue = Dialogue.begun();
  dialogue.say(0, { type: 'detach', handle: 9 });
  dialogue.say(0, begin);
  assert.deepEqual(dialogue.heard(), ['end amqp:session:unattached-handle', 'close amqp:illegal-state', 'closed']);
});

test('the window is renewed in time, and more than it allows ends the session', () => {
  const dialogue = Dialogue.begun({ options: { incomingWindow: 10, linkCredit: 1000, maxUnsettledPerLink: 1000 } });
  dialogue.send(frame(0, senderAttach()));
  dialogue.heard();
  for (let id = 0; id < 5; id++) dialogue.send(transfer(id, 'x', { settled: true }));
  const flows = dialogue.frames();
  assert.equal(flows.length, 1);
  const [flow] = flows;
  assert.ok(flow?.type === 'flow');
  assert.deepEqual([flow.nextIncomingId, flow.incomingWindow, flow.handle], [5, 10, undefined]);

  const greedy = Dialogue.begun({ options: { incomingWindow: 10, linkCredit: 1000, maxUnsettledPerLink: 1000 } });
  greedy.send(frame(0, senderAttach()));
  greedy.heard();
  const many = Array.from({ length: 11 }, (_, id) => transfer(id, 'x', { settled: true }));
  greedy.send(...many);
  assert.deepEqual(greedy.heard(), ['end amqp:session:window-violation']);
  const just = Dialogue.begun({ options: { incomingWindow: 10, linkCredit: 1000, maxUnsettledPerLink: 1000 } });
  just.send(frame(0, senderAttach()));
  just.heard();
  just.send(...many.slice(0, 10));
  assert.deepEqual(just.heard(), ['flow']);
});

test('transfer-ids wrap', () => {
  const dialogue = Dialogue.opened({ options: { incomingWindow: 4, linkCredit: 1000, maxUnsettledPerLink: 1000 } });
  dialogue.send(frame(0, { ...begin, nextOutgoingId: nearEnd }), frame(0, senderAttach({ initialDeliveryCount: nearEnd })));
  dialogue.heard();
  for (let i = 0; i < 4; i++) dialogue.send(transfer((nearEnd + i) >>> 0, 'x', { settled: true }));
  const flows = dialogue.frames();
  assert.deepEqual(
    flows.map((one) => one.type === 'flow' && one.nextIncomingId),
    [0, 2],
  );
});

test('a flow with echo is answered, one without is not', () => {
  const dialogue = Dialogue.begun();
  const flow = { type: 'flow', nextIncomingId: 0, incomingWindow: 5, nextOutgoingId: 0, outgoingWindow: 5 } as const;
  dialogue.say(0, flow);
  assert.deepEqual(dialogue.heard(), []);
  dialogue.say(0, { ...flow, echo: true });
  assert.deepEqual(dialogue.heard(), ['flow']);
  dialogue.send(frame(0, senderAttach()));
  dialogue.heard();
  dialogue.say(0, { ...flow, handle: 0, echo: true });
  assert.deepEqual(dialogue.heard(), ['flow 0 count=0 credit=100']);
});

test('dispositions for what is not outstanding are counted', () => {
  const dialogue = Dialogue.sending();
  dialogue.say(0, { type: 'disposition', role: 'receiver', first: 0, last: 0xffff_ffff >>> 1, settled: true });
  assert.deepEqual(dialogue.heard(), []);
  assert.equal(dialogue.server.counters.strayDispositions, 1);
});

test('there are no more links than may be', () => {
  const dialogue = Dialogue.begun({ options: { maxLinks: 1 } });
  dialogue.send(frame(0, senderAttach()), frame(0, senderAttach({ name: 'other', handle: 1 })));
  assert.deepEqual(dialogue.heard(), [
    'attach 0 link',
    'flow 0 count=0 credit=100',
    'attach 1 other no-source no-target',
    'detach 1 closed amqp:resource-limit-exceeded',
  ]);
  dialogue.send(frame(0, { type: 'detach', handle: 1, closed: true }), frame(0, { type: 'detach', handle: 0, closed: true }));
  assert.deepEqual(dialogue.heard(), ['detach 0 closed']);
  dialogue.send(frame(0, senderAttach({ name: 'other', handle: 1 })));
  assert.deepEqual(dialogue.heard(), ['attach 0 other', 'flow 0 count=0 credit=100']);
});

test('a link name that is empty or too long is refused', () => {
  for (const name of ['', 'x'.repeat(1025)]) {
    const dialogue = Dialogue.begun();
    dialogue.send(frame(0, senderAttach({ name })));
    assert.equal(dialogue.heard().at(-1), 'detach 0 closed amqp:invalid-field');
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outcome } from '../../broker/port.ts';
import { acceptedState, type Attach, encodeValue, type Performative, type Target } from './codec/index.ts';
import { Dialogue } from './testing/dialogue.ts';
import { dataMessage, frame, senderAttach, transfer } from './testing/peer-frames.ts';

const second = { rcvSettleMode: 1 } as const;

/** A message with properties.to. */
function messageTo(to: string, text: string): Uint8Array {
  const properties = encodeValue({
    type: 'described',
    descriptor: { type: 'ulong', value: 0x73n },
    value: {
      type: 'list',
      value: [
        { type: 'null', value: null },
        { type: 'null', value: null },
        { type: 'string', value: to },
      ],
    },
  });
  return new Uint8Array(Buffer.concat([properties, dataMessage(text)]));
}

/** The annotation x-opt-retain in front. */
function retained(text: string): Uint8Array {
  const annotations = encodeValue({
    type: 'described',
    descriptor: { type: 'ulong', value: 0x72n },
    value: {
      type: 'map',
      value: [
        [
          { type: 'symbol', value: 'x-opt-retain' },
          { type: 'boolean', value: true },
        ],
      ],
    },
  });
  return new Uint8Array(Buffer.concat([annotations, dataMessage(text)]));
}

function delivery(deliveryId: number, message: Uint8Array, more: object = {}): Uint8Array {
  return frame(0, { type: 'transfer', handle: 0, deliveryId, deliveryTag: Buffer.from(`t${deliveryId}`), ...more }, message);
}

const flow = (more: object): Performative =>
  ({ type: 'flow', nextIncomingId: 0, incomingWindow: 1000, nextOutgoingId: 0, outgoingWindow: 1000, ...more }) as Performative;

test('deliveries are published, and accepted in runs at the end of the turn', () => {
  const dialogue = Dialogue.sending();
  dialogue.send(transfer(0, 'zero', { settled: true }), transfer(1, 'one'), transfer(2, 'two'), transfer(3, 'three'));
  assert.deepEqual(dialogue.asked(), [
    'address a',
    'publish q0 a "zero"',
    'publish q1 a "one" token=1',
    'publish q1 a "two" token=2',
    'publish q1 a "three" token=3',
  ]);
  assert.deepEqual(dialogue.heard(), ['receiver 1-3 settled accepted']);
  const [message] = dialogue.session.messages;
  assert.equal(message!.sender, 'p');
  assert.equal(message!.priority, 4);
});

test('what is pending is accepted when the broker says so, whatever the order', () => {
  const dialogue = Dialogue.sending();
  dialogue.session.script.publish = Outcome.pending;
  dialogue.send(transfer(0, 'a'), transfer(1, 'b'), transfer(2, 'c'), transfer(3, 'd'));
  assert.deepEqual(dialogue.heard(), []);
  dialogue.fromBroker(({ consumer }) => {
    consumer.published(2, Outcome.accepted);
    consumer.published(0, Outcome.accepted);
    consumer.published(1, Outcome.noSubscribers);
    consumer.published(3, Outcome.unavailable);
  });
  assert.deepEqual(dialogue.heard(), ['receiver 2 settled accepted', 'receiver 0-1 settled accepted', 'receiver 3 settled released']);
});

test('every outcome has its words', () => {
  const words = (outcome: Outcome): string => {
    const dialogue = Dialogue.sending();
    dialogue.session.script.publish = outcome;
    dialogue.send(transfer(0, 'a'));
    const settledToo = Dialogue.sending();
    settledToo.session.script.publish = outcome;
    settledToo.send(transfer(0, 'a', { settled: true }));
    assert.deepEqual(settledToo.heard(), []);
    assert.equal(settledToo.server.counters.publishesDropped, outcome > Outcome.pending ? 1 : 0);
    return dialogue.heard().join();
  };
  assert.equal(words(Outcome.accepted), 'receiver 0 settled accepted');
  assert.equal(words(Outcome.noSubscribers), 'receiver 0 settled accepted');
  assert.equal(words(Outcome.notAuthorized), 'receiver 0 settled rejected amqp:unauthorized-access');
  assert.equal(words(Outcome.topicInvalid), 'receiver 0 settled rejected amqp:invalid-field');
  assert.equal(words(Outcome.payloadFormatInvalid), 'receiver 0 settled rejected amqp:decode-error');
  assert.equal(words(Outcome.tooLarge), 'receiver 0 settled rejected amqp:link:message-size-exceeded');
  assert.equal(words(Outcome.quotaExceeded), 'receiver 0 settled rejected amqp:resource-limit-exceeded');
  assert.equal(words(Outcome.unavailable), 'receiver 0 settled released');
});

test('a target that may not be used is refused in the way of the specification', () => {
  const refused = (target: Attach['target']): string[] => {
    const dialogue = Dialogue.begun();
    dialogue.send(frame(0, senderAttach({ target })));
    const heard = dialogue.heard();
    // Until the peer has detached, too, what it sends on the handle is ignored.
    dialogue.send(transfer(0, 'x'), frame(0, flow({ handle: 0 })), frame(0, { type: 'detach', handle: 0, closed: true }));
    assert.deepEqual(dialogue.heard(), []);
    dialogue.send(frame(0, senderAttach()));
    assert.equal(dialogue.heard()[0], 'attach 0 link');
    return heard;
  };
  const start = 'attach 0 link no-source no-target';
  assert.deepEqual(refused({ type: 'target', address: 'forbidden/x' }), [start, 'detach 0 closed amqp:unauthorized-access']);
  assert.deepEqual(refused({ type: 'target', address: 'a/+' }), [start, 'detach 0 closed amqp:invalid-field']);
  assert.deepEqual(refused(undefined), [start, 'detach 0 closed amqp:invalid-field']);
});

test('a link whose broker session cannot be opened is refused', () => {
  const dialogue = Dialogue.begun();
  dialogue.broker.attachAnswer = Outcome.quotaExceeded;
  dialogue.send(frame(0, senderAttach()));
  assert.deepEqual(dialogue.heard(), ['attach 0 link no-source no-target', 'detach 0 closed amqp:resource-limit-exceeded']);
});

test('a broker session that is opened when its link is gone is given back', () => {
  const dialogue = Dialogue.begun();
  dialogue.broker.attachAnswer = 'later';
  dialogue.send(frame(0, senderAttach()), frame(0, { type: 'detach', handle: 0, closed: true }));
  assert.deepEqual(dialogue.heard(), ['attach 0 link no-source no-target', 'detach 0 closed']);
  dialogue.asked();
  dialogue.broker.answerAttach();
  assert.deepEqual(dialogue.asked(), ['detach $amqp/peer/in/link']);
});

test('a delivery before the link is answered has no credit: it is not passed over in silence', () => {
  const dialogue = Dialogue.begun();
  dialogue.broker.attachAnswer = 'later';
  dialogue.send(frame(0, senderAttach()), transfer(0, 'a'));
  assert.deepEqual(dialogue.heard(), ['attach 0 link no-source no-target', 'detach 0 closed amqp:link:transfer-limit-exceeded']);
  dialogue.asked();
  dialogue.broker.answerAttach();
  assert.deepEqual(dialogue.asked(), ['detach $amqp/peer/in/link']);
});

test('rights that are lost while the link is there are asked for again', () => {
  const dialogue = Dialogue.sending();
  dialogue.send(transfer(0, 'a'));
  dialogue.session.script.address = () => Outcome.notAuthorized;
  dialogue.session.addressVersion++;
  dialogue.send(transfer(1, 'a'));
  assert.deepEqual(dialogue.heard(), ['receiver 0 settled accepted', 'receiver 1 settled rejected amqp:unauthorized-access']);
});

test('credit: replenished by halves, less while outcomes are waited for, none while the broker holds', () => {
  const dialogue = Dialogue.sending({}, { options: { linkCredit: 10 } });
  for (let id = 0; id < 4; id++) dialogue.send(transfer(id, 'x', { settled: true }));
  assert.deepEqual(dialogue.heard(), []);
  dialogue.send(transfer(4, 'x', { settled: true }));
  assert.deepEqual(dialogue.heard(), ['flow 0 count=5 credit=10']);
  dialogue.session.script.publish = Outcome.pending;
  for (let id = 5; id < 12; id++) dialogue.send(transfer(id, 'x'));
  // Seven wait: three may come, and three were left of what was granted.
  assert.deepEqual(dialogue.heard(), []);
  dialogue.fromBroker(({ consumer }) => {
    for (let id = 5; id < 12; id++) consumer.published(id, Outcome.accepted);
  });
  assert.deepEqual(dialogue.heard(), ['receiver 5-11 settled accepted', 'flow 0 count=12 credit=10']);
  dialogue.fromBroker(({ consumer }) => consumer.hold(true));
  dialogue.session.script.publish = Outcome.accepted;
  for (let id = 12; id < 19; id++) dialogue.send(transfer(id, 'x', { settled: true }));
  assert.deepEqual(dialogue.heard(), []);
  dialogue.fromBroker(({ consumer }) => consumer.hold(false));
  assert.deepEqual(dialogue.heard(), ['flow 0 count=19 credit=10']);
});

test('while the broker holds any link nothing is read from the peer, and its silence is excused', () => {
  const dialogue = Dialogue.sending({}, { options: { idleTimeoutMs: 10_000 } });
  dialogue.send(frame(0, senderAttach({ handle: 1, name: 'other' })));
  const [, first, second] = dialogue.broker.sessions;
  dialogue.fromBroker(() => first!.consumer.hold(true));
  dialogue.fromBroker(() => second!.consumer.hold(true));
  assert.equal(dialogue.wire.pauses, 1);
  dialogue.advance(15_000);
  dialogue.fromBroker(() => first!.consumer.hold(false));
  assert.equal(dialogue.wire.pauses, 1);
  // A link that goes holds nobody.
  dialogue.heard();
  second!.expel('administrative');
  assert.equal(dialogue.wire.pauses, 0);
  assert.deepEqual(dialogue.heard(), ['detach 1 closed amqp:link:detach-forced']);
});

test('more deliveries than credit detach the link', () => {
  const dialogue = Dialogue.sending({}, { options: { linkCredit: 2 } });
  dialogue.fromBroker(({ consumer }) => consumer.hold(true));
  dialogue.send(transfer(0, 'a'), transfer(1, 'b'), transfer(2, 'c'), transfer(3, 'd'));
  assert.deepEqual(dialogue.heard(), ['receiver 0-1 settled accepted', 'detach 0 closed amqp:link:transfer-limit-exceeded']);
  assert.equal(dialogue.asked().at(-1), 'detach $amqp/peer/in/link');
});

test('deliveries in several frames, whatever they repeat or leave out', () => {
  const dialogue = Dialogue.sending();
  const message = dataMessage('x'.repeat(50) + 'y'.repeat(250));
  const part = (from: number, to: number, more: object): Uint8Array =>
    frame(0, { type: 'transfer', handle: 0, ...more }, message.subarray(from, to));
  const tag = Buffer.from('t');
  dialogue.send(
    part(0, 1, { deliveryId: 0, deliveryTag: tag, more: true }),
    part(1, 1, { more: true }),
    part(1, 100, { deliveryId: 0, deliveryTag: tag, more: true }),
    part(100, message.length, {}),
  );
  assert.deepEqual(dialogue.heard(), ['receiver 0 settled accepted']);
  assert.equal(dialogue.session.messages[0]!.payloadBytes, 300);
  // Settled in a later frame is settled.
  dialogue.send(part(0, 10, { deliveryId: 1, deliveryTag: tag, more: true }), part(10, message.length, { settled: true }));
  assert.deepEqual(dialogue.heard(), []);
  assert.equal(dialogue.session.messages[1]!.guarantee, 0);
});

test('an aborted delivery leaves nothing, and has used its credit', () => {
  const dialogue = Dialogue.sending({}, { options: { linkCredit: 4 } });
  dialogue.send(transfer(0, 'abc', { more: true }), frame(0, { type: 'transfer', handle: 0, aborted: true }));
  dialogue.send(transfer(1, 'abc', { aborted: true }));
  assert.deepEqual(dialogue.heard(), ['flow 0 count=2 credit=4']);
  assert.equal(dialogue.session.messages.length, 0);
  assert.equal(dialogue.server.counters.aborted, 2);
});

test('what breaks the rules of a link detaches it, and only it', () => {
  const cases: readonly (readonly [string, ...Uint8Array[]])[] = [
    ['amqp:invalid-field', frame(0, { type: 'transfer', handle: 0, deliveryTag: Buffer.from('t') }, dataMessage('x'))],
    ['amqp:invalid-field', frame(0, { type: 'transfer', handle: 0, deliveryId: 0 }, dataMessage('x'))],
    ['amqp:invalid-field', transfer(0, 'x', { rcvSettleMode: 1 })],
    ['amqp:invalid-field', transfer(0, 'x', { more: true }), transfer(1, 'y')],
    ['amqp:invalid-field', transfer(0, 'x', { more: true }), transfer(0, 'y', { deliveryTag: Buffer.from('other') })],
    ['amqp:link:message-size-exceeded', transfer(0, 'x'.repeat(2000))],
    ['amqp:link:message-size-exceeded', transfer(0, 'x'.repeat(600), { more: true }), transfer(0, 'x'.repeat(600))],
  ];
  for (const [condition, ...pieces] of cases) {
    const dialogue = Dialogue.sending({}, { options: { maxMessageBytes: 1000 } });
    dialogue.send(...pieces);
    assert.deepEqual(dialogue.heard(), [`detach 0 closed ${condition}`]);
    assert.deepEqual(dialogue.asked(), ['detach $amqp/peer/in/link']);
    dialogue.send(transfer(7, 'late'), frame(0, { type: 'detach', handle: 0, closed: true }), frame(0, senderAttach()));
    assert.deepEqual(dialogue.heard(), ['attach 0 link', 'flow 0 count=0 credit=100']);
  }
});

test('a message that cannot be read is rejected', () => {
  const dialogue = Dialogue.sending();
  dialogue.send(delivery(0, Uint8Array.of(1, 2, 3)), delivery(1, Uint8Array.of(0, 0x53, 0x75, 0xa0, 9, 1)));
  assert.deepEqual(dialogue.heard(), ['receiver 0 settled rejected amqp:decode-error', 'receiver 1 settled rejected amqp:decode-error']);
});

test('retain needs its right', () => {
  const dialogue = Dialogue.sending();
  dialogue.send(delivery(0, retained('x')));
  dialogue.security.denied.add('retain a');
  dialogue.session.addressVersion++;
  dialogue.send(delivery(1, retained('x')));
  assert.deepEqual(dialogue.heard(), ['receiver 0 settled accepted', 'receiver 1 settled rejected amqp:unauthorized-access']);
  assert.ok(dialogue.session.messages[0]!.retain);
});

test('without an address each message says where it goes', () => {
  const dialogue = Dialogue.sending({ target: { type: 'target' } });
  dialogue.send(
    delivery(0, messageTo('a/b', 'one')),
    delivery(1, messageTo('queue:jobs', 'two')),
    delivery(2, messageTo('a/b', 'three')),
    delivery(3, messageTo('forbidden', 'four')),
    delivery(4, messageTo('a/#', 'five')),
    delivery(5, dataMessage('six')),
  );
  assert.deepEqual(dialogue.asked(), [
    'address a/b',
    'publish q1 a/b "one" token=0',
    'address $queue/jobs',
    'publish q1 $queue/jobs "two" token=1',
    'publish q1 a/b "three" token=2',
    'address forbidden',
  ]);
  assert.deepEqual(dialogue.heard(), [
    'receiver 0-2 settled accepted',
    'receiver 3 settled rejected amqp:unauthorized-access',
    'receiver 4 settled rejected amqp:invalid-field',
    'receiver 5 settled rejected amqp:invalid-field',
  ]);
});

test('second mode: the broker is told to forget when the peer has settled', () => {
  const dialogue = Dialogue.sending(second);
  dialogue.send(transfer(0, 'a'), transfer(1, 'b'), transfer(2, 'c', { rcvSettleMode: 0 }));
  assert.deepEqual(dialogue.asked().slice(1), [
    'publish q2 a "a" token=0 tag=t0',
    'publish q2 a "b" token=1 tag=t1',
    'publish q1 a "c" token=2',
  ]);
  assert.deepEqual(dialogue.heard(), ['receiver 0-1 accepted', 'receiver 2 settled accepted']);
  // Not settled: nothing happens.
  dialogue.say(0, { type: 'disposition', role: 'sender', first: 0, last: 1, state: acceptedState });
  assert.deepEqual(dialogue.asked(), []);
  dialogue.say(0, { type: 'disposition', role: 'sender', first: 0, last: 1, settled: true, state: acceptedState });
  assert.deepEqual(dialogue.asked(), ['release t0', 'release t1']);
  dialogue.say(0, { type: 'disposition', role: 'sender', first: 0, last: 1, settled: true });
  assert.deepEqual(dialogue.asked(), []);
  assert.equal(dialogue.server.counters.strayDispositions, 1);
});

test('second mode: what is refused is settled by the peer, and nothing is released', () => {
  const dialogue = Dialogue.sending(second);
  dialogue.session.script.publish = Outcome.quotaExceeded;
  dialogue.send(transfer(0, 'a'));
  assert.deepEqual(dialogue.heard(), ['receiver 0 rejected amqp:resource-limit-exceeded']);
  dialogue.asked();
  dialogue.say(0, { type: 'disposition', role: 'sender', first: 0, settled: true });
  assert.deepEqual(dialogue.asked(), []);
});

test('second mode: a peer that settles before it was answered', () => {
  const dialogue = Dialogue.sending(second);
  dialogue.session.script.publish = Outcome.pending;
  dialogue.send(transfer(0, 'a'));
  dialogue.say(0, { type: 'disposition', role: 'sender', first: 0, settled: true });
  dialogue.asked();
  dialogue.fromBroker(({ consumer }) => consumer.published(0, Outcome.accepted));
  assert.deepEqual(dialogue.asked(), ['release t0']);
  assert.deepEqual(dialogue.heard(), []);
});

test('second mode: what the peer does not settle takes the place of credit', () => {
  const dialogue = Dialogue.sending(second, { options: { linkCredit: 4, maxUnsettledPerLink: 4 } });
  for (let id = 0; id < 4; id++) dialogue.send(transfer(id, 'x'));
  assert.ok(!dialogue.heard().some((words) => words.startsWith('flow')));
  dialogue.say(0, { type: 'disposition', role: 'sender', first: 0, last: 3, settled: true });
  assert.deepEqual(dialogue.heard().at(-1), 'flow 0 count=4 credit=4');
});

const durable: Target = { type: 'target', address: 'a', durable: 2, expiryPolicy: 'never' };

test('link recovery: what was taken is told, what the peer has forgotten is forgotten', () => {
  const dialogue = Dialogue.begun();
  dialogue.broker.script = { tags: ['t1', 't2', 't9'] };
  const unsettled = new Map([
    ['t1', undefined],
    ['t2', acceptedState],
    ['t3', undefined],
  ]);
  dialogue.asked();
  dialogue.send(frame(0, senderAttach({ ...second, target: durable, unsettled })));
  const [attach] = dialogue.frames();
  assert.ok(attach?.type === 'attach');
  assert.deepEqual(
    [...attach.unsettled!],
    [
      ['t1', acceptedState],
      ['t2', acceptedState],
    ],
  );
  assert.ok(attach.target?.type === 'target' && attach.target.expiryPolicy === 'never' && attach.target.durable === 2);
  assert.deepEqual(dialogue.asked(), ['address a', 'attach $amqp/peer/in/link expiry=Infinity part', 'release t9']);
  // Resumed: answered without being published again; settled: released at once; unknown: ignored; new: published.
  const resumed = (id: number, tag: string, more: object = {}): Uint8Array =>
    transfer(id, 'again', { deliveryTag: Buffer.from(tag), resume: true, ...more });
  dialogue.send(
    resumed(0, 't1'),
    resumed(1, 't2', { settled: true }),
    resumed(2, 't7'),
    transfer(3, 'new', { deliveryTag: Buffer.from('t3') }),
  );
  assert.deepEqual(dialogue.heard(), ['receiver 0 accepted', 'receiver 3 accepted']);
  assert.deepEqual(dialogue.asked(), ['release t2', 'address a', 'publish q2 a "new" token=3 tag=t3']);
  dialogue.say(0, { type: 'disposition', role: 'sender', first: 0, last: 3, settled: true });
  assert.deepEqual(dialogue.asked(), ['release t1', 'release t3']);
  assert.equal(dialogue.server.counters.resumed, 2);
});

test('link recovery: an incomplete map forgets nothing', () => {
  const dialogue = Dialogue.begun();
  dialogue.broker.script = { tags: ['t1', 't9'] };
  dialogue.asked();
  dialogue.send(frame(0, senderAttach({ ...second, target: durable, unsettled: new Map(), incompleteUnsettled: true })));
  const [attach] = dialogue.frames();
  assert.ok(attach?.type === 'attach' && attach.unsettled?.size === 2);
  assert.ok(!dialogue.asked().some((call) => call.startsWith('release')));
});

test('a detached link keeps its terminus, a closed one does not', () => {
  for (const [closed, expected] of [
    [false, 'detach $amqp/peer/in/link'],
    [true, 'detach $amqp/peer/in/link expiry=0'],
  ] as const) {
    const dialogue = Dialogue.sending({ target: { type: 'target', address: 'a', durable: 1, expiryPolicy: 'link-detach', timeout: 60 } });
    dialogue.say(0, { type: 'detach', handle: 0, closed });
    assert.deepEqual(dialogue.asked(), [expected]);
    assert.deepEqual(dialogue.heard(), [`detach 0${closed ? ' closed' : ''}`]);
  }
});

test('a terminus outlives its link only as long as is allowed here, and the answer says so', () => {
  const dialogue = Dialogue.begun({ options: { maxLinkExpiryMs: 60_000 } });
  dialogue.asked();
  dialogue.send(frame(0, senderAttach({ target: durable })));
  assert.ok(dialogue.asked().includes('attach $amqp/peer/in/link expiry=60000 part'));
  const [attach] = dialogue.frames();
  assert.ok(attach?.type === 'attach' && attach.target?.type === 'target');
  assert.deepEqual([attach.target.expiryPolicy, attach.target.timeout], ['link-detach', 60]);
});

test('a link that is stolen, or ended by an operator, is detached and its handle stays the peer’s until it detaches', () => {
  for (const [reason, condition] of [
    ['takenOver', 'amqp:link:stolen'],
    ['administrative', 'amqp:link:detach-forced'],
    ['shuttingDown', 'amqp:connection:forced'],
    ['unavailable', 'amqp:internal-error'],
  ] as const) {
    const dialogue = Dialogue.sending();
    dialogue.session.expel(reason);
    assert.deepEqual(dialogue.heard(), [`detach 0 closed ${condition}`]);
    dialogue.send(transfer(0, 'late'));
    dialogue.say(0, { type: 'detach', handle: 0, closed: true });
    assert.deepEqual(dialogue.heard(), []);
    assert.deepEqual(dialogue.asked(), []);
    dialogue.say(0, { type: 'end' });
    assert.deepEqual(dialogue.heard(), ['end']);
  }
});

test('a temporary queue is made for the link, and goes with it', () => {
  const dynamic: Target = { type: 'target', dynamic: true, capabilities: ['temporary-queue'] };
  const dialogue = Dialogue.begun();
  dialogue.asked();
  dialogue.send(frame(0, senderAttach({ target: dynamic })));
  const [attach] = dialogue.frames();
  assert.ok(attach?.type === 'attach' && attach.target?.type === 'target');
  assert.equal(attach.target.address, 'queue:tmp-1');
  assert.deepEqual(dialogue.asked(), ['create temporary queue', 'attach $amqp/peer/in/link clean part']);
  dialogue.send(transfer(0, 'x'), frame(0, { type: 'detach', handle: 0, closed: true }));
  assert.deepEqual(dialogue.asked(), [
    'address $queue/tmp-1',
    'publish q1 $queue/tmp-1 "x" token=0',
    'remove temporary tmp-1',
    'detach $amqp/peer/in/link expiry=0',
  ]);
  const full = Dialogue.begun();
  full.broker.sessions[0]!.script.temporary = undefined;
  full.send(frame(0, senderAttach({ target: dynamic })));
  assert.equal(full.heard().at(-1), 'detach 0 closed amqp:resource-limit-exceeded');
});

test('answers that come when the link or its session is gone say nothing', () => {
  const dialogue = Dialogue.sending();
  dialogue.session.script.publish = Outcome.pending;
  dialogue.send(transfer(0, 'a'));
  const { session } = dialogue;
  dialogue.say(0, { type: 'end' });
  dialogue.heard();
  // The broker does not do this after detach; a call that was already on its way must do no harm.
  session.consumer.published(0, Outcome.accepted);
  dialogue.turn.end();
  assert.deepEqual(dialogue.heard(), []);
});

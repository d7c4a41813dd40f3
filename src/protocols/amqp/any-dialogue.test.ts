// Whatever a peer sends and whenever the broker, security, the clock and the wire act: nothing is thrown, what is written can be read,
// and every session is given back exactly once. The fake broker throws when the contract of its port is broken.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CloseReason, Outcome } from '../../broker/port.ts';
import { defaultPriority, Message } from '../../message/message.ts';
import { principalOf } from '../mqtt/testing/fake-security.ts';
import { acceptedState, type DeliveryState, type Performative, ProtocolId, releasedState } from './codec/index.ts';
import { Dialogue } from './testing/dialogue.ts';
import { begin, dataMessage, emptyFrame, frame, header, open, sasl, senderAttach } from './testing/peer-frames.ts';

type Act = (d: Dialogue) => void;

const handle = fc.nat(2);
const channel = fc.nat(20).map((n) => (n === 20 ? 300 : n === 19 ? 1 : 0));
const deliveryId = fc.nat(6);
const name = fc.constantFrom('a', 'b', '');
const maybe = fc.constantFrom(undefined, true, false);
const mode = fc.constantFrom<(0 | 1 | undefined)[]>(undefined, 0, 1);
const address = fc.constantFrom(undefined, 'a', 'forbidden', 'a/#', '$management', '$cbs', 'queue:q');
const state = fc.constantFrom<(DeliveryState | undefined)[]>(
  undefined,
  acceptedState,
  releasedState,
  { type: 'rejected' },
  { type: 'modified', deliveryFailed: true },
  { type: 'transactional-state', txnId: Uint8Array.of(1) },
  { type: 'received', sectionNumber: 0, sectionOffset: 0n },
);
const unsettled = fc.option(fc.constantFrom(new Map([['t1', undefined]]), new Map<string, undefined>()), { nil: undefined });

const attach = fc
  .record({
    name,
    handle,
    role: fc.constantFrom('sender', 'receiver'),
    rcvSettleMode: mode,
    address,
    dynamic: maybe,
    unsettled,
    durable: mode,
  })
  .map(({ address: of, dynamic, durable, role, ...rest }): Performative => {
    const node = { address: of, dynamic, durable, expiryPolicy: durable === 1 ? 'never' : undefined };
    const ends = { source: { type: 'source', ...node }, target: { type: 'target', ...node } } as const;
    return { type: 'attach', ...rest, role: role as 'sender', ...ends, initialDeliveryCount: role === 'sender' ? 0 : undefined };
  });

const flow = fc
  .record({
    handle: fc.option(handle, { nil: undefined }),
    nextIncomingId: fc.constantFrom(undefined, 0, 0, 0, 1, 5),
    incomingWindow: fc.constantFrom(0, 1, 100, 0xffff_ffff),
    linkCredit: fc.constantFrom(undefined, 0, 1, 50),
    deliveryCount: fc.constantFrom(undefined, 0, 1, 0xffff_ffff),
    drain: maybe,
    echo: maybe,
  })
  .map((of): Performative => ({ type: 'flow', nextOutgoingId: 0, outgoingWindow: 10, ...of }));

const transfer = fc
  .record({
    handle: fc.constantFrom(0, 0, 0, 0, 1, 1, 1, 1, 1, 2),
    deliveryId: fc.option(deliveryId, { nil: undefined, freq: 10 }),
    settled: maybe,
    more: fc.constantFrom(undefined, undefined, undefined, false, true),
    rcvSettleMode: fc.constantFrom<(0 | 1 | undefined)[]>(undefined, undefined, undefined, undefined, 0, 1),
    state,
    resume: maybe,
    aborted: fc.constantFrom(undefined, undefined, true),
  })
  .map((of): Performative => ({
    type: 'transfer',
    ...of,
    deliveryTag: of.deliveryId === undefined ? undefined : Buffer.from(`t${of.deliveryId}`),
  }));

const disposition = fc
  .record({
    role: fc.constantFrom<('sender' | 'receiver')[]>('sender', 'receiver'),
    first: deliveryId,
    more: fc.constantFrom(undefined, 0, 1, 2, -1),
    settled: maybe,
    state,
  })
  .map(({ more, ...of }): Performative => ({ type: 'disposition', ...of, last: more === undefined ? undefined : (of.first + more) >>> 0 }));

const payload = fc.constantFrom(dataMessage('x'), dataMessage('y'.repeat(400)), Uint8Array.of(1, 2), new Uint8Array(0));

/** A session with links of all kinds on the handles that are used. */
const fresh = Buffer.concat([
  frame(0, begin),
  frame(0, senderAttach({ handle: 0, name: 'first' })),
  frame(
    0,
    senderAttach({
      handle: 1,
      name: 'second',
      rcvSettleMode: 1,
      target: { type: 'target', address: 'a', durable: 2, expiryPolicy: 'never' },
    }),
  ),
  frame(0, {
    type: 'attach',
    name: 'out',
    handle: 2,
    role: 'receiver',
    source: { type: 'source', address: 'a' },
    target: { type: 'target' },
  }),
]);

const piece: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 30, arbitrary: fc.tuple(transfer, payload).map(([of, message]) => frame(0, of, message)) },
  { weight: 3, arbitrary: fc.tuple(channel, attach).map((of) => frame(...of)) },
  { weight: 10, arbitrary: fc.tuple(channel, flow).map((of) => frame(...of)) },
  { weight: 15, arbitrary: disposition.map((of) => frame(0, of)) },
  { weight: 2, arbitrary: fc.tuple(handle, maybe).map(([of, closed]) => frame(0, { type: 'detach', handle: of, closed })) },
  { weight: 8, arbitrary: fc.constant(Buffer.concat([frame(0, { type: 'end' }), fresh])) },
  fc.constantFrom(frame(1, begin), frame(0, begin), frame(1, { type: 'end' }), frame(0, { type: 'end' })),
  fc.constantFrom(frame(0, open), frame(0, { type: 'close' }), emptyFrame(), sasl({ type: 'sasl-init', mechanism: 'PLAIN' }), header()),
);

/** Now and then a byte that is not as it should be, or half a frame. */
const change = fc.oneof({ weight: 60, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.tuple(fc.nat(60), fc.nat(255)) });
const cut = fc.oneof({ weight: 90, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(30) });
const bytes = fc.tuple(piece, change, cut).map(([whole, changed, length]) => {
  const out = Uint8Array.from(whole);
  if (changed !== undefined && changed[0] < out.length) out[changed[0]] = changed[1];
  return out.subarray(0, length);
});

const outcome = fc.constantFrom(...Object.values(Outcome).filter((each) => each !== Outcome.pending));
const reason = fc.constantFrom<CloseReason[]>('takenOver', 'administrative', 'shuttingDown', 'unavailable');

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 10,
    arbitrary: bytes.map(
      (of): Act =>
        (d) =>
          d.send(of),
    ),
  },
  fc
    .tuple(fc.nat(5), deliveryId, outcome)
    .map(([which, token, decided]): Act => ofSession(which, (s, d) => d.fromBroker(() => s.consumer.published(token, decided)))),
  fc
    .tuple(fc.nat(5), fc.integer({ min: 1, max: 4 }), fc.constantFrom<(0 | 1 | 2)[]>(0, 1, 2))
    .map(([which, id, guarantee]): Act => ofSession(which, (s, d) => d.fromBroker(() => deliver(s, id, guarantee)))),
  fc.tuple(fc.nat(5), fc.boolean()).map(([which, on]): Act => ofSession(which, (s, d) => d.fromBroker(() => s.consumer.hold(on)))),
  fc.tuple(fc.nat(5), reason).map(([which, why]): Act => ofSession(which, (s, d) => expel(d, s, why))),
  fc.constantFrom(Outcome.accepted, Outcome.pending, Outcome.quotaExceeded).map((publish): Act => (d) => {
    d.broker.script = { publish, tags: ['t1', 't2'] };
  }),
  fc.constantFrom<(Outcome | 'later')[]>('later', Outcome.accepted, Outcome.notAuthorized).map((answer): Act => (d) => {
    d.broker.attachAnswer = answer;
  }),
  outcome.map((decided): Act => (d) => {
    if (d.broker.isWaiting) d.broker.answerAttach(decided);
    d.turn.end();
  }),
  fc.constant<Act>((d) => {
    d.connection.onDrained();
    d.turn.end();
  }),
  fc.nat(3000).map(
    (ms): Act =>
      (d) =>
        d.advance(ms),
  ),
);

type Session = Dialogue['session'];

/** What the broker does to one of its sessions. */
function ofSession(which: number, call: (session: Session, d: Dialogue) => void): Act {
  return (d) => {
    const there = d.broker.sessions.filter((session) => session.isAttached);
    if (there.length > 0) call(there[which % there.length]!, d);
  };
}

const message = new Message('a', Buffer.from('a'), Buffer.from('payload'), 0, 7, 1, false, defaultPriority, 0, 0, 's', undefined);

function deliver({ consumer, clientId }: Session, id: number, guarantee: 0 | 1 | 2): void {
  if (!clientId.includes('/out/') || consumer.congested) return;
  if (guarantee === 0) consumer.send(message, false, undefined);
  else consumer.transfer(id, guarantee, message, false, false, undefined, id, 0);
}

/** As the broker does: the parts of a connection go before it. */
function expel(d: Dialogue, session: Session, why: CloseReason): void {
  const isConnection = session.clientId.includes('#');
  for (const one of d.broker.sessions) {
    if (one.isAttached && one !== session && isConnection) one.expel(why);
  }
  if (session.isAttached) session.expel(why);
  d.turn.end();
}

test('any dialogue', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('at once', 'security later', 'broker later', 'by SASL'),
      fc.array(act, { maxLength: 80, size: 'max' }),
      fc.constantFrom('lost', 'shut down'),
      fc.boolean(),
      (handshake, acts, end, bytewise) => {
        const limits = {
          maxMessageBytes: 600,
          maxIncompleteBytes: 700,
          maxEarlyBytes: 3000,
          linkCredit: 3,
          maxUnsettledPerLink: 4,
          maxLinks: 4,
        };
        const d = new Dialogue({ bytewise, options: { ...limits, incomingWindow: 8 }, accepts: ['anonymous', 'password'] });
        if (handshake === 'security later') d.security.result = 'later';
        if (handshake === 'broker later') d.broker.attachAnswer = 'later';
        if (handshake === 'by SASL') {
          d.send(header(ProtocolId.sasl), sasl({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse: Buffer.from('\0a\0b') }));
        }
        d.send(header(), frame(0, { ...open, idleTimeOut: 5000 }), fresh);
        acts.forEach((each, i) => {
          if (i === 3) answerHandshake(d);
          each(d);
          assert.ok(d.wire.pauses === 0 || d.wire.pauses === 1);
        });
        if (end === 'shut down') d.connection.shutDown();
        d.heard();
        d.lose();
        while (d.broker.isWaiting) d.broker.answerAttach();
        d.turn.end();
        assert.ok(!d.broker.sessions.some((session) => session.isAttached), 'every session is given back');
        assert.equal(d.connection.state, 'closed');
        const { connections, sessions, links } = d.server.counters;
        assert.deepEqual([connections, sessions, links.in, links.out], [0, 0, 0, 0]);
      },
    ),
    { numRuns: 400 },
  );
});

function answerHandshake(d: Dialogue): void {
  d.security.answers.shift()?.({ ok: true, principal: principalOf('p') });
  d.turn.end();
  if (d.broker.isWaiting) d.broker.answerAttach();
  d.broker.attachAnswer = Outcome.accepted;
  d.turn.end();
}

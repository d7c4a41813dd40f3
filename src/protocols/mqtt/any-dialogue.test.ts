// Whatever a client sends and whenever the broker, security, the clock and the wire act: nothing is thrown, and a session is
// given back exactly once. The fake broker throws when the contract of its port is broken.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Outcome } from '../../broker/port.ts';
import { defaultPriority, Message } from '../../message/message.ts';
import { ackKey } from './ack-order.ts';
import { PacketType, type Version } from './codec/index.ts';
import { ack, connect, disconnect, everyPacket, pingreq, publish, subscribe, unsubscribe } from './testing/client-packets.ts';
import { Dialogue } from './testing/dialogue.ts';
import { principalOf } from './testing/fake-security.ts';

type Act = (d: Dialogue) => void;

const id = fc.integer({ min: 1, max: 5 });
const version = fc.constantFrom(3 as const, 4 as const, 5 as const);
const harmless = fc.constantFrom('a', 'a/b', 'x'.repeat(2000));
/** Publishers that send one of the others are disconnected, some of them: seldom, so that the rest is not said in vain. */
const topic = fc.oneof({ weight: 60, arbitrary: harmless }, { weight: 1, arbitrary: fc.constantFrom('forbidden', 'a/+', '') });
const filters = fc.array(fc.constantFrom('a', 'a/b', 'forbidden', 'a/+'), { minLength: 1, maxLength: 3 });

/** In the words of the version that was agreed on. */
type Packet = (of: Version) => Buffer;

const ackType = fc.constantFrom(PacketType.puback, PacketType.pubrec, PacketType.pubrel, PacketType.pubcomp);
const packet: fc.Arbitrary<Packet> = fc.oneof(
  {
    weight: 40,
    arbitrary: fc.tuple(topic, fc.constantFrom(0 as const, 1 as const, 2 as const), id, fc.boolean()).map(
      ([name, qos, packetId, retain]): Packet =>
        (of) =>
          publish(of, { topic: name, qos, packetId: qos === 0 ? 0 : packetId, retain }),
    ),
  },
  {
    weight: 20,
    arbitrary: fc.tuple(ackType, id).map(
      (words): Packet =>
        (of) =>
          ack(of, ...words),
    ),
  },
  {
    weight: 10,
    arbitrary: fc.tuple(id, filters).map(
      (words): Packet =>
        (of) =>
          subscribe(of, ...words),
    ),
  },
  {
    weight: 10,
    arbitrary: fc.tuple(id, filters).map(
      (words): Packet =>
        (of) =>
          unsubscribe(of, ...words),
    ),
  },
  { weight: 10, arbitrary: fc.constant<Packet>(() => pingreq()) },
  fc.nat(15).map(
    (i): Packet =>
      (of) =>
        everyPacket(of)[i]![1],
  ),
  fc.constant<Packet>((of) => disconnect(of)),
);

/** Now and then a packet of another version, a byte that is not as it should be, or half a packet. */
const another = fc.oneof({ weight: 60, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: version });
const change = fc.oneof({ weight: 60, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.tuple(fc.nat(30), fc.nat(255)) });
const cut = fc.oneof({ weight: 90, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(20) });
const bytes = fc.tuple(packet, another, change, cut).map(([words, other, changed, length]): Packet => (of) => {
  const out = Buffer.from(words(other ?? of));
  if (changed !== undefined && changed[0] < out.length) out[changed[0]] = changed[1];
  return out.subarray(0, length);
});

const message = new Message('a', Buffer.from('a'), Buffer.from('payload'), 0, 7, 1, false, defaultPriority, 0, 0, 's', undefined);
const outcome = fc.constantFrom(...Object.values(Outcome).filter((each) => each !== Outcome.pending));

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 8,
    arbitrary: bytes.map(
      (piece): Act =>
        (d) =>
          d.send(piece(d.version)),
    ),
  },
  fc
    .tuple(id, fc.constantFrom(1 as const, 2 as const), outcome)
    .map(([packetId, qos, decided]): Act => broker((d) => d.session.consumer.published(ackKey(qos, packetId), decided))),
  id.map((packetId): Act => broker((d) => d.session.consumer.released(packetId))),
  fc
    .tuple(id, outcome)
    .map(([packetId, decided]): Act => broker((d) => d.session.consumer.subscribed(packetId, [{ outcome: decided, guarantee: 1 }]))),
  fc.tuple(id, outcome).map(([packetId, decided]): Act => broker((d) => d.session.consumer.unsubscribed(packetId, [decided]))),
  fc.constant<Act>(broker((d) => d.session.consumer.send(message, false, undefined))),
  id.map((deliveryId): Act => broker((d) => d.session.consumer.transfer(deliveryId, 1, message, false, false, [1], deliveryId, 0))),
  fc.boolean().map((on): Act => broker((d) => d.session.consumer.hold(on))),
  fc.constantFrom(Outcome.accepted, Outcome.pending, Outcome.quotaExceeded).map((answer): Act => (d) => {
    if (d.broker.sessions.length > 0) d.session.script.publish = answer;
  }),
  fc.constant<Act>((d) => d.connection.onDrained()),
  fc.nat(20_000).map(
    (ms): Act =>
      (d) =>
        d.advance(ms),
  ),
);

function broker(call: Act): Act {
  return (d) => {
    if (d.broker.sessions.length > 0) d.session.inCall(() => call(d));
  };
}

test('any dialogue', () => {
  fc.assert(
    fc.property(
      version,
      fc.constantFrom('at once', 'security later', 'broker later'),
      fc.array(act, { maxLength: 40, size: 'max' }),
      fc.constantFrom('lost', 'shut down', 'taken over'),
      fc.boolean(),
      (of, handshake, acts, end, bytewise) => {
        const d = new Dialogue(of, {
          bytewise,
          options: { receiveMaximum: 3, maxOutputBytes: 3000, outputHighWaterBytes: 1000, maxEarlyBytes: 2000 },
        });
        if (handshake === 'security later') d.security.result = 'later';
        if (handshake === 'broker later') d.broker.attachAnswer = 'later';
        d.send(connect(of, { keepAlive: 10 }));
        acts.forEach((each, i) => {
          if (i === 3) answerHandshake(d);
          each(d);
          assert.ok(d.wire.pauses === 0 || d.wire.pauses === 1);
        });
        let expected = d.broker.sessions.length;
        if (end === 'taken over' && d.connection.state !== 'closed' && expected > 0) {
          d.fromBroker((consumer) => consumer.detached('takenOver'));
          expected--;
        } else if (end === 'shut down') {
          d.connection.shutDown();
        }
        d.heard();
        d.lose();
        const detached = d.asked().filter((call) => call.startsWith('detach')).length;
        assert.equal(detached, expected);
        assert.equal(d.connection.state, 'closed');
      },
    ),
    { numRuns: 300 },
  );
});

function answerHandshake(d: Dialogue): void {
  if (d.connection.state === 'authenticating') d.security.answers[0]!({ ok: true, principal: principalOf('p') });
  if (d.connection.state === 'attaching') d.broker.answerAttach();
}

// Whatever a client sends and whenever the broker, security, the clock and the wire act: nothing is thrown, and a session is
// given back exactly once. The fake broker throws when the contract of its port is broken.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Outcome } from '../../broker/port.ts';
import { defaultPriority, Message } from '../../message/message.ts';
import { ackKey } from './ack-order.ts';
import { PacketType } from './codec/index.ts';
import { ack, connect, disconnect, everyPacket, pingreq, publish, subscribe, unsubscribe } from './testing/client-packets.ts';
import { Dialogue } from './testing/dialogue.ts';
import { principalOf } from './testing/fake-security.ts';

type Act = (d: Dialogue) => void;

const id = fc.integer({ min: 1, max: 5 });
const version = fc.constantFrom(3 as const, 4 as const, 5 as const);
const topic = fc.constantFrom('a', 'a/b', 'forbidden', 'a/+', '', 'x'.repeat(2000));

const packet: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(version, topic, fc.constantFrom(0 as const, 1 as const, 2 as const), id, fc.boolean()).map(publishOf) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(version, fc.constantFrom(PacketType.puback, PacketType.pubrec, PacketType.pubrel, PacketType.pubcomp), id)
      .map((of) => ack(...of)),
  },
  fc
    .tuple(
      version,
      id,
      fc.array(
        topic.filter((each) => each !== ''),
        { minLength: 1, maxLength: 3 },
      ),
    )
    .map((of) => subscribe(...of)),
  fc
    .tuple(
      version,
      id,
      fc.array(
        topic.filter((each) => each !== ''),
        { minLength: 1, maxLength: 3 },
      ),
    )
    .map((of) => unsubscribe(...of)),
  fc.tuple(version, fc.nat(15)).map(([of, i]) => everyPacket(of)[i]![1]),
  version.map((of) => disconnect(of)),
  fc.constant(pingreq()),
);

function publishOf([of, name, qos, packetId, retain]: [3 | 4 | 5, string, 0 | 1 | 2, number, boolean]): Buffer {
  return publish(of, { topic: name, qos, packetId: qos === 0 ? 0 : packetId, retain });
}

/** Now and then a byte that is not as it should be, or half a packet. */
const bytes = fc
  .tuple(packet, fc.option(fc.tuple(fc.nat(30), fc.nat(255)), { freq: 6 }), fc.option(fc.nat(20), { freq: 6 }))
  .map(([whole, change, cut]) => {
    const out = Buffer.from(whole);
    if (change !== null && change[0] < out.length) out[change[0]] = change[1];
    return cut === null ? out : out.subarray(0, cut);
  });

const message = new Message('a', Buffer.from('a'), Buffer.from('payload'), 0, 7, 1, false, defaultPriority, 0, 0, 's', undefined);
const outcome = fc.constantFrom(...Object.values(Outcome).filter((each) => each !== Outcome.pending));

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 8,
    arbitrary: bytes.map(
      (piece): Act =>
        (d) =>
          d.send(piece),
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
      fc.array(act, { maxLength: 40 }),
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

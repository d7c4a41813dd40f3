// SUBSCRIBE and UNSUBSCRIBE.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outcome } from '../../broker/port.ts';
import type { Subscription } from './codec/index.ts';
import { subscribe, unsubscribe } from './testing/client-packets.ts';
import { Dialogue } from './testing/dialogue.ts';

const plain: Subscription = { filter: 'a', qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 };

test('a SUBSCRIBE reaches the broker as it was meant, and is answered with what was granted [MQTT-3.8.4-1] [MQTT-3.8.4-7]', () => {
  const d = Dialogue.connected(5);
  d.send(
    subscribe(
      5,
      7,
      [
        { ...plain, filter: 'a/+' },
        { ...plain, filter: 'b/#', qos: 1, noLocal: true, retainHandling: 1 },
        { ...plain, filter: '$share/g/c', qos: 2, retainAsPublished: true, retainHandling: 2 },
      ],
      { properties: { subscriptionIdentifiers: [42] } },
    ),
  );
  assert.deepEqual(d.asked(), ['subscribe a/+ q0 always id=42, b/# q1 no-local ifNew id=42, $share/g/c q2 rap never id=42']);
  assert.deepEqual(d.heard(), ['SUBACK id=7 Granted QoS 0 Granted QoS 1 Granted QoS 2']);
});

test('a guarantee that the broker lowered is told', () => {
  for (const version of [3, 4, 5] as const) {
    const d = Dialogue.connected(version);
    d.session.script.subscribe = () => ({ outcome: Outcome.accepted, guarantee: 0 });
    d.send(subscribe(version, 7, [{ ...plain, qos: 2 }]));
    assert.deepEqual(d.heard(), ['SUBACK id=7 Granted QoS 0']);
  }
});

test('a subscription above the highest QoS is accepted at that one [MQTT-3.2.2-10]', () => {
  const d = Dialogue.connected(5, { options: { maxQos: 1 } });
  d.send(subscribe(5, 7, [{ ...plain, qos: 2 }, plain]));
  assert.deepEqual(d.asked(), ['subscribe a q1 always, a q0 always']);
  assert.deepEqual(d.heard(), ['SUBACK id=7 Granted QoS 1 Granted QoS 0']);
});

test('every refusal has its code in version 5 and one code before [MQTT-3.9.3-2]', () => {
  for (const [outcome, words] of [
    [Outcome.notAuthorized, 'Not authorized'],
    [Outcome.filterInvalid, 'Topic Filter invalid'],
    [Outcome.quotaExceeded, 'Quota exceeded'],
    [Outcome.notSupported, 'Shared Subscriptions not supported'],
    [Outcome.unavailable, 'Implementation specific error'],
  ] as const) {
    for (const version of [3, 4, 5] as const) {
      const d = Dialogue.connected(version);
      d.session.script.subscribe = (request) => ({
        outcome: request.filter === 'bad' ? outcome : Outcome.accepted,
        guarantee: request.guarantee,
      });
      d.send(subscribe(version, 7, ['good', 'bad', 'good2']));
      assert.deepEqual(d.heard(), [`SUBACK id=7 Granted QoS 1 ${version === 5 ? words : 'Unspecified error'} Granted QoS 1`]);
    }
  }
});

test('what MQTT itself refuses is merged with what the broker says, in order [MQTT-3.9.3-1]', () => {
  const d = Dialogue.connected(5, {
    options: { wildcardSubscriptionsAvailable: false, sharedSubscriptionsAvailable: false, maxTopicBytes: 10 },
  });
  d.send(subscribe(5, 7, ['a', 'a/+', '$share/g/a', 'b', 'x'.repeat(11), '$queue/q', 'c']));
  assert.deepEqual(d.asked(), ['subscribe a q1 always, b q1 always, c q1 always']);
  assert.deepEqual(d.heard(), [
    'SUBACK id=7 Granted QoS 1 Wildcard Subscriptions not supported Shared Subscriptions not supported Granted QoS 1 Topic Filter invalid Shared Subscriptions not supported Granted QoS 1',
  ]);
  d.send(subscribe(5, 8, ['#']));
  assert.deepEqual(d.asked(), [], 'the broker is not bothered');
  assert.deepEqual(d.heard(), ['SUBACK id=8 Wildcard Subscriptions not supported']);
});

test('subscription identifiers can be switched off', () => {
  const d = Dialogue.connected(5, { options: { subscriptionIdentifiersAvailable: false } });
  d.send(subscribe(5, 7, ['a'], { properties: { subscriptionIdentifiers: [1] } }), subscribe(5, 8, ['a']));
  assert.deepEqual(d.heard(), ['SUBACK id=7 Subscription Identifiers not supported', 'SUBACK id=8 Granted QoS 1']);
});

test('too many filters in one request are refused together', () => {
  const d = Dialogue.connected(5, { options: { maxSubscriptionsPerRequest: 2 } });
  d.send(subscribe(5, 7, ['a', 'b', 'c']), unsubscribe(5, 8, ['a', 'b', 'c']));
  assert.deepEqual(d.heard(), [
    'SUBACK id=7 Quota exceeded Quota exceeded Quota exceeded',
    'UNSUBACK id=8 Implementation specific error Implementation specific error Implementation specific error',
  ]);
  assert.deepEqual(d.asked(), []);
});

test('the answer may come later, and in another order', () => {
  const d = Dialogue.connected(5);
  d.session.script.subscribe = undefined;
  d.session.script.unsubscribe = undefined;
  d.send(subscribe(5, 1, ['a']), unsubscribe(5, 2, ['b']), subscribe(5, 3, ['c', 'd']));
  assert.deepEqual(d.heard(), []);
  d.fromBroker((consumer) =>
    consumer.subscribed(3, [
      { outcome: Outcome.accepted, guarantee: 0 },
      { outcome: Outcome.notAuthorized, guarantee: 0 },
    ]),
  );
  d.fromBroker((consumer) => consumer.unsubscribed(2, [Outcome.noSubscription]));
  d.fromBroker((consumer) => consumer.subscribed(1, [{ outcome: Outcome.accepted, guarantee: 1 }]));
  assert.deepEqual(d.heard(), [
    'SUBACK id=3 Granted QoS 0 Not authorized',
    'UNSUBACK id=2 No subscription existed',
    'SUBACK id=1 Granted QoS 1',
  ]);
});

test('a packet id that still waits: in use in version 5, a repetition before', () => {
  for (const version of [3, 4, 5] as const) {
    const d = Dialogue.connected(version);
    d.session.script.subscribe = undefined;
    d.send(subscribe(version, 1, ['a']), subscribe(version, 1, ['a']), unsubscribe(version, 1, ['a']));
    assert.deepEqual(d.heard(), version === 5 ? ['SUBACK id=1 Packet Identifier in use', 'UNSUBACK id=1 Packet Identifier in use'] : []);
    d.fromBroker((consumer) => consumer.subscribed(1, [{ outcome: Outcome.accepted, guarantee: 1 }]));
    assert.deepEqual(d.heard(), ['SUBACK id=1 Granted QoS 1']);
    assert.deepEqual(d.asked(), ['subscribe a q1 always']);
  }
});

test('UNSUBSCRIBE is answered even where there was no subscription [MQTT-3.10.4-5]', () => {
  for (const version of [3, 4, 5] as const) {
    const d = Dialogue.connected(version);
    d.session.script.unsubscribe = (filter) => (filter === 'a' ? Outcome.accepted : Outcome.noSubscription);
    d.send(unsubscribe(version, 7, ['a', 'b']));
    assert.deepEqual(d.heard(), [version === 5 ? 'UNSUBACK id=7 Success No subscription existed' : 'UNSUBACK id=7']);
  }
});

test('an unsubscribe that could not be stored: a code in version 5, no false yes before', () => {
  const d5 = Dialogue.connected(5);
  d5.session.script.unsubscribe = () => Outcome.unavailable;
  d5.send(unsubscribe(5, 7, ['a']));
  assert.deepEqual(d5.heard(), ['UNSUBACK id=7 Implementation specific error']);
  const d4 = Dialogue.connected(4);
  d4.session.script.unsubscribe = () => Outcome.unavailable;
  d4.send(unsubscribe(4, 7, ['a']));
  assert.deepEqual(d4.heard(), ['closed']);
  d4.lose();
  assert.equal(d4.asked().at(-1), 'detach will');
});

test('No Local on a shared subscription is a protocol error [MQTT-3.8.3-4]', () => {
  const d = Dialogue.connected(5);
  d.send(subscribe(5, 7, [{ ...plain, filter: '$share/g/a', noLocal: true }]));
  assert.deepEqual(d.heard(), ['DISCONNECT Protocol Error reason-string="No Local on a shared subscription"', 'closed']);
});

test('an answer larger than the client takes ends the connection [MQTT-3.1.2-24]', () => {
  const d = Dialogue.connected(5, { connect: { properties: { maximumPacketSize: 40 } } });
  d.send(
    subscribe(
      5,
      7,
      Array.from({ length: 60 }, (_, i) => `t${i}`),
    ),
  );
  assert.deepEqual(d.heard(), ['DISCONNECT Packet too large', 'closed']);
});

test('many requests without an answer stop the reading', () => {
  const d = Dialogue.connected(5, { options: { receiveMaximum: 2 } });
  d.session.script.subscribe = undefined;
  d.send(subscribe(5, 1, ['a']), subscribe(5, 2, ['b']));
  assert.equal(d.wire.pauses, 1);
  d.fromBroker((consumer) => consumer.subscribed(1, [{ outcome: Outcome.accepted, guarantee: 1 }]));
  assert.equal(d.wire.pauses, 0);
});

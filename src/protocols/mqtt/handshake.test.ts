// CONNECT and CONNACK: what a client asks for, what it gets, and how it is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outcome } from '../../broker/port.ts';
import type { Connect } from './codec/index.ts';
import type { MqttOptions } from './options.ts';
import { connect } from './testing/client-packets.ts';
import { Dialogue } from './testing/dialogue.ts';
import { principalOf } from './testing/fake-security.ts';

/** The CONNACK to a CONNECT, in words. */
function answerTo(version: 3 | 4 | 5, more: Partial<Connect>, options: Partial<MqttOptions> = {}): string[] {
  const dialogue = new Dialogue(version, {
    options: { topicAliasMaximum: 0, receiveMaximum: 65_535, maxPacketBytes: 268_435_460, maxKeepAliveSec: 0, ...options },
  });
  dialogue.send(connect(version, more));
  return dialogue.heard();
}

test('a CONNECT that asks for nothing gets a plain yes [MQTT-3.1.4-5]', () => {
  for (const version of [3, 4, 5] as const) assert.deepEqual(answerTo(version, {}), ['CONNACK Success'], `version ${version}`);
});

test('MQTT 5: the limits of the server are told where they differ from the standard [MQTT-3.2.2-9]', () => {
  const limits = {
    receiveMaximum: 10,
    maxPacketBytes: 100_000,
    topicAliasMaximum: 7,
    maxQos: 1,
    retainAvailable: false,
    wildcardSubscriptionsAvailable: false,
    sharedSubscriptionsAvailable: false,
    subscriptionIdentifiersAvailable: false,
  } as const;
  const [words] = answerTo(5, {}, limits);
  assert.deepEqual(words!.split(' ').toSorted(), [
    'CONNACK',
    'Success',
    'maximum-packet-size=100000',
    'maximum-qos=1',
    'receive-maximum=10',
    'retain-available=false',
    'shared-subscription-available=false',
    'subscription-identifiers-available=false',
    'topic-alias-maximum=7',
    'wildcard-subscription-available=false',
  ]);
  assert.deepEqual(answerTo(4, {}, limits), ['CONNACK Success'], 'earlier versions cannot be told');
});

test('session present is passed on, but 3.1 has no such flag [MQTT-3.2.2-3]', () => {
  for (const [version, words] of [
    [3, 'CONNACK Success'],
    [4, 'CONNACK Success session present'],
    [5, 'CONNACK Success session present'],
  ] as const) {
    const dialogue = new Dialogue(version, {
      options: { topicAliasMaximum: 0, receiveMaximum: 65_535, maxPacketBytes: 268_435_460, maxKeepAliveSec: 0 },
    });
    dialogue.broker.sessionPresent = true;
    dialogue.send(connect(version, { cleanStart: false }));
    assert.deepEqual(dialogue.heard(), [words]);
  }
});

test('session expiry: 3.1.1 by clean session, 5 by its property, both within the bound', () => {
  const asked = (version: 3 | 4 | 5, more: Partial<Connect>, options: Partial<MqttOptions> = {}): string[] => {
    const dialogue = new Dialogue(version, { options });
    dialogue.send(connect(version, more));
    return dialogue.asked();
  };
  assert.deepEqual(asked(4, { cleanStart: true }), ['attach c clean']);
  assert.deepEqual(asked(4, { cleanStart: false }), ['attach c expiry=Infinity']);
  assert.deepEqual(asked(4, { cleanStart: false }, { maxSessionExpirySec: 60 }), ['attach c expiry=60000']);
  assert.deepEqual(asked(5, { cleanStart: false }), ['attach c']);
  assert.deepEqual(asked(5, { properties: { sessionExpiryInterval: 30 } }), ['attach c clean expiry=30000']);
  assert.deepEqual(asked(5, { properties: { sessionExpiryInterval: 0xffff_ffff } }), ['attach c clean expiry=Infinity']);
  assert.deepEqual(answerTo(5, { properties: { sessionExpiryInterval: 100 } }, { maxSessionExpirySec: 60 }), [
    'CONNACK Success session-expiry-interval=60',
  ]);
  assert.deepEqual(answerTo(5, { properties: { sessionExpiryInterval: 60 } }, { maxSessionExpirySec: 60 }), ['CONNACK Success']);
});

test('what the client takes is passed to the broker', () => {
  const dialogue = new Dialogue(5);
  dialogue.send(connect(5, { properties: { receiveMaximum: 3, maximumPacketSize: 1000 } }));
  const request = dialogue.broker.lastRequest!;
  assert.equal(request.receiveMaximum, 3);
  assert.equal(request.maxPacketBytes, 1000);
  assert.equal(request.protocol, 'MQTT 5.0');
  assert.equal(request.listener, 'tcp');
  assert.equal(request.remoteAddress, '192.0.2.1');
  assert.deepEqual(request.principal, principalOf('p'));
});

test('credentials are passed to security as they came, and refusals have their own codes', () => {
  const dialogue = new Dialogue(4);
  dialogue.send(connect(4, { username: 'u', password: Buffer.from('secret') }));
  const { username, password, clientId } = dialogue.security.lastCredentials!;
  assert.deepEqual([username, Buffer.from(password!).toString(), clientId], ['u', 'secret', 'c']);

  for (const [reason, words4, words5] of [
    ['refused', 'CONNACK Bad User Name or Password', 'CONNACK Bad User Name or Password reason-string="bad user name or password"'],
    ['overloaded', 'CONNACK Server unavailable', 'CONNACK Server busy reason-string="too many handshakes at once"'],
    ['banned', 'CONNACK Not authorized', 'CONNACK Banned reason-string="locked out for a while"'],
  ] as const) {
    for (const [version, words] of [
      [4, words4],
      [5, words5],
    ] as const) {
      const refused = new Dialogue(version);
      refused.security.result = { ok: false, reason };
      refused.send(connect(version));
      assert.deepEqual(refused.heard(), [words, 'closed'], `${reason} in version ${version}`); // [MQTT-3.2.2-7]
      refused.lose();
      assert.deepEqual(refused.asked(), [], 'the broker was not asked');
    }
  }
});

test('who may not connect by that client identifier is not authorized', () => {
  const dialogue = new Dialogue(5);
  dialogue.security.denied.add('connect c');
  dialogue.send(connect(5));
  assert.deepEqual(dialogue.heard(), ['CONNACK Not authorized reason-string="not authorized"', 'closed']);
  assert.equal(dialogue.metric('heliograph_mqtt_connects_refused_total', 'Not authorized'), 1);
});

test('a session that the broker does not open is refused in its words', () => {
  for (const [outcome, words4, words5] of [
    [Outcome.notAuthorized, ['CONNACK Not authorized'], 'Not authorized'],
    [Outcome.quotaExceeded, ['CONNACK Server unavailable'], 'Quota exceeded'],
    [Outcome.unavailable, ['CONNACK Server unavailable'], 'Server unavailable'],
    [Outcome.topicInvalid, [], 'Topic Name invalid'],
  ] as const) {
    for (const [version, words] of [
      [4, words4],
      [5, [`CONNACK ${words5} reason-string="the session could not be opened"`]],
    ] as const) {
      const dialogue = new Dialogue(version);
      dialogue.broker.attachAnswer = outcome;
      dialogue.send(connect(version));
      assert.deepEqual(dialogue.heard(), [...words, 'closed'], `version ${version}`);
    }
  }
});

test('an empty client identifier is replaced by one that is told [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]', () => {
  const [words] = answerTo(5, { clientId: '' });
  const assigned = /^CONNACK Success assigned-client-identifier="(auto-[0-9a-f]{32})"$/.exec(words!)?.[1];
  assert.ok(assigned, words);
  const dialogue = new Dialogue(4);
  dialogue.send(connect(4, { clientId: '' }));
  assert.match(dialogue.asked()[0]!, /^attach auto-[0-9a-f]{32} clean$/);
  assert.notEqual(dialogue.broker.lastRequest!.clientId, '');
});

test('an empty client identifier is refused where it cannot be [MQTT-3.1.3-8]', () => {
  const words = 'CONNACK Client Identifier not valid';
  assert.deepEqual(answerTo(3, { clientId: '' }), [words, 'closed']);
  assert.deepEqual(answerTo(4, { clientId: '', cleanStart: false }), [words, 'closed']);
  assert.deepEqual(answerTo(4, { clientId: '' }, { assignClientId: false }), [words, 'closed']);
  const [words5] = answerTo(5, { clientId: '' }, { assignClientId: false });
  assert.equal(words5, `${words} reason-string="an empty client identifier is not accepted"`);
});

test('a client identifier is measured in bytes [MQTT-3.1.3-5]', () => {
  const options = { maxClientIdBytes: 23 };
  assert.deepEqual(answerTo(4, { clientId: 'x'.repeat(23) }, options), ['CONNACK Success']);
  assert.deepEqual(answerTo(4, { clientId: 'x'.repeat(24) }, options), ['CONNACK Client Identifier not valid', 'closed']);
  assert.deepEqual(answerTo(4, { clientId: '€'.repeat(8) }, options), ['CONNACK Client Identifier not valid', 'closed']);
});

test('client identifiers of sessions of other protocols are refused', () => {
  for (const version of [3, 4, 5] as const) {
    const words = answerTo(version, { clientId: '$amqp/container/out/link' });
    assert.equal(words.length, 2);
    assert.match(words[0]!, /^CONNACK (Client Identifier not valid|Unacceptable|.*identifier rejected)/i);
    assert.equal(words[1], 'closed');
    assert.deepEqual(answerTo(version, { clientId: '$amqp' }), ['CONNACK Success']);
  }
});

test('server keep-alive is told where it differs [MQTT-3.2.2-22]', () => {
  const options = { maxKeepAliveSec: 100, defaultKeepAliveSec: 60 };
  assert.deepEqual(answerTo(5, { keepAlive: 30 }, options), ['CONNACK Success']);
  assert.deepEqual(answerTo(5, { keepAlive: 0 }, options), ['CONNACK Success server-keep-alive=60']);
  assert.deepEqual(answerTo(5, { keepAlive: 500 }, options), ['CONNACK Success server-keep-alive=100']);
  assert.deepEqual(answerTo(4, { keepAlive: 500 }, options), ['CONNACK Success']);
});

test('response information only for who asks, and only if there is a prefix [MQTT-3.1.2-28]', () => {
  const options = { responseTopicPrefix: 'reply/' };
  assert.deepEqual(answerTo(5, {}, options), ['CONNACK Success']);
  const asks = { properties: { requestResponseInformation: true } };
  assert.deepEqual(answerTo(5, asks, options), ['CONNACK Success response-information="reply/c/"']);
  assert.deepEqual(answerTo(5, asks), ['CONNACK Success']);
});

test('a will is handed to the broker with all that belongs to it, on bytes of its own', () => {
  const dialogue = new Dialogue(5);
  dialogue.send(
    connect(5, {
      will: {
        topic: 'gone',
        payload: Buffer.from('bye'),
        qos: 2,
        retain: true,
        properties: {
          willDelayInterval: 5,
          messageExpiryInterval: 60,
          contentType: 'text/plain',
          userProperties: [
            { key: 'k', value: '1' },
            { key: 'k', value: '2' },
          ],
        },
      },
    }),
  );
  const { message, delayMs } = dialogue.broker.lastRequest!.will!;
  assert.equal(delayMs, 5000);
  // The dialogue has overwritten the bytes that the packet came in.
  assert.deepEqual(
    [message.topic, Buffer.from(message.topicBytes).toString(), Buffer.from(message.payload()).toString()],
    ['gone', 'gone', 'bye'],
  );
  assert.deepEqual([message.guarantee, message.retain, message.expiresAtMs - message.acceptedAtMs, message.sender], [2, true, 60_000, 'p']);
  assert.equal(message.attributes?.contentType, 'text/plain');
  assert.deepEqual(
    message.attributes.properties?.map(({ value }) => value.value), // [MQTT-3.1.3-10]
    ['1', '2'],
  );
});

test('a will that cannot be kept is refused with its own code', () => {
  const will = { topic: 'w', payload: Buffer.from('x'), qos: 1, retain: true } as const;
  const refused = (more: object, options: Partial<MqttOptions>): string => {
    const [words, closed] = answerTo(5, { will: { ...will, ...more } }, options);
    assert.equal(closed, 'closed');
    return words!.replace(/ reason-string.*/, '');
  };
  assert.equal(refused({}, { maxQos: 0 }), 'CONNACK QoS not supported'); // [MQTT-3.2.2-12]
  assert.equal(refused({}, { retainAvailable: false }), 'CONNACK Retain not supported'); // [MQTT-3.2.2-13]
  for (const topic of ['', 'a/+', '#', 'a/b/c/d', 'long-topic-name']) {
    assert.equal(refused({ topic }, { maxTopicLevels: 3, maxTopicBytes: 12 }), 'CONNACK Topic Name invalid', topic);
  }
  assert.equal(refused({ payload: Buffer.of(0xff), properties: { payloadFormatIndicator: 1 } }, {}), 'CONNACK Payload format invalid');
  assert.equal(refused({ properties: { responseTopic: 'a/#' } }, {}), 'CONNACK Protocol Error'); // [MQTT-3.3.2-14]
  assert.deepEqual(answerTo(4, { will: { ...will, topic: 'a/#' } }), ['closed'], '3.1.1 has no code for it');
});

test('a CONNECT of another version or protocol', () => {
  const wrongLevel = Buffer.from([0x10, 12, 0, 4, ...Buffer.from('MQTT'), 6, 2, 0, 0, 0, 0]);
  const dialogue = new Dialogue(5);
  dialogue.send(wrongLevel);
  assert.deepEqual(dialogue.heard(), ['CONNACK Unsupported Protocol Version', 'closed']); // [MQTT-3.1.2-2]
  const wrongName = Buffer.from([0x10, 12, 0, 4, ...Buffer.from('MQTX'), 4, 2, 0, 0, 0, 0]);
  const other = new Dialogue(4);
  other.send(wrongName);
  assert.deepEqual(other.heard(), ['closed']); // [MQTT-3.1.2-1]
});

test('a CONNACK that is larger than the client takes is not sent [MQTT-3.1.2-24]', () => {
  const dialogue = new Dialogue(5);
  dialogue.send(connect(5, { properties: { maximumPacketSize: 6 } }));
  assert.deepEqual(dialogue.heard(), ['closed']);
  dialogue.lose();
  assert.deepEqual(dialogue.asked(), ['attach c clean', 'detach'], 'the session is given back, without its will');
});

test('reason strings are left out for a client that does not want them [MQTT-3.1.2-29], and where they do not fit [MQTT-3.2.2-19]', () => {
  const small = new Dialogue(5);
  small.security.denied.add('connect c');
  small.send(connect(5, { properties: { maximumPacketSize: 10 } }));
  assert.deepEqual(small.heard(), ['CONNACK Not authorized', 'closed']);
});

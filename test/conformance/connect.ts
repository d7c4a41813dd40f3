// CONNECT and CONNACK (3.1, 3.2).

import assert from 'node:assert/strict';

import { hex } from '../harness/packet.ts';
import { conforms } from './conforms.ts';
import { expectRefused } from './refused.ts';

conforms({ v4: '3.1.0-1', v5: '3.1.0-1' }, 'a first packet other than CONNECT closes the connection', (h) => {
  for (const packet of [
    { type: 'pingreq' },
    { type: 'publish', topic: 't', payload: 'x' },
    { type: 'subscribe', id: 1, subscriptions: [{ filter: '#' }] },
    { type: 'disconnect' },
  ] as const) {
    const c = h.client();
    c.send(packet as Parameters<typeof c.send>[0]);
    assert.deepEqual(c.takeAll(), []);
    c.expectClosed();
  }
});

conforms({ v4: '3.1.0-2 4.8.0-1', v5: '3.1.0-2 4.13.1-1' }, 'a second CONNECT closes the connection', (h) => {
  h.connect('c').connect({ clientId: 'c' }).expectClosed(0x82);
});

conforms({ v4: '3.1.2-1', v5: '3.1.2-1' }, 'a wrong protocol name is not processed as MQTT', (h) => {
  for (const protocolName of ['MQTX', 'mqtt', 'MQTTT', '', 'MQIsdpp']) {
    const c = h.client().connect({ clientId: 'c', protocolName });
    expectRefused(c, undefined, 0x84, 0x81, 0x82);
  }
});

conforms({ v4: '3.1.2-2 3.2.2-4 3.2.2-5' }, 'an unsupported protocol level is told so and closed', (h) => {
  for (const protocolLevel of [0, 1, 2]) {
    const c = h.client().connect({ clientId: 'c', protocolLevel });
    c.expect('connack', { reason: 1, sessionPresent: false }).expectClosed();
  }
});

conforms({ v5: '3.1.2-2 3.2.2-7' }, 'an unsupported protocol version is told so and closed', (h) => {
  for (const protocolLevel of [6, 7, 255]) expectRefused(h.client().connect({ clientId: 'c', protocolLevel }), undefined, 0x84);
});

conforms({ v4: '3.1.2-3 3.1.4-1', v5: '3.1.2-3 3.1.4-1' }, 'the reserved connect flag must be 0', (h) => {
  expectRefused(h.client().connect({ clientId: 'c', connectFlags: 0x03 }), undefined, 0x81);
});

conforms(
  { v4: '3.1.2-9 3.1.2-11 3.1.2-13 3.1.2-14 3.1.2-15 3.1.2-22 3.1.4-1', v5: '3.1.2-9 3.1.2-11 3.1.2-12 3.1.2-13 3.1.4-1' },
  'connect flags that contradict each other close the connection',
  (h) => {
    const will = { topic: 'w', payload: 'x' };
    const contradictions = [
      { connectFlags: 0x02 | 0x08 }, // will QoS without will
      { connectFlags: 0x02 | 0x20 }, // will retain without will
      { connectFlags: 0x02 | 0x04 }, // will flag, but no will in the payload
      { connectFlags: 0x02 | 0x04 | 0x18, will }, // will QoS 3
    ];
    for (const fields of contradictions) expectRefused(h.client().connect({ clientId: 'c', ...fields }), undefined, 0x81, 0x82);
    if (h.version === 4) expectRefused(h.client().connect({ clientId: 'c', connectFlags: 0x42, password: 'p' }), undefined);
  },
);

conforms(
  { v4: '3.1.2-18 3.1.2-19 3.1.2-20 3.1.2-21 3.1.3-1 3.1.3-3 3.1.4-1', v5: '3.1.2-16 3.1.2-17 3.1.2-18 3.1.2-19 3.1.3-1 3.1.3-3 3.1.4-1' },
  'a payload that does not have what the flags announce closes the connection',
  (h) => {
    const tail = h.version === 5 ? '00' : '';
    const cut = [
      { connectFlags: 0x82 }, // user name flag, none there
      { connectFlags: 0xc2, username: 'u' }, // password flag, none there
      { connectFlags: 0x02, username: 'u' }, // user name there without its flag
      { connectFlags: 0x82, username: 'u', password: 'p' }, // password there without its flag
    ];
    for (const fields of cut) expectRefused(h.client().connect({ clientId: 'c', ...fields }), undefined, 0x81);
    // No client identifier at all.
    const header = `00 04 4d 51 54 54 0${h.version} 02 00 00 ${tail}`;
    expectRefused(h.client().raw(`10 ${hex(header).length.toString(16).padStart(2, '0')} ${header}`), undefined, 0x81);
  },
);

conforms({ v4: '3.1.3-2', v5: '3.1.3-2' }, 'the client identifier names the session', (h) => {
  h.session('one').subscribe('a', { qos: 1 }).disconnect();
  h.session('two').subscribe('b', { qos: 1 }).disconnect();
  h.publish('a', 'for one', 1);
  h.publish('b', 'for two', 1);
  h.session('two', {}, true).expect('publish', { topic: 'b', payload: 'for two' }).expectNothing();
  h.session('one', {}, true).expect('publish', { topic: 'a', payload: 'for one' }).expectNothing();
  h.session('One', {}, false).expectNothing();
});

conforms({ v4: '3.1.3-5', v5: '3.1.3-5' }, 'identifiers of 1 to 23 letters and digits are accepted', (h) => {
  h.connect('a');
  h.connect('0123456789abcdefghijklm');
  h.connect('nopqrstuvwxyzABCDEFGHIJ');
  h.connect('KLMNOPQRSTUVWXYZ');
});

conforms({ v4: '3.1.3-6', v5: '3.1.3-6 3.1.3-7 3.2.2-16' }, 'an empty identifier is replaced by a unique one', (h) => {
  const first = h.client().connect({ clientId: '' });
  const second = h.client().connect({ clientId: '' });
  const ids = [first, second].map((c) => c.next('connack').properties.assignedClientIdentifier as string | undefined);
  // Were it the same session, the first would have been closed.
  first.subscribe('t').publish('t', 'x').expect('publish', { payload: 'x' });
  second.expectNothing();
  if (h.version === 4) return;
  assert.ok(ids[0] !== undefined && ids[0] !== '' && ids[0] !== ids[1]);
  // The connection counts as one of that identifier.
  h.connect(ids[0]);
  first.expectClosed(0x8e);
});

conforms({ v4: '3.1.3-7 3.1.3-8' }, 'an empty identifier without clean session is refused', (h) => {
  h.client().connect({ clientId: '', clean: false }).expect('connack', { reason: 2, sessionPresent: false }).expectClosed();
});

conforms(
  { v4: '3.1.3-9 3.2.2-4 3.2.2-5', v5: '3.1.3-8 3.2.2-6 3.2.2-7 3.2.2-8 4.13.2-1' },
  'an identifier that is not accepted is refused',
  (h) => expectRefused(h.client().connect({ clientId: 'x'.repeat(65_535) }), 2, 0x85, 0x95),
);

conforms(
  { v4: '3.2.2-4 3.2.2-5 3.1.4-5', v5: '3.1.4-2 3.1.4-6 3.2.2-6 3.2.2-7 3.2.2-8' },
  'bad credentials are refused, and nothing after them processed',
  (h) => {
    const watcher = h.connect('watcher').subscribe('#');
    h.security.password = 'right';
    const c = h.client();
    const pieces = [
      { type: 'connect', clientId: 'c', username: 'u', password: 'wrong' },
      { type: 'publish', topic: 't', payload: 'smuggled' },
    ] as const;
    c.sendTogether(...pieces);
    c.expect('connack', {
      reason: h.version === 5 ? (r) => r === 0x86 || r === 0x87 : (r) => r === 4 || r === 5,
      sessionPresent: false,
    }).expectClosed();
    watcher.expectNothing();
  },
);

conforms({ v4: '3.1.4-2', v5: '3.1.4-3' }, 'a second connection of the same identifier closes the first', (h) => {
  const first = h.connect('c');
  const second = h.connect('c');
  first.expectClosed(0x8e);
  second.subscribe('t').publish('t', 'x').expect('publish');
});

conforms({ v4: '3.1.4-4 3.2.0-1', v5: '3.1.4-5 3.2.0-1 3.2.0-2 3.2.2-1' }, 'an accepted CONNECT gets one CONNACK, first of all', (h) => {
  h.session('c').subscribe('t', { qos: 1 }).disconnect();
  h.publish('t', 'waiting', 1);
  const c = h.client().connect({ clientId: 'c', ...h.durable });
  c.expect('connack', { reason: 0, sessionPresent: true }).expect('publish', { payload: 'waiting' }).expectNothing();
});

conforms({ v4: '3.1.4-4 3.2.0-1', v5: '3.2.0-1' }, 'packets sent right after CONNECT are answered after CONNACK', (h) => {
  const c = h.client();
  c.sendTogether(
    { type: 'connect', clientId: 'c' },
    { type: 'subscribe', id: 1, subscriptions: [{ filter: 't' }] },
    { type: 'publish', topic: 't', payload: 'x' },
    { type: 'pingreq' },
  );
  c.expect('connack').expect('suback').expect('publish').expect('pingresp').expectNothing();
});

conforms(
  { v4: '3.2.2-1 3.1.2-6 3.1.4-3', v5: '3.2.2-2 3.1.2-4 3.1.4-4' },
  'a clean start says that no session is present, and there is none',
  (h) => {
    h.session('c').subscribe('t', { qos: 1 }).disconnect();
    h.publish('t', 'queued', 1);
    h.client().connect({ clientId: 'c', clean: true }).expect('connack', { sessionPresent: false }).expectNothing();
    h.publish('t', 'later', 1);
    // Nothing of the old session is found again either.
    h.session('c', {}, false).expectNothing();
  },
);

conforms(
  { v4: '3.2.2-2 3.2.2-3 3.1.2-4', v5: '3.2.2-3 3.1.2-5 3.1.2-6' },
  'session present says whether the server had the session',
  (h) => {
    h.client()
      .connect({ clientId: 'c', ...h.durable })
      .expect('connack', { sessionPresent: false })
      .disconnect();
    h.client()
      .connect({ clientId: 'c', ...h.durable })
      .expect('connack', { sessionPresent: true })
      .disconnect();
  },
);

conforms({ v4: '3.2.2-6 3.1.4-1' }, 'what no return code fits is closed without CONNACK', (h) => {
  expectRefused(h.client().connect({ clientId: 'c', will: { topic: 'bad/#' } }), undefined);
});

conforms(
  { v5: '3.2.2-9 3.2.2-10 3.2.2-12' },
  'a lower maximum QoS is announced and kept, and subscriptions are still taken',
  (h) => {
    const c = h.client().connect({ clientId: 'c' });
    c.expect('connack', { properties: { maximumQoS: 1 } });
    c.send({ type: 'subscribe', id: 1, subscriptions: [{ filter: 't', qos: 2 }] }).expect('suback', { reasons: (r) => r![0]! <= 2 });
    c.send({ type: 'publish', topic: 't', qos: 2, id: 1 }).expectClosed(0x9b);
    expectRefused(h.client().connect({ clientId: 'w', will: { topic: 'w', qos: 2 } }), undefined, 0x9b);
  },
  { mqtt: { maxQos: 1 } },
);

conforms(
  { v5: '3.2.2-13' },
  'without retained messages a retained will is refused',
  (h) => {
    const c = h.client().connect({ clientId: 'c' });
    c.expect('connack', { properties: { retainAvailable: 0 } });
    c.send({ type: 'publish', topic: 't', retain: true }).expectClosed(0x9a);
    expectRefused(h.client().connect({ clientId: 'w', will: { topic: 'w', retain: true } }), undefined, 0x9a);
  },
  { mqtt: { retainAvailable: false } },
);

conforms(
  { v5: '3.1.2-28' },
  'response information only when it was requested',
  (h) => {
    for (const properties of [{}, { requestResponseInformation: 0 }]) {
      h.client()
        .connect({ clientId: 'c', properties })
        .expect('connack', { properties: { responseInformation: undefined } });
    }
  },
  { mqtt: { responseTopicPrefix: 'answers/' } },
);

conforms({ v5: '3.1.4-1 4.13.1-1' }, 'properties of CONNECT that are wrong are refused', (h) => {
  const wrong = [
    { receiveMaximum: 0 },
    { maximumPacketSize: 0 },
    { requestProblemInformation: 2 },
    { requestResponseInformation: 2 },
    { authenticationData: 'without a method' },
    { topicAlias: 1 }, // not of CONNECT
    { raw: hex('7f 00') }, // unknown
    { raw: hex('11 00 00 00 01 11 00 00 00 02') }, // session expiry twice
    { raw: hex('11 00 00') }, // cut short
  ];
  for (const properties of wrong) expectRefused(h.client().connect({ clientId: 'c', properties }), undefined, 0x81, 0x82);
});

conforms(
  { v5: '3.1.2-28' },
  'response information when it was requested',
  (h) => {
    const c = h.client().connect({ clientId: 'c', properties: { requestResponseInformation: 1 } });
    c.expect('connack', { properties: { responseInformation: (v) => typeof v === 'string' && v.startsWith('answers/') } });
  },
  { mqtt: { responseTopicPrefix: 'answers/' } },
);

conforms(
  { v5: '3.9.3-2 3.2.2-8' },
  'what the server does not offer is announced, and refused with its reason',
  (h) => {
    const c = h.client().connect({ clientId: 'c' });
    c.expect('connack', { properties: { sharedSubscriptionAvailable: 0, subscriptionIdentifierAvailable: 0 } });
    c.send({ type: 'subscribe', id: 1, subscriptions: [{ filter: '$share/g/t' }, { filter: 't' }] }).expect('suback', {
      reasons: [0x9e, 0],
    });
    const properties = { subscriptionIdentifier: 1 };
    c.send({ type: 'subscribe', id: 2, subscriptions: [{ filter: 't' }], properties }).expect('suback', { reasons: [0xa1] });
  },
  { mqtt: { sharedSubscriptionsAvailable: false, subscriptionIdentifiersAvailable: false } },
);

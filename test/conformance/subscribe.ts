// SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK (3.8 to 3.11).

import assert from 'node:assert/strict';

import { frame, prefixed } from '../harness/encode.ts';
import { hex } from '../harness/packet.ts';
import { conforms } from './conforms.ts';

conforms(
  { v4: '3.8.1-1 3.10.1-1 3.6.1-1', v5: '3.8.1-1 3.10.1-1 3.6.1-1' },
  'flags other than 0010 in SUBSCRIBE, UNSUBSCRIBE and PUBREL close',
  (h) => {
    for (const flags of [0, 1, 3, 4, 6, 10]) {
      h.connect('c')
        .send({ type: 'subscribe', id: 1, subscriptions: [{ filter: 'a' }], flags })
        .expectClosed(0x81);
      h.connect('c')
        .send({ type: 'unsubscribe', id: 1, filters: ['a'], flags })
        .expectClosed(0x81);
      h.connect('c').send({ type: 'pubrel', id: 1, flags }).expectClosed(0x81);
    }
  },
);

conforms(
  { v4: '3.8.3-3 3.10.3-2 4.8.0-1', v5: '3.8.3-2 3.10.3-2 4.13.1-1' },
  'SUBSCRIBE and UNSUBSCRIBE without a filter close the connection',
  (h) => {
    h.connect('c').send({ type: 'subscribe', id: 1, subscriptions: [] }).expectClosed([0x81, 0x82]);
    h.connect('c').send({ type: 'unsubscribe', id: 1, filters: [] }).expectClosed([0x81, 0x82]);
  },
);

conforms({ v4: '3.8.3-4', v5: '3.8.3-5' }, 'reserved option bits and QoS 3 close the connection', (h) => {
  const bad = h.version === 5 ? [0x40, 0x80, 0xc1, 0x03, 0x30] : [0x03, 0x04, 0x08, 0x10, 0x40, 0x80];
  for (const options of bad) {
    h.connect('c')
      .send({ type: 'subscribe', id: 1, subscriptions: [{ filter: 'a', options }] })
      .expectClosed([0x81, 0x82]);
  }
});

conforms({ v4: '2.2.2-2', v5: '4.13.1-1' }, 'a SUBSCRIBE that is cut short or too long closes the connection', (h) => {
  const properties = h.version === 5 ? '00' : '';
  for (const tail of ['', '00', '00 05 61', '00 01 61', '00 01 61 00 00']) {
    h.connect('c')
      .sendBytes(frame(8, 2, hex(`00 01 ${properties} ${tail}`)))
      .expectClosed([0x81, 0x82]);
  }
});

conforms(
  { v4: '3.8.4-1 3.8.4-2 3.8.4-4 3.8.4-5 3.9.3-1 3.9.3-2', v5: '3.8.4-1 3.8.4-5 3.8.4-6 3.8.4-7 3.9.3-1 3.9.3-2' },
  'one SUBACK with one code per filter, in their order',
  (h) => {
    h.security.deny('subscribe', 'secret');
    const c = h.connect('c');
    const filters: [string, number][] = [
      ['a', 2],
      ['secret/x', 1],
      ['b/+', 0],
      ['c/#', 1],
      ['bad#', 1],
    ];
    c.send({ type: 'subscribe', id: 7, subscriptions: filters.map(([filter, qos]) => ({ filter, qos })) });
    c.expect('suback', { id: 7, reasons: h.version === 5 ? [2, 0x87, 0, 1, 0x8f] : [2, 0x80, 0, 1, 0x80] }).expectNothing();
    for (const topic of ['a', 'b/x', 'c', 'secret/x']) h.publish(topic, topic);
    for (const topic of ['a', 'b/x', 'c']) c.expect('publish', { topic });
    c.expectNothing();
  },
);

conforms(
  { v4: '3.8.4-3', v5: '3.8.4-3 3.8.4-4' },
  'the same filter again replaces the subscription and sends retained messages again',
  (h) => {
    h.publish('t', 'kept', 1, true);
    const c = h.connect('c').subscribe('t', { qos: 2 }).expect('publish', { payload: 'kept', qos: 1, retain: true });
    c.subscribe('t', { qos: 0 }).expect('publish', { payload: 'kept', qos: 0, retain: true });
    h.publish('t', 'once', 2);
    c.expect('publish', { payload: 'once', qos: 0 }).expectNothing();
  },
);

conforms({ v4: '3.8.4-3', v5: '3.8.4-4' }, 'no message is lost while a subscription is replaced', (h) => {
  const c = h.session('c').subscribe('t', { qos: 1 });
  c.autoAcknowledge = true;
  h.holdJournal();
  const p = h.connect('p');
  p.send({ type: 'publish', topic: 't', payload: 'before', qos: 1, id: 1 });
  c.send({ type: 'subscribe', id: 2, subscriptions: [{ filter: 't', qos: 1 }] });
  p.send({ type: 'publish', topic: 't', payload: 'after', qos: 1, id: 2 });
  h.releaseJournal();
  c.take('suback', { id: 2 });
  c.expect('publish', { payload: 'before' }).expect('publish', { payload: 'after' }).expectNothing();
});

conforms({ v4: '3.8.4-4', v5: '3.8.4-5' }, 'many filters work like as many SUBSCRIBEs', (h) => {
  h.publish('r/1', 'one', 0, true);
  h.publish('r/2', 'two', 0, true);
  const c = h.connect('c');
  const subscriptions = ['r/1', 'r/2', 'x', 'x'].map((filter) => ({ filter, qos: 1 }));
  c.send({ type: 'subscribe', id: 1, subscriptions }).expect('suback', { reasons: [1, 1, 1, 1] });
  assert.deepEqual(
    c
      .takeAll()
      .map(({ payload }) => payload)
      .sort(),
    ['one', 'two'],
  );
  h.publish('x', 'only once', 1);
  c.expect('publish', { payload: 'only once' }).expectNothing();
});

conforms({ v4: '3.8.4-6', v5: '3.8.4-8' }, 'messages come at the lower of published and granted QoS', (h) => {
  for (const granted of [0, 1, 2]) {
    const c = h.connect(`c${granted}`).subscribe('t', { qos: granted });
    for (const published of [0, 1, 2]) {
      h.publish('t', 'x', published);
      c.expect('publish', { qos: Math.min(granted, published) });
    }
    c.drop();
  }
});

conforms(
  { v4: '3.8.3-2', v5: '3.9.3-2' },
  'a server without wildcards rejects filters that hold them',
  (h) => {
    const c = h.connect('c');
    const subscriptions = ['a/+', '#', 'a'].map((filter) => ({ filter, qos: 0 }));
    const refused = h.version === 5 ? 0xa2 : 0x80;
    c.send({ type: 'subscribe', id: 1, subscriptions }).expect('suback', { reasons: [refused, refused, 0] });
  },
  { mqtt: { wildcardSubscriptionsAvailable: false } },
);

conforms({ v5: '3.8.3-3' }, 'no local keeps a message from its publisher, and only from it', (h) => {
  const c = h.connect('c').subscribe('t', { qos: 1, noLocal: true });
  const d = h.connect('d').subscribe('t', { qos: 1, noLocal: true });
  c.publish('t', 'own', { qos: 1 });
  c.expectNothing();
  d.expect('publish', { payload: 'own' }).expectNothing();
  // Another subscription of the same client still gets it.
  c.subscribe('#').publish('t', 'own');
  c.expect('publish', { payload: 'own' });
});

conforms({ v5: '3.8.3-4' }, 'no local on a shared subscription is a protocol error', (h) => {
  const subscriptions = [{ filter: '$share/g/t', noLocal: true }];
  h.connect('c').send({ type: 'subscribe', id: 1, subscriptions }).expectClosed(0x82);
});

conforms({ v5: '4.13.1-1' }, 'a subscription identifier that is 0, or given twice, closes the connection', (h) => {
  const subscriptions = [{ filter: 't' }];
  for (const subscriptionIdentifier of [0, [1, 2]]) {
    h.connect('c').send({ type: 'subscribe', id: 1, subscriptions, properties: { subscriptionIdentifier } }).expectClosed([0x81, 0x82]);
  }
});

conforms(
  { v4: '3.10.4-1 3.10.4-2 3.10.4-4', v5: '3.10.4-1 3.10.4-2 3.10.4-4' },
  'UNSUBSCRIBE ends the subscription of exactly that filter',
  (h) => {
    const c = h.connect('c').subscribe('a/b').subscribe('a/+').subscribe('a/#');
    c.unsubscribe('A/b', 'a/b/', 'a/', '+/b');
    c.unsubscribe('a/b', 'a/+');
    h.publish('a/b', 'one');
    c.expect('publish', { payload: 'one' }).expectNothing();
    c.unsubscribe('a/#');
    h.publish('a/b', 'two');
    c.expectNothing();
  },
);

conforms({ v4: '3.10.4-3', v5: '3.10.4-3' }, 'deliveries that have begun are completed after UNSUBSCRIBE', (h) => {
  const c = h.session('c').subscribe('t', { qos: 2 });
  h.publish('t', 'one', 1);
  h.publish('t', 'two', 2);
  const [one, two] = [c.take('publish', { payload: 'one' }), c.take('publish', { payload: 'two' })];
  c.send({ type: 'pubrec', id: two.id! }).expect('pubrel', { id: two.id! });
  c.unsubscribe('t').drop();
  const again = h.session('c', {}, true);
  again.take('publish', { id: one.id!, payload: 'one', dup: true });
  again.take('pubrel', { id: two.id! });
  again.send({ type: 'puback', id: one.id! }).send({ type: 'pubcomp', id: two.id! }).expectNothing();
});

conforms(
  { v4: '3.10.4-5 3.10.4-6', v5: '3.10.4-5 3.10.4-6 3.11.3-1 3.11.3-2' },
  'one UNSUBACK, also when nothing was subscribed, with one code per filter in their order',
  (h) => {
    const c = h.connect('c').subscribe('a').subscribe('c');
    c.send({ type: 'unsubscribe', id: 99, filters: ['a', 'b', 'c', 'a'] });
    c.expect('unsuback', { id: 99, reasons: h.version === 5 ? [0, 0x11, 0, 0x11] : [] }).expectNothing();
    h.publish('a', 'x');
    h.publish('c', 'x');
    c.expectNothing();
    c.send({ type: 'unsubscribe', id: 100, filters: ['never'] }).expect('unsuback', { id: 100 });
  },
);

conforms({ v4: '2.2.2-2', v5: '4.13.1-1' }, 'an UNSUBSCRIBE that is cut short closes the connection', (h) => {
  const properties = h.version === 5 ? '00' : '';
  for (const tail of ['00', '00 05 61']) {
    h.connect('c')
      .sendBytes(frame(10, 2, hex(`00 01 ${properties} ${tail}`)))
      .expectClosed([0x81, 0x82]);
  }
  assert.equal(prefixed('a').length, 3);
});

conforms({ v5: '3.8.3-3' }, 'no local at each QoS', (h) => {
  for (const qos of [0, 1, 2]) {
    const c = h.connect(`c${qos}`).subscribe('t', { qos, noLocal: true });
    c.publish('t', 'own', { qos });
    c.expectNothing();
    h.publish('t', 'from another', qos);
    c.expect('publish', { payload: 'from another', qos }).drop();
  }
});

conforms({ v4: '3.3.1-6 3.8.4-4', v5: '3.3.1-9 3.8.4-5' }, 'every retained message is sent, however many there are', (h) => {
  const count = 2000;
  for (let n = 0; n < count; n++) h.publish(`many/${n % 50}/${n}`, String(n), 0, true);
  const c = h.connect('c').subscribe('many/#', { qos: 1 });
  const seen = c.takeAll().map(({ payload, retain }) => {
    assert.equal(retain, true);
    return Number(payload);
  });
  assert.deepEqual(
    seen.sort((a, b) => a - b),
    Array.from({ length: count }, (_, n) => n),
  );
});

// Maximum packet size (3.1.2.11.4), and what must be left out to keep within it. The client's watch fails on any packet that is
// larger than the client allows; these tests provoke every kind.

import assert from 'node:assert/strict';

import { conforms } from './conforms.ts';
import { expectRefused } from './refused.ts';

const userProperty = [['a long key', 'and a long value that will not fit']] as const;

conforms({ v5: '3.1.2-24 3.1.2-25' }, 'a message that is too large is dropped as if it had been sent', (h) => {
  const c = h.session('c', { properties: { maximumPacketSize: 100 } }).subscribe('t', { qos: 2 });
  c.autoAcknowledge = true;
  for (const qos of [0, 1, 2]) {
    h.publish('t', 'x'.repeat(200), qos);
    h.publish('t', `fits ${qos}`, qos);
    h.publish('t', 'x', qos, false, { properties: { userProperty: [...userProperty, ...userProperty, ...userProperty] } });
  }
  assert.deepEqual(
    c
      .takeAll()
      .filter(({ type }) => type === 'publish')
      .map(({ payload }) => payload),
    ['fits 0', 'fits 1', 'fits 2'],
  );
  // It does not come later either, to a connection that would take it.
  c.drop();
  h.session('c', {}, true).expectNothing();
});

conforms({ v5: '3.1.2-24' }, 'a packet of exactly the maximum is sent', (h) => {
  // PUBLISH to `t`: 2 + 3 + 1 bytes around the payload.
  const c = h.connect('c', { properties: { maximumPacketSize: 50 } }).subscribe('t');
  h.publish('t', 'x'.repeat(44));
  h.publish('t', 'x'.repeat(45));
  c.expect('publish', { payload: 'x'.repeat(44), bytes: 50 }).expectNothing();
});

conforms({ v5: '3.2.2-19 3.2.2-20' }, 'a refusing CONNACK leaves out what does not fit', (h) => {
  h.security.password = 'right';
  for (const maximumPacketSize of [5, 6, 10, 20, 30]) {
    const c = h.client().connect({ clientId: 'c', username: 'u', password: 'wrong', properties: { maximumPacketSize } });
    expectRefused(c, undefined, 0x86, 0x87);
  }
});

conforms(
  {
    v5: '3.4.2-2 3.4.2-3 3.5.2-2 3.5.2-3 3.6.2-2 3.6.2-3 3.7.2-2 3.7.2-3 3.9.2-1 3.9.2-2 3.11.2-1 3.11.2-2',
  },
  'answers leave out what does not fit',
  (h) => {
    h.security.deny('publish', 'secret');
    h.security.deny('subscribe', 'secret');
    // CONNACK needs some room; the smallest that the server can use here.
    for (const maximumPacketSize of [24, 30, 40]) {
      const c = h.connect('c', { properties: { maximumPacketSize } });
      c.send({ type: 'publish', topic: 'secret', qos: 1, id: 1 }).expect('puback', { reason: 0x87 });
      c.send({ type: 'publish', topic: 'secret', qos: 2, id: 2 }).expect('pubrec', { reason: 0x87 });
      c.send({ type: 'pubrec', id: 3 }).expect('pubrel', { reason: 0x92 });
      c.send({ type: 'pubrel', id: 4 }).expect('pubcomp', { reason: 0x92 });
      c.send({ type: 'subscribe', id: 5, subscriptions: [{ filter: 'secret' }] }).expect('suback', { reasons: [0x87] });
      c.send({ type: 'unsubscribe', id: 6, filters: ['never'] }).expect('unsuback', { reasons: [0x11] });
    }
  },
);

conforms({ v5: '3.14.2-3 3.14.2-4' }, 'DISCONNECT leaves out what does not fit', (h) => {
  for (const maximumPacketSize of [24, 30, 40]) {
    h.connect('c', { properties: { maximumPacketSize } }).raw('c0 01 00').expectClosed([0x81, 0x82]);
  }
});

conforms({ v5: '3.1.2-29' }, 'no problem information where it is not wanted', (h) => {
  h.security.deny('publish', 'secret');
  h.security.deny('subscribe', 'secret');
  // The watch fails on a reason string or user property in any of these.
  const c = h.connect('c', { properties: { requestProblemInformation: 0 } });
  c.send({ type: 'publish', topic: 'secret', qos: 1, id: 1 }).expect('puback', { reason: 0x87, properties: { reasonString: undefined } });
  c.send({ type: 'publish', topic: 'secret', qos: 2, id: 2 }).expect('pubrec', { reason: 0x87, properties: { reasonString: undefined } });
  c.send({ type: 'pubrec', id: 3 }).expect('pubrel', { properties: { reasonString: undefined }, reason: 0x92 });
  c.send({ type: 'pubrel', id: 4 }).expect('pubcomp', { properties: { reasonString: undefined }, reason: 0x92 });
  c.send({ type: 'subscribe', id: 5, subscriptions: [{ filter: 'secret' }] }).expect('suback', { properties: { reasonString: undefined } });
  c.subscribe('t');
  // User properties of messages are not problem information.
  h.publish('t', 'x', 0, false, { properties: { userProperty } });
  c.expect('publish', { properties: { userProperty } });
});

conforms(
  { v5: '4.13.1-1' },
  'a client that sends more than the server takes is closed',
  (h) => {
    const c = h.client().connect({ clientId: 'c' });
    c.expect('connack', { properties: { maximumPacketSize: 4096 } });
    c.publish('t', 'x'.repeat(4000));
    // The header is enough to know.
    c.raw('30 82 20').expectClosed(0x95);
  },
  { mqtt: { maxPacketBytes: 4096, maxConnectPacketBytes: 4096 } },
);

// Receive maximum and send quota (3.3.4, 4.9).

import assert from 'node:assert/strict';

import { conforms } from './conforms.ts';

conforms({ v5: '3.3.4-9 4.9.0-1 4.9.0-2' }, 'the server keeps within the receive maximum of the client', (h) => {
  const c = h.connect('c', { properties: { receiveMaximum: 3 } }).subscribe('t', { qos: 2 });
  for (let n = 0; n < 10; n++) h.publish('t', String(n), 1 + (n % 2));
  const first = [c.next('publish'), c.next('publish'), c.next('publish')];
  c.expectNothing();
  // PUBREC alone gives no credit; PUBCOMP, PUBACK and a refusing PUBREC do.
  c.send({ type: 'pubrec', id: first[1]!.id! }).expect('pubrel').expectNothing();
  c.send({ type: 'pubcomp', id: first[1]!.id! });
  const fourth = c.next('publish');
  c.expectNothing();
  c.send({ type: 'puback', id: first[0]!.id! }).expect('publish').expectNothing();
  c.send({ type: 'pubrec', id: fourth.id!, reason: 0x80 }).expect('publish').expectNothing();
});

conforms({ v5: '3.3.4-10 4.9.0-3' }, 'a quota of 0 holds nothing else back', (h) => {
  const c = h.connect('c', { properties: { receiveMaximum: 1 } }).subscribe('t', { qos: 2 });
  h.publish('t', 'first', 1);
  h.publish('t', 'held', 1);
  const { id } = c.next('publish');
  c.send({ type: 'pingreq' }).expect('pingresp');
  c.subscribe('u');
  h.publish('t', 'QoS 0', 0);
  c.expect('publish', { payload: 'QoS 0', qos: 0 });
  c.publish('elsewhere', 'x', { qos: 1 }).publish('elsewhere', 'x', { qos: 2 });
  c.unsubscribe('u').expectNothing();
  c.send({ type: 'puback', id: id! }).expect('publish', { payload: 'held' });
});

conforms({ v5: '4.9.0-1 4.9.0-2' }, 'each connection begins with the whole quota', (h) => {
  const c = h.session('c', { properties: { receiveMaximum: 2 } }).subscribe('t', { qos: 1 });
  for (let n = 0; n < 6; n++) h.publish('t', String(n), 1);
  c.expect('publish').expect('publish').expectNothing().drop();
  const again = h.session('c', { properties: { receiveMaximum: 4 } }, true);
  for (let n = 0; n < 4; n++) again.expect('publish', { payload: String(n), dup: n < 2 });
  again.expectNothing();
});

conforms(
  { v5: '4.13.1-1 4.9.0-1' },
  'a client that exceeds the receive maximum of the server is closed',
  (h) => {
    h.session('away').subscribe('t', { qos: 2 }).drop();
    const c = h.client().connect({ clientId: 'c' });
    c.expect('connack', { properties: { receiveMaximum: 3 } });
    for (let id = 1; id <= 3; id++) c.send({ type: 'publish', topic: 't', qos: 2, id }).expect('pubrec', { id });
    c.send({ type: 'publish', topic: 't', qos: 2, id: 3, dup: true }).expect('pubrec', { id: 3 }); // not one more
    c.send({ type: 'pubrel', id: 1 }).expect('pubcomp', { id: 1 });
    c.send({ type: 'publish', topic: 't', qos: 2, id: 4 }).expect('pubrec', { id: 4 });
    c.send({ type: 'publish', topic: 't', qos: 2, id: 5 }).expectClosed(0x93);
  },
  { mqtt: { receiveMaximum: 3 } },
);

conforms({ v4: '4.3.2-1', v5: '4.3.2-3' }, 'a slow client gets everything, at its pace', (h) => {
  const c = h.session('c').subscribe('t', { qos: 1 });
  c.stall();
  for (let n = 0; n < 50; n++) h.publish('t', Buffer.alloc(10_000, n), 1);
  c.autoAcknowledge = true;
  c.stall(false);
  const got = c.takeAll().filter(({ type }) => type === 'publish');
  assert.equal(got.length, 50);
});

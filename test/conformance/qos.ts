// Delivery protocols (4.3) and order (4.6), between client and server in both directions.

import assert from 'node:assert/strict';

import { conforms } from './conforms.ts';

conforms({ v4: '4.3.2-1', v5: '4.3.2-1 4.3.2-2 4.3.2-3' }, 'QoS 1 to a client: DUP 0, one identifier, over with PUBACK', (h) => {
  const c = h.session('c').subscribe('t', { qos: 1 });
  h.publish('t', 'x', 1);
  const { id } = c.next('publish');
  c.drop();
  const again = h.session('c', {}, true).expect('publish', { id: id!, dup: true, qos: 1 });
  again.send({ type: 'puback', id: id! }).drop();
  h.session('c', {}, true).expectNothing();
});

conforms(
  { v4: '4.3.2-2', v5: '4.3.2-4 4.3.2-5' },
  'QoS 1 from a client: after PUBACK the identifier means a new message, whatever DUP says',
  (h) => {
    const c = h.connect('c').subscribe('t', { qos: 1 });
    const p = h.connect('p');
    for (const dup of [false, true, true]) {
      p.send({ type: 'publish', topic: 't', payload: `${dup}`, qos: 1, id: 5, dup }).expect('puback', { id: 5 });
      c.expect('publish', { payload: `${dup}`, dup: false });
    }
  },
);

conforms(
  { v4: '4.3.3-1', v5: '4.3.3-2 4.3.3-4 4.3.3-6' },
  'QoS 2 to a client: PUBLISH with DUP 0, PUBREL after PUBREC with the same identifier',
  (h) => {
    const c = h.connect('c').subscribe('t', { qos: 2 });
    h.publish('t', 'x', 2);
    const { id, dup } = c.next('publish');
    assert.equal(dup, false);
    c.expectNothing();
    c.send({ type: 'pubrec', id: id! }).expect('pubrel', { id: id!, reason: 0 }).expectNothing();
    c.send({ type: 'pubcomp', id: id! }).expectNothing();
  },
);

conforms(
  { v4: '4.3.3-2', v5: '4.3.3-8 4.3.3-10 4.3.3-11 4.3.3-12' },
  'QoS 2 from a client: until PUBREL a repetition is answered and not delivered, after PUBCOMP it is new',
  (h) => {
    const c = h.connect('c').subscribe('t', { qos: 2 });
    c.autoAcknowledge = true;
    const p = h.connect('p');
    for (const dup of [false, true, false, true]) {
      p.send({ type: 'publish', topic: 't', payload: 'once', qos: 2, id: 9, dup }).expect('pubrec', { id: 9 });
    }
    c.take('publish', { payload: 'once', dup: false });
    assert.equal(c.takeAll().filter(({ type }) => type === 'publish').length, 0);
    p.send({ type: 'pubrel', id: 9 }).expect('pubcomp', { id: 9 });
    p.send({ type: 'publish', topic: 't', payload: 'again', qos: 2, id: 9 }).expect('pubrec', { id: 9 });
    c.take('publish', { payload: 'again', dup: false });
  },
);

conforms({ v4: '4.3.3-2', v5: '4.3.3-10' }, 'a repetition on the next connection of the session is not delivered either', (h) => {
  const c = h.connect('c').subscribe('t', { qos: 2 });
  h.session('p').send({ type: 'publish', topic: 't', payload: 'once', qos: 2, id: 9 }).expect('pubrec', { id: 9 }).drop();
  c.expect('publish', { payload: 'once' });
  const p = h.session('p', {}, true);
  p.send({ type: 'publish', topic: 't', payload: 'once', qos: 2, id: 9, dup: true }).expect('pubrec', { id: 9 });
  p.send({ type: 'pubrel', id: 9 }).expect('pubcomp', { id: 9, reason: 0 });
  c.expectNothing();
});

conforms({ v5: '4.3.3-9' }, 'after a PUBREC of 0x80 or more the identifier means a new message', (h) => {
  const c = h.connect('c').subscribe('#', { qos: 2 });
  h.security.deny('publish', 'secret');
  const p = h.connect('p');
  p.send({ type: 'publish', topic: 'secret', qos: 2, id: 3 }).expect('pubrec', { id: 3, reason: 0x87 });
  p.send({ type: 'publish', topic: 'open', payload: 'x', qos: 2, id: 3 }).expect('pubrec', { id: 3, reason: 0 });
  c.expect('publish', { topic: 'open', payload: 'x' }).expectNothing();
});

conforms({ v4: '4.3.3-2', v5: '3.7.2-1 4.3.3-11' }, 'a PUBREL for an unknown identifier is completed', (h) => {
  h.connect('c')
    .send({ type: 'pubrel', id: 1234 })
    .expect('pubcomp', { id: 1234, reason: h.version === 5 ? 0x92 : 0 });
});

conforms({ v5: '3.6.2-1' }, 'a PUBREC for an unknown identifier is answered with PUBREL 0x92', (h) => {
  h.connect('c').send({ type: 'pubrec', id: 1234 }).expect('pubrel', { id: 1234, reason: 0x92 });
});

conforms({ v4: '4.3.2-2 4.3.3-2', v5: '4.3.2-4 4.3.3-8' }, 'no acknowledgement before the message is safe', (h) => {
  h.session('c').subscribe('t', { qos: 2 }).drop();
  const p = h.connect('p');
  h.holdJournal();
  p.send({ type: 'publish', topic: 't', payload: '1', qos: 1, id: 1 }).expectNothing();
  p.send({ type: 'publish', topic: 't', payload: '2', qos: 2, id: 2 }).expectNothing();
  h.releaseJournal();
  p.expect('puback', { id: 1 }).expect('pubrec', { id: 2 });
});

conforms({ v4: '4.6.0-5 4.6.0-6', v5: '4.6.0-5 4.6.0-6' }, 'messages of one publisher on one topic arrive in order', (h) => {
  const c = h.connect('c').subscribe('t/#', { qos: 2 });
  c.autoAcknowledge = true;
  h.session('away').subscribe('t/#', { qos: 2 }).drop();
  const p = h.connect('p');
  for (let n = 0; n < 300; n++) p.publish(`t/${n % 3}`, String(n), { qos: n % 3 });
  const away = h.session('away', {}, true);
  away.autoAcknowledge = true;
  away.stall().stall(false);
  for (const [client, lowest] of [
    [c, 0],
    [away, 1],
  ] as const) {
    const seen = client.takeAll().filter(({ type }) => type === 'publish');
    for (let qos = lowest; qos <= 2; qos++) {
      const payloads = seen.filter((packet) => packet.qos === qos).map(({ payload }) => Number(payload));
      assert.deepEqual(
        payloads,
        Array.from({ length: 100 }, (_, n) => 3 * n + qos),
      );
    }
  }
});

conforms({ v4: '4.6.0-6', v5: '4.6.0-5' }, 'order holds for a client that is slow to acknowledge, and over a reconnect', (h) => {
  const properties = h.version === 5 ? { properties: { receiveMaximum: 3 } } : {};
  let c = h.session('c', properties).subscribe('t', { qos: 1 });
  for (let n = 0; n < 20; n++) h.publish('t', String(n), 1);
  const order: number[] = [];
  for (let step = 0; order.length < 20; step++) {
    const first = c.takeAll().filter(({ type }) => type === 'publish');
    assert.ok(first.length > 0, c.transcript);
    for (const { id, payload } of first) {
      order.push(Number(payload));
      c.send({ type: 'puback', id: id! });
    }
    if (step === 2) {
      c.drop();
      c = h.session('c', properties, true);
    }
  }
  assert.deepEqual(
    order,
    Array.from({ length: 20 }, (_, n) => n),
  );
});

conforms({ v4: '4.6.0-6', v5: '4.6.0-5' }, 'the server answers PUBLISHes in the order in which they came', (h) => {
  h.session('away').subscribe('durable', { qos: 2 }).drop();
  const p = h.connect('p');
  h.holdJournal();
  // The first must wait for the disk, the second need not.
  p.send({ type: 'publish', topic: 'durable', qos: 1, id: 1 }).send({ type: 'publish', topic: 'nobody', qos: 1, id: 2 });
  p.send({ type: 'publish', topic: 'durable', qos: 2, id: 3 }).send({ type: 'publish', topic: 'nobody', qos: 2, id: 4 });
  p.expectNothing();
  h.releaseJournal();
  p.expect('puback', { id: 1 }).expect('puback', { id: 2 }).expect('pubrec', { id: 3 }).expect('pubrec', { id: 4 });
});

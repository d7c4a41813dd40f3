// Sessions (3.1.2.4, 4.1, 4.4): what they keep, how they end, what comes again.

import assert from 'node:assert/strict';

import { conforms } from './conforms.ts';

conforms(
  { v4: '3.1.2-4 4.1.0-1', v5: '3.1.2-5 3.1.2-23 4.1.0-1' },
  'a session keeps subscriptions and messages while its client is away',
  (h) => {
    h.session('c').subscribe('a/+', { qos: 2 }).subscribe('b', { qos: 1 }).drop();
    h.advance(1000);
    h.publish('a/x', 'one', 2);
    h.publish('b', 'two', 1);
    const c = h.session('c', {}, true);
    c.take('publish', { topic: 'a/x', payload: 'one', qos: 2 });
    c.take('publish', { topic: 'b', payload: 'two', qos: 1 });
    h.publish('b', 'three', 1);
    c.expect('publish', { payload: 'three' });
  },
);

conforms(
  { v4: '3.1.2-5 4.5.0-1', v5: '3.1.2-23 4.5.0-1' },
  'messages above QoS 0 are kept for everyone whose subscription matches',
  (h) => {
    for (const id of ['one', 'two', 'three']) h.session(id).subscribe('t', { qos: 1 }).drop();
    h.session('other').subscribe('u', { qos: 1 }).drop();
    for (let n = 0; n < 10; n++) h.publish('t', String(n), 1 + (n % 2));
    for (const id of ['one', 'two', 'three']) {
      const c = h.session(id, {}, true);
      for (let n = 0; n < 10; n++) c.expect('publish', { payload: String(n), qos: 1, dup: false });
      c.expectNothing();
    }
    h.session('other', {}, true).expectNothing();
  },
);

conforms({ v4: '3.1.2-6', v5: '3.1.2-4 4.1.0-2' }, 'a session that ends with its connection leaves nothing behind', (h) => {
  const c = h.connect('c').subscribe('t', { qos: 1 });
  h.publish('t', 'not acknowledged', 1);
  c.expect('publish').drop();
  h.publish('t', 'later', 1);
  h.session('c', {}, false).expectNothing();
});

conforms({ v4: '3.1.2-7', v5: '4.1.0-2' }, 'retained messages outlive the session that published them', (h) => {
  h.connect('c').publish('t', 'kept', { retain: true, qos: 1 }).disconnect();
  h.advance(1000);
  h.connect('late').subscribe('t').expect('publish', { payload: 'kept', retain: true });
});

conforms({ v5: '4.1.0-2 3.1.2-23' }, 'a session ends when its expiry interval is over', (h) => {
  const properties = { sessionExpiryInterval: 60 };
  const open = (): ReturnType<typeof h.client> => h.client().connect({ clientId: 'c', clean: false, properties });
  open().expect('connack', { sessionPresent: false }).subscribe('t', { qos: 1 }).drop();
  h.advance(59_000);
  open().expect('connack', { sessionPresent: true }).drop();
  h.advance(61_000);
  open().expect('connack', { sessionPresent: false }).expectNothing();
});

conforms({ v5: '4.1.0-1' }, 'a session does not end while its connection is open', (h) => {
  const c = h.client().connect({ clientId: 'c', clean: false, properties: { sessionExpiryInterval: 1 } });
  c.expect('connack').subscribe('t', { qos: 1 });
  h.advance(100_000);
  h.publish('t', 'x', 1);
  c.expect('publish', { payload: 'x' });
});

conforms({ v4: '4.1.0-2' }, 'a session lasts as long as its connection', (h) => {
  const c = h.connect('c').subscribe('t', { qos: 1 });
  h.advance(100_000);
  h.publish('t', 'x', 1);
  c.expect('publish', { payload: 'x' });
});

conforms({ v5: '3.1.2-23 4.1.0-2' }, 'DISCONNECT can change the expiry interval, but not from 0', (h) => {
  h.session('c')
    .send({ type: 'disconnect', properties: { sessionExpiryInterval: 10 } })
    .expectClosed();
  h.advance(9_000);
  h.session('c', {}, true)
    .send({ type: 'disconnect', properties: { sessionExpiryInterval: 10 } })
    .expectClosed();
  h.advance(11_000);
  h.session('c', {}, false);
  h.connect('zero')
    .send({ type: 'disconnect', properties: { sessionExpiryInterval: 10 } })
    .expectClosed(0x82);
});

conforms(
  { v4: '4.4.0-1 3.3.1-1 2.3.1-4', v5: '4.4.0-1 3.3.1-1 4.3.2-3 4.3.3-3' },
  'what was not acknowledged comes again with its identifier, in order, with DUP',
  (h) => {
    const c = h.session('c').subscribe('t', { qos: 2 });
    for (const [n, qos] of [1, 2, 1, 2, 1].entries()) h.publish('t', String(n), qos);
    const first = [0, 1, 2, 3, 4].map(() => c.next('publish'));
    c.send({ type: 'puback', id: first[2]!.id! });
    c.drop();
    const again = h.session('c', {}, true);
    for (const n of [0, 1, 3, 4]) {
      again.expect('publish', { payload: String(n), id: first[n]!.id!, qos: first[n]!.qos!, dup: true });
    }
    again.expectNothing();
  },
);

conforms(
  { v4: '4.4.0-1 4.3.3-1', v5: '4.4.0-1 4.3.3-5 4.3.3-6' },
  'a PUBREL that was not answered comes again, and its PUBLISH does not',
  (h) => {
    const c = h.session('c').subscribe('t', { qos: 2 });
    h.publish('t', 'x', 2);
    const { id } = c.next('publish');
    c.send({ type: 'pubrec', id: id! }).expect('pubrel', { id: id! }).drop();
    const again = h.session('c', {}, true);
    again.expect('pubrel', { id: id! }).expectNothing();
    again.send({ type: 'pubcomp', id: id! }).drop();
    h.session('c', {}, true).expectNothing();
  },
);

conforms({ v5: '4.4.0-1' }, 'nothing is sent again on an open connection', (h) => {
  const c = h.session('c').subscribe('t', { qos: 2 });
  h.publish('t', '1', 1);
  h.publish('t', '2', 2);
  c.expect('publish').expect('publish');
  h.advance(1_000_000);
  c.expectNothing();
});

conforms({ v5: '4.4.0-2' }, 'what the client refused is not sent again', (h) => {
  const c = h.session('c').subscribe('t', { qos: 2 });
  h.publish('t', '1', 1);
  h.publish('t', '2', 2);
  const [one, two] = [c.next('publish'), c.next('publish')];
  c.send({ type: 'puback', id: one.id!, reason: 0x83 }).send({ type: 'pubrec', id: two.id!, reason: 0x83 }).expectNothing();
  c.drop();
  h.session('c', {}, true).expectNothing();
});

conforms({ v4: '4.4.0-1 4.1.0-1', v5: '4.4.0-1 4.1.0-1' }, 'the exchanges of a session go on after the server crashed', async (h) => {
  const c = h.session('c').subscribe('t', { qos: 2 });
  const before = h.session('watcher').subscribe('up', { qos: 1 });
  h.publish('t', 'one', 1);
  h.publish('t', 'two', 2);
  h.publish('t', 'three', 2);
  const [two, three] = [c.take('publish', { payload: 'two' }), c.take('publish', { payload: 'three' })];
  c.send({ type: 'pubrec', id: three.id! }).take('pubrel', { id: three.id! });
  c.send({ type: 'publish', topic: 'up', payload: 'once', qos: 2, id: 77 }).take('pubrec', { id: 77 });
  before.send({ type: 'puback', id: before.take('publish', { payload: 'once' }).id! });
  // What the client acknowledged need not be on disk at once: the next row takes it along.
  h.publish('t', 'four', 1);
  c.take('publish', { payload: 'four' });
  await h.crash();
  const watcher = h.session('watcher', {}, true);
  const again = h.session('c', {}, true);
  const back = again.takeAll();
  assert.deepEqual(
    back.map(({ type, payload }) => [type, payload]).sort(),
    [
      ['publish', 'four'],
      ['publish', 'one'],
      ['publish', 'two'],
      ['pubrel', undefined],
    ].sort(),
  );
  assert.equal(back.find(({ payload }) => payload === 'two')?.id, two.id);
  assert.equal(back.find(({ type }) => type === 'pubrel')?.id, three.id);
  again.send({ type: 'publish', topic: 'up', payload: 'once', qos: 2, id: 77, dup: true }).expect('pubrec', { id: 77 });
  again.send({ type: 'pubrel', id: 77 }).expect('pubcomp', { id: 77, reason: 0 });
  watcher.expectNothing();
});

conforms({ v4: '3.3.1-1 4.4.0-1', v5: '3.3.1-1 4.4.0-1' }, 'what comes again and again keeps its identifier and DUP', (h) => {
  const c = h.session('c').subscribe('t', { qos: 2 });
  h.publish('t', '1', 1);
  h.publish('t', '2', 2);
  const ids = ['1', '2'].map((payload) => c.take('publish', { payload, dup: false }).id!);
  c.drop();
  for (let n = 0; n < 3; n++) {
    const again = h.session('c', {}, true);
    ['1', '2'].forEach((payload, i) => again.take('publish', { payload, id: ids[i]!, dup: true }));
    again.expectNothing().drop();
  }
});

conforms({ v4: '3.3.1-3', v5: '3.3.1-3' }, 'what was never sent comes with DUP 0', (h) => {
  const c = h.session('c').subscribe('t', { qos: 2 });
  h.holdJournal();
  const p = h.connect('p');
  p.send({ type: 'publish', topic: 't', payload: '1', qos: 1, id: 1 });
  p.send({ type: 'publish', topic: 't', payload: '2', qos: 2, id: 2 });
  c.drop();
  h.releaseJournal();
  const again = h.session('c', {}, true);
  again.take('publish', { payload: '1', dup: false });
  again.take('publish', { payload: '2', dup: false });
});

conforms({ v4: '3.3.1-3', v5: '3.3.1-3' }, 'what was about to be sent when the connection was lost comes with DUP 0', (h) => {
  const c = h.session('c').subscribe('t', { qos: 2 });
  h.holdJournal();
  h.connect('p').send({ type: 'publish', topic: 't', payload: '2', qos: 2, id: 2 });
  h.commitOnce();
  const sent = c.takeAll().length > 0;
  c.drop();
  h.releaseJournal();
  h.session('c', {}, true).take('publish', { payload: '2', dup: sent });
});

conforms({ v4: '3.3.1-1', v5: '3.3.1-1' }, 'QoS 1 that was sent before a crash comes with DUP', async (h) => {
  const c = h.session('c').subscribe('t', { qos: 1 });
  h.publish('t', '1', 1);
  c.take('publish', { payload: '1', dup: false });
  await h.crash();
  h.session('c', {}, true).take('publish', { payload: '1', dup: true });
});

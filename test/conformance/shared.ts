// Shared subscriptions (4.8.2).

import assert from 'node:assert/strict';

import { conforms } from './conforms.ts';

import type { TestClient } from '../harness/client.ts';

const payloads = (c: TestClient): number[] =>
  c
    .takeAll()
    .filter(({ type }) => type === 'publish')
    .map(({ payload }) => Number(payload));

conforms({ v5: '4.8.2-1 4.8.2-2' }, 'shared filters have their form', (h) => {
  for (const filter of ['$share/', '$share/g', '$share//a', '$share/g/', '$share/g+/a', '$share/#/a', '$share/g#/a', '$share/+/a']) {
    const c = h.connect('c').send({ type: 'subscribe', id: 1, subscriptions: [{ filter }] });
    if (c.closed) c.expectClosed([0x81, 0x82, 0x8f]);
    else c.expect('suback', { reasons: [0x8f] });
  }
  for (const filter of ['$share/g/a', '$share/g/+/x', '$share/g/#', '$share/g//a', '$share/$x/$y/z']) h.connect('c').subscribe(filter);
});

conforms({ v5: '4.8.2-1 4.8.2-3' }, 'each message goes to one member, at its granted QoS', (h) => {
  const members = [0, 1, 2].map((qos) => h.connect(`m${qos}`).subscribe('$share/g/t/#', { qos }));
  const other = h.connect('other').subscribe('$share/other/t/+', { qos: 2 });
  const plain = h.connect('plain').subscribe('t/x', { qos: 0 });
  for (const c of [...members, other, plain]) c.autoAcknowledge = true;
  for (let n = 0; n < 30; n++) h.publish('t/x', String(n), 2);
  const seen: number[] = [];
  members.forEach((c, qos) => {
    const got = c.takeAll().filter(({ type }) => type === 'publish');
    assert.ok(got.length > 0, `member ${qos} got nothing`);
    assert.ok(got.every((packet) => packet.qos === qos));
    seen.push(...got.map(({ payload }) => Number(payload)));
  });
  const all = Array.from({ length: 30 }, (_, n) => n);
  assert.deepEqual(
    seen.sort((a, b) => a - b),
    all,
  );
  assert.deepEqual(payloads(other), all);
  assert.deepEqual(payloads(plain), all);
});

conforms({ v5: '4.8.2-4' }, 'a QoS 2 delivery under way is completed to the same client when it returns', (h) => {
  const one = h.session('one').subscribe('$share/g/t', { qos: 2 });
  h.publish('t', '1', 2);
  const { id } = one.next('publish');
  one.drop();
  const two = h.session('two').subscribe('$share/g/t', { qos: 2 });
  two.expectNothing();
  const again = h.session('one', {}, true).expect('publish', { id: id!, payload: '1', dup: true, qos: 2 });
  again.send({ type: 'pubrec', id: id! }).expect('pubrel', { id: id! }).drop();
  h.session('one', {}, true).expect('pubrel', { id: id! });
  two.expectNothing();
});

conforms({ v5: '4.8.2-5' }, 'a QoS 2 delivery under way goes to nobody else when the session ends', (h) => {
  const one = h.session('one').subscribe('$share/g/t', { qos: 2 });
  h.publish('t', '1', 2);
  one.expect('publish').drop();
  const two = h.session('two').subscribe('$share/g/t', { qos: 2 });
  h.advance(3601_000);
  h.session('one', {}, false).expectNothing();
  two.expectNothing();
});

conforms({ v5: '4.8.2-6' }, 'a message that a member refuses goes to nobody else', (h) => {
  const members = ['a', 'b'].map((id) => h.connect(id).subscribe('$share/g/t', { qos: 2 }));
  for (const qos of [1, 2]) {
    h.publish('t', String(qos), qos);
    const [refuser, other] = members[0]!.quiet ? [members[1]!, members[0]!] : [members[0]!, members[1]!];
    const { id } = refuser.next('publish');
    refuser.send({ type: qos === 1 ? 'puback' : 'pubrec', id: id!, reason: 0x83 });
    other.expectNothing();
    refuser.expectNothing();
  }
});

conforms({ v5: '4.8.2-3' }, 'what an absent member does not take, the others do', (h) => {
  const one = h.session('one').subscribe('$share/g/t', { qos: 1 });
  const two = h.session('two').subscribe('$share/g/t', { qos: 1 });
  two.autoAcknowledge = true;
  one.drop();
  for (let n = 0; n < 10; n++) h.publish('t', String(n), 1);
  assert.deepEqual(
    payloads(two),
    Array.from({ length: 10 }, (_, n) => n),
  );
});

conforms({ v5: '4.8.2-3' }, 'messages of each QoS reach exactly one member, with RETAIN as its subscription says', (h) => {
  const as = h.connect('as').subscribe('$share/g/t', { qos: 2, retainAsPublished: true });
  const not = h.connect('not').subscribe('$share/g/t', { qos: 2 });
  for (const c of [as, not]) c.autoAcknowledge = true;
  for (let n = 0; n < 24; n++) h.publish('t', String(n), n % 3, Math.floor(n / 6) % 2 === 0);
  const seen = [as, not].flatMap((c) =>
    c
      .takeAll()
      .filter(({ type }) => type === 'publish')
      .map(({ payload, qos, retain }) => {
        const n = Number(payload);
        assert.equal(qos, n % 3);
        assert.equal(retain, c === as && Math.floor(n / 6) % 2 === 0, `${n} to ${c === as ? 'as' : 'not'}`);
        return n;
      }),
  );
  assert.deepEqual(
    seen.sort((a, b) => a - b),
    Array.from({ length: 24 }, (_, n) => n),
  );
});

conforms({ v5: '4.8.2-3' }, 'a shared subscription gets no retained messages when it is made', (h) => {
  h.publish('t', 'kept', 1, true);
  h.connect('c').subscribe('$share/g/t').expectNothing();
});

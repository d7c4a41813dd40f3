// Chapters 1 and 2: strings, integers, flags, packet identifiers.

import assert from 'node:assert/strict';

import { encodeProperties, frame, prefixed } from '../harness/encode.ts';
import { hex } from '../harness/packet.ts';
import { conforms } from './conforms.ts';
import { expectRefused } from './refused.ts';

import type { Harness } from '../harness/harness.ts';

/** Encodings that are not UTF-8: a surrogate, a byte that never occurs, a sequence cut short, an overlong form. */
const illFormed = ['ed a0 80', '61 ff', 'e2 82', 'c0 af'].map(hex);
const withNull = hex('61 00 62');

function expectStringsRefused(h: Harness, bad: Uint8Array[]): void {
  for (const text of bad) {
    for (const fields of [{ clientId: text }, { clientId: 'c', username: text }, { clientId: 'c', will: { topic: text } }]) {
      expectRefused(h.client().connect(fields), undefined, 0x81, 0x85, 0x90);
    }
    h.connect('topic').send({ type: 'publish', topic: text, payload: 'x' }).expectClosed([0x81, 0x90]);
    const filter = h.connect('filter');
    filter.send({ type: 'subscribe', id: 1, subscriptions: [{ filter: text }] }).expectClosed([0x81, 0x8f]);
    const unsubscribe = h.connect('unsubscribe');
    unsubscribe.send({ type: 'unsubscribe', id: 1, filters: [text] }).expectClosed([0x81, 0x8f]);
  }
}

conforms(
  {
    v4: '1.5.3-1 3.1.3-4 3.1.3-10 3.1.3-11 3.3.2-1 3.8.3-1 3.10.3-1',
    v5: '1.5.4-1 3.1.3-4 3.1.3-11 3.1.3-12 3.3.2-1 3.8.3-1 3.10.3-1',
  },
  'a string that is not UTF-8 closes the connection',
  (h) => expectStringsRefused(h, illFormed),
);

conforms({ v4: '1.5.3-2 4.7.3-2', v5: '1.5.4-2 4.7.3-2' }, 'U+0000 in a string closes the connection', (h) =>
  expectStringsRefused(h, [withNull]),
);

conforms(
  { v5: '1.5.4-1 1.5.4-2 1.5.7-1 3.3.2-13 3.3.2-19' },
  'a property that is not UTF-8, or holds U+0000, closes the connection',
  (h) => {
    for (const text of [...illFormed, withNull]) {
      for (const properties of [
        { contentType: text },
        { responseTopic: text },
        { userProperty: [[text, 'v'] as const] },
        { userProperty: [['k', text] as const] },
      ]) {
        h.connect('c').send({ type: 'publish', topic: 't', payload: 'x', properties }).expectClosed(0x81);
      }
    }
  },
);

conforms({ v4: '1.5.3-3 4.7.3-4', v5: '1.5.4-3 4.7.3-4' }, 'a byte order mark is part of the string', (h) => {
  const c = h.connect('c').subscribe('\ufeffa').subscribe('b');
  c.publish('a', 'without').publish('\ufeffa', 'with').publish('b', 'end');
  c.expect('publish', { topic: '\ufeffa', payload: 'with' }).expect('publish', { topic: 'b' }).expectNothing();
});

conforms({ v5: '1.5.5-1' }, 'a variable byte integer in more bytes than it needs is malformed', (h) => {
  // PUBLISH to `t` whose property length 0 is written in two bytes.
  h.connect('c').raw('30 06 00 01 74 80 00 78').expectClosed(0x81);
});

conforms({ v5: '1.5.5-1 2.2.2-1' }, 'lengths that the server writes are as short as possible', (h) => {
  const c = h.connect('c').subscribe('t');
  // Around every boundary of the remaining length; the decoder refuses a longer form.
  for (const size of [0, 1, 123, 124, 125, 16_378, 16_379, 16_380, 16_381]) {
    c.publish('t', Buffer.alloc(size, 'x')).expect('publish', { payload: Buffer.alloc(size, 'x'), properties: {} });
  }
});

const flags = { v4: '2.2.2-1 2.2.2-2 4.8.0-1', v5: '2.1.3-1 4.13.1-1' };

conforms(flags, 'reserved flags of every packet type are checked', (h) => {
  for (const flagged of [
    { type: 'pingreq', flags: 1 },
    { type: 'puback', id: 1, flags: 4 },
    { type: 'pubrec', id: 1, flags: 2 },
    { type: 'pubcomp', id: 1, flags: 8 },
    { type: 'disconnect', flags: 1 },
    { type: 'subscribe', id: 1, subscriptions: [{ filter: 'a' }], flags: 0 },
    { type: 'unsubscribe', id: 1, filters: ['a'], flags: 3 },
    { type: 'pubrel', id: 1, flags: 0 },
  ] as const) {
    h.connect('c')
      .send(flagged as Parameters<ReturnType<Harness['connect']>['send']>[0])
      .expectClosed(0x81);
  }
  expectRefused(h.client().send({ type: 'connect', clientId: 'c', flags: 1 }), undefined, 0x81);
});

conforms(flags, 'packet types that a client may not send close the connection', (h) => {
  for (const type of [0, 2, 9, 11, 13]) {
    const body = h.version === 5 ? hex('00 01 00 00') : hex('00 01');
    h.connect('c')
      .sendBytes(frame(type, 0, type === 13 ? hex('') : body))
      .expectClosed([0x81, 0x82]);
  }
});

conforms({ v4: '2.3.1-1', v5: '2.2.1-3' }, 'packet identifier 0 closes the connection', (h) => {
  h.connect('c').send({ type: 'publish', topic: 't', qos: 1, id: 0 }).expectClosed([0x81, 0x82]);
  h.connect('c').send({ type: 'publish', topic: 't', qos: 2, id: 0 }).expectClosed([0x81, 0x82]);
  h.connect('c')
    .send({ type: 'subscribe', id: 0, subscriptions: [{ filter: 't' }] })
    .expectClosed([0x81, 0x82]);
  h.connect('c')
    .send({ type: 'unsubscribe', id: 0, filters: ['t'] })
    .expectClosed([0x81, 0x82]);
});

conforms(
  { v4: '2.3.1-1 2.3.1-4 4.3.2-1', v5: '2.2.1-4 4.3.2-1 4.3.3-1' },
  'the server gives each unsettled PUBLISH an identifier of its own',
  (h) => {
    const c = h.connect('c').subscribe('t', { qos: 2 });
    const ids = new Set<number>();
    for (let n = 0; n < 100; n++) {
      h.publish('t', String(n), 1 + (n % 2));
      const { id, payload } = c.next('publish');
      assert.equal(payload, String(n));
      ids.add(id!);
      // Half of them are settled, and may come again.
      if (n % 4 === 0) c.send({ type: 'puback', id: id! });
    }
    assert.ok(ids.size >= 75);
  },
);

conforms({ v4: '2.3.1-5', v5: '2.2.1-2' }, 'QoS 0 has no packet identifier, either way', (h) => {
  const c = h.connect('c').subscribe('t');
  c.sendBytes(frame(3, 0, Buffer.concat([prefixed('t'), h.version === 5 ? encodeProperties() : hex(''), Buffer.from('payload')])));
  c.expect('publish', { topic: 't', qos: 0, id: undefined, payload: 'payload' });
});

conforms(
  { v4: '2.3.1-6 2.3.1-7 3.8.4-2 3.10.4-4', v5: '2.2.1-5 2.2.1-6 3.8.4-2 3.10.4-5 4.3.3-11' },
  'answers carry the identifier of what they answer',
  (h) => {
    const c = h.connect('c');
    for (const id of [1, 255, 256, 4711, 65_535]) {
      c.send({ type: 'publish', topic: 't', qos: 1, id }).expect('puback', { id });
      c.send({ type: 'publish', topic: 't', qos: 2, id }).expect('pubrec', { id });
      c.send({ type: 'pubrel', id }).expect('pubcomp', { id });
      c.send({ type: 'subscribe', id, subscriptions: [{ filter: 'x' }] }).expect('suback', { id });
      c.send({ type: 'unsubscribe', id, filters: ['x'] }).expect('unsuback', { id });
    }
    c.send({ type: 'subscribe', id: 9, subscriptions: [{ filter: 't', qos: 2 }] }).expect('suback', { id: 9 });
    h.publish('t', 'x', 2);
    const { id } = c.next('publish');
    c.send({ type: 'pubrec', id: id! }).expect('pubrel', { id: id! }).send({ type: 'pubcomp', id: id! }).expectNothing();
  },
);

conforms({ v4: '7.0.0-2 7.1.1-1', v5: '4.2-1' }, 'bytes mean the same in whatever pieces they come', (h) => {
  for (const size of [1, 2, 3, 7]) {
    const c = h.client();
    c.inPieces = size;
    c.connect({ clientId: 'c' }).expect('connack').subscribe('a/b', { qos: 2 });
    c.publish('a/b', 'x'.repeat(200), { qos: 2 }).expect('publish', { payload: 'x'.repeat(200), qos: 2 });
    c.disconnect();
  }
});

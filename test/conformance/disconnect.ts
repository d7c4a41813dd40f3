// DISCONNECT (3.14) and errors (4.13; 4.8 of 3.1.1).

import assert from 'node:assert/strict';

import { frame } from '../harness/encode.ts';
import { hex } from '../harness/packet.ts';
import { conforms } from './conforms.ts';

conforms({ v4: '3.14.1-1', v5: '3.14.1-1' }, 'reserved bits of DISCONNECT are checked', (h) => {
  for (const flags of [1, 2, 4, 8, 15]) h.connect('c').send({ type: 'disconnect', flags }).expectClosed(0x81);
});

conforms(
  { v4: '3.14.4-1 3.14.4-2', v5: '3.14.4-1 3.14.4-2' },
  'after DISCONNECT the connection is closed, and what follows not processed',
  (h) => {
    const watcher = h.connect('watcher').subscribe('#');
    const c = h.connect('c');
    c.sendTogether({ type: 'disconnect' }, { type: 'publish', topic: 't', payload: 'too late' });
    c.expectClosed();
    watcher.expectNothing();
  },
);

conforms({ v5: '3.14.0-1' }, 'no DISCONNECT before CONNACK', (h) => {
  // The watch of the client fails on it; here are the ways in which a handshake ends.
  h.client().raw('ff ff ff ff').expectClosed();
  h.client().connect({ clientId: 'c', protocolLevel: 9 }).take('connack', { reason: 0x84 });
  const slow = h.client();
  h.advance(60_000);
  slow.expectClosed();
  h.security.slow = true;
  const waiting = h.client().connect({ clientId: 'w' });
  h.advance(60_000);
  const answers = waiting.takeAll();
  assert.ok(answers.every(({ type }) => type === 'connack'));
  waiting.expectClosed();
});

conforms({ v5: '3.14.2-1 3.14.2-2 3.14.4-1 3.14.4-2 4.13.2-1' }, 'a DISCONNECT of the server is its last packet', (h) => {
  const c = h.session('c').subscribe('t', { qos: 1 });
  // The decoder knows the reason codes and properties that are allowed; the watch lets nothing follow.
  c.sendTogether({ type: 'publish', topic: 't', qos: 3, id: 1 }, { type: 'pingreq' });
  c.expectClosed(0x81);
  h.publish('t', 'x', 1);
  c.expectClosed();
  assert.ok(!c.transcript.includes('PINGRESP'));
});

conforms({ v5: '4.13.1-1 3.14.2-1' }, 'a DISCONNECT that is wrong is answered as an error', (h) => {
  h.connect('c').send({ type: 'disconnect', reason: 0x8e }).expectClosed([0x81, 0x82]); // of the server only
  h.connect('c').send({ type: 'disconnect', reason: 0x03 }).expectClosed([0x81, 0x82]); // unknown
  h.connect('c')
    .send({ type: 'disconnect', properties: { contentType: 'x' } })
    .expectClosed([0x81, 0x82]);
  h.connect('c')
    .sendBytes(frame(14, 0, hex('00 05 11')))
    .expectClosed(0x81);
});

conforms({ v4: '4.8.0-1', v5: '4.13.1-1' }, 'malformed packets close their connection, and no other', (h) => {
  const other = h.connect('other').subscribe('t');
  const malformed = [
    'f0 00', // in 3.1.1: type 15; in 5.0: AUTH nobody asked for
    '00 00', // type 0
    '32 03 00 01 74', // PUBLISH without the identifier it announces
    '30 05 00 09 61 62 63', // topic longer than the packet
    '40 01 00', // PUBACK cut short
    '62 00', // PUBREL without identifier
    '82 02 00 01', // SUBSCRIBE without filters
    '30 ff ff ff ff 01', // remaining length of five bytes
    'c0 01 00', // PINGREQ with a body
  ];
  for (const bytes of malformed) {
    const c = h.connect('c').raw(bytes);
    c.expectClosed([0x81, 0x82]);
  }
  h.publish('t', 'x');
  other.expect('publish', { payload: 'x' }).expectNothing();
});

conforms({ v5: '3.4.2-1 3.5.2-1 3.6.2-1 3.7.2-1' }, 'acknowledgements with reason codes that are not theirs close the connection', (h) => {
  for (const type of ['puback', 'pubrec', 'pubrel', 'pubcomp'] as const) {
    h.connect('c').send({ type, id: 1, reason: 0x03 }).expectClosed([0x81, 0x82]);
  }
});

conforms(
  { v4: '4.8.0-2', v5: '4.13.1-1' },
  'what cannot be taken now is not acknowledged',
  (h) => {
    h.session('away').subscribe('t', { qos: 1 }).drop();
    const p = h.connect('p');
    for (let n = 1; n <= 5; n++) p.publish('t', 'x', { qos: 1 });
    p.send({ type: 'publish', topic: 't', payload: 'too many', qos: 1, id: 77 });
    if (h.version === 5) p.expect('puback', { id: 77, reason: 0x97 });
    else p.expectClosed();
  },
  { limits: { durableInbox: { maxMessages: 5, maxBytes: 1_000_000, onFull: 'reject-new' } } },
);

conforms({ v4: '3.12.4-1', v5: '3.2.0-2' }, 'when the server goes down, connected clients are told', (h) => {
  const c = h.connect('c');
  const early = h.client();
  h.shutDown();
  c.expectClosed(0x8b);
  assert.ok(early.takeAll().every(({ type }) => type === 'connack'));
  early.expectClosed();
});

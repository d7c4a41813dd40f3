// Keep-alive and ping (3.1.2.10, 3.12, 3.13).

import { conforms } from './conforms.ts';

conforms({ v4: '3.1.2-24', v5: '3.1.2-22 3.2.2-22' }, 'silence for one and a half keep-alive times closes the connection', (h) => {
  const c = h.connect('c', { keepAlive: 10 });
  h.advance(14_900);
  c.expectNothing();
  h.advance(200);
  c.expectClosed(0x8d);
});

conforms({ v4: '3.1.2-24', v5: '3.1.2-22' }, 'any packet from the client counts, packets to it do not', (h) => {
  const c = h.connect('c', { keepAlive: 10 }).subscribe('t');
  for (let n = 0; n < 5; n++) {
    h.advance(14_000);
    c.send({ type: 'pingreq' }).expect('pingresp');
  }
  for (let n = 0; n < 5; n++) {
    h.advance(14_000);
    c.publish('t').expect('publish');
  }
  h.advance(10_000);
  h.publish('t', 'x');
  c.expect('publish');
  h.advance(5_100);
  c.expectClosed(0x8d);
});

conforms({ v4: '3.1.2-24', v5: '3.1.2-22' }, 'a piece of a packet is not a packet', (h) => {
  const c = h.connect('c', { keepAlive: 10 });
  h.advance(10_000);
  c.raw('30 7f 00');
  h.advance(5_100);
  c.expectClosed(0x8d);
});

conforms({ v4: '3.1.2-24', v5: '3.1.2-22' }, 'keep-alive 0 has no limit', (h) => {
  const c = h.connect('c', { keepAlive: 0 });
  h.advance(1_000_000_000);
  c.send({ type: 'pingreq' }).expect('pingresp').expectNothing();
});

conforms(
  { v5: '3.1.2-22' },
  'a keep-alive that the server gives is the one that counts',
  (h) => {
    const c = h.client().connect({ clientId: 'c', keepAlive: 1000 });
    c.expect('connack', { properties: { serverKeepAlive: 20 } });
    h.advance(29_900);
    c.expectNothing();
    h.advance(200);
    c.expectClosed(0x8d);
  },
  { mqtt: { maxKeepAliveSec: 20 } },
);

conforms({ v4: '3.12.4-1', v5: '3.12.4-1' }, 'PINGREQ is answered with PINGRESP', (h) => {
  h.connect('c').send({ type: 'pingreq' }).expect('pingresp').send({ type: 'pingreq' }).expect('pingresp').expectNothing();
});

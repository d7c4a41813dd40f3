// Properties of a PUBLISH on their way through the server (3.3.2.3).

import { conforms } from './conforms.ts';

conforms({ v5: '3.3.2-4' }, 'the payload format indicator is forwarded as it came', (h) => {
  const c = h.connect('c').subscribe('t');
  const p = h.connect('p');
  for (const payloadFormatIndicator of [0, 1]) {
    p.publish('t', 'text', { properties: { payloadFormatIndicator } });
    // Absent means 0.
    c.expect('publish', { properties: { payloadFormatIndicator: (v) => (v ?? 0) === payloadFormatIndicator } });
  }
  p.publish('t', 'text');
  c.expect('publish', { properties: { payloadFormatIndicator: undefined } });
});

conforms({ v5: '3.3.2-15 3.3.2-16 3.3.2-20' }, 'response topic, correlation data and content type are forwarded as they came', (h) => {
  const c = h.connect('c').subscribe('t', { qos: 2 });
  const p = h.connect('p');
  for (const qos of [0, 1, 2]) {
    for (const properties of [
      { responseTopic: 'a/b ü/€', correlationData: Uint8Array.of(0, 1, 0xff), contentType: 'text/плоский' },
      { responseTopic: 'x', correlationData: '', contentType: '' },
    ]) {
      p.publish('t', 'x', { qos, properties });
      const { id } = c.take('publish', { qos, properties });
      if (qos === 1) c.send({ type: 'puback', id: id! });
      if (qos === 2) c.send({ type: 'pubrec', id: id! }).expect('pubrel').send({ type: 'pubcomp', id: id! });
    }
  }
});

conforms({ v5: '3.3.2-17 3.3.2-18' }, 'user properties are forwarded as they came, in order, with duplicates', (h) => {
  const c = h.connect('c').subscribe('t', { qos: 1 });
  const userProperty = [
    ['b', '1'],
    ['a', ''],
    ['', 'x'],
    ['b', '1'],
    ['B', '\ufeff'],
  ] as const;
  h.connect('p').publish('t', 'x', { qos: 1, properties: { userProperty } });
  c.expect('publish', { properties: { userProperty } });
});

conforms({ v5: '3.3.2-14' }, 'a wildcard in the response topic is an error', (h) => {
  const c = h.connect('c').subscribe('t');
  for (const responseTopic of ['a/+', '#'])
    h.connect('p').send({ type: 'publish', topic: 't', properties: { responseTopic } }).expectClosed(0x82);
  c.expectNothing();
});

conforms({ v5: '3.3.2-5' }, 'a message that expired while it waited is not delivered', (h) => {
  h.session('c').subscribe('t', { qos: 1 }).drop();
  const p = h.connect('p');
  p.publish('t', 'short', { qos: 1, properties: { messageExpiryInterval: 10 } });
  p.publish('t', 'long', { qos: 1, properties: { messageExpiryInterval: 100 } });
  p.publish('t', 'forever', { qos: 1 });
  p.publish('kept', 'retained', { retain: true, properties: { messageExpiryInterval: 10 } });
  h.advance(11_000);
  const c = h.session('c', {}, true);
  c.expect('publish', { payload: 'long' }).expect('publish', { payload: 'forever' }).expectNothing();
  h.connect('late').subscribe('kept').expectNothing();
});

conforms({ v5: '3.3.2-6' }, 'the forwarded expiry interval is what is left of it', (h) => {
  h.session('c').subscribe('t', { qos: 1 }).drop();
  const live = h.connect('live').subscribe('t');
  const p = h.connect('p').publish('t', 'x', { qos: 1, properties: { messageExpiryInterval: 100 } });
  p.publish('t', 'y', { qos: 1 });
  live.expect('publish', { properties: { messageExpiryInterval: 100 } });
  h.advance(30_000);
  const c = h.session('c', {}, true);
  c.expect('publish', { payload: 'x', properties: { messageExpiryInterval: 70 } });
  c.expect('publish', { payload: 'y', properties: { messageExpiryInterval: undefined } });
});

conforms({ v5: '3.3.2-6' }, 'a retained message tells what is left of its life', (h) => {
  h.connect('p').publish('t', 'x', { retain: true, properties: { messageExpiryInterval: 100 } });
  h.advance(30_000);
  h.connect('c')
    .subscribe('t')
    .expect('publish', { retain: true, properties: { messageExpiryInterval: 70 } });
});

conforms({ v5: '4.3.3-7 4.3.3-13' }, 'a delivery that has begun is completed even if the message expires', (h) => {
  const c = h.session('c').subscribe('t', { qos: 2 });
  h.connect('p').publish('t', 'x', { qos: 2, properties: { messageExpiryInterval: 10 } });
  const { id } = c.next('publish');
  c.drop();
  h.advance(20_000);
  const again = h.session('c', {}, true);
  again.expect('publish', { id: id!, payload: 'x', dup: true });
  again.send({ type: 'pubrec', id: id! }).expect('pubrel', { id: id! }).send({ type: 'pubcomp', id: id! }).expectNothing();
});

conforms({ v5: '4.3.3-13 4.3.3-7' }, 'a publisher completes its exchange even if the message expires meanwhile', (h) => {
  h.session('c').subscribe('t', { qos: 2 }).drop();
  const p = h.connect('p');
  p.send({ type: 'publish', topic: 't', qos: 2, id: 1, properties: { messageExpiryInterval: 1 } }).expect('pubrec', { id: 1 });
  h.advance(5_000);
  p.send({ type: 'pubrel', id: 1 }).expect('pubcomp', { id: 1, reason: 0 });
});

conforms({ v5: '3.3.2-17 1.5.5-1' }, 'properties of any length are forwarded as they came', (h) => {
  const c = h.connect('c').subscribe('t');
  const p = h.connect('p');
  // Around the lengths at which the property length needs one byte more; 7 of them are the key and the lengths.
  for (const size of [1, 119, 120, 121, 127, 128, 16_370, 16_376, 16_377, 16_378, 16_384, 60_000]) {
    const userProperty = [['kk', 'v'.repeat(size)]] as const;
    p.publish('t', `after ${size}`, { properties: { userProperty } });
    c.expect('publish', { payload: `after ${size}`, properties: { userProperty } });
  }
  const userProperty = Array.from({ length: 40 }, (_, n) => [`k${n % 7}`, 'v'.repeat(60_000)] as const);
  p.publish('t', 'megabytes', { properties: { userProperty } });
  c.expect('publish', { payload: 'megabytes', properties: { userProperty } });
});

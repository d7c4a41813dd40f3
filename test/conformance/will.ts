// Wills (3.1.2.5, 3.1.3.2, 3.14.4).

import { conforms } from './conforms.ts';

const will = { topic: 'will', payload: 'gone', qos: 1 };

conforms({ v4: '3.1.2-8', v5: '3.1.2-7 3.1.2-8' }, 'a will is published when the connection is lost', (h) => {
  const watcher = h.connect('watcher').subscribe('will', { qos: 1 });
  const c = h.connect('c', { will });
  watcher.expectNothing();
  c.drop();
  watcher.expect('publish', { topic: 'will', payload: 'gone', qos: 1, retain: false }).expectNothing();
});

conforms({ v4: '3.1.2-8', v5: '3.1.2-8' }, 'a will is published when the server closes the connection', (h) => {
  const watcher = h.connect('watcher').subscribe('will', { qos: 1 });
  watcher.autoAcknowledge = true;
  h.connect('error', { will }).connect({ clientId: 'error' }).expectClosed(0x82); // a protocol error
  watcher.expect('publish', { payload: 'gone' });
  const silent = h.connect('silent', { will, keepAlive: 10 });
  h.advance(15_100); // keep-alive
  silent.expectClosed(0x8d);
  watcher.expect('publish', { payload: 'gone' });
  const first = h.connect('twice', { will });
  h.connect('twice', { will }); // taken over
  first.expectClosed(0x8e);
  watcher.expect('publish', { payload: 'gone' }).expectNothing();
});

conforms({ v4: '3.1.2-10 3.14.4-3', v5: '3.1.2-10 3.14.4-3' }, 'DISCONNECT discards the will', (h) => {
  const watcher = h.connect('watcher').subscribe('will', { qos: 1 });
  h.connect('c', { will }).disconnect();
  h.session('durable', { will }).disconnect();
  h.advance(100_000);
  watcher.expectNothing();
});

conforms({ v4: '3.1.2-10', v5: '3.1.2-10' }, 'a published will is not published again', (h) => {
  const watcher = h.connect('watcher').subscribe('will', { qos: 1 });
  h.session('c', { will }).drop();
  watcher.expect('publish', { payload: 'gone' });
  h.session('c', {}, true).drop();
  h.advance(100_000);
  watcher.expectNothing();
});

conforms({ v4: '3.1.2-12' }, 'without a will nothing is published', (h) => {
  const watcher = h.connect('watcher').subscribe('#', { qos: 1 });
  h.connect('c').drop();
  watcher.expectNothing();
});

conforms({ v4: '3.1.2-16 3.1.2-17', v5: '3.1.2-14 3.1.2-15' }, 'a will is retained if it says so, and only then', (h) => {
  h.connect('c', { will: { topic: 'kept', payload: 'k', retain: true } }).drop();
  h.connect('c', { will: { topic: 'fleeting', payload: 'f', retain: false } }).drop();
  h.connect('late').subscribe('#').expect('publish', { topic: 'kept', payload: 'k', retain: true }).expectNothing();
});

conforms({ v5: '3.1.2-8' }, 'a will waits for its delay', (h) => {
  const watcher = h.connect('watcher').subscribe('will', { qos: 1 });
  h.session('c', { will: { ...will, properties: { willDelayInterval: 30 } } }).drop();
  h.advance(29_000);
  watcher.expectNothing();
  h.advance(2_000);
  watcher.expect('publish', { payload: 'gone' }).expectNothing();
});

conforms({ v5: '3.1.2-8' }, 'a will does not wait longer than its session lasts', (h) => {
  const watcher = h.connect('watcher').subscribe('will', { qos: 0 });
  const delayed = { ...will, properties: { willDelayInterval: 1000 } };
  h.connect('ends', { will: delayed }).drop(); // the session ends with the connection
  watcher.expect('publish', { payload: 'gone' });
  h.client()
    .connect({ clientId: 'expires', clean: false, will: delayed, properties: { sessionExpiryInterval: 20 } })
    .expect('connack')
    .drop();
  watcher.expectNothing();
  h.advance(21_000);
  watcher.expect('publish', { payload: 'gone' });
  h.session('cleaned', { will: delayed }).drop();
  watcher.expectNothing();
  h.connect('cleaned'); // a clean start ends the old session
  watcher.expect('publish', { payload: 'gone' }).expectNothing();
});

conforms({ v5: '3.1.3-9 3.1.2-8' }, 'a return within the delay suppresses the will', (h) => {
  const watcher = h.connect('watcher').subscribe('will', { qos: 1 });
  h.session('c', { will: { ...will, properties: { willDelayInterval: 30 } } }).drop();
  h.advance(29_000);
  h.session('c', {}, true);
  h.advance(60_000);
  watcher.expectNothing();
});

conforms({ v5: '3.1.3-10 3.3.2-17 3.3.2-18' }, 'a will carries its properties, user properties in order', (h) => {
  const watcher = h.connect('watcher').subscribe('will', { qos: 1 });
  const userProperty = [
    ['b', '1'],
    ['a', '2'],
    ['b', '1'],
  ] as const;
  const properties = {
    payloadFormatIndicator: 1,
    messageExpiryInterval: 100,
    contentType: 'text/plain',
    responseTopic: 'answer',
    correlationData: 'c',
    userProperty,
  };
  h.connect('c', { will: { ...will, properties } }).drop();
  watcher.expect('publish', { payload: 'gone', properties });
});

conforms({ v5: '3.1.2-8 3.14.4-3' }, 'DISCONNECT 0x04 asks for the will, 0x00 does not', (h) => {
  const watcher = h.connect('watcher').subscribe('will', { qos: 1 });
  h.connect('c', { will }).disconnect(0x00);
  watcher.expectNothing();
  h.connect('c', { will }).disconnect(0x04);
  watcher.expect('publish', { payload: 'gone' }).expectNothing();
});

conforms({ v4: '3.1.2-8', v5: '3.1.2-7 3.1.2-8' }, 'a crash of the server loses no will', async (h) => {
  h.session('watcher').subscribe('#', { qos: 1 }).drop();
  h.session('connected', { will: { topic: 'one', payload: 'was connected', qos: 1 } });
  if (h.version === 5) {
    h.session('away', { will: { topic: 'two', payload: 'was away', qos: 1, properties: { willDelayInterval: 100 } } }).drop();
    h.advance(40_000);
  }
  h.session('gone', { will: { topic: 'three', payload: 'said goodbye', qos: 1 } }).disconnect();
  await h.crash();
  const watcher = h.session('watcher', {}, true);
  watcher.expect('publish', { payload: 'was connected' }).expectNothing();
  if (h.version === 4) return;
  h.advance(58_000);
  watcher.expectNothing();
  h.advance(4_000);
  watcher.expect('publish', { payload: 'was away' }).expectNothing();
});

conforms({ v5: '3.1.3-9' }, 'a return within the delay suppresses the will also after a crash', async (h) => {
  h.session('c', { will: { ...will, properties: { willDelayInterval: 100 } } });
  await h.crash();
  const watcher = h.connect('watcher').subscribe('#');
  h.advance(10_000);
  h.session('c', {}, true);
  h.advance(1_000_000);
  watcher.expectNothing();
});

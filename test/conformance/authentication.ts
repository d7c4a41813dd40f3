// Enhanced authentication (3.15, 4.12), with the mechanism of harness/security.ts.

import assert from 'node:assert/strict';

import { testMechanism } from '../harness/security.ts';
import { conforms } from './conforms.ts';
import { expectRefused } from './refused.ts';

import type { TestClient } from '../harness/client.ts';
import type { Harness } from '../harness/harness.ts';

const method = { authenticationMethod: testMechanism };

function begin(h: Harness, data = 'hello', more: Record<string, number> = {}): TestClient {
  return h.client().connect({ clientId: 'c', properties: { ...method, authenticationData: data, ...more } });
}

function authenticated(h: Harness): TestClient {
  const c = begin(h);
  c.expect('auth', { reason: 0x18 });
  c.send({ type: 'auth', reason: 0x18, properties: { ...method, authenticationData: 'answer' } });
  return c.expect('connack', { reason: 0 });
}

conforms({ v5: '4.12.0-2 4.12.0-5 3.15.2-1 3.2.0-1' }, 'the exchange: AUTH 0x18 until CONNACK, all with the method', (h) => {
  const c = begin(h);
  c.expect('auth', { reason: 0x18, properties: { ...method, authenticationData: 'question' } }).expectNothing();
  c.send({ type: 'auth', reason: 0x18, properties: { ...method, authenticationData: 'answer' } });
  c.expect('connack', { reason: 0, properties: { ...method, authenticationData: 'welcome' } });
  c.subscribe('t').publish('t', 'x').expect('publish');
});

conforms({ v5: '4.12.0-1' }, 'an unsupported method is refused and closed', (h) => {
  const c = h.client().connect({ clientId: 'c', properties: { authenticationMethod: 'NOBODY-KNOWS' } });
  expectRefused(c, undefined, 0x8c, 0x87);
});

conforms({ v5: '4.12.0-4 4.13.2-1' }, 'an exchange that fails is refused and closed', (h) => {
  expectRefused(begin(h, 'nonsense'), undefined, 0x87, 0x86);
  const c = begin(h).expect('auth');
  c.send({ type: 'auth', reason: 0x18, properties: { ...method, authenticationData: 'wrong' } });
  expectRefused(c, undefined, 0x87, 0x86);
});

conforms({ v5: '4.12.0-5' }, 'an AUTH with another method, or none, ends the exchange', (h) => {
  for (const properties of [{ authenticationMethod: 'OTHER', authenticationData: 'answer' }, { authenticationData: 'answer' }, {}]) {
    const c = begin(h).expect('auth').send({ type: 'auth', reason: 0x18, properties });
    expectRefused(c, undefined, 0x82, 0x8c, 0x87);
  }
});

conforms({ v5: '4.12.0-6' }, 'without a method there is neither AUTH nor a method in CONNACK', (h) => {
  h.client()
    .connect({ clientId: 'c' })
    .expect('connack', { properties: { authenticationMethod: undefined, authenticationData: undefined } })
    .expectNothing();
});

conforms({ v5: '4.12.0-7 4.13.1-1' }, 'AUTH from a client that named no method closes the connection', (h) => {
  h.connect('c').send({ type: 'auth', reason: 0x19, properties: method }).expectClosed(0x82);
});

conforms({ v5: '3.1.2-30 3.1.4-6' }, 'other packets during the exchange are not processed', (h) => {
  const watcher = h.connect('watcher').subscribe('#');
  const c = begin(h).expect('auth').send({ type: 'publish', topic: 't', payload: 'too early' });
  expectRefused(c, undefined, 0x82);
  watcher.expectNothing();
});

conforms({ v5: '4.12.1-1' }, 're-authentication goes on beside the traffic', (h) => {
  const c = authenticated(h).subscribe('t');
  c.send({ type: 'auth', reason: 0x19, properties: { ...method, authenticationData: 'hello' } });
  c.expect('auth', { reason: 0x18, properties: method });
  h.publish('t', 'meanwhile');
  c.expect('publish', { payload: 'meanwhile' });
  c.send({ type: 'auth', reason: 0x18, properties: { ...method, authenticationData: 'answer' } });
  c.expect('auth', { reason: 0x00, properties: method }).expectNothing();
});

conforms({ v5: '4.12.1-1' }, 're-authentication by another method closes the connection', (h) => {
  const c = authenticated(h).send({ type: 'auth', reason: 0x19, properties: { authenticationMethod: 'OTHER' } });
  c.expectClosed([0x82, 0x8c]);
});

conforms({ v5: '4.12.1-2' }, 'a failed re-authentication closes the connection', (h) => {
  const c = authenticated(h);
  c.send({ type: 'auth', reason: 0x19, properties: { ...method, authenticationData: 'wrong' } }).expectClosed(0x87);
});

conforms({ v5: '3.15.1-1' }, 'flags of AUTH other than 0000 close the connection', (h) => {
  for (const flags of [1, 2, 8]) authenticated(h).send({ type: 'auth', reason: 0x19, properties: method, flags }).expectClosed(0x81);
});

conforms({ v5: '3.15.2-1' }, 'a reason code that is not of AUTH closes the connection', (h) => {
  authenticated(h).send({ type: 'auth', reason: 0x80, properties: method }).expectClosed([0x81, 0x82]);
});

conforms({ v5: '3.15.2-2 3.15.2-3' }, 'AUTH keeps within the maximum packet size, or the client is refused', (h) => {
  for (let maximumPacketSize = 5; maximumPacketSize < 40; maximumPacketSize++) {
    const c = begin(h, 'hello', { maximumPacketSize });
    const [answer] = c.takeAll();
    assert.ok(answer === undefined || ['auth', 'connack'].includes(answer.type));
    if (answer?.type !== 'auth') assert.ok(c.closed);
    c.drop();
  }
});

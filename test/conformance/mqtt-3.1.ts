// MQTT 3.1 (MQIsdp), which has no numbered statements: what it does otherwise than 3.1.1.

import test from 'node:test';

import { startHarness } from '../harness/harness.ts';

import type { Body } from './conforms.ts';

function in31(name: string, body: Body): void {
  test(`MQTT 3.1: ${name}`, async (t) => {
    const h = await startHarness({ version: 3 });
    try {
      await body(h, t);
      h.check();
    } finally {
      await h.stop();
    }
  });
}

in31('a session with each QoS', (h) => {
  const c = h.session('c', {}, false).subscribe('t', { qos: 2 });
  c.autoAcknowledge = true;
  for (const qos of [0, 1, 2]) {
    h.publish('t', `${qos}`, qos);
    c.take('publish', { qos, payload: `${qos}` });
  }
  c.takeAll();
  c.send({ type: 'pingreq' }).expect('pingresp').unsubscribe('t').disconnect();
  h.session('c').disconnect();
});

in31('a SUBSCRIBE, UNSUBSCRIBE or PUBREL may be repeated with DUP', (h) => {
  const c = h.connect('c');
  c.send({ type: 'subscribe', id: 1, subscriptions: [{ filter: 't', qos: 1 }], flags: 0x0a }).expect('suback', { id: 1, reasons: [1] });
  c.send({ type: 'publish', topic: 'u', qos: 2, id: 2 }).expect('pubrec', { id: 2 });
  c.send({ type: 'pubrel', id: 2, flags: 0x0a }).expect('pubcomp', { id: 2 });
  c.send({ type: 'unsubscribe', id: 3, filters: ['t'], flags: 0x0a }).expect('unsuback', { id: 3 });
});

in31('an empty client identifier is refused', (h) => {
  h.client().connect({ clientId: '' }).expect('connack', { reason: 2 }).expectClosed();
});

in31('clients of different versions reach each other', (h) => {
  const old = h.connect('old').subscribe('t', { qos: 1 });
  const middle = h.connect('middle', {}, 4).subscribe('t', { qos: 1 });
  const fresh = h.connect('fresh', {}, 5).subscribe('t', { qos: 1 });
  const all = [old, middle, fresh];
  for (const publisher of all) {
    const properties = publisher.version === 5 ? { properties: { userProperty: [['k', 'v']] as const, contentType: 'text/plain' } } : {};
    publisher.publish('t', `from ${publisher.version}`, { qos: 1, ...properties });
    for (const c of all) c.take('publish', { payload: `from ${publisher.version}`, qos: 1 });
  }
});

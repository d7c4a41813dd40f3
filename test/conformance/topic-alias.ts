// Topic aliases (3.3.2.3.4).

import assert from 'node:assert/strict';

import { conforms } from './conforms.ts';

conforms({ v5: '3.1.2-26 3.3.2-11 3.3.2-8' }, 'the server keeps within the topic alias maximum of the client', (h) => {
  // The watch fails on an alias that is 0, above the maximum, or not set before it is used.
  for (const topicAliasMaximum of [1, 3, 65_535]) {
    const c = h.connect('c', { properties: { topicAliasMaximum } }).subscribe('long/topic/#', { qos: 1 });
    c.autoAcknowledge = true;
    let aliased = 0;
    for (let n = 0; n < 40; n++) {
      const topic = `long/topic/name/${n % 7}`;
      h.publish(topic, String(n), n % 2);
      const packet = c.take('publish', { topic, payload: String(n) });
      if (packet.properties.topicAlias !== undefined) aliased++;
    }
    assert.ok(aliased > 0, 'the server never used an alias: the test shows nothing');
    c.drop();
  }
});

conforms({ v5: '3.1.2-27' }, 'without a topic alias maximum the server uses no alias', (h) => {
  for (const properties of [{}, { topicAliasMaximum: 0 }]) {
    const c = h.connect('c', { properties }).subscribe('long/topic/#');
    for (let n = 0; n < 5; n++) {
      h.publish('long/topic/name', 'x');
      c.expect('publish', { topic: 'long/topic/name', properties: { topicAlias: undefined } });
    }
    c.drop();
  }
});

conforms({ v5: '3.3.2-12' }, 'every alias up to the maximum of the server is taken', (h) => {
  const c = h.connect('c').subscribe('#');
  const p = h.client().connect({ clientId: 'p' });
  const { properties } = p.next('connack');
  const maximum = properties.topicAliasMaximum as number;
  assert.ok(maximum >= 1);
  for (let topicAlias = 1; topicAlias <= maximum; topicAlias++) p.publish(`t/${topicAlias}`, 'set', { properties: { topicAlias } });
  for (let topicAlias = maximum; topicAlias >= 1; topicAlias--) p.publish('', 'used', { properties: { topicAlias } });
  for (let topicAlias = 1; topicAlias <= maximum; topicAlias++) c.expect('publish', { topic: `t/${topicAlias}`, payload: 'set' });
  for (let topicAlias = maximum; topicAlias >= 1; topicAlias--) c.expect('publish', { topic: `t/${topicAlias}`, payload: 'used' });
  p.publish('other', 'changed', { properties: { topicAlias: 1 } }).publish('', 'used', { properties: { topicAlias: 1 } });
  c.expect('publish', { topic: 'other', payload: 'changed' }).expect('publish', { topic: 'other', payload: 'used' });
});

conforms({ v5: '3.3.2-12' }, 'aliases of sender and receiver have nothing to do with each other', (h) => {
  const c = h.connect('c').subscribe('t');
  h.connect('p').publish('t', 'x', { properties: { topicAlias: 5 } });
  c.expect('publish', { topic: 't', properties: { topicAlias: undefined } });
});

conforms({ v5: '3.3.2-7' }, 'aliases do not outlive their connection', (h) => {
  h.session('p')
    .publish('t', 'x', { properties: { topicAlias: 1 } })
    .drop();
  h.session('p', {}, true)
    .send({ type: 'publish', topic: '', payload: 'x', properties: { topicAlias: 1 } })
    .expectClosed([0x82, 0x94]);
  // The other way the watch, which begins anew with each connection, would fail.
  const alias = { properties: { topicAliasMaximum: 5 } };
  const c = h.session('c', alias).subscribe('long/topic/name', { qos: 1 });
  h.publish('long/topic/name', '1', 1);
  c.expect('publish', { topic: 'long/topic/name' }).drop();
  h.publish('long/topic/name', '2', 1);
  const again = h.session('c', alias, true);
  again.expect('publish', { topic: 'long/topic/name', payload: '1', dup: true });
  again.expect('publish', { topic: 'long/topic/name', payload: '2' });
});

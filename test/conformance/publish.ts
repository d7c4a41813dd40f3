// PUBLISH (3.3): header, retained messages, forwarding, overlapping subscriptions.

import assert from 'node:assert/strict';

import { hex } from '../harness/packet.ts';
import { conforms } from './conforms.ts';

conforms({ v4: '3.3.1-2 4.3.1-1', v5: '3.3.1-2 4.3.1-1' }, 'QoS 0 is delivered once, with DUP 0', (h) => {
  const c = h.connect('c').subscribe('t', { qos: 2 });
  h.publish('t', 'x', 0);
  c.expect('publish', { payload: 'x', qos: 0, dup: false, retain: false }).expectNothing();
  // DUP with QoS 0 breaks the rule from the other side.
  h.connect('bad').send({ type: 'publish', topic: 't', dup: true }).expectClosed([0x81, 0x82]);
});

conforms({ v4: '3.3.1-3', v5: '3.3.1-3' }, 'DUP of an incoming PUBLISH is not passed on', (h) => {
  const c = h.connect('c').subscribe('t', { qos: 2 });
  const publisher = h.connect('p');
  for (const qos of [1, 2]) {
    publisher.send({ type: 'publish', topic: 't', payload: `${qos}`, qos, id: qos, dup: true });
    c.expect('publish', { payload: `${qos}`, qos, dup: false });
  }
});

conforms({ v4: '3.3.1-4', v5: '3.3.1-4' }, 'both QoS bits set close the connection', (h) => {
  h.connect('c').send({ type: 'publish', topic: 't', qos: 3, id: 1 }).expectClosed(0x81);
});

conforms({ v4: '3.3.1-5 3.3.1-6 3.3.1-8', v5: '3.3.1-5 3.3.1-9' }, 'a retained message is stored and given to new subscriptions', (h) => {
  h.publish('a/b', 'old', 1, true);
  h.publish('a/b', 'new', 2, true);
  h.publish('a/c', 'other', 0, true);
  const c = h.connect('c').subscribe('a/b', { qos: 2 });
  c.expect('publish', { topic: 'a/b', payload: 'new', qos: 2, retain: true, dup: false }).expectNothing();
  const d = h.connect('d').subscribe('a/+', { qos: 1 });
  const topics = [d.next('publish'), d.next('publish')].map(({ topic, payload, qos, retain }) => ({ topic, payload, qos, retain }));
  assert.deepEqual(
    topics.sort((x, y) => (x.topic! < y.topic! ? -1 : 1)),
    [
      { topic: 'a/b', payload: 'new', qos: 1, retain: true },
      { topic: 'a/c', payload: 'other', qos: 0, retain: true },
    ],
  );
  d.expectNothing();
});

conforms({ v4: '3.3.1-7' }, 'a retained PUBLISH of QoS 0 replaces what was retained', (h) => {
  h.publish('t', 'old', 1, true);
  h.publish('t', 'new', 0, true);
  h.connect('c').subscribe('t', { qos: 1 }).expect('publish', { payload: 'new', qos: 0, retain: true }).expectNothing();
});

conforms({ v4: '3.3.1-9', v5: '3.3.1-12' }, 'RETAIN is 0 towards established subscriptions', (h) => {
  const c = h.connect('c').subscribe('t', { qos: 1 });
  h.publish('t', 'x', 1, true);
  c.expect('publish', { payload: 'x', retain: false }).expectNothing();
});

conforms({ v5: '3.3.1-13' }, 'with retain as published RETAIN is as it came', (h) => {
  const c = h.connect('c').subscribe('t', { qos: 1, retainAsPublished: true });
  h.publish('t', 'x', 1, true);
  h.publish('t', 'y', 1, false);
  c.expect('publish', { payload: 'x', retain: true }).expect('publish', { payload: 'y', retain: false }).expectNothing();
});

conforms(
  { v4: '3.3.1-10 3.3.1-11', v5: '3.3.1-6 3.3.1-7' },
  'an empty retained message removes the retained one, and is delivered',
  (h) => {
    h.publish('t', 'x', 1, true);
    const c = h.connect('c').subscribe('t', { qos: 1 });
    c.expect('publish', { payload: 'x', retain: true });
    h.publish('t', '', 1, true);
    c.expect('publish', { payload: '', retain: false }).expectNothing();
    h.connect('late').subscribe('t').expectNothing();
    h.publish('never', '', 0, true);
    h.connect('later').subscribe('#').expectNothing();
  },
);

conforms({ v4: '3.3.1-12', v5: '3.3.1-8' }, 'without RETAIN nothing retained is stored or replaced', (h) => {
  h.publish('t', 'kept', 1, true);
  h.publish('t', 'fleeting', 1, false);
  h.publish('t', '', 1, false);
  h.publish('u', 'fleeting', 1, false);
  h.connect('c').subscribe('#').expect('publish', { topic: 't', payload: 'kept', retain: true }).expectNothing();
});

conforms({ v5: '3.3.1-10 3.3.1-11 3.3.1-9' }, 'retain handling decides when retained messages are sent', (h) => {
  h.publish('t', 'kept', 1, true);
  const c = h.connect('c');
  c.subscribe('t', { retainHandling: 2 }).expectNothing();
  c.subscribe('t', { retainHandling: 1 }).expectNothing();
  c.subscribe('t', { retainHandling: 0 }).expect('publish', { payload: 'kept', retain: true }).expectNothing();
  c.unsubscribe('t');
  c.subscribe('t', { retainHandling: 1 }).expect('publish', { payload: 'kept', retain: true }).expectNothing();
});

conforms({ v4: '3.3.2-2 4.7.1-1', v5: '3.3.2-2 4.7.0-1' }, 'a wildcard in a topic name closes the connection', (h) => {
  for (const topic of ['a/+', '#', 'a#', '+']) h.connect('c').send({ type: 'publish', topic }).expectClosed([0x90, 0x81, 0x82]);
});

conforms(
  { v4: '3.3.2-3', v5: '3.3.2-3' },
  'only topics that match a subscription are delivered, under the name they were published',
  (h) => {
    const c = h.connect('c').subscribe('a/+/c').subscribe('x/#');
    for (const topic of ['a/b/c', 'a//c', 'a/b', 'a/b/c/d', 'x', 'x/y/z', 'xy', 'A/b/c']) h.publish(topic, topic);
    for (const topic of ['a/b/c', 'a//c', 'x', 'x/y/z']) c.expect('publish', { topic, payload: topic });
    c.expectNothing();
  },
);

conforms({ v4: '3.3.4-1 4.3.2-2 4.3.3-2', v5: '3.3.4-1 4.3.2-4 4.3.3-8' }, 'a PUBLISH is answered as its QoS says', (h) => {
  const c = h.connect('c');
  c.send({ type: 'publish', topic: 't', qos: 0 }).expectNothing();
  c.send({ type: 'publish', topic: 't', qos: 1, id: 1 }).expect('puback', { id: 1 }).expectNothing();
  c.send({ type: 'publish', topic: 't', qos: 2, id: 2 }).expect('pubrec', { id: 2 }).expectNothing();
  c.send({ type: 'pubrel', id: 2 }).expect('pubcomp', { id: 2 }).expectNothing();
});

conforms({ v4: '3.3.5-1', v5: '3.3.4-2' }, 'overlapping subscriptions deliver at the highest QoS among them', (h) => {
  const c = h.connect('c').subscribe('a/+', { qos: 0 }).subscribe('a/#', { qos: 2 }).subscribe('a/b', { qos: 1 });
  h.publish('a/b', 'x', 2);
  const packets = c.takeAll();
  assert.ok(packets.every(({ type }) => type === 'publish'));
  assert.equal(Math.max(...packets.map(({ qos }) => qos!)), 2);
});

conforms({ v5: '3.3.4-3 3.3.4-4 3.3.4-5' }, 'a delivery names the subscriptions that it comes from', (h) => {
  const c = h.connect('c');
  c.subscribe('a/+', { qos: 1, subscriptionIdentifier: 5 });
  c.subscribe('a/#', { qos: 0, subscriptionIdentifier: 268_435_455 });
  c.subscribe('a/b', { qos: 0 });
  c.subscribe('b', { qos: 0 });
  h.publish('a/b', 'x', 1);
  const identifiers = c.takeAll().flatMap(({ properties }) => (properties.subscriptionIdentifier as number[] | undefined) ?? []);
  assert.deepEqual(
    identifiers.sort((x, y) => x - y),
    [5, 268_435_455],
  );
  h.publish('b', 'x');
  c.expect('publish', { topic: 'b', properties: { subscriptionIdentifier: undefined } }).expectNothing();
});

conforms({ v5: '3.3.4-6' }, 'a subscription identifier from a client closes the connection', (h) => {
  h.connect('c')
    .send({ type: 'publish', topic: 't', properties: { subscriptionIdentifier: 1 } })
    .expectClosed(0x82);
});

conforms({ v4: '3.3.5-2' }, 'an unauthorised PUBLISH is acknowledged as usual, or closes the connection', (h) => {
  const watcher = h.connect('watcher').subscribe('#');
  h.security.deny('publish', 'secret');
  for (const qos of [1, 2]) {
    const c = h.connect('c').send({ type: 'publish', topic: 'secret', payload: 'x', qos, id: 1 });
    if (c.closed) c.expectClosed();
    else c.expect(qos === 1 ? 'puback' : 'pubrec', { id: 1 });
  }
  watcher.expectNothing();
});

conforms({ v5: '3.4.2-1 3.5.2-1' }, 'an unauthorised PUBLISH is refused with its reason', (h) => {
  const watcher = h.connect('watcher').subscribe('#');
  h.security.deny('publish', 'secret');
  const c = h.connect('c').send({ type: 'publish', topic: 'secret', qos: 1, id: 1 }).expect('puback', { id: 1, reason: 0x87 });
  c.send({ type: 'publish', topic: 'secret', qos: 2, id: 2 }).expect('pubrec', { id: 2, reason: 0x87 });
  c.send({ type: 'publish', topic: 'open', qos: 1, id: 3 }).expect('puback', { id: 3, reason: 0 });
  watcher.expect('publish', { topic: 'open' }).expectNothing();
});

conforms({ v5: '3.4.2-1 3.5.2-1' }, 'without subscribers the answer is 0x10 or 0x00', (h) => {
  const fits = (r: number | undefined): boolean => r === 0x10 || r === 0;
  const c = h.connect('c').send({ type: 'publish', topic: 't', qos: 1, id: 1 }).expect('puback', { reason: fits });
  c.send({ type: 'publish', topic: 't', qos: 2, id: 2 }).expect('pubrec', { reason: fits });
});

conforms({ v5: '4.13.1-1 3.3.2-8' }, 'properties of PUBLISH that are wrong close the connection', (h) => {
  const wrong = [
    [{ payloadFormatIndicator: 2 }, [0x81, 0x82]],
    [{ topicAlias: 0 }, [0x94, 0x82]],
    [{ topicAlias: 11 }, [0x94]],
    [{ sessionExpiryInterval: 1 }, [0x81, 0x82]],
    [{ raw: hex('02 00 00 00 01 02 00 00 00 01') }, [0x82]],
    [{ raw: hex('26 00 01 61') }, [0x81]],
    [{ raw: hex('50') }, [0x81]],
  ] as const;
  for (const [properties, reasons] of wrong) {
    h.connect('c')
      .send({ type: 'publish', topic: 't', properties: properties as Record<string, number> })
      .expectClosed(reasons);
  }
});

conforms({ v5: '3.3.1-12 3.3.1-13' }, 'RETAIN towards subscriptions at each QoS', (h) => {
  for (const qos of [0, 1, 2]) {
    const as = h.connect(`as${qos}`).subscribe('t/#', { qos, retainAsPublished: true });
    const not = h.connect(`not${qos}`).subscribe('t/#', { qos });
    for (const retain of [true, false]) {
      h.publish(`t/${qos}/${retain}`, 'x', qos, retain);
      as.expect('publish', { qos, retain });
      not.expect('publish', { qos, retain: false });
      h.publish(`t/${qos}/${retain}`, '', 0, true);
      as.take('publish', { payload: '' });
      not.take('publish', { payload: '' });
    }
    as.drop();
    not.drop();
  }
});

conforms({ v5: '3.4.2-1 3.5.2-1' }, 'a payload that is not the UTF-8 it is said to be is refused with its reason', (h) => {
  const c = h.connect('c').subscribe('t', { qos: 2 });
  const p = h.connect('p');
  const bad = { type: 'publish', topic: 't', payload: hex('ff fe'), properties: { payloadFormatIndicator: 1 } } as const;
  p.send({ ...bad, qos: 1, id: 1 }).expect('puback', { reason: 0x99 });
  p.send({ ...bad, qos: 2, id: 2 }).expect('pubrec', { reason: 0x99 });
  p.send({ ...bad, qos: 0 }).expectNothing();
  c.expectNothing();
  p.publish('t', hex('ff fe'), { properties: { payloadFormatIndicator: 0 } });
  c.expect('publish', { payload: hex('ff fe') });
});

conforms({ v4: '3.3.5-2', v5: '3.4.2-1 3.5.2-1' }, 'a client that may not retain cannot', (h) => {
  h.security.deny('retain', 't');
  for (const qos of [0, 1, 2]) {
    const p = h.connect('p').send({ type: 'publish', topic: 't', payload: 'x', retain: true, qos, ...(qos > 0 ? { id: 1 } : {}) });
    if (h.version === 5 && qos > 0) p.expect(qos === 1 ? 'puback' : 'pubrec', { reason: 0x87 });
  }
  h.connect('c').subscribe('#').expectNothing();
});

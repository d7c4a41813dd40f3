import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Attributes } from '../../message/attributes.ts';
import { Message } from '../../message/message.ts';
import { storedBytes } from '../journal/stored.ts';
import { Outcome, TestBroker, assertBooks, message } from '../testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };

describe('limits', () => {
  test('a message for a named queue that cannot be made is refused, until it can', async () => {
    const t = await TestBroker.start({ limits: { maxNamedQueues: 1 } });
    const p = t.connect('p');
    assert.equal(p.publish('$queue/one', '1'), Outcome.pending);
    const bytes = new TextEncoder().encode('$queue/two');
    const address = p.session!.address('$queue/two', bytes);
    assert.equal(p.session!.publish(address, message('$queue/two', '2', 1), 9), Outcome.quotaExceeded);
    t.broker.space('main').removeNamed(t.broker.space('main').named.get('one')!);
    assert.equal(p.session!.publish(address, message('$queue/two', '3', 1), 9), Outcome.pending);
    t.settle();
    const a = t.connect('a');
    a.subscribe('$queue/two');
    assert.deepEqual(a.payloads, ['3']);
    assertBooks(t);
  });

  test('subscriptions to shared and named queues come back whatever the limits are now', async () => {
    const t = await TestBroker.start({ shards: 2 });
    const a = t.connect(t.nameOn(0, 'a'), durable);
    for (let i = 0; i < 3; i++) {
      a.subscribe(`$share/g${i}/x`);
      a.subscribe(`$queue/q${i}`);
    }
    const t2 = await t.restart({ limits: { maxSharedQueues: 1, maxNamedQueues: 1 } });
    const a2 = t2.connect(a.session!.clientId, durable);
    t2.connect('p').publish('x', '1');
    assert.equal(a2.deliveries.length, 3);
    assert.equal(t2.connect('p').publish('$queue/q2', '2'), Outcome.pending);
    assert.equal(a2.payloads.at(-1), '2');
  });

  test('attributes count', () => {
    const withAttributes = (attributes: Attributes): number => {
      const m = message('x', 'y');
      return storedBytes(
        new Message(m.topic, m.topicBytes, m.buffer, m.start, m.end, m.guarantee, false, m.priority, 0, 0, m.sender, attributes),
      );
    };
    const long = 'x'.repeat(1000);
    const value = { type: 'string', value: long } as const;
    const binary = { type: 'binary', value: new Uint8Array(1000) } as const;
    const cases: Attributes[] = [
      { contentType: long },
      { contentEncoding: long },
      { subject: long },
      { groupId: long },
      { replyTo: { kind: 'topic', name: long } },
      { correlation: binary },
      { messageId: value },
      { properties: [{ key: long, value: { type: 'null', value: null } }] },
      { properties: [{ key: '', value }] },
      { properties: Array.from({ length: 50 }, () => ({ key: '', value: { type: 'boolean', value: true } })) },
      { residue: { protocol: 'mqtt', bytes: new Uint8Array(1000) } },
    ];
    for (const attributes of cases) assert.ok(withAttributes(attributes) > 1000, JSON.stringify(attributes).slice(0, 50));
  });
});

describe('at most once', () => {
  test('a group is delivered to although no member has credit', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', { receiveMaximum: 1 });
    const b = t.connect('b', { receiveMaximum: 1 });
    for (const each of [a, b]) each.subscribe('$share/g/x');
    const p = t.connect('p');
    p.publish('x', '1', 1);
    p.publish('x', '2', 1);
    a.congested = true;
    assert.equal(p.publish('x', '3', 0), Outcome.accepted);
    assert.deepEqual(b.payloads, ['2', '3']);
    b.congested = true;
    p.publish('x', '4', 0);
    assert.equal(t.broker.total.noConsumer, 1);
    assertBooks(t);
  });

  test('nothing is kept for a session that is not there', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', durable);
    a.subscribe('x', 2);
    a.disconnect();
    t.connect('p').publish('x', '1', 0);
    assert.deepEqual(t.connect('a', durable).payloads, []);
    assert.equal(t.broker.total.accepted, 0);
    assertBooks(t);
  });
});

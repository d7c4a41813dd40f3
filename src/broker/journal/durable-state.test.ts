// What the broker keeps beyond queues, and what becomes of all of it over restarts and checkpoints.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Outcome } from '../port.ts';
import { TestBroker, TestConsumer, assertBooks, attachRequest, message } from '../testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };

describe('retained messages', () => {
  test('are delivered to new subscriptions, survive a crash, and are cleared', async () => {
    const t = await TestBroker.start({ shards: 3 });
    const p = t.connect('p');
    p.publish('s/1', 'one', 1, { retain: true });
    p.publish('s/2', 'two', 0, { retain: true });
    p.publish('s/1', 'uno', 1, { retain: true });
    const t2 = await t.restart();
    const a = t2.connect('a', durable);
    a.subscribe('s/+', 1);
    assert.deepEqual(a.deliveries.map((d) => [d.topic, d.payload, d.retained, d.guarantee]).toSorted(), [
      ['s/1', 'uno', true, 1],
      ['s/2', 'two', true, 0],
    ]);
    a.subscribe('s/+', 1, { retainHandling: 'ifNew' });
    assert.equal(a.deliveries.length, 2);
    t2.connect('p').publish('s/1', '', 1, { retain: true });
    const t3 = await t2.restart();
    const b = t3.connect('b');
    b.subscribe('#');
    assert.deepEqual(b.payloads, ['two']);
  });

  test('a thousand of them reach a session that takes ten at a time', async () => {
    const t = await TestBroker.start();
    const p = t.connect('p');
    for (let i = 0; i < 1000; i++) p.publishNow(`r/${i}`, String(i), 1, { retain: true });
    t.settle();
    const a = t.connect('a', { ...durable, receiveMaximum: 10 });
    a.subscribe('r/#');
    assert.equal(a.deliveries.length, 10);
    for (let settled = 0; settled < a.deliveries.length; settled++) {
      a.session!.settle(a.deliveries[settled]!.id, 'accepted');
      t.settle();
    }
    assert.equal(new Set(a.payloads).size, 1000);
    assertBooks(t);
  });
});

describe('wills', () => {
  test('are published when the connection is lost, after their delay, or after a crash', async () => {
    const t = await TestBroker.start();
    const watcher = t.connect('w', durable);
    watcher.subscribe('will/#');
    const will = (name: string, delayMs: number) => ({ message: message(`will/${name}`, name, 1), delayMs });
    t.connect('a', { will: will('a', 0) }).disconnect(true);
    t.connect('b', { will: will('b', 0) }).disconnect(false);
    t.connect('c', { ...durable, will: will('c', 5000) }).disconnect(true);
    assert.deepEqual(watcher.payloads, ['a']);
    t.connect('c', { ...durable }).disconnect(true);
    t.connect('d', { ...durable, will: will('d', 5000) }).disconnect(true);
    t.advance(6000);
    assert.deepEqual(watcher.payloads, ['a', 'd']);
    t.connect('e', { will: will('e', 0) });
    t.connect('f', { ...durable, will: will('f', 5000) });
    watcher.settleAll();
    const t2 = await t.restart();
    t2.settle();
    const w2 = t2.connect('w', durable);
    assert.deepEqual(w2.payloads, ['e']);
    t2.advance(6000);
    assert.deepEqual(w2.payloads, ['e', 'f']);
  });
});

describe('a will of a session that ends with its connection', () => {
  test('is durable before its connection is welcomed', async () => {
    const t = await TestBroker.start();
    t.connect('w', durable).subscribe('will/#');
    const consumer = new TestConsumer(t);
    t.broker.attach({ ...attachRequest('a'), will: { message: message('will/a', 'gone', 1), delayMs: 0 } }, consumer);
    t.endTurn();
    assert.equal(consumer.outcome, undefined);
    t.commit();
    assert.equal(consumer.outcome, Outcome.accepted);
    const t2 = await t.restart();
    t2.settle();
    assert.deepEqual(t2.connect('w', durable).payloads, ['gone']);
  });
});

describe('checkpoints', () => {
  test('change nothing, and let rows go', async () => {
    const t = await TestBroker.start({ shards: 2 });
    const a = t.connect('a', durable);
    a.subscribe('x/#', 2);
    a.subscribe('$share/g/y', 1);
    a.disconnect();
    const b = t.connect('b', durable);
    for (let i = 0; i < 100; i++) {
      b.publish(`x/${i}`, `x${i}`, 1);
      b.publish('y', `y${i}`, 1);
      b.publish(`keep/${i % 3}`, `r${i}`, 1, { retain: true });
    }
    b.publish('x/q', 'q', 2, { token: 77 });
    const a2 = t.connect('a', durable);
    a2.settleAll();
    a2.disconnect();
    const rowsBefore = t.contents.reduce((sum, contents) => sum + contents.rows.size, 0);
    let done = false;
    t.broker.checkpoint(() => (done = true));
    t.settle();
    assert.equal(done, true);
    assert.ok(t.contents.reduce((sum, contents) => sum + contents.rows.size, 0) < rowsBefore / 2);
    const t2 = await t.restart();
    const b2 = t2.connect('b', durable);
    b2.publish('x/q', 'q', 2, { token: 77 });
    const a3 = t2.connect('a', durable);
    for (let before = -1; before !== a3.deliveries.length; a3.settleAll()) before = a3.deliveries.length;
    const seen = [...a2.payloads, ...a3.payloads];
    for (let i = 0; i < 100; i++) {
      assert.ok(seen.includes(`x${i}`));
      assert.ok(seen.includes(`y${i}`));
    }
    // Sent again perhaps, but with the id by which the peer knows it.
    const ids = [...a2.deliveries, ...a3.deliveries].filter((d) => d.payload === 'q').map((d) => d.id);
    assert.equal(new Set(ids).size, 1);
    a3.subscribe('keep/#');
    assert.deepEqual(a3.payloads.slice(-3).toSorted(), ['r97', 'r98', 'r99']);
    assertBooks(t2);
  });

  test('payloads beyond the memory budget are read from the journal, in order', async () => {
    const t = await TestBroker.start({ limits: { payloadMemoryBytes: 2000 } });
    const a = t.connect('a', durable);
    a.subscribe('x');
    a.disconnect();
    const b = t.connect('b');
    const expected: string[] = [];
    for (let i = 0; i < 200; i++) {
      expected.push(`${i}`.padStart(100, '.'));
      b.publish('x', expected[i]!);
    }
    assert.ok(t.broker.memory.bytes <= 4000, `${t.broker.memory.bytes}`);
    let done = false;
    t.broker.checkpoint(() => (done = true));
    t.settle();
    assert.ok(done);
    const a2 = t.connect('a', { ...durable, receiveMaximum: 1000 });
    assert.deepEqual(a2.payloads, expected);
    assert.ok(t.broker.memory.counters.loads > 100);
  });
});

test('what is read ahead is not more than memory holds: each row is read once, however large', async () => {
  const limits = { payloadMemoryBytes: 1_000_000, namedQueue: { maxMessages: 1000, maxBytes: 1e8, onFull: 'reject-new' } } as const;
  const t = await TestBroker.start({ limits: { ...limits, maxUncommittedBytes: 1e9 } });
  const p = t.connect('p');
  for (let i = 0; i < 60; i++) p.publish('$queue/jobs', `${i} ${'.'.repeat(100_000)}`);
  const later = await t.restart({ limits });
  const a = later.connect('a', { receiveMaximum: 1 });
  a.subscribe('$queue/jobs');
  for (let i = 0; i < 60; i++) {
    a.session!.settle(a.deliveries.at(-1)!.id, 'accepted');
    later.settle();
  }
  assert.deepEqual(
    a.payloads.map((payload) => parseInt(payload)),
    Array.from({ length: 60 }, (_, i) => i),
  );
  const { loads } = later.broker.memory.counters;
  assert.ok(loads <= 61, `${loads} rows read`);
});

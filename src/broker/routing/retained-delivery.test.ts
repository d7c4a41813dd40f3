import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TestBroker, assertBooks } from '../testing/test-broker.ts';
import type { TestConsumer } from '../testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };

function retain(t: TestBroker, count: number, payload = 'm'): void {
  const p = t.connect('p');
  for (let i = 0; i < count; i++) p.publishNow(`r/${i}`, payload, 1, { retain: true });
  t.settle();
}

/** Settles one delivery after the other until no more comes. */
function settleOneByOne(t: TestBroker, a: TestConsumer): void {
  for (let i = 0; i < a.deliveries.length; i++) {
    a.session!.settle(a.deliveries[i]!.id, 'accepted');
    t.settle();
  }
}

describe('retained messages on their way to a new subscription', () => {
  test('all reach a session without journal, however small its queue is', async () => {
    const t = await TestBroker.start({ limits: { transientInbox: { maxMessages: 10, maxBytes: 1e6, onFull: 'drop-oldest' } } });
    retain(t, 200);
    const a = t.connect('a', { receiveMaximum: 3 });
    a.subscribe('r/#');
    settleOneByOne(t, a);
    assert.equal(new Set(a.deliveries.map((d) => d.topic)).size, 200);
    assert.equal(t.broker.total.queueFull, 0);
    assertBooks(t);
  });

  test('they push out nothing that waits', async () => {
    const t = await TestBroker.start({ limits: { durableInbox: { maxMessages: 10, maxBytes: 1e6, onFull: 'drop-oldest' } } });
    retain(t, 50);
    const a = t.connect('a', { ...durable, receiveMaximum: 1 });
    a.subscribe('live');
    for (let i = 0; i < 8; i++) t.connect('p').publish('live', String(i));
    a.subscribe('r/#');
    settleOneByOne(t, a);
    assert.equal(a.deliveries.filter((d) => d.topic === 'live').length, 8);
    assert.equal(a.deliveries.length, 58);
    assertBooks(t);
  });

  test('one that fits into no inbox does not hold up the others', async () => {
    const t = await TestBroker.start({ limits: { durableInbox: { maxMessages: 10, maxBytes: 500, onFull: 'reject-new' } } });
    retain(t, 3);
    t.connect('p').publish('r/large', 'x'.repeat(1000), 1, { retain: true });
    const a = t.connect('a', durable);
    a.subscribe('r/#');
    settleOneByOne(t, a);
    assert.equal(a.deliveries.length, 3);
    assert.equal(t.broker.total.queueFull, 1);
    assertBooks(t);
  });

  test('they go on when a full store has space again', async () => {
    const t = await TestBroker.start();
    retain(t, 3);
    const a = t.connect('a', durable);
    a.session!.subscribe(
      [{ filter: 'r/#', guarantee: 1, noLocal: false, retainAsPublished: false, retainHandling: 'always', subscriptionId: 0 }],
      1,
    );
    t.frozen.add(0);
    t.settle();
    t.stall(0);
    a.session!.resume();
    t.settle();
    assert.equal(a.deliveries.length, 0);
    t.resume(0);
    assert.equal(a.deliveries.length, 3);
  });

  test('payloads that are not in memory are read', async () => {
    const t = await TestBroker.start({ limits: { payloadMemoryBytes: 500 } });
    for (let i = 0; i < 20; i++) t.connect('p').publish(`r/${i}`, 'x'.repeat(100), 1, { retain: true });
    assert.ok(t.broker.memory.counters.evictions > 10);
    for (const guarantee of [0, 1] as const) {
      const a = t.connect(`a${guarantee}`);
      a.subscribe('r/#', guarantee);
      assert.equal(a.deliveries.length, 20);
    }
    assert.ok(t.broker.memory.bytes <= 1000);
  });
});

test('a queue whose first message went while it was read goes on with the next', async () => {
  const t = await TestBroker.start({ limits: { payloadMemoryBytes: 1 } });
  const a = t.connect('a', durable);
  a.subscribe('x');
  a.disconnect();
  const p = t.connect('p');
  p.publish('x', 'first', 1, { expiresAtMs: t.clock.wallMs() + 5000 });
  p.publish('x', 'second');
  t.broker.checkpoint(() => {});
  t.settle();
  const b = t.connect('other');
  b.subscribe('y');
  t.frozen.add(0);
  const a2 = t.connect('a', durable);
  t.endTurn();
  // Answered, it wants the first message, which is not in memory.
  t.frozen.clear();
  t.endTurn();
  t.commit();
  assert.deepEqual(a2.payloads, []);
  t.clock.advance(6000);
  t.broker.dropExpired();
  t.broker.shards[0]!.seal();
  t.contents[0]!.rows.delete([...t.contents[0]!.rows.keys()][0]!);
  t.settle();
  assert.deepEqual(a2.payloads, ['second']);
  assert.equal(t.failed, undefined);
});

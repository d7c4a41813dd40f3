import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { JournalError } from '../store/journal.ts';
import { Outcome } from './port.ts';
import { TestBroker, assertBooks } from './testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };

describe('messages that wait only in memory', () => {
  test('are kept once, however many wait for them', async () => {
    const t = await TestBroker.start();
    const consumers = Array.from({ length: 10 }, (_, i) => t.connect(`slow${i}`));
    for (const consumer of consumers) {
      consumer.subscribe('x');
      consumer.congested = true;
    }
    const payload = 'p'.repeat(10_000);
    t.connect('p').publish('x', payload);
    assert.ok(t.broker.memory.transientBytes > 10_000 && t.broker.memory.transientBytes < 11_000, `${t.broker.memory.transientBytes}`);
    for (const consumer of consumers) {
      consumer.congested = false;
      consumer.session!.resume();
      assert.deepEqual(consumer.payloads, [payload]);
      consumer.settleAll();
    }
    assert.equal(t.broker.memory.transientBytes, 0);
    assertBooks(t);
  });

  test('have a bound for all of them together, and everybody a share', async () => {
    const t = await TestBroker.start({ limits: { transientMemoryBytes: 200_000 } });
    const slow = t.connect('slow');
    const other = t.connect('other');
    slow.subscribe('x');
    other.subscribe('y');
    slow.congested = other.congested = true;
    const p = t.connect('p');
    for (let i = 0; i < 100; i++) p.publish('x', 'p'.repeat(10_000));
    assert.ok(t.broker.memory.transientBytes <= 200_000);
    assert.ok(t.broker.total.queueFull > 50);
    p.publish('y', 'mine');
    other.congested = false;
    other.session!.resume();
    assert.deepEqual(other.payloads, ['mine']);
    assertBooks(t);
  });
});

describe('a journal that is behind', () => {
  test('holds publishers back until it has caught up', async () => {
    const t = await TestBroker.start({ limits: { maxUncommittedBytes: 5000 } });
    t.connect('a', durable).subscribe('x');
    const p = t.connect('p');
    for (let i = 0; i < 10; i++) {
      p.publishNow('x', 'p'.repeat(1000));
      t.endTurn();
    }
    assert.equal(p.held, true);
    t.settle();
    assert.equal(p.held, false);
    assert.equal(t.broker.uncommittedBytes, 0);
  });

  test('and stalls refuses its publishers, and holds back nobody else', async () => {
    const t = await TestBroker.start({ shards: 2, limits: { maxUncommittedBytes: 5000 } });
    // Two sessions whose inboxes are in different shards.
    const names = Array.from({ length: 20 }, (_, i) => `a${i}`);
    for (const name of names) t.connect(name, durable).subscribe(`x/${name}`);
    const shardOf = (name: string): number => t.broker.space('main').sessions.get(name)!.inbox.shard.index;
    const there = names.find((name) => shardOf(name) === 0)!;
    const elsewhere = names.find((name) => shardOf(name) === 1)!;
    const p = t.connect('p');
    for (let i = 0; i < 10; i++) {
      p.publishNow(`x/${there}`, 'p'.repeat(1000));
      t.endTurn();
    }
    assert.equal(p.held, true);
    t.broker.shards[0]!.stalled(new JournalError('full', 'no space left', 'test'));
    assert.equal(p.held, false);
    assert.equal(p.publishNow(`x/${there}`, 'one more'), Outcome.unavailable);
    assert.equal(p.publishNow(`x/${elsewhere}`, 'p'), Outcome.pending);
    assert.equal(p.held, false);
    t.broker.shards[0]!.resumed();
    t.settle();
    assert.equal(t.broker.uncommittedBytes, 0);
    assertBooks(t);
  });
});

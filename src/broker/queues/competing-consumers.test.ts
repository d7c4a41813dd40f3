import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Outcome, TestBroker, assertBooks } from '../testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };
const group = '$share/g/x';

describe('what a member has under way', () => {
  test('exactly once, it dies with a session that ended with the node', async () => {
    const t = await TestBroker.start({ shards: 2 });
    t.connect('durable', durable).subscribe(group, 2);
    t.connect('durable', durable).disconnect();
    const a = t.connect('transient');
    a.subscribe(group, 2);
    t.connect('p').publish('x', '1', 2, { token: 1 });
    assert.deepEqual(a.payloads, ['1']);
    const t2 = await t.restart();
    const d = t2.connect('durable', durable);
    d.subscribe(group, 2);
    assert.deepEqual(d.payloads, []);
    assert.equal(t2.broker.total.sessionEnded, 1);
    assertBooks(t2);
    assert.equal(t2.broker.shards[0]!.rows.size + t2.broker.shards[1]!.rows.size, 0);
  });

  test('it is not taken for that of a later session', async () => {
    const t = await TestBroker.start({ shards: 2 });
    // The group is on one shard, the session that has no record on the other.
    const name = `$share/${t.nameOn(0, 'g', '/x')}`;
    const keeper = t.connect(t.nameOn(0, 'keeper'), durable);
    keeper.subscribe(name, 2);
    keeper.disconnect();
    const a = t.connect(t.nameOn(1, 'transient'));
    a.subscribe(name, 2);
    t.connect(t.nameOn(0, 'p')).publish('x', '1', 2, { token: 1 });
    assert.deepEqual(a.payloads, ['1']);
    const key = t.broker.space('main').sessions.get(a.session!.clientId)!.key;
    const t2 = await t.restart();
    const later = t2.connect(t2.nameOn(1, 'later'), durable);
    assert.notEqual(t2.broker.space('main').sessions.get(later.session!.clientId)!.key, key);
  });

  test('as a member asked for it, also after a checkpoint', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', durable);
    a.subscribe(group, 1);
    t.connect('p').publish('x', '1', 2, { token: 1 });
    assert.deepEqual(
      a.deliveries.map((d) => d.guarantee),
      [1],
    );
    t.broker.checkpoint(() => {});
    t.settle();
    const t2 = await t.restart();
    const b = t2.connect('b');
    b.subscribe(group, 1);
    assert.deepEqual(
      b.deliveries.map((d) => [d.guarantee, d.payload]),
      [[1, '1']],
      'at least once, it may go to another',
    );
    assertBooks(t2);
  });
});

describe('unsubscribing', () => {
  test('what is under way is completed [MQTT-3.10.4-3]', async () => {
    for (const session of [durable, {}]) {
      const t = await TestBroker.start();
      const a = t.connect('a', session);
      const b = t.connect('b', session);
      a.subscribe(group);
      t.connect('p').publish('x', '1');
      b.subscribe(group);
      a.session!.unsubscribe([group], 1);
      t.settle();
      assert.deepEqual(b.payloads, []);
      assert.equal(a.session!.settle(a.deliveries[0]!.id, 'accepted'), true);
      assert.equal(t.broker.total.delivered, 1);
      assertBooks(t);
    }
  });

  test('what is under way goes to another member when the connection is lost', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', durable);
    const b = t.connect('b', durable);
    a.subscribe(group);
    t.connect('p').publish('x', '1');
    b.subscribe(group);
    a.session!.unsubscribe([group], 1);
    t.settle();
    a.disconnect();
    assert.deepEqual(b.payloads, ['1']);
    assertBooks(t);
  });

  test('the last member may settle what it has; then nothing is left', async () => {
    for (const session of [durable, {}]) {
      const t = await TestBroker.start();
      const a = t.connect('a', { ...session, receiveMaximum: 3 });
      a.subscribe(group, 2);
      const p = t.connect('p');
      for (const [i, guarantee] of ([1, 2, 2, 1] as const).entries()) p.publish('x', String(i), guarantee, { token: i + 1 });
      assert.equal(a.deliveries.length, 3);
      a.session!.unsubscribe([group], 1);
      t.settle();
      assert.equal(t.broker.total.sessionEnded, 1, 'what only waited');
      a.settleAll();
      assert.equal(t.broker.total.delivered, 3);
      assert.equal(t.broker.total.queued, 0);
      assert.equal(t.broker.shards[0]!.queues.size, 0);
      assert.equal(t.broker.memory.bytes + t.broker.memory.transientBytes, 0);
      assertBooks(t);
    }
  });

  test('what the last member leaves unsettled goes with the queue', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', durable);
    a.subscribe(group, 1);
    t.connect('p').publish('x', '1');
    a.session!.unsubscribe([group], 1);
    t.settle();
    a.disconnect();
    assert.equal(t.broker.total.sessionEnded, 1);
    assert.equal(t.broker.shards[0]!.queues.size, 0);
    assertBooks(t);
  });

  test('the peer of the last member keeps its half of a delivery across a crash', async () => {
    const t = await TestBroker.start({ shards: 2 });
    const a = t.connect('a', durable);
    a.subscribe(group, 2);
    const p = t.connect('p');
    p.publish('x', '1', 2, { token: 1 });
    p.publish('x', '2', 2, { token: 2 });
    const [one, two] = a.deliveries;
    a.session!.settle(one!.id, 'received');
    t.settle();
    a.session!.unsubscribe([group], 1);
    t.settle();
    // The group begins anew; its earlier queue has nothing to do with it.
    t.connect('b', durable).subscribe(group, 2);
    p.publish('x', '3', 2, { token: 3 });
    for (const checkpoint of [false, true]) {
      if (checkpoint) t.broker.checkpoint(() => {});
      t.settle();
      const t2 = await t.restart();
      const a2 = t2.connect('a', durable);
      assert.deepEqual(a2.releases, [one!.id]);
      assert.deepEqual(
        a2.deliveries.map((d) => [d.id, d.payload]),
        [[two!.id, '2']],
      );
      a2.settleAll();
      const b = t2.connect('b', durable);
      assert.deepEqual(b.payloads, ['3']);
      b.settleAll();
      assert.equal(t2.broker.total.queued, 0);
      assert.equal(
        t2.broker.shards.reduce((n, { queues }) => n + queues.size, 0),
        1,
      );
      assertBooks(t2);
    }
  });
});

describe('a shared queue that is found without members', () => {
  const full = { limits: { sharedQueue: { maxMessages: 2, maxBytes: 1e6, onFull: 'reject-new' } } } as const;

  /** Durable for a member that unsubscribed, and then only shared by one that was gone with the node. */
  async function forsaken(): Promise<TestBroker> {
    const t = await TestBroker.start(full);
    const a = t.connect('a', durable);
    a.subscribe(group);
    const b = t.connect('b', { receiveMaximum: 1 });
    b.subscribe(group);
    a.session!.unsubscribe([group], 1);
    const p = t.connect('p');
    p.publish('x', '1');
    p.publish('x', '2');
    assert.equal(p.publish('x', '3'), Outcome.quotaExceeded);
    return t.restart(full);
  }

  test('waits for them a while', async () => {
    const t = await forsaken();
    t.advance(60_000);
    const b = t.connect('b');
    b.subscribe(group);
    assert.deepEqual(b.payloads, ['1', '2']);
    t.advance(3_600_000);
    assert.equal(t.broker.space('main').shared.size, 1);
    b.settleAll();
    assert.equal(t.broker.total.delivered, 2);
  });

  test('goes when they do not come, and refuses nobody any more', async () => {
    const t = await forsaken();
    assert.equal(t.connect('p').publish('x', '4'), Outcome.quotaExceeded);
    t.advance(3_600_000);
    assert.equal(t.broker.space('main').shared.size, 0);
    assert.equal(t.broker.total.sessionEnded, 2);
    assert.equal(t.connect('p').publish('x', '5'), Outcome.noSubscribers);
    assertBooks(t);
    const t2 = await t.restart(full);
    assert.equal(t2.broker.space('main').shared.size, 0);
  });
});

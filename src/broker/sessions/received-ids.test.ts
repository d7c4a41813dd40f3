import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Outcome, TestBroker, assertBooks } from '../testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };

describe('a publisher whose session ends with its connection', () => {
  test('learns of a repetition only when the first is durable', async () => {
    const t = await TestBroker.start();
    t.connect('a', durable).subscribe('x', 2);
    const p = t.connect('p');
    t.frozen.add(0);
    assert.equal(p.publish('x', '1', 2, { token: 5 }), Outcome.pending);
    assert.equal(p.publish('x', '1', 2, { token: 5 }), Outcome.pending);
    assert.deepEqual(p.acknowledged, []);
    assert.equal(p.session!.release(5), Outcome.pending);
    assert.deepEqual(p.releasedTokens, []);
    t.frozen.clear();
    t.settle();
    assert.deepEqual(p.acknowledged, [
      [5, Outcome.accepted],
      [5, Outcome.accepted],
    ]);
    assert.deepEqual(p.releasedTokens, [5]);
    assert.equal(p.session!.release(5), Outcome.noSubscription);
    assert.equal(t.broker.total.accepted, 1);
    p.publish('x', '2', 2, { token: 5 });
    assert.equal(p.session!.release(5), Outcome.accepted, 'nothing to write: no journal knows the id');
    assertBooks(t);
  });
});

describe('a repetition after a crash', () => {
  test('does not bring back an older retained message', async () => {
    for (const again of ['old', '']) {
      const t = await TestBroker.start({ shards: 2 });
      const topic = t.nameOn(0, 'r');
      const w = t.nameOn(0, 'w');
      t.connect(w, durable).subscribe(topic, 2);
      const p = t.connect('p', durable);
      p.publish(topic, again, 2, { token: 5, retain: true });
      const t2 = await t.restart();
      t2.connect('q').publish(topic, 'new', 1, { retain: true });
      const p2 = t2.connect('p', durable);
      p2.publish(topic, again, 2, { token: 5, retain: true });
      const a = t2.connect('a');
      a.subscribe(topic);
      assert.deepEqual(a.payloads, ['new'], again);
      const t3 = await t2.restart();
      assert.deepEqual(t3.connect(w, durable).payloads, [again, 'new']);
    }
  });

  test('fills in what is missing, once', async () => {
    const t = await TestBroker.start({ shards: 2 });
    const names = [t.nameOn(0, 'a'), t.nameOn(1, 'a')];
    for (const name of names) t.connect(name, durable).subscribe('x', 2);
    const p = t.connect(t.nameOn(0, 'p'), durable);
    t.frozen.add(1);
    p.publish('x', '1', 2, { token: 5 });
    assert.deepEqual(p.acknowledged, [], 'half of it is not durable');
    const t2 = await t.restart();
    const p2 = t2.connect(t2.nameOn(0, 'p'), durable);
    p2.publish('x', '1', 2, { token: 5 });
    assert.deepEqual(p2.acknowledged, [[5, Outcome.accepted]]);
    const t3 = await t2.restart();
    for (const name of names) assert.deepEqual(t3.connect(name, durable).payloads, ['1']);
    assertBooks(t3);
  });
});

test('ids of a session that is over are forgotten in every shard', async () => {
  const t = await TestBroker.start({ shards: 4 });
  for (let i = 0; i < 8; i++) t.connect(`a${i}`, durable).subscribe('x', 2);
  const p = t.connect('p', durable);
  for (let i = 1; i <= 10; i++) p.publish('x', String(i), 2, { token: i });
  assert.ok(t.broker.shards.some((shard) => shard.origins.size > 0));
  t.connect('p', { cleanStart: true });
  const t2 = await t.restart();
  for (const broker of [t, t2]) {
    assert.deepEqual(
      broker.broker.shards.map((shard) => shard.origins.size),
      [0, 0, 0, 0],
    );
  }
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { shardOf } from '../context.ts';
import { assertInvariants, whatSurvives } from '../testing/described-state.ts';
import { Outcome, TestBroker, assertBooks } from '../testing/test-broker.ts';
import type { MessageOptions } from '../testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };
const jobs = '$queue/jobs';

function inMs(t: TestBroker, ms: number, more: MessageOptions = {}): MessageOptions {
  return { ...more, attributes: { deliverAtMs: t.clock.wallMs() + ms } };
}

function delayed(t: TestBroker): number {
  return t.broker.space('main').delayed?.queue.ledger.queued ?? 0;
}

describe('a message that is to be delivered later', () => {
  test('is acknowledged when it is durable, and delivered when its time has come', async () => {
    for (const guarantee of [0, 1, 2] as const) {
      const t = await TestBroker.start();
      const a = t.connect('a', durable);
      a.subscribe('x', 2);
      const p = t.connect('p');
      const outcome = p.publishNow('x', '1', guarantee, { ...inMs(t, 10_000), token: 7 });
      assert.equal(outcome, guarantee === 0 ? Outcome.accepted : Outcome.pending);
      assert.deepEqual(p.acknowledged, []);
      t.settle();
      assert.deepEqual(p.acknowledged, guarantee === 0 ? [] : [[7, Outcome.accepted]]);
      t.advance(9999);
      assert.deepEqual([a.payloads, delayed(t)], [[], 1]);
      t.advance(1);
      assert.deepEqual([a.payloads, delayed(t)], [['1'], 0]);
      assert.equal(a.deliveries[0]!.guarantee, guarantee);
      assertBooks(t);
      assertInvariants(t.broker);
    }
  });

  test('they come in the order of their times; what is due already comes at once', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a');
    a.subscribe(jobs);
    const p = t.connect('p');
    const at = [50, 10, 40, 30, 20, 60, 15, -5, 35];
    for (const seconds of at) p.publish(jobs, String(seconds), 1, inMs(t, seconds * 1000));
    assert.deepEqual(a.payloads, ['-5']);
    for (let i = 0; i < 13; i++) t.advance(5000);
    assert.deepEqual(
      a.payloads.map(Number),
      at.toSorted((x, y) => x - y),
    );
  });

  test('those of one time come in the order in which they were published', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a');
    a.subscribe(jobs);
    const p = t.connect('p');
    const options = inMs(t, 1000);
    for (let i = 0; i < 50; i++) p.publish(jobs, String(i), 1, options);
    t.advance(1000);
    assert.deepEqual(
      a.payloads,
      Array.from({ length: 50 }, (_, i) => String(i)),
    );
  });

  test('those that expire long before their time leave nothing behind', async () => {
    const t = await TestBroker.start();
    const p = t.connect('p');
    for (let round = 0; round < 6; round++) {
      const options = { ...inMs(t, 3_600_000), expiresAtMs: t.clock.wallMs() + 1000 };
      for (let i = 0; i < 900; i++) p.publishNow(jobs, '', 1, options);
      t.settle();
      t.advance(5000);
      assert.equal(delayed(t), 0);
    }
    assert.ok(t.broker.space('main').delayed!.scheduled < 2000, String(t.broker.space('main').delayed!.scheduled));
    assertBooks(t);
  });

  test('many that nobody has room for are tried again a few at a time', async () => {
    const many = { maxMessages: 10_000, maxBytes: 1e8, onFull: 'reject-new' } as const;
    const limits = { payloadMemoryBytes: 1, delayedQueue: many, queues: [{ match: 'jobs', maxMessages: 100 }] };
    const t = await TestBroker.start({ limits });
    const p = t.connect('p');
    const options = inMs(t, 1000);
    for (let i = 0; i < 4000; i++) p.publishNow(jobs, String(i), 1, options);
    t.settle();
    t.advance(1000);
    const { counters } = t.broker.context;
    for (let i = 0; i < 5; i++) {
      const before = counters.publishesRefusedByFullQueue;
      t.advance(1000);
      assert.ok(counters.publishesRefusedByFullQueue - before <= 1001);
    }
    const a = t.connect('a');
    a.subscribe(jobs);
    for (let i = 0; i < 60 && delayed(t) > 0; i++) {
      a.settleAll();
      a.deliveries.length = 0;
      t.advance(1000);
    }
    assert.equal(delayed(t), 0);
    assertBooks(t);
  });

  test('is there after a restart, and a checkpoint, and what was due meanwhile comes then', async () => {
    for (const checkpoint of [false, true]) {
      const t = await TestBroker.start({ shards: 2 });
      const a = t.connect('a', durable);
      a.subscribe('x');
      const p = t.connect('p');
      p.publish('x', '1', 1, inMs(t, 10_000));
      p.publish('x', '2', 1, inMs(t, 60_000));
      if (checkpoint) t.broker.checkpoint(() => {});
      t.settle();
      t.clock.advance(20_000);
      const t2 = await t.restart();
      t2.advance(0);
      const back = t2.connect('a', durable);
      assert.deepEqual(back.payloads, ['1']);
      t2.advance(40_000);
      assert.deepEqual(back.payloads, ['1', '2']);
      back.settleAll();
      assert.deepEqual(Object.values((await t2.restart()).broker.spaces.get('main')!.delayed!.queue.ready.toArray()), []);
      assertInvariants(t2.broker);
    }
  });

  test('sets its last value then, not before', async () => {
    const t = await TestBroker.start();
    t.connect('p').publish('x', 'value', 1, inMs(t, 10_000, { retain: true }));
    assert.equal(t.broker.space('main').retained.get('x'), undefined);
    t.advance(10_000);
    const a = t.connect('a');
    a.subscribe('x');
    assert.deepEqual(a.payloads, ['value']);
  });

  test('expires while it waits', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a');
    a.subscribe('x');
    const p = t.connect('p');
    p.publish('x', '1', 1, inMs(t, 10_000, { expiresAtMs: t.clock.wallMs() + 5000 }));
    p.publish('x', '2', 1, inMs(t, 10_000, { expiresAtMs: t.clock.wallMs() + 10_000 }));
    t.advance(20_000);
    assert.deepEqual([a.payloads, t.broker.total.expired, t.broker.total.queued], [[], 2, 0]);
    assertBooks(t);
  });

  test('waits for room in a full queue', async () => {
    const t = await TestBroker.start({ limits: { namedQueue: { maxMessages: 1, maxBytes: 1e6, onFull: 'reject-new' } } });
    const p = t.connect('p');
    p.publish(jobs, 'before', 1);
    p.publish(jobs, 'delayed', 1, inMs(t, 1000));
    t.advance(20_000);
    assert.equal(delayed(t), 1);
    const a = t.connect('a');
    a.subscribe(jobs);
    a.settleAll();
    t.advance(1000);
    assert.deepEqual(a.payloads, ['before', 'delayed']);
    assertBooks(t);
  });

  test('is refused when too many wait already', async () => {
    const t = await TestBroker.start({ limits: { delayedQueue: { maxMessages: 2, maxBytes: 1e6, onFull: 'reject-new' } } });
    const p = t.connect('p');
    const outcomes = [1, 2, 3].map((i) => p.publish('x', String(i), 1, inMs(t, 1000)));
    assert.deepEqual(outcomes, [Outcome.pending, Outcome.pending, Outcome.quotaExceeded]);
  });

  test('nobody can publish to where it waits, or take from there', async () => {
    const t = await TestBroker.start();
    const p = t.connect('p');
    p.publish('x', '1', 1, inMs(t, 1000));
    assert.equal(p.publish('$queue/$delayed', '2'), Outcome.topicInvalid);
    p.subscribe('$queue/$delayed');
    assert.equal(p.subscribeResults[0]![0]!.outcome, Outcome.notFound);
  });

  test('published exactly once again after a crash, it is one message', async () => {
    const t = await TestBroker.start();
    const p = t.connect('p', durable);
    p.publish('x', '1', 2, { ...inMs(t, 10_000), token: 7 });
    const t2 = await t.restart();
    const again = t2.connect('p', durable);
    again.publish('x', '1', 2, { ...inMs(t2, 10_000), token: 7 });
    assert.equal(delayed(t2), 1);
  });
});

describe('a crash while a delayed message is distributed', () => {
  test('brings it to everybody once, at every moment and however many shards there are', async () => {
    for (const shards of [1, 2, 4]) {
      for (let steps = 0; steps < 6; steps++) {
        for (let frozen = 0; frozen < 2 ** shards; frozen++) await crash(shards, frozen, steps);
      }
    }
  });

  async function crash(shards: number, frozen: number, steps: number): Promise<void> {
    const t = await TestBroker.start({ shards });
    const clients = Array.from({ length: shards }, (_, shard) => t.nameOn(shard, 'client'));
    for (const client of clients) {
      const consumer = t.connect(client, durable);
      consumer.subscribe('x');
      consumer.disconnect();
    }
    t.connect('p').publish('x', '1', 1, inMs(t, 1000));
    for (let shard = 0; shard < shards; shard++) if ((frozen & (1 << shard)) !== 0) t.frozen.add(shard);
    t.clock.advance(1000);
    t.broker.timers.advance(t.clock.monotonicMs());
    for (let i = 0; i < steps; i++) {
      t.endTurn();
      t.commit();
    }
    let last = t;
    for (let i = 0; i < 2; i++) {
      last = await last.restart();
      if (i === 0) last.broker.checkpoint(() => {});
      last.advance(0);
    }
    assertInvariants(last.broker);
    const seen = clients.map((client) => last.connect(client, durable).payloads);
    const home = shardOf(t.broker.context, 'main', '$delayed').index;
    assert.deepEqual(
      seen,
      clients.map(() => ['1']),
      `${shards} shards, home ${home}, frozen ${frozen.toString(2)}, ${steps} steps: ${JSON.stringify(whatSurvives(last.broker).queues)}`,
    );
    for (const shard of last.broker.shards) assert.equal(shard.movedFrom.size, 0);
    assertBooks(last);
  }
});

// Transactions: what each call does in each state, and that what was committed is there whole or not at all.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Outcome } from '../port.ts';
import type { Transaction } from '../port.ts';
import { assertInvariants } from '../testing/described-state.ts';
import { TestBroker, message } from '../testing/test-broker.ts';
import type { TestConsumer } from '../testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };

function begin(consumer: TestConsumer, aborted: () => void = () => {}): Transaction {
  const transaction = consumer.session!.begin(aborted);
  assert.ok(typeof transaction === 'object');
  return transaction;
}

function publish(
  transaction: Transaction,
  consumer: TestConsumer,
  topic: string,
  payload: string,
  options: { retain?: boolean } = {},
): Outcome {
  const session = consumer.session!;
  const m = message(topic, payload, 1, options);
  return transaction.publish(session, session.address(topic, m.topicBytes), m);
}

function commit(t: TestBroker, transaction: Transaction): Outcome[] {
  const answers: Outcome[] = [];
  transaction.commit((outcome) => answers.push(outcome));
  t.settle();
  return answers;
}

/** A producer, a subscriber to `a/#`, and a consumer of `$queue/jobs` that has `jobs` messages unsettled. */
async function scene(jobs = 0, options: Parameters<typeof TestBroker.start>[0] = {}) {
  const t = await TestBroker.start(options);
  const subscriber = t.connect('subscriber', durable);
  subscriber.subscribe('a/#', 1);
  const consumer = t.connect('consumer', durable);
  consumer.subscribe('$queue/jobs', 2);
  const producer = t.connect('producer');
  for (let i = 0; i < jobs; i++) producer.publish('$queue/jobs', `job${i}`, 1);
  return { t, subscriber, consumer, producer };
}

for (const shards of [1, 8]) {
  describe(`a transaction, ${shards} shards`, () => {
    test('does nothing before it commits, and everything then', async () => {
      const { t, subscriber, consumer, producer } = await scene(2, { shards });
      const transaction = begin(producer);
      assert.equal(publish(transaction, producer, 'a/1', 'one'), Outcome.accepted);
      assert.equal(publish(transaction, producer, 'a/last', 'two', { retain: true }), Outcome.accepted);
      assert.equal(transaction.settle(consumer.session!, consumer.deliveries[0]!.id, 'accepted'), true);
      t.settle();
      assert.deepEqual(subscriber.payloads, []);
      assert.deepEqual(commit(t, transaction), [Outcome.accepted]);
      assert.deepEqual(subscriber.payloads, ['one', 'two']);
      assertInvariants(t.broker);
      const later = await t.restart({ shards });
      const again = later.connect('consumer2');
      again.subscribe('$queue/jobs', 1);
      assert.deepEqual(again.payloads, ['job1']);
      const newcomer = later.connect('newcomer');
      newcomer.subscribe('a/last', 1);
      assert.deepEqual(newcomer.payloads, ['two']);
    });

    test('is answered only when it is durable', async () => {
      const { t, consumer, producer } = await scene(1, { shards });
      const transaction = begin(producer);
      publish(transaction, producer, 'a/1', 'one');
      transaction.settle(consumer.session!, consumer.deliveries[0]!.id, 'accepted');
      let answer: Outcome | undefined;
      transaction.commit((outcome) => (answer = outcome));
      t.endTurn();
      assert.equal(answer, undefined);
      t.settle();
      assert.equal(answer, Outcome.accepted);
    });

    test('is seen by nobody before it is durable: not by those either who are told at once', async () => {
      const { t, subscriber, producer } = await scene(0, { shards });
      const live = t.connect('live');
      live.subscribe('a/#', 1);
      const atMostOnce = t.connect('at most once', durable);
      atMostOnce.subscribe('a/#', 0);
      const transaction = begin(producer);
      publish(transaction, producer, 'a/1', 'one');
      transaction.commit(() => {});
      t.endTurn();
      assert.deepEqual([live.payloads, atMostOnce.payloads], [[], []]);
      t.settle();
      assert.deepEqual([live.payloads, atMostOnce.payloads, subscriber.payloads], [['one'], ['one'], ['one']]);
      assertInvariants(t.broker);
    });

    test('that is rolled back leaves its deliveries unsettled with their session', async () => {
      const { t, subscriber, consumer, producer } = await scene(1, { shards });
      const transaction = begin(producer);
      publish(transaction, producer, 'a/1', 'one');
      const { id } = consumer.deliveries[0]!;
      assert.equal(transaction.settle(consumer.session!, id, 'accepted'), true);
      transaction.rollback();
      t.settle();
      assert.deepEqual(subscriber.payloads, []);
      assert.equal(consumer.session!.unsettled().length, 1);
      assert.equal(consumer.session!.settle(id, 'accepted'), true);
      assertInvariants(t.broker);
    });

    test('settles what others cannot settle meanwhile, and not twice', async () => {
      const { consumer, producer } = await scene(1, { shards });
      const [one, other] = [begin(producer), begin(producer)];
      const { id } = consumer.deliveries[0]!;
      assert.equal(one.settle(consumer.session!, id, 'accepted'), true);
      assert.equal(one.settle(consumer.session!, id, 'accepted'), false);
      assert.equal(other.settle(consumer.session!, id, 'accepted'), false);
      assert.equal(consumer.session!.settle(id, 'accepted'), false);
      assert.equal(one.settle(consumer.session!, 99, 'accepted'), false);
      one.rollback();
      assert.equal(other.settle(consumer.session!, id, 'rejected'), true);
    });

    test('of a connection that is lost has not happened; its deliveries go to others', async () => {
      const { t, subscriber, consumer, producer } = await scene(1, { shards });
      const transaction = begin(consumer);
      publish(transaction, producer, 'a/1', 'one');
      transaction.settle(consumer.session!, consumer.deliveries[0]!.id, 'accepted');
      consumer.disconnect();
      const other = t.connect('other');
      other.subscribe('$queue/jobs', 1);
      assert.deepEqual(other.payloads, ['job0']);
      assert.deepEqual(subscriber.payloads, []);
      assert.deepEqual(commit(t, transaction), [Outcome.aborted]);
      assertInvariants(t.broker);
    });

    test('holds on to deliveries of sessions that go before it commits', async () => {
      const { t, consumer, producer } = await scene(2, { shards });
      const [kept, returned] = [begin(producer), begin(producer)];
      kept.settle(consumer.session!, consumer.deliveries[0]!.id, 'accepted');
      returned.settle(consumer.session!, consumer.deliveries[1]!.id, 'accepted');
      consumer.session!.detach(false, 0);
      t.settle();
      const other = t.connect('other');
      other.subscribe('$queue/jobs', 1);
      assert.deepEqual(other.payloads, []);
      assertInvariants(t.broker);
      returned.rollback();
      t.settle();
      assert.deepEqual(other.payloads, ['job1']);
      assert.deepEqual(commit(t, kept), [Outcome.accepted]);
      other.settleAll();
      assert.equal(t.broker.space('main').named.get('jobs')!.queue.ledger.queued, 0);
      assertInvariants(t.broker);
    });

    test('publishes nothing when one queue has no room for all of it', async () => {
      const limits = { durableInbox: { maxMessages: 2, maxBytes: 100_000, onFull: 'reject-new' } } as const;
      const { t, subscriber, producer } = await scene(0, { shards, limits });
      subscriber.congested = true;
      const transaction = begin(producer);
      for (const payload of ['one', 'two', 'three']) publish(transaction, producer, 'a/1', payload);
      publish(transaction, producer, '$queue/other', 'four');
      assert.deepEqual(commit(t, transaction), [Outcome.quotaExceeded]);
      assert.equal(t.broker.space('main').named.get('other')!.queue.ledger.queued, 0);
      subscriber.congested = false;
      subscriber.session!.resume();
      assert.deepEqual(subscriber.payloads, []);
      assertInvariants(t.broker);
    });

    test('is refused while a shard of it is stalled, and its deliveries stay', async () => {
      const { t, consumer, producer } = await scene(1, { shards });
      const shard = t.broker.space('main').named.get('jobs')!.queue.shard.index;
      const transaction = begin(producer);
      transaction.settle(consumer.session!, consumer.deliveries[0]!.id, 'accepted');
      t.stall(shard);
      assert.deepEqual(commit(t, transaction), [Outcome.unavailable]);
      t.resume(shard);
      assert.equal(consumer.session!.settle(consumer.deliveries[0]!.id, 'accepted'), true);
    });

    test('that is open for too long is rolled back, and said to be', async () => {
      const { t, consumer, producer } = await scene(1, { shards });
      let aborted = 0;
      const transaction = begin(producer, () => aborted++);
      transaction.settle(consumer.session!, consumer.deliveries[0]!.id, 'accepted');
      t.advance(60_001);
      assert.equal(aborted, 1);
      assert.equal(publish(transaction, producer, 'a/1', 'one'), Outcome.aborted);
      assert.deepEqual(commit(t, transaction), [Outcome.aborted]);
      assert.equal(consumer.session!.settle(consumer.deliveries[0]!.id, 'accepted'), true);
      assert.equal(t.broker.context.transactions.open, 0);
    });

    test('keeps the order of commits of one connection', async () => {
      const { t, subscriber, consumer, producer } = await scene(1, { shards });
      const answers: string[] = [];
      const large = begin(producer);
      publish(large, producer, '$queue/jobs', 'job');
      publish(large, producer, 'a/1', 'one');
      large.settle(consumer.session!, consumer.deliveries[0]!.id, 'rejected');
      const small = begin(producer);
      publish(small, producer, 'a/1', 'two');
      large.commit((outcome) => answers.push(`large ${outcome}`));
      small.commit((outcome) => answers.push(`small ${outcome}`));
      t.settle();
      assert.deepEqual(subscriber.payloads, ['one', 'two']);
      assert.deepEqual(answers, ['large 0', 'small 0']);
    });

    test('keeps a delayed message until its time, which may come while it commits', async () => {
      const { t, subscriber, consumer, producer } = await scene(2, { shards });
      const session = producer.session!;
      const nowMs = t.clock.wallMs();
      for (const [job, delayMs] of [5000, 1].entries()) {
        const transaction = begin(producer);
        const m = message('a/1', `${delayMs}`, 1, { attributes: { deliverAtMs: nowMs + delayMs } });
        assert.equal(transaction.publish(session, session.address('a/1', m.topicBytes), m), Outcome.accepted);
        transaction.settle(consumer.session!, consumer.deliveries[job]!.id, 'rejected');
        t.clock.advance(job);
        assert.deepEqual(commit(t, transaction), [Outcome.accepted]);
      }
      t.advance(10);
      assert.deepEqual(subscriber.payloads, ['1']);
      t.advance(5000);
      assert.deepEqual(subscriber.payloads, ['1', '5000']);
      assertInvariants(t.broker);
    });

    test('whose dead letters wait for room keeps them in mind, but not what it published', async () => {
      const limits = { queues: [{ match: 'dead-letter', maxMessages: 1 }] };
      const { t, consumer, producer } = await scene(2, { shards, limits });
      consumer.session!.settle(consumer.deliveries[0]!.id, 'rejected');
      const transaction = begin(producer);
      publish(transaction, producer, 'a/1', 'one');
      publish(transaction, producer, '$queue/other', 'two');
      transaction.settle(consumer.session!, consumer.deliveries[1]!.id, 'rejected');
      assert.deepEqual(commit(t, transaction), [Outcome.accepted]);
      t.advance(3000);
      const kept = (broker: TestBroker) => broker.broker.shards.flatMap(({ transactions }) => [...transactions]);
      assert.deepEqual(
        kept(t).map(({ messages }) => messages.length),
        [0],
      );
      assertInvariants(t.broker);
      for (const checkpoint of [false, true]) {
        if (checkpoint) t.broker.checkpoint(() => {});
        t.settle();
        const later = await t.restart({ shards, limits });
        later.advance(3000);
        assert.equal(kept(later).length, 1);
        const reader = later.connect('reader');
        for (const name of ['other', 'dead-letter', 'jobs']) reader.subscribe(`$queue/${name}`, 1);
        assert.deepEqual(reader.payloads, ['two', 'job0']);
        reader.settleAll();
        later.advance(3000);
        assert.deepEqual(reader.payloads, ['two', 'job0', 'job1']);
        later.advance(3000);
        assert.deepEqual(kept(later), []);
        assertInvariants(later.broker);
      }
    });

    test('that settles exactly-once deliveries lets the peer forget them when it commits', async () => {
      const { t, consumer, producer } = await scene(0, { shards });
      producer.publish('$queue/jobs', 'twice', 2);
      const { id, guarantee } = consumer.deliveries[0]!;
      assert.equal(guarantee, 2);
      const transaction = begin(producer);
      assert.equal(transaction.settle(consumer.session!, id, 'received'), true);
      t.settle();
      assert.deepEqual(consumer.releases, []);
      assert.deepEqual(commit(t, transaction), [Outcome.accepted]);
      assert.deepEqual(consumer.releases, [id]);
      assert.equal(consumer.session!.settle(id, 'accepted'), true);
      t.settle();
      assertInvariants(t.broker);
    });
  });
}

describe('limits of transactions', () => {
  test('what is too much makes it one that can only be rolled back', async () => {
    const { t, subscriber, producer } = await scene(0);
    const transaction = begin(producer);
    for (let i = 0; i < 100; i++) assert.equal(publish(transaction, producer, 'a/1', String(i)), Outcome.accepted);
    assert.equal(publish(transaction, producer, 'a/1', 'more'), Outcome.quotaExceeded);
    assert.deepEqual(commit(t, transaction), [Outcome.aborted]);
    assert.deepEqual(subscriber.payloads, []);
    const large = begin(producer);
    assert.equal(publish(large, producer, 'a/1', 'x'.repeat(100_001)), Outcome.quotaExceeded);
    large.rollback();
    assert.equal(t.broker.context.transactions.counters.overLimit, 2);
  });

  test('a principal has no more than so many open', async () => {
    const { producer } = await scene(0);
    const open = Array.from({ length: 10 }, () => begin(producer));
    assert.equal(
      producer.session!.begin(() => {}),
      Outcome.quotaExceeded,
    );
    open[0]!.rollback();
    open[0]!.rollback();
    begin(producer);
    assert.equal(
      producer.session!.begin(() => {}),
      Outcome.quotaExceeded,
    );
  });

  test('what is committed and waits for the journal counts, too: it is in memory', async () => {
    const { t, producer } = await scene(0, { shards: 8 });
    t.connect('live').subscribe('a/#', 1);
    for (let shard = 0; shard < 8; shard++) t.frozen.add(shard);
    const answers: Outcome[] = [];
    for (let i = 0; i < 10; i++) {
      const transaction = begin(producer);
      publish(transaction, producer, 'a/1', String(i));
      transaction.commit((outcome) => answers.push(outcome));
      t.endTurn();
    }
    const one = producer.session!.begin(() => {});
    assert.equal(one, Outcome.quotaExceeded);
    t.frozen.clear();
    t.settle();
    assert.equal(answers.length, 10);
    begin(producer).rollback();
    begin(producer).rollback();
  });

  test('a row of a transaction is not cut where it grows large', async () => {
    const limits = { transactions: { maxOpenPerPrincipal: 10, maxMessages: 100, maxBytes: 10_000_000, timeoutMs: 60_000 } };
    const inbox = { maxMessages: 1000, maxBytes: 100_000_000, onFull: 'reject-new' } as const;
    const { t, producer } = await scene(0, { limits: { ...limits, durableInbox: inbox, maxUncommittedBytes: 100_000_000 } });
    const before = t.contents[0]!.rows.size;
    const transaction = begin(producer);
    for (let i = 0; i < 4; i++) publish(transaction, producer, 'a/1', `${i}`.repeat(1_000_000));
    transaction.commit(() => {});
    t.endTurn();
    assert.equal(t.contents[0]!.rows.size, before + 1);
    t.settle();
  });
});

describe('a transaction over several shards that is not done everywhere', () => {
  /** Two queues on different shards, a transaction that publishes to both, and the shard of its record. */
  async function committed() {
    const t = await TestBroker.start({ shards: 2 });
    const producer = t.connect('producer');
    const queues = [0, 1].map((shard) => `$queue/${t.nameOn(shard, '$queue/q').slice('$queue/'.length)}`);
    for (const queue of queues) producer.publish(queue, 'before', 1);
    const transaction = begin(producer);
    for (const queue of queues) publish(transaction, producer, queue, 'T');
    let answer: Outcome | undefined;
    transaction.commit((outcome) => (answer = outcome));
    t.endTurn();
    const home = t.broker.shards.findIndex(({ transactions }) => transactions.size > 0);
    return { t, queues, home, answered: () => answer };
  }

  function payloadsIn(t: TestBroker, queues: readonly string[]): string[][] {
    return queues.map((queue) => {
      const reader = t.connect(`reader of ${queue}`);
      reader.subscribe(queue, 1);
      return reader.payloads;
    });
  }

  const whole = [
    ['before', 'T'],
    ['before', 'T'],
  ];

  test('is in checkpoints of the shard that holds it', async () => {
    const { t, queues, home, answered } = await committed();
    t.frozen.add(1 - home);
    for (let i = 0; i < 3; i++) {
      t.commit();
      t.endTurn();
    }
    assert.equal(answered(), Outcome.accepted);
    const before = t.broker.shards[home]!.checkpointRow;
    t.broker.checkpoint(() => {});
    for (let i = 0; i < 10; i++) {
      t.endTurn();
      t.commit();
    }
    assert.ok(t.broker.shards[home]!.checkpointRow > before);
    const later = await t.restart({ shards: 2 });
    later.settle();
    assert.deepEqual(payloadsIn(later, queues), whole);
  });

  test('is not done again where it is done, checkpoint or not', async () => {
    for (const checkpoint of [false, true]) {
      const { t, queues, home } = await committed();
      t.commit();
      // Its record is durable; now only the other shard goes on.
      t.frozen.add(home);
      t.endTurn();
      t.commit();
      if (checkpoint) {
        const other = t.broker.shards[1 - home]!;
        const before = other.checkpointRow;
        t.broker.checkpoint(() => {});
        for (let i = 0; i < 10; i++) {
          t.endTurn();
          t.commit();
        }
        assert.ok(other.checkpointRow > before);
      }
      const later = await t.restart({ shards: 2 });
      later.settle();
      assert.deepEqual(payloadsIn(later, queues), whole);
      assert.equal(later.broker.context.transactions.counters.redone, 1);
      const last = await later.restart({ shards: 2 });
      assert.equal(last.broker.context.transactions.counters.redone, 0);
    }
  });
});

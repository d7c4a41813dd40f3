import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { shardOf } from '../context.ts';
import { link } from '../testing/links.ts';
import { assertInvariants } from '../testing/described-state.ts';
import { Outcome, TestBroker, assertBooks } from '../testing/test-broker.ts';
import type { TestConsumer } from '../testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };
const jobs = '$queue/jobs';
const graveyard = '$queue/dead-letter';

function waiting(t: TestBroker, name: string): number {
  return t.broker.space('main').named.get(name)?.queue.ready.length ?? 0;
}

/** What dead messages tell. */
function dead(t: TestBroker): unknown[] {
  const reader = t.connect('reader', { receiveMaximum: 1000 });
  reader.subscribe(graveyard);
  const found = reader.deliveries.map(({ payload, attributes }) => [payload, attributes?.death?.reason, attributes?.death?.from]);
  reader.disconnect();
  return found;
}

function settleLast(
  t: TestBroker,
  consumer: TestConsumer,
  ...how: Parameters<NonNullable<TestConsumer['session']>['settle']> extends [number, ...infer Rest] ? Rest : never
): void {
  consumer.session!.settle(consumer.deliveries.at(-1)!.id, ...how);
  t.settle();
}

describe('a message dies', () => {
  test('when it is rejected, with what its consumer said', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a');
    a.subscribe(jobs);
    a.subscribe('$share/g/x');
    const p = t.connect('p');
    p.publish(jobs, '1', 1, { attributes: { subject: 'kept' }, expiresAtMs: t.clock.wallMs() + 5000 });
    settleLast(t, a, 'rejected', { reason: { condition: 'app:broken', description: 'I cannot read it' } });
    p.publish('x', '2');
    settleLast(t, a, 'rejected');
    t.advance(10_000);
    const reader = t.connect('reader');
    reader.subscribe(graveyard);
    const diedAtMs = t.clock.wallMs() - 10_000;
    assert.deepEqual(
      reader.deliveries.map(({ payload, topic, redelivered, attributes }) => [
        payload,
        topic,
        redelivered,
        attributes?.subject,
        attributes?.death,
      ]),
      [
        ['1', jobs, false, 'kept', { reason: 'app:broken', description: 'I cannot read it', from: jobs, diedAtMs }],
        ['2', 'x', false, undefined, { reason: 'rejected', from: '$share/g/x', diedAtMs }],
      ],
    );
    assert.equal(t.broker.counters.deadLettered, 2);
    assertBooks(t);
    assertInvariants(t.broker);
  });

  test('when delivering it has failed as often as it may, also over restarts and connections', async () => {
    let t = await TestBroker.start({ limits: { maxDeliveries: 4 } });
    t.connect('p').publish(jobs, '1');
    const counts: number[] = [];
    for (let i = 0; i < 4; i++) {
      const connection = t.connect('connection');
      const a = link(t, connection, `a${i}`);
      a.subscribe(jobs);
      counts.push(a.deliveries[0]!.deliveryCount);
      if (i === 1) a.session!.unsubscribe([jobs], 9);
      if (i === 1) settleLast(t, a, 'modified', { deliveryFailed: true });
      if (i === 2) {
        settleLast(t, a, 'released');
        assert.equal(a.deliveries.at(-1)!.deliveryCount, 2, 'given back, it has not failed');
      }
      a.disconnect();
      t.broker.checkpoint(() => {});
      t.settle();
      t = await t.restart({ limits: { maxDeliveries: 4 } });
    }
    assert.deepEqual(counts, [0, 1, 2, 3]);
    assert.deepEqual(dead(t), [['1', 'delivery-limit', jobs]]);
    assert.equal(waiting(t, 'jobs'), 0);
    assertBooks(t);
  });

  test('when the limit was lowered meanwhile', async () => {
    const t = await TestBroker.start();
    t.connect('p').publish(jobs, '1');
    for (let i = 0; i < 3; i++) {
      const a = link(t, t.connect('connection'), 'a');
      a.subscribe(jobs);
      a.disconnect();
    }
    const t2 = await t.restart({ limits: { maxDeliveries: 2 } });
    const a = t2.connect('a');
    a.subscribe(jobs);
    assert.deepEqual(a.payloads, []);
    assert.deepEqual(dead(t2), [['1', 'delivery-limit', jobs]]);
  });

  test('never, where there is no limit', async () => {
    const t = await TestBroker.start({ limits: { queues: [{ match: 'jobs', maxDeliveries: 0 }] } });
    t.connect('p').publish(jobs, '1');
    for (let i = 0; i < 20; i++) {
      const a = link(t, t.connect('connection'), 'a');
      a.subscribe(jobs);
      assert.equal(a.deliveries.length, 1);
      a.disconnect();
    }
  });

  test('never, because a client that is not a link loses its connection', async () => {
    for (const [guarantee, filter, topic] of [
      [1, jobs, jobs],
      [2, jobs, jobs],
      [1, '$share/g/x', 'x'],
      [2, '$share/g/x', 'x'],
    ] as const) {
      const t = await TestBroker.start({ limits: { maxDeliveries: 2 } });
      t.connect('a', durable).subscribe(filter, guarantee);
      const p = t.connect('p');
      p.publish(topic, '1', guarantee);
      for (let i = 0; i < 5; i++) {
        const a = t.connect('a', durable);
        if (i > 0) assert.deepEqual([a.payloads, a.deliveries[0]!.deliveryCount], [['1'], 0]);
        a.disconnect();
      }
      assert.deepEqual(dead(t), []);
      assertInvariants(t.broker);
    }
  });

  test('when no consumer there is may have it', async () => {
    const t = await TestBroker.start();
    const [a, b] = ['a', 'b'].map((name) => t.connect(name)) as [TestConsumer, TestConsumer];
    a.subscribe(jobs);
    b.subscribe(jobs);
    t.connect('p').publish(jobs, '1');
    settleLast(t, a, 'modified', { undeliverableHere: true });
    assert.deepEqual([a.payloads, b.payloads], [['1'], ['1']]);
    settleLast(t, b, 'modified', { undeliverableHere: true, deliveryFailed: true });
    assert.deepEqual([a.payloads, b.payloads], [['1'], ['1']]);
    assert.deepEqual(dead(t), [['1', 'undeliverable', jobs]]);
    assertInvariants(t.broker);
  });

  test('when it expires, if that is set', async () => {
    const t = await TestBroker.start({ limits: { queues: [{ match: 'jobs', deadLetterExpired: true }] } });
    const p = t.connect('p');
    for (const name of [jobs, '$queue/others']) p.publish(name, name, 1, { expiresAtMs: t.clock.wallMs() + 1000 });
    t.advance(5000);
    assert.deepEqual(dead(t), [[jobs, 'expired', jobs]]);
    assert.equal(t.broker.total.expired, 1);
    assertBooks(t);
  });

  test('in an inbox, where that is asked for', async () => {
    for (const deadLetters of [true, false]) {
      const t = await TestBroker.start();
      const a = t.connect('a', { ...durable, deadLetters });
      a.subscribe('x');
      t.connect('p').publish('x', '1');
      settleLast(t, a, 'rejected');
      assert.deepEqual(dead(t), deadLetters ? [['1', 'rejected', 'inbox/a']] : []);
      assertInvariants(t.broker);
    }
  });
});

describe('where dead messages go', () => {
  test('a setting names another queue, or none', async () => {
    const t = await TestBroker.start({
      limits: {
        queues: [
          { match: 'orders/#', deadLetterQueue: 'lost' },
          { match: '$share/g/x', deadLetterQueue: '' },
        ],
      },
    });
    const a = t.connect('a');
    for (const filter of ['$queue/orders/1', '$share/g/x']) a.subscribe(filter);
    const p = t.connect('p');
    for (const topic of ['$queue/orders/1', 'x']) {
      p.publish(topic, topic);
      settleLast(t, a, 'rejected');
    }
    assert.deepEqual([waiting(t, 'lost'), waiting(t, 'dead-letter'), t.broker.total.refusedByConsumer], [1, 0, 1]);
    assertBooks(t);
  });

  test('who dies there is dropped', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a');
    a.subscribe(jobs);
    a.subscribe(graveyard);
    t.connect('p').publish(jobs, '1');
    settleLast(t, a, 'rejected');
    assert.equal(a.deliveries.length, 2);
    settleLast(t, a, 'rejected');
    assert.equal(a.deliveries.length, 2);
    assert.equal(t.broker.total.refusedByConsumer, 1);
    assert.equal(t.broker.total.queued, 0);
    assertBooks(t);
  });

  test('two queues that name each other do not play ball', async () => {
    const t = await TestBroker.start({
      limits: {
        queues: [
          { match: 'one', deadLetterQueue: 'two' },
          { match: 'two', deadLetterQueue: 'one' },
        ],
      },
    });
    const a = t.connect('a');
    a.subscribe('$queue/one');
    a.subscribe('$queue/two');
    t.connect('p').publish('$queue/one', '1');
    settleLast(t, a, 'rejected');
    settleLast(t, a, 'rejected');
    assert.deepEqual([a.deliveries.length, t.broker.total.queued], [2, 0]);
  });

  test('what waits for room is not read again and again', async () => {
    const t = await TestBroker.start({ limits: { payloadMemoryBytes: 1, queues: [{ match: 'dead-letter', maxMessages: 1 }] } });
    const a = t.connect('a');
    a.subscribe(jobs);
    const p = t.connect('p');
    for (let i = 0; i < 20; i++) {
      p.publish(jobs, String(i));
      settleLast(t, a, 'rejected');
    }
    const { waiting: before } = t.broker.space('main').deadLetters;
    const { loads } = t.broker.memory.counters;
    for (let i = 0; i < 5; i++) t.advance(1000);
    assert.deepEqual([before, t.broker.space('main').deadLetters.waiting, t.broker.memory.counters.loads], [19, 19, loads]);
    assertBooks(t);
  });

  test('a full one loses nothing: they wait in their own queue until there is room', async () => {
    const t = await TestBroker.start({ limits: { queues: [{ match: 'dead-letter', maxMessages: 1 }] } });
    const a = t.connect('a');
    a.subscribe(jobs);
    const p = t.connect('p');
    for (const payload of ['1', '2', '3']) {
      p.publish(jobs, payload);
      settleLast(t, a, 'rejected');
    }
    a.disconnect();
    assert.equal(t.broker.space('main').deadLetters.waiting, 2);
    assert.equal(t.broker.space('main').named.get('jobs')!.queue.ledger.queued, 2);
    assertInvariants(t.broker);
    for (const payload of ['1', '2', '3']) {
      assert.deepEqual(dead(t).length, 1);
      const reader = t.connect('reader');
      reader.subscribe(graveyard);
      assert.deepEqual(reader.payloads, [payload]);
      settleLast(t, reader, 'accepted');
      reader.disconnect();
      t.advance(1000);
    }
    assert.equal(t.broker.total.queued, 0);
    assertBooks(t);
  });

  test('one without room, and a crash: what was rejected comes again', async () => {
    const limits = { queues: [{ match: 'dead-letter', maxMessages: 1 }] };
    const t = await TestBroker.start({ limits });
    const a = t.connect('a', durable);
    a.subscribe(jobs, 2);
    const p = t.connect('p');
    for (const [i, payload] of ['1', '2'].entries()) {
      p.publish(jobs, payload, 2, { token: i + 1 });
      settleLast(t, a, 'rejected');
    }
    const t2 = await t.restart({ limits });
    assertInvariants(t2.broker);
    const b = t2.connect('b');
    b.subscribe(jobs, 2);
    assert.deepEqual(b.payloads, ['2']);
    assertBooks(t2);
  });

  test('payloads that have left the memory are read back', async () => {
    const t = await TestBroker.start({ limits: { payloadMemoryBytes: 1 } });
    const a = t.connect('a');
    a.subscribe(jobs);
    const p = t.connect('p');
    for (let i = 0; i < 10; i++) p.publish(jobs, String(i));
    for (const { id } of a.deliveries) a.session!.settle(id, 'rejected');
    t.settle();
    assert.deepEqual(
      dead(t)
        .map((each) => (each as string[])[0]!)
        .toSorted(),
      Array.from({ length: 10 }, (_, i) => String(i)),
    );
    assertInvariants(t.broker);
  });

  test('it is made where there are as many queues as there may be', async () => {
    const t = await TestBroker.start({ limits: { maxNamedQueues: 1 } });
    const a = t.connect('a');
    a.subscribe(jobs);
    t.connect('p').publish(jobs, '1');
    settleLast(t, a, 'rejected');
    assert.deepEqual(dead(t), [['1', 'rejected', jobs]]);
  });
});

describe('a crash while a message dies', () => {
  test('finds it in one queue, at every moment', async () => {
    for (const shards of [1, 2]) {
      for (const frozen of [[], [0], [1], [0, 1]]) {
        for (let steps = 0; steps < 8; steps++) await crash(shards, frozen, steps);
      }
    }
  });

  async function crash(shards: number, frozen: readonly number[], steps: number): Promise<void> {
    const t = await TestBroker.start({ shards });
    const graves = shardOf(t.broker.context, 'main', graveyard).index;
    let name = 'jobs';
    for (let i = 0; shards > 1 && shardOf(t.broker.context, 'main', `$queue/${name}`).index === graves; i++) name = `jobs${i}`;
    // The one that is frozen first is that of the dead.
    const map = (index: number): number => (index === 0 ? graves : 1 - graves);
    const a = t.connect('a');
    a.subscribe(`$queue/${name}`);
    assert.equal(t.connect('p').publish(`$queue/${name}`, '1'), Outcome.pending);
    for (const index of frozen) t.frozen.add(map(index));
    a.session!.settle(a.deliveries[0]!.id, 'rejected');
    for (let i = 0; i < steps; i++) {
      t.endTurn();
      t.commit();
    }
    const t2 = await t.restart();
    t2.settle();
    assertInvariants(t2.broker);
    assert.equal(waiting(t2, name) + waiting(t2, 'dead-letter'), 1, `${shards} shards, ${frozen.join()} frozen, ${steps} steps`);
    if (frozen.length === 0 && steps > 4) assert.equal(waiting(t2, 'dead-letter'), 1);
    const t3 = await t2.restart();
    assert.equal(waiting(t3, name) + waiting(t3, 'dead-letter'), 1);
    assertBooks(t3);
  }
});

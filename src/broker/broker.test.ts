import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Outcome } from './port.ts';
import { TestBroker, assertBooks, message } from './testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };

describe('routing', () => {
  test('delivers to who subscribes, at the lower guarantee', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a');
    const b = t.connect('b');
    const c = t.connect('c');
    a.subscribe('x/+', 0);
    b.subscribe('x/#', 1);
    assert.equal(c.publish('x/1', 'hi', 1), Outcome.accepted);
    assert.deepEqual(
      a.deliveries.map((d) => [d.topic, d.payload, d.guarantee]),
      [['x/1', 'hi', 0]],
    );
    assert.deepEqual(
      b.deliveries.map((d) => [d.topic, d.payload, d.guarantee]),
      [['x/1', 'hi', 1]],
    );
    assert.equal(c.publish('y', 'nobody', 1), Outcome.noSubscribers);
    b.settleAll();
    assert.equal(t.broker.total.delivered, 2);
    assertBooks(t);
  });

  test('overlapping subscriptions make one copy with every identifier', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a');
    a.subscribe('x/+', 0, { subscriptionId: 7 });
    a.subscribe('x/#', 2, { subscriptionId: 9 });
    a.publish('x/1', 'hi', 2, { token: 1 });
    assert.equal(a.deliveries.length, 1);
    assert.equal(a.deliveries[0]!.guarantee, 2);
    assert.deepEqual([...a.deliveries[0]!.ids!].toSorted(), [7, 9]);
  });

  test('no-local keeps a session from hearing itself', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a');
    const b = t.connect('b');
    a.subscribe('x', 1, { noLocal: true });
    a.publish('x', 'own', 1);
    b.publish('x', 'other', 1);
    assert.deepEqual(a.payloads, ['other']);
  });

  test('unsubscribing ends it, and the route that was cached', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a');
    const b = t.connect('b');
    a.subscribe('x');
    const address = b.session!.address('x', new TextEncoder().encode('x'));
    b.session!.publish(address, message('x', '1', 0), 0);
    a.session!.unsubscribe(['x', 'y'], 1);
    b.session!.publish(address, message('x', '2', 0), 0);
    assert.deepEqual(a.payloads, ['1']);
    assert.deepEqual(a.unsubscribeOutcomes, [[Outcome.accepted, Outcome.noSubscription]]);
  });

  test('tenants do not hear each other', async () => {
    const t = await TestBroker.start();
    const a = t.connect('same', { principal: { tenant: 'one', id: 'p', kind: 'device', roles: [] } });
    const b = t.connect('same', { principal: { tenant: 'two', id: 'p', kind: 'device', roles: [] } });
    a.subscribe('#');
    b.publish('x', 'secret', 1, { retain: true });
    a.subscribe('x');
    assert.deepEqual(a.payloads, []);
    assert.equal(a.closed, undefined);
  });
});

describe('acknowledging', () => {
  test('waits until the journal has what a durable session gets', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', durable);
    a.subscribe('x');
    const b = t.connect('b');
    assert.equal(b.publishNow('x', 'hi', 1, { token: 42 }), Outcome.pending);
    t.endTurn();
    assert.deepEqual(b.acknowledged, []);
    assert.deepEqual(a.deliveries, [], 'a durable delivery goes out only when it is durable');
    t.commit();
    assert.deepEqual(b.acknowledged, [[42, Outcome.accepted]]);
    assert.deepEqual(a.payloads, ['hi']);
    assertBooks(t);
  });

  test('a publish that was not durable is not there after a crash, one that was is', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', durable);
    a.subscribe('x');
    const b = t.connect('b');
    b.publish('x', 'safe', 1);
    b.publishNow('x', 'lost', 1);
    t.endTurn();
    const t2 = await t.restart();
    const a2 = t2.connect('a', durable);
    assert.equal(a2.sessionPresent, true);
    assert.deepEqual(a2.payloads, ['safe']);
    assert.equal(a2.deliveries[0]!.redelivered, true);
    assertBooks(t2);
  });

  test('refuses when a queue is full and its policy is to reject', async () => {
    const t = await TestBroker.start({ limits: { durableInbox: { maxMessages: 2, maxBytes: 1e6, onFull: 'reject-new' } } });
    const a = t.connect('a', durable);
    a.subscribe('x');
    const other = t.connect('other');
    other.subscribe('x', 0);
    a.disconnect();
    const b = t.connect('b');
    b.publish('x', '1');
    b.publish('x', '2');
    assert.equal(b.publish('x', '3'), Outcome.quotaExceeded);
    assert.deepEqual(other.payloads, ['1', '2'], 'a refused message reaches nobody');
    const again = t.connect('a', durable);
    again.settleAll();
    assert.equal(b.publish('x', '4'), Outcome.pending);
    assertBooks(t);
  });

  test('drop-oldest and drop-new count what they drop', async () => {
    for (const [onFull, left] of [
      ['drop-oldest', ['2', '3']],
      ['drop-new', ['1', '2']],
    ] as const) {
      const t = await TestBroker.start({ limits: { durableInbox: { maxMessages: 2, maxBytes: 1e6, onFull } } });
      const a = t.connect('a', durable);
      a.subscribe('x');
      a.disconnect();
      const b = t.connect('b');
      for (const payload of ['1', '2', '3']) b.publish('x', payload);
      assert.deepEqual(t.connect('a', durable).payloads, left);
      assert.equal(t.broker.total.queueFull, 1);
      assertBooks(t);
    }
  });

  test('publishers are held back while the journal is behind, whatever their guarantee', async () => {
    const t = await TestBroker.start({ limits: { maxUncommittedBytes: 1000 } });
    const a = t.connect('a', { ...durable, receiveMaximum: 1000 });
    a.subscribe('x', 2);
    for (const guarantee of [1, 2] as const) {
      const b = t.connect(`b${guarantee}`);
      const payload = `${guarantee}`.padEnd(600, '.');
      for (let turn = 0; turn < 3; turn++) {
        assert.equal(b.publishNow('x', payload, guarantee), Outcome.pending);
        t.endTurn();
      }
      assert.ok(t.broker.uncommittedBytes > 1000);
      assert.equal(b.held, true, `guarantee ${guarantee}`);
      t.settle();
      assert.equal(b.held, false);
    }
    assert.equal(t.broker.counters.publishersHeld, 2);
    assertBooks(t);
  });
});

describe('sessions', () => {
  test('unsettled deliveries come again with their ids, in order', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', durable);
    a.subscribe('x', 2);
    const b = t.connect('b');
    b.publish('x', '1', 1);
    b.publish('x', '2', 2, { token: 900 });
    b.publish('x', '3', 1);
    a.session!.settle(a.deliveries[1]!.id, 'received');
    t.settle();
    const ids = a.deliveries.map((d) => d.id);
    a.disconnect();
    const a2 = t.connect('a', durable);
    assert.deepEqual(
      a2.deliveries.map((d) => [d.id, d.payload, d.redelivered]),
      [
        [ids[0], '1', true],
        [ids[2], '3', true],
      ],
    );
    assert.deepEqual(a2.releases, [ids[1]]);
    a2.settleAll();
    assert.equal(t.broker.total.queued, 0);
    assertBooks(t);
  });

  test('no more than the receive maximum is under way', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', { ...durable, receiveMaximum: 2 });
    a.subscribe('x');
    const b = t.connect('b');
    for (let i = 0; i < 5; i++) b.publish('x', String(i));
    assert.deepEqual(a.payloads, ['0', '1']);
    a.session!.settle(a.deliveries[0]!.id, 'accepted');
    assert.deepEqual(a.payloads, ['0', '1', '2']);
  });

  test('a congested consumer gets its messages when it resumes', async () => {
    const t = await TestBroker.start();
    for (const options of [durable, {}]) {
      const a = t.connect('a', { ...options, cleanStart: true });
      a.subscribe('x');
      a.congested = true;
      t.connect('b').publish('x', '1');
      assert.deepEqual(a.payloads, []);
      a.congested = false;
      a.session!.resume();
      assert.deepEqual(a.payloads, ['1']);
    }
  });

  test('a session is taken over by its owner only', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', durable);
    const thief = t.connect('a', { principal: { tenant: 'main', id: 'thief', kind: 'device', roles: [] } });
    assert.equal(thief.outcome, Outcome.notAuthorized);
    assert.equal(a.closed, undefined);
    const again = t.connect('a', durable);
    assert.equal(a.closed, 'takenOver');
    assert.equal(again.sessionPresent, true);
    const clean = t.connect('a', { cleanStart: true });
    assert.equal(again.closed, 'takenOver');
    assert.equal(clean.sessionPresent, false);
  });

  test('a session ends when its time is over, also across a restart', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', { sessionExpiryMs: 10_000 });
    a.subscribe('x');
    a.disconnect();
    t.advance(6_000);
    const t2 = await t.restart();
    t2.advance(3_000);
    assert.equal(t2.broker.sessionCount, 1);
    t2.advance(2_000);
    assert.equal(t2.broker.sessionCount, 0);
    assert.equal(t2.broker.space('main').filterCount, 0);
    const t3 = await t2.restart();
    assert.equal(t3.broker.sessionCount, 0);
  });

  test('expired messages are not delivered, and counted', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', durable);
    a.subscribe('x');
    a.disconnect();
    const b = t.connect('b');
    b.publish('x', 'short', 1, { expiresAtMs: t.clock.wallMs() + 5000 });
    b.publish('x', 'long', 1, { expiresAtMs: t.clock.wallMs() + 50_000 });
    const t2 = await t.restart();
    t2.clock.advance(6000);
    assert.deepEqual(t2.connect('a', durable).payloads, ['long']);
    assert.equal(t2.broker.total.expired, 1);
    assertBooks(t2);
  });
});

describe('exactly once', () => {
  test('a repetition is stored once, before and after a crash', async () => {
    for (const shards of [1, 8]) {
      const t = await TestBroker.start({ shards });
      for (const name of ['a', 'c', 'd', 'e']) t.connect(name, durable).subscribe('x', 2);
      const b = t.connect('b', durable);
      assert.equal(b.publish('x', '1', 2, { token: 5 }), Outcome.pending);
      assert.deepEqual(b.acknowledged, [[5, Outcome.accepted]]);
      assert.equal(b.publish('x', '1', 2, { token: 5 }), Outcome.accepted);
      const t2 = await t.restart();
      const b2 = t2.connect('b', durable);
      b2.publish('x', '1', 2, { token: 5 });
      assert.equal(b2.session!.release(5), Outcome.pending);
      t2.settle();
      assert.deepEqual(b2.releasedTokens, [5]);
      assert.equal(b2.session!.release(5), Outcome.noSubscription);
      b2.publish('x', '2', 2, { token: 5 });
      const t3 = await t2.restart();
      for (const name of ['a', 'c', 'd', 'e']) assert.deepEqual(t3.connect(name, durable).payloads, ['1', '2'], `${name} of ${shards}`);
      assertBooks(t3);
    }
  });

  test('the peer keeps its half of a delivery across a crash', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', durable);
    a.subscribe('x', 2);
    t.connect('b').publish('x', '1', 2, { token: 1 });
    const { id } = a.deliveries[0]!;
    const t2 = await t.restart();
    const a2 = t2.connect('a', durable);
    assert.deepEqual(
      a2.deliveries.map((d) => [d.id, d.redelivered]),
      [[id, true]],
      'the same id, or the peer takes it for another message',
    );
    a2.session!.settle(id, 'received');
    assert.deepEqual(a2.releases, [], 'not before it is durable');
    t2.settle();
    assert.deepEqual(a2.releases, [id]);
    const t3 = await t2.restart();
    const a3 = t3.connect('a', durable);
    assert.deepEqual(a3.deliveries, []);
    assert.deepEqual(a3.releases, [id]);
    a3.settleAll();
    const t4 = await t3.restart();
    assert.deepEqual(t4.connect('a', durable).releases, []);
    assertBooks(t4);
  });
});

describe('shared and named queues', () => {
  test('messages go round, and what a member leaves goes to another', async () => {
    for (const options of [durable, {}]) {
      const t = await TestBroker.start();
      const a = t.connect('a', options);
      const b = t.connect('b', options);
      a.subscribe('$share/g/x/#');
      b.subscribe('$share/g/x/#');
      const p = t.connect('p');
      for (let i = 0; i < 6; i++) p.publish(`x/${i}`, String(i));
      assert.equal(a.payloads.length, 3);
      assert.equal(b.payloads.length, 3);
      a.session!.settle(a.deliveries[0]!.id, 'accepted');
      a.disconnect();
      assert.equal(b.payloads.length, 5);
      assert.deepEqual(
        b.deliveries.slice(3).map((d) => d.redelivered),
        [true, true],
      );
      assertBooks(t);
    }
  });

  test('a durable group keeps its messages while nobody is there', async () => {
    const t = await TestBroker.start({ shards: 4 });
    const a = t.connect('a', durable);
    a.subscribe('$share/g/x');
    a.disconnect();
    t.connect('p').publish('x', '1');
    const t2 = await t.restart();
    const a2 = t2.connect('a', durable);
    assert.deepEqual(a2.payloads, ['1']);
    a2.settleAll();
    const t3 = await t2.restart();
    assert.deepEqual(t3.connect('a', durable).payloads, []);
  });

  test('exactly-once entries of a group are never given to another session', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', durable);
    const b = t.connect('b', durable);
    a.subscribe('$share/g/x', 2);
    t.connect('p').publish('x', '1', 2, { token: 1 });
    b.subscribe('$share/g/x', 2);
    a.disconnect();
    assert.deepEqual(b.payloads, []);
    const a2 = t.connect('a', durable);
    assert.deepEqual(a2.payloads, ['1']);
  });

  test('a named queue keeps what is sent to it, at any guarantee', async () => {
    const t = await TestBroker.start();
    const p = t.connect('p');
    assert.equal(p.publish('$queue/jobs', '1', 0), Outcome.accepted);
    assert.equal(p.publish('$queue/jobs', '2', 1), Outcome.pending);
    const t2 = await t.restart();
    const a = t2.connect('a');
    a.subscribe('$queue/jobs');
    assert.deepEqual(
      a.deliveries.map((d) => [d.payload, d.guarantee]),
      [
        ['1', 0],
        ['2', 1],
      ],
    );
    assert.equal(a.deliveries[0]!.topic, '$queue/jobs');
    assertBooks(t2);
  });
});

test('what becomes due, or durable, while it stops is left for the next start', async () => {
  const t = await TestBroker.start({ shards: 8 });
  for (const name of ['s1', 's2', 's3']) t.connect(name, { sessionExpiryMs: 3_600_000 }).subscribe('a', 1);
  const p = t.connect('p');
  p.publish('a', 'later', 1, { attributes: { deliverAtMs: t.clock.wallMs() + 1000 } });
  const transaction = p.session!.begin(() => {});
  assert.ok(typeof transaction === 'object');
  const m = message('a', 'whole', 1);
  transaction.publish(p.session!, p.session!.address('a', m.topicBytes), m);
  transaction.commit(() => {});
  t.endTurn();
  const stopped = t.broker.stop();
  t.settle();
  t.advance(5000);
  await stopped;
  const later = await t.restart({ shards: 8 });
  later.advance(1000);
  for (const name of ['s1', 's2', 's3']) {
    const again = later.connect(name, { sessionExpiryMs: 3_600_000 });
    assert.deepEqual(again.payloads.toSorted(), ['later', 'whole']);
  }
});

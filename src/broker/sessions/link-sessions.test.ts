// What the links of a protocol with links ask of their sessions, beyond what connections do.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Settlement, SettlementDetail, UnsettledDelivery } from '../port.ts';
import { assertInvariants, whatSurvives } from '../testing/described-state.ts';
import { link, red } from '../testing/links.ts';
import { Outcome, TestBroker, allowAll, anyone } from '../testing/test-broker.ts';
import type { TestBrokerOptions, TestConsumer } from '../testing/test-broker.ts';

const forEver = { sessionExpiryMs: Infinity };
const jobs = '$queue/jobs';

/** Settles the last delivery of this payload. */
function settle(consumer: TestConsumer, payload: string, how: Settlement, detail?: SettlementDetail): void {
  const delivery = consumer.deliveries.findLast((each) => each.payload === payload)!;
  assert.equal(consumer.session!.settle(delivery.id, how, detail), true, `${how} ${payload}`);
}

const counts = (consumer: TestConsumer): [string, number][] => consumer.deliveries.map((each) => [each.payload, each.deliveryCount]);

describe('parts of connections', () => {
  test('are no connections of their own for quotas and lists', async () => {
    const quotas = { ofTenant: () => ({}), ofPrincipal: () => ({ connections: 1 }) };
    const t = await TestBroker.start({ quotas });
    const connection = t.connect('connection');
    const a = link(t, connection, 'a');
    assert.equal(a.outcome, Outcome.accepted);
    assert.equal(t.connect('another').outcome, Outcome.quotaExceeded);
    assertInvariants(t.broker);
    const names = (options: object): string[] =>
      t.broker.management.sessions('main', { limit: 10, ...options }).entries.map(({ clientId }) => clientId);
    assert.deepEqual(names({ connected: true, parts: false }), ['connection']);
    assert.deepEqual(names({}), ['a', 'connection']);
    assert.equal(t.broker.management.session('main', 'a')!.session.partOf, 'connection');
    a.disconnect();
    connection.disconnect();
    assertInvariants(t.broker);
    assert.equal(t.connect('another').outcome, Outcome.accepted);
  });

  test('are refused without their connection, and go with it', async () => {
    const t = await TestBroker.start();
    const connection = t.connect('connection');
    const { session } = connection;
    const order: string[] = [];
    const a = link(t, connection, 'a', forEver, (made) => (made.detached = (reason) => void order.push(`a ${reason}`)));
    connection.detached = (reason) => void order.push(`connection ${reason}`);
    t.broker.management.disconnect('main', 'connection', 'administrative');
    t.settle();
    assert.deepEqual(order, ['a administrative', 'connection administrative']);
    assert.equal(t.broker.space('main').sessions.get('a')!.attachment, undefined);
    assert.equal(t.connect('b', { partOf: session! }).outcome, Outcome.unavailable);
    assert.equal(a.session !== undefined, true);
    assertInvariants(t.broker);
  });

  test('what is left of them when their connection is detached is detached without a word', async () => {
    const t = await TestBroker.start();
    const connection = t.connect('connection');
    const a = link(t, connection, 'a');
    connection.disconnect();
    assert.equal(a.closed, undefined);
    assert.equal(t.broker.space('main').sessions.size, 0);
    assertInvariants(t.broker);
  });

  test('what siblings publish is their own, on topics and from queues', async () => {
    const t = await TestBroker.start();
    const connection = t.connect('connection');
    const sender = link(t, connection, 'sender');
    const receiver = link(t, connection, 'receiver');
    const ofQueue = link(t, connection, 'of-queue');
    receiver.subscribe('a', 1, { noLocal: true });
    ofQueue.subscribe(jobs, 1, { noLocal: true });
    const stranger = t.connect('stranger');
    for (const topic of ['a', jobs]) {
      for (const guarantee of [0, 1] as const) {
        sender.publish(topic, `own ${guarantee}`, guarantee);
        stranger.publish(topic, `other ${guarantee}`, guarantee);
      }
    }
    assert.deepEqual(receiver.payloads, ['other 0', 'other 1']);
    assert.deepEqual(ofQueue.payloads, ['other 0', 'other 1']);
  });

  test('have the principal of their connection, whatever becomes of it', async () => {
    const denied = new Set<string>();
    const security = { ...allowAll, allows: (_: unknown, action: string, topic: string) => !denied.has(`${action} ${topic}`) };
    const t = await TestBroker.start({ security });
    const connection = t.connect('connection');
    const a = link(t, connection, 'a', { principal: { ...anyone, id: 'somebody else' } });
    a.subscribe('x');
    assert.equal(a.session!.principal.id, anyone.id);
    const version = a.session!.addressVersion;
    denied.add('subscribe x');
    connection.session!.renew({ ...anyone, roles: ['less'] });
    assert.deepEqual(a.session!.principal.roles, ['less']);
    assert.ok(a.session!.addressVersion > version);
    assert.deepEqual(a.revocations, ['x']);
  });
});

describe('what a consumer gives back', () => {
  test('released: to its place, and it does not count', async () => {
    for (const filter of [jobs, 'topic']) {
      const t = await TestBroker.start();
      const connection = t.connect('connection');
      const a = link(t, connection, 'a', { ...forEver, receiveMaximum: 2 });
      a.subscribe(filter);
      const p = t.connect('p');
      for (const payload of ['1', '2', '3']) p.publish(filter, payload);
      assert.deepEqual(a.payloads, ['1', '2']);
      settle(a, '1', 'released');
      t.settle();
      assert.deepEqual(counts(a), [['1', 0], ['2', 0], ['1', 0]]); // prettier-ignore
      assert.equal(a.deliveries[0]!.position, a.deliveries[2]!.position);
      assertInvariants(t.broker);
    }
  });

  test('modified: the attempt counts when the delivery failed, durably', async () => {
    for (const filter of [jobs, 'topic']) {
      for (const guarantee of [1, 2] as const) {
        const t = await TestBroker.start();
        const a = link(t, t.connect('connection'), 'a', forEver);
        a.subscribe(filter, guarantee);
        t.connect('p').publish(filter, '1', guarantee);
        settle(a, '1', 'modified');
        t.settle();
        settle(a, '1', 'modified', { deliveryFailed: true });
        t.settle();
        assert.deepEqual(counts(a), [['1', 0], ['1', 0], ['1', 1]]); // prettier-ignore
        const before = whatSurvives(t.broker);
        const t2 = await t.restart();
        assert.deepEqual(whatSurvives(t2.broker), before);
        const b = link(t2, t2.connect('connection'), 'a', forEver);
        assert.deepEqual(counts(b), [['1', 1]]);
        assertInvariants(t2.broker);
      }
    }
  });

  test('one failure too many, and the message is dead', async () => {
    const t = await TestBroker.start({ limits: { maxDeliveries: 3, deadLetterQueue: 'dead-letter' } });
    for (const filter of [jobs, 'topic']) {
      const a = link(t, t.connect('connection'), `a ${filter}`, { ...forEver, deadLetters: true });
      a.subscribe(filter);
      t.connect('p').publish(filter, '1');
      for (let i = 0; i < 3; i++) {
        settle(a, '1', 'modified', { deliveryFailed: true });
        t.settle();
      }
      assert.deepEqual(counts(a), [['1', 0], ['1', 1], ['1', 2]]); // prettier-ignore
    }
    const dead = t.connect('dead');
    dead.subscribe('$queue/dead-letter');
    assert.deepEqual(
      dead.deliveries.map(({ attributes }) => [attributes?.death?.reason, attributes?.death?.from]),
      [
        ['delivery-limit', jobs],
        ['delivery-limit', 'inbox/a topic'],
      ],
    );
    assertInvariants(t.broker);
  });

  test('rejected: to the dead-letter queue, with the reason; or it is dropped', async () => {
    const t = await TestBroker.start({ limits: { deadLetterQueue: 'dead-letter' } });
    const reason = { condition: 'shop:too-heavy', description: 'nobody lifts it' };
    const connection = t.connect('connection');
    for (const [name, deadLetters] of [
      ['a', true],
      ['b', false],
    ] as const) {
      const consumer = link(t, connection, name, { ...forEver, deadLetters });
      consumer.subscribe('topic', 2);
    }
    t.connect('p').publish('topic', '1', 2);
    const consumers = ['a', 'b'].map((name) => t.broker.space('main').sessions.get(name)!);
    for (const { consumer, deliveries } of consumers) {
      const [delivery] = deliveries.unsettledNow();
      assert.ok(consumer !== undefined && delivery !== undefined);
    }
    for (const session of consumers) session.settle(session.deliveries.unsettledNow()[0]!.deliveryId, 'rejected', { reason });
    t.settle();
    const dead = t.connect('dead');
    dead.subscribe('$queue/dead-letter');
    const [only, ...more] = dead.deliveries;
    assert.equal(more.length, 0);
    assert.deepEqual([only!.attributes!.death!.reason, only!.attributes!.death!.description], ['shop:too-heavy', 'nobody lifts it']);
    assert.equal(consumers[1]!.inbox.ledger.refusedByConsumer, 1);
    assertInvariants(t.broker);
  });

  test('undeliverable here: for others, or for nobody', async () => {
    const t = await TestBroker.start({ limits: { deadLetterQueue: 'dead-letter' } });
    const connection = t.connect('connection');
    const a = link(t, connection, 'a');
    const b = link(t, connection, 'b');
    a.subscribe(jobs);
    t.connect('p').publish(jobs, '1');
    b.subscribe(jobs);
    settle(a, '1', 'modified', { undeliverableHere: true });
    t.settle();
    assert.deepEqual(b.payloads, ['1']);
    settle(b, '1', 'modified', { undeliverableHere: true });
    t.settle();
    assert.equal(a.deliveries.length + b.deliveries.length, 2);
    const dead = t.connect('dead');
    dead.subscribe('$queue/dead-letter');
    assert.deepEqual(
      dead.deliveries.map(({ attributes }) => attributes?.death?.reason),
      ['undeliverable'],
    );
    assertInvariants(t.broker);
  });

  test('annotations are merged into the message, also when it is not in memory', async () => {
    const annotation = (key: string, value: string) => ({ key, value: { type: 'string', value } }) as const;
    for (const payloadMemoryBytes of [0, 1_000_000]) {
      const t = await TestBroker.start({ limits: { payloadMemoryBytes } });
      for (const filter of [jobs, 'topic']) {
        const a = link(t, t.connect('connection'), 'a', { ...forEver, cleanStart: true });
        a.subscribe(filter);
        t.connect('p').publish(filter, '1', 1, red);
        settle(a, '1', 'modified', { annotations: [annotation('x', '1'), annotation('y', '1')] });
        t.settle();
        settle(a, '1', 'modified', { annotations: [annotation('x', '2')] });
        t.settle();
        assert.equal(a.deliveries.length, 3);
        assert.deepEqual(a.deliveries[2]!.attributes?.annotations, [annotation('x', '2'), annotation('y', '1')]);
        assert.deepEqual(a.deliveries[2]!.attributes?.properties, red.attributes.properties);
        assertInvariants(t.broker);
        settle(a, '1', 'accepted');
        t.settle();
      }
      const before = whatSurvives(t.broker);
      assert.deepEqual(whatSurvives((await t.restart()).broker), before);
    }
  });

  test('a message with annotations without end does not grow', async () => {
    const t = await TestBroker.start();
    const a = link(t, t.connect('connection'), 'a');
    a.subscribe(jobs);
    t.connect('p').publish(jobs, '1');
    for (let i = 0; i < 100; i++) {
      settle(a, '1', 'modified', { annotations: [{ key: `key ${i}`, value: { type: 'null', value: null } }] });
      t.settle();
    }
    assert.equal(a.deliveries.at(-1)!.attributes!.annotations!.length, 64);
    assertInvariants(t.broker);
  });

  test('a lost connection counts what was sent; it is not dropped with the session', async () => {
    for (const guarantee of [1, 2] as const) {
      for (const more of [{}, forEver]) {
        const t = await TestBroker.start();
        const connection = t.connect('connection');
        const a = link(t, connection, 'a', { ...more, receiveMaximum: 1 });
        a.subscribe(jobs, guarantee);
        const p = t.connect('p');
        for (const payload of ['1', '2']) p.publish(jobs, payload, 2);
        assert.deepEqual(counts(a), [['1', 0]]);
        connection.disconnect();
        const t2 = await t.restart();
        const again = t2.connect('connection');
        const b = link(t2, again, 'a', more);
        b.subscribe(jobs, guarantee);
        assert.deepEqual(counts(b).toSorted(), [['1', 1], ['2', 0]]); // prettier-ignore
        assertInvariants(t2.broker);
      }
    }
  });

  test('how often connections are lost kills what may be dead, but nothing of which the peer may have taken charge', async () => {
    for (const guarantee of [1, 2] as const) {
      const t = await TestBroker.start({ limits: { maxDeliveries: 3, deadLetterQueue: 'dead-letter' } });
      let connection = t.connect('connection');
      let a = link(t, connection, 'a', { ...forEver, deadLetters: true });
      a.subscribe('topic', 2);
      t.connect('p').publish('topic', '1', guarantee);
      for (let i = 0; i < 4; i++) {
        connection.disconnect();
        t.settle();
        connection = t.connect('connection');
        a = link(t, connection, 'a', { ...forEver, deadLetters: true });
      }
      const dead = t.connect('dead');
      dead.subscribe('$queue/dead-letter');
      assert.deepEqual([a.payloads, dead.payloads], guarantee === 1 ? [[], ['1']] : [['1'], []]);
      assertInvariants(t.broker);
    }
  });

  test('after a crash, too, what an exactly-once link without a lasting session had under way is there for others', async () => {
    for (const checkpoint of [false, true]) {
      const t = await TestBroker.start({ shards: 8 });
      const a = link(t, t.connect('connection'), 'a');
      a.subscribe(jobs, 2);
      const p = t.connect('p');
      for (const payload of ['1', '2', '3']) p.publish(jobs, payload, 2);
      settle(a, '2', 'received');
      t.settle();
      if (checkpoint) t.broker.checkpoint(() => {});
      t.settle();
      const before = whatSurvives(t.broker);
      const t2 = await t.restart();
      assert.deepEqual(whatSurvives(t2.broker), before);
      const b = link(t2, t2.connect('connection'), 'a');
      b.subscribe(jobs, 2);
      assert.deepEqual(b.payloads, ['1', '3']);
      assertInvariants(t2.broker);
    }
  });
});

describe('a peer that comes back', () => {
  const options: readonly TestBrokerOptions[] = [{ shards: 1 }, { shards: 8 }];

  async function unsettledAfter(crash: boolean, shards: TestBrokerOptions): Promise<[TestBroker, readonly UnsettledDelivery[], number[]]> {
    const t = await TestBroker.start(shards);
    const a = link(t, t.connect('connection'), 'a', forEver);
    a.subscribe('topic', 2);
    const p = t.connect('p');
    for (const payload of ['1', '2', '3']) p.publish('topic', payload, 2);
    p.publish('topic', '4', 1);
    settle(a, '2', 'received');
    settle(a, '3', 'received');
    t.settle();
    settle(a, '3', 'accepted');
    t.settle();
    const positions = a.deliveries.map(({ position }) => position);
    if (!crash) t.broker.management.disconnect('main', 'connection', 'administrative');
    const t2 = crash ? await t.restart() : t;
    let unsettled: readonly UnsettledDelivery[] = [];
    link(t2, t2.connect('connection'), 'a', forEver, (made) => (made.whenAttached = (session) => void (unsettled = session.unsettled())));
    return [t2, unsettled, positions];
  }

  test('learns what is unsettled, by positions that stay', async () => {
    for (const shards of options) {
      for (const crash of [false, true]) {
        const [, unsettled, positions] = await unsettledAfter(crash, shards);
        const words = unsettled.map(({ position, guarantee, state }) => [positions.indexOf(position) + 1, guarantee, state]);
        // What is to be delivered at least once is known only to the connection.
        const atLeastOnce = crash ? [] : [[4, 1, 'sent']];
        assert.deepEqual(words, [[1, 2, 'sent'], [2, 2, 'received'], ...atLeastOnce]);
      }
    }
  });

  test('may settle from within attached; only the rest is sent again', async () => {
    const t = await TestBroker.start();
    const connection = t.connect('connection');
    const a = link(t, connection, 'a', forEver);
    a.subscribe('topic', 2);
    const p = t.connect('p');
    for (const payload of ['1', '2', '3', '4', '5']) p.publish('topic', payload, payload < '4' ? 2 : 1);
    connection.disconnect();
    const again = t.connect('connection');
    const settled: boolean[] = [];
    const b = link(t, again, 'a', forEver, (made) => {
      made.whenAttached = (session) => {
        const [one, two, three, four] = session.unsettled();
        settled.push(session.settle(one!.deliveryId, 'received'));
        settled.push(session.settle(two!.deliveryId, 'released'));
        settled.push(session.settle(three!.deliveryId, 'modified', { deliveryFailed: true }));
        settled.push(session.settle(four!.deliveryId, 'accepted'));
        assert.deepEqual(made.releases, [], 'nothing goes out before it is attached');
      };
    });
    assert.deepEqual(settled, [true, true, true, true]);
    assert.deepEqual(b.releases, [a.deliveries[0]!.id]);
    assert.deepEqual(counts(b).toSorted(), [['2', 1], ['3', 2], ['5', 1]]); // prettier-ignore
    assertInvariants(t.broker);
    const before = whatSurvives(t.broker);
    assert.deepEqual(whatSurvives((await t.restart()).broker), before);
  });

  test('never gets a position twice, also after a restart of an empty queue from a checkpoint', async () => {
    for (const filter of [jobs, 'topic', '$share/g/topic']) {
      let t = await TestBroker.start();
      const seen = new Set<number>();
      for (let round = 0; round < 4; round++) {
        const a = link(t, t.connect('connection'), 'a', forEver);
        a.subscribe(filter);
        const topic = filter === jobs ? jobs : 'topic';
        t.connect('p').publish(topic, 'm');
        const [{ position, id } = { position: 0, id: 0 }] = a.deliveries;
        assert.equal(seen.has(position), false, `${filter} round ${round}`);
        seen.add(position);
        a.session!.settle(id, 'accepted');
        t.settle();
        for (let i = 0; i < round; i++) {
          t.broker.checkpoint(() => {});
          t.settle();
        }
        t = await t.restart();
      }
    }
  });
});

// Quotas of tenants and principals: what is refused, what is counted, and what is known of it after a restart.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Principal } from '../../security/security.ts';
import type { Quotas, QuotaSource } from './quotas.ts';
import { assertInvariants } from '../testing/described-state.ts';
import { Outcome, TestBroker, assertBooks, message } from '../testing/test-broker.ts';
import type { TestBrokerOptions } from '../testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };

class TestQuotas implements QuotaSource {
  tenant: Quotas = {};
  readonly principals = new Map<string, Quotas>();

  ofTenant(name: string): Quotas {
    return name === 'main' ? this.tenant : {};
  }

  ofPrincipal({ id }: Principal): Quotas {
    return this.principals.get(id) ?? {};
  }
}

const device = (id: string, tenant = 'main'): { principal: Principal } => ({ principal: { tenant, id, kind: 'device', roles: [] } });

async function start(tenant: Quotas, principals: Record<string, Quotas> = {}, options: TestBrokerOptions = {}) {
  const quotas = new TestQuotas();
  quotas.tenant = tenant;
  for (const [id, each] of Object.entries(principals)) quotas.principals.set(id, each);
  const t = await TestBroker.start({ ...options, quotas });
  return { t, quotas, usage: t.broker.space('main').usages.tenant };
}

function assertUsage(t: TestBroker): void {
  assertBooks(t);
  assertInvariants(t.broker);
}

describe('connections', () => {
  test('of a principal and of a tenant are bounded; a take-over is no second one', async () => {
    const { t, usage } = await start({ connections: 3 }, { a: { connections: 1 } });
    const a = t.connect('a1', device('a'));
    assert.equal(t.connect('a2', device('a')).outcome, Outcome.quotaExceeded);
    assert.equal(a.closed, undefined);
    assert.equal(t.connect('a1', device('a')).outcome, Outcome.accepted);
    t.connect('b', device('b'));
    const c = t.connect('c', device('c'));
    assert.equal(t.connect('d', device('d')).outcome, Outcome.quotaExceeded);
    assert.equal(t.connect('x', device('d', 'other')).outcome, Outcome.accepted);
    c.disconnect();
    assert.equal(t.connect('d', device('d')).outcome, Outcome.accepted);
    assert.equal(usage.refused!.connections, 2);
    assertUsage(t);
  });

  test('quotas that come, change and go count what is there already', async () => {
    const { t, quotas } = await start({});
    const a = t.connect('a1', { ...device('a'), ...durable });
    a.subscribe('x');
    t.connect('a2', device('a'));
    quotas.principals.set('a', { connections: 2, subscriptions: 1 });
    t.broker.refreshQuotas();
    assert.equal(t.broker.space('main').usages.principals, 1);
    assert.equal(t.connect('a3', device('a')).outcome, Outcome.quotaExceeded);
    a.subscribe('y');
    assert.equal(a.subscribeResults.at(-1)![0]!.outcome, Outcome.quotaExceeded);
    assertUsage(t);
    quotas.principals.delete('a');
    t.broker.refreshQuotas();
    assert.equal(t.broker.space('main').usages.principals, 0);
    a.subscribe('y');
    assert.equal(a.subscribeResults.at(-1)![0]!.outcome, Outcome.accepted);
    assertUsage(t);
  });

  test('books of principals go with their last session', async () => {
    const { t } = await start({}, { a: { connections: 1 } });
    t.connect('a', device('a')).disconnect();
    assert.equal(t.broker.space('main').usages.principals, 0);
    t.connect('a', { ...device('a'), ...durable }).disconnect();
    assert.equal(t.broker.space('main').usages.principals, 1);
    assertUsage(t);
  });
});

describe('rates', () => {
  test('above them QoS 0 is dropped, and what can be refused is refused, until the mean is right again', async () => {
    const { t, usage } = await start({}, { a: { messagesPerSecond: 3 } });
    const a = t.connect('a', device('a'));
    const sub = t.connect('sub');
    sub.subscribe('x', 1);
    const outcomes = [0, 1, 1, 0, 1].map((guarantee, i) => a.publish('x', `${i}`, guarantee as 0 | 1));
    assert.deepEqual(outcomes.slice(3), [Outcome.quotaExceeded, Outcome.quotaExceeded]);
    assert.deepEqual(sub.payloads, ['0', '1', '2']);
    assert.equal(a.held, false);
    t.advance(400);
    assert.notEqual(a.publish('x', 'again', 1), Outcome.quotaExceeded);
    assert.equal(a.publish('x', 'no', 1), Outcome.quotaExceeded);
    t.advance(60_000);
    // A long silence makes up for a second, no more.
    for (let i = 0; i < 3; i++) assert.notEqual(a.publish('x', 'burst', 1), Outcome.quotaExceeded);
    assert.equal(a.publish('x', 'no', 1), Outcome.quotaExceeded);
    assert.equal(usage.refused!.rate, 4);
    assertUsage(t);
  });

  test('who connects again has no more than before, and a will counts too', async () => {
    const { t } = await start({}, { a: { messagesPerSecond: 2 }, b: { bytesPerSecond: 10 } });
    const sub = t.connect('sub');
    sub.subscribe('#', 1);
    const published = (id: string, count: number): number => {
      const peer = t.connect(id, { ...device(id), will: { message: message('w', id, 0), delayMs: 0 } });
      let taken = 0;
      for (let i = 0; i < count; i++) if (peer.publish('x', '0123456789', 1) !== Outcome.quotaExceeded) taken++;
      peer.disconnect(true);
      return taken;
    };
    assert.equal(published('a', 1), 1);
    assert.deepEqual([published('a', 5), published('a', 5), published('a', 5)], [0, 0, 0], 'its will was the second');
    assert.equal(published('b', 2), 1);
    t.advance(200);
    assert.equal(published('b', 2), 0);
    t.advance(60_000);
    assert.deepEqual([published('a', 5), published('b', 5)], [2, 1]);
    t.advance(60_000);
    t.connect('c', device('b'));
    assertUsage(t);
  });

  test('who cannot be refused is taken from, and held back', async () => {
    const { t } = await start({}, { a: { messagesPerSecond: 2 } });
    const a = t.connect('a', { ...device('a'), canRefuse: false });
    const sub = t.connect('sub');
    sub.subscribe('x', 1);
    for (let i = 0; i < 4; i++) a.publish('x', `${i}`, 1);
    assert.deepEqual(sub.payloads, ['0', '1', '2', '3']);
    assert.equal(a.held, true);
    t.advance(500);
    assert.equal(a.held, true);
    t.advance(1100);
    assert.equal(a.held, false);
    assertUsage(t);
  });

  test('who may publish nothing is held back until it may again', async () => {
    const { t, quotas } = await start({}, { a: { messagesPerSecond: 0 } });
    const a = t.connect('a', { ...device('a'), canRefuse: false });
    a.publish('x', '1', 1);
    a.publish('x', '2', 1);
    t.advance(60_000);
    assert.equal(a.held, true);
    quotas.principals.set('a', { messagesPerSecond: 10 });
    t.broker.refreshQuotas();
    t.advance(10_000);
    assert.equal(a.held, false);
  });

  test('who is held back when it goes leaves nothing behind', async () => {
    const { t } = await start({}, { a: { messagesPerSecond: 1 } });
    const a = t.connect('a', { ...device('a'), canRefuse: false });
    for (let i = 0; i < 4; i++) a.publish('x', `${i}`, 1);
    assert.equal(a.held, true);
    a.disconnect();
    t.advance(10_000);
    assert.equal(t.broker.context.held.size, 0);
  });

  test('a tenant that is at its rate holds back all of its principals, and nobody else', async () => {
    const { t } = await start({ bytesPerSecond: 100 }, { b: { messagesPerSecond: 1000 } });
    const a = t.connect('a', device('a'));
    const b = t.connect('b', device('b'));
    const other = t.connect('o', device('o', 'other'));
    // One large message is taken, and paid for.
    assert.notEqual(a.publish('x', 'p'.repeat(299), 1), Outcome.quotaExceeded);
    assert.equal(b.publish('x', 'p', 1), Outcome.quotaExceeded);
    assert.notEqual(other.publish('x', 'p', 1), Outcome.quotaExceeded);
    t.advance(1900);
    assert.equal(b.publish('x', 'p', 1), Outcome.quotaExceeded);
    t.advance(200);
    assert.notEqual(b.publish('x', 'p', 1), Outcome.quotaExceeded);
  });

  test('an exactly-once message that was taken is not refused when it comes again', async () => {
    const { t } = await start({}, { a: { messagesPerSecond: 1 } });
    const a = t.connect('a', { ...device('a'), ...durable });
    t.connect('sub', durable).subscribe('x', 2);
    assert.equal(a.publish('x', 'm', 2, { token: 7 }), Outcome.pending);
    assert.equal(a.publish('x', 'other', 2, { token: 8 }), Outcome.quotaExceeded);
    assert.equal(a.publish('x', 'm', 2, { token: 7 }), Outcome.accepted);
  });
});

describe('what waits', () => {
  test('in the queues of a tenant is bounded together, and after a restart too', async () => {
    const { t, quotas, usage } = await start({ queueMessages: 3 });
    const a = t.connect('a', { ...device('a'), ...durable });
    a.subscribe('a', 1);
    a.disconnect();
    const b = t.connect('b', { ...device('b'), ...durable });
    b.subscribe('$share/g/b', 1);
    b.disconnect();
    const p = t.connect('p');
    p.publish('a', '1');
    p.publish('b', '2');
    p.publish('a', '3');
    for (const topic of ['a', 'b']) assert.equal(p.publish(topic, 'no'), Outcome.quotaExceeded);
    assert.equal(usage.refused!.queue, 2);
    assertUsage(t);
    const t2 = await t.restart({ quotas });
    assert.equal(t2.broker.space('main').usages.tenant.queueMessages, 3);
    const p2 = t2.connect('p');
    assert.equal(p2.publish('b', 'no'), Outcome.quotaExceeded);
    const a2 = t2.connect('a', { ...device('a'), ...durable });
    a2.settleAll();
    assert.equal(p2.publish('b', 'yes'), Outcome.pending);
    assertUsage(t2);
  });

  test('for one principal is bounded, in messages and in bytes', async () => {
    const { t } = await start({}, { a: { queueMessages: 2 }, b: { queueBytes: 200 } });
    for (const id of ['a', 'b']) {
      const consumer = t.connect(id, { ...device(id), ...durable });
      consumer.subscribe(id, 1);
      consumer.disconnect();
    }
    const p = t.connect('p');
    assert.deepEqual(
      [1, 2, 3].map(() => p.publish('a', 'm')),
      [Outcome.pending, Outcome.pending, Outcome.quotaExceeded],
    );
    assert.deepEqual(
      [1, 2].map(() => p.publish('b', 'm'.repeat(100))),
      [Outcome.pending, Outcome.quotaExceeded],
    );
    assertUsage(t);
  });

  test('is not made more than it may be by one message for many', async () => {
    const { t, usage } = await start({ queueMessages: 5 });
    for (let i = 0; i < 4; i++) {
      const consumer = t.connect(`c${i}`, durable);
      consumer.subscribe('x', 1);
      consumer.disconnect();
    }
    const p = t.connect('p');
    assert.equal(p.publish('x', '1'), Outcome.pending);
    assert.equal(p.publish('x', '2'), Outcome.quotaExceeded);
    assert.equal(usage.queueMessages, 4);
    assertUsage(t);
  });
});

test('retained messages are bounded, of a tenant and of who published them, also after a restart and a checkpoint', async () => {
  const { t, quotas, usage } = await start({ retainedMessages: 3 }, { tester: { retainedMessages: 2 } });
  const a = t.connect('a', device('tester'));
  const b = t.connect('b', device('other'));
  const retain = { retain: true };
  for (const topic of ['1', '2']) assert.equal(a.publish(topic, 'v', 1, retain), Outcome.pending);
  assert.equal(a.publish('3', 'v', 1, retain), Outcome.quotaExceeded);
  assert.equal(a.publish('2', 'w', 1, retain), Outcome.pending, 'in the place of what is there');
  assert.equal(usage.refused!.retained, 1);
  assert.equal(a.publish('1', '', 1, retain), Outcome.pending);
  assert.equal(a.publish('3', 'v', 1, retain), Outcome.pending);
  assert.equal(b.closed, undefined);
  assertUsage(t);
  t.broker.checkpoint(() => {});
  t.settle();
  for (const broker of [await t.restart({ quotas })]) {
    assert.deepEqual(broker.broker.space('main').retained.ownedBy('tester').messages, 2);
    const again = broker.connect('a', device('tester'));
    assert.equal(again.publish('4', 'v', 1, retain), Outcome.quotaExceeded);
  }
});

test('sessions of one principal are bounded, whatever client ids it makes up', async () => {
  const { t } = await start({}, {}, { limits: { maxSessionsPerPrincipal: 2 } });
  const connect = (clientId: string, id = 'a', tenant = 'main'): Outcome | undefined =>
    t.connect(clientId, { ...device(id, tenant), ...durable }).outcome;
  assert.deepEqual([connect('1'), connect('2'), connect('3')], [Outcome.accepted, Outcome.accepted, Outcome.quotaExceeded]);
  assert.deepEqual([connect('2'), connect('b', 'b'), connect('3', 'a', 'other')], [Outcome.accepted, Outcome.accepted, Outcome.accepted]);
  t.connect('1', { ...device('a'), cleanStart: true }).disconnect();
  assert.equal(connect('3'), Outcome.accepted);
  const t2 = await t.restart({ limits: { maxSessionsPerPrincipal: 2 } });
  assert.equal(t2.connect('4', { ...device('a'), ...durable }).outcome, Outcome.quotaExceeded, 'those found in the journal count');
});

test('subscriptions are bounded; one that is replaced is no second one', async () => {
  const { t, quotas } = await start({ subscriptions: 3 }, { a: { subscriptions: 1 } });
  const a = t.connect('a', { ...device('a'), ...durable });
  const b = t.connect('b', { ...device('b'), ...durable });
  const outcomeOf = (consumer: typeof a, filter: string): Outcome => {
    consumer.subscribe(filter);
    return consumer.subscribeResults.at(-1)![0]!.outcome;
  };
  assert.equal(outcomeOf(a, 'x'), Outcome.accepted);
  assert.equal(outcomeOf(a, 'x'), Outcome.accepted);
  assert.equal(outcomeOf(a, 'y'), Outcome.quotaExceeded);
  assert.equal(outcomeOf(b, 'x'), Outcome.accepted);
  assert.equal(outcomeOf(b, 'y'), Outcome.accepted);
  assert.equal(outcomeOf(b, 'z'), Outcome.quotaExceeded);
  b.session!.unsubscribe(['y'], 1);
  assert.equal(outcomeOf(b, 'z'), Outcome.accepted);
  assertUsage(t);
  const t2 = await t.restart({ quotas });
  assert.equal(t2.broker.space('main').usages.tenant.subscriptions, 3);
  assertUsage(t2);
});

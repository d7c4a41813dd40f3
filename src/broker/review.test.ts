// What becomes of connected sessions when what their principals may do has changed.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Action, MessageTerms, Principal, Reassessment, Security } from '../security/security.ts';
import type { AttachRequest } from './port.ts';
import type { Concerned, ReviewResult } from './review.ts';
import { Outcome, TestBroker, anyone, assertBooks, message } from './testing/test-broker.ts';
import { assertInvariants } from './testing/described-state.ts';

const durable = { sessionExpiryMs: 3_600_000 };

/** Denies what a test says: `action filter-or-topic`, or `id action filter-or-topic`. */
class Denying implements Security {
  version = 1;
  readonly denied = new Set<string>();
  readonly barred = new Set<string>();
  readonly principals = new Map<string, Principal>();
  terms: MessageTerms | undefined = undefined;

  authenticate(...[, answer]: Parameters<Security['authenticate']>): void {
    answer({ ok: true, principal: anyone });
  }

  startExchange(): undefined {
    return undefined;
  }

  allows({ id }: Principal, action: Action, topic: string): boolean {
    return !this.denied.has(`${action} ${topic}`) && !this.denied.has(`${id} ${action} ${topic}`);
  }

  messageTerms(_principal: Principal, action: Action): MessageTerms | undefined {
    return action === 'publish' ? this.terms : undefined;
  }

  reassess(principal: Principal, answer: (result: Reassessment) => void): void {
    if (this.barred.has(principal.id)) answer({ standing: 'barred' });
    else answer({ standing: 'good', principal: this.principals.get(principal.id) ?? principal });
  }

  deny(...what: string[]): void {
    for (const each of what) this.denied.add(each);
    this.version++;
  }
}

const device = (id: string, tenant = 'main'): { principal: Principal } => ({ principal: { tenant, id, kind: 'device', roles: [] } });

function review(t: TestBroker, security: Denying, concerned: Concerned = {}): ReviewResult {
  let result: ReviewResult | undefined;
  const done = (given: ReviewResult): void => void (result = given);
  t.broker.review(concerned, (principal, answer) => security.reassess(principal, answer), done);
  t.settle();
  assert.ok(result !== undefined, 'the review has ended');
  assertInvariants(t.broker);
  return result;
}

async function start(options: { shards?: number } = {}): Promise<{ t: TestBroker; security: Denying }> {
  const security = new Denying();
  return { t: await TestBroker.start({ ...options, security }), security };
}

describe('who may not stay', () => {
  test('is told so, and gone; its session waits for better times', async () => {
    const { t, security } = await start();
    const a = t.connect('a', { ...device('pump-7'), ...durable });
    const b = t.connect('b', device('pump-8'));
    a.subscribe('x');
    security.barred.add('pump-7');
    assert.deepEqual(review(t, security), { sessions: 2, cut: 1, subscriptions: 0 });
    assert.equal(a.closed, 'administrative');
    assert.equal(b.closed, undefined);
    assert.equal(t.broker.counters.sessionsCut, 1);
    b.publish('x', 'later');
    security.barred.clear();
    assert.deepEqual(t.connect('a', { ...device('pump-7'), ...durable }).payloads, ['later']);
    assertBooks(t);
  });

  test('is found by principal, by tenant, by its certificate, or among those who came lately', async () => {
    const { t, security } = await start();
    const fingerprinted: Principal = {
      ...device('a').principal,
      access: {
        listener: 'l',
        remoteAddress: '',
        secure: true,
        method: 'certificate',
        certificate: { commonName: 'a', uris: [], fingerprint: 'f' },
      },
    };
    t.connect('a1', { principal: fingerprinted });
    t.connect('a2', device('a'));
    const b = t.connect('b', device('b'));
    t.advance(1000);
    t.connect('c', device('a', 'other'));
    const count = (concerned: Concerned): number => review(t, security, concerned).sessions;
    assert.equal(count({}), 4);
    assert.equal(count({ tenant: 'main' }), 3);
    assert.equal(count({ tenant: 'main', principals: ['a'] }), 2);
    assert.equal(count({ principals: ['a', 'b', 'nobody'] }), 4);
    assert.equal(count({ tenant: 'main', where: ({ access }) => access?.certificate?.fingerprint === 'f' }), 1);
    assert.equal(count({ attachedSinceMs: t.clock.wallMs() }), 1);
    b.session!.renew(device('b').principal);
    assert.equal(count({ attachedSinceMs: t.clock.wallMs() }), 2, 'who has proved itself anew came lately, too');
    assert.equal(count({ tenant: 'nowhere' }), 0);
    t.connect('d', { ...device('d'), ...durable }).disconnect();
    assert.equal(count({ principals: ['d'] }), 0, 'who is not connected is looked at when it comes back');
  });

  test('is also who may not connect under its client id any more', async () => {
    const { t, security } = await start();
    const a = t.connect('a', device('pump-7'));
    const b = t.connect('b', device('pump-7'));
    security.deny('pump-7 connect a');
    assert.equal(review(t, security).cut, 1);
    assert.equal(a.closed, 'administrative');
    assert.equal(b.closed, undefined);
  });

  test('an answer that comes late concerns the connection it was asked for, and no other', async () => {
    const { t } = await start();
    const first = t.connect('a', { ...device('a'), ...durable });
    let answer!: (result: Reassessment) => void;
    let result: ReviewResult | undefined;
    t.broker.review(
      {},
      (_principal, given) => (answer = given),
      (given) => (result = given),
    );
    const second = t.connect('a', { ...device('a'), ...durable });
    assert.equal(first.closed, 'takenOver');
    answer({ standing: 'barred' });
    assert.equal(second.closed, undefined);
    assert.deepEqual(result, { sessions: 1, cut: 0, subscriptions: 0 });
  });

  test('an answer about an earlier proof does not undo a later one', async () => {
    const { t } = await start();
    const before: Principal = { ...device('a').principal, roles: ['old'] };
    const a = t.connect('a', { principal: before });
    const asked: [Principal, (result: Reassessment) => void][] = [];
    let result: ReviewResult | undefined;
    t.broker.review(
      {},
      (principal, given) => void asked.push([principal, given]),
      (given) => (result = given),
    );
    const renewed: Principal = { ...before, roles: [] };
    a.session!.renew(renewed);
    asked[0]![1]({ standing: 'good', principal: { ...before } });
    assert.equal(a.session!.principal, renewed);
    assert.equal(asked[1]![0], renewed, 'it is asked about anew');
    assert.equal(result, undefined);
    asked[1]![1]({ standing: 'barred' });
    assert.equal(a.closed, 'administrative');
    assert.deepEqual(result, { sessions: 1, cut: 1, subscriptions: 0 });
  });

  test('thousands are looked at a few at a time', async () => {
    const { t, security } = await start();
    for (let i = 0; i < 900; i++) t.connect(`c${i}`, device(`d${i}`));
    security.barred.add('d899');
    let result: ReviewResult | undefined;
    let most = 0;
    let asked = 0;
    t.broker.review(
      {},
      (principal, answer) => {
        asked++;
        security.reassess(principal, answer);
      },
      (given) => (result = given),
    );
    for (let turns = 0; result === undefined && turns < 100; turns++) {
      most = Math.max(most, asked);
      asked = 0;
      t.endTurn();
    }
    assert.deepEqual(result, { sessions: 900, cut: 1, subscriptions: 0 });
    assert.ok(most <= 250, `${most} in one turn`);
  });

  test('its will is published where it was allowed to, and nowhere else', async () => {
    const { t, security } = await start();
    const watcher = t.connect('watcher');
    watcher.subscribe('w/#', 1);
    const will = (topic: string): { will: { message: ReturnType<typeof message>; delayMs: number } } => ({
      will: { message: message(topic, topic, 1), delayMs: 0 },
    });
    t.connect('a', { ...device('a'), ...will('w/a') });
    t.connect('b', { ...device('b'), ...will('w/b') });
    security.deny('publish w/b');
    security.barred.add('a').add('b');
    review(t, security);
    assert.deepEqual(watcher.payloads, ['w/a']);
    assert.equal(t.broker.counters.willsRevoked, 1);
    assertBooks(t);
  });
});

test('what waits for a principal that is no more goes, and its will is not published', async () => {
  const { t } = await start({ shards: 2 });
  const watcher = t.connect('watcher');
  watcher.subscribe('w/#', 1);
  const will = { message: message('w/a', 'late', 1), delayMs: 60_000 };
  const a = t.connect('a', { ...device('pump-7'), ...durable, will });
  a.subscribe('x', 1);
  a.disconnect(true);
  const b = t.connect('b', { ...device('pump-8'), ...durable });
  b.subscribe('x', 1);
  b.disconnect();
  const live = t.connect('c', device('pump-7'));
  t.connect('d', { ...device('pump-7', 'other'), ...durable }).disconnect();
  t.connect('p').publish('x', '1', 1);
  t.settle();
  assert.equal(t.broker.endSessionsOf('main', 'pump-7'), 1, 'not the one that is connected');
  assert.equal(t.broker.endSessionsOf('nowhere', 'pump-7'), 0);
  t.settle();
  t.advance(120_000);
  assert.deepEqual(watcher.payloads, []);
  assert.equal(live.closed, undefined);
  assertBooks(t);
  const t2 = await t.restart();
  assert.equal(t2.connect('a', { ...device('pump-7'), ...durable }).sessionPresent, false);
  assert.deepEqual(t2.connect('b', { ...device('pump-8'), ...durable }).payloads, ['1']);
  assert.equal(t2.connect('d', { ...device('pump-7', 'other'), ...durable }).sessionPresent, true);
  assertBooks(t2);
});

test('a will that waits when its owner is barred is not published', async () => {
  const { t, security } = await start();
  const watcher = t.connect('watcher');
  watcher.subscribe('w/#', 1);
  const will = (topic: string, delayMs: number): Partial<AttachRequest> => ({
    ...durable,
    will: { message: message(topic, topic, 1), delayMs },
  });
  for (const [id, delayMs] of Object.entries({ a: 5000, b: 5000, c: 0 })) {
    t.connect(id, { ...device(id), ...will(`w/${id}`, delayMs) }).disconnect(true);
  }
  // Its session ends before the delay does.
  t.connect('d', { ...device('d'), ...will('w/d', 5000), sessionExpiryMs: 2000 }).disconnect(true);
  security.barred.add('a').add('c').add('d');
  t.advance(6000);
  assert.deepEqual(watcher.payloads, ['w/c', 'w/b']);
  assert.equal(t.broker.counters.willsRevoked, 2);
  assertBooks(t);
});

describe('what may not be had any more', () => {
  test('is taken away from a live session, the rest stays', async () => {
    const { t, security } = await start();
    const a = t.connect('a', device('a'));
    a.subscribe('x', 1);
    a.subscribe('y', 1);
    security.deny('subscribe x');
    assert.deepEqual(review(t, security), { sessions: 1, cut: 0, subscriptions: 1 });
    const p = t.connect('p');
    assert.equal(p.publish('x', '1', 0), Outcome.noSubscribers);
    p.publish('y', '2');
    assert.deepEqual(a.payloads, ['2']);
    assertBooks(t);
  });

  test('is not found again after a restart, whatever is allowed then', async () => {
    const { t, security } = await start({ shards: 2 });
    const a = t.connect('a', { ...device('a'), ...durable });
    a.subscribe('x', 1);
    security.deny('subscribe x');
    review(t, security);
    const t2 = await t.restart();
    assert.equal(t2.broker.space('main').sessions.get('a')!.subscriptions.size, 0);
  });

  for (const guarantee of [1, 2] as const) {
    test(`what waited for it is dropped, counted; what came otherwise is delivered (QoS ${guarantee})`, async () => {
      const { t, security } = await start();
      const a = t.connect('a', { ...device('a'), ...durable, receiveMaximum: 1 });
      a.subscribe('x/#', guarantee);
      const p = t.connect('p');
      for (const topic of ['x/open', 'x/secret', 'x/open', 'x/secret']) p.publish(topic, topic, guarantee);
      assert.deepEqual(a.payloads, ['x/open']);
      security.deny('subscribe x/#', 'subscribe x/secret');
      review(t, security);
      for (let before = -1; before !== a.deliveries.length; a.settleAll()) before = a.deliveries.length;
      assert.deepEqual(a.payloads, ['x/open', 'x/open']);
      assert.equal(t.broker.total.revoked, 2);
      assert.equal(t.broker.total.queued, 0);
      assertBooks(t);
    });
  }

  test('is taken away when a session is resumed, with what waited, also after a restart', async () => {
    const { t, security } = await start();
    const a = t.connect('a', { ...device('a'), ...durable });
    a.subscribe('x', 1);
    a.subscribe('y', 2);
    a.disconnect();
    const p = t.connect('p');
    p.publish('x', 'x');
    p.publish('y', 'y', 2);
    security.deny('subscribe x');
    const t2 = await t.restart({ security });
    const again = t2.connect('a', { ...device('a'), ...durable });
    assert.deepEqual(again.payloads, ['y']);
    assert.deepEqual([...t2.broker.space('main').sessions.get('a')!.subscriptions.keys()], ['y']);
    assert.equal(t2.broker.total.revoked, 1);
    assertBooks(t2);
  });

  test('an exactly-once message that the peer may have is forgotten on both sides instead of being sent again', async () => {
    const { t, security } = await start();
    const a = t.connect('a', { ...device('a'), ...durable });
    a.subscribe('x', 2);
    t.connect('p').publish('x', 'secret', 2);
    const [{ id } = { id: 0 }] = a.deliveries;
    a.disconnect();
    security.deny('subscribe x');
    const again = t.connect('a', { ...device('a'), ...durable });
    assert.deepEqual(again.payloads, []);
    assert.deepEqual(again.releases, [id]);
    assert.ok(again.session!.settle(id, 'accepted'));
    t.settle();
    assert.equal(t.broker.total.revoked, 1);
    assert.equal(t.broker.total.queued, 0);
    assertInvariants(t.broker);
    const t2 = await t.restart();
    assert.deepEqual(t2.connect('a', { ...device('a'), ...durable }).releases, []);
  });

  test('a shared queue goes on with the members that may stay', async () => {
    const { t, security } = await start();
    const a = t.connect('a', { ...device('a'), ...durable, receiveMaximum: 1 });
    const b = t.connect('b', { ...device('b'), ...durable });
    for (const each of [a, b]) each.subscribe('$share/g/x', 1);
    security.deny('a subscribe $share/g/x');
    review(t, security);
    const p = t.connect('p');
    for (let i = 0; i < 4; i++) p.publish('x', `${i}`);
    assert.deepEqual(b.payloads, ['0', '1', '2', '3']);
    assert.deepEqual(a.payloads, []);
    assertBooks(t);
  });

  for (const [filter, topic, action] of [
    ['$share/g/x', 'x', 'subscribe'],
    ['$queue/q', '$queue/q', 'consume'],
  ] as const)
    test(`an exactly-once message of ${filter} that was not sent goes to another member`, async () => {
      const { t, security } = await start();
      const a = t.connect('a', { ...device('a'), ...durable });
      a.subscribe(filter, 2);
      const b = t.connect('b', { ...device('b'), ...durable, receiveMaximum: 1 });
      const p = t.connect('p');
      p.publishNow(topic, 'm', 2);
      t.endTurn();
      t.commit();
      // a has been given it, and its record is not durable.
      assert.equal(t.broker.space('main').sessions.get('a')!.deliveries.size, 1);
      b.session!.subscribe(
        [{ filter, guarantee: 2, noLocal: false, retainAsPublished: false, retainHandling: 'never', subscriptionId: 0 }],
        1,
      );
      security.deny(`a ${action} ${filter}`);
      t.broker.review(
        {},
        (principal, answer) => security.reassess(principal, answer),
        () => {},
      );
      t.settle();
      assert.deepEqual(a.payloads, []);
      assert.deepEqual(b.payloads, ['m']);
      assertInvariants(t.broker);
    });

  test('retained messages on their way do not arrive', async () => {
    const { t, security } = await start();
    const p = t.connect('p');
    for (let i = 0; i < 20; i++) p.publish(`x/${i}`, `${i}`, 1, { retain: true });
    const a = t.connect('a', { ...device('a'), receiveMaximum: 2 });
    a.subscribe('x/#', 1);
    assert.equal(a.deliveries.length, 2);
    security.deny('subscribe x/#');
    review(t, security);
    a.settleAll();
    assert.equal(a.deliveries.length, 2);
  });

  test('a new principal is asked anew for every topic', async () => {
    const { t, security } = await start();
    const a = t.connect('a', device('a'));
    const { addressVersion } = a.session!;
    security.principals.set('a', { ...device('a').principal, groups: ['g'] });
    review(t, security);
    assert.notEqual(a.session!.addressVersion, addressVersion);
    assert.deepEqual(a.session!.principal.groups, ['g']);
  });
});

test('whether a peer may stay is asked by the name that it connects as', async () => {
  const { t, security } = await start();
  const amqp = t.connect('$amqp/pump/#1', { connectsAs: 'pump' });
  security.deny('connect $amqp/pump/#1');
  assert.equal(review(t, security).cut, 0);
  security.deny('connect pump');
  assert.equal(review(t, security).cut, 1);
  assert.equal(amqp.session, undefined);
});

test('who proves anew who it is has from then on what is known of it now', async () => {
  const { t, security } = await start();
  const a = t.connect('a', device('a'));
  a.subscribe('x', 1);
  const { addressVersion } = a.session!;
  security.deny('a subscribe x');
  a.session!.renew({ ...device('a').principal, groups: ['g'] });
  assert.notEqual(a.session!.addressVersion, addressVersion);
  assert.deepEqual(a.session!.principal.groups, ['g']);
  assert.equal(t.broker.counters.subscriptionsRevoked, 1);
  t.connect('b', device('b')).publish('x', 'm');
  t.settle();
  assert.deepEqual(a.payloads, []);
});

test('what a policy asks of the message itself decides for each message', async () => {
  const { t, security } = await start();
  security.terms = { allows: (guarantee, payloadBytes) => guarantee > 0 && payloadBytes < 5 };
  const a = t.connect('a', device('a'));
  a.subscribe('x', 2);
  assert.equal(a.publish('x', 'abc', 0), Outcome.notAuthorized);
  assert.equal(a.publish('x', 'abcdef', 1), Outcome.notAuthorized);
  a.publish('x', 'abc', 1);
  assert.deepEqual(a.payloads, ['abc']);
  const b = t.connect('b', { ...device('b'), will: { message: message('x', 'too long a will', 1), delayMs: 0 } });
  assert.equal(b.outcome, Outcome.notAuthorized);
  assertBooks(t);
});

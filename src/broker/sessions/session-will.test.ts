import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Security } from '../../security/security.ts';
import type { Will } from '../port.ts';
import { Outcome, TestBroker, allowAll, assertBooks, message } from '../testing/test-broker.ts';
import type { TestBrokerOptions, TestConsumer } from '../testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };

function will(delayMs = 0, payload = 'gone', options: { retain?: boolean } = {}): Will {
  return { message: message('will', payload, 1, options), delayMs };
}

/** A broker of two shards with a durable watcher on the second; `dying` is a name on the first. */
async function withWatcher(options: TestBrokerOptions = {}): Promise<{ t: TestBroker; w: TestConsumer; watcher: string; dying: string }> {
  const t = await TestBroker.start({ shards: 2, ...options });
  const watcher = t.nameOn(1, 'watcher');
  const w = t.connect(watcher, durable);
  w.subscribe('will');
  return { t, w, watcher, dying: t.nameOn(0, 'dying') };
}

describe('a will and a crash', () => {
  test('a will that a watcher on another shard is not sure to have is published again', async () => {
    for (const session of [durable, {}]) {
      const { t, watcher, dying } = await withWatcher();
      const d = t.connect(dying, { ...session, will: will() });
      t.frozen.add(1);
      d.disconnect(true);
      const t2 = await t.restart();
      t2.advance(1);
      assert.deepEqual(t2.connect(watcher, durable).payloads, ['gone'], JSON.stringify(session));
      const t3 = await t2.restart();
      t3.advance(1);
      assert.deepEqual(t3.connect(watcher, durable).payloads, ['gone'], 'once it is durable, not again');
      assert.equal(t3.broker.sessionCount, session === durable ? 2 : 1);
      assert.equal(t3.broker.shards[0]!.sessions.size, session === durable ? 1 : 0);
      assertBooks(t3);
    }
  });

  test('so is one that came due, and one whose session a clean start ended', async () => {
    const { t, watcher, dying } = await withWatcher();
    const other = t.nameOn(0, 'other');
    t.connect(dying, { ...durable, will: will(5000, 'due') }).disconnect(true);
    t.connect(other, { ...durable, will: will(5000, 'ended') });
    t.frozen.add(1);
    t.advance(6000);
    t.connect(other, { ...durable, cleanStart: true });
    const t2 = await t.restart();
    t2.advance(1);
    assert.deepEqual(t2.connect(watcher, durable).payloads.toSorted(), ['due', 'ended']);
    assert.equal(t2.broker.sessionCount, 3);
    const again = t2.connect(other, durable);
    assert.equal(again.sessionPresent, true);
    const t3 = await t2.restart();
    t3.advance(1);
    assert.deepEqual(t3.connect(watcher, durable).payloads.toSorted(), ['due', 'ended']);
  });

  test('a recovered will without delay is published once', async () => {
    const { t, w, watcher, dying } = await withWatcher();
    t.connect(dying, { ...durable, will: will() });
    w.settleAll();
    const t2 = await t.restart();
    t2.settle();
    const w2 = t2.connect(watcher, durable);
    assert.deepEqual(w2.payloads, ['gone']);
    w2.settleAll();
    const t3 = await t2.restart();
    t3.advance(1);
    assert.deepEqual(t3.connect(watcher, durable).payloads, []);
  });

  test('of an owner who was barred meanwhile it is dropped, whenever that is known', async () => {
    for (const isLate of [false, true]) {
      for (const session of [durable, {}]) {
        const { t, watcher, dying } = await withWatcher();
        const barred = { tenant: 'main', id: 'barred', kind: 'device', roles: [] } as const;
        t.connect(dying, { ...session, will: will(), principal: barred });
        t.connect(`${dying}2`, { ...session, will: will(0, 'of another') });
        const answers: (() => void)[] = [];
        const reassess: Security['reassess'] = (principal, answer) => {
          const say = (): void => answer(principal.id === 'barred' ? { standing: 'barred' } : { standing: 'good', principal });
          if (isLate) answers.push(say);
          else say();
        };
        const t2 = await t.restart({ security: { ...allowAll, reassess } });
        t2.settle();
        for (const answer of answers) answer();
        t2.settle();
        const w2 = t2.connect(watcher, durable);
        assert.deepEqual(w2.payloads, ['of another'], `${isLate} ${JSON.stringify(session)}`);
        assert.equal(t2.broker.counters.willsRevoked, 1);
        w2.settleAll();
        t2.settle();
        assertBooks(t2);
        const t3 = await t2.restart();
        t3.advance(1);
        assert.deepEqual(t3.connect(watcher, durable).payloads, [], 'and not after the next start');
        assert.equal(t3.broker.sessionCount, session === durable ? 3 : 1);
      }
    }
  });

  test('the connection that brings a will is answered when the will is durable', async () => {
    const { t, dying } = await withWatcher();
    t.frozen.add(0);
    const d = t.connect(dying, { will: will() });
    assert.equal(d.outcome, undefined);
    t.frozen.clear();
    t.settle();
    assert.equal(d.outcome, Outcome.accepted);
    t.stall(0);
    assert.equal(t.connect(dying, { will: will() }).outcome, Outcome.unavailable);
    assert.equal(t.connect(t.nameOn(0, 'no-will')).outcome, Outcome.accepted);
  });

  test('its delay does not begin again with every crash', async () => {
    const { t, watcher, dying } = await withWatcher();
    t.connect(dying, { ...durable, will: will(10_000) });
    const t2 = await t.restart();
    t2.advance(6000);
    const t3 = await t2.restart();
    t3.advance(6000);
    assert.deepEqual(t3.connect(watcher, durable).payloads, ['gone']);
  });

  test('a clock that was set back in between does not prolong its delay', async () => {
    const { t, watcher, dying } = await withWatcher();
    t.connect(dying, { ...durable, will: will(10_000) }).disconnect(true);
    t.clock.jump(-3_600_000);
    const t2 = await t.restart();
    t2.advance(10_001);
    assert.deepEqual(t2.connect(watcher, durable).payloads, ['gone']);
  });
});

describe('a will that not everybody can take', () => {
  test('a full queue does not keep it from others', async () => {
    const { t, w, dying } = await withWatcher({ limits: { durableInbox: { maxMessages: 1, maxBytes: 1e6, onFull: 'reject-new' } } });
    const full = t.connect('full', durable);
    full.subscribe('will');
    full.subscribe('other');
    full.disconnect();
    t.connect('p').publish('other', 'fills it');
    t.connect(dying, { will: will() }).disconnect(true);
    assert.deepEqual(w.payloads, ['gone']);
    assert.equal(t.broker.total.queueFull, 1);
    assertBooks(t);
  });

  test('it is delivered also when there is no room to retain it', async () => {
    const { t, w, dying } = await withWatcher({ limits: { maxRetainedMessages: 0 } });
    t.connect(dying, { will: will(0, 'gone', { retain: true }) }).disconnect(true);
    assert.deepEqual(w.payloads, ['gone']);
    assert.equal(t.broker.space('main').retained.count, 0);
    assert.equal(t.broker.counters.retainedRefused, 1);
  });

  test('a store that is full for a while delays it', async () => {
    for (const session of [durable, {}]) {
      const { t, w, watcher, dying } = await withWatcher();
      const d = t.connect(dying, { ...session, will: will() });
      t.stall(1);
      d.disconnect(true);
      t.advance(5000);
      assert.deepEqual(w.payloads, []);
      const t2 = await t.restart();
      t2.advance(1);
      assert.deepEqual(t2.connect(watcher, durable).payloads, ['gone'], 'a crash meanwhile does not lose it');
      t.resume(1);
    }
    const { t, w, dying } = await withWatcher();
    const d = t.connect(dying, { will: will() });
    t.stall(1);
    d.disconnect(true);
    t.advance(5000);
    t.resume(1);
    t.advance(1001);
    assert.deepEqual(w.payloads, ['gone']);
    t.advance(5000);
    assert.deepEqual(w.payloads, ['gone']);
    assert.equal(t.broker.shards[0]!.sessions.size, 0);
  });
});

describe('a session and its connection', () => {
  test('the time of a session whose connection was lost in a crash goes on with the next one', async () => {
    const t = await TestBroker.start();
    t.connect('a', { sessionExpiryMs: 10_000 });
    const t2 = await t.restart();
    t2.advance(6000);
    const t3 = await t2.restart();
    t3.advance(6000);
    assert.equal(t3.broker.sessionCount, 0);
  });

  test('a clock that was set back does not prolong a session', async () => {
    const t = await TestBroker.start();
    t.connect('a', { sessionExpiryMs: 10_000 }).disconnect();
    t.clock.jump(-3_600_000);
    const t2 = await t.restart();
    t2.advance(10_001);
    assert.equal(t2.broker.sessionCount, 0);
  });

  test('a clean start is answered when the earlier session is gone for good', async () => {
    const t = await TestBroker.start();
    t.connect('a', durable).disconnect();
    t.frozen.add(0);
    const a = t.connect('a', { cleanStart: true });
    assert.equal(a.outcome, undefined);
    t.frozen.clear();
    t.settle();
    assert.equal(a.outcome, Outcome.accepted);
    const t2 = await t.restart();
    assert.equal(t2.connect('a', durable).sessionPresent, false);
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FullPolicy } from '../limits.ts';
import { Outcome, TestBroker, assertBooks } from '../testing/test-broker.ts';
import type { TestConsumer } from '../testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };

function limits(onFull: FullPolicy, maxMessages: number, maxBytes = 1e6) {
  const inbox = { maxMessages, maxBytes, onFull };
  return { durableInbox: inbox, transientInbox: inbox };
}

describe('a full queue', () => {
  test('a message that fits into none does not push out what waits', async () => {
    for (const session of [durable, {}]) {
      const t = await TestBroker.start({ limits: limits('drop-oldest', 10, 1000) });
      const a = t.connect('a', session);
      a.subscribe('x');
      a.congested = true;
      const p = t.connect('p');
      p.publish('x', '1');
      p.publish('x', '2');
      p.publish('x', 'z'.repeat(2000));
      a.congested = false;
      a.session!.resume();
      assert.deepEqual(a.payloads, ['1', '2']);
      assert.equal(t.broker.total.queueFull, 1);
      assertBooks(t);
    }
  });

  test('nor does one while all its room is taken by what is under way', async () => {
    const t = await TestBroker.start({ limits: limits('drop-oldest', 3) });
    const a = t.connect('a', { ...durable, receiveMaximum: 3 });
    a.subscribe('x');
    const p = t.connect('p');
    for (const payload of ['1', '2', '3', '4']) p.publish('x', payload);
    assert.deepEqual(a.payloads, ['1', '2', '3']);
    assert.equal(t.broker.total.queueFull, 1);
    assertBooks(t);
  });

  test('what has expired makes room first, whether it is journaled or not', async () => {
    for (const session of [durable, {}]) {
      for (const onFull of ['drop-oldest', 'drop-new', 'reject-new'] as const) {
        const t = await TestBroker.start({ limits: limits(onFull, 2) });
        const a = t.connect('a', session);
        a.subscribe('x');
        a.congested = true;
        const p = t.connect('p');
        p.publish('x', 'lasting');
        p.publish('x', 'short', 1, { expiresAtMs: t.clock.wallMs() + 100 });
        t.clock.advance(200);
        assert.notEqual(p.publish('x', 'new'), Outcome.quotaExceeded);
        a.congested = false;
        a.session!.resume();
        assert.deepEqual(a.payloads, ['lasting', 'new'], onFull);
        assert.equal(t.broker.total.expired, 1);
        assertBooks(t);
      }
    }
  });

  test('does not look at all that waits whenever something comes', async () => {
    const t = await TestBroker.start({ limits: limits('drop-new', 20_000, 1e9) });
    const a = t.connect('a', durable);
    a.subscribe('x');
    a.disconnect();
    const p = t.connect('p');
    const send = (n: number): number => {
      const began = performance.now();
      for (let i = 0; i < n; i++) p.publishNow('x', 'm', 1, { expiresAtMs: t.clock.wallMs() + 1e9 });
      t.settle();
      return performance.now() - began;
    };
    const fillMs = send(20_000);
    const dropMs = send(20_000);
    assert.equal(t.broker.total.queueFull, 20_000);
    assert.ok(dropMs < 2 * fillMs + 500, `${dropMs} ms to drop as many as were kept in ${fillMs} ms`);
  });
});

describe('expiry', () => {
  const waiting = (t: TestBroker): number => t.broker.space('main').sessions.get('a')!.inbox.ready.length;
  const offline = async (): Promise<{ t: TestBroker; p: TestConsumer }> => {
    const t = await TestBroker.start();
    const a = t.connect('a', durable);
    a.subscribe('x');
    a.disconnect();
    return { t, p: t.connect('p') };
  };

  test('the sweep drops each when its time is over, also after a restart', async () => {
    const { t, p } = await offline();
    for (const seconds of [30, 10, 0, 20]) {
      p.publish('x', String(seconds), 1, { expiresAtMs: seconds === 0 ? 0 : t.clock.wallMs() + seconds * 1000 });
    }
    t.advance(15_000);
    assert.equal(waiting(t), 3);
    const t2 = await t.restart();
    t2.advance(10_000);
    assert.equal(waiting(t2), 2);
    t2.advance(10_000);
    assert.equal(waiting(t2), 1);
    assert.equal(t2.broker.total.expired, 2);
    assertBooks(t2);
  });

  test('a clock that jumps to and fro', async () => {
    const { t, p } = await offline();
    p.publish('x', '1', 1, { expiresAtMs: t.clock.wallMs() + 60_000 });
    t.clock.jump(-3_600_000);
    p.publish('x', '2', 1, { expiresAtMs: t.clock.wallMs() + 60_000 });
    t.advance(61_000);
    assert.equal(waiting(t), 1, 'the second one is over, the first one has an hour left');
    t.clock.jump(3_600_000);
    t.advance(1000);
    assert.equal(waiting(t), 0);
  });

  test('what a group gets back is dropped when it is over', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', durable);
    a.subscribe('$share/g/x');
    t.connect('p').publish('x', '1', 1, { expiresAtMs: t.clock.wallMs() + 5000 });
    assert.deepEqual(a.payloads, ['1']);
    t.advance(10_000);
    a.disconnect();
    t.advance(1000);
    assert.equal(t.broker.total.expired, 1);
    assert.equal(t.broker.total.queued, 0);
    assertBooks(t);
  });
});

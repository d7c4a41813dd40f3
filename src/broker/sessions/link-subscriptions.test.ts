// What the links of a protocol with links subscribe to, and publish.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertInvariants, whatSurvives } from '../testing/described-state.ts';
import { link, red } from '../testing/links.ts';
import { Outcome, TestBroker } from '../testing/test-broker.ts';

const forEver = { sessionExpiryMs: Infinity };
const jobs = '$queue/jobs';

describe('publishing with tags', () => {
  test('a tag is recognised until it is released, whatever the token', async () => {
    const t = await TestBroker.start();
    const sub = t.connect('sub', forEver);
    sub.subscribe('topic', 2);
    const p = link(t, t.connect('connection'), 'p', forEver);
    assert.equal(p.publish('topic', '1', 2, { tag: 'ÿ\0', token: 7 }), Outcome.pending);
    assert.equal(p.publish('topic', '1', 2, { tag: 'ÿ\0', token: 8 }), Outcome.accepted);
    assert.equal(p.publish('topic', '2', 2, { tag: '', token: 9 }), Outcome.pending);
    assert.deepEqual(p.acknowledged, [[7, Outcome.accepted], [9, Outcome.accepted]]); // prettier-ignore
    assert.deepEqual(sub.payloads, ['1', '2']);
    assert.deepEqual(p.session!.publishedTags(), ['ÿ\0', '']);
    assert.equal(p.session!.release(1, 'unknown'), Outcome.noSubscription);
    assert.equal(p.session!.release(10, 'ÿ\0'), Outcome.pending);
    t.settle();
    assert.deepEqual(p.releasedTokens, [10]);
    assert.deepEqual(p.session!.publishedTags(), ['']);
    p.publish('topic', '3', 2, { tag: 'ÿ\0' });
    assert.deepEqual(sub.payloads, ['1', '2', '3']);
  });

  test('tags come back after a crash and a checkpoint; what may be missing in other shards is taken again, once', async () => {
    for (const shards of [1, 8]) {
      for (const checkpoint of [false, true]) {
        const t = await TestBroker.start({ shards });
        const names = shards === 1 ? ['x', 'y'] : [t.nameOn(1, 'x'), t.nameOn(2, 'y')];
        for (const name of names) t.connect(name, forEver).subscribe('topic', 2);
        const p = link(t, t.connect('connection'), 'p', forEver);
        p.publish('topic', 'before', 2, { tag: 'before' });
        p.session!.release(1, 'before');
        p.publish('topic', '1', 2, { tag: 'tag' });
        // One shard has it when the node goes down; the other does not.
        if (shards > 1) t.frozen.add(2);
        p.publish('topic', '2', 2, { tag: 'torn' });
        t.frozen.clear();
        if (checkpoint && shards === 1) t.broker.checkpoint(() => {});
        if (shards === 1) t.settle();
        const t2 = await t.restart();
        const q = link(t2, t2.connect('connection'), 'p', forEver);
        assert.deepEqual(q.session!.publishedTags(), shards === 1 ? ['tag', 'torn'] : []);
        for (const payload of ['1', '2']) q.publish('topic', payload, 2, { tag: payload === '1' ? 'tag' : 'torn' });
        for (const name of names) assert.deepEqual(t2.connect(name, forEver).payloads, ['before', '1', '2'], `${shards} ${name}`);
        assert.deepEqual(q.session!.publishedTags().toSorted(), ['tag', 'torn']);
        assertInvariants(t2.broker);
      }
    }
  });

  test('there are only so many at a time', async () => {
    const t = await TestBroker.start();
    const p = link(t, t.connect('connection'), 'p');
    const outcomes = new Set<Outcome>();
    for (let i = 0; i < 65_535; i++) outcomes.add(p.publishNow('nobody', '', 2, { tag: String(i) }));
    assert.deepEqual([...outcomes], [Outcome.noSubscribers]);
    assert.equal(p.publish('nobody', '', 2, { tag: 'more' }), Outcome.quotaExceeded);
    assert.equal(p.session!.release(1, '7'), Outcome.accepted);
    assert.equal(p.publish('nobody', '', 2, { tag: 'more' }), Outcome.noSubscribers);
  });
});

describe('subscriptions of links', () => {
  test('a selector decides before a message enters the inbox, also after a restart', async () => {
    for (const guarantee of [0, 1, 2] as const) {
      let t = await TestBroker.start();
      const a = link(t, t.connect('connection'), 'a', forEver);
      a.subscribe('topic', 2, { selector: "colour = 'red'" });
      const p = t.connect('p');
      p.publish('topic', 'red', guarantee, red);
      p.publish('topic', 'not', guarantee);
      assert.deepEqual(a.payloads, ['red']);
      assert.equal(t.broker.space('main').sessions.get('a')!.inbox.ledger.accepted, 1);
      a.settleAll();
      t = await t.restart();
      const q = t.connect('p');
      q.publish('topic', 'not', 2);
      q.publish('topic', 'red', 2, red);
      assert.deepEqual(link(t, t.connect('connection'), 'a', forEver).payloads, ['red']);
    }
  });

  test('of a session with several subscriptions those that match count', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a');
    a.subscribe('topic', 0, { selector: "colour = 'red'", subscriptionId: 1 });
    a.subscribe('#', 1, { selector: "colour = 'blue'", subscriptionId: 2 });
    a.subscribe('+', 2, { noLocal: true, subscriptionId: 3 });
    a.publish('topic', 'own', 2, red);
    t.connect('p').publish('topic', 'other', 2, red);
    const found = a.deliveries.map(({ payload, guarantee, ids }) => [payload, guarantee, ids]);
    assert.deepEqual(found, [['own', 0, [1]], ['other', 2, [1, 3]]]); // prettier-ignore
  });

  test('what cannot be read, and what makes no sense, is refused', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a');
    a.subscribe('topic', 1, { selector: 'colour = ' });
    a.subscribe('topic', 1, { browse: true });
    a.subscribe('$share/g/topic', 1, { retainedOnly: true });
    assert.deepEqual(
      a.subscribeResults.map(([result]) => result!.outcome),
      [Outcome.selectorInvalid, Outcome.notSupported, Outcome.notSupported],
    );
  });

  test('last values only', async () => {
    const t = await TestBroker.start();
    const p = t.connect('p');
    p.publish('kept/1', 'red', 1, { ...red, retain: true });
    p.publish('kept/2', 'not', 1, { retain: true });
    const a = link(t, t.connect('connection'), 'a', forEver);
    a.subscribe('kept/#', 1, { retainedOnly: true, selector: "colour = 'red'" });
    p.publish('kept/1', 'later', 1, red);
    assert.deepEqual(a.payloads, ['red']);
    const t2 = await t.restart();
    t2.connect('p').publish('kept/1', 'later', 1, red);
    const b = link(t2, t2.connect('connection'), 'a', forEver);
    assert.deepEqual(b.payloads, ['red'], 'still unsettled');
    b.session!.unsubscribe(['kept/#'], 1);
    t2.settle();
    assert.deepEqual(b.unsubscribeOutcomes, [[Outcome.accepted]]);
    assertInvariants(t2.broker);
  });

  test('at most once waits for credit, in order', async () => {
    for (const more of [{}, forEver]) {
      const t = await TestBroker.start();
      const a = link(t, t.connect('connection'), 'a', { ...more, queuesAtMostOnce: true });
      a.subscribe('topic', 0);
      const p = t.connect('p');
      a.congested = true;
      for (const payload of ['1', '2']) p.publish('topic', payload, 1);
      assert.deepEqual(a.payloads, []);
      a.congested = false;
      p.publish('topic', '3', 0);
      a.session!.resume();
      p.publish('topic', '4', 0);
      assert.deepEqual(a.payloads, ['1', '2', '3', '4']);
      assertInvariants(t.broker);
    }
  });

  test('within its limits', async () => {
    const t = await TestBroker.start({ limits: { transientInbox: { maxMessages: 2, maxBytes: 10_000, onFull: 'drop-oldest' } } });
    const a = link(t, t.connect('connection'), 'a', { queuesAtMostOnce: true });
    a.subscribe('topic', 0);
    a.congested = true;
    for (const payload of ['1', '2', '3']) t.connect('p').publish('topic', payload, 0);
    a.congested = false;
    a.session!.resume();
    assert.deepEqual(a.payloads, ['2', '3']);
    assertInvariants(t.broker);
  });
});

describe('shared subscriptions that outlive their members', () => {
  const shared = '$share/g/topic';

  test('for as long as they are to', async () => {
    const t = await TestBroker.start();
    const a = link(t, t.connect('connection'), 'a');
    a.subscribe(shared, 1, { sharedExpiryMs: 10_000 });
    a.disconnect();
    const p = t.connect('p');
    p.publish('topic', '1');
    t.advance(9000);
    const b = link(t, t.connect('connection'), 'b');
    b.subscribe(shared);
    assert.deepEqual(b.payloads, ['1']);
    b.disconnect();
    t.advance(9000);
    p.publish('topic', '2');
    assert.deepEqual(b.session === undefined && t.broker.space('main').shared.size, 1);
    t.advance(1001);
    assert.equal(t.broker.space('main').shared.size, 0);
    assert.equal(p.publish('topic', '3'), Outcome.noSubscribers);
    assertInvariants(t.broker);
  });

  test('also over restarts, whose time counts', async () => {
    for (const checkpoint of [false, true]) {
      for (const wasAttached of [false, true]) {
        const t = await TestBroker.start({ shards: 8 });
        const a = link(t, t.connect('connection'), 'a');
        a.subscribe(shared, 1, { sharedExpiryMs: 10_000, selector: "colour = 'red'" });
        if (!wasAttached) a.disconnect();
        t.connect('p').publish('topic', '1', 1, red);
        if (checkpoint) t.broker.checkpoint(() => {});
        t.settle();
        if (!wasAttached) t.advance(6000);
        const before = whatSurvives(t.broker);
        const t2 = await t.restart();
        assert.deepEqual(whatSurvives(t2.broker), before);
        for (const [payload, more] of [['2', red], ['3', {}]] as const) t2.connect('p').publish('topic', payload, 1, more); // prettier-ignore
        t2.advance(3000);
        const { queue } = t2.broker.space('main').shared.get('g/topic')!;
        assert.equal(queue.ledger.queued, 2, 'without members it takes what its selector lets in');
        t2.advance(wasAttached ? 6000 : 900);
        assert.equal(t2.broker.space('main').shared.size, 1);
        t2.advance(1200);
        assert.equal(t2.broker.space('main').shared.size, 0);
        assertInvariants(t2.broker);
      }
    }
  });

  test('until the last member unsubscribes, or anybody when there is none', async () => {
    const t = await TestBroker.start();
    const connection = t.connect('connection');
    const a = link(t, connection, 'a');
    const b = link(t, connection, 'b');
    for (const each of [a, b]) each.subscribe(shared, 1, { sharedExpiryMs: Infinity });
    const c = t.connect('c');
    const space = t.broker.space('main');
    c.session!.unsubscribe([shared], 1);
    a.session!.unsubscribe([shared], 1);
    t.settle();
    assert.deepEqual([c.unsubscribeOutcomes, a.unsubscribeOutcomes], [[[Outcome.inUse]], [[Outcome.accepted]]]);
    b.disconnect();
    t.advance(1e12);
    assert.equal(space.shared.size, 1);
    const t2 = await t.restart();
    const d = t2.connect('d');
    d.session!.unsubscribe([shared, '$share/g/other'], 1);
    t2.settle();
    assert.deepEqual(d.unsubscribeOutcomes, [[Outcome.accepted, Outcome.noSubscription]]);
    assert.equal(t2.broker.space('main').shared.size, 0);
    const t3 = await t2.restart();
    assert.equal(t3.broker.space('main').shared.size, 0);
    const e = link(t3, t3.connect('connection'), 'e');
    e.subscribe(shared, 1, { sharedExpiryMs: Infinity });
    e.session!.unsubscribe([shared], 1);
    t3.settle();
    assert.equal(t3.broker.space('main').shared.size, 0);
  });

  test('who changes the selector of one that has no members begins another one', async () => {
    const t = await TestBroker.start();
    const connection = t.connect('connection');
    link(t, connection, 'a').subscribe(shared, 1, { sharedExpiryMs: Infinity, selector: "colour = 'red'" });
    t.broker.management.disconnect('main', 'a', 'administrative');
    t.connect('p').publish('topic', '1', 1, red);
    const b = link(t, connection, 'b');
    b.subscribe(shared, 1, { sharedExpiryMs: Infinity, selector: "colour = 'red'" });
    assert.deepEqual(b.payloads, ['1']);
    b.disconnect();
    const c = link(t, connection, 'c');
    c.subscribe(shared, 1, { sharedExpiryMs: Infinity });
    assert.deepEqual(c.payloads, []);
    assertInvariants(t.broker);
  });
});

describe('drain', () => {
  test('is answered when nothing waits that could be sent', async () => {
    const t = await TestBroker.start();
    const a = link(t, t.connect('connection'), 'a');
    a.subscribe(jobs);
    a.session!.drain();
    assert.equal(a.timesDrained, 1);
    t.connect('p').publish(jobs, '1');
    a.session!.drain();
    a.session!.resume();
    assert.equal(a.timesDrained, 2);
  });

  test('waits for messages that are read from the journal', async () => {
    for (const [filter, topic] of [
      [jobs, jobs],
      ['topic', 'topic'],
      ['$share/g/topic', 'topic'],
    ] as const) {
      // prettier-ignore
      for (const more of [{}, { selector: "colour = 'red'" }]) {
        const t = await TestBroker.start({ limits: { payloadMemoryBytes: 0 } });
        const first = link(t, t.connect('connection'), 'a', forEver);
        first.subscribe(filter, 1, more);
        first.congested = true;
        const p = t.connect('p');
        for (const payload of ['1', '2', '3']) p.publish(topic, payload, 1, red);
        first.congested = false;
        first.session!.drain();
        assert.ok(first.deliveries.length < 3 && first.timesDrained === 0, 'they are not in memory');
        t.settle();
        assert.deepEqual([first.payloads.length, first.timesDrained], [3, 1], `${filter} ${more.selector}`);
      }
    }
  });

  test('waits for exactly-once messages that are on their way, no more of which are taken than there is credit for', async () => {
    const t = await TestBroker.start();
    const a = link(t, t.connect('connection'), 'a', forEver);
    let credit = 0;
    Object.defineProperty(a, 'credit', { get: () => credit });
    Object.defineProperty(a, 'congested', { get: () => credit === 0 });
    const { transfer } = a as unknown as { transfer: (...args: unknown[]) => boolean };
    a.transfer = (...args) => {
      credit--;
      return transfer.apply(a, args);
    };
    a.subscribe(jobs, 2);
    const p = t.connect('p');
    for (const payload of ['1', '2', '3']) p.publish(jobs, payload, 2);
    credit = 2;
    a.session!.drain();
    assert.equal(a.timesDrained, 0);
    t.settle();
    assert.deepEqual([a.payloads, a.timesDrained], [['1', '2'], 1]);
    assert.equal(t.broker.space('main').sessions.get('a')!.deliveries.size, 2);
    credit = 10;
    a.session!.drain();
    t.settle();
    assert.deepEqual([a.payloads, a.timesDrained], [['1', '2', '3'], 2]);
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Attributes } from '../../message/attributes.ts';
import { assertInvariants } from '../testing/described-state.ts';
import { Outcome, TestBroker, assertBooks } from '../testing/test-broker.ts';
import type { TestConsumer } from '../testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };
const jobs = '$queue/jobs';

const colour = (value: string): Attributes => ({ properties: [{ key: 'colour', value: { type: 'string', value } }] });
const group = (groupId: string): { attributes: Attributes } => ({ attributes: { groupId } });

function accept(consumer: TestConsumer, count = Infinity): void {
  for (const { id } of consumer.deliveries.splice(0, count)) consumer.session!.settle(id, 'accepted');
}

describe('priorities', () => {
  test('higher ones are delivered first, each in its order, also after a restart and a checkpoint', async () => {
    for (const checkpoint of [false, true]) {
      const t = await TestBroker.start();
      const p = t.connect('p');
      for (const [i, priority] of [4, 9, 0, 4, 9, 7].entries()) p.publish(jobs, String(i), 1, { priority });
      if (checkpoint) t.broker.checkpoint(() => {});
      t.settle();
      assertInvariants(t.broker);
      const t2 = await t.restart();
      const a = t2.connect('a');
      a.subscribe(jobs);
      assert.deepEqual(a.payloads, ['1', '4', '5', '0', '3', '2']);
      assertBooks(t2);
    }
  });

  test('what comes back goes to its place', async () => {
    const t = await TestBroker.start();
    const p = t.connect('p');
    const a = t.connect('a', { receiveMaximum: 3 });
    for (const [i, priority] of [4, 9, 4, 9, 4].entries()) p.publish(jobs, String(i), 1, { priority });
    a.subscribe(jobs);
    assert.deepEqual(a.payloads, ['1', '3', '0']);
    a.disconnect();
    p.publish(jobs, '5', 1, { priority: 9 });
    const b = t.connect('b');
    b.subscribe(jobs);
    assert.deepEqual(b.payloads, ['1', '3', '5', '0', '2', '4']);
    assertBooks(t);
  });

  test('a setting lets them come in their order', async () => {
    const t = await TestBroker.start({ limits: { queues: [{ match: 'jobs', priorities: false }] } });
    const p = t.connect('p');
    for (const [i, priority] of [4, 9, 0].entries()) p.publish(jobs, String(i), 1, { priority });
    const a = t.connect('a');
    a.subscribe(jobs);
    assert.deepEqual(a.payloads, ['0', '1', '2']);
  });
});

describe('selectors', () => {
  test('each member gets what it selects; the rest waits for who wants it', async () => {
    const t = await TestBroker.start();
    const red = t.connect('red');
    const blue = t.connect('blue');
    red.subscribe(jobs, 1, { selector: "colour = 'red'" });
    blue.subscribe(jobs, 1, { selector: "colour = 'blue'" });
    const p = t.connect('p');
    for (const each of ['red', 'green', 'blue', 'red']) p.publish(jobs, each, 1, { attributes: colour(each) });
    assert.deepEqual([red.payloads, blue.payloads], [['red', 'red'], ['blue']]);
    const any = t.connect('any');
    any.subscribe(jobs);
    assert.deepEqual(any.payloads, ['green']);
    assertInvariants(t.broker);
  });

  test('one that cannot be read is refused', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a');
    a.subscribe(jobs, 1, { selector: 'colour = ' });
    assert.equal(a.subscribeResults[0]![0]!.outcome, Outcome.selectorInvalid);
    assert.equal(t.broker.space('main').named.size, 0);
  });

  test('what is given back is found again behind what was passed', async () => {
    const t = await TestBroker.start();
    const p = t.connect('p');
    for (let i = 0; i < 20; i++) p.publish(jobs, String(i), 1, { attributes: colour(i % 2 === 0 ? 'red' : 'blue') });
    const first = t.connect('first', { receiveMaximum: 3 });
    first.subscribe(jobs, 1, { selector: "colour = 'red'" });
    const second = t.connect('second', { receiveMaximum: 1 });
    second.subscribe(jobs, 1, { selector: "colour = 'red'" });
    assert.deepEqual([first.payloads, second.payloads], [['0', '2', '4'], ['6']]);
    first.disconnect();
    for (let i = 0; i < 10; i++) {
      accept(second, 1);
      t.settle();
    }
    assertInvariants(t.broker);
    assert.equal(t.broker.total.delivered, 10, 'all red ones');
    assert.equal(t.broker.total.queued, 10);
  });

  test('a backlog whose payloads are not in memory is looked through once, and in order', async () => {
    const t = await TestBroker.start({
      limits: { payloadMemoryBytes: 40_000, namedQueue: { maxMessages: 1e6, maxBytes: 1e9, onFull: 'reject-new' } },
    });
    const p = t.connect('p');
    for (let i = 0; i < 600; i++) p.publish(jobs, `${i}`, 1, { attributes: colour(i % 3 === 0 ? 'red' : 'blue') });
    const a = t.connect('a', { receiveMaximum: 10 });
    a.subscribe(jobs, 1, { selector: "colour = 'red'" });
    const seen: string[] = [];
    while (a.deliveries.length > 0) {
      seen.push(...a.payloads);
      accept(a);
      t.settle();
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 200 }, (_, i) => String(i * 3)),
    );
    assert.ok(t.broker.memory.counters.loads < 2500, `${t.broker.memory.counters.loads} rows were read`);
    assertInvariants(t.broker);
  });

  test('a shared subscription whose members all choose takes only what one of them wants', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', durable);
    a.subscribe('$share/g/x', 1, { selector: "colour = 'red'" });
    const p = t.connect('p');
    p.publish('x', 'blue', 1, { attributes: colour('blue') });
    p.publish('x', 'blue', 0, { attributes: colour('blue') });
    p.publish('x', 'red', 1, { attributes: colour('red') });
    p.publish('x', 'red', 0, { attributes: colour('red') });
    assert.deepEqual(a.payloads, ['red', 'red']);
    assert.equal(t.broker.space('main').shared.get('g/x')!.queue.ledger.queued, 1);
    assertBooks(t);
  });

  test('a selective member does not see what its own connection published, if it does not want to', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a');
    const b = t.connect('b');
    a.subscribe(jobs, 1, { noLocal: true });
    a.publish(jobs, 'mine');
    b.publish(jobs, 'theirs');
    assert.deepEqual(a.payloads, ['theirs']);
    b.subscribe(jobs);
    assert.deepEqual(b.payloads, ['mine']);
  });

  test('looking at a million does not take the turn from others', async () => {
    const t = await TestBroker.start({
      limits: { namedQueue: { maxMessages: 1e6, maxBytes: 1e9, onFull: 'reject-new' }, payloadMemoryBytes: 1e8 },
    });
    const p = t.connect('p');
    for (let i = 0; i < 12_000; i++) p.publishNow(jobs, 'blue', 1, { attributes: colour('blue') });
    p.publish(jobs, 'red', 1, { attributes: colour('red') });
    const a = t.connect('a');
    a.session!.subscribe(
      [
        {
          filter: jobs,
          guarantee: 1,
          noLocal: false,
          retainAsPublished: false,
          retainHandling: 'never',
          subscriptionId: 0,
          selector: "colour = 'red'",
        },
      ],
      1,
    );
    assert.deepEqual(a.payloads, [], 'not at once');
    t.settle();
    assert.deepEqual(a.payloads, ['red']);
  });
});

describe('message groups', () => {
  test('a group stays with its member; others go round', async () => {
    const t = await TestBroker.start();
    const [a, b] = ['a', 'b'].map((name) => t.connect(name, { receiveMaximum: 2 })) as [TestConsumer, TestConsumer];
    a.subscribe(jobs);
    b.subscribe(jobs);
    const p = t.connect('p');
    for (const [i, id] of ['x', 'y', 'x', 'x', 'y', 'x'].entries()) p.publish(jobs, `${id}${i}`, 1, group(id));
    assert.deepEqual(
      [a.payloads, b.payloads],
      [
        ['x0', 'x2'],
        ['y1', 'y4'],
      ],
    );
    accept(b);
    t.settle();
    assert.deepEqual(b.payloads, [], 'what is left is of the other group');
    accept(a, 1);
    t.settle();
    assert.deepEqual(a.payloads, ['x2', 'x3']);
    p.publish(jobs, 'free', 1);
    assert.deepEqual(b.payloads, ['free']);
    assertInvariants(t.broker);
  });

  test('it goes to another member when its own is gone, in its order', async () => {
    for (const session of [{}, durable]) {
      const t = await TestBroker.start();
      const a = t.connect('a', { ...session, receiveMaximum: 2 });
      const b = t.connect('b');
      a.subscribe(jobs);
      const p = t.connect('p');
      for (let i = 0; i < 4; i++) p.publish(jobs, String(i), 1, group('g'));
      b.subscribe(jobs);
      assert.deepEqual([a.payloads, b.payloads], [['0', '1'], []]);
      accept(a, 1);
      t.settle();
      a.disconnect();
      assert.deepEqual(b.payloads, ['1', '2', '3']);
      assertInvariants(t.broker);
    }
  });

  test('it goes to another member when its own has nothing under way and goes', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', durable);
    a.subscribe(jobs);
    const b = t.connect('b');
    b.subscribe(jobs);
    const p = t.connect('p');
    p.publish(jobs, '0', 1, group('g'));
    accept(a);
    a.congested = true;
    p.publish(jobs, '1', 1, group('g'));
    assert.deepEqual(b.payloads, []);
    a.disconnect();
    assert.deepEqual(b.payloads, ['1']);
  });

  test('exactly-once messages under way keep their group', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', { ...durable, receiveMaximum: 1 });
    a.subscribe(jobs, 2);
    const b = t.connect('b');
    b.subscribe(jobs, 2);
    const p = t.connect('p');
    p.publish(jobs, '0', 2, { ...group('g'), token: 1 });
    p.publish(jobs, '1', 2, { ...group('g'), token: 2 });
    a.disconnect();
    assert.deepEqual(b.payloads, []);
    const back = t.connect('a', { ...durable, receiveMaximum: 1 });
    back.settleAll();
    assert.deepEqual(back.payloads, ['0', '1']);
    assertInvariants(t.broker);
  });

  test('also after a crash: others wait until it is settled', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', { ...durable, receiveMaximum: 1 });
    a.subscribe(jobs, 2);
    const p = t.connect('p');
    p.publish(jobs, '0', 2, { ...group('g'), token: 1 });
    p.publish(jobs, '1', 2, { ...group('g'), token: 2 });
    const t2 = await t.restart();
    const b = t2.connect('b');
    b.subscribe(jobs, 2);
    assert.deepEqual(b.payloads, []);
    const back = t2.connect('a', { ...durable, receiveMaximum: 1 });
    back.settleAll();
    assert.deepEqual([back.payloads, b.payloads], [['0', '1'], []]);
    assertInvariants(t2.broker);
  });

  test('after a restart, and a checkpoint, too', async () => {
    const t = await TestBroker.start();
    const p = t.connect('p');
    for (let i = 0; i < 6; i++) p.publish(jobs, String(i), 1, group(i < 3 ? 'g' : 'h'));
    t.broker.checkpoint(() => {});
    t.settle();
    const t2 = await t.restart();
    const a = t2.connect('a', { receiveMaximum: 1 });
    const b = t2.connect('b', { receiveMaximum: 1 });
    a.subscribe(jobs);
    b.subscribe(jobs);
    const seen: [string[], string[]] = [[], []];
    for (let i = 0; i < 10; i++) {
      seen[0].push(...a.payloads);
      seen[1].push(...b.payloads);
      accept(a);
      accept(b);
      t2.settle();
    }
    assert.deepEqual(seen, [
      ['0', '1', '2'],
      ['3', '4', '5'],
    ]);
  });
});

describe('a queue for one consumer', () => {
  test('one asks to have it alone', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a');
    const b = t.connect('b');
    a.subscribe(jobs, 1, { exclusive: true });
    b.subscribe(jobs);
    assert.equal(b.subscribeResults[0]![0]!.outcome, Outcome.inUse);
    b.subscribe(jobs, 1, { browse: true });
    assert.equal(b.subscribeResults[1]![0]!.outcome, Outcome.accepted);
    a.disconnect();
    b.subscribe(`${jobs}2`);
    const c = t.connect('c');
    c.subscribe(`${jobs}2`, 1, { exclusive: true });
    assert.equal(c.subscribeResults[0]![0]!.outcome, Outcome.inUse);
    c.subscribe(jobs, 1, { exclusive: true });
    assert.equal(c.subscribeResults[1]![0]!.outcome, Outcome.accepted);
  });

  test('a setting lets one at a time have it; the next one takes over', async () => {
    const t = await TestBroker.start({ limits: { queues: [{ match: 'jobs', singleActive: true }] } });
    const a = t.connect('a', durable);
    const b = t.connect('b');
    a.subscribe(jobs);
    b.subscribe(jobs);
    const p = t.connect('p');
    for (let i = 0; i < 3; i++) p.publish(jobs, String(i));
    assert.deepEqual([a.payloads, b.payloads], [['0', '1', '2'], []]);
    a.disconnect();
    assert.deepEqual(b.payloads, ['0', '1', '2']);
    const back = t.connect('a', durable);
    p.publish(jobs, '3');
    assert.deepEqual([back.payloads, b.payloads.at(-1)], [[], '3']);
    b.disconnect();
    assert.deepEqual(back.payloads, ['0', '1', '2', '3']);
  });
});

describe('browsing', () => {
  test('shows what waits, once, and takes nothing', async () => {
    const t = await TestBroker.start({ limits: { payloadMemoryBytes: 1 } });
    const p = t.connect('p');
    for (const [i, priority] of [4, 9, 4].entries()) p.publish(jobs, String(i), 1, { priority });
    const b = t.connect('b');
    b.subscribe(jobs, 1, { browse: true });
    assert.deepEqual(b.payloads, ['1', '0', '2']);
    assert.equal(b.timesBrowsed, 1);
    p.publish(jobs, '3', 1);
    assert.deepEqual(b.payloads, ['1', '0', '2', '3']);
    const a = t.connect('a');
    a.subscribe(jobs);
    assert.deepEqual(a.payloads, ['1', '0', '2', '3']);
    accept(a);
    assert.equal(t.broker.space('main').named.get('jobs')!.queue.cursors?.size, 1);
    b.disconnect();
    assert.equal(t.broker.space('main').named.get('jobs')!.queue.cursors, undefined);
    assertInvariants(t.broker);
  });

  test('goes on when there is credit, past what was taken meanwhile', async () => {
    const t = await TestBroker.start();
    const p = t.connect('p');
    for (let i = 0; i < 4; i++) p.publish(jobs, String(i));
    const b = t.connect('b', {}, (made) => {
      const send = made.send.bind(made);
      made.send = (...args) => {
        const sent = send(...args);
        made.congested = made.deliveries.length >= 2;
        return sent;
      };
    });
    b.subscribe(jobs, 1, { browse: true });
    assert.deepEqual(b.payloads, ['0', '1']);
    const a = t.connect('a', { receiveMaximum: 3 });
    a.subscribe(jobs);
    b.congested = false;
    b.session!.resume();
    assert.deepEqual([b.payloads, b.timesBrowsed], [['0', '1', '3'], 1]);
  });

  test('with a selector; of nothing but a queue', async () => {
    const t = await TestBroker.start();
    const p = t.connect('p');
    for (const each of ['red', 'blue']) p.publish(jobs, each, 1, { attributes: colour(each) });
    const b = t.connect('b');
    b.subscribe(jobs, 1, { browse: true, selector: "colour = 'blue'" });
    assert.deepEqual(b.payloads, ['blue']);
    b.subscribe('x', 1, { browse: true });
    assert.equal(b.subscribeResults[1]![0]!.outcome, Outcome.notSupported);
  });
});

test('what somebody must not have again is forgotten when it expires', async () => {
  const t = await TestBroker.start();
  const [a, b] = ['a', 'b'].map((name) => t.connect(name)) as [TestConsumer, TestConsumer];
  b.congested = true;
  a.subscribe(jobs);
  b.subscribe(jobs);
  const p = t.connect('p');
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 900; i++) p.publishNow(jobs, '', 1, { expiresAtMs: t.clock.wallMs() + 1000 });
    for (let had = -1; had < a.deliveries.length;) {
      had = a.deliveries.length;
      for (const { id } of a.deliveries) a.session!.settle(id, 'modified', { undeliverableHere: true });
      t.settle();
    }
    t.advance(5000);
  }
  const { queue } = t.broker.space('main').named.get('jobs')!;
  assert.equal(queue.ledger.expired, 3600);
  assert.ok(t.broker.space('main').named.get('jobs')!.barred < 2000);
  assertBooks(t);
});

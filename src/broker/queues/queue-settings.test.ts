import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { QueueSetting } from '../limits.ts';
import { assertInvariants } from '../testing/described-state.ts';
import { Outcome, TestBroker, allowAll, anyone, assertBooks } from '../testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };

describe('settings of queues', () => {
  test('bound those that they name; the first that matches counts', async () => {
    const queues: QueueSetting[] = [
      { match: 'orders/eu', maxMessages: 1, onFull: 'drop-new' },
      { match: 'orders/#', maxMessages: 2 },
    ];
    const t = await TestBroker.start({ limits: { queues } });
    const p = t.connect('p');
    const outcomes = (name: string) => [1, 2, 3].map((i) => p.publish(`$queue/${name}`, String(i)) === Outcome.quotaExceeded);
    assert.deepEqual(outcomes('orders/eu'), [false, false, false]);
    assert.deepEqual(outcomes('orders/us'), [false, false, true]);
    assert.deepEqual(outcomes('others'), [false, false, false]);
    assert.equal(t.broker.total.queueFull, 2);
    assertBooks(t);
  });

  test('hold for what is there already, when they change', async () => {
    const limits = { queues: [] as QueueSetting[] };
    const t = await TestBroker.start({ limits });
    const p = t.connect('p');
    for (const priority of [1, 9, 5]) p.publish('$queue/jobs', String(priority), 1, { priority });
    const { queue } = t.broker.space('main').named.get('jobs')!;
    assert.deepEqual(
      queue.ready.toArray().map(({ position }) => position),
      [2, 3, 1],
    );
    Object.assign(t.broker.context.limits, { queues: [{ match: 'jobs', priorities: false, maxMessages: 3 }] });
    t.broker.refreshQueueSettings();
    assert.deepEqual(
      queue.ready.toArray().map(({ position }) => position),
      [1, 2, 3],
    );
    assert.equal(p.publish('$queue/jobs', 'more'), Outcome.quotaExceeded);
    Object.assign(t.broker.context.limits, { queues: [] });
    t.broker.refreshQueueSettings();
    assert.deepEqual(
      queue.ready.toArray().map(({ position }) => position),
      [2, 3, 1],
    );
    assertInvariants(t.broker);
  });

  test('give messages that come without one a lifetime', async () => {
    const t = await TestBroker.start({ limits: { queues: [{ match: 'jobs', defaultExpiryMs: 5000 }] } });
    const p = t.connect('p');
    p.publish('$queue/jobs', 'short');
    p.publish('$queue/jobs', 'its own', 1, { expiresAtMs: t.clock.wallMs() + 60_000 });
    t.advance(6000);
    const a = t.connect('a');
    a.subscribe('$queue/jobs');
    assert.deepEqual(a.payloads, ['its own']);
    assert.equal(t.broker.total.expired, 1);
  });

  test('keep a queue in memory only', async () => {
    const limits = { queues: [{ match: 'fleeting', durable: false }] };
    const t = await TestBroker.start({ limits });
    const p = t.connect('p');
    const rows = t.contents[0]!.rows.size;
    assert.equal(p.publish('$queue/fleeting', '1'), Outcome.accepted);
    assert.equal(t.contents[0]!.rows.size, rows);
    const a = t.connect('a', durable);
    a.subscribe('$queue/fleeting', 2);
    assert.deepEqual(a.payloads, ['1']);
    p.publish('$queue/fleeting', '2');
    const t2 = await t.restart({ limits });
    const back = t2.connect('a', durable);
    assert.deepEqual(back.payloads, []);
    assert.equal(t2.connect('p').publish('$queue/fleeting', '3'), Outcome.accepted);
    assert.deepEqual(back.payloads, ['3']);
    assertBooks(t2);
  });

  test('one in memory that has no more room refuses', async () => {
    const t = await TestBroker.start({ limits: { queues: [{ match: 'fleeting', durable: false }], transientMemoryBytes: 10_000 } });
    const p = t.connect('p');
    let taken = 0;
    while (p.publish('$queue/fleeting', 'x'.repeat(1000)) === Outcome.accepted && taken < 1000) taken++;
    assert.ok(taken > 50 && taken < 100, String(taken));
    assert.equal(t.broker.total.queueFull, 0);
  });
});

describe('temporary queues', () => {
  const other = { ...anyone, id: 'other' };
  const allowed = new Set<string>();
  const security = {
    ...allowAll,
    allows: ({ id }: { id: string }, action: string, name: string) => allowed.has(`${id} ${action} ${name}`),
  };

  test('belong to their principal', async () => {
    const t = await TestBroker.start({ security });
    const maker = t.connect('maker');
    const name = maker.session!.createTemporary('queue')!;
    assert.match(name, /^\$temp\/[\w-]{24}$/);
    const address = `$queue/${name}`;
    const sibling = t.connect('sibling', { partOf: maker.session! });
    sibling.subscribe(address);
    const stranger = t.connect('stranger', { principal: other });
    stranger.subscribe(address);
    assert.equal(stranger.subscribeResults[0]![0]!.outcome, Outcome.notAuthorized);
    assert.equal(maker.publish(address, 'mine'), Outcome.accepted);
    assert.equal(stranger.publish(address, 'theirs'), Outcome.notAuthorized);
    allowed.add(`other publish ${address}`);
    assert.equal(stranger.publish(address, 'theirs'), Outcome.accepted);
    assert.deepEqual(sibling.payloads, ['mine', 'theirs']);
    assert.notEqual(maker.session!.createTemporary('queue'), name);
    assertInvariants(t.broker);
  });

  test('go with the connection that made them, and with what waits there', async () => {
    const t = await TestBroker.start();
    const maker = t.connect('maker', durable);
    const p = t.connect('p');
    const names = [1, 2].map(() => `$queue/${maker.session!.createTemporary('queue')!}`);
    for (const name of names) p.publish(name, 'waits');
    assert.equal(t.broker.memory.transientBytes > 0, true);
    const address = p.session!.address(names[0]!, new TextEncoder().encode(names[0]));
    const stranger = t.connect('stranger', { principal: other });
    stranger.session!.removeTemporary(names[0]!.slice('$queue/'.length));
    assert.equal(t.broker.space('main').named.size, 2);
    maker.session!.removeTemporary(names[1]!.slice('$queue/'.length));
    assert.equal(t.broker.space('main').named.size, 1);
    maker.disconnect();
    assert.equal(t.broker.space('main').named.size, 0);
    assert.equal(t.broker.memory.transientBytes, 0);
    assert.equal(t.broker.total.sessionEnded, 2);
    assert.equal(
      p.session!.publish(address, (await import('../testing/test-broker.ts')).message(names[0]!, 'late'), 9),
      Outcome.noSubscribers,
    );
    assert.equal(p.publish(names[0]!, 'later'), Outcome.topicInvalid);
    p.subscribe(names[0]!);
    assert.equal(p.subscribeResults[0]![0]!.outcome, Outcome.notFound);
    assert.equal(p.publish('$queue/$temp/mine', 'made up'), Outcome.topicInvalid);
    assertInvariants(t.broker);
  });

  test('are bounded for each principal, and do not count as named ones', async () => {
    const t = await TestBroker.start({ limits: { maxTemporaryQueuesPerPrincipal: 2, maxNamedQueues: 1 } });
    const [one, two] = ['one', 'two'].map((name) => t.connect(name));
    const names = [one, two, one].map((each) => each!.session!.createTemporary('queue'));
    assert.deepEqual(
      names.map((name) => name === undefined),
      [false, false, true],
    );
    assert.ok(t.connect('stranger', { principal: other }).session!.createTemporary('queue'));
    two!.disconnect();
    assert.ok(one!.session!.createTemporary('queue'));
    assert.notEqual(t.connect('p').publish('$queue/jobs', '1'), Outcome.quotaExceeded);
    assert.equal(t.connect('p').publish('$queue/more', '1'), Outcome.quotaExceeded);
  });

  test('are not there after a restart', async () => {
    const t = await TestBroker.start();
    const maker = t.connect('maker', durable);
    const name = `$queue/${maker.session!.createTemporary('queue')!}`;
    maker.subscribe(name);
    t.connect('p').publish(name, '1');
    const t2 = await t.restart();
    const back = t2.connect('maker', durable);
    assert.deepEqual(back.payloads, []);
    assert.equal(t2.broker.space('main').named.size, 0);
    assertInvariants(t2.broker);
  });
});

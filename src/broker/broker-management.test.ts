// What an operator sees and does.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FirstInOrder } from './queues/first-in-order.ts';
import type { ManagementResult } from './management.ts';
import { assertInvariants } from './testing/described-state.ts';
import { TestBroker, assertBooks } from './testing/test-broker.ts';
import type { TestBrokerOptions } from './testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };

function right<T>(result: ManagementResult<T>): T {
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

async function start(options: TestBrokerOptions = {}) {
  const t = await TestBroker.start(options);
  return { t, management: t.broker.management, p: t.connect('p') };
}

/** An inbox with messages on `topic`, whose session is away. */
function waiting(t: TestBroker, clientId: string, topic: string): void {
  const consumer = t.connect(clientId, durable);
  consumer.subscribe(topic, 2);
  consumer.disconnect();
}

/** Lets what is under way go on as far as it can. */
async function steps(t: TestBroker): Promise<void> {
  for (let i = 0; i < 50; i++) {
    t.settle();
    await Promise.resolve();
  }
}

async function payloadsIn(t: TestBroker, name: string): Promise<string[]> {
  const { entries } = right(await t.until(t.broker.management.browse('main', name, { limit: 1000 })));
  return entries.map(({ message }) => Buffer.from(message.payload()).toString());
}

describe('what there is', () => {
  test('sessions, a page at a time, by name, state and principal', async () => {
    const { t, management } = await start();
    for (const clientId of ['c', 'a', 'b', 'd']) t.connect(clientId, durable);
    t.connect('e', { principal: { tenant: 'main', id: 'other', kind: 'device', roles: [] } });
    t.connect('f', { principal: { tenant: 'elsewhere', id: 'other', kind: 'device', roles: [] } });
    t.advance(5000);
    waiting(t, 'b', 'x');
    const ids = (options: Parameters<typeof management.sessions>[1], tenant = 'main'): string[] =>
      management.sessions(tenant, options).entries.map(({ clientId }) => clientId);
    assert.deepEqual(ids({ limit: 10 }), ['a', 'b', 'c', 'd', 'e', 'p']);
    assert.deepEqual(ids({ limit: 2 }), ['a', 'b']);
    assert.equal(management.sessions('main', { limit: 2 }).next, 'b');
    assert.deepEqual(ids({ limit: 2, after: 'b' }), ['c', 'd']);
    assert.deepEqual(ids({ limit: 10, prefix: 'd' }), ['d']);
    assert.deepEqual(ids({ limit: 10, connected: false }), ['b']);
    assert.deepEqual(ids({ limit: 10, principal: 'other' }), ['e']);
    assert.deepEqual(ids({ limit: 10 }, 'elsewhere'), ['f']);
    assert.deepEqual(ids({ limit: 10 }, 'nowhere'), []);
    assert.deepEqual(management.tenants, ['elsewhere', 'main']);
    const { session, subscriptions } = management.session('main', 'b')!;
    assert.deepEqual(subscriptions, [{ filter: 'x', guarantee: 2, noLocal: false }]);
    assert.equal(session.connected, false);
    assert.equal(session.disconnectedAtMs, t.clock.wallMs());
    assert.equal(session.expiryMs, 3_600_000);
    assert.equal(management.session('main', 'zzz'), undefined);
  });

  test('queues of every kind', async () => {
    const { t, management, p } = await start();
    waiting(t, 'a', 'x');
    const worker = t.connect('w', { ...durable, receiveMaximum: 1 });
    worker.subscribe('$share/g/x', 1);
    worker.subscribe('$queue/jobs', 1);
    for (const topic of ['x', 'x', '$queue/jobs']) p.publish(topic, 'm');
    const view = ({ name, kind, messages, consumers, unsettled }: (typeof entries)[number]): unknown[] => [
      name,
      kind,
      messages,
      consumers,
      unsettled,
    ];
    const { entries } = management.queues('main', { limit: 10 });
    assert.deepEqual(entries.map(view), [
      ['$queue/jobs', 'named', 1, 1, 0],
      ['$share/g/x', 'shared', 2, 1, 1],
      ['inbox/a', 'inbox', 2, 0, 0],
      ['inbox/w', 'inbox', 0, 1, 0],
    ]);
    assert.deepEqual(management.queues('main', { limit: 10, prefix: '$share/' }).entries.map(view), [['$share/g/x', 'shared', 2, 1, 1]]);
  });

  test('messages, with what is unsettled, read back from the journal where they are not in memory', async () => {
    const { t, management, p } = await start({ limits: { payloadMemoryBytes: 300 } });
    const a = t.connect('a', { ...durable, receiveMaximum: 1 });
    a.subscribe('x', 1);
    const expected = Array.from({ length: 50 }, (_, i) => `${i}`.padStart(40, '.'));
    for (const payload of expected) p.publish('x', payload);
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = right(await t.until(management.browse('main', 'inbox/a', { limit: 7, after })));
      for (const { message, unsettled } of page.entries) {
        assert.equal(unsettled, seen.length === 0);
        seen.push(Buffer.from(message.payload()).toString());
      }
      after = page.next;
    } while (after !== undefined);
    assert.deepEqual(seen, expected);
    assert.ok(t.broker.memory.counters.loads > 10);
    assert.deepEqual((await management.browse('main', 'inbox/nobody', { limit: 1 })).ok, false);
    assertInvariants(t.broker);
  });

  test('retained messages by filter', async () => {
    const { t, management, p } = await start();
    for (const topic of ['b/2', 'a/1', 'b/1', 'c']) p.publish(topic, topic, 1, { retain: true });
    const page = await t.until(management.retained('main', 'b/+', { limit: 1 }));
    assert.deepEqual([page.entries.map(({ topic }) => topic), page.next], [['b/1'], 'b/1']);
    const rest = await t.until(management.retained('main', '#', { limit: 10, after: 'b/1' }));
    assert.deepEqual(
      rest.entries.map(({ topic }) => topic),
      ['b/2', 'c'],
    );
    assert.equal(right(await t.until(management.clearRetained('main', 'c'))), true);
    assert.equal(right(await t.until(management.clearRetained('main', 'c'))), false);
    const t2 = await t.restart();
    assert.equal(t2.broker.space('main').retained.count, 3);
  });

  test('a page is what sorting everything would give', () => {
    const names = fc.uniqueArray(fc.string({ maxLength: 4 }), { maxLength: 60 });
    fc.assert(
      fc.property(names, fc.integer({ min: 1, max: 10 }), fc.string({ maxLength: 1 }), (all, limit, prefix) => {
        const expected = all.filter((name) => name.startsWith(prefix)).toSorted((a, b) => (a < b ? -1 : 1));
        const seen: string[] = [];
        let after: string | undefined;
        do {
          const first = new FirstInOrder<string>(limit, after, prefix);
          for (const name of all) first.offer(name, name);
          const page = first.page();
          assert.ok(page.entries.length <= limit);
          seen.push(...page.entries);
          after = page.next;
        } while (after !== undefined);
        assert.deepEqual(seen, expected);
      }),
    );
  });
});

describe('what is done', () => {
  test('a connection is ended, the session stays', async () => {
    const { t, management } = await start();
    const a = t.connect('a', durable);
    assert.equal(management.disconnect('main', 'a', 'administrative'), true);
    assert.equal(a.closed, 'administrative');
    assert.equal(management.disconnect('main', 'a', 'administrative'), false);
    assert.equal(management.session('main', 'a')!.session.connected, false);
  });

  test('a session is ended with all it has, for good', async () => {
    const { t, management, p } = await start();
    waiting(t, 'a', 'x');
    p.publish('x', 'm');
    assert.deepEqual(right(await t.until(management.endSession('main', 'a'))), { messages: 1 });
    assert.equal((await management.endSession('main', 'a')).ok, false);
    const t2 = await t.restart();
    assert.equal(t2.connect('a', durable).sessionPresent, false);
    assertBooks(t);
  });

  test('a queue is emptied of what waits, counted, and stays empty', async () => {
    const { t, management, p } = await start();
    const a = t.connect('a', { ...durable, receiveMaximum: 1 });
    a.subscribe('x', 1);
    for (let i = 0; i < 2500; i++) p.publishNow('x', `${i}`);
    t.settle();
    const { accepted } = t.broker.total;
    const { messages } = right(await t.until(management.purge('main', 'inbox/a')));
    assert.equal(messages, accepted - 1);
    assert.equal(t.broker.total.purged, messages);
    assert.deepEqual(await payloadsIn(t, 'inbox/a'), ['0']);
    assertInvariants(t.broker);
    const t2 = await t.restart();
    assert.equal(t2.broker.total.recovered, 1);
  });

  for (const shards of [1, 4]) {
    test(`messages are moved, oldest first, behind what waits there (${shards} shards)`, async () => {
      const { t, management, p } = await start({ shards, limits: { payloadMemoryBytes: 200 } });
      const from = shards === 1 ? 'dead' : t.nameOn(0, '$queue/dead').slice('$queue/'.length);
      const to = shards === 1 ? 'jobs' : t.nameOn(1, '$queue/jobs').slice('$queue/'.length);
      p.publish(`$queue/${to}`, 'there');
      for (let i = 0; i < 10; i++) p.publish(`$queue/${from}`, `${i}`.padStart(50, '.'));
      assert.deepEqual(right(await t.until(management.move('main', `$queue/${from}`, `$queue/${to}`, 4))), { messages: 4 });
      const names = async (at: TestBroker, queue: string): Promise<string[]> =>
        (await payloadsIn(at, `$queue/${queue}`)).map((payload) => payload.replaceAll('.', ''));
      assert.deepEqual(await names(t, to), ['there', '0', '1', '2', '3']);
      assert.deepEqual(await names(t, from), ['4', '5', '6', '7', '8', '9']);
      assert.equal(t.broker.counters.messagesMoved, 4);
      assertInvariants(t.broker);
      t.broker.checkpoint(() => {});
      t.settle();
      const t2 = await t.restart();
      assert.deepEqual(await names(t2, to), ['there', '0', '1', '2', '3']);
      assert.deepEqual(await names(t2, from), ['4', '5', '6', '7', '8', '9']);
      assert.deepEqual(right(await t2.until(t2.broker.management.move('main', `$queue/${from}`, '$queue/new', 1000))), { messages: 6 });
      const worker = t2.connect('w', durable);
      worker.subscribe('$queue/new', 1);
      assert.deepEqual(
        worker.payloads.map((payload) => payload.replaceAll('.', '')),
        ['4', '5', '6', '7', '8', '9'],
      );
      assertInvariants(t2.broker);
    });
  }

  for (const [frozen, left, arrived] of [
    [1, ['0', '1', '2', '3', '4'], []],
    [0, [], ['0', '1', '2', '3', '4']],
  ] as const) {
    test(`a crash in the middle of a move between journals leaves each message in one place (shard ${frozen} is slower)`, async () => {
      const { t, management, p } = await start({ shards: 2 });
      const from = t.nameOn(0, '$queue/dead');
      const to = t.nameOn(1, '$queue/jobs');
      p.publish(to, 'there');
      for (let i = 0; i < 5; i++) p.publish(from, `${i}`);
      t.frozen.add(frozen);
      void management.move('main', from, to, 5);
      await steps(t);
      let at = t;
      // The second crash comes after a checkpoint that the first one's row is not part of any more.
      for (let crash = 0; crash < 2; crash++) {
        at = await at.restart();
        assert.deepEqual(await payloadsIn(at, from), left);
        assert.deepEqual(await payloadsIn(at, to), ['there', ...arrived]);
        assertInvariants(at.broker);
        at.frozen.add(0);
        at.broker.shards[1]!.seal();
        at.broker.checkpoint(() => {});
        at.settle();
      }
    });
  }

  test('what waited in memory before its queue was journaled is moved into the journal', async () => {
    const { t, management, p } = await start();
    const transient = t.connect('transient');
    transient.subscribe('$share/g/x', 1);
    transient.congested = true;
    p.publish('x', 'in memory');
    const late = t.connect('late', durable, (consumer) => (consumer.congested = true));
    late.subscribe('$share/g/x', 1);
    p.publish('x', 'in the journal');
    assert.deepEqual(right(await t.until(management.move('main', '$share/g/x', '$queue/q', 10))), { messages: 2 });
    const t2 = await t.restart();
    assert.deepEqual(await payloadsIn(t2, '$queue/q'), ['in memory', 'in the journal']);
    assertInvariants(t.broker);
  });

  test('what cannot be moved says why', async () => {
    const { t, management, p } = await start({
      shards: 2,
      limits: { namedQueue: { maxMessages: 3, maxBytes: 100_000, onFull: 'reject-new' } },
    });
    const code = async (from: string, to: string): Promise<unknown> => {
      const result = await t.until(management.move('main', from, to, 10));
      return result.ok ? result.value.messages : result.error.code;
    };
    const [here, there, full] = [t.nameOn(0, '$queue/a'), t.nameOn(1, '$queue/b'), t.nameOn(0, '$queue/c')];
    for (const topic of [here, here, full, full, full, there, there]) p.publish(topic, 'm');
    const transient = t.connect('transient');
    transient.congested = true;
    assert.equal(await code(here, here), 'busy');
    assert.equal(await code('$queue/none', here), 'not-found');
    assert.equal(await code(here, 'inbox/none'), 'not-found');
    assert.equal(await code(here, '$queue/'), 'not-found');
    assert.equal(await code(here, full), 'full');
    assert.equal(await code(here, 'inbox/transient'), 'unavailable');
    assert.equal(await code(here, there), 1, 'as far as there is room');
    t.stall(1);
    assert.equal(await code(here, there), 'unavailable');
    assert.equal((await management.purge('main', there)).ok, false);
    t.resume(1);
    assertInvariants(t.broker);
  });

  test('what is on its way to another journal goes to no consumer of the source', async () => {
    const { t, management, p } = await start({ shards: 2 });
    const from = t.nameOn(0, '$queue/dead');
    const to = t.nameOn(1, '$queue/jobs');
    for (let i = 0; i < 3; i++) p.publish(from, `${i}`);
    t.frozen.add(1);
    const moved = management.move('main', from, to, 2);
    await steps(t);
    const worker = t.connect('w');
    worker.subscribe(from, 1);
    assert.deepEqual(worker.payloads, ['2']);
    assertInvariants(t.broker);
    t.frozen.clear();
    assert.deepEqual(right(await t.until(moved)), { messages: 2 });
    assert.deepEqual(await payloadsIn(t, to), ['0', '1']);
    assertInvariants(t.broker);
  });
});

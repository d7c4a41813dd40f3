// Whatever is done to a broker: what a restarted one holds is what the one before held when everything was durable. With SEED and
// RUNS in the environment it looks elsewhere and for longer.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Broker } from '../broker.ts';
import type { Guarantee } from '../../message/message.ts';
import { assertInvariants, whatSurvives } from '../testing/described-state.ts';
import type { Action, Principal } from '../../security/security.ts';
import type { Quotas, QuotaSource } from '../quotas/quotas.ts';
import type { Reassess } from '../review.ts';
import { TestBroker, allowAll, message } from '../testing/test-broker.ts';
import type { TestBrokerOptions, TestConsumer } from '../testing/test-broker.ts';

const clients = 4;
const topics = ['a', 'b', 'a/b', '$queue/q'];
const filters = ['a', '#', '+/b', '$share/g/a', '$share/g/#', '$share/h/b', '$queue/q'];

const denied = new Set<string>();
const security = {
  ...allowAll,
  version: 1,
  allows: (_principal: Principal, action: Action, topic: string) => (action !== 'subscribe' && action !== 'consume') || !denied.has(topic),
};

const few: Quotas = { connections: 1, subscriptions: 3, queueMessages: 8, messagesPerSecond: 5, retainedMessages: 1 };
const bounded = new Set<string>();
const quotas: QuotaSource = {
  ofTenant: (tenant) => (bounded.has(tenant) ? { queueMessages: 30, retainedBytes: 500, subscriptions: 10 } : {}),
  ofPrincipal: ({ id }) => (bounded.has(id) ? few : {}),
};

type World = { t: TestBroker; readonly consumers: (TestConsumer | undefined)[]; count: number };
type Step = { readonly name: string; readonly run: (world: World) => Promise<void> | void };

function step(name: string, run: (world: World) => Promise<void> | void): Step {
  return { name, run, [fc.toStringMethod]: () => name } as Step;
}

const guarantee = fc.constantFrom<Guarantee>(0, 1, 2);
const client = fc.nat(clients - 1);

const owner = (i: number): Principal => ({ tenant: 'main', id: `owner${i}`, kind: 'device', roles: [] });

/** With the consumer of a client, which is attached if need be; the last client keeps no session. */
function attached(world: World, i: number, act: (consumer: TestConsumer) => void): void {
  const durable = i < clients - 1;
  const consumer = world.consumers[i];
  const there =
    consumer?.session !== undefined
      ? consumer
      : world.t.connect(`client${i}`, { principal: owner(i), sessionExpiryMs: durable ? 100_000 : 0, cleanStart: !durable });
  world.consumers[i] = there;
  act(there);
}

const attach = fc
  .record({ i: client, durable: fc.boolean(), cleanStart: fc.boolean(), receiveMaximum: fc.constantFrom(1, 2, 100), will: fc.boolean() })
  .map(({ i, durable, cleanStart, receiveMaximum, will }) =>
    step(`attach ${i} durable ${durable} clean ${cleanStart}`, (world) => {
      world.consumers[i] = world.t.connect(`client${i}`, {
        principal: owner(i),
        cleanStart: cleanStart || !durable,
        receiveMaximum,
        sessionExpiryMs: durable ? 100_000 : 0,
        will: will && durable ? { message: message('a', `will of ${i}`, 1), delayMs: 50_000 } : undefined,
      });
    }),
  );

const detach = fc
  .record({ i: client, will: fc.boolean() })
  .map(({ i, will }) => step(`detach ${i}`, (world) => attached(world, i, (consumer) => consumer.disconnect(will))));

const subscribe = fc
  .record({ i: client, filter: fc.constantFrom(...filters), guarantee, id: fc.constantFrom(0, 7), flags: fc.boolean(), wish: fc.nat(9) })
  .map(({ i, filter, guarantee: g, id, flags, wish }) =>
    step(`subscribe ${i} ${filter} ${g}`, (world) =>
      attached(world, i, (consumer) => {
        consumer.subscribe(filter, g, {
          subscriptionId: id,
          retainAsPublished: flags,
          noLocal: flags && !filter.startsWith('$'),
          retainHandling: flags ? 'always' : 'ifNew',
          ...(wish === 0 && { selector: 'JMSPriority > 4' }),
          ...(wish === 1 && { exclusive: true }),
          ...(wish === 2 && filter.startsWith('$queue') && { browse: true }),
        });
      }),
    ),
  );

const unsubscribe = fc
  .record({ i: client, filter: fc.constantFrom(...filters) })
  .map(({ i, filter }) =>
    step(`unsubscribe ${i} ${filter}`, (world) => attached(world, i, (consumer) => consumer.session!.unsubscribe([filter], 1))),
  );

const publish = fc
  .record({
    i: client,
    topic: fc.constantFrom(...topics),
    guarantee,
    retain: fc.constantFrom(false, false, true),
    empty: fc.constantFrom(false, false, false, true),
    token: fc.integer({ min: 1, max: 4 }),
    expiryMs: fc.constantFrom(0, 0, 3000),
    priority: fc.constantFrom(4, 4, 4, 9, 0),
    groupId: fc.constantFrom(undefined, undefined, 'g1', 'g2'),
    delayMs: fc.constantFrom(0, 0, 0, 0, 2000),
    now: fc.boolean(),
  })
  .map(({ i, topic, guarantee: g, retain, empty, token, expiryMs, priority, groupId, delayMs, now }) =>
    step(`publish ${i} ${topic} ${g}`, (world) =>
      attached(world, i, (consumer) => {
        const expiresAtMs = expiryMs === 0 ? 0 : world.t.clock.wallMs() + expiryMs;
        const payload = empty ? '' : `m${world.count++}`;
        const isPlain = groupId === undefined && delayMs === 0;
        const attributes = { groupId, ...(delayMs > 0 && { deliverAtMs: world.t.clock.wallMs() + delayMs }) };
        const options = { retain, token, expiresAtMs, priority, ...(!isPlain && { attributes }) };
        if (now) consumer.publishNow(topic, payload, g, options);
        else consumer.publish(topic, payload, g, options);
      }),
    ),
  );

const settlements = ['accepted', 'received', 'rejected', 'released', 'modified'] as const;
const detail = fc.record({
  deliveryFailed: fc.boolean(),
  undeliverableHere: fc.constantFrom(false, false, true),
  annotations: fc.constantFrom([], [{ key: 'k', value: { type: 'boolean', value: true } }] as const),
});

const settle = fc
  .record({ i: client, nth: fc.nat(20), how: fc.constantFrom(...settlements), detail })
  .map(({ i, nth, how, detail: how2 }) =>
    step(`settle ${i} ${how}`, (world) =>
      attached(world, i, (consumer) => {
        const deliveries = consumer.deliveries.filter(({ id }) => id > 0);
        const delivery = deliveries[nth % Math.max(1, deliveries.length)];
        if (delivery !== undefined) consumer.session!.settle(delivery.id, how, how2);
      }),
    ),
  );

const settleAll = client.map((i) => step(`settle all ${i}`, (world) => attached(world, i, (consumer) => consumer.settleAll())));

const release = fc
  .record({ i: client, token: fc.integer({ min: 1, max: 4 }) })
  .map(({ i, token }) => step(`release ${i} ${token}`, (world) => attached(world, i, (consumer) => void consumer.session!.release(token))));

const congest = fc.record({ i: client, on: fc.boolean() }).map(({ i, on }) =>
  step(`congest ${i} ${on}`, (world) =>
    attached(world, i, (consumer) => {
      consumer.congested = on;
      if (!on) consumer.session!.resume();
    }),
  ),
);

const time = fc.constantFrom(
  step('end of turn', ({ t }) => t.endTurn()),
  step('commit', ({ t }) => t.commit()),
  step('all settles', ({ t }) => t.settle()),
  step('4 s', ({ t }) => t.advance(4000)),
  step('60 s', ({ t }) => t.advance(60_000)),
);

const checkpoint = fc.constantFrom(
  step('checkpoint begins', ({ t }) => t.broker.checkpoint(() => {})),
  step('checkpoint', ({ t }) => {
    t.broker.checkpoint(() => {});
    t.settle();
  }),
);

const queues = [
  '$queue/q',
  '$queue/dead-letter',
  '$queue/$delayed',
  '$share/g/a',
  '$share/g/#',
  '$share/h/b',
  'inbox/client0',
  'inbox/client1',
  'inbox/client3',
];

const manage = fc
  .record({
    what: fc.constantFrom('purge', 'move', 'move', 'browse', 'endSession', 'clearRetained', 'disconnect'),
    from: fc.constantFrom(...queues),
    to: fc.constantFrom(...queues, '$queue/new'),
    i: client,
    most: fc.constantFrom(1, 3, 100),
    wait: fc.boolean(),
  })
  .map(({ what, from, to, i, most, wait }) =>
    step(`${what} ${from} ${to} ${i}`, async ({ t }) => {
      const { management } = t.broker;
      if (what === 'disconnect') return void management.disconnect('main', `client${i}`, 'administrative');
      const done: Promise<unknown> =
        what === 'purge'
          ? management.purge('main', from)
          : what === 'move'
            ? management.move('main', from, to, most)
            : what === 'browse'
              ? management.browse('main', from, { limit: most })
              : what === 'endSession'
                ? management.endSession('main', `client${i}`)
                : management.clearRetained('main', topics[i]!);
      // Or it goes on while other things happen.
      if (wait) await t.until(done);
    }),
  );

const change = fc
  .record({
    what: fc.constantFrom('review', 'deny', 'allow'),
    i: fc.nat(filters.length - 1),
    barred: fc.option(client, { nil: undefined }),
  })
  .map(({ what, i, barred }) =>
    step(`${what} ${filters[i]} barred ${barred}`, ({ t }) => {
      if (what === 'deny') denied.add(filters[i]!);
      if (what === 'allow') denied.clear();
      security.version++;
      const reassess: Reassess = (principal, answer) => {
        if (barred !== undefined && principal.id === `owner${barred}`) answer({ standing: 'barred' });
        else answer({ standing: 'good', principal: { ...principal } });
      };
      t.broker.review({}, reassess, () => {});
    }),
  );

const bound = fc.constantFrom('main', 'owner0', 'owner1', 'owner3').map((whose) =>
  step(`quotas of ${whose}`, ({ t }) => {
    if (!bounded.delete(whose)) bounded.add(whose);
    t.broker.refreshQuotas();
  }),
);

async function restarted(world: World, options: TestBrokerOptions): Promise<void> {
  world.t = await world.t.restart({ ...options, security, quotas });
  world.consumers.fill(undefined);
}

async function run(steps: readonly Step[], options: TestBrokerOptions): Promise<void> {
  denied.clear();
  bounded.clear();
  const world: World = { t: await TestBroker.start({ ...options, security, quotas }), consumers: [], count: 0 };
  world.consumers.length = clients;
  for (const { name, run: act } of steps) {
    if (name === 'crash') await restarted(world, options);
    else if (name === 'compare') await compare(world, options);
    else await act(world);
    assertInvariants(world.t.broker);
  }
  await compare(world, options);
  assert.equal(world.t.failed, undefined);
}

/** What counts against quotas and must be counted anew. Wills are published, and queues that are gone are not, in between. */
function whatIsUsed(broker: Broker): unknown {
  const space = broker.space('main');
  return { retained: space.retained.count, byTester: space.retained.ownedBy('tester') };
}

async function compare(world: World, options: TestBrokerOptions): Promise<void> {
  world.t.settle();
  const before = whatSurvives(world.t.broker);
  const used = whatIsUsed(world.t.broker);
  await restarted(world, options);
  assert.deepEqual(whatSurvives(world.t.broker), before);
  assert.deepEqual(whatIsUsed(world.t.broker), used);
}

const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: attach },
    { weight: 2, arbitrary: detach },
    { weight: 5, arbitrary: subscribe },
    { weight: 1, arbitrary: unsubscribe },
    { weight: 12, arbitrary: publish },
    { weight: 5, arbitrary: settle },
    { weight: 2, arbitrary: settleAll },
    { weight: 2, arbitrary: release },
    { weight: 1, arbitrary: congest },
    { weight: 4, arbitrary: time },
    { weight: 1, arbitrary: checkpoint },
    { weight: 3, arbitrary: manage },
    { weight: 1, arbitrary: change },
    { weight: 1, arbitrary: bound },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        step('crash', () => {}),
        step('compare', () => {}),
      ),
    },
  ),
  { maxLength: 120, size: 'max' },
);

for (const [shards, payloadMemoryBytes] of [
  [1, 1_000_000],
  [8, 1_000_000],
  [2, 300],
] as const) {
  test(`with ${shards} shards and ${payloadMemoryBytes} bytes for payloads`, async () => {
    const seed = process.env['SEED'] === undefined ? 7 : Number(process.env['SEED']);
    const numRuns = Number(process.env['RUNS'] ?? 150);
    const inbox = { maxMessages: 12, maxBytes: 5000, onFull: shards === 1 ? 'drop-oldest' : 'reject-new' } as const;
    const limits = {
      payloadMemoryBytes,
      durableInbox: inbox,
      transientInbox: { ...inbox, onFull: 'drop-oldest' },
      sharedQueue: inbox,
      namedQueue: inbox,
      maxDeliveries: 3,
    } as const;
    await fc.assert(
      fc.asyncProperty(steps, (all) => run(all, { shards, limits })),
      { seed, numRuns },
    );
  });
}

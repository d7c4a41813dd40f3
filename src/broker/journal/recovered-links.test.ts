// Like recovered-state.test.ts, for sessions that are links: whatever is done to them, what a restarted broker holds is what the one
// before held when everything was durable, and no two messages have the same name. With SEED and RUNS it looks elsewhere and longer.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Guarantee } from '../../message/message.ts';
import type { Settlement, SettlementDetail } from '../port.ts';
import { assertInvariants, whatSurvives } from '../testing/described-state.ts';
import { link, red } from '../testing/links.ts';
import { TestBroker } from '../testing/test-broker.ts';
import type { TestBrokerOptions, TestConsumer } from '../testing/test-broker.ts';

const links = 4;
const filters = ['a', '#', '$share/g/a', '$queue/q'];
const topics = ['a', 'b', '$queue/q', '$queue/dead-letter'];

type World = {
  t: TestBroker;
  connection: TestConsumer | undefined;
  readonly links: (TestConsumer | undefined)[];
  /** Payloads by queue and position. */
  readonly named: Map<string, string>;
  /** Keys of sessions that have had a shared subscription or a queue. */
  readonly competed: Set<number>;
  count: number;
};
type Step = { readonly name: string; readonly run: (world: World) => void | Promise<void> };

function step(name: string, run: Step['run']): Step {
  return { name, run, [fc.toStringMethod]: () => name } as Step;
}

const guarantee = fc.constantFrom<Guarantee>(0, 1, 2);
const which = fc.nat(links - 1);

/** Links 0 and 1 outlive their connection; 2 does if it can; 3 is a publisher. */
function attached(world: World, i: number, act: (consumer: TestConsumer) => void): void {
  if (world.connection?.session === undefined) world.connection = world.t.connect('connection');
  const there = world.links[i];
  const consumer =
    there?.session === undefined
      ? link(world.t, world.connection, `link${i}`, {
          sessionExpiryMs: i === 2 ? 0 : 100_000,
          receiveMaximum: 3,
          deadLetters: i !== 1,
          queuesAtMostOnce: true,
        })
      : there;
  world.links[i] = consumer;
  if (consumer.session !== undefined) act(consumer);
}

const details: readonly SettlementDetail[] = [
  {},
  { deliveryFailed: true },
  { undeliverableHere: true },
  { deliveryFailed: true, annotations: [{ key: 'x', value: { type: 'boolean', value: true } }] },
  { reason: { condition: 'test:reason', description: undefined } },
];

const subscribe = fc
  .record({
    i: which,
    filter: fc.constantFrom(...filters),
    g: guarantee,
    selective: fc.boolean(),
    kept: fc.constantFrom(0, 5000, Infinity),
  })
  .map(({ i, filter, g, selective, kept }) =>
    step(`subscribe ${i} ${filter} ${g}${selective ? ' selective' : ''} kept ${kept}`, (world) =>
      attached(world, i, (consumer) =>
        consumer.subscribe(filter, g, {
          noLocal: selective && i === 1,
          ...(selective && { selector: "colour = 'red'" }),
          ...(kept > 0 && filter.startsWith('$share') && { sharedExpiryMs: kept }),
        }),
      ),
    ),
  );

const unsubscribe = fc
  .record({ i: which, filter: fc.constantFrom(...filters) })
  .map(({ i, filter }) =>
    step(`unsubscribe ${i} ${filter}`, (world) => attached(world, i, (consumer) => consumer.session!.unsubscribe([filter], 1))),
  );

const publish = fc
  .record({
    i: which,
    topic: fc.constantFrom(...topics),
    g: guarantee,
    isRed: fc.boolean(),
    tag: fc.constantFrom('x', 'y', 'ÿ'),
    priority: fc.constantFrom(4, 9),
    now: fc.boolean(),
  })
  .map(({ i, topic, g, isRed, tag, priority, now }) =>
    step(`publish ${i} ${topic} ${g} ${tag}`, (world) =>
      attached(world, i, (consumer) => {
        const options = { tag, priority, ...(isRed && red) };
        if (now) consumer.publishNow(topic, `m${world.count++}`, g, options);
        else consumer.publish(topic, `m${world.count++}`, g, options);
      }),
    ),
  );

const release = fc
  .record({ i: which, tag: fc.constantFrom('x', 'y', 'ÿ') })
  .map(({ i, tag }) => step(`release ${i} ${tag}`, (world) => attached(world, i, (consumer) => void consumer.session!.release(1, tag))));

const settle = fc
  .record({
    i: which,
    nth: fc.nat(20),
    how: fc.constantFrom<Settlement>('accepted', 'received', 'rejected', 'released', 'modified', 'modified'),
    detail: fc.constantFrom(...details),
  })
  .map(({ i, nth, how, detail }) =>
    step(`settle ${i} ${nth} ${how} ${JSON.stringify(detail)}`, (world) =>
      attached(world, i, ({ session }) => {
        const unsettled = session!.unsettled();
        const delivery = unsettled[nth % Math.max(1, unsettled.length)];
        if (delivery !== undefined) session!.settle(delivery.deliveryId, how, detail);
      }),
    ),
  );

/** Comes back, and says at once what has become of what it had. */
const comeBack = fc
  .record({ i: which, how: fc.constantFrom<Settlement>('accepted', 'received', 'released', 'modified') })
  .map(({ i, how }) =>
    step(`come back ${i} ${how}`, (world) => {
      attached(world, i, () => {});
      world.links[i] = link(world.t, world.connection!, `link${i}`, { sessionExpiryMs: i === 2 ? 0 : 100_000 }, (made) => {
        made.whenAttached = (session) => {
          for (const { deliveryId } of session.unsettled().slice(0, 2)) session.settle(deliveryId, how, details[1]);
        };
      });
    }),
  );

const leave = fc.record({ i: which, whole: fc.boolean(), closed: fc.boolean() }).map(({ i, whole, closed }) =>
  step(`leave ${i}${whole ? ' whole' : ''}${closed ? ' closed' : ''}`, (world) =>
    attached(world, i, (consumer) => {
      if (whole) {
        world.connection!.disconnect();
        world.links.fill(undefined);
        return;
      }
      consumer.session!.detach(false, closed ? 0 : undefined);
      world.links[i] = undefined;
    }),
  ),
);

const flow = fc.record({ i: which, on: fc.boolean() }).map(({ i, on }) =>
  step(`${on ? 'congest' : 'drain'} ${i}`, (world) =>
    attached(world, i, (consumer) => {
      consumer.congested = on;
      if (!on) consumer.session!.drain();
    }),
  ),
);

const time = fc.constantFrom(
  step('end of turn', ({ t }) => t.endTurn()),
  step('commit', ({ t }) => t.commit()),
  step('all settles', ({ t }) => t.settle()),
  step('4 s', ({ t }) => t.advance(4000)),
  step('60 s', ({ t }) => t.advance(60_000)),
  step('checkpoint begins', ({ t }) => t.broker.checkpoint(() => {})),
  step('checkpoint', ({ t }) => {
    t.broker.checkpoint(() => {});
    t.settle();
  }),
);

async function restarted(world: World, options: TestBrokerOptions): Promise<void> {
  world.t = await world.t.restart(options);
  world.connection = undefined;
  world.links.fill(undefined);
}

async function compare(world: World, options: TestBrokerOptions): Promise<void> {
  world.t.settle();
  const before = whatSurvives(world.t.broker);
  await restarted(world, options);
  assert.deepEqual(whatSurvives(world.t.broker), before);
}

/** A position is the name of one message for as long as its queue exists. */
function noteNames({ t, links: consumers, named, competed }: World): void {
  const space = t.broker.space('main');
  for (const { key, subscriptions } of space.sessions.values()) {
    if ([...subscriptions.keys()].some((text) => text.startsWith('$'))) competed.add(key);
  }
  for (const consumer of consumers) {
    const session = consumer?.session === undefined ? undefined : space.sessions.get(consumer.session.clientId);
    for (const { position, payload, guarantee: g } of session === undefined ? [] : consumer!.deliveries) {
      // Only where it has never had a shared subscription or a queue is it known that a delivery came from its inbox.
      if (g === 0 || competed.has(session!.key) || !session!.durable) continue;
      const name = `${session!.key} ${position}`;
      assert.equal(named.get(name) ?? payload, payload, `position ${position} of ${session!.clientId}`);
      named.set(name, payload);
    }
  }
}

async function run(steps: readonly Step[], options: TestBrokerOptions): Promise<void> {
  const world: World = {
    t: await TestBroker.start(options),
    connection: undefined,
    links: [],
    named: new Map(),
    competed: new Set(),
    count: 0,
  };
  world.links.length = links;
  for (const { name, run: act } of steps) {
    if (name === 'crash') await restarted(world, options);
    else if (name === 'compare') await compare(world, options);
    else await act(world);
    assertInvariants(world.t.broker);
    noteNames(world);
  }
  await compare(world, options);
  assert.equal(world.t.failed, undefined);
}

const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: subscribe },
    { weight: 1, arbitrary: unsubscribe },
    { weight: 12, arbitrary: publish },
    { weight: 2, arbitrary: release },
    { weight: 9, arbitrary: settle },
    { weight: 2, arbitrary: comeBack },
    { weight: 3, arbitrary: leave },
    { weight: 2, arbitrary: flow },
    { weight: 6, arbitrary: time },
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
  test(`links with ${shards} shards and ${payloadMemoryBytes} bytes for payloads`, async () => {
    const seed = process.env['SEED'] === undefined ? 7 : Number(process.env['SEED']);
    const numRuns = Number(process.env['RUNS'] ?? 100);
    const queue = { maxMessages: 12, maxBytes: 8000, onFull: shards === 1 ? 'drop-oldest' : 'reject-new' } as const;
    const limits = {
      payloadMemoryBytes,
      durableInbox: queue,
      sharedQueue: queue,
      namedQueue: queue,
      maxDeliveries: 3,
      deadLetterQueue: 'dead-letter',
    };
    await fc.assert(
      fc.asyncProperty(steps, (all) => run(all, { shards, limits })),
      { seed, numRuns },
    );
  });
}

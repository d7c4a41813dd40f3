// A transaction and a crash at any moment: whatever rows the journals have by then, all of it is there afterwards or nothing, and
// all of it if that was promised. With SEED and RUNS in the environment it looks elsewhere and for longer.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MemoryContents } from '../../store/memory/memory-journal.ts';
import { Outcome } from '../port.ts';
import type { Settlement } from '../port.ts';
import { assertInvariants, whatSurvives } from '../testing/described-state.ts';
import { TestBroker, message } from '../testing/test-broker.ts';
import type { TestConsumer } from '../testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };
const topics = ['t/0', 't/1', 't/2', '$queue/p0', '$queue/p1'];
const jobs = 4;
const retainedTopic = 'last';

type Part =
  | { readonly kind: 'publish'; readonly topic: string; readonly retain: boolean }
  | { readonly kind: 'settle'; readonly job: number; readonly how: Settlement };

/** What happens around the commit, and after it. */
type Step = 'noise' | 'end' | 'commit' | 'commit of one' | 'checkpoint' | 'time' | 'lost';

type World = {
  readonly t: TestBroker;
  readonly shards: number;
  readonly worker: TestConsumer;
  readonly noise: TestConsumer;
  count: number;
};

async function build(shards: number): Promise<World> {
  const t = await TestBroker.start({ shards });
  for (let i = 0; i < 3; i++) t.connect(`subscriber${i}`, durable).subscribe(`t/${i}`, 1);
  for (let i = 0; i < 3; i++) t.broker.management.disconnect('main', `subscriber${i}`, 'administrative');
  const noise = t.connect('noise');
  for (let i = 0; i < jobs; i++) noise.publish(`$queue/j${i % 2}`, `job${i}`, i === 3 ? 2 : 1);
  noise.publish(retainedTopic, 'before', 1, { retain: true });
  const worker = t.connect('worker', { ...durable, receiveMaximum: 100 });
  worker.subscribe('$queue/j0', 2);
  worker.subscribe('$queue/j1', 2);
  assert.equal(worker.deliveries.length, jobs);
  return { t, shards, worker, noise, count: 0 };
}

function take(world: World, parts: readonly Part[]) {
  const { worker, noise } = world;
  const transaction = worker.session!.begin(() => {});
  assert.ok(typeof transaction === 'object');
  const expected = new Map<string, Settlement>();
  const published: string[] = [];
  for (const part of parts) {
    if (part.kind === 'publish') {
      const topic = part.retain ? retainedTopic : part.topic;
      const payload = `T${published.length}`;
      const m = message(topic, payload, 1, { retain: part.retain });
      assert.equal(transaction.publish(noise.session!, noise.session!.address(topic, m.topicBytes), m), Outcome.accepted);
      published.push(`${topic} ${payload}`);
    } else {
      const delivery = worker.deliveries.find(({ payload }) => payload === `job${part.job}`)!;
      const how = part.how === 'received' && delivery.guarantee !== 2 ? 'accepted' : part.how;
      if (transaction.settle(worker.session!, delivery.id, how)) expected.set(delivery.payload, how);
    }
  }
  return { transaction, expected, published };
}

function act(world: World, step: Step, which: number): void {
  const { t, noise } = world;
  switch (step) {
    case 'noise':
      if (noise.session !== undefined) noise.publishNow(topics[which % topics.length]!, `noise${world.count++}`, 1);
      return;
    case 'end':
      return t.endTurn();
    case 'commit':
      return t.commit();
    case 'commit of one':
      for (let shard = 0; shard < world.shards; shard++) if (shard !== which % world.shards) t.frozen.add(shard);
      t.commit();
      return t.frozen.clear();
    case 'checkpoint':
      return t.broker.checkpoint(() => {});
    case 'time':
      t.clock.advance(1100);
      return t.broker.timers.advance(t.clock.monotonicMs());
    case 'lost':
      if (world.worker.session !== undefined) world.worker.session.detach(true);
      world.worker.session = undefined;
  }
}

/** What of each journal a crash now may leave: what is durable, and of one shard or of all also what has been appended. */
function crashes({ t, shards }: World): MemoryContents[][] {
  const durableRows = t.broker.shards.map(({ durableRow }) => durableRow);
  const lastRows = t.contents.map(({ next }) => next - 1);
  const variants = [durableRows, lastRows];
  for (let shard = 0; shard < shards; shard++) {
    if (durableRows[shard] === lastRows[shard]) continue;
    for (let row = durableRows[shard]! + 1; row <= lastRows[shard]!; row++) {
      variants.push(durableRows.map((each, i) => (i === shard ? row : each)));
    }
  }
  return variants.map((rows) => t.contents.map((contents, shard) => cutAt(contents, rows[shard]!)));
}

function cutAt(contents: MemoryContents, last: number): MemoryContents {
  const left = new MemoryContents();
  for (const [row, bytes] of contents.rows) if (row <= last) left.rows.set(row, bytes.slice());
  left.next = last + 1;
  left.checkpoint = contents.checkpoint;
  return left;
}

/** Everything that a peer can find out: messages by where they are. */
async function found(contents: readonly MemoryContents[], t: TestBroker, crashAgain: boolean): Promise<Set<string>> {
  let later = await TestBroker.start({ contents, clock: t.clock });
  if (crashAgain) {
    // In the middle of redoing.
    later.endTurn();
    later.frozen.add(0);
    later.commit();
    later = await TestBroker.start({
      contents: contents.map((each, i) => cutAt(each, later.broker.shards[i]!.durableRow)),
      clock: t.clock,
    });
  }
  later.settle();
  assertInvariants(later.broker);
  const before = whatSurvives(later.broker);
  const third = await later.restart();
  third.settle();
  assert.deepEqual(whatSurvives(third.broker), before, 'what was redone is there after the next crash');
  const all = new Set<string>();
  const note = (where: string, consumer: TestConsumer): void => {
    for (const { payload } of consumer.deliveries) {
      assert.ok(!all.has(`${where} ${payload}`), `${where} has ${payload} twice`);
      all.add(`${where} ${payload}`);
    }
  };
  for (let i = 0; i < 3; i++) note(`t/${i}`, third.connect(`subscriber${i}`, { ...durable, receiveMaximum: 1000 }));
  // What it had unsettled for good comes to it again.
  const worker = third.connect('worker', { ...durable, receiveMaximum: 1000 });
  worker.subscribe('$queue/j0', 2);
  worker.subscribe('$queue/j1', 2);
  note('job', worker);
  for (const queue of ['$queue/p0', '$queue/p1', '$queue/dead-letter']) {
    const reader = third.connect(`reader of ${queue}`, { receiveMaximum: 1000 });
    reader.subscribe(queue, 1);
    note(queue, reader);
  }
  const newcomer = third.connect('newcomer');
  newcomer.subscribe(retainedTopic, 1);
  note(retainedTopic, newcomer);
  return all;
}

const part: fc.Arbitrary<Part> = fc.oneof(
  fc.record({
    kind: fc.constant('publish' as const),
    topic: fc.constantFrom(...topics),
    retain: fc.constantFrom(false, false, false, true),
  }),
  fc.record({
    kind: fc.constant('settle' as const),
    job: fc.nat(jobs - 1),
    how: fc.constantFrom<Settlement>('accepted', 'accepted', 'received', 'rejected', 'released'),
  }),
);
const steps = fc.array(
  fc.tuple(
    fc.constantFrom<Step>('noise', 'end', 'end', 'commit', 'commit of one', 'commit of one', 'checkpoint', 'time', 'lost'),
    fc.nat(100),
  ),
  { maxLength: 8 },
);

async function run(shards: number, parts: readonly Part[], before: readonly [Step, number][], after: readonly [Step, number][]) {
  const world = await build(shards);
  const { transaction, expected, published } = take(world, parts);
  for (const [step, which] of before) act(world, step, which);
  let answer: Outcome | undefined;
  transaction.commit((outcome) => (answer = outcome));
  const check = async (crashAgain: boolean): Promise<void> => {
    for (const contents of crashes(world)) {
      const all = await found(contents, world.t, crashAgain);
      // Only the last of them is the value of the topic.
      const lastRetained = published.findLast((each) => each.startsWith(`${retainedTopic} `));
      const wanted = published.filter((each) => !each.startsWith(`${retainedTopic} `) || each === lastRetained);
      const there = wanted.filter((each) => all.has(each)).length;
      const settled = [...expected].filter(([, how]) => how !== 'released');
      const gone = settled.filter(([job]) => !all.has(`job ${job}`)).length;
      const buried = settled.filter(([job, how]) => how === 'rejected' && all.has(`$queue/dead-letter ${job}`)).length;
      const rejected = settled.filter(([, how]) => how === 'rejected').length;
      const isWhole = there === wanted.length && gone === settled.length && buried === rejected;
      const isNothing = there === 0 && gone === 0 && buried === 0;
      assert.ok(
        isWhole || isNothing,
        `${there} of ${wanted.length} messages, ${gone} of ${settled.length} settled, ${buried} of ${rejected}`,
      );
      if (answer === Outcome.accepted) assert.ok(isWhole, 'what was promised is not there');
      if (answer !== undefined && answer !== Outcome.accepted)
        assert.ok(isNothing || wanted.length + settled.length === 0, 'what was refused is there');
    }
  };
  await check(false);
  for (const [i, [step, which]] of after.entries()) {
    act(world, step, which);
    await check(i % 2 === 1);
  }
  world.t.settle();
  await check(false);
  assertInvariants(world.t.broker);
  const lost = before.some(([step]) => step === 'lost');
  assert.equal(answer, lost ? Outcome.aborted : Outcome.accepted);
}

for (const shards of [1, 8]) {
  test(`a transaction over ${shards} shards is there whole or not at all`, async () => {
    const seed = process.env['SEED'] === undefined ? 11 : Number(process.env['SEED']);
    const numRuns = Number(process.env['RUNS'] ?? 80);
    const parts = fc.array(part, { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(parts, steps, steps, (all, before, after) => run(shards, all, before, after)),
      { seed, numRuns },
    );
  });
}

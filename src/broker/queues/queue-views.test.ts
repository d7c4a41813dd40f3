import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestBroker } from '../testing/test-broker.ts';

const jobs = '$queue/jobs';

test('operators see what a queue does with dead messages, and those whose time has not come', async () => {
  const t = await TestBroker.start({
    limits: { queues: [{ match: 'jobs', deadLetterQueue: 'lost', maxDeliveries: 5, singleActive: true }] },
  });
  const { management } = t.broker;
  const a = t.connect('a');
  a.subscribe(jobs);
  const p = t.connect('p');
  p.publish(jobs, 'dead');
  a.session!.settle(a.deliveries[0]!.id, 'rejected');
  p.publish(jobs, 'later', 1, { attributes: { deliverAtMs: t.clock.wallMs() + 60_000 } });
  t.settle();
  const views = Object.fromEntries(management.queues('main', { limit: 10 }).entries.map(({ name, ...view }) => [name, view]));
  assert.deepEqual(Object.keys(views), ['$queue/$delayed', jobs, '$queue/lost']);
  const { priorities, singleActive, maxDeliveries, deadLetterQueue, deadLettered, messages } = views[jobs]!;
  assert.deepEqual(
    { priorities, singleActive, maxDeliveries, deadLetterQueue, deadLettered, messages },
    { priorities: true, singleActive: true, maxDeliveries: 5, deadLetterQueue: 'lost', deadLettered: 1, messages: 0 },
  );
  assert.deepEqual([views['$queue/$delayed']!.kind, views['$queue/$delayed']!.messages], ['delayed', 1]);
  const browsed = await t.until(management.browse('main', '$queue/$delayed', { limit: 10 }));
  assert.equal(browsed.ok && browsed.value.entries[0]!.message.topic, jobs);
  const moved = await t.until(management.move('main', '$queue/$delayed', '$queue/lost', 10));
  assert.equal(!moved.ok && moved.error.code, 'busy');
  const purged = await t.until(management.purge('main', '$queue/$delayed'));
  assert.equal(purged.ok && purged.value.messages, 1);
  t.advance(120_000);
  assert.deepEqual(a.payloads, ['dead']);
});

test('emptying a queue leaves what comes meanwhile, whatever its priority', async () => {
  const t = await TestBroker.start({ limits: { namedQueue: { maxMessages: 10_000, maxBytes: 1e9, onFull: 'reject-new' } } });
  const p = t.connect('p');
  for (let i = 0; i < 2500; i++) p.publishNow(jobs, String(i), 1, { priority: i % 10 });
  t.settle();
  const purging = t.broker.management.purge('main', jobs);
  p.publishNow(jobs, 'new', 1, { priority: 9 });
  p.publishNow(jobs, 'low', 1, { priority: 0 });
  const purged = await t.until(purging);
  assert.equal(purged.ok && purged.value.messages, 2500);
  const a = t.connect('a');
  a.subscribe(jobs);
  assert.deepEqual(a.payloads, ['new', 'low']);
});

test('what waits is shown a page at a time in the order in which it came, whatever its priority', async () => {
  const t = await TestBroker.start();
  const p = t.connect('p');
  for (let i = 0; i < 9; i++) p.publish(jobs, String(i), 1, { priority: (i * 7) % 10 });
  const seen: string[] = [];
  for (let after: string | undefined; ;) {
    const page = await t.until(t.broker.management.browse('main', jobs, { limit: 2, after }));
    assert.ok(page.ok);
    seen.push(...page.value.entries.map(({ message }) => Buffer.from(message.payload()).toString()));
    after = page.value.next;
    if (after === undefined) break;
  }
  assert.deepEqual(seen, ['0', '1', '2', '3', '4', '5', '6', '7', '8']);
});

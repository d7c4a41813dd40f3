import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outcome } from '../port.ts';
import { allowAll, TestBroker, type TestConsumer } from '../testing/test-broker.ts';

function read(consumer: TestConsumer, topic: string): string[] {
  const told: string[] = [];
  consumer.session!.lastValue(topic, (outcome, message) => {
    told.push(message === undefined ? `nothing ${outcome}` : Buffer.from(message.payload()).toString());
  });
  return told;
}

test('the last value is told when it is durable, and not after its time', async () => {
  const t = await TestBroker.start();
  const a = t.connect('a');
  assert.deepEqual(read(a, 'a/b'), [`nothing ${Outcome.accepted}`]);
  assert.equal(a.publishNow('a/b', 'one', 1, { retain: true }), Outcome.pending);
  const early = read(a, 'a/b');
  assert.deepEqual(early, []);
  t.settle();
  assert.deepEqual(early, ['one']);
  assert.deepEqual(read(a, 'a/b'), ['one']);
  a.publish('a/b', 'two', 1, { retain: true, expiresAtMs: t.clock.wallMs() + 500 });
  assert.deepEqual(read(a, 'a/b'), ['two']);
  t.clock.advance(501);
  assert.deepEqual(read(a, 'a/b'), [`nothing ${Outcome.accepted}`]);
  assert.deepEqual(read(a, 'a/+'), [`nothing ${Outcome.topicInvalid}`]);
});

test('only who may subscribe is told', async () => {
  const t = await TestBroker.start({ security: { ...allowAll, allows: (_who, action) => action !== 'subscribe' } });
  const a = t.connect('a');
  a.publish('a', 'one', 1, { retain: true });
  assert.deepEqual(read(a, 'a'), [`nothing ${Outcome.notAuthorized}`]);
});

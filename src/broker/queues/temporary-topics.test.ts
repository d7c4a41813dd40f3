import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ReplyAddress } from '../../message/attributes.ts';
import { Message } from '../../message/message.ts';
import { Outcome } from '../port.ts';
import { assertInvariants } from '../testing/described-state.ts';
import { TestBroker, allowAll, anyone, message } from '../testing/test-broker.ts';
import type { TestConsumer } from '../testing/test-broker.ts';

const other = { ...anyone, id: 'other' };

function make(maker: TestConsumer): string {
  const topic = maker.session!.createTemporary('topic');
  assert.ok(topic);
  return topic;
}

function subscribed(consumer: TestConsumer, filter: string): Outcome {
  consumer.subscribe(filter, 1);
  return consumer.subscribeResults.at(-1)![0]!.outcome;
}

describe('temporary topics', () => {
  /** Nobody may do anything but what is in here. */
  const allowed = new Set<string>();
  const security = {
    ...allowAll,
    allows: ({ id }: { id: string }, action: string, name: string) => allowed.has(`${id} ${action} ${name}`),
  };

  test('give each message to all who listen, who are of their principal', async () => {
    const t = await TestBroker.start({ security });
    const maker = t.connect('maker');
    const topic = make(maker);
    assert.match(topic, /^\$temp\/[\w-]{24}$/);
    const siblings = ['one', 'two'].map((name) => t.connect(name, { partOf: maker.session! }));
    for (const sibling of siblings) assert.equal(subscribed(sibling, topic), Outcome.accepted);
    assert.equal(maker.publish(topic, 'news'), Outcome.accepted);
    for (const sibling of siblings) assert.deepEqual(sibling.payloads, ['news']);
    assert.notEqual(make(maker), topic);
    assertInvariants(t.broker);
  });

  test('are heard by nobody else, whatever policies allow, and whichever way they ask', async () => {
    const t = await TestBroker.start();
    const maker = t.connect('maker');
    const topic = make(maker);
    const stranger = t.connect('stranger', { principal: other });
    for (const filter of [topic, `${topic}/#`, '$temp/#', '$temp/+', `$share/g/${topic}`, '$share/g/$temp/#', '$temp/made-up']) {
      assert.equal(subscribed(stranger, filter), Outcome.notAuthorized, filter);
    }
    for (const filter of ['#', '+/+']) assert.equal(subscribed(stranger, filter), Outcome.accepted);
    for (const filter of ['$temp/#', '$temp/made-up']) assert.equal(subscribed(maker, filter), Outcome.notAuthorized);
    maker.publish(topic, 'private');
    assert.deepEqual(stranger.payloads, []);
  });

  test('are published to by their principal, by whom a policy allows it, and by whoever is asked for an answer', async () => {
    const t = await TestBroker.start({ security });
    const maker = t.connect('maker');
    const topic = make(maker);
    subscribed(maker, topic);
    const stranger = t.connect('stranger', { principal: other });
    assert.equal(stranger.publish(topic, 'theirs'), Outcome.notAuthorized);
    allowed.add(`other subscribe ask`).add('anyone publish ask').add('mallory publish ask');
    assert.equal(subscribed(stranger, 'ask'), Outcome.accepted);
    const ask = (consumer: TestConsumer): void => {
      const replyTo: ReplyAddress = { kind: 'topic', name: topic };
      const { topicBytes, buffer, start, end } = message('ask', 'question');
      const { session } = consumer;
      const m = new Message('ask', topicBytes, buffer, start, end, 1, false, 4, 0, 0, session!.principal.id, { replyTo });
      session!.publish(session!.address('ask', topicBytes), m, 1);
      t.settle();
    };
    ask(t.connect('m', { principal: { ...anyone, id: 'mallory' } }));
    assert.equal(stranger.publish(topic, 'lent by who has not made it'), Outcome.notAuthorized);
    ask(maker);
    assert.equal(stranger.publish(topic, 'answer'), Outcome.accepted);
    assert.equal(stranger.publish(topic, 'more'), Outcome.notAuthorized);
    allowed.add(`other publish ${topic}`);
    assert.equal(stranger.publish(topic, 'by right'), Outcome.accepted);
    assert.deepEqual(maker.payloads, ['answer', 'by right']);
  });

  test('go with the connection that made them, or before; nothing reaches who listened', async () => {
    const t = await TestBroker.start();
    const maker = t.connect('maker');
    const names = [make(maker), make(maker)];
    const p = t.connect('p');
    const listener = t.connect('listener');
    for (const name of names) assert.equal(subscribed(listener, name), Outcome.accepted);
    const [address] = names.map((name) => p.session!.address(name, new TextEncoder().encode(name)));
    t.connect('stranger', { principal: other }).session!.removeTemporary(names[0]!);
    assert.equal(p.publish(names[0]!, 'one'), Outcome.accepted);
    maker.session!.removeTemporary(names[0]!);
    assert.equal(p.session!.publish(address!, message(names[0]!, 'late'), 9), Outcome.noSubscribers);
    assert.equal(p.publish(names[0]!, 'later'), Outcome.topicInvalid);
    maker.disconnect();
    assert.equal(p.publish(names[1]!, 'later'), Outcome.topicInvalid);
    assert.equal(subscribed(listener, names[1]!), Outcome.notAuthorized);
    assert.deepEqual(listener.payloads, ['one']);
    assert.equal(p.publish('$temp/made-up', 'x'), Outcome.topicInvalid);
  });

  test('have no last value', async () => {
    const t = await TestBroker.start();
    const maker = t.connect('maker');
    const topic = make(maker);
    assert.equal(maker.publish(topic, 'last', 1, { retain: true }), Outcome.notAuthorized);
    assert.equal(t.broker.space('main').retained.get(topic), undefined);
  });

  test('count together with temporary queues', async () => {
    const t = await TestBroker.start({ limits: { maxTemporaryQueuesPerPrincipal: 2, maxNamedQueues: 1 } });
    const maker = t.connect('maker');
    make(maker);
    assert.ok(maker.session!.createTemporary('queue'));
    assert.equal(maker.session!.createTemporary('topic'), undefined);
    assert.notEqual(maker.publish('$queue/jobs', '1'), Outcome.quotaExceeded);
    assert.equal(maker.publish('$queue/more', '1'), Outcome.quotaExceeded);
  });

  test('are kept from nobody who has them by a review, and are gone after a restart', async () => {
    const t = await TestBroker.start();
    const maker = t.connect('maker');
    const topic = make(maker);
    const durable = t.connect('durable', { sessionExpiryMs: 3_600_000 });
    subscribed(durable, topic);
    durable.session!.renew({ ...anyone });
    durable.congested = true;
    maker.publish(topic, 'waits', 1);
    durable.session!.renew({ ...anyone });
    durable.congested = false;
    durable.session!.resume();
    assert.deepEqual(durable.payloads, ['waits']);
    const t2 = await t.restart();
    assert.equal(t2.connect('p').publish(topic, 'later'), Outcome.topicInvalid);
  });
});

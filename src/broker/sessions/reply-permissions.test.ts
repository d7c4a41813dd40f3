import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ReplyAddress } from '../../message/attributes.ts';
import { Message } from '../../message/message.ts';
import type { Principal, Security } from '../../security/security.ts';
import { Outcome } from '../port.ts';
import { TestBroker, allowAll, message } from '../testing/test-broker.ts';
import type { TestBrokerOptions, TestConsumer } from '../testing/test-broker.ts';

const named = (id: string): Principal => ({ tenant: 'main', id, kind: 'device', roles: [] });
const [alice, bob, mallory] = ['alice', 'bob', 'mallory'].map(named) as [Principal, Principal, Principal];

/** Who may do what below which prefix. */
const rights: Readonly<Record<string, readonly string[]>> = {
  alice: [
    'publish service/',
    'publish reply/alice/',
    'subscribe reply/alice/',
    'publish $queue/alice',
    'consume $queue/alice',
    'publish dear/',
  ],
  bob: ['subscribe service/', 'publish own/', 'subscribe dear/'],
  mallory: ['publish service/', 'subscribe door/', 'subscribe service/', 'publish $SYS/', 'subscribe $SYS/', 'publish blind/'],
};

function withDenied(denied: ReadonlySet<string>): Security {
  return {
    ...allowAll,
    allows: ({ id }, action, topic) => (rights[id] ?? []).some((right) => `${action} ${topic}`.startsWith(right)),
    forbids: ({ id }, _action, topic) => denied.has(`${id} ${topic}`),
  };
}

async function scene(options: TestBrokerOptions = {}, denied = new Set<string>()) {
  const t = await TestBroker.start({ ...options, security: withDenied(denied) });
  const [requester, responder] = [t.connect('a', { principal: alice }), t.connect('b', { principal: bob, sessionExpiryMs: 3_600_000 })];
  responder.subscribe('service/#', 2);
  requester.subscribe('reply/alice/#', 2);
  return { t, requester, responder };
}

const topic = (name: string): ReplyAddress => ({ kind: 'topic', name });

function ask(t: TestBroker, consumer: TestConsumer, replyTo: ReplyAddress, sender = 'alice', guarantee: 0 | 1 | 2 = 1): void {
  const session = consumer.session!;
  const { topicBytes, buffer, start, end, priority } = message('service/x', 'question');
  const m = new Message('service/x', topicBytes, buffer, start, end, guarantee, false, priority, 0, 0, sender, { replyTo });
  session.publish(session.address('service/x', m.topicBytes), m, 1);
  t.settle();
}

describe('who was asked', () => {
  for (const guarantee of [0, 1, 2] as const) {
    test(`may answer once for each request (guarantee ${guarantee})`, async () => {
      const { t, requester, responder } = await scene();
      assert.equal(responder.publish('reply/alice/1', 'too early'), Outcome.notAuthorized);
      ask(t, requester, topic('reply/alice/1'), 'alice', guarantee);
      assert.equal(responder.publish('reply/alice/2', 'elsewhere'), Outcome.notAuthorized);
      assert.notEqual(responder.publish('reply/alice/1', 'answer', guarantee, { token: 7 }), Outcome.notAuthorized);
      assert.deepEqual(requester.payloads, ['answer']);
      assert.equal(responder.publish('reply/alice/1', 'again', guarantee, { token: 8 }), Outcome.notAuthorized);
      assert.deepEqual(requester.payloads, ['answer']);
    });
  }

  test('uses one address for all answers: it is good as often as there are requests', async () => {
    const { t, requester, responder } = await scene();
    const session = responder.session!;
    const m = message('reply/alice/1', 'answer', 0);
    // A protocol remembers it until addressVersion moves.
    const address = session.address('reply/alice/1', m.topicBytes);
    const publish = (): Outcome => session.publish(address, m, 1);
    assert.equal(publish(), Outcome.notAuthorized);
    ask(t, requester, topic('reply/alice/1'));
    ask(t, requester, topic('reply/alice/1'));
    assert.equal(address.outcome, Outcome.accepted);
    assert.deepEqual([publish(), publish(), publish()], [Outcome.accepted, Outcome.accepted, Outcome.notAuthorized]);
    assert.equal(address.outcome, Outcome.notAuthorized);
    ask(t, requester, topic('reply/alice/1'));
    assert.equal(publish(), Outcome.accepted);
    assert.equal(t.broker.context.replies.size, 0);
  });

  test('may answer to a queue that the requester consumes, and to its temporary one', async () => {
    const { t, requester, responder } = await scene();
    const temporary = requester.session!.createTemporary('queue')!;
    for (const name of ['alice', temporary]) {
      requester.subscribe(`$queue/${name}`, 1);
      ask(t, requester, { kind: 'queue', name });
      assert.notEqual(responder.publish(`$queue/${name}`, name), Outcome.notAuthorized);
      assert.equal(responder.publish(`$queue/${name}`, name), Outcome.notAuthorized);
    }
    assert.deepEqual(requester.payloads, ['alice', temporary]);
  });

  test('may answer in a transaction', async () => {
    const { t, requester, responder } = await scene();
    ask(t, requester, topic('reply/alice/1'));
    const session = responder.session!;
    const transaction = session.begin(() => {});
    assert.ok(typeof transaction === 'object');
    const m = message('reply/alice/1', 'answer', 1);
    assert.equal(transaction.publish(session, session.address('reply/alice/1', m.topicBytes), m), Outcome.accepted);
    transaction.commit(() => {});
    t.settle();
    assert.deepEqual(requester.payloads, ['answer']);
    assert.equal(responder.publish('reply/alice/1', 'again'), Outcome.notAuthorized);
  });

  for (const end of ['rolled back', 'out of time', 'refused', 'refused at its commit'] as const) {
    test(`may answer again when the transaction that held the answer is ${end}`, async () => {
      const limits = {
        namedQueue: { maxMessages: 1, maxBytes: 10_000, onFull: 'reject-new' },
        transactions: { maxOpenPerPrincipal: 10, maxMessages: 10, maxBytes: 10_000, timeoutMs: 30_000 },
      } as const;
      const { t, requester, responder } = await scene({ limits });
      const address = '$queue/alice';
      ask(t, requester, { kind: 'queue', name: 'alice' });
      const session = responder.session!;
      const transaction = session.begin(() => {});
      assert.ok(typeof transaction === 'object');
      const say = (to: string): Outcome => {
        const m = message(to, 'in vain', 1);
        return transaction.publish(session, session.address(to, m.topicBytes), m);
      };
      assert.equal(say(address), Outcome.accepted);
      assert.equal(responder.publish(address, 'too early'), Outcome.notAuthorized);
      if (end === 'rolled back') transaction.rollback();
      if (end === 'out of time') t.advance(30_000);
      if (end === 'refused') assert.equal(say('reply/alice/2'), Outcome.notAuthorized);
      if (end === 'refused at its commit') requester.publish(address, 'fills the queue', 1);
      if (end.startsWith('refused')) transaction.commit((outcome) => assert.notEqual(outcome, Outcome.accepted));
      requester.subscribe(address, 1);
      requester.settleAll();
      assert.equal(t.broker.context.replies.counters.used, 0);
      assert.notEqual(responder.publish(address, 'answer'), Outcome.notAuthorized);
      assert.equal(requester.payloads.at(-1), 'answer');
      assert.equal(responder.publish(address, 'again'), Outcome.notAuthorized);
    });
  }

  test('a request that is delivered again is still one', async () => {
    const { t, requester, responder } = await scene();
    ask(t, requester, topic('reply/alice/1'));
    responder.disconnect(true);
    const again = t.connect('b', { principal: bob, sessionExpiryMs: 3_600_000 });
    assert.equal(again.deliveries.length, 1);
    assert.notEqual(again.publish('reply/alice/1', 'answer'), Outcome.notAuthorized);
    assert.equal(again.publish('reply/alice/1', 'more'), Outcome.notAuthorized);
  });

  test('an answer that is published again exactly once needs no second permission', async () => {
    const { t, requester, responder } = await scene();
    ask(t, requester, topic('reply/alice/1'));
    assert.notEqual(responder.publish('reply/alice/1', 'answer', 2, { token: 7 }), Outcome.notAuthorized);
    const m = message('reply/alice/1', 'answer', 2);
    const session = responder.session!;
    // The protocol that asks for the address anew refuses it; one that has it is answered like the first time.
    ask(t, requester, topic('reply/alice/1'));
    assert.equal(session.publish(session.address('reply/alice/1', m.topicBytes), m, 7), Outcome.accepted);
    assert.equal(t.broker.context.replies.size, 1);
    assert.deepEqual(requester.payloads, ['answer']);
  });

  test('keeps the permission when the answer could not be taken', async () => {
    const limits = { transientInbox: { maxMessages: 1, maxBytes: 10_000, onFull: 'reject-new' } } as const;
    const { t, requester, responder } = await scene({ limits });
    ask(t, requester, topic('reply/alice/1'));
    ask(t, requester, topic('reply/alice/1'));
    requester.congested = true;
    assert.notEqual(responder.publish('reply/alice/1', 'one'), Outcome.notAuthorized);
    assert.equal(responder.publish('reply/alice/1', 'two'), Outcome.quotaExceeded);
    requester.congested = false;
    requester.session!.resume();
    requester.settleAll();
    assert.notEqual(responder.publish('reply/alice/1', 'two'), Outcome.notAuthorized);
    assert.deepEqual(requester.payloads, ['one', 'two']);
  });
});

describe('a requester lends no more than it has', () => {
  test('not where it may only listen: or whoever may subscribe could publish, by asking itself', async () => {
    const { t, responder } = await scene();
    const asker = t.connect('m', { principal: mallory });
    asker.subscribe('service/#', 1);
    ask(t, asker, topic('door/open'), 'mallory');
    assert.equal(responder.publish('door/open', 'x'), Outcome.notAuthorized);
    assert.equal(asker.publish('door/open', 'x'), Outcome.notAuthorized);
  });

  test('not where it may only publish: that is no address of its own', async () => {
    const { t, responder } = await scene();
    const asker = t.connect('m', { principal: mallory });
    ask(t, asker, topic('blind/1'), 'mallory');
    assert.equal(responder.publish('blind/1', 'x'), Outcome.notAuthorized);
  });

  test('not the voices of the node, nor the temporary queue of somebody else', async () => {
    const { t, requester, responder } = await scene();
    const asker = t.connect('m', { principal: mallory });
    ask(t, asker, topic('$SYS/broker/x'), 'mallory');
    assert.equal(responder.publish('$SYS/broker/x', 'x'), Outcome.notAuthorized);
    const temporary = requester.session!.createTemporary('queue')!;
    ask(t, asker, { kind: 'queue', name: temporary }, 'mallory');
    assert.equal(responder.publish(`$queue/${temporary}`, 'x'), Outcome.notAuthorized);
  });

  test('and who lends nothing does not stand in the way of who may ask for an answer there', async () => {
    const { t, requester, responder } = await scene();
    const asker = t.connect('m', { principal: mallory });
    for (let i = 0; i < 3; i++) ask(t, asker, topic('reply/alice/1'), 'mallory');
    assert.equal(responder.publish('reply/alice/1', 'x'), Outcome.notAuthorized);
    ask(t, requester, topic('reply/alice/1'));
    assert.notEqual(responder.publish('reply/alice/1', 'answer'), Outcome.notAuthorized);
    assert.equal(responder.publish('reply/alice/1', 'more'), Outcome.notAuthorized);
    assert.deepEqual(requester.payloads, ['answer']);
  });

  test('not what a policy denies to the responder', async () => {
    const { t, requester, responder } = await scene({}, new Set(['bob reply/alice/1']));
    ask(t, requester, topic('reply/alice/1'));
    assert.equal(responder.publish('reply/alice/1', 'x'), Outcome.notAuthorized);
    ask(t, requester, topic('reply/alice/2'));
    assert.notEqual(responder.publish('reply/alice/2', 'x'), Outcome.notAuthorized);
  });

  test('nothing when it is gone, and nothing of what others say in its name', async () => {
    const { t, requester, responder } = await scene();
    ask(t, requester, topic('reply/alice/1'));
    requester.disconnect();
    assert.equal(responder.publish('reply/alice/1', 'x'), Outcome.notAuthorized);
    const asker = t.connect('m', { principal: mallory });
    ask(t, asker, topic('reply/alice/1'), 'mallory');
    assert.equal(responder.publish('reply/alice/1', 'x'), Outcome.notAuthorized);
  });
});

describe('permissions to answer are bounded', () => {
  test('in time', async () => {
    const { t, requester, responder } = await scene();
    ask(t, requester, topic('reply/alice/1'));
    t.advance(59_000);
    ask(t, requester, topic('reply/alice/2'));
    t.advance(2000);
    assert.equal(responder.publish('reply/alice/1', 'x'), Outcome.notAuthorized);
    assert.equal(t.broker.context.replies.size, 1);
    t.advance(60_000);
    assert.equal(t.broker.context.replies.size, 0);
  });

  test('in number, of one principal and of all: the oldest go', async () => {
    const { t, requester, responder } = await scene({ limits: { replies: { maxPerPrincipal: 3, max: 4, lifetimeMs: 60_000 } } });
    for (let i = 0; i < 5; i++) ask(t, requester, topic(`reply/alice/${i}`));
    assert.equal(t.broker.context.replies.size, 3);
    assert.equal(responder.publish('reply/alice/1', 'x'), Outcome.notAuthorized);
    assert.notEqual(responder.publish('reply/alice/2', 'x'), Outcome.notAuthorized);
    const other = t.connect('m', { principal: mallory });
    other.subscribe('service/#', 1);
    for (let i = 5; i < 8; i++) ask(t, requester, topic(`reply/alice/${i}`));
    assert.equal(t.broker.context.replies.size, 4);
  });

  test('also when a transaction gives them back: the oldest go, and those whose time is over', async () => {
    const replies = { maxPerPrincipal: 2, max: 10, lifetimeMs: 60_000 };
    const limits = { replies, transactions: { maxOpenPerPrincipal: 10, maxMessages: 10, maxBytes: 10_000, timeoutMs: 1_000_000 } };
    const { t, requester, responder } = await scene({ limits });
    const hold = (): (() => void) => {
      const session = responder.session!;
      const transaction = session.begin(() => {});
      assert.ok(typeof transaction === 'object');
      const m = message('reply/alice/0', 'in vain', 1);
      assert.equal(transaction.publish(session, session.address('reply/alice/0', m.topicBytes), m), Outcome.accepted);
      return () => transaction.rollback();
    };
    ask(t, requester, topic('reply/alice/0'));
    let rollBack = hold();
    for (let i = 1; i < 3; i++) ask(t, requester, topic(`reply/alice/${i}`));
    rollBack();
    assert.equal(t.broker.context.replies.size, 2);
    responder.publish('reply/alice/2', 'answer');
    ask(t, requester, topic('reply/alice/0'));
    rollBack = hold();
    t.advance(61_000);
    rollBack();
    assert.equal(t.broker.context.replies.size, 0);
  });

  test('not at all where they are switched off', async () => {
    const { t, requester, responder } = await scene({ limits: { replies: { maxPerPrincipal: 3, max: 4, lifetimeMs: 0 } } });
    ask(t, requester, topic('reply/alice/1'));
    assert.equal(responder.publish('reply/alice/1', 'x'), Outcome.notAuthorized);
  });
});

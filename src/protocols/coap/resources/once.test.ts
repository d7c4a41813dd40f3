import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Consumer, Outcome, type Session } from '../../../broker/port.ts';
import type { Principal } from '../../../security/security.ts';
import { allowAll, TestBroker } from '../../../broker/testing/test-broker.ts';
import { TestHouse } from './testing/house.ts';

/** `wrap` sees the consumer that remembers keys before the broker does. */
async function watched(wrap: (consumer: Consumer) => void): Promise<TestHouse> {
  const broker = await TestBroker.start();
  const node = broker.broker;
  const attach = node.attach.bind(node);
  node.attach = (request, consumer) => {
    if (request.clientId.endsWith('/once')) wrap(consumer);
    attach(request, consumer);
  };
  return new TestHouse(broker, {});
}

test('who cannot have a session for its keys is told so', async () => {
  const t = await TestHouse.open({ broker: { limits: { maxSessions: 1 } } });
  const peer = t.peer();
  assert.equal(peer.ask('post', '/t/a', { payload: 'x' }).code, '2.04');
  assert.equal(peer.ask('post', '/t/a?mid=k', { payload: 'x' }).code, '4.29');
  assert.equal(peer.ask('post', '/t/a?mid=k', { payload: 'x' }).code, '4.29');
});

test('what is published while the broker ends the session of its key is answered', async () => {
  const t = await watched((consumer) => {
    const lost: Partial<Session> = {
      publishedTags: () => [],
      address: (topic, topicBytes) => ({ topic, topicBytes, outcome: Outcome.accepted }),
      publish: () => {
        consumer.detached('unavailable');
        return Outcome.pending;
      },
    };
    const attached = consumer.attached.bind(consumer);
    consumer.attached = (outcome) => attached(outcome, lost as Session, false);
  });
  assert.equal(t.peer().ask('post', '/t/a?mid=k', { payload: 'x' }).code, '5.03');
});

test('a key is published with what its principal may do now', async () => {
  const strong: Principal = { tenant: 'main', id: 'd1', kind: 'device', roles: ['writer'] };
  let principal: Principal = { ...strong, roles: [] };
  const security = {
    ...allowAll,
    authenticate: (_: unknown, answer: (r: { ok: true; principal: Principal }) => void) => answer({ ok: true, principal }),
    allows: ({ roles }: Principal, action: string, topic: string) => action !== 'publish' || topic === 'free' || roles.includes('writer'),
  };
  const t = await TestHouse.open({ security });
  assert.equal(t.peer().ask('post', '/t/free?mid=1', { payload: 'x' }).code, '2.04');
  principal = strong;
  assert.equal(t.peer().ask('post', '/t/a?mid=2', { payload: 'x' }).code, '2.04');
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { attachRequest, TestBroker, TestConsumer } from '../../broker/testing/test-broker.ts';
import { Outcome, type Consumer, type Session } from '../../broker/port.ts';
import { HttpTest, securityWith } from './testing/fake-exchange.ts';

const key = { 'Idempotency-Key': '"k"' };

/** `wrap` sees the consumer that remembers keys before the broker does. */
async function watched(wrap: (consumer: Consumer) => Consumer): Promise<HttpTest> {
  const broker = await TestBroker.start();
  const node = broker.broker;
  const attach = node.attach.bind(node);
  node.attach = (request, consumer) => attach(request, request.clientId.includes('/once/') ? wrap(consumer) : consumer);
  return new HttpTest(broker, {});
}

describe('what has an Idempotency-Key', () => {
  it('is not acknowledged when the session was lost before it was published', async () => {
    const t = await HttpTest.start();
    const exchange = t.connect().start('POST', '/v1/queues/q', key, 'x');
    t.broker.endTurn();
    // Attached, and taken away in the same turn.
    t.broker.commit();
    t.broker.broker.attach(attachRequest('$http/anyone/once/'), new TestConsumer(t.broker));
    t.settle();
    assert.equal(exchange.status, 503);
  });

  it('is answered when the broker ends the session while it is published', async () => {
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
      return consumer;
    });
    assert.equal(t.connect().send('POST', '/v1/queues/q', key, 'x').status, 503);
  });

  it('is refused for a while when the broker holds publishers back', async () => {
    let desk: Consumer | undefined;
    const t = await watched((consumer) => (desk = consumer));
    const peer = t.connect();
    assert.equal(peer.send('POST', '/v1/queues/q', key, 'x').status, 202);
    desk!.hold(true);
    const held = peer.send('POST', '/v1/queues/q', { 'Idempotency-Key': '"l"' }, 'y');
    assert.equal(held.status, 503);
    assert.equal(held.headers['Retry-After'], '1');
    desk!.hold(false);
    assert.equal(peer.send('POST', '/v1/queues/q', { 'Idempotency-Key': '"l"' }, 'y').status, 202);
  });

  it('has no session for ever when all of it was refused', async () => {
    const t = await HttpTest.start({
      limits: { namedQueue: { maxMessages: 0, maxBytes: 0, onFull: 'reject-new' } },
      http: { maxIdempotentPrincipals: 1 },
    });
    assert.equal(t.connect().send('POST', '/v1/queues/q', key, 'x').status, 429);
    t.advance(t.server.options.idempotencyMs);
    t.advance(1000);
    assert.equal(t.broker.connect('$http/anyone/once/').sessionPresent, false);
  });
});

describe('what is published without one', () => {
  it('is answered when what proved who publishes ends meanwhile', async () => {
    const t = await HttpTest.start({
      security: securityWith({
        authenticate: (_credentials, answer) =>
          answer({
            ok: true,
            principal: { tenant: 'main', id: 'a', kind: 'application', roles: [] },
            expiresAtMs: t.broker.clock.wallMs() + 1000,
          }),
      }),
    });
    const peer = t.connect();
    t.broker.frozen.add(0);
    const waits = peer.send('POST', '/v1/queues/q', {}, 'x');
    assert.equal(waits.status, undefined);
    t.advance(2000);
    peer.send('POST', '/v1/topics/nobody', {}, 'y');
    assert.equal(waits.status, 503);
  });
});

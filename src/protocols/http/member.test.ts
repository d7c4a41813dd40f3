import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestBroker } from '../../broker/testing/test-broker.ts';
import type { Consumer } from '../../broker/port.ts';
import { HttpTest, securityWith } from './testing/fake-exchange.ts';

const principal = { tenant: 'main', id: 'a', kind: 'application', roles: [] } as const;

test('what waits because the broker holds publishers is answered when who asked is not known any more', async () => {
  const broker = await TestBroker.start();
  const consumers: Consumer[] = [];
  const node = broker.broker;
  const attach = node.attach.bind(node);
  node.attach = (request, consumer) => {
    consumers.push(consumer);
    attach(request, consumer);
  };
  const security = securityWith({
    authenticate: (_credentials, answer) => answer({ ok: true, principal, expiresAtMs: broker.clock.wallMs() + 1000 }),
  });
  const t = new HttpTest(broker, { security });
  const peer = t.connect();
  assert.equal(peer.send('POST', '/v1/topics/a').status, 202);
  consumers[0]!.hold(true);
  const waits = peer.send('POST', '/v1/topics/a');
  assert.equal(waits.status, undefined);
  t.advance(2000);
  assert.equal(peer.send('POST', '/v1/topics/a').status, 202);
  assert.equal(waits.status, 503);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestBroker } from '../../broker/testing/test-broker.ts';
import { HttpTest } from './testing/fake-exchange.ts';

test('a consumer whose session comes when nobody waits any more gives it back', async () => {
  const broker = await TestBroker.start();
  const node = broker.broker;
  const attach = node.attach.bind(node);
  let comes: (() => void) | undefined;
  node.attach = (request, consumer) => {
    if (request.protocol !== 'HTTP queue') attach(request, consumer);
    else comes = () => attach(request, consumer);
  };
  const t = new HttpTest(broker, {});
  const peer = t.connect();
  const exchange = peer.send('POST', '/v1/queues/q/receive');
  t.advance(100);
  assert.equal(exchange.status, 204);
  t.advance(20_000);
  comes!();
  t.settle();
  peer.close();
  assert.equal(node.sessionCount, 0);
});

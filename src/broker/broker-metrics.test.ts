import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokerMetrics } from './broker-metrics.ts';
import { Outcome, TestBroker, message } from './testing/test-broker.ts';

test('what quotas refuse is told by tenant, of many tenants as of others', async () => {
  const t = await TestBroker.start({ quotas: { ofTenant: () => ({ connections: 0 }), ofPrincipal: () => ({}) } });
  for (let i = 0; i < 130; i++) t.connect('a', { principal: { tenant: `t${i}`, id: 'a', kind: 'device', roles: [] } });
  t.connect('b', { principal: { tenant: 't0', id: 'b', kind: 'device', roles: [] } });
  const samples = [...new BrokerMetrics(t.broker).metrics()].filter(({ name }) => name === 'heliograph_broker_over_quota_total');
  const refused = (tenant: string, quota: string): unknown =>
    samples.find(({ labels }) => labels?.['tenant'] === tenant && labels['quota'] === quota)?.value;
  assert.equal(refused('t0', 'connections'), 2);
  assert.equal(refused('t0', 'rate'), 0);
  assert.equal(refused('t99', 'connections'), 1);
  assert.equal(refused('t100', 'connections'), undefined);
  assert.equal(refused('$others', 'connections'), 30);
});

test('transactions that are committed and not done everywhere are told', async () => {
  const t = await TestBroker.start({ shards: 2 });
  const p = t.connect('p');
  const unfinished = (): unknown =>
    [...new BrokerMetrics(t.broker).metrics()].find(({ name }) => name === 'heliograph_broker_transactions_unfinished')?.value;
  const transaction = p.session!.begin(() => {});
  assert.ok(typeof transaction === 'object');
  for (const shard of [0, 1]) {
    const m = message(t.nameOn(shard, '$queue/q'), 'x');
    assert.equal(transaction.publish(p.session!, p.session!.address(m.topic, m.topicBytes), m), Outcome.accepted);
  }
  transaction.commit(() => {});
  assert.equal(unfinished(), 1);
  t.settle();
  assert.equal(unfinished(), 0);
});

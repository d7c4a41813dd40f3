import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokerMetrics } from './broker-metrics.ts';
import { TestBroker } from './testing/test-broker.ts';

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

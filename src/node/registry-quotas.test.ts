import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Quotas } from '../broker/quotas/quotas.ts';
import type { Principal } from '../security/security.ts';
import { RegistryQuotas } from './registry-quotas.ts';

class Source {
  readonly tenants = new Map<string, { quotas: Quotas; principalQuotas: Quotas }>();
  readonly roles = new Map<string, Quotas>();
  isBroken = false;
  asked = 0;
  changes = 0;
  faults = 0;
  readonly quotas = new RegistryQuotas(
    { list: ((kind: string) => this.#list(kind)) as never },
    () => this.changes++,
    () => this.faults++,
  );

  async #list(kind: string): Promise<unknown> {
    this.asked++;
    await Promise.resolve();
    if (this.isBroken) return { ok: false, error: { code: 'unavailable', message: 'gone' } };
    const entries =
      kind === 'tenant'
        ? [...this.tenants].map(([id, fields]) => ({ id, ...fields }))
        : [...this.roles].map(([id, quotas]) => ({ id, quotas }));
    return { ok: true, value: { entries, next: undefined } };
  }
}

const principal = (...roles: string[]): Principal => ({ tenant: 'main', id: 'a', kind: 'device', roles });

test('roles stand in the place of what the tenant says, quota by quota, the largest of several', async () => {
  const s = new Source();
  s.tenants.set('main', { quotas: { connections: 100 }, principalQuotas: { connections: 1, subscriptions: 10 } });
  s.roles.set('few', { connections: 2 }).set('many', { connections: 5, messagesPerSecond: 7 }).set('none', {});
  assert.deepEqual(s.quotas.ofTenant('main'), {});
  await s.quotas.load();
  assert.deepEqual(s.quotas.ofTenant('main'), { connections: 100 });
  assert.deepEqual(s.quotas.ofTenant('other'), {});
  assert.deepEqual(s.quotas.ofPrincipal(principal()), { connections: 1, subscriptions: 10 });
  assert.deepEqual(s.quotas.ofPrincipal(principal('few', 'none', 'unknown')), { connections: 2, subscriptions: 10 });
  assert.deepEqual(s.quotas.ofPrincipal(principal('many', 'few')), { connections: 5, subscriptions: 10, messagesPerSecond: 7 });
});

test('are read anew when tenants or roles change, and the broker is told only when they are others', async () => {
  const s = new Source();
  const feed = (kind: 'tenant' | 'role' | 'device' | undefined): void =>
    s.quotas.changed([{ version: 1, kind, tenant: 'main', id: 'x', what: 'updated' }]);
  s.tenants.set('main', { quotas: {}, principalQuotas: { connections: 1 } });
  await s.quotas.load();
  assert.equal(s.changes, 1);
  const { asked } = s;
  feed('device');
  assert.equal(s.asked, asked);
  feed('tenant');
  await s.quotas.load();
  assert.equal(s.changes, 1);
  s.roles.set('r', { connections: 2 });
  feed('role');
  // While it is read, it changes once more.
  s.roles.set('r', { connections: 3 });
  feed(undefined);
  await s.quotas.load();
  assert.deepEqual(s.quotas.ofPrincipal(principal('r')), { connections: 3 });
});

test('hold on when the registry does not answer', async () => {
  const s = new Source();
  s.tenants.set('main', { quotas: { connections: 1 }, principalQuotas: {} });
  await s.quotas.load();
  s.isBroken = true;
  await s.quotas.load();
  assert.equal(s.faults, 1);
  assert.deepEqual(s.quotas.ofTenant('main'), { connections: 1 });
});

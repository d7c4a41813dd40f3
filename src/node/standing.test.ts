import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { certificate, fingerprint, good } from '../../test/contracts/registry/place.ts';
import { atEnd, temporaryDirectory } from '../../test/contracts/temporary-journal.ts';
import { systemScope } from '../registry/entries.ts';
import type { LookUps } from '../registry/registry.ts';
import { SqliteRegistry } from '../registry/sqlite/sqlite-registry.ts';
import type { PeerCertificate, Principal } from '../security/security.ts';
import { standingIn } from './standing.ts';

const device: Principal = { tenant: 'main', id: 'a', kind: 'device', roles: [] };
const application: Principal = { ...device, id: 'b', kind: 'application' };
const anonymous: Principal = { ...device, id: 'anonymous', kind: 'anonymous' };
const shown: PeerCertificate = { commonName: 'a', uris: [], fingerprint: fingerprint(1) };

test('who is disabled or revoked is barred from then on; who is not known is not', async (t) => {
  const registry = good(SqliteRegistry.open({ path: join(temporaryDirectory(t), 'registry.db'), clock: new ManualClock(), thread: false }));
  atEnd(t, () => registry.close());
  const standing = standingIn(registry);
  const all = (): unknown[] => [
    standing(device, shown),
    standing(application, undefined),
    standing(anonymous, undefined),
    standing({ ...device, tenant: 'x' }, undefined),
  ];
  assert.deepEqual(all(), ['good', 'good', 'good', 'good']);
  good(await registry.create('device', 'main', 'a', {}));
  good(await registry.create('user', 'main', 'b', {}));
  good(await registry.create('certificate', 'main', fingerprint(1), certificate(1, { owner: { kind: 'device', id: 'a' } })));
  assert.deepEqual(all(), ['good', 'good', 'good', 'good']);

  good(await registry.update('device', 'main', 'a', { status: 'disabled' }));
  assert.deepEqual(all(), ['barred', 'good', 'good', 'good']);
  good(await registry.update('device', 'main', 'a', { status: 'active' }));
  good(await registry.update('user', 'main', 'b', { status: 'disabled' }));
  assert.deepEqual(all(), ['good', 'barred', 'good', 'good']);
  good(await registry.update('user', 'main', 'b', { status: 'active' }));
  good(await registry.update('certificate', 'main', fingerprint(1), { status: 'revoked' }));
  assert.deepEqual(all(), ['barred', 'good', 'good', 'good']);
  assert.equal(standing(device, undefined), 'good', 'the device may come with another certificate');
  good(await registry.update('tenant', systemScope, 'main', { status: 'disabled' }));
  assert.deepEqual(all(), ['barred', 'barred', 'barred', 'good']);
  await registry.close();
  assert.deepEqual(all(), ['unknown', 'unknown', 'unknown', 'unknown']);
});

test('a registry that answers later is waited for', async (t) => {
  const registry = good(SqliteRegistry.open({ path: join(temporaryDirectory(t), 'registry.db'), clock: new ManualClock(), thread: false }));
  atEnd(t, () => registry.close());
  good(await registry.create('device', 'main', 'a', { status: 'disabled' }));
  const later: LookUps = {
    get: (...question) => Promise.resolve(registry.get(...question)),
    principal: (...question) => Promise.resolve(registry.principal(...question)),
    certificate: (...question) => Promise.resolve(registry.certificate(...question)),
    credentials: (...question) => Promise.resolve(registry.credentials(...question)),
  };
  assert.equal(await standingIn(later)(device, shown), 'barred');
  assert.equal(await standingIn(later)(application, undefined), 'good');
});

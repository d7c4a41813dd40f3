import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { certificate, fingerprint, good } from '../../../test/contracts/registry/place.ts';
import { atEnd, temporaryDirectory } from '../../../test/contracts/temporary-journal.ts';
import { ManualClock } from '../../base/clock.ts';
import { systemScope } from '../../registry/entries.ts';
import { value, type LookUps } from '../../registry/registry.ts';
import { SqliteRegistry } from '../../registry/sqlite/sqlite-registry.ts';
import type { PeerCertificate } from '../security.ts';
import type { Identity } from './authenticator.ts';
import { PrincipalFacts, type Facts, type KnownAuthority } from './principal-facts.ts';

const device: Identity = { tenant: 'main', id: 'a', kind: 'device' };
const application: Identity = { tenant: 'main', id: 'b', kind: undefined };
const anonymous: Identity = { tenant: 'main', id: 'anonymous', kind: 'anonymous' };
const shown: PeerCertificate = { commonName: 'a', uris: [], fingerprint: fingerprint(1) };

function open(t: TestContext): SqliteRegistry {
  const registry = good(SqliteRegistry.open({ path: join(temporaryDirectory(t), 'registry.db'), clock: new ManualClock(), thread: false }));
  atEnd(t, () => registry.close());
  return registry as SqliteRegistry;
}

const summary = (facts: Facts): string => (facts.standing === 'barred' ? facts.reason : facts.standing);

test('who is disabled or revoked is barred from then on; who is not known is not', async (t) => {
  const registry = open(t);
  const facts = new PrincipalFacts(registry, new ManualClock());
  const all = (): unknown[] =>
    [
      facts.of(device, shown, true),
      facts.of(application, undefined, false),
      facts.of(anonymous, undefined, false),
      facts.of({ ...device, tenant: 'x' }, undefined, false),
    ].map((found) => summary(found as Facts));
  assert.deepEqual(all(), ['good', 'good', 'good', 'good']);
  good(await registry.create('device', 'main', 'a', {}));
  good(await registry.create('user', 'main', 'b', {}));
  good(await registry.create('certificate', 'main', fingerprint(1), certificate(1, { owner: { kind: 'device', id: 'a' } })));
  assert.deepEqual(all(), ['good', 'good', 'good', 'good']);
  good(await registry.update('device', 'main', 'a', { status: 'disabled' }));
  assert.deepEqual(all(), ['principal-disabled', 'good', 'good', 'good']);
  good(await registry.update('device', 'main', 'a', { status: 'active' }));
  good(await registry.update('user', 'main', 'b', { status: 'disabled' }));
  assert.deepEqual(all(), ['good', 'principal-disabled', 'good', 'good']);
  good(await registry.update('user', 'main', 'b', { status: 'active' }));
  good(await registry.update('certificate', 'main', fingerprint(1), { status: 'revoked' }));
  assert.deepEqual(all(), ['certificate-revoked', 'good', 'good', 'good']);
  assert.equal(summary(facts.of(device, undefined, false) as Facts), 'good', 'the device may come with another certificate');
  assert.equal(summary(facts.of(device, shown, false) as Facts), 'certificate-revoked', 'also when it came in by a password');
  good(await registry.update('tenant', systemScope, 'main', { status: 'disabled' }));
  assert.deepEqual(all(), ['tenant-disabled', 'tenant-disabled', 'tenant-disabled', 'good']);
  await registry.close();
  assert.deepEqual(all(), ['unknown', 'unknown', 'unknown', 'unknown']);
});

test('a registry that answers later is waited for', async (t) => {
  const registry = open(t);
  good(await registry.create('device', 'main', 'a', { status: 'disabled' }));
  const later: LookUps = {
    get: (...question) => Promise.resolve(registry.get(...question)),
    principal: (...question) => Promise.resolve(registry.principal(...question)),
    certificate: (...question) => Promise.resolve(registry.certificate(...question)),
    credentials: (...question) => Promise.resolve(registry.credentials(...question)),
    credentialsByHandle: (...question) => Promise.resolve(registry.credentialsByHandle(...question)),
  };
  const facts = new PrincipalFacts(later, new ManualClock());
  assert.equal(summary(await facts.of(device, shown, true)), 'principal-disabled');
  assert.equal(summary(await facts.of(application, undefined, false)), 'good');
});

test('kind, roles, groups and labels are those of the registry, besides what came with the proof', async (t) => {
  const registry = open(t);
  good(await registry.create('device', 'main', 'a', { roles: ['valve'], groups: ['north'], labels: { site: 'x' } }));
  good(await registry.create('device', 'main', 'plain', {}));
  good(await registry.create('user', 'main', 'ann', { roles: ['operator'] }));
  const facts = new PrincipalFacts(registry, new ManualClock());
  const of = (identity: Identity, byCertificate = false): unknown => {
    const found = facts.of(identity, byCertificate ? { ...shown, fingerprint: fingerprint(9) } : undefined, byCertificate) as Facts;
    return found.standing === 'good' ? found.principal : found;
  };
  assert.deepEqual(of({ ...device, roles: ['device'], groups: ['claimed'], labels: { site: 'claimed', rack: '3' } }, true), {
    tenant: 'main',
    id: 'a',
    kind: 'device',
    roles: ['device', 'valve'],
    groups: ['north', 'claimed'],
    labels: { site: 'x', rack: '3' },
  });
  assert.deepEqual(of({ ...device, id: 'plain' }), { tenant: 'main', id: 'plain', kind: 'device', roles: ['device'] });
  // A certificate that names a person does not make a device of it.
  assert.deepEqual(of({ ...device, id: 'ann', roles: ['device'] }, true), { tenant: 'main', id: 'ann', kind: 'user', roles: ['operator'] });
  assert.deepEqual(of(application), { tenant: 'main', id: 'b', kind: 'application', roles: [] });
});

test('a certificate counts only for its owner, while it lasts', async (t) => {
  const registry = open(t);
  const clock = new ManualClock();
  good(await registry.create('device', 'main', 'a', {}));
  good(await registry.create('device', 'main', 'c', {}));
  good(await registry.create('tenant', systemScope, 'other', {}));
  good(await registry.create('device', 'other', 'a', {}));
  good(await registry.create('certificate', 'main', fingerprint(1), certificate(1, { owner: { kind: 'device', id: 'a' } })));
  good(await registry.create('certificate', 'main', fingerprint(2), certificate(2, {})));
  const facts = new PrincipalFacts(registry, clock);
  const of = (identity: Identity, n = 1): string => summary(facts.of(identity, { ...shown, fingerprint: fingerprint(n) }, true) as Facts);
  assert.equal(of(device), 'good');
  assert.equal(of({ ...device, id: 'c' }), 'certificate-of-another');
  assert.equal(of({ ...device, tenant: 'other' }), 'certificate-of-another');
  assert.equal(of(device, 2), 'certificate-of-no-principal');
  const { value } = registry.certificate(fingerprint(1)) as { value: { notAfterMs: number } };
  assert.equal((facts.of(device, shown, true) as { expiresAtMs?: number }).expiresAtMs, value.notAfterMs);
  clock.advance(value.notAfterMs + 1 - clock.wallMs());
  assert.equal(of(device), 'certificate-expired');
});

test('who comes by a certificate that the registry does not know stays no longer than that lasts', () => {
  const clock = new ManualClock();
  const facts = new PrincipalFacts(undefined, clock);
  const notAfterMs = clock.wallMs() + 1000;
  const of = (byCertificate: boolean): Facts => facts.of(device, { ...shown, notAfterMs }, byCertificate) as Facts;
  assert.equal((of(true) as { expiresAtMs?: number }).expiresAtMs, notAfterMs);
  assert.equal((of(false) as { expiresAtMs?: number }).expiresAtMs, undefined);
  clock.advance(1001);
  assert.equal(summary(of(true)), 'certificate-expired');
  assert.equal(summary(of(false)), 'good');
});

test('an authority of a tenant names its own principals only, and one that is retired nobody', async (t) => {
  const registry = open(t);
  good(await registry.create('device', 'main', 'a', {}));
  const authorities: Record<string, KnownAuthority> = {
    own: { tenant: systemScope, role: 'issuing', status: 'retiring' },
    old: { tenant: systemScope, role: 'issuing', status: 'retired' },
    theirs: { tenant: 'other', role: 'foreign', status: 'active', registration: 'just-in-time' },
    ours: { tenant: 'main', role: 'foreign', status: 'active', registration: 'none' },
    waiting: { tenant: 'main', role: 'foreign', status: 'pending', registration: 'none' },
  };
  const facts = new PrincipalFacts(registry, new ManualClock(), (id) => authorities[id]);
  const of = (issuers: readonly string[], identity = device): string => summary(facts.of(identity, { ...shown, issuers }, true) as Facts);
  assert.equal(of(['own']), 'good');
  assert.equal(of(['unknown to the registry']), 'good');
  assert.equal(of(['old']), 'authority-not-trusted');
  assert.equal(of(['unknown to the registry', 'old']), 'authority-not-trusted');
  assert.equal(of(['theirs']), 'foreign-tenant');
  assert.equal(of(['ours']), 'good');
  assert.equal(of(['ours'], { ...device, id: 'stranger' }), 'not-registered');
  assert.equal(of(['waiting']), 'authority-not-trusted');
});

test('an authority of somebody else names devices, and people only by certificates that were given to them', async (t) => {
  const registry = open(t);
  good(await registry.create('user', 'main', 'admin', { roles: ['admin'] }));
  good(await registry.create('application', 'main', 'scada', {}));
  good(await registry.create('device', 'main', 'gateway', { roles: ['operator'] }));
  good(await registry.create('device', 'main', 'pump', { roles: ['field'] }));
  good(await registry.create('certificate', 'main', fingerprint(1), certificate(1, { owner: { kind: 'user', id: 'admin' } })));
  const authorities: Record<string, KnownAuthority> = {
    ours: { tenant: 'main', role: 'foreign', status: 'active', registration: 'just-in-time' },
    own: { tenant: systemScope, role: 'issuing', status: 'active' },
  };
  const facts = new PrincipalFacts(registry, new ManualClock(), (id) => authorities[id]);
  const of = (issuer: string, id: string, n: number): string =>
    summary(facts.of({ ...device, id }, { ...shown, fingerprint: fingerprint(n), issuers: [issuer] }, true) as Facts);
  assert.equal(of('ours', 'admin', 9), 'not-a-device');
  assert.equal(of('ours', 'scada', 9), 'not-a-device');
  assert.equal(of('ours', 'gateway', 9), 'manages', 'nor a device that manages something');
  assert.equal(of('own', 'gateway', 9), 'good');
  assert.equal(of('ours', 'pump', 9), 'good');
  assert.equal(of('ours', 'admin', 1), 'good');
  assert.equal(of('own', 'scada', 9), 'good');
});

test('a device of another authority that nobody has added is added once it has proved who it is, and only then', async () => {
  const authorities: Record<string, KnownAuthority> = { theirs: { tenant: 'main', role: 'foreign', status: 'active' } };
  let answer: 'added' | 'refused' | 'later' = 'refused';
  const joined: string[] = [];
  const registry = {
    get: () => value(undefined),
    principal: () => value(undefined),
    certificate: () => value(undefined),
    credentialsByHandle: () => value([]),
    credentials: () => value([]),
  };
  const facts = new PrincipalFacts(
    registry,
    new ManualClock(),
    (id) => authorities[id],
    (identity, _certificate, from) => {
      joined.push(`${identity.id} from ${from}`);
      return Promise.resolve(answer);
    },
  );
  const proof = { ...shown, issuers: ['theirs'] };
  assert.equal(summary(await facts.of(device, proof, true, '192.0.2.1')), 'not-registered');
  answer = 'later';
  assert.equal(summary(await facts.of(device, proof, true, '192.0.2.1')), 'unknown');
  answer = 'added';
  assert.equal(summary(await facts.of(device, proof, true, '192.0.2.1')), 'good');
  assert.equal(joined.length, 3);
  // Already connected, by a password, and of the operator's own authority.
  for (const of of [
    facts.of(device, proof, true),
    facts.of(device, proof, false, 'x'),
    facts.of(device, { ...shown, issuers: ['file'] }, true, 'x'),
  ]) {
    assert.equal(summary(await of), 'good');
  }
  assert.equal(joined.length, 3);
});

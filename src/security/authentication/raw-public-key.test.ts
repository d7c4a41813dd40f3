import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { good } from '../../../test/contracts/registry/place.ts';
import { atEnd, temporaryDirectory } from '../../../test/contracts/temporary-journal.ts';
import { ManualClock } from '../../base/clock.ts';
import { SeededRandom } from '../../base/random.ts';
import type { Log } from '../../base/log.ts';
import { SqliteRegistry } from '../../registry/sqlite/sqlite-registry.ts';
import { createSecurity, defaultCertificatePolicy, defaultSecurityLimits, type NodeSecurity } from '../create-security.ts';
import type { AuthenticationResult, Credentials, Principal, Reassessment } from '../security.ts';
import { rawPublicKey, rawPublicKeyHandle } from './raw-public-key.ts';

const nobody: Credentials = {
  listener: 'coaps',
  remoteAddress: '192.0.2.1',
  secure: false,
  clientId: '$coap/1',
  username: undefined,
  password: undefined,
  certificate: undefined,
};
const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

async function bench(
  t: TestContext,
): Promise<{ security: NodeSecurity; registry: SqliteRegistry; clock: ManualClock; reasons: unknown[] }> {
  const clock = new ManualClock();
  const registry = good(SqliteRegistry.open({ path: join(temporaryDirectory(t), 'registry.db'), clock, thread: false })) as SqliteRegistry;
  atEnd(t, () => registry.close());
  const reasons: unknown[] = [];
  const options = {
    users: [],
    rules: [],
    anonymous: { roles: ['admin'] },
    certificates: defaultCertificatePolicy,
    limits: defaultSecurityLimits,
    listeners: { bare: ['anonymous'] as const },
  };
  const audit = { record: ({ details }: { details?: object }): number => reasons.push(details) };
  const security = createSecurity(options, { clock, random: new SeededRandom(1), log: quiet, lookUps: registry, audit });
  for (const id of ['pump', 'valve']) good(await registry.create('device', 'main', id, {}));
  return { security, registry, clock, reasons };
}

function authenticate(security: NodeSecurity, credentials: Credentials): AuthenticationResult {
  let result: AuthenticationResult | undefined;
  security.authenticate(credentials, (answer) => (result = answer));
  return result!;
}

function verdict(security: NodeSecurity, credentials: Credentials): string {
  const result = authenticate(security, credentials);
  return result.ok ? `${result.principal.kind} ${result.principal.tenant}/${result.principal.id}` : result.reason;
}

function standing(security: NodeSecurity, principal: Principal): string {
  let result: Reassessment | undefined;
  security.reassess(principal, (answer) => (result = answer));
  return result!.standing;
}

function principalOf(result: AuthenticationResult): Principal {
  assert.ok(result.ok);
  return result.principal;
}

test('public keys are read from PEM and DER; what is none, or private, is not', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = publicKey.export({ format: 'pem', type: 'spki' });
  const der = publicKey.export({ format: 'der', type: 'spki' });
  const found = rawPublicKey(pem)!;
  assert.deepEqual(rawPublicKey(der), found);
  assert.deepEqual(rawPublicKey(der.toString('base64')), found);
  assert.deepEqual([found.algorithm, found.hash.length, Buffer.from(found.spki)], ['P-256', 64, der]);
  assert.equal(rawPublicKey(generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' }))?.algorithm, 'Ed25519');
  const wrong = [
    privateKey.export({ format: 'pem', type: 'pkcs8' }),
    privateKey.export({ format: 'der', type: 'pkcs8' }),
    generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'pem', type: 'spki' }),
    der.subarray(1),
    '',
    'no key',
  ];
  for (const each of wrong) assert.equal(rawPublicKey(each), undefined);
});

test('a raw public key makes its owner, until it is gone or over', async (t) => {
  const { security, registry, clock, reasons } = await bench(t);
  const hash = 'ab'.repeat(32);
  const owner = { kind: 'device', id: 'pump' } as const;
  const fields = { owner, type: 'raw-public-key', secret: 'MFk=', handle: rawPublicKeyHandle(hash) } as const;
  good(await registry.create('credential', 'main', 'k1', fields));
  const shown = { ...nobody, rawPublicKey: hash };
  assert.equal(verdict(security, shown), 'device main/pump');
  assert.equal(verdict(security, { ...nobody, rawPublicKey: 'cd'.repeat(32) }), 'refused');
  assert.equal(verdict(security, { ...shown, listener: 'bare' }), 'refused', 'who shows something is not nobody');
  const held = principalOf(authenticate(security, shown));
  assert.equal(held.access?.method, 'raw-public-key');
  assert.equal(standing(security, held), 'good');
  good(await registry.remove('credential', 'main', 'k1'));
  assert.equal(standing(security, held), 'barred');
  assert.equal(verdict(security, shown), 'refused');
  good(await registry.create('credential', 'main', 'k2', { ...fields, expiresAtMs: clock.wallMs() + 1000 }));
  assert.equal(standing(security, held), 'barred', 'added again is another one');
  const timed = authenticate(security, shown);
  assert.equal(timed.ok && timed.expiresAtMs, clock.wallMs() + 1000);
  clock.advance(1001);
  assert.equal(verdict(security, shown), 'refused');
  assert.equal(standing(security, principalOf(timed)), 'barred');
  good(await registry.update('device', 'main', 'pump', { status: 'disabled' }));
  assert.deepEqual(reasons[0], { method: 'raw-public-key', reason: 'unknown-key' });
});

test('what comes under OSCORE is whose the context is, whatever else the path has proved', async (t) => {
  const { security, registry } = await bench(t);
  const hash = 'ab'.repeat(32);
  const pump = { kind: 'device', id: 'pump' } as const;
  good(await registry.create('credential', 'main', 'c1', { owner: pump, type: 'oscore', secret: '{}', handle: 'oscore/.01/-' }));
  good(await registry.create('credential', 'main', 't1', { owner: pump, type: 'token', secret: 'x' }));
  const key = { owner: { kind: 'device', id: 'valve' }, type: 'raw-public-key', secret: 'x', handle: rawPublicKeyHandle(hash) } as const;
  good(await registry.create('credential', 'main', 'k1', key));
  const oscoreContext = { tenant: 'main', principal: 'pump', contextId: 'c1' };
  const certificate = { commonName: 'valve', uris: [], fingerprint: '00'.repeat(32) };
  const throughProxy = { ...nobody, certificate, rawPublicKey: hash, pskIdentity: 'valve', oscoreContext };
  for (const shown of [{ ...nobody, oscoreContext }, throughProxy]) {
    const { id, access } = principalOf(authenticate(security, shown));
    assert.deepEqual([id, access?.method, access?.secure, access?.certificate], ['pump', 'oscore', true, undefined]);
  }
  for (const wrong of [
    { ...oscoreContext, principal: 'valve' },
    { ...oscoreContext, contextId: 't1' },
    { ...oscoreContext, contextId: 'k1' },
    { ...oscoreContext, tenant: 'other' },
  ]) {
    assert.equal(verdict(security, { ...throughProxy, oscoreContext: wrong }), 'refused');
  }
  const held = principalOf(authenticate(security, throughProxy));
  assert.equal(standing(security, held), 'good');
  good(await registry.update('credential', 'main', 'c1', { secret: '{"another":1}' }));
  assert.equal(standing(security, held), 'barred');
  const again = principalOf(authenticate(security, throughProxy));
  good(await registry.update('device', 'main', 'pump', { status: 'disabled' }));
  assert.equal(standing(security, again), 'barred');
  assert.equal(verdict(security, throughProxy), 'refused');
});

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { oscoreFacts } from '../../security/oscore/oscore-credential.ts';
import { TestApi } from './testing/test-api.ts';

const secret = '0102030405060708090a0b0c0d0e0f10';

function publicKey(): string {
  return String(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'pem', type: 'spki' }));
}

test('an OSCORE context: what is chosen is shown once, what is given never', async (t) => {
  const api = await TestApi.open(t);
  await api.ask('POST', '/devices', { body: { id: 'pump' } });
  const chosen = await api.ask('POST', '/devices/pump/oscore-contexts', { body: {} });
  assert.equal(chosen.status, 201, chosen.text);
  assert.deepEqual(
    [chosen.body.masterSecret.length, chosen.body.masterSalt.length, chosen.body.recipientId.length, chosen.body.senderId],
    [32, 16, 6, '01'],
  );
  assert.equal(chosen.headers['location'], `/api/v1/devices/pump/oscore-contexts/${chosen.body.id}`);
  const ids = {
    senderId: 'AA',
    recipientId: '',
    idContext: '37cbf3210017a2d3',
    algorithm: 'A128GCM',
    hkdf: 'HKDF-SHA-512',
    windowSize: 64,
  };
  const given = await api.ask('POST', '/devices/pump/oscore-contexts', { body: { ...ids, masterSecret: secret, rederivation: true } });
  assert.equal(given.status, 201, given.text);
  assert.equal(given.body.masterSecret, undefined);
  const { entries } = (await api.ask('GET', '/devices/pump/oscore-contexts')).body;
  const shown = entries.find(({ id }: { id: string }) => id === given.body.id);
  const { senderId, recipientId, idContext, algorithm, hkdf, windowSize, rederivation } = shown;
  assert.deepEqual({ senderId, recipientId, idContext, algorithm, hkdf, windowSize }, { ...ids, senderId: 'aa' });
  assert.deepEqual([rederivation, entries.length], [true, 2]);
  assert.ok(!JSON.stringify(entries).includes(chosen.body.masterSecret));
  assert.ok(!JSON.stringify([entries, api.events]).includes(secret));
  const stored = api.registry.credentials('main', { kind: 'device', id: 'pump' });
  assert.ok(stored.ok);
  for (const each of stored.value) {
    assert.ok(oscoreFacts(each));
    assert.doesNotMatch(each.secret, new RegExp(`${secret}|${Buffer.from(secret, 'hex').toString('base64').slice(0, 20)}`));
  }
  assert.deepEqual(
    api.events.map(({ action, target, outcome }) => [action, target, outcome]).slice(-2),
    [1, 2].map(() => ['device.oscore.add', 'device/main/pump', 'done']),
  );
  assert.equal((await api.ask('DELETE', `/devices/pump/oscore-contexts/${given.body.id}`)).status, 204);
  assert.equal((await api.ask('DELETE', `/devices/pump/oscore-contexts/${given.body.id}`)).status, 404);
});

test('no two contexts of a node can be mistaken, whatever their tenants', async (t) => {
  const api = await TestApi.open(t);
  await api.ask('POST', '/tenants', { body: { id: 'acme' } });
  for (const tenant of ['main', 'acme']) await api.ask('POST', `/devices?tenant=${tenant}`, { body: { id: 'pump' } });
  const add = (tenant: string, body: object) => api.ask('POST', `/devices/pump/oscore-contexts?tenant=${tenant}`, { body });
  assert.equal((await add('main', { recipientId: '07' })).status, 201);
  const taken = await add('acme', { recipientId: '07' });
  assert.deepEqual([taken.status, taken.body.code, taken.body.field], [409, 'exists', 'recipientId']);
  assert.equal((await add('acme', { recipientId: '07', idContext: '' })).status, 201);
  assert.equal((await add('acme', { recipientId: '07', idContext: 'ab' })).status, 201);
  assert.equal((await add('main', { recipientId: '07', idContext: 'AB' })).status, 409);
});

test('what cannot be a context is refused by its field', async (t) => {
  const api = await TestApi.open(t);
  await api.ask('POST', '/devices', { body: { id: 'pump' } });
  for (const [body, field] of [
    [{ senderId: '07', recipientId: '07' }, 'senderId'],
    [{ recipientId: '01020304050607', algorithm: 'A128GCM' }, 'recipientId'],
    [{ masterSecret: '00'.repeat(15) }, 'masterSecret'],
    [{ masterSecret: 'zz' }, 'masterSecret'],
    [{ algorithm: 'rot13' }, 'algorithm'],
    [{ windowSize: 0 }, 'windowSize'],
  ] as const) {
    const answer = await api.ask('POST', '/devices/pump/oscore-contexts', { body });
    assert.deepEqual([answer.status, answer.body.field], [422, field], JSON.stringify(body));
  }
  assert.equal((await api.ask('POST', '/devices/ghost/oscore-contexts', { body: {} })).status, 404);
});

test('a raw public key is kept as it is, and belongs to one device', async (t) => {
  const api = await TestApi.open(t);
  for (const id of ['pump', 'valve']) await api.ask('POST', '/devices', { body: { id } });
  const pem = publicKey();
  const added = await api.ask('POST', '/devices/pump/raw-public-keys', { body: { publicKey: pem, validMs: 60_000 } });
  assert.equal(added.status, 201, added.text);
  assert.deepEqual([added.body.algorithm, added.body.expiresAtMs], ['P-256', api.clock.wallMs() + 60_000]);
  const again = await api.ask('POST', '/devices/valve/raw-public-keys', { body: { publicKey: added.body.publicKey } });
  assert.equal(again.status, 409);
  for (const wrong of ['x', generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' })]) {
    const refused = await api.ask('POST', '/devices/pump/raw-public-keys', { body: { publicKey: wrong } });
    assert.deepEqual([refused.status, refused.body.field], [422, 'publicKey']);
  }
  const { entries } = (await api.ask('GET', '/devices/pump/raw-public-keys')).body;
  assert.deepEqual(
    entries.map(({ sha256 }: { sha256: string }) => sha256),
    [added.body.sha256],
  );
  assert.equal((await api.ask('DELETE', `/devices/valve/raw-public-keys/${added.body.id}`)).status, 404, 'it is not that one’s');
  assert.equal((await api.ask('DELETE', `/devices/pump/oscore-contexts/${added.body.id}`)).status, 404, 'it is no context');
  assert.equal((await api.ask('DELETE', `/devices/pump/raw-public-keys/${added.body.id}`)).status, 204);
});

test('who may not act as a device may not give it keys', async (t) => {
  const api = await TestApi.open(t);
  await api.ask('POST', '/devices', { body: { id: 'boss', roles: ['admin'] } });
  api.rights.set('main/operator', ['devices:read', 'devices:write']);
  for (const [path, body] of [
    ['/devices/boss/oscore-contexts', {}],
    ['/devices/boss/raw-public-keys', { publicKey: publicKey() }],
  ] as const) {
    assert.equal((await api.ask('POST', path, { as: 'main/operator', body })).status, 403, path);
    const made = await api.ask('POST', path, { body });
    assert.equal(made.status, 201);
    assert.equal((await api.ask('DELETE', `${path}/${made.body.id}`, { as: 'main/operator' })).status, 403);
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CaManagement, CaStatus, Impact } from '../../security/pki/ca-management.ts';
import type { AuthorityView } from '../../security/pki/pki.ts';
import { TestApi } from './testing/test-api.ts';

const [root, issuing, foreign, theirs] = ['a', 'b', 'c', 'd'].map((digit) => digit.repeat(64)) as [string, string, string, string];
const view = (id: string, tenant: string, role: AuthorityView['role']): AuthorityView => ({
  id,
  tenant,
  role,
  status: 'active',
  certificate: 'PEM',
  subject: `CN=${id[0]}`,
  issuer: undefined,
  notBeforeMs: 0,
  notAfterMs: 1,
  hasKey: role !== 'foreign',
});
const status: CaStatus = {
  authorities: [
    view(root, '$system', 'root'),
    view(issuing, '$system', 'issuing'),
    view(foreign, 'main', 'foreign'),
    view(theirs, 'acme', 'foreign'),
  ],
  activeRoot: root,
  activeIssuing: issuing,
  protection: 'key file',
  auditKey: undefined,
  trustFile: '/data/pki/trust.pem',
};
const impact: Impact = {
  authorities: [issuing],
  certificates: 3,
  cutOff: 1,
  tenants: [],
  entries: [],
  next: undefined,
  safeAtMs: undefined,
};

function fakeCa(asked: unknown[][]): CaManagement {
  const done =
    (name: string, value: unknown) =>
    (...call: unknown[]) => {
      asked.push([name, ...call]);
      return Promise.resolve(value);
    };
  const ok = (value: unknown) => ({ ok: true, value });
  return {
    status: () => status,
    init: done('init', { ok: false, error: { code: 'exists', message: 'there is an authority already' } }),
    impact: done('impact', ok(impact)),
    rotate: done('rotate', ok({ issuing: view(issuing, '$system', 'issuing'), root: undefined, retiring: [issuing], crossSigned: false })),
    retire: done('retire', { ok: false, error: { code: 'in-use', message: '1 device would be cut off' } }),
    exportKey: done('export', ok({ pem: 'ENCRYPTED' })),
    importKey: done('import', { ok: false, error: { code: 'wrong-passphrase', message: 'the passphrase does not open the key' } }),
    register: done('register', ok({ authority: view(foreign, 'main', 'foreign'), nonce: '0815' })),
    prove: done('prove', { ok: false, error: { code: 'not-proved', message: 'it is not signed by the authority' } }),
  } as unknown as CaManagement;
}

const by = { actor: { kind: 'local' }, from: '' };

test('authorities are seen: own ones by all, foreign ones by their tenant', async (t) => {
  const api = await TestApi.open(t, { ca: () => fakeCa([]) });
  const { body } = await api.ask('GET', '/authorities');
  assert.deepEqual(
    body.entries.map(({ id }: { id: string }) => id),
    [root, issuing, foreign],
  );
  assert.deepEqual([body.activeRoot, body.protection], [root, 'key file']);
  assert.equal((await api.ask('GET', `/authorities/${issuing}`)).body.subject, 'CN=b');
  assert.equal((await api.ask('GET', `/authorities/${theirs}`)).status, 404);
});

test('a rotation is tried first, then done; what would cut somebody off is refused', async (t) => {
  const asked: unknown[][] = [];
  const ca = fakeCa(asked);
  const api = await TestApi.open(t, { ca: () => ca });
  assert.equal((await api.ask('POST', '/authorities:rotate', { body: { what: 'issuing', dryRun: true } })).body.cutOff, 1);
  assert.deepEqual((await api.ask('POST', '/authorities:rotate', { body: { what: 'issuing', algorithm: 'ed25519' } })).body.retiring, [
    issuing,
  ]);
  assert.deepEqual(asked.splice(0), [
    ['impact', { what: 'issuing' }, {}],
    ['rotate', { what: 'issuing', algorithm: 'ed25519' }, by],
  ]);
  const retired = await api.ask('POST', `/authorities/${issuing}/retire`, { body: {} });
  assert.deepEqual([retired.status, retired.body.code], [409, 'in-use']);
  await api.ask('GET', `/authorities:impact?id=${issuing}&limit=5`);
  assert.deepEqual(asked.splice(0), [
    ['retire', issuing, {}, by],
    ['impact', { id: issuing }, { limit: 5 }],
  ]);
  assert.equal((await api.ask('GET', '/authorities:impact')).status, 422);
  assert.equal((await api.ask('POST', '/authorities:init', { body: {} })).status, 409);
  assert.equal(api.events.length, 0, 'the authority puts on record what it does');
});

test('keys come and go under a passphrase, foreign ones are registered and proved', async (t) => {
  const asked: unknown[][] = [];
  const ca = fakeCa(asked);
  const api = await TestApi.open(t, { ca: () => ca });
  const passphrase = 'correct horse';
  assert.deepEqual((await api.ask('POST', `/authorities/${root}/export`, { body: { passphrase, remove: true } })).body, {
    pem: 'ENCRYPTED',
  });
  assert.equal((await api.ask('POST', `/authorities/${root}/export`, { body: { passphrase: 'short' } })).status, 422);
  assert.equal((await api.ask('POST', '/authorities:import', { body: { pem: 'PEM', passphrase } })).body.code, 'wrong-passphrase');
  const registered = await api.ask('POST', '/authorities', {
    body: { certificate: 'PEM', registration: 'just-in-time', roles: ['device'] },
  });
  assert.deepEqual([registered.status, registered.body.nonce], [201, '0815']);
  const proved = await api.ask('POST', `/authorities/${foreign}/prove`, { body: { proof: 'PEM' } });
  assert.deepEqual([proved.status, proved.body.code], [422, 'not-proved']);
  assert.deepEqual(asked.at(-1), ['prove', { tenant: 'main', id: foreign, proof: 'PEM' }, by]);
  // Devices that come by themselves must not come with the rights of an administrator.
  api.rights.set('main/ca', ['authorities:write']);
  const greedy = await api.ask('POST', '/authorities', { as: 'main/ca', body: { certificate: 'PEM', roles: ['admin'] } });
  assert.equal(greedy.status, 403);
});

test('with separation of duties a rotation waits, its dry run does not, and no passphrase is kept', async (t) => {
  const asked: unknown[][] = [];
  const ca = fakeCa(asked);
  const api = await TestApi.open(t, { ca: () => ca });
  api.settings = { ...api.settings, separationOfDuties: true };
  api.rights.set('main/ann', '*').set('main/bob', '*');
  assert.equal((await api.ask('POST', '/authorities:rotate', { as: 'main/ann', body: { what: 'root', dryRun: true } })).status, 200);
  const waiting = await api.ask('POST', '/authorities:rotate', { as: 'main/ann', body: { what: 'root' } });
  assert.equal(waiting.status, 202);
  const secret = await api.ask('POST', `/authorities/${root}/export`, { as: 'main/ann', body: { passphrase: 'correct horse' } });
  assert.equal(secret.body.code, 'secret');
  assert.deepEqual(
    asked.splice(0).map(([name]) => name),
    ['impact'],
  );
  const approved = await api.ask('POST', `/approvals/${waiting.body.id}/approve`, { as: 'main/bob' });
  assert.equal(approved.body.answer.status, 200);
  assert.deepEqual(asked, [['rotate', { what: 'root' }, { actor: { kind: 'principal', tenant: 'main', id: 'bob' }, from: '' }]]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IssueRequest, IssueWithKeyRequest, Pki, PkiResult } from '../../security/pki/pki.ts';
import { TestApi } from './testing/test-api.ts';

const issuer = 'f'.repeat(64);
const issued = {
  certificate: 'CERTIFICATE',
  chain: 'CHAIN',
  root: 'ROOT',
  fingerprint: 'a'.repeat(64),
  serial: '1',
  notBeforeMs: 0,
  notAfterMs: 1,
};

function fakePki(asked: (IssueRequest | IssueWithKeyRequest)[]): Pki {
  const answer = <T extends object>(request: IssueRequest | IssueWithKeyRequest, more: T): PkiResult<typeof issued & T> => {
    asked.push(request);
    if (request.owner.id === 'disabled') return { ok: false, error: { code: 'disabled', message: 'it is disabled' } };
    if ('request' in request && request.request === 'bad') {
      return { ok: false, error: { code: 'weak-key', message: 'the key is weak', field: 'publicKey' } };
    }
    return { ok: true, value: { ...issued, ...more } };
  };
  return {
    issue: async (request: IssueRequest) => answer(request, {}),
    issueWithKey: async (request: IssueWithKeyRequest) => answer(request, { privateKey: 'KEY' }),
  } as unknown as Pki;
}

test('certificates are issued for a request, or with a key that is shown once', async (t) => {
  const asked: (IssueRequest | IssueWithKeyRequest)[] = [];
  const pki = fakePki(asked);
  const api = await TestApi.open(t, { pki: () => pki });
  for (const id of ['d', 'disabled']) await api.ask('POST', '/devices', { body: { id } });
  await api.ask('POST', '/users', { body: { id: 'root', roles: ['admin'] } });
  api.rights.set('main/officer', ['certificates:read', 'certificates:write']);
  const as = 'main/officer';
  api.events.length = 0;
  const owner = { kind: 'device', id: 'd' };
  const made = await api.ask('POST', '/certificates', { as, body: { owner, algorithm: 'ed25519', validityMs: 86_400_000 } });
  assert.deepEqual([made.status, made.body], [201, { ...issued, privateKey: 'KEY' }]);
  const actor = { kind: 'principal', tenant: 'main', id: 'officer' };
  assert.deepEqual(asked[0], { tenant: 'main', owner, actor, from: '', validityMs: 86_400_000, algorithm: 'ed25519' });
  assert.equal((await api.ask('POST', '/certificates', { as, body: { owner, request: 'PEM' } })).status, 201);
  const refused = async (status: number, code: string, body: object): Promise<void> => {
    const answer = await api.ask('POST', '/certificates', { as, body });
    assert.deepEqual([answer.status, answer.body.code], [status, code], JSON.stringify(body));
  };
  await refused(422, 'weak-key', { owner, request: 'bad' });
  await refused(409, 'disabled', { owner: { kind: 'device', id: 'disabled' } });
  await refused(404, 'not-found', { owner: { kind: 'device', id: 'none' } });
  await refused(422, 'invalid', { owner, request: 'PEM', algorithm: 'ed25519' });
  await refused(422, 'invalid', { owner, algorithm: 'rsa' });
  // Who holds the key of an administrator's certificate is the administrator.
  await refused(403, 'forbidden', { owner: { kind: 'user', id: 'root' } });
  assert.deepEqual(
    api.events.filter(({ outcome }) => outcome === 'done'),
    [],
    'what is issued, the authority puts on record',
  );
});

test('certificates are found by owner and status, revoked one by one or all, and held', async (t) => {
  const api = await TestApi.open(t);
  await api.ask('POST', '/devices', { body: { id: 'd' } });
  const prints = ['a', 'b', 'c'].map((digit) => digit.repeat(64));
  for (const [i, print] of prints.entries()) {
    const owner = { kind: 'device', id: 'd' } as const;
    const fields = { owner, serial: String(i + 1), issuer, subject: 'CN=d', notBeforeMs: 0, notAfterMs: 4e12 };
    assert.ok((await api.registry.create('certificate', 'main', print, fields)).ok);
  }
  const [first, second] = prints as [string, string];
  assert.equal((await api.ask('GET', '/certificates?ownerKind=device&ownerId=d')).body.entries.length, 3);
  assert.equal((await api.ask('GET', '/certificates?ownerKind=device')).status, 422);
  assert.equal((await api.ask('GET', `/certificates/${first}`)).body.subject, 'CN=d');
  assert.equal((await api.ask('GET', '/certificates/zz')).status, 422);
  const held = await api.ask('POST', `/certificates/${first}/revoke`, { body: { reason: 'certificateHold' } });
  assert.deepEqual([held.body.status, held.body.reason], ['revoked', 'certificateHold']);
  assert.equal((await api.ask('POST', `/certificates/${first}/release`)).body.status, 'valid');
  await api.ask('POST', `/certificates/${second}/revoke`, { body: { reason: 'keyCompromise' } });
  assert.equal((await api.ask('POST', `/certificates/${second}/release`)).status, 422, 'a revocation is final');
  assert.equal((await api.ask('GET', '/certificates?status=revoked')).body.entries.length, 1);
  const all = await api.ask('POST', '/certificates:revoke', { body: { owner: { kind: 'device', id: 'd' } } });
  assert.deepEqual(all.body, { revoked: 2 });
  assert.equal((await api.ask('GET', '/certificates?status=valid')).body.entries.length, 0);
  assert.equal((await api.ask('POST', `/certificates/${'d'.repeat(64)}/revoke`, { body: {} })).status, 404);
  assert.deepEqual(
    api.events
      .filter(({ action, outcome }) => action === 'certificate.revoke' && outcome === 'done')
      .map(({ details }) => details?.['reason']),
    ['certificateHold', 'keyCompromise', 'unspecified'],
  );
});

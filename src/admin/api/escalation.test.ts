// Ways from fewer rights to more, each tried on the policies as they are: what a policy says goes by groups, labels and names, too.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { createAuthorization } from '../../security/policy/authorization.ts';
import { mayEver, mightAllow } from '../../security/policy/management-rights.ts';
import { TestApi } from './testing/test-api.ts';

const manage = (topics: readonly string[], more: object = {}): object => ({ effect: 'allow', actions: ['manage'], topics, ...more });
const documentOf = (...statements: readonly object[]): object => ({ version: 1, statements });
const jsonl = { 'content-type': 'application/x-ndjson' };

/** `boss` may everything by a rule that goes by the name; the role `field` brings rights to the group `ops` and from one network. */
async function opened(t: TestContext): Promise<TestApi> {
  const rules = [
    { allow: ['manage' as const], users: ['boss'] },
    { allow: ['manage' as const], topics: ['${label:may}'], roles: ['field'] },
  ];
  const found: { authorization?: ReturnType<typeof createAuthorization> } = {};
  const api = await TestApi.open(t, {
    allows: (principal, permission) => mayEver(found.authorization!.explain(principal, 'manage', permission)),
    mightAllow,
  });
  found.authorization = createAuthorization({ rules }, { clock: new ManualClock(0), log: silentLog, registry: api.registry });
  t.after(() => found.authorization!.close());
  const document = documentOf(
    manage(['users:write'], { principals: { groups: ['ops'] } }),
    manage(['audit:read'], { principals: { kinds: ['application'] }, conditions: { networks: ['10.0.0.0/8'] } }),
  );
  await api.ask('POST', '/policies', { body: { id: 'field', document } });
  await api.ask('POST', '/roles', { body: { id: 'field', policies: ['field'] } });
  assert.equal(await found.authorization.ready('main'), true);
  api.rights.set('main/operator', ['devices:write', 'applications:write', 'enrolments:write', 'authorities:write']);
  return api;
}

test('a name to which a rule gives rights is given no password with the name', async (t) => {
  const api = await opened(t);
  const password = 'correct horse';
  const taken = await api.ask('POST', '/devices', { as: 'main/operator', body: { id: 'boss', password } });
  assert.equal(taken.status, 403);
  assert.equal((await api.ask('POST', '/devices', { as: 'main/operator', body: { id: 'pump', password } })).status, 201);
});

test('groups and labels by which a policy gives rights are given by who has them', async (t) => {
  const api = await opened(t);
  await api.ask('POST', '/devices', { body: { id: 'd', roles: ['field'], groups: ['yard'] } });
  const change = async (body: object): Promise<number> => (await api.ask('PATCH', '/devices/d', { as: 'main/operator', body })).status;
  assert.equal(await change({ groups: ['ops'] }), 403);
  assert.equal(await change({ labels: { may: 'policies:write' } }), 403);
  assert.equal(await change({ labels: { site: 'berlin' }, groups: ['north'] }), 200);
  assert.equal((await api.ask('PATCH', '/devices/d', { body: { groups: ['ops'] } })).status, 200);
  assert.equal(await change({ labels: { site: 'bonn' } }), 200, 'what it had is not gained');
  await api.ask('PATCH', '/devices/d', { body: { groups: [] } });
  const file = '{"id":"d","groups":["ops"]}\n{"id":"d","labels":{"may":"users:write"}}\n{"id":"e","groups":["ops"]}\n';
  const { text } = await api.ask('POST', '/devices:import?existing=change', { as: 'main/operator', file, headers: jsonl });
  assert.match(text, /"accepted":1,"refused":2/);
  const newDevices = { groups: ['ops'], roles: ['field'] };
  const token = await api.ask('POST', '/enrolments', { as: 'main/operator', body: { devicePattern: '*', newDevices } });
  assert.equal(token.status, 403);
});

test('rights that hold only from some network are rights', async (t) => {
  const api = await opened(t);
  await api.ask('POST', '/applications', { body: { id: 'auditor', roles: ['field'] } });
  const body = { password: 'correct horse' };
  assert.equal((await api.ask('PUT', '/applications/auditor/password', { as: 'main/operator', body })).status, 403);
});

test('where duties are separated, groups bring no rights without a second person', async (t) => {
  const api = await opened(t);
  await api.ask('POST', '/users', { body: { id: 'ann', roles: ['field'] } });
  api.settings = { ...api.settings, separationOfDuties: true };
  api.rights.set('main/admin', '*');
  const change = async (body: object): Promise<number> => (await api.ask('PATCH', '/users/ann', { as: 'main/admin', body })).status;
  assert.equal(await change({ groups: ['ops'] }), 403);
  assert.equal(await change({ groups: ['yard'] }), 200);
  assert.equal(await change({ groups: ['ops'], roles: ['field'] }), 202);
});

test('who writes policies makes no administrator of all tenants', async (t) => {
  const api = await opened(t);
  api.rights.set('main/officer', ['policies:write', 'roles:write', 'policies:read']);
  const tries = [['tenants:write'], ['devices:read', '#'], undefined];
  for (const [i, topics] of tries.entries()) {
    const document = documentOf({ effect: 'allow', actions: ['manage'], ...(topics && { topics }) });
    const made = await api.ask('POST', '/policies', { as: 'main/officer', body: { id: `p${i}`, document } });
    assert.equal(made.status, 403, JSON.stringify(topics));
  }
  const changed = await api.ask('PATCH', '/policies/field', { as: 'main/officer', body: { document: documentOf(manage(['#'])) } });
  assert.equal(changed.status, 403);
  await api.ask('POST', '/policies', { body: { id: 'all', document: documentOf(manage(['#'])) } });
  assert.equal((await api.ask('PATCH', '/roles/field', { as: 'main/officer', body: { policies: ['all'] } })).status, 403);
  const harmless = documentOf(manage(['devices:read']), { effect: 'deny', actions: ['manage'] });
  assert.equal((await api.ask('POST', '/policies', { as: 'main/officer', body: { id: 'own', document: harmless } })).status, 201);
  assert.equal((await api.ask('POST', '/roles', { as: 'main/officer', body: { id: 'own', policies: ['own'] } })).status, 201);
  // What is denied to the role of administrators could keep all of them out.
  assert.equal((await api.ask('POST', '/roles', { as: 'main/officer', body: { id: 'admin', policies: ['own'] } })).status, 403);
});

test('who changes roles alone cannot choose what they grant', async (t) => {
  const api = await opened(t);
  api.rights.set('main/clerk', ['roles:write']);
  assert.equal((await api.ask('PATCH', '/roles/field', { as: 'main/clerk', body: { title: 'field work' } })).status, 200);
  assert.equal((await api.ask('POST', '/roles', { as: 'main/clerk', body: { id: 'mine', policies: ['field'] } })).status, 403);
});

test('a token or a certificate for one device is a way to act as that one, and its refusal is on record', async (t) => {
  const asked: string[] = [];
  const api = await TestApi.open(t, {
    enrolments: () => ({ create: (input: { devicePattern: string }) => void asked.push(input.devicePattern) }) as never,
    pki: () => ({ issueWithKey: () => assert.fail('issued') }) as never,
  });
  api.rights.set('main/clerk', ['enrolments:write', 'certificates:write']);
  await api.ask('POST', '/devices', { body: { id: 'gateway', roles: ['operator'] } });
  await api.ask('POST', '/devices', { body: { id: 'pump' } });
  for (const [path, body] of [
    ['/enrolments', { devicePattern: 'gateway' }],
    ['/certificates', { owner: { kind: 'device', id: 'gateway' } }],
  ] as const) {
    api.events.length = 0;
    assert.equal((await api.ask('POST', path, { as: 'main/clerk', body })).status, 403, path);
    assert.deepEqual(
      api.events.map(({ outcome }) => outcome),
      ['refused'],
      path,
    );
  }
  assert.deepEqual(asked, []);
  for (const devicePattern of ['pump', 'new', 'gate*']) await api.ask('POST', '/enrolments', { as: 'main/clerk', body: { devicePattern } });
  assert.deepEqual(asked, ['pump', 'new', 'gate*']);
});

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { TestApi } from './testing/test-api.ts';

async function separated(t: TestContext): Promise<TestApi> {
  const api = await TestApi.open(t);
  api.settings = { ...api.settings, separationOfDuties: true };
  api.rights.set('main/ann', '*').set('main/bob', '*');
  return api;
}

test('a change of policy waits for somebody else, and is then carried out as it stands', async (t) => {
  const api = await separated(t);
  const document = { version: 1, statements: [] };
  const asked = await api.ask('POST', '/policies', { as: 'main/ann', body: { id: 'own', document } });
  assert.equal(asked.status, 202);
  assert.equal((await api.ask('GET', '/policies/own')).status, 404, 'nothing has changed');
  const path = `/approvals/${asked.body.id}`;
  assert.equal(asked.headers['location'], `/api/v1${path}`);
  const shown = await api.ask('GET', path, { as: 'main/bob' });
  assert.deepEqual([shown.body.status, shown.body.requestedBy, shown.body.summary], ['pending', 'main/ann', 'Add the policy main/own']);
  assert.deepEqual(shown.body.request.input.body, { id: 'own', document });

  const own = await api.ask('POST', `${path}/approve`, { as: 'main/ann' });
  assert.deepEqual([own.status, own.body.code], [403, 'forbidden']);
  const approved = await api.ask('POST', `${path}/approve`, { as: 'main/bob' });
  assert.deepEqual([approved.status, approved.body.answer.status, approved.body.approval.decidedBy], [200, 201, 'main/bob']);
  assert.deepEqual((await api.ask('GET', '/policies/own')).body.document, document);
  const twice = await api.ask('POST', `${path}/approve`, { as: 'main/bob' });
  assert.deepEqual([twice.status, twice.body.code], [409, 'decided']);
  assert.deepEqual(
    api.events.map(({ action, outcome, actor }) => [action, outcome, 'id' in actor ? actor.id : '']),
    [
      ['approval.request', 'done', 'ann'],
      ['approval.approve', 'refused', 'ann'],
      ['policy.create', 'done', 'bob'],
      ['approval.approve', 'done', 'bob'],
      ['approval.approve', 'refused', 'bob'],
    ],
  );
  assert.equal(api.events[2]!.details?.['requestedBy'], 'main/ann');
});

test('whoever only reads the data directory is nobody: it may ask, and not agree', async (t) => {
  const api = await separated(t);
  const mine = await api.ask('POST', '/roles', { body: { id: 'r' } });
  assert.equal(mine.body.requestedBy, '$system/local');
  for (const asked of [mine, await api.ask('POST', '/roles', { as: 'main/ann', body: { id: 's' } })]) {
    assert.equal((await api.ask('POST', `/approvals/${asked.body.id}/approve`)).status, 403);
  }
  assert.equal((await api.ask('POST', `/approvals/${mine.body.id}/approve`, { as: 'main/ann' })).status, 200);
  assert.equal((await api.ask('GET', '/roles/r')).status, 200);
});

test('who agrees must have the right to do it', async (t) => {
  const api = await separated(t);
  api.rights.set('main/clerk', ['approvals:read', 'approvals:write']);
  const asked = await api.ask('POST', '/roles', { as: 'main/ann', body: { id: 'r' } });
  const answer = await api.ask('POST', `/approvals/${asked.body.id}/approve`, { as: 'main/clerk' });
  assert.deepEqual([answer.status, answer.body.code], [403, 'forbidden']);
  assert.match(answer.body.detail, /roles:write/);
  assert.equal((await api.ask('GET', `/approvals/${asked.body.id}`)).body.status, 'pending');
});

test('a change may be refused, taken back, and waits for so long only', async (t) => {
  const api = await separated(t);
  const ask = async (id: string): Promise<string> =>
    `/approvals/${(await api.ask('POST', '/roles', { as: 'main/ann', body: { id } })).body.id}`;
  const refused = await ask('r');
  assert.equal((await api.ask('POST', `${refused}/refuse`, { as: 'main/bob' })).body.status, 'refused');
  assert.equal((await api.ask('POST', `${refused}/approve`, { as: 'main/bob' })).status, 409);
  const back = await ask('s');
  assert.equal((await api.ask('POST', `${back}/refuse`, { as: 'main/ann' })).status, 200);
  const late = await ask('t');
  api.clock.advance(3_600_000);
  const expired = await api.ask('POST', `${late}/approve`, { as: 'main/bob' });
  assert.deepEqual([expired.status, expired.body.code], [409, 'expired']);
  const { body } = await api.ask('GET', '/approvals?status=pending');
  assert.equal(body.entries.length, 1);
  assert.equal((await api.ask('GET', '/roles')).body.entries.length, 0);
});

test('who has which role is policy too; keeping somebody out is not', async (t) => {
  const api = await separated(t);
  assert.equal((await api.ask('POST', '/users', { as: 'main/ann', body: { id: 'u', password: 'correct horse' } })).status, 201);
  assert.equal((await api.ask('PATCH', '/users/u', { as: 'main/ann', body: { roles: ['admin'] } })).status, 202);
  assert.equal((await api.ask('PATCH', '/users/u', { as: 'main/ann', body: { status: 'disabled' } })).status, 200);
  const secret = await api.ask('POST', '/users', { as: 'main/ann', body: { id: 'v', roles: ['admin'], password: 'correct horse' } });
  assert.deepEqual([secret.status, secret.body.code], [422, 'secret']);
  assert.ok(!JSON.stringify(await api.registry.list('approval', '$system', {})).includes('horse'));
  const rows = '{"id": "x", "roles": ["admin"]}\n{"id": "y"}\n';
  const { text } = await api.ask('POST', '/devices:import', {
    as: 'main/ann',
    file: rows,
    headers: { 'content-type': 'application/x-ndjson' },
  });
  assert.match(text, /"line":1,"id":"x","why":"gives roles, which wants a second person/);
  assert.match(text, /"accepted":1,"refused":1/);
  assert.equal((await api.ask('DELETE', '/users/u', { as: 'main/ann' })).status, 204);
});

test('nobody gives another who manages something a way to sign in: one person would be two', async (t) => {
  const api = await TestApi.open(t, {
    allows: (principal, topic) => principal.roles.includes('custom') && topic === 'roles:write',
  });
  for (const [id, role] of [
    ['bob', 'admin'],
    ['eve', 'custom'],
    ['dan', 'device'],
  ] as const)
    await api.ask('POST', '/users', { body: { id, roles: [role] } });
  api.settings = { ...api.settings, separationOfDuties: true };
  api.rights.set('main/ann', '*').set('main/bob', '*');
  const give = async (id: string, as: string): Promise<number[]> => {
    const token = await api.ask('POST', '/tokens', { as, body: { owner: { kind: 'user', id } } });
    const password = await api.ask('PUT', `/users/${id}/password`, { as, body: { password: 'correct horse' } });
    return [token.status, password.status];
  };
  assert.deepEqual(await give('bob', 'main/ann'), [403, 403]);
  assert.deepEqual(await give('eve', 'main/ann'), [403, 403]);
  assert.deepEqual(await give('bob', 'main/bob'), [201, 204], 'oneself may');
  assert.deepEqual(await give('dan', 'main/ann'), [201, 204], 'who manages nothing');
});

test('what has changed in between is told when it is carried out', async (t) => {
  const api = await separated(t);
  api.settings = { ...api.settings, separationOfDuties: false };
  const { body: role } = await api.ask('POST', '/roles', { body: { id: 'r' } });
  api.settings = { ...api.settings, separationOfDuties: true };
  const headers = { 'if-match': `"${role.version}"` };
  const first = await api.ask('PATCH', '/roles/r', { as: 'main/ann', body: { title: 'one' }, headers });
  const second = await api.ask('PATCH', '/roles/r', { as: 'main/ann', body: { title: 'two' }, headers });
  await api.ask('POST', `/approvals/${first.body.id}/approve`, { as: 'main/bob' });
  const answer = await api.ask('POST', `/approvals/${second.body.id}/approve`, { as: 'main/bob' });
  assert.deepEqual([answer.status, answer.body.answer.status, answer.body.answer.body.code], [200, 412, 'conflict']);
  assert.equal((await api.ask('GET', '/roles/r')).body.title, 'one');
});

test('what was asked for by somebody who is kept out by now is not carried out', async (t) => {
  const api = await separated(t);
  await api.ask('POST', '/users', { body: { id: 'ann' } });
  const asked = await api.ask('POST', '/roles', { as: 'main/ann', body: { id: 'r' } });
  const path = `/approvals/${asked.body.id}/approve`;
  await api.ask('PATCH', '/users/ann', { body: { status: 'disabled' } });
  const refused = await api.ask('POST', path, { as: 'main/bob' });
  assert.deepEqual([refused.status, refused.body.code], [409, 'requester-disabled']);
  await api.ask('PATCH', '/users/ann', { body: { status: 'active' } });
  assert.equal((await api.ask('POST', path, { as: 'main/bob' })).status, 200);
});

test('of two who agree at the same moment one carries it out', async (t) => {
  const api = await separated(t);
  api.rights.set('main/cid', '*');
  const asked = await api.ask('POST', '/roles', { as: 'main/ann', body: { id: 'r' } });
  const path = `/approvals/${asked.body.id}/approve`;
  const answers = await Promise.all(['main/bob', 'main/cid', 'main/bob'].map((as) => api.ask('POST', path, { as })));
  assert.deepEqual(answers.map(({ status }) => (status === 200 ? 'done' : 'late')).sort(), ['done', 'late', 'late']);
  assert.equal(api.events.filter(({ action, outcome }) => action === 'role.create' && outcome === 'done').length, 1);
});

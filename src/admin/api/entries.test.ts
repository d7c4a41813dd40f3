import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestApi } from './testing/test-api.ts';

test('a device is added, shown, changed and removed, each on record', async (t) => {
  const api = await TestApi.open(t);
  const made = await api.ask('POST', '/devices', { body: { id: 'pump 7', labels: { site: 'berlin' }, groups: ['north'] } });
  assert.equal(made.status, 201);
  assert.equal(made.headers['location'], '/api/v1/devices/pump%207');
  assert.equal(made.headers['etag'], `"${made.body.version}"`);
  assert.equal(made.headers['cache-control'], 'no-store');
  const shown = await api.ask('GET', '/devices/pump%207');
  assert.deepEqual(shown.body, made.body);
  const changed = await api.ask('PATCH', '/devices/pump%207', { body: { status: 'disabled' } });
  assert.deepEqual([changed.body.status, changed.body.labels], ['disabled', { site: 'berlin' }]);
  assert.equal((await api.ask('DELETE', '/devices/pump%207')).status, 204);
  assert.equal((await api.ask('GET', '/devices/pump%207')).status, 404);
  assert.deepEqual(
    api.events.map(({ actor, action, target, outcome, from }) => [actor.kind, action, target, outcome, from]),
    ['create', 'update', 'remove'].map((verb) => ['local', `device.${verb}`, 'device/main/pump 7', 'done', '']),
  );
});

test('what cannot be is refused with its field, its code and a record', async (t) => {
  const api = await TestApi.open(t);
  const refused = async (status: number, code: string, field: string | undefined, body: object, path = '/devices') => {
    api.events.length = 0;
    const answer = await api.ask('POST', path, { body });
    assert.deepEqual([answer.status, answer.body.code, answer.body.field], [status, code, field], JSON.stringify(body));
    assert.deepEqual([api.events[0]?.outcome, api.events[0]?.details?.['code'], api.events.length], ['refused', code, 1]);
  };
  await refused(422, 'invalid', 'id', {});
  await refused(422, 'invalid', 'labels.site', { id: 'a', labels: { site: 7 } });
  await refused(422, 'invalid', 'groups', { id: 'a', groups: 'north' });
  await refused(422, 'invalid', 'password', { id: 'a', password: 'short' });
  await refused(422, 'invalid', 'colour', { id: 'a', colour: 'red' });
  await refused(404, 'unknown-tenant', 'tenant', { id: 'a' }, '/devices?tenant=nowhere');
  await api.ask('POST', '/devices', { body: { id: 'a' } });
  await refused(409, 'exists', undefined, { id: 'a' });
  assert.equal((await api.ask('POST', '/devices', { body: { id: 'x/y' } })).status, 422);
  assert.equal((await api.ask('POST', '/devices?tenant=a&tenant=b', { body: { id: 'b' } })).status, 422);
  const broken = await api.ask('POST', '/devices', { file: '{"id": ', headers: { 'content-type': 'application/json' } });
  assert.deepEqual([broken.status, broken.body.code], [400, 'unreadable']);
  const poisoned = await api.ask('POST', '/devices', {
    file: '{"id": "b", "__proto__": {}}',
    headers: { 'content-type': 'application/json' },
  });
  assert.equal(poisoned.status, 400);
  const large = await api.ask('POST', '/devices', { body: { id: 'b', labels: { a: 'x'.repeat(300_000) } } });
  assert.equal(large.status, 413);
  const deep = `{"id": "p", "document": {"a": ${'['.repeat(100_000)}${']'.repeat(100_000)}}}`;
  for (const headers of [{ 'content-type': 'application/json' }, { 'content-type': 'application/json', 'idempotency-key': 'k' }]) {
    assert.equal((await api.ask('POST', '/policies', { file: deep, headers })).status, 422);
  }
  const undecodable = await api.ask('GET', '/devices/%ff');
  assert.deepEqual([undecodable.status, undecodable.headers['cache-control']], [400, 'no-store']);
  const odd = await api.ask('POST', '/devices', { file: '<id>b</id>', headers: { 'content-type': 'application/xml' } });
  assert.equal(odd.status, 415);
});

test('a change is refused when somebody else was quicker', async (t) => {
  const api = await TestApi.open(t);
  const { body: made } = await api.ask('POST', '/devices', { body: { id: 'a' } });
  const first = await api.ask('PATCH', '/devices/a', { body: { groups: ['x'] }, headers: { 'if-match': `"${made.version}"` } });
  assert.equal(first.status, 200);
  const second = await api.ask('PATCH', '/devices/a', { body: { groups: ['y'] }, headers: { 'if-match': `"${made.version}"` } });
  assert.deepEqual([second.status, second.body.code, second.body.version], [412, 'conflict', first.body.version]);
  assert.equal((await api.ask('DELETE', '/devices/a', { headers: { 'if-match': '"1"' } })).status, 412);
  assert.equal((await api.ask('DELETE', '/devices/a', { headers: { 'if-match': 'W/"1"' } })).status, 412);
  assert.equal((await api.ask('DELETE', '/devices/a', { headers: { 'if-match': first.headers['etag'] as string } })).status, 204);
});

test('lists come in pages, and find by prefix, label, group and status', async (t) => {
  const api = await TestApi.open(t);
  for (let i = 0; i < 25; i++) {
    const body = {
      id: `d${String(i).padStart(2, '0')}`,
      labels: { odd: String(i % 2) },
      groups: i < 5 ? ['few'] : [],
      status: i === 3 ? 'disabled' : 'active',
    };
    assert.equal((await api.ask('POST', '/devices', { body })).status, 201);
  }
  const ids: string[] = [];
  let after = '';
  let pages = 0;
  do {
    const { body } = await api.ask('GET', `/devices?limit=10${after}`);
    ids.push(...body.entries.map(({ id }: { id: string }) => id));
    after = body.next === undefined ? '' : `&after=${encodeURIComponent(body.next)}`;
    pages++;
  } while (after !== '');
  assert.deepEqual([ids.length, new Set(ids).size, pages], [25, 25, 3]);
  const found = async (query: string): Promise<number> => (await api.ask('GET', `/devices?${query}`)).body.entries.length;
  assert.equal(await found('prefix=d1'), 10);
  assert.equal(await found('label=odd=1'), 12);
  assert.equal(await found('label=odd=1&group=few'), 2);
  assert.equal(await found('status=disabled'), 1);
  for (const bad of ['limit=0', 'limit=1001', 'limit=x', 'status=asleep', 'label=odd', 'after=nonsense']) {
    assert.equal((await api.ask('GET', `/devices?${bad}`)).status, 422, bad);
  }
});

test('a tenant sees its own entries, and only a system-wide administrator chooses another', async (t) => {
  const api = await TestApi.open(t);
  api.rights.set('acme/boss', '*').set('main/boss', '*').set('main/officer', ['devices:read', 'devices:write']);
  assert.equal((await api.ask('POST', '/tenants', { as: 'main/boss', body: { id: 'acme', quotas: { connections: 5 } } })).status, 201);
  assert.equal((await api.ask('POST', '/devices', { as: 'acme/boss', body: { id: 'd' } })).body.tenant, 'acme');
  assert.equal((await api.ask('GET', '/devices/d', { as: 'main/boss' })).status, 404);
  assert.equal((await api.ask('GET', '/devices/d?tenant=acme', { as: 'main/boss' })).status, 200);
  assert.equal((await api.ask('GET', '/devices/d?tenant=acme', { as: 'main/officer' })).status, 404);
  // Whatever its own policies say, a tenant other than the first has no say in what belongs to none.
  assert.equal((await api.ask('GET', '/tenants', { as: 'acme/boss' })).status, 403);
  assert.equal((await api.ask('DELETE', '/tenants/acme', { as: 'main/boss' })).body.code, 'in-use');
});

test('passwords are kept as hashes, replaced as a whole, and never shown', async (t) => {
  const api = await TestApi.open(t);
  const made = await api.ask('POST', '/users', { body: { id: 'ann', title: 'Ann', password: 'correct horse' } });
  assert.ok(!made.text.includes('correct') && !('password' in made.body));
  const credentials = () => api.registry.credentials('main', { kind: 'user', id: 'ann' });
  const before = credentials();
  assert.ok(before.ok);
  assert.deepEqual(
    before.value.map(({ type, secret }) => [type, secret]),
    [['password', 'hash-of-13']],
  );
  assert.equal((await api.ask('PUT', '/users/ann/password', { body: { password: 'battery staple' } })).status, 204);
  const after = credentials();
  assert.ok(after.ok);
  assert.deepEqual(
    after.value.map(({ secret }) => secret),
    ['hash-of-14'],
  );
  assert.equal((await api.ask('PUT', '/users/bob/password', { body: { password: 'battery staple' } })).status, 404);
  assert.equal((await api.ask('DELETE', '/users/ann/password')).status, 204);
  const none = credentials();
  assert.ok(none.ok && none.value.length === 0);
  assert.ok(!JSON.stringify(api.events).includes('horse'));
  // What a password comes with is there or not as a whole.
  assert.equal((await api.ask('POST', '/devices', { body: { id: 'ann', password: 'correct horse' } })).status, 409);
});

test('nobody gives, or takes over, rights that are not theirs', async (t) => {
  const api = await TestApi.open(t);
  api.rights.set('main/officer', ['users:read', 'users:write', 'policies:write', 'queues:write', 'status:read']);
  const as = 'main/officer';
  assert.equal((await api.ask('POST', '/users', { body: { id: 'root', roles: ['admin'] } })).status, 201);
  assert.equal((await api.ask('POST', '/users', { as, body: { id: 'ann', roles: ['security-officer', 'operator'] } })).status, 201);
  for (const [method, path, body] of [
    ['POST', '/users', { id: 'mallory', roles: ['admin'] }],
    ['PATCH', '/users/ann', { roles: ['operator', 'admin'] }],
    ['PUT', '/users/root/password', { password: 'correct horse' }],
    ['DELETE', '/users/root/password', undefined],
    ['POST', '/tokens', { owner: { kind: 'user', id: 'root' } }],
  ] as const) {
    const { status, body: problem } = await api.ask(method, path, { as, body });
    assert.deepEqual([status, problem.code], [403, 'forbidden'], `${method} ${path}`);
  }
});

test('what a role brings is what its policies say', async (t) => {
  const api = await TestApi.open(t, {
    allows: (principal, topic) => principal.roles.includes('sneaky') && topic === 'audit:write',
  });
  api.rights.set('main/officer', ['users:write', 'roles:write', 'audit:read']);
  const refused = await api.ask('POST', '/users', { as: 'main/officer', body: { id: 'eve', roles: ['plain', 'sneaky'] } });
  assert.deepEqual([refused.status, refused.body.detail], [403, 'The role sneaky brings rights that you do not have: audit:write.']);
  assert.equal((await api.ask('POST', '/users', { as: 'main/officer', body: { id: 'eve', roles: ['plain'] } })).status, 201);
});

test('policies are checked, kept as written, and shown as documents', async (t) => {
  const api = await TestApi.open(t, {
    policyFaults: (document) => (document.includes('bad') ? [{ path: 'statements[0].topics', what: 'is bad', fix: 'make it good' }] : []),
  });
  const text = '{ "version": 1,\n "statements": [] }';
  const made = await api.ask('POST', '/policies', { body: { id: 'own', document: text } });
  assert.deepEqual(made.body.document, { version: 1, statements: [] });
  const kept = api.registry.get('policy', 'main', 'own');
  assert.ok(kept.ok && kept.value?.document === text);
  const changed = await api.ask('PATCH', '/policies/own', { body: { document: { version: 1, statements: [{}] } } });
  assert.deepEqual(changed.body.document.statements, [{}]);
  const refused = await api.ask('PATCH', '/policies/own', { body: { document: { bad: true } } });
  assert.deepEqual([refused.status, refused.body.field], [422, 'document.statements[0].topics']);
  assert.match(refused.body.detail, /is bad: make it good/);
  assert.equal((await api.ask('POST', '/roles', { body: { id: 'r', policies: ['own'] } })).status, 201);
  assert.equal((await api.ask('POST', '/roles', { body: { id: 's', policies: ['none'] } })).body.code, 'unknown-reference');
  assert.equal((await api.ask('DELETE', '/policies/own')).body.code, 'in-use');
  assert.deepEqual((await api.ask('GET', '/roles?policy=own')).body.entries.length, 1);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestApi } from './testing/test-api.ts';
import { tokenOwner } from './token-owner.ts';

test('a token is shown once, acts as its owner, and ends', async (t) => {
  const api = await TestApi.open(t);
  await api.ask('POST', '/users', { body: { id: 'ann', roles: ['ops'], groups: ['night'] } });
  const owner = { kind: 'user', id: 'ann' };
  const { body: made } = await api.ask('POST', '/tokens', { body: { owner, validMs: 60_000 } });
  const whose = (text: string) => tokenOwner(text, api);
  assert.deepEqual(await whose(made.token), { tenant: 'main', ...owner, roles: ['ops'], groups: ['night'], labels: {} });
  const listed = await api.ask('GET', '/tokens?ownerKind=user&ownerId=ann');
  assert.equal(listed.body.entries.length, 1);
  assert.ok(!listed.text.includes(made.token) && !JSON.stringify(api.events).includes(made.token));
  const kept = api.registry.get('credential', 'main', made.id);
  assert.ok(kept.ok && !made.token.includes(kept.value!.secret));

  for (const wrong of [
    '',
    'hg.',
    made.token.slice(0, -1),
    `${made.token}x`,
    made.token.replace(/.{43}$/, 'A'.repeat(43)),
    made.token.replace('hg.', 'xx.'),
  ]) {
    assert.equal(await whose(wrong), undefined, wrong);
  }
  await api.ask('PATCH', '/users/ann', { body: { status: 'disabled' } });
  assert.equal(await whose(made.token), undefined);
  await api.ask('PATCH', '/users/ann', { body: { status: 'active' } });
  assert.notEqual(await whose(made.token), undefined);
  api.clock.advance(60_000);
  assert.equal(await whose(made.token), undefined);
});

test('a token is taken back, and goes with its owner; other credentials are none', async (t) => {
  const api = await TestApi.open(t);
  await api.ask('POST', '/users', { body: { id: 'ann', password: 'correct horse' } });
  const make = async () =>
    (await api.ask('POST', '/tokens', { body: { owner: { kind: 'user', id: 'ann' } } })).body as { id: string; token: string };
  const [one, two] = [await make(), await make()];
  assert.equal((await api.ask('DELETE', `/tokens/${one.id}`)).status, 204);
  assert.equal((await api.ask('DELETE', `/tokens/${one.id}`)).status, 404);
  assert.equal(await tokenOwner(one.token, api), undefined);
  assert.notEqual(await tokenOwner(two.token, api), undefined);
  const { body } = await api.ask('GET', '/tokens');
  assert.equal(body.entries.length, 1, 'the password is not among them');
  const credentials = api.registry.credentials('main', { kind: 'user', id: 'ann' });
  assert.ok(credentials.ok);
  const password = credentials.value.find(({ type }) => type === 'password')!;
  assert.equal((await api.ask('DELETE', `/tokens/${password.id}`)).status, 404);
  await api.ask('DELETE', '/users/ann');
  assert.equal(await tokenOwner(two.token, api), undefined);
  assert.equal((await api.ask('POST', '/tokens', { body: { owner: { kind: 'user', id: 'ann' } } })).status, 404);
});

test('who makes a token for a device must be able to change devices', async (t) => {
  const api = await TestApi.open(t);
  await api.ask('POST', '/devices', { body: { id: 'd' } });
  api.rights.set('main/users', ['users:write']).set('main/both', ['users:write', 'devices:write']);
  const body = { owner: { kind: 'device', id: 'd' } };
  assert.equal((await api.ask('POST', '/tokens', { as: 'main/users', body })).status, 403);
  assert.equal((await api.ask('POST', '/tokens', { as: 'main/both', body })).status, 201);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestApi } from './testing/test-api.ts';

test('a flood of refusals does not fill the audit log, and is counted there', async (t) => {
  const api = await TestApi.open(t);
  api.rights.set('main/pump', []).set('main/clerk', []);
  for (let i = 0; i < 500; i++) assert.equal((await api.ask('GET', '/devices', { as: 'main/pump' })).status, 403);
  assert.equal(api.events.length, 200);
  assert.equal((await api.ask('GET', '/devices', { as: 'main/clerk' })).status, 403);
  assert.equal(api.events.length, 201, 'others are on record all the same');
  api.clock.advance(1000);
  await api.ask('GET', '/devices', { as: 'main/pump' });
  assert.equal(api.events.at(-1)!.details?.['leftOut'], 300);
});

test('what is done is always on record', async (t) => {
  const api = await TestApi.open(t);
  api.rights.set('main/pump', ['devices:write']);
  for (let i = 0; i < 250; i++) await api.ask('POST', '/users', { as: 'main/pump', body: { id: 'x' } });
  api.events.length = 0;
  assert.equal((await api.ask('POST', '/devices', { as: 'main/pump', body: { id: 'x' } })).status, 201);
  assert.equal(api.events.length, 1);
});

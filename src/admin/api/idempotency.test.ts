import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { Idempotency } from './idempotency.ts';
import { Problem } from './problem.ts';
import { TestApi } from './testing/test-api.ts';

const key = (text: string) => ({ headers: { 'idempotency-key': text } });

test('the same request under the same key is done once, and answered alike', async (t) => {
  const api = await TestApi.open(t);
  await api.ask('POST', '/users', { body: { id: 'ann' } });
  const body = { owner: { kind: 'user', id: 'ann' } };
  const first = await api.ask('POST', '/tokens', { body, ...key('one') });
  const second = await api.ask('POST', '/tokens', { body, ...key('one') });
  assert.equal(first.status, 201);
  assert.deepEqual([second.status, second.text, second.headers['location']], [201, first.text, first.headers['location']]);
  assert.equal((await api.ask('GET', '/tokens')).body.entries.length, 1);
  assert.equal(api.events.filter(({ action }) => action === 'token.create').length, 1);
  assert.notEqual((await api.ask('POST', '/tokens', { body, ...key('two') })).body.id, first.body.id);
});

test('a key is good for one request, of one caller, for a day', async (t) => {
  const api = await TestApi.open(t);
  api.rights.set('main/boss', '*');
  assert.equal((await api.ask('POST', '/devices', { body: { id: 'a' }, ...key('k') })).status, 201);
  const other = await api.ask('POST', '/devices', { body: { id: 'b' }, ...key('k') });
  assert.deepEqual([other.status, other.body.code], [422, 'idempotency-key-reused']);
  assert.equal((await api.ask('POST', '/devices', { as: 'main/boss', body: { id: 'b' }, ...key('k') })).status, 201);
  // A refusal is an answer too.
  assert.equal((await api.ask('POST', '/devices', { body: { id: 'a' }, ...key('again') })).status, 409);
  await api.ask('DELETE', '/devices/a');
  assert.equal((await api.ask('POST', '/devices', { body: { id: 'a' }, ...key('again') })).status, 409);
  api.clock.advance(24 * 3_600_000);
  assert.equal((await api.ask('POST', '/devices', { body: { id: 'a' }, ...key('again') })).status, 201);
  assert.equal((await api.ask('POST', '/devices', { body: { id: 'c' }, ...key('x'.repeat(256)) })).status, 422);
});

test('while the first is under way the second waits; what failed may be tried again', () => {
  const kept = new Idempotency(new ManualClock(0));
  assert.equal(kept.begin('k', 'f'), undefined);
  const busy = kept.begin('k', 'f');
  assert.ok(busy instanceof Problem && busy.status === 409);
  kept.finish('k', undefined);
  assert.equal(kept.begin('k', 'f'), undefined);
  const answer = { status: 200, headers: {}, body: 'x' };
  kept.finish('k', answer);
  assert.equal(kept.begin('k', 'f'), answer);
});

test('memory is bounded by number and by bytes', () => {
  const kept = new Idempotency(new ManualClock(0));
  const remember = (name: string, body: string): void => {
    assert.equal(kept.begin(name, 'f'), undefined);
    kept.finish(name, { status: 200, headers: {}, body });
  };
  remember('first', '');
  for (let i = 0; i < 10_000; i++) remember(`k${i}`, '');
  assert.equal(kept.held.answers, 10_000);
  assert.equal(kept.begin('first', 'f'), undefined, 'forgotten');
  assert.notEqual(kept.begin('k9999', 'f'), undefined);
  const large = new Idempotency(new ManualClock(0));
  for (let i = 0; i < 20; i++) {
    assert.equal(large.begin(`k${i}`, 'f'), undefined);
    large.finish(`k${i}`, { status: 200, headers: {}, body: 'x'.repeat(1024 * 1024) });
  }
  assert.equal(large.begin('k0', 'f'), undefined);
  assert.notEqual(large.begin('k19', 'f'), undefined);
});

test('no name and key together mean those of somebody else', async (t) => {
  const api = await TestApi.open(t);
  api.rights.set('main/a b', '*');
  api.rights.set('main/a', '*');
  await api.ask('POST', '/users', { body: { id: 'robot' } });
  const body = { owner: { kind: 'user', id: 'robot' } };
  const own = await api.ask('POST', '/tokens', { as: 'main/a b', body, headers: { 'idempotency-key': 'k' } });
  const other = await api.ask('POST', '/tokens', { as: 'main/a', body, headers: { 'idempotency-key': 'b k' } });
  assert.deepEqual([own.status, other.status], [201, 201]);
  assert.notEqual(own.body.token, other.body.token);
});

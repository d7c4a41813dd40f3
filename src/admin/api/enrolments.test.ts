import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { SeededRandom } from '../../base/random.ts';
import type { AuditEvent } from '../../security/audit/audit.ts';
import { EnrolmentTokens } from '../../security/pki/enrolment/enrolment-tokens.ts';
import { TestApi } from './testing/test-api.ts';

test('an enrolment token is shown once, listed, disabled and taken back', async (t) => {
  const events: AuditEvent[] = [];
  const held: { tokens?: EnrolmentTokens } = {};
  const api = await TestApi.open(t, { enrolments: () => held.tokens });
  held.tokens = new EnrolmentTokens({
    registry: api.registry,
    clock: new ManualClock(1_800_000_000_000),
    random: new SeededRandom(3),
    audit: { record: (event) => void events.push(event) },
  });
  const newDevices = { groups: ['north'], roles: ['device'] };
  const made = await api.ask('POST', '/enrolments', { body: { devicePattern: 'pump-*', maxUses: 5, validMs: 60_000, newDevices } });
  assert.deepEqual([made.status, made.body.maxUses, made.body.uses, made.body.newDevices], [201, 5, 0, newDevices]);
  const path = `/enrolments/${made.body.id}`;
  const listed = await api.ask('GET', '/enrolments');
  assert.deepEqual([listed.body.entries.length, listed.text.includes(made.body.token)], [1, false]);
  assert.equal((await api.ask('PATCH', path, { body: { status: 'disabled' } })).body.status, 'disabled');
  assert.equal((await api.ask('GET', path)).body.status, 'disabled');
  assert.equal((await api.ask('DELETE', path)).status, 204);
  assert.equal((await api.ask('GET', path)).status, 404);
  const wrong = await api.ask('POST', '/enrolments', { body: { devicePattern: 'pump/#' } });
  assert.deepEqual([wrong.status, wrong.body.code, wrong.body.field], [422, 'invalid', 'devicePattern']);
  assert.equal((await api.ask('POST', '/enrolments', { body: { devicePattern: '*', maxUses: 0 } })).status, 422);
  assert.deepEqual(
    api.events.map(({ outcome, details }) => [outcome, details?.['code']]),
    [['refused', 'invalid']],
    'whoever keeps the tokens puts on record what gets there',
  );
  assert.ok(events.length >= 3 && !JSON.stringify(events).includes(made.body.token));
});

test('devices that come by themselves get no rights of management, and their roles want a second person', async (t) => {
  const api = await TestApi.open(t);
  api.rights.set('main/installer', ['enrolments:write']);
  const body = { devicePattern: '*', newDevices: { groups: [], roles: ['admin'] } };
  const refused = await api.ask('POST', '/enrolments', { as: 'main/installer', body });
  assert.deepEqual([refused.status, refused.body.code], [403, 'forbidden']);
  api.settings = { ...api.settings, separationOfDuties: true };
  const waiting = await api.ask('POST', '/enrolments', {
    as: 'main/installer',
    body: { ...body, newDevices: { groups: [], roles: ['device'] } },
  });
  assert.equal(waiting.status, 202);
});

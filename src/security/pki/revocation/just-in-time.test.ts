import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { NewFields } from '../../../registry/entries.ts';
import type { AuditEvent } from '../../audit/audit.ts';
import { describeCertificate } from '../../peer-certificate.ts';
import { madeRoot, type Made } from '../testing/made-certificates.ts';
import { must, openedRegistry } from '../testing/opened-registry.ts';
import { JustInTime } from './just-in-time.ts';

const foreign = madeRoot('Factory');

async function stand(t: TestContext, more: Partial<NewFields<'authority'>> = {}, perMinute = 60) {
  const { registry, clock } = await openedRegistry(t);
  const { pem, facts } = foreign;
  must(
    await registry.create('authority', 'main', facts.keyId, {
      role: 'foreign',
      status: 'active',
      certificate: pem,
      subject: 'Factory',
      notBeforeMs: facts.notBeforeMs,
      notAfterMs: facts.notAfterMs,
      registration: 'just-in-time',
      groups: ['new'],
      roles: ['sensor'],
      ...more,
    }),
  );
  const events: AuditEvent[] = [];
  const made = new Map<string, Made>();
  const detailsOf = (fingerprint: string) => {
    const found = made.get(fingerprint);
    return found && { facts: found.facts, issuer: foreign.facts.keyId };
  };
  const audit = { record: (event: AuditEvent) => events.push(event) };
  const registration = new JustInTime({ registry, clock, audit, detailsOf }, { perMinute });
  const join = (id: string, tenant = 'main', device = foreign.issue(id)) => {
    made.set(device.fingerprint, device);
    const certificate = { ...describeCertificate(device.x509), issuers: [foreign.facts.keyId] };
    return registration.register({ tenant, id }, certificate, '192.0.2.1');
  };
  return { registry, clock, events, join };
}

test('a device is added with what its authority gives, its certificate with it, and once', async (t) => {
  const { registry, events, join } = await stand(t);
  const device = foreign.issue('pump-7');
  assert.deepEqual(await Promise.all([join('pump-7', 'main', device), join('pump-7', 'main', device)]), ['added', 'added']);
  assert.equal(await join('pump-7', 'main', device), 'there');
  const entry = must(await registry.get('device', 'main', 'pump-7'))!;
  assert.deepEqual([entry.status, entry.groups, entry.roles], ['active', ['new'], ['sensor']]);
  const certificate = must(await registry.certificate(device.fingerprint))!;
  assert.deepEqual(
    [certificate.serial, certificate.issuer, certificate.owner, certificate.notAfterMs],
    [device.facts.serial, foreign.facts.keyId, { kind: 'device', id: 'pump-7' }, device.facts.notAfterMs],
  );
  assert.deepEqual(
    events.map(({ action, target, outcome, from }) => [action, target, outcome, from]),
    [['device.register', 'device/main/pump-7', 'done', '192.0.2.1']],
  );
});

test('only where the authority is registered for it, and in its own tenant', async (t) => {
  assert.equal(await (await stand(t, { registration: 'none' })).join('a'), 'refused');
  assert.equal(await (await stand(t, { status: 'retired' })).join('a'), 'refused');
  const { join, registry } = await stand(t);
  must(await registry.create('tenant', '$system', 'other', {}));
  assert.equal(await join('a', 'other'), 'refused');
  must(await registry.create('application', 'main', 'taken', {}));
  assert.equal(await join('taken'), 'refused');
});

test('a serial number that was given twice adds nobody, and lets nobody in', async (t) => {
  const { join, registry, events } = await stand(t);
  assert.equal(await join('a', 'main', foreign.issue('a', { serial: '77' })), 'added');
  assert.equal(await join('b', 'main', foreign.issue('b', { serial: '77' })), 'refused');
  assert.equal(must(await registry.get('device', 'main', 'b')), undefined);
  assert.deepEqual([events.at(-1)!.outcome, events.at(-1)!.details!['reason']], ['failed', 'exists']);
});

test('not faster than allowed', async (t) => {
  const { join, clock } = await stand(t, {}, 2);
  assert.deepEqual([await join('a'), await join('b'), await join('c')], ['added', 'added', 'later']);
  clock.advance(30_000);
  assert.equal(await join('c'), 'added');
});

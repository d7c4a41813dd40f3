import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import type { AuthenticationResult, Credentials, PeerCertificate, Principal, Security } from '../security/security.ts';
import type { Identification } from './api/caller.ts';
import { FailureBrake } from './failure-brake.ts';
import { Gatekeeper, type FindTokenOwner, type Visitor } from './gatekeeper.ts';

const ann: Principal = { tenant: 'main', id: 'ann', kind: 'user', roles: [] };
const bob: Principal = { tenant: 'acme', id: 'bob', kind: 'user', roles: [] };
const certificate: PeerCertificate = { commonName: 'ann', uris: [], fingerprint: 'f'.repeat(64) };
const jwt = `eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2ln`;

/** Knows Ann by password, by certificate and by JWT. `asked`: what it was shown. */
function securityOf(asked: Credentials[], more: Partial<Security> = {}): Security {
  return {
    version: 1,
    authenticate(credentials, answer) {
      asked.push(credentials);
      const { username, password, certificate: shown } = credentials;
      const text = password === undefined ? undefined : Buffer.from(password).toString();
      const isAnn = (username === 'ann' && text === 'right') || (username === undefined && (text === jwt || shown !== undefined));
      const result: AuthenticationResult = isAnn ? { ok: true, principal: ann } : { ok: false, reason: 'refused' };
      answer(result);
    },
    startExchange: () => undefined,
    allows: (_principal, _action, topic) => topic === 'devices:read',
    ...more,
  };
}

const visitor: Visitor = { listener: 'admin', secure: true, remoteAddress: '192.0.2.1', authorization: undefined, host: 'broker.example' };

function stand(findTokenOwner?: FindTokenOwner, more: Partial<Security> = {}) {
  const asked: Credentials[] = [];
  const gatekeeper = new Gatekeeper(securityOf(asked, more), new FailureBrake(new ManualClock(0)), 'local-token', findTokenOwner);
  const identify = (given: Partial<Visitor>): Promise<Identification> =>
    new Promise((resolve) => gatekeeper.identify({ ...visitor, ...given }, resolve));
  return { asked, identify };
}

const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;

async function nameOf(found: Promise<Identification>): Promise<string | number> {
  const result = await found;
  return result.ok ? result.caller.name : result.status;
}

test('a caller is known by the local token, a password, a JWT or a certificate', async () => {
  const { asked, identify } = stand();
  assert.equal(await nameOf(identify({ authorization: 'Bearer local-token' })), '$system/local');
  assert.equal(asked.length, 0);
  assert.equal(await nameOf(identify({ authorization: basic('ann:right') })), 'main/ann');
  assert.equal(await nameOf(identify({ authorization: `Bearer ${jwt}` })), 'main/ann');
  assert.deepEqual([asked[1]!.username, asked[1]!.certificate], [undefined, undefined]);
  assert.equal(await nameOf(identify({ certificate })), 'main/ann');
  assert.equal(asked[2]!.certificate, certificate);
  for (const authorization of [basic('ann:wrong'), basic(':'), 'Bearer nonsense', 'Digest x', `Bearer ${'x'.repeat(20_000)}`, 'nonsense']) {
    assert.equal(await nameOf(identify({ authorization })), 401, authorization.slice(0, 40));
  }
});

test('who gives a name means that one, whatever certificate the connection has', async () => {
  const { asked, identify } = stand();
  assert.equal(await nameOf(identify({ authorization: basic('ann:wrong'), certificate })), 401);
  assert.equal(asked[0]!.certificate, undefined);
  assert.equal(await nameOf(identify({ authorization: 'Bearer nonsense', certificate })), 401);
});

test('an API token acts as its owner; one that cannot be looked up now is not held against anybody', async () => {
  const { asked, identify } = stand(async (token) => (token === 'hg.good' ? bob : token === 'hg.later' ? 'unavailable' : undefined));
  assert.equal(await nameOf(identify({ authorization: 'Bearer hg.good' })), 'acme/bob');
  for (let i = 0; i < 30; i++) assert.equal(await nameOf(identify({ authorization: 'Bearer hg.later' })), 503);
  for (let i = 0; i < 20; i++) assert.equal(await nameOf(identify({ authorization: 'Bearer hg.wrong' })), 401);
  assert.equal(await nameOf(identify({ authorization: 'Bearer hg.good' })), 429, 'who guesses is not listened to');
  assert.equal(asked.length, 0);
});

test('what a caller may is asked of the policies; only the first tenant has system-wide administrators', async () => {
  const found = await stand().identify({ certificate });
  assert.ok(found.ok);
  const { caller } = found;
  assert.deepEqual([caller.may('devices:read'), caller.may('devices:write'), caller.isSystemWide('read')], [true, false, false]);
  const everything = { allows: () => true };
  const first = await stand(undefined, everything).identify({ certificate });
  assert.ok(first.ok && first.caller.isSystemWide('write'));
  const other = await stand(async () => bob, everything).identify({ authorization: 'Bearer hg.good' });
  assert.ok(other.ok && !other.caller.isSystemWide('write'));
});

test('a rule of old on $admin shows what it always showed, and changes nothing', async () => {
  const found = await stand(undefined, { allows: (_who, _action, topic) => topic === '$admin' }).identify({ certificate });
  assert.ok(found.ok);
  const may: typeof found.caller.may = (permission) => found.caller.may(permission);
  assert.deepEqual(
    [may('status:read'), may('metrics:read'), may('trace:read'), may('devices:read'), may('tenants:write')],
    [true, true, true, false, false],
  );
});

test('whether a caller is still let in can be asked again, without proving it again', async () => {
  let standing: 'good' | 'barred' = 'good';
  const chief = { ...ann, roles: ['chief'] };
  const reassess: Security['reassess'] = (_principal, answer) =>
    answer(standing === 'good' ? { standing, principal: chief } : { standing });
  const allows: Security['allows'] = ({ roles }) => roles.includes('chief');
  const { asked, identify } = stand(undefined, { reassess, allows });
  const found = await identify({ authorization: basic('ann:right') });
  assert.ok(found.ok && !found.caller.may('devices:read'));
  const now = await found.caller.standing!.again();
  assert.equal(now!.may('devices:read'), true, 'what it may now');
  standing = 'barred';
  assert.equal(await found.caller.standing!.again(), undefined);
  assert.equal(asked.length, 1);
  const local = await identify({ authorization: 'Bearer local-token' });
  assert.ok(local.ok && local.caller.standing === undefined);
});

test('an API token that was taken back is nobody’s any more; one that cannot be looked up now still is somebody’s', async () => {
  let owner: Awaited<ReturnType<FindTokenOwner>> = bob;
  const found = await stand(async () => owner).identify({ authorization: 'Bearer hg.good' });
  assert.ok(found.ok);
  owner = 'unavailable';
  assert.equal((await found.caller.standing!.again())?.name, 'acme/bob');
  owner = undefined;
  assert.equal(await found.caller.standing!.again(), undefined);
});

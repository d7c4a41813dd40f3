import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { AuthenticationResult, Credentials, PeerCertificate, Principal } from '../../security.ts';
import { openedRegistry, must } from '../testing/opened-registry.ts';
import { holderIn } from './certificate-holder.ts';
import { codeOf } from './testing/desk.ts';

const fingerprint = 'a'.repeat(64);
const certificate: PeerCertificate = { commonName: 'pump-1', uris: ['heliograph:main/pump-1'], fingerprint };
const shown = { certificate, listener: 'est', remoteAddress: '192.0.2.7' };

async function bench(t: TestContext) {
  const { registry } = await openedRegistry(t);
  const access = { listener: 'est', remoteAddress: '192.0.2.7', secure: true, method: 'certificate', certificate } as const;
  const pump: Principal = { tenant: 'main', id: 'pump-1', kind: 'device', roles: [], access };
  const asked: Credentials[] = [];
  let result: AuthenticationResult = { ok: true, principal: pump };
  const authenticate = (credentials: Credentials, answer: (result: AuthenticationResult) => void): void => {
    asked.push(credentials);
    answer(result);
  };
  const holderOf = holderIn({ authenticate }, registry);
  const register = async (id = 'pump-1') => {
    must(await registry.create('device', 'main', id, {}));
    const owner = { kind: 'device', id } as const;
    const fields = { owner, serial: '1', issuer: 'b'.repeat(64), subject: 'x', notBeforeMs: 0, notAfterMs: 1 };
    must(await registry.create('certificate', 'main', fingerprint, fields));
  };
  return { registry, pump, asked, holderOf, register, setResult: (next: AuthenticationResult) => (result = next) };
}

test('a certificate is its owner’s, as the registry and the listeners say', async (t) => {
  const { holderOf, register, asked } = await bench(t);
  const expected = { tenant: 'main', owner: { kind: 'device', id: 'pump-1' }, method: 'certificate', renews: certificate };
  assert.deepEqual(await holderOf(shown), { ok: true, value: expected }, 'issued elsewhere');
  await register();
  assert.deepEqual(await holderOf(shown), { ok: true, value: expected });
  const { listener, remoteAddress, secure, username, password } = asked[0]!;
  assert.deepEqual([listener, remoteAddress, secure, username, password], ['est', '192.0.2.7', true, undefined, undefined]);
});

test('one that is revoked, somebody else’s, an authority’s, or names nobody is good for nothing', async (t) => {
  const { holderOf, register, registry, pump, setResult } = await bench(t);
  setResult({ ok: true, principal: { ...pump, kind: 'anonymous' } });
  assert.equal(codeOf(await holderOf(shown)), 'wrong-certificate');
  setResult({ ok: true, principal: { ...pump, access: { ...pump.access!, method: 'anonymous' } } });
  assert.equal(codeOf(await holderOf(shown)), 'wrong-certificate');
  for (const [reason, code] of [
    ['refused', 'wrong-certificate'],
    ['banned', 'rate-limited'],
    ['overloaded', 'busy'],
  ] as const) {
    setResult({ ok: false, reason });
    assert.equal(codeOf(await holderOf(shown)), code);
  }
  setResult({ ok: true, principal: pump });
  await register('pump-2');
  assert.equal(codeOf(await holderOf(shown)), 'wrong-certificate');
  setResult({ ok: true, principal: { ...pump, id: 'pump-2' } });
  assert.equal(codeOf(await holderOf(shown)), 'done');
  must(await registry.update('certificate', 'main', fingerprint, { status: 'revoked' }));
  assert.equal(codeOf(await holderOf(shown)), 'wrong-certificate');
  const server = { ...certificate, fingerprint: 'c'.repeat(64) };
  const fields = { serial: '2', issuer: 'b'.repeat(64), subject: 'x', notBeforeMs: 0, notAfterMs: 1 };
  must(await registry.create('certificate', 'main', server.fingerprint, fields));
  assert.equal(codeOf(await holderOf({ ...shown, certificate: server })), 'wrong-certificate');
  await registry.close();
  assert.equal(codeOf(await holderOf(shown)), 'unavailable');
});

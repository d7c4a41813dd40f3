import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { connect, createServer } from 'node:tls';
import { secureRandom } from '../../base/secure-random.ts';
import { systemScope } from '../../registry/entries.ts';
import type { Write } from '../../registry/registry.ts';
import { rootCertificate } from './authority-certificates.ts';
import { factsOf } from './authority-list.ts';
import type { BuiltInPki } from './built-in-pki.ts';
import { buildCertificate, distinguishedName, newSerial } from './certificate-builder.ts';
import { pemOf } from './encrypted-key.ts';
import { openKeystore } from './keystore.ts';
import { newPrivateKey, plainPem, publicKeyOf, softwareSigner } from './software-signer.ts';
import { byTest, pkiBench, type PkiBench } from './testing/opened-pki.ts';
import { must } from './testing/opened-registry.ts';

const dayMs = 86_400_000;
const passphrase = 'correct horse battery';

type Held = { readonly key: string; readonly cert: string; readonly ca: string; readonly fingerprint: string };

async function held(pki: BuiltInPki, id: string): Promise<Held> {
  const issued = await pki.issueWithKey({ tenant: 'main', owner: { kind: 'device', id }, ...byTest });
  assert.ok(issued.ok, JSON.stringify(issued));
  const { privateKey: key, certificate, chain, root: ca, fingerprint } = issued.value;
  return { key, cert: certificate + chain, ca, fingerprint };
}

/** Both ends verify each other, by what the keystore shows now. */
async function handshake(t: TestContext, bench: PkiBench, pki: BuiltInPki, device: Held): Promise<boolean> {
  const files = { certificates: [], clientCaFile: undefined, serverNames: [] };
  const keystore = await openKeystore({ directory: bench.directory, hostname: '', ...files }, { clock: bench.clock, log: pki.log, pki });
  const { servers, clientAuthorities: ca } = keystore.material;
  const { certificate: cert, privateKey: key } = servers[0]!;
  const server = createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const taken = new Promise<boolean>((resolve) => {
    server.once('secureConnection', (socket) => (socket.end(), resolve(true)));
    server.once('tlsClientError', () => resolve(false));
  });
  const client = connect({ port: (server.address() as AddressInfo).port, host: 'localhost', ...device });
  const trusts = new Promise<boolean>((resolve) => {
    client.once('secureConnect', () => resolve(true));
    client.once('error', () => resolve(false));
  });
  t.after(() => client.destroy());
  const both = (await trusts) && (await taken);
  client.on('error', () => {});
  client.destroy();
  server.close();
  return both;
}

test('the issuing authority rotates: old and new are taken until the old is retired', async (t) => {
  const bench = await pkiBench(t);
  const { pki, ca } = await bench.open();
  await bench.device('pump-7');
  await bench.device('pump-8');
  const old = await held(pki, 'pump-7');
  const before = ca.status();
  let told = 0;
  pki.subscribe(() => told++);
  const rotated = await ca.rotate({ what: 'issuing' }, byTest);
  assert.ok(rotated.ok);
  assert.deepEqual(rotated.value.retiring, [before.activeIssuing]);
  assert.equal(ca.status().activeIssuing, rotated.value.issuing.id);
  assert.equal(ca.status().activeRoot, before.activeRoot);
  assert.ok(told > 0, 'listeners are told');
  const renewed = await held(pki, 'pump-8');
  assert.equal(renewed.ca, old.ca, 'clients trust what they trusted');
  assert.ok(await handshake(t, bench, pki, old));
  assert.ok(await handshake(t, bench, pki, renewed));

  const impact = await ca.impact({ id: before.activeIssuing! }, {});
  assert.ok(impact.ok);
  assert.deepEqual(impact.value.tenants, [{ tenant: 'main', certificates: 1, cutOff: 1 }]);
  assert.deepEqual(
    impact.value.entries.map(({ owner, fingerprint }) => [owner.id, fingerprint]),
    [['pump-7', old.fingerprint]],
  );
  assert.equal(impact.value.safeAtMs, impact.value.entries[0]!.notAfterMs);
  const refused = await ca.retire(before.activeIssuing!, {}, byTest);
  assert.ok(!refused.ok && refused.error.code === 'in-use');

  await held(pki, 'pump-7');
  const safe = await ca.impact({ id: before.activeIssuing! }, {});
  assert.ok(safe.ok && safe.value.cutOff === 0 && safe.value.safeAtMs === undefined);
  assert.ok((await ca.retire(before.activeIssuing!, {}, byTest)).ok);
  const next = await ca.impact({ what: 'root' }, {});
  assert.ok(next.ok);
  assert.deepEqual([next.value.certificates, next.value.cutOff], [2, 2], 'what is worthless already is not counted again');
  const { cert } = old;
  const alone = { ...old, cert: cert.slice(0, cert.indexOf('-----END CERTIFICATE-----') + 26) };
  assert.equal(await handshake(t, bench, pki, alone), false, 'the old one means nothing');
  assert.ok(await handshake(t, bench, pki, renewed));
  const again = await bench.open();
  assert.deepEqual(again.ca.status(), ca.status());
  const last = await again.ca.retire(rotated.value.issuing.id, { force: true }, byTest);
  assert.ok(!last.ok && last.error.code === 'in-use', 'the last one cannot go');
});

test('the root rotates: who knows only the old one goes on until it is retired', async (t) => {
  const bench = await pkiBench(t);
  const { pki, ca } = await bench.open();
  await bench.device('pump-7');
  const old = await held(pki, 'pump-7');
  const oldRoot = ca.status().activeRoot!;
  const rotated = await ca.rotate({ what: 'root' }, byTest);
  assert.ok(rotated.ok && rotated.value.crossSigned && rotated.value.root !== undefined);
  assert.equal(rotated.value.retiring.length, 2);
  assert.equal(await readFile(pki.trustFile, 'utf8'), rotated.value.root.certificate + old.ca, 'clients are given both');
  const renewed = await held(pki, 'pump-7');
  assert.equal(renewed.ca, rotated.value.root.certificate);
  assert.ok(await handshake(t, bench, pki, old), 'the server shows the old root’s word for the new one');
  assert.ok(await handshake(t, bench, pki, renewed));
  assert.equal(factsOf(pki.auditKey!.certificate)!.notBeforeMs > 0, true);

  const retired = await ca.retire(oldRoot, {}, byTest);
  assert.ok(retired.ok && retired.value.length === 2, JSON.stringify(retired));
  assert.equal(await handshake(t, bench, pki, old), false);
  assert.ok(await handshake(t, bench, pki, renewed));
  assert.equal(await readFile(pki.trustFile, 'utf8'), rotated.value.root.certificate);
  const issuer = new X509Certificate(pki.authorities.find(({ id }) => id === ca.status().activeIssuing)!.certificate);
  assert.ok(new X509Certificate(pki.auditKey!.certificate).verify(issuer.publicKey), 'the audit key has followed');
});

test('a root goes offline and comes back; issuing goes on meanwhile', async (t) => {
  const bench = await pkiBench(t);
  const { ca } = await bench.open();
  const root = ca.status().activeRoot!;
  const issuing = ca.status().activeIssuing!;
  const code = async (asked: Promise<{ readonly ok: boolean; readonly error?: { readonly code: string } }>): Promise<string> => {
    const { ok, error } = await asked;
    return ok ? 'ok' : error!.code;
  };
  assert.equal(await code(ca.exportKey(root, { passphrase: 'short' }, byTest)), 'invalid');
  assert.equal(await code(ca.exportKey(issuing, { passphrase, remove: true }, byTest)), 'invalid');
  const exported = await ca.exportKey(root, { passphrase, remove: true }, byTest);
  assert.ok(exported.ok);
  assert.ok(createPrivateKey({ key: exported.value.pem, passphrase }));
  const next = await bench.open();
  assert.equal(next.pki.authorities.find(({ id }) => id === root)!.hasKey, false);
  await bench.device('pump-7');
  await held(next.pki, 'pump-7');
  assert.equal(await code(next.ca.rotate({ what: 'issuing' }, byTest)), 'unavailable');
  const { pem } = exported.value;
  assert.equal(await code(next.ca.importKey({ pem, passphrase: 'another horse' }, byTest)), 'wrong-passphrase');
  const stranger = plainPem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
  assert.equal(await code(next.ca.importKey({ pem: stranger, passphrase }, byTest)), 'not-found');
  assert.equal(await code(next.ca.importKey({ pem, passphrase }, byTest)), 'ok');
  assert.equal(await code(next.ca.rotate({ what: 'issuing' }, byTest)), 'ok');
  assert.doesNotMatch(JSON.stringify(bench.audit), /horse|PRIVATE/);
});

test('an authority of somebody else counts once it has proved to have its key', async (t) => {
  const bench = await pkiBench(t);
  const { pki, ca } = await bench.open();
  const services = { clock: bench.clock, random: secureRandom };
  const key = await newPrivateKey('ecdsa-p256');
  const foreign = await rootCertificate(softwareSigner(key), 365, services);
  const registered = await ca.register({ tenant: 'main', certificate: foreign, registration: 'just-in-time' }, byTest);
  assert.ok(registered.ok, JSON.stringify(registered));
  const { authority, nonce } = registered.value;
  assert.deepEqual([authority.role, authority.status, authority.tenant], ['foreign', 'pending', 'main']);
  assert.ok(!pki.clientAnchors.includes(foreign), 'not trusted yet');
  const again = await ca.register({ tenant: 'main', certificate: foreign }, byTest);
  assert.ok(again.ok && again.value.nonce === nonce);

  const proofBy = async (signing: typeof key, name: string): Promise<string> => {
    const facts = factsOf(foreign)!;
    const now = bench.clock.wallMs();
    const draft = { serial: newSerial(secureRandom), issuerName: facts.subjectName, subjectName: distinguishedName({ CN: name }) };
    const times = { notBeforeMs: now - 1000, notAfterMs: now + dayMs };
    const publicKey = publicKeyOf(await newPrivateKey('ecdsa-p256'));
    return pemOf('CERTIFICATE', await buildCertificate({ ...draft, ...times, publicKey, extensions: [] }, softwareSigner(signing)));
  };
  const prove = async (proof: string): Promise<string> => {
    const result = await ca.prove({ tenant: 'main', id: authority.id, proof }, byTest);
    return result.ok ? result.value.status : result.error.code;
  };
  assert.equal(await prove(await proofBy(key, 'another name')), 'not-proved');
  assert.equal(await prove(await proofBy(await newPrivateKey('ecdsa-p256'), nonce)), 'not-proved');
  assert.equal(await prove('nonsense'), 'invalid');
  assert.equal(await prove(await proofBy(key, nonce)), 'active');
  assert.equal(await prove(await proofBy(key, nonce)), 'conflict');
  assert.ok(pki.clientAnchors.some((pem) => factsOf(pem)!.keyId === authority.id));
  assert.ok((await ca.retire(authority.id, {}, byTest)).ok);
  assert.ok(!pki.clientAnchors.some((pem) => factsOf(pem)!.keyId === authority.id));

  const own = pki.authorities.find(({ role }) => role === 'root')!;
  const stolen = await ca.register({ tenant: 'main', certificate: own.certificate }, byTest);
  assert.ok(!stolen.ok && stolen.error.code === 'exists');
  const none = await ca.register({ tenant: 'main', certificate: pki.auditKey!.certificate }, byTest);
  assert.ok(!none.ok && none.error.code === 'invalid');
});

test('a root tells of the authorities below it, and of what was retired', async (t) => {
  const bench = await pkiBench(t);
  const { pki, ca } = await bench.open();
  const [root, issuing] = ['root', 'issuing'].map((wanted) => pki.authorities.find(({ role }) => role === wanted)!);
  const { serial } = factsOf(issuing!.certificate)!;
  const known = async (by: string, of: string) => must(await bench.registry.certificateBySerial(by, of));
  const entry = (await known(root!.id, serial))!;
  assert.deepEqual([entry.status, entry.owner, entry.tenant], ['valid', undefined, systemScope]);
  const rotated = await ca.rotate({ what: 'root' }, byTest);
  assert.ok(rotated.ok && (await ca.retire(issuing!.id, { force: true }, byTest)).ok);
  assert.deepEqual([(await known(root!.id, serial))!.status, (await known(root!.id, serial))!.reason], ['revoked', 'cessationOfOperation']);
  // The old root's word for the new one, too.
  const [, cross] = pki.services.keys.certificates(rotated.value.root!.id);
  assert.equal((await known(root!.id, factsOf(cross!)!.serial))!.status, 'valid');
});

test('nobody keeps another tenant from its authority, or the node from its own, by noting some', async (t) => {
  const bench = await pkiBench(t);
  const { ca } = await bench.open();
  for (const id of ['east', 'west']) must(await bench.registry.create('tenant', systemScope, id, {}));
  const services = { clock: bench.clock, random: secureRandom };
  const made = async (): Promise<string> => rootCertificate(softwareSigner(await newPrivateKey('ecdsa-p256')), 365, services);
  const certificate = await made();
  const register = async (tenant: string, pem = certificate) => {
    const done = await ca.register({ tenant, certificate: pem }, byTest);
    return done.ok ? done.value.authority.tenant : done.error.code;
  };
  assert.deepEqual([await register('west'), await register('east')], ['west', 'exists']);
  bench.clock.advance(3_600_001);
  assert.equal(await register('east'), 'east', 'west has not proved it');
  assert.equal(await register('west'), 'exists');
  const { keyId } = factsOf(certificate)!;
  must(await bench.registry.update('authority', 'east', keyId, { status: 'active' }));
  bench.clock.advance(3_600_001);
  assert.equal(await register('west'), 'exists');

  for (let i = 0; i < 100; i++) await register('west', await made());
  assert.equal(await register('west', await made()), 'conflict');
  // However they came there.
  const { notBeforeMs, notAfterMs } = factsOf(certificate)!;
  const fields = { role: 'foreign', status: 'pending', certificate, subject: '', notBeforeMs, notAfterMs } as const;
  for (let from = 0; from < 2500; from += 500) {
    const ids = Array.from({ length: 500 }, (_, i) => (from + i).toString(16).padStart(64, '0'));
    const writes = ids.map((id): Write => ({ do: 'create', kind: 'authority', tenant: 'west', id, fields }));
    must(await bench.registry.apply(writes, { atomic: true }));
  }
  const { pki } = await bench.open();
  await bench.device('pump-7');
  assert.ok(await held(pki, 'pump-7'));
});

test('certificates are revoked one by one and by owner, and it is told', async (t) => {
  const bench = await pkiBench(t);
  const { pki, ca } = await bench.open();
  await bench.device('pump-7');
  const [first, second] = [await held(pki, 'pump-7'), await held(pki, 'pump-7')];
  const { fingerprint } = first;
  assert.deepEqual(await ca.revoke({ fingerprint, reason: 'keyCompromise' }, byTest), { ok: true, value: { revoked: 1 } });
  assert.deepEqual(await ca.revoke({ fingerprint }, byTest), { ok: true, value: { revoked: 0 } });
  const kept = must(await bench.registry.certificate(fingerprint))!;
  assert.deepEqual([kept.status, kept.reason], ['revoked', 'keyCompromise']);
  const all = await ca.revokeAll({ tenant: 'main', owner: { kind: 'device', id: 'pump-7' } }, byTest);
  assert.deepEqual(all, { ok: true, value: { revoked: 1 } });
  assert.equal(must(await bench.registry.certificate(second.fingerprint))!.reason, 'privilegeWithdrawn');
  const unknown = await ca.revoke({ fingerprint: '0'.repeat(64) }, byTest);
  assert.ok(!unknown.ok && unknown.error.code === 'not-found');
  assert.deepEqual(
    bench.audit.filter(({ action }) => action === 'certificate.revoke').map(({ outcome }) => outcome),
    ['done', 'done', 'done', 'refused'],
  );
});

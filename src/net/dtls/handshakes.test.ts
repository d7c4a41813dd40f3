// Whole handshakes with a client of our own: each suite, each way to prove who one is.

import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { UserError } from '../../base/user-error.ts';
import { TestSigner } from '../../security/pki/testing/made-certificates.ts';
import type { DtlsSigner } from './endpoint.ts';
import { privateKeySigner } from './private-key-signer.ts';
import { suiteNames, type SuiteName } from './suites.ts';
import { authority, clientAddress, deviceCertificate, deviceProof, DtlsStand, serverCertificate } from './testing/dtls-stand.ts';
import type { TestClient } from './testing/test-client.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });

function assertTalk(stand: DtlsStand, client: TestClient): void {
  assert.equal(client.state, 'open');
  const { session } = stand.last('opened');
  stand.deliver(client.seal(Buffer.from('up')));
  assert.deepEqual(stand.last('data'), { kind: 'data', session, bytes: Buffer.from('up') });
  stand.take(stand.endpoint.send(session, Buffer.from('down'), stand.now));
  stand.exchange(client);
  assert.deepEqual(client.data.at(-1), Buffer.from('down'));
}

for (const name of suiteNames) {
  test(`a handshake by ${name}, and data both ways`, () => {
    const isRsa = name.startsWith('ECDHE-RSA');
    // Our certificates for tests are never RSA: a raw key shows the same.
    const stand = new DtlsStand(isRsa ? { credentials: [{ chain: [], signer: privateKeySigner(rsa.privateKey) }] } : {});
    const client = stand.connect({ suites: [name], ...(isRsa && { rawKeys: true }) });
    assert.equal(stand.last('opened').suite, name);
    assertTalk(stand, client);
  });
}

for (const group of ['secp256r1', 'x25519', 'secp384r1'] as const) {
  test(`the key exchange on ${group}`, () => {
    const stand = new DtlsStand({ groups: [group] });
    assertTalk(stand, stand.connect({ suites: ['ECDHE-ECDSA-AES128-CCM'] }));
    assert.equal(stand.last('opened').group, group);
  });
}

test('mutual certificates: the chain is asked about after the client has proved its key, and named by its digest', () => {
  const stand = new DtlsStand({ clientCertificate: 'require' });
  stand.admit = () => ({ ok: true, subject: 'device 7' });
  const client = stand.connect({ proof: deviceProof });
  const { chain } = stand.last('certificateWanted');
  assert.deepEqual(
    chain.map((der) => new X509Certificate(der).subject),
    ['CN=device', 'CN=authority'],
  );
  const { identity } = stand.last('opened');
  assert.deepEqual(identity, { kind: 'certificate', fingerprint: deviceCertificate.fingerprint, subject: 'device 7' });
  assertTalk(stand, client);
});

for (const algorithm of ['ed25519', 'ecdsa-p384'] as const) {
  test(`keys of ${algorithm} on both sides`, () => {
    const [own, device] = [authority.issue('own', {}, new TestSigner(algorithm)), authority.issue('device', {}, new TestSigner(algorithm))];
    const stand = new DtlsStand({
      credentials: [{ chain: [own.der], signer: privateKeySigner(own.signer.key) }],
      clientCertificate: 'require',
    });
    assertTalk(stand, stand.connect({ proof: { chain: [device.der], key: device.signer.key } }));
    assert.equal(stand.last('opened').identity.kind, 'certificate');
  });
}

test('where no certificate is wanted, none is asked for', () => {
  const stand = new DtlsStand({ clientCertificate: 'none' });
  const client = stand.connect({ proof: deviceProof });
  assert.ok(!client.wantsCertificate);
  assert.deepEqual(stand.last('opened').identity, { kind: 'none' });
  assertTalk(stand, client);
});

test('names of authorities are told as long as they are few', () => {
  const name = Buffer.alloc(300, 7);
  const stand = new DtlsStand({ clientAuthorities: [name, name, name, name] });
  const client = stand.connect({ proof: deviceProof });
  const list = client.messages.get(13)!;
  assert.equal(Buffer.from(list).indexOf(name), list.length - 3 * 302 + 2);
  assertTalk(stand, client);
});

test('a signer that fails ends the handshake with internal_error', () => {
  const signer: DtlsSigner = {
    ...privateKeySigner(serverCertificate.signer.key),
    sign: () => {
      throw new Error('the token is gone');
    },
  };
  const stand = new DtlsStand({ credentials: [{ chain: [serverCertificate.der], signer }] });
  assert.equal(stand.connect({ suites: ['ECDHE-ECDSA-AES128-CCM'] }).alerts[0]?.code, 80);
});

test('keys that DTLS cannot use are refused in words', () => {
  const x25519 = generateKeyPairSync('x25519').privateKey;
  const p521 = generateKeyPairSync('ec', { namedCurve: 'secp521r1' }).privateKey;
  for (const key of [x25519, p521]) assert.throws(() => privateKeySigner(key), UserError);
});

test('a client without certificate is refused where one is required, and comes in where one is only asked for', () => {
  const strict = new DtlsStand({ clientCertificate: 'require' });
  assert.deepEqual(strict.connect({ suites: ['ECDHE-ECDSA-AES128-CCM'] }).alerts, [{ code: 40, isFatal: true, isProtected: false }]);
  assert.equal(strict.last('failed').reason, 'certificate');
  const mild = new DtlsStand({ clientCertificate: 'request' });
  assertTalk(mild, mild.connect({ suites: ['ECDHE-ECDSA-AES128-CCM'] }));
  assert.deepEqual(mild.last('opened').identity, { kind: 'none' });
});

test('a client that does not have the key of its certificate is refused before anybody is asked', () => {
  const stand = new DtlsStand();
  const client = stand.connect({ proof: { chain: deviceProof.chain, key: serverCertificate.signer.key } });
  assert.deepEqual(client.alerts, [{ code: 51, isFatal: true, isProtected: false }]);
  assert.equal(stand.last('failed').reason, 'certificate');
  assert.deepEqual(stand.of('certificateWanted'), []);
});

test('a certificate that is not admitted ends the handshake with the alert that was asked for', () => {
  const stand = new DtlsStand();
  stand.admit = () => ({ ok: false, alert: 'certificate-revoked' });
  assert.deepEqual(stand.connect({ proof: deviceProof }).alerts, [{ code: 44, isFatal: true, isProtected: false }]);
  assert.equal(stand.last('failed').reason, 'certificate');
  assert.deepEqual(stand.of('opened'), []);
});

test('an admission that takes its time holds the handshake, not the records that follow', () => {
  const stand = new DtlsStand();
  stand.isSilent = true;
  const client = stand.connect({ proof: deviceProof });
  assert.equal(client.state, 'finished');
  stand.pass(5000);
  assert.deepEqual(stand.fetch(), [], 'nothing is sent again while the client is not to blame');
  stand.take(stand.endpoint.admissionAnswer(stand.last('certificateWanted').handshake, { ok: true }, stand.now));
  stand.exchange(client);
  assertTalk(stand, client);
});

test('an answer that never comes ends the handshake in time', () => {
  const stand = new DtlsStand();
  stand.isSilent = true;
  stand.connect({ proof: deviceProof });
  stand.pass(61_000);
  assert.equal(stand.last('failed').reason, 'timeout');
  assert.equal(stand.endpoint.counters.handshakesPending, 0);
  stand.take(stand.endpoint.admissionAnswer(stand.last('certificateWanted').handshake, { ok: true }, stand.now));
  assert.deepEqual(stand.of('opened'), []);
});

test('a certificate in PEM, or with bytes behind it, is none', () => {
  for (const first of [Buffer.from(deviceCertificate.pem), Buffer.concat([deviceCertificate.der, Buffer.of(0)])]) {
    const stand = new DtlsStand();
    const client = stand.connect({ proof: { chain: [first], key: deviceProof.key } });
    assert.deepEqual(client.alerts, [{ code: 42, isFatal: true, isProtected: false }]);
  }
});

test('a chain that is too long is refused', () => {
  const stand = new DtlsStand();
  const chain = Array.from({ length: 7 }, () => deviceCertificate.der);
  assert.equal(stand.connect({ proof: { chain, key: deviceProof.key } }).alerts[0]?.code, 42);
});

test('raw public keys in both directions, named by their digest', () => {
  const stand = new DtlsStand({ clientCertificate: 'require' });
  const client = stand.connect({ rawKeys: true, proof: { chain: [], key: deviceProof.key } });
  const { fingerprint, spki } = stand.last('rawKeyWanted');
  assert.deepEqual(Buffer.from(spki), Buffer.from(deviceCertificate.signer.publicKey));
  assert.deepEqual(stand.last('opened').identity, { kind: 'rawKey', fingerprint, subject: undefined });
  assertTalk(stand, client);
});

test('raw public keys that the server does not take are refused', () => {
  const stand = new DtlsStand({ rawPublicKeys: false });
  const client = stand.connect({ rawKeys: true, suites: ['ECDHE-ECDSA-AES128-CCM'], proof: { chain: [], key: deviceProof.key } });
  assert.equal(client.alerts[0]?.code, 43);
});

test('an identity that nobody has: alert 115, or silence where that is wished', () => {
  const told = new DtlsStand();
  const stranger = { psk: { identity: 'stranger', key: Buffer.alloc(16) }, suites: ['PSK-AES128-CCM8'] as SuiteName[] };
  assert.deepEqual(told.connect(stranger).alerts, [{ code: 115, isFatal: true, isProtected: false }]);
  assert.equal(told.last('failed').reason, 'psk');
  const hidden = new DtlsStand({ psk: { hint: new Uint8Array(), hideUnknown: true } });
  const client = hidden.connect(stranger);
  assert.deepEqual(client.alerts, []);
  hidden.pass(61_000);
  assert.equal(hidden.last('failed').reason, 'psk');
});

test('a wrong pre-shared key is silence, then a failure for that reason', () => {
  const stand = new DtlsStand();
  const client = stand.connect({ psk: { identity: 'device', key: Buffer.from('wrong') }, suites: ['PSK-AES128-CCM8'] });
  assert.equal(client.state, 'finished');
  assert.deepEqual(client.alerts, []);
  assert.equal(stand.endpoint.counters.dropped['bad-record'], 1);
  stand.pass(61_000);
  assert.equal(stand.last('failed').reason, 'psk');
});

test('the hint for identities goes to clients with pre-shared keys', () => {
  const stand = new DtlsStand({ psk: { hint: Buffer.from('heliograph') } });
  const client = stand.connect({ suites: ['PSK-AES128-CCM8'] });
  assert.ok(Buffer.from(client.messages.get(12)!).includes('heliograph'));
  assertTalk(stand, client);
});

test('nothing in common: alert 40', () => {
  const stand = new DtlsStand({ suites: ['PSK-AES128-CCM8'] });
  assert.deepEqual(stand.connect({ suites: ['PSK-AES128-CCM'] }).alerts, [{ code: 40, isFatal: true, isProtected: false }]);
  assert.equal(stand.last('failed').reason, 'parameters');
});

test('a client of DTLS 1.0 is told so', () => {
  for (const version of [0xfeff, 0x0303]) assert.equal(new DtlsStand().connect({ version }).alerts[0]?.code, 70);
});

test('a client without extended master secret is refused, or comes in where that is allowed', () => {
  assert.equal(new DtlsStand().connect({ hasExtendedMasterSecret: false }).alerts[0]?.code, 40);
  const mild = new DtlsStand({ requireExtendedMasterSecret: false });
  assertTalk(mild, mild.connect({ hasExtendedMasterSecret: false }));
});

test('a client that knows neither the curve nor the signature of the certificate gets no certificate', () => {
  assert.equal(new DtlsStand().connect({ suites: ['ECDHE-ECDSA-AES128-CCM'], groups: ['x25519'] }).alerts[0]?.code, 40);
  assert.equal(new DtlsStand().connect({ suites: ['ECDHE-ECDSA-AES128-CCM'], signatureAlgorithms: [0x0401] }).alerts[0]?.code, 40);
});

test('the certificate is that of the name the client asks for', () => {
  const other = authority.issue('other');
  const credentials = [
    { chain: [serverCertificate.der], signer: privateKeySigner(serverCertificate.signer.key) },
    { chain: [other.der], signer: privateKeySigner(other.signer.key), matches: (name: string) => name === 'other.example' },
  ];
  const nameFor = (serverName: string): string => {
    const client = new DtlsStand({ credentials }).connect({ serverName, suites: ['ECDHE-ECDSA-AES128-CCM'] });
    return new X509Certificate(client.messages.get(11)!.subarray(6)).subject;
  };
  assert.equal(nameFor('Other.example'), 'CN=other');
  assert.equal(nameFor('unknown.example'), 'CN=server');
});

test('a client with little room gets small records, and sends of more are refused', () => {
  const stand = new DtlsStand();
  const client = stand.client({ maxFragmentCode: 1, proof: deviceProof });
  client.start(stand.now);
  for (const datagram of client.takeOut()) stand.deliver(datagram);
  for (const datagram of stand.fetch()) client.receive(datagram, stand.now);
  for (const datagram of client.takeOut()) stand.deliver(datagram);
  const flight = stand.fetch();
  assert.ok(flight.length > 1 && flight.every(({ length }) => length <= 525));
  for (const datagram of flight) client.receive(datagram, stand.now);
  stand.exchange(client);
  const { session, maxBytes } = stand.last('opened');
  assert.equal(maxBytes, 512);
  assert.deepEqual(stand.endpoint.send(session, Buffer.alloc(513), stand.now), []);
  assert.equal(stand.endpoint.counters.dropped['too-long'], 1);
  assertTalk(stand, client);
});

test('goodbye is answered with goodbye', () => {
  const stand = new DtlsStand();
  const client = stand.connect();
  stand.deliver(client.goodbye());
  stand.exchange(client);
  assert.deepEqual(client.alerts, [{ code: 0, isFatal: false, isProtected: true }]);
  assert.equal(stand.last('closed').reason, 'peer');
  stand.deliver(client.seal(Buffer.from('late')));
  assert.equal(stand.endpoint.counters.dropped['unknown-peer'], 1);
});

test('closing says goodbye; the client learns of it', () => {
  const stand = new DtlsStand();
  const client = stand.connect();
  stand.take(stand.endpoint.close(stand.last('opened').session, stand.now));
  stand.exchange(client);
  assert.equal(client.state, 'closed');
  assert.equal(stand.last('closed').reason, 'local');
  assert.equal(stand.endpoint.counters.sessions, 0);
  assert.equal(stand.endpoint.nextDeadline(), Infinity);
});

test('a session ends when nothing comes for long, and not while something comes', () => {
  const stand = new DtlsStand({ limits: { idleMs: 1000 } });
  const client = stand.connect();
  stand.pass(900);
  stand.deliver(client.seal(Buffer.from('here')));
  stand.pass(900);
  assert.deepEqual(stand.of('closed'), []);
  stand.pass(200);
  assert.equal(stand.last('closed').reason, 'idle');
});

test('the cookie costs the server nothing, and the answer is smaller than the question', () => {
  const stand = new DtlsStand();
  const client = stand.client();
  client.start(stand.now);
  const [hello] = client.takeOut();
  stand.deliver(hello!);
  const [answer, ...more] = stand.fetch();
  assert.deepEqual(more, []);
  assert.ok(answer!.length <= hello!.length);
  assert.equal(stand.endpoint.counters.handshakesPending, 0);
  assert.equal(stand.endpoint.nextDeadline(), Infinity);
  assert.deepEqual(stand.fetch(clientAddress), []);
});

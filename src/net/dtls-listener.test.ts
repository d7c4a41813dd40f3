import assert from 'node:assert/strict';
import { createHash, createPublicKey } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { DatagramStand, generousDatagramLimits } from '../../test/harness/net/datagrams.ts';
import { boundSocket, DtlsUdpClient } from '../../test/harness/net/dtls-client.ts';
import { until } from '../../test/harness/net/stand.ts';
import { PathValidator } from '../security/pki/path/path-validator.ts';
import { describeCertificate } from '../security/peer-certificate.ts';
import { madeRoot } from '../security/pki/testing/made-certificates.ts';
import type { CertificateFault, HandshakeGuard, HandshakeVerdict } from '../security/security.ts';
import type { DatagramLimits } from './datagram-limits.ts';
import { DtlsListener } from './dtls-listener.ts';
import type { DtlsListenerSettings } from './dtls-settings.ts';
import { defaultDtlsLimits } from './dtls/limits.ts';
import type { TestClientOptions } from './dtls/testing/test-client.ts';

const authority = madeRoot('authority');
const server = authority.issue('server');
const device = authority.issue('device', { uris: ['heliograph:main/device'] });
const proof = { chain: [device.der], key: device.signer.key };
const psk = { identity: 'main/device', key: Buffer.from('sixteen bytes ok') };
const suites = ['PSK-AES128-CCM8'] as const;
const validator = new PathValidator([authority.der]);

const settings: DtlsListenerSettings = {
  certificates: [{ certificate: server.pem, privateKey: server.keyPem, serverNames: [] }],
  clientCertificate: 'request',
  clientAuthorities: validator.names,
  rawPublicKeys: true,
  connectionIds: true,
  ccm8: true,
  requireExtendedMasterSecret: true,
  pskHint: '',
  psk: { keyOf: (identity) => (identity === psk.identity ? psk.key : undefined) },
  verify: (chain, nowMs) => validator.validate(chain, nowMs),
  describeCertificate,
  limits: { ...defaultDtlsLimits, retransmitMs: 300 },
};

type Changes = Partial<DtlsListenerSettings> & { readonly isWithoutPsk?: boolean };

class Guard implements HandshakeGuard {
  readonly told: string[] = [];
  verdict: ((verdict: HandshakeVerdict) => HandshakeVerdict | Promise<HandshakeVerdict>) | undefined;

  admit: HandshakeGuard['admit'] = (certificate) => {
    const verdict: HandshakeVerdict = { ok: true, certificate: describeCertificate(certificate) };
    return this.verdict?.(verdict) ?? verdict;
  };

  refused: HandshakeGuard['refused'] = (fault, certificate, { listener, remoteAddress }) => {
    this.told.push(`${fault} ${certificate?.subject ?? 'nobody'} ${listener} ${remoteAddress}`);
  };

  unagreed = (): void => {
    this.told.push('unagreed');
  };

  refuse(fault: CertificateFault): void {
    this.verdict = () => ({ ok: false, fault });
  }
}

async function stand(t: TestContext, { isWithoutPsk, ...changes }: Changes = {}, limits: Partial<DatagramLimits> = {}) {
  const datagrams = new DatagramStand(t);
  const { psk: _, ...rest } = settings;
  const { protocol, loop, errors } = datagrams;
  const listener = new DtlsListener(
    {
      name: 'coaps',
      protocol,
      host: '127.0.0.1',
      port: 0,
      limits: { ...generousDatagramLimits, idleMs: Infinity, ...limits },
      dtls: { ...(isWithoutPsk ? rest : settings), ...changes },
    },
    loop,
  );
  datagrams.adopt(listener);
  const { port } = await listener.start();
  const connect = async (options: Partial<TestClientOptions>): Promise<DtlsUdpClient> => {
    const client = new DtlsUdpClient(await boundSocket(), port, options).start();
    t.after(() => client.close());
    return client;
  };
  return { listener, connect, peers: protocol.peers, errors };
}

async function opened(client: Promise<DtlsUdpClient>): Promise<DtlsUdpClient> {
  const found = await client;
  await until(() => found.client.isOpen);
  return found;
}

/** What it says comes back. */
async function echo(client: DtlsUdpClient, text: string): Promise<void> {
  client.say(text);
  await until(() => client.heard.includes(text), `the echo of ${text}`);
}

test('a certificate is shown, verified and told to the protocol', async (t) => {
  const guard = new Guard();
  const { connect, peers, listener } = await stand(t, { guard });
  const client = await opened(connect({ proof }));
  await echo(client, 'hello');
  const { facts, isProven, maxBytes } = peers[0]!.path;
  assert.equal(facts.peerCertificate?.fingerprint, device.fingerprint);
  assert.deepEqual(facts.peerCertificate?.uris, ['heliograph:main/device']);
  assert.equal(facts.secure, true);
  assert.equal(facts.remotePort, client.socket.address().port);
  assert.equal(isProven, true);
  assert.ok(maxBytes > 1000 && maxBytes <= 1152, String(maxBytes));
  const [handshake] = listener.counters.handshakes;
  assert.equal(handshake?.version, 'DTLSv1.2');
  assert.equal(listener.counters.active, 1);
  assert.deepEqual(guard.told, []);
});

test('pre-shared keys may come late', async (t) => {
  const keyOf = (identity: string): Promise<Buffer | undefined> =>
    new Promise((resolve) => {
      setImmediate(() => resolve(identity === psk.identity ? psk.key : undefined));
    });
  const refused: string[] = [];
  const { connect, peers, listener } = await stand(t, {
    psk: { keyOf, refused: ({ remoteAddress }) => refused.push(remoteAddress) },
  });
  const client = await opened(connect({ suites, psk }));
  await echo(client, 'hello');
  assert.equal(peers[0]!.path.facts.pskIdentity, 'main/device');
  assert.equal(peers[0]!.path.facts.pskKeyHash, createHash('sha256').update(psk.key).digest('hex'));
  assert.equal(peers[0]!.path.facts.peerCertificate, undefined);
  const stranger = await connect({ suites, psk: { ...psk, identity: 'main/nobody' } });
  await until(() => listener.counters.failedHandshakes.psk === 1);
  assert.deepEqual(refused, ['127.0.0.1']);
  assert.equal(stranger.client.isOpen, false);
});

test('a raw public key is told by its digest', async (t) => {
  const { connect, peers } = await stand(t);
  const spki = createPublicKey(device.signer.key).export({ type: 'spki', format: 'der' });
  const client = await opened(connect({ proof: { chain: [spki], key: device.signer.key }, rawKeys: true }));
  await echo(client, 'hello');
  assert.equal(peers[0]!.path.facts.rawPublicKey, createHash('sha256').update(spki).digest('hex'));
});

test('a certificate that does not lead to a trusted authority is refused, counted and told', async (t) => {
  const guard = new Guard();
  const { connect, peers, listener } = await stand(t, { guard });
  const other = madeRoot('other').issue('stranger');
  const client = await connect({ proof: { chain: [other.der], key: other.signer.key } });
  await until(() => listener.counters.failedHandshakes.certificate === 1);
  await until(() => client.client.alerts.length === 1);
  assert.equal(client.client.alerts[0]!.code, 48, 'unknown_ca');
  assert.deepEqual(guard.told, ['unknown-authority CN=stranger coaps 127.0.0.1']);
  assert.equal(listener.counters.refusedCertificates['unknown-authority'], 1);
  assert.equal(peers.length, 0);
});

test('the guard decides, also later', async (t) => {
  const guard = new Guard();
  guard.verdict = (verdict) => Promise.resolve(verdict);
  const { connect, listener } = await stand(t, { guard });
  await echo(await opened(connect({ proof })), 'hello');
  guard.verdict = () => Promise.resolve({ ok: false, fault: 'revoked' });
  const refused = await connect({ proof });
  await until(() => refused.client.alerts.length === 1);
  assert.equal(refused.client.alerts[0]!.code, 44, 'certificate_revoked');
  assert.equal(listener.counters.refusedCertificates.revoked, 1);
  assert.deepEqual(guard.told, [], 'the guard keeps its own record of what it refuses');
});

test('where a certificate is required, nothing else will do', async (t) => {
  const guard = new Guard();
  const { connect, listener } = await stand(t, { guard, clientCertificate: 'require', isWithoutPsk: true });
  await connect({});
  await until(() => listener.counters.failedHandshakes.certificate === 1);
  assert.deepEqual(guard.told, ['missing nobody coaps 127.0.0.1']);
  assert.equal(listener.counters.refusedCertificates.missing, 1);
});

test('a session is resumed only while what it began with still holds', async (t) => {
  const guard = new Guard();
  const { connect, peers, listener } = await stand(t, { guard });
  const first = await opened(connect({ proof }));
  await echo(first, 'first');
  const resume = first.client.session!;
  const second = await opened(connect({ proof, resume }));
  assert.equal(second.client.isResumed, true);
  await echo(second, 'second');
  assert.equal(peers[1]!.path.facts.peerCertificate?.fingerprint, device.fingerprint);

  guard.verdict = (verdict) => Promise.resolve(verdict);
  const third = await opened(connect({ proof, resume }));
  await echo(third, 'third');

  guard.refuse('revoked');
  const fourth = await connect({ proof, resume });
  await until(() => fourth.client.state === 'closed');
  assert.equal(peers.length, 3);
  assert.equal(listener.counters.failedHandshakes.certificate, 1);
});

test('a session by a key is resumed only while the key is the same', async (t) => {
  let key: Buffer = psk.key;
  const { connect, peers } = await stand(t, { psk: { keyOf: () => key } });
  const first = await opened(connect({ suites, psk }));
  const resume = first.client.session!;
  const second = await opened(connect({ suites, psk, resume }));
  await echo(second, 'second');
  key = Buffer.from('another key of 16');
  const third = await connect({ suites, psk, resume });
  await until(() => third.client.state === 'closed');
  assert.equal(peers.length, 2);
});

test('a peer with a Connection ID keeps its session when its address changes', async (t) => {
  const { connect, peers, listener } = await stand(t);
  const client = await opened(connect({ suites, psk, cid: Buffer.from('c1') }));
  await echo(client, 'here');
  await client.move();
  await echo(client, 'there');
  assert.equal(peers.length, 1);
  assert.equal(peers[0]!.path.facts.remotePort, client.socket.address().port);
  assert.equal(peers[0]!.path.isProven, false);
  await echo(client, 'still there');
  assert.equal(peers[0]!.path.isProven, false, 'somebody may send on what it says');
  peers[0]!.path.proven!();
  assert.equal(peers[0]!.path.isProven, true);
  assert.equal(listener.counters.accepted, 1);
});

test('whoever closes, the peer is told once and the session ends', async (t) => {
  const { connect, peers, listener } = await stand(t);
  const first = await opened(connect({ suites, psk }));
  await echo(first, 'hello');
  first.goodbye();
  await until(() => peers[0]!.closed === 1);
  const second = await opened(connect({ suites, psk }));
  second.say('close');
  await until(() => second.client.state === 'closed');
  assert.equal(peers[1]!.closed, 1);
  assert.equal(listener.counters.active, 0);
});

test('a session ends with its certificate', async (t) => {
  const short = authority.issue('short', { notAfterMs: Date.now() + 60_000 });
  const guard = new Guard();
  guard.verdict = (verdict) => (verdict.ok ? { ok: true, certificate: { ...verdict.certificate, notAfterMs: Date.now() + 400 } } : verdict);
  const { connect, peers } = await stand(t, { guard });
  const client = await opened(connect({ proof: { chain: [short.der], key: short.signer.key } }));
  await echo(client, 'in time');
  await until(() => {
    client.say('?');
    return peers[0]!.closed === 1;
  });
  await until(() => client.client.state === 'closed');
});

test('sessions are bounded; one that is idle makes room', async (t) => {
  const { connect, peers, listener } = await stand(t, {}, { maxPeers: 1 });
  const first = await opened(connect({ suites, psk }));
  await echo(first, 'first');
  const second = await opened(connect({ suites, psk }));
  await echo(second, 'busy');
  assert.equal(peers[0]!.closed, 1);
  const third = await connect({ suites, psk });
  await until(() => third.client.state === 'closed');
  assert.equal(listener.counters.refused.connections, 1);
  assert.equal(peers.length, 2);
});

test('when the node goes down, peers and sessions end in order', async (t) => {
  const { connect, peers, listener } = await stand(t);
  const client = await opened(connect({ suites, psk }));
  await echo(client, 'hello');
  assert.equal(await listener.drain(performance.now() + 5000), true);
  assert.deepEqual([peers[0]!.toldToGo, peers[0]!.closed], [1, 1]);
  await until(() => client.client.state === 'closed');
});

test('rubbish is dropped and nothing is kept of its sender', async (t) => {
  const { connect, peers, listener } = await stand(t);
  const socket = await boundSocket();
  t.after(() => socket.close());
  for (const size of [1, 12, 13, 14, 60, 500]) socket.send(Buffer.alloc(size, 22), listener.address!.port, '127.0.0.1');
  await until(() => listener.datagrams.received >= 6);
  assert.equal(listener.counters.handshakesPending, 0);
  await echo(await opened(connect({ suites, psk })), 'hello');
  assert.equal(peers.length, 1);
});

test('settings that DTLS cannot use are told to the operator', async (t) => {
  await assert.rejects(stand(t, { profile: 'cnsa' }), /cnsa has no cipher suite for DTLS/);
  const broken = [{ certificate: server.pem, privateKey: device.keyPem, serverNames: [] }];
  await assert.rejects(stand(t, { certificates: broken }), /TLS certificate 1 and its key cannot be used for DTLS/);
});

test('suites with short tags, and devices without the Extended Master Secret, come in as the settings say, from the next handshake on', async (t) => {
  const { connect, listener } = await stand(t);
  const short = { psk, suites };
  const old = { psk, suites: ['PSK-AES128-CCM'] as const, hasExtendedMasterSecret: false };
  const refused = async (options: Partial<TestClientOptions>): Promise<void> => {
    const { client } = await connect(options);
    await until(() => client.alerts.length > 0);
    assert.equal(client.alerts[0]!.code, 40);
  };
  const first = await opened(connect(short));
  await refused(old);
  listener.reloadDtls({ ...settings, ccm8: false, requireExtendedMasterSecret: false });
  await refused(short);
  const { client: again } = await connect({ ...short, suites: [...suites, 'PSK-AES128-CCM'], resume: first.client.session! });
  await until(() => again.isOpen);
  assert.deepEqual([again.isResumed, again.suite?.tagBytes], [false, 16]);
  await echo(await opened(connect(old)), 'old');
});

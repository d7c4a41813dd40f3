// Resumption by session ID (RFC 5246 §7.3, RFC 7627 §5.3).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alertBody } from './alert.ts';
import { contentTypes } from './record.ts';
import { deviceProof, DtlsStand } from './testing/dtls-stand.ts';
import type { TestClient, TestClientOptions } from './testing/test-client.ts';

function resumed(stand: DtlsStand, before: TestClient, options: Partial<TestClientOptions> = {}): TestClient {
  return stand.connect({ ...before.options, ...options, resume: before.session! });
}

test('a session is resumed with the identity it began with, without asking again', () => {
  const stand = new DtlsStand();
  stand.admit = () => ({ ok: true, subject: 'device 7' });
  const first = stand.connect({ proof: deviceProof });
  const { identity } = stand.last('opened');
  const client = resumed(stand, first);
  assert.ok(client.isResumed);
  assert.equal(stand.of('certificateWanted').length, 1);
  const opened = stand.last('opened');
  assert.ok(opened.isResumed);
  assert.deepEqual(opened.identity, identity);
  stand.deliver(client.seal(Buffer.from('again')));
  assert.deepEqual(stand.last('data').bytes, Buffer.from('again'));
  stand.take(stand.endpoint.send(opened.session, Buffer.from('too'), stand.now));
  stand.exchange(client);
  assert.deepEqual(client.data, [Buffer.from('too')]);
  assert.equal(stand.endpoint.counters.resumed, 1);
});

test('data that overtakes the Finished of a resumed session is not lost', () => {
  const stand = new DtlsStand();
  const first = stand.connect({ cid: Buffer.of(1) });
  const client = stand.client({ cid: Buffer.of(1), resume: first.session! });
  client.start(stand.now);
  for (let i = 0; i < 2; i++) {
    for (const datagram of client.takeOut()) stand.deliver(datagram);
    for (const datagram of stand.fetch()) client.receive(datagram, stand.now);
  }
  const finished = client.takeOut();
  stand.deliver(client.seal(Buffer.from('early')));
  assert.deepEqual(stand.of('data'), []);
  for (const datagram of finished) stand.deliver(datagram);
  assert.deepEqual(stand.last('data').bytes, Buffer.from('early'));
});

const refusals: readonly [string, (stand: DtlsStand, first: TestClient) => TestClient][] = [
  ['it is forgotten', (stand, first) => (stand.endpoint.forget(({ kind }) => kind === 'certificate'), resumed(stand, first))],
  ['what proved the identity has expired', (stand, first) => (stand.pass(5001), resumed(stand, first))],
  ['the suite is not offered', (stand, first) => resumed(stand, first, { suites: ['ECDHE-ECDSA-AES128-CCM8'] })],
  ['another name is asked for', (stand, first) => resumed(stand, first, { serverName: 'other.example' })],
  ['the ID is another', (stand, first) => stand.connect({ ...first.options, resume: { ...first.session!, id: Buffer.alloc(32, 9) } })],
  ['resumption is switched off', (stand, first) => (stand.reconfigure({ resumption: false }), resumed(stand, first))],
];

for (const [why, again] of refusals) {
  test(`a full handshake follows when ${why}`, () => {
    const stand = new DtlsStand();
    stand.admit = () => ({ ok: true, validForMs: 5000 });
    const first = stand.connect({ proof: deviceProof, suites: ['ECDHE-ECDSA-AES128-CCM', 'ECDHE-ECDSA-AES128-CCM8'] });
    const client = again(stand, first);
    assert.equal(client.state, 'open');
    assert.ok(!client.isResumed);
    assert.equal(stand.of('certificateWanted').length, 2);
  });
}

test('who once came in without certificate does not where one is required since', () => {
  const stand = new DtlsStand();
  const first = stand.connect({ suites: ['ECDHE-ECDSA-AES128-CCM'] });
  stand.reconfigure({ clientCertificate: 'require' });
  const client = resumed(stand, first);
  assert.ok(!client.isResumed);
  assert.equal(client.alerts[0]?.code, 40);
});

test('without extended master secret where there was one before, it is refused as an attack', () => {
  const stand = new DtlsStand({ requireExtendedMasterSecret: false });
  const client = resumed(stand, stand.connect(), { hasExtendedMasterSecret: false });
  assert.deepEqual(client.alerts, [{ code: 40, isFatal: true, isProtected: false }]);
});

test('without extended master secret there and here, the handshake is a full one (RFC 7627 §5.3)', () => {
  const stand = new DtlsStand({ requireExtendedMasterSecret: false });
  const client = resumed(stand, stand.connect({ hasExtendedMasterSecret: false }));
  assert.ok(client.isOpen && !client.isResumed);
});

test('after a fatal alert there is nothing to resume', () => {
  const stand = new DtlsStand();
  const first = stand.connect();
  stand.deliver(first.sealer!.seal(contentTypes.alert, alertBody('internal-error', 'fatal')));
  assert.equal(stand.last('closed').reason, 'alert');
  assert.ok(!resumed(stand, first).isResumed);
});

test('a client that claims a session without its key does not come in, and the session stays', () => {
  const stand = new DtlsStand();
  const first = stand.connect({ proof: deviceProof });
  const other = new DtlsStand({ seed: 2 }).connect({ proof: deviceProof });
  const thief = stand.connect({ resume: { id: first.session!.id, master: other.session!.master } }, { address: '203.0.113.1', port: 9 });
  assert.ok(!thief.isOpen);
  assert.equal(stand.of('opened').length, 1);
  assert.ok(resumed(stand, first).isResumed);
});

test('the cache holds no more than it may, the oldest goes', () => {
  const stand = new DtlsStand({ limits: { resumptions: 2 } });
  const clients = [1, 2, 3].map((port) => stand.connect({}, { address: '192.0.2.1', port }));
  assert.equal(stand.endpoint.counters.resumptionEntries, 2);
  assert.deepEqual(
    clients.toReversed().map((client) => resumed(stand, client).isResumed),
    [true, true, false],
  );
});

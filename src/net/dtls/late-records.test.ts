// Records that an open session, or one that is nearly open, must not take for what they seem.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fragmentOf, fragmentsIn, messageTypes } from './handshake-message.ts';
import { contentTypes } from './record.ts';
import { schemeFor } from './signature-schemes.ts';
import { DtlsStand } from './testing/dtls-stand.ts';

const cid = Buffer.from('beef', 'hex');
const elsewhere = { address: '198.51.100.9', port: 1234 };

test('a Finished that is replayed brings no answer', () => {
  const stand = new DtlsStand();
  const client = stand.client({ isManual: true, suites: ['PSK-AES128-CCM8'] });
  client.start(stand.now);
  stand.exchange(client);
  stand.deliver(client.clearMessage(client.keyExchange()));
  const finished = client.sealMessage(client.finished());
  stand.deliver(finished);
  assert.equal(stand.fetch().length, 1);
  stand.deliver(finished);
  assert.deepEqual(stand.fetch(), []);
  assert.equal(stand.endpoint.counters.dropped.replayed, 1);
});

test('a record with the epoch of another is not taken, with and without Connection ID', () => {
  for (const options of [{}, { cid }]) {
    const stand = new DtlsStand();
    const client = stand.connect(options);
    const record = client.seal(Buffer.from('x'));
    const other = Buffer.from(record);
    other[4] = 2;
    stand.deliver(other);
    assert.deepEqual(stand.of('data'), []);
    stand.deliver(record);
    assert.equal(stand.of('data').length, 1);
  }
});

test('more than 2^14 bytes in a record are not taken, and none are no data', () => {
  const stand = new DtlsStand();
  const client = stand.connect();
  stand.deliver(client.seal(Buffer.alloc(16_385)));
  stand.deliver(client.seal(new Uint8Array()));
  assert.deepEqual(stand.of('data'), []);
  stand.deliver(client.seal(Buffer.alloc(16_384)));
  assert.equal(stand.last('data').bytes.length, 16_384);
});

test('an alert that is none changes nothing', () => {
  const stand = new DtlsStand();
  const client = stand.connect();
  for (const body of [Buffer.of(2), Buffer.of(2, 0, 0), Buffer.alloc(0)]) stand.deliver(client.sealer!.seal(contentTypes.alert, body));
  assert.deepEqual(stand.of('closed'), []);
});

test('a session that has moved has nothing more to do with the address it left', () => {
  const stand = new DtlsStand();
  const first = stand.connect({ cid, suites: ['PSK-AES128-CCM8'] });
  stand.deliver(first.seal(Buffer.from('moved')), elsewhere);
  stand.connect({ cid, suites: ['PSK-AES128-CCM8'] });
  assert.deepEqual(stand.of('closed'), []);
  assert.equal(stand.endpoint.counters.sessions, 2);
});

test('with a Connection ID a peer may be silent for longer', () => {
  const stand = new DtlsStand({ limits: { idleMs: 1000, idleWithCidMs: 5000 } });
  stand.connect({ cid });
  stand.pass(4999);
  assert.deepEqual(stand.of('closed'), []);
  stand.pass(1);
  assert.equal(stand.last('closed').reason, 'idle');
});

test('a client that begins anew before it has finished leaves one handshake behind, not two', () => {
  const stand = new DtlsStand();
  stand.connect({ isManual: true });
  stand.connect({ isManual: true });
  assert.equal(stand.endpoint.counters.handshakesPending, 1);
  stand.pass(61_000);
  assert.equal(stand.endpoint.counters.failed.timeout, 1);
});

test('an identity that is too long is nobody’s, and nobody is asked', () => {
  const stand = new DtlsStand();
  const client = stand.connect({ psk: { identity: 'x'.repeat(513), key: Buffer.of(1) }, suites: ['PSK-AES128-CCM8'] });
  assert.equal(client.alerts[0]?.code, 115);
  assert.deepEqual(stand.of('pskWanted'), []);
});

test('in a handshake that resumes, the server’s alert is protected', () => {
  const stand = new DtlsStand();
  const first = stand.connect();
  const client = stand.client({ resume: first.session! });
  client.start(stand.now);
  for (let i = 0; i < 2; i++) {
    for (const datagram of client.takeOut()) stand.deliver(datagram);
    for (const datagram of stand.fetch()) client.receive(datagram, stand.now);
  }
  client.takeOut();
  stand.deliver(client.sealMessage({ type: messageTypes.certificate, sequence: 2, body: Buffer.alloc(3) }));
  for (const datagram of stand.fetch()) client.receive(datagram, stand.now);
  assert.deepEqual(client.alerts, [{ code: 10, isFatal: true, isProtected: true }]);
});

test('a session without extended master secret is not resumed with it (RFC 7627 §5.3)', () => {
  const stand = new DtlsStand({ requireExtendedMasterSecret: false });
  const first = stand.connect({ hasExtendedMasterSecret: false });
  const client = stand.connect({ resume: first.session! });
  assert.equal(client.state, 'open');
  assert.ok(!client.isResumed);
});

test('fragments that reach beyond their message, or beyond their record, are malformed', () => {
  const good = fragmentOf(messageTypes.finished, 3, Buffer.from('abcdef'), 2, 6);
  assert.deepEqual(fragmentsIn(good), [{ type: 20, length: 6, sequence: 3, offset: 2, bytes: Buffer.from('cdef') }]);
  const beyond = Buffer.from(good);
  beyond[8] = 3;
  assert.equal(fragmentsIn(beyond), undefined);
  for (let i = 1; i < good.length; i++) assert.equal(fragmentsIn(good.subarray(0, i)), undefined);
});

test('a server with an RSA key does not sign by PSS, which TLS 1.2 clients rarely know', () => {
  assert.equal(schemeFor('rsa', [0x0804]), undefined);
  assert.equal(schemeFor('rsa', [0x0804, 0x0401])?.code, 0x0401);
  assert.equal(schemeFor('ec', undefined)?.code, 0x0403);
});

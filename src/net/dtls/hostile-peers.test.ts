// What others may try: hellos of all kinds, cookies of others, devices that begin anew, renegotiation, too many handshakes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alertBody } from './alert.ts';
import { fragmentOf, messageTypes } from './handshake-message.ts';
import { contentTypes, dtls12, plainRecord } from './record.ts';
import { clientAddress, deviceProof, DtlsStand } from './testing/dtls-stand.ts';
import type { TestClient, TestClientOptions } from './testing/test-client.ts';

const elsewhere = { address: '203.0.113.66', port: 6666 };

/** The two hellos of a client, without and with cookie. */
function hellos(stand: DtlsStand, options: Partial<TestClientOptions> = {}): { client: TestClient; first: Buffer; second: Buffer[] } {
  const client = stand.client(options);
  client.start(stand.now);
  const [first] = client.takeOut();
  stand.deliver(first!);
  for (const datagram of stand.fetch()) client.receive(datagram, stand.now);
  return { client, first: first!, second: client.takeOut() };
}

test('a cookie of another address is worth nothing: its sender only gets one of his own', () => {
  const stand = new DtlsStand();
  const { second } = hellos(stand);
  stand.deliver(second[0]!, elsewhere);
  assert.equal(stand.endpoint.counters.handshakesPending, 0);
  const [answer, ...more] = stand.fetch(elsewhere);
  assert.equal(answer![13], messageTypes.helloVerifyRequest);
  assert.deepEqual(more, []);
});

test('a cookie that is too old is answered with a new one, and the client goes on', () => {
  const stand = new DtlsStand();
  const { client, second } = hellos(stand);
  stand.pass(300_000);
  stand.deliver(second[0]!);
  const [answer] = stand.fetch();
  assert.equal(answer![13], messageTypes.helloVerifyRequest);
  // The number of the message is that of the hello it answers.
  assert.equal(answer!.readUInt16BE(17), 1);
  assert.equal(client.state, 'hello');
});

test('before a cookie the server sends less than it gets, whatever comes', () => {
  const stand = new DtlsStand();
  const { first, second } = hellos(stand);
  const cut = [first, second[0]!].flatMap((hello) => Array.from({ length: hello.length }, (_, i) => hello.subarray(0, i)));
  for (const datagram of [...cut, first]) {
    stand.deliver(datagram, elsewhere);
    const answered = stand.fetch(elsewhere).reduce((sum, { length }) => sum + length, 0);
    assert.ok(answered <= datagram.length, `${answered} for ${datagram.length}`);
  }
  assert.equal(stand.endpoint.counters.handshakesPending, 0);
});

test('a hello in pieces is taken only with a cookie in the first', () => {
  const stand = new DtlsStand();
  const client = stand.client({ mtu: 120 });
  client.start(stand.now);
  for (const datagram of client.takeOut()) stand.deliver(datagram);
  assert.deepEqual(stand.fetch(), []);
  assert.ok(stand.endpoint.counters.dropped['fragmented-hello'] >= 2);

  const body = client.helloBody(new Uint8Array());
  stand.deliver(client.clearMessage({ type: messageTypes.clientHello, sequence: 0, body }));
  const cookie = stand.fetch()[0]!.subarray(-16);
  const again = client.helloBody(cookie);
  for (let at = 0; at < again.length; at += 90) {
    const piece = fragmentOf(messageTypes.clientHello, 1, again, at, Math.min(again.length, at + 90));
    stand.deliver(client.clear(contentTypes.handshake, piece));
  }
  assert.equal(stand.fetch()[0]![13], messageTypes.serverHello);
});

test('a hello that is too long is not taken', () => {
  const stand = new DtlsStand();
  const { client } = hellos(stand);
  const header = fragmentOf(messageTypes.clientHello, 1, Buffer.alloc(20_000), 0, 100);
  stand.deliver(client.clear(contentTypes.handshake, header));
  assert.equal(stand.endpoint.counters.handshakesPending, 0);
  const long = new DtlsStand();
  const opened = long.connect({ padding: 8000, mtu: 16_000 });
  assert.equal(opened.state, 'open', 'a long one in one datagram is');
});

test('a hello with a good cookie and a number that leaves none for the handshake is dropped', () => {
  for (const sequence of [256, 65_535]) {
    const stand = new DtlsStand();
    const client = stand.client();
    stand.deliver(client.clearMessage({ type: messageTypes.clientHello, sequence: 0, body: client.helloBody(new Uint8Array()) }));
    const body = client.helloBody(stand.fetch()[0]!.subarray(-16));
    stand.deliver(client.clearMessage({ type: messageTypes.clientHello, sequence, body }));
    assert.deepEqual(stand.fetch(), []);
    assert.equal(stand.endpoint.counters.dropped.malformed, 1);
    assert.equal(stand.endpoint.counters.handshakesPending, 0);
  }
});

test('overlapping fragments that contradict each other do not open a session, nor hurt', () => {
  const stand = new DtlsStand();
  const client = stand.client({ proof: deviceProof, isManual: true });
  client.start(stand.now);
  stand.exchange(client);
  const { body, type, sequence } = client.certificate();
  const half = body.length >> 1;
  stand.deliver(client.clear(contentTypes.handshake, fragmentOf(type, sequence, body, 0, half + 20)));
  const other = Buffer.from(body).fill(0xee, half);
  stand.deliver(client.clear(contentTypes.handshake, fragmentOf(type, sequence, other, half, body.length)));
  for (const message of [client.keyExchange(), client.certificateVerify()]) stand.deliver(client.clearMessage(message));
  stand.deliver(client.sealMessage(client.finished()));
  assert.deepEqual(stand.of('opened'), []);
});

test('a repeated hello of an open session opens no ghost of a handshake', () => {
  const stand = new DtlsStand();
  const { client, second } = hellos(stand);
  for (const datagram of second) stand.deliver(datagram);
  for (const datagram of stand.fetch()) client.receive(datagram, stand.now);
  stand.exchange(client);
  assert.equal(client.state, 'open');
  stand.deliver(second[0]!);
  assert.deepEqual(stand.fetch(), []);
  assert.equal(stand.endpoint.counters.handshakesPending, 0);
  assert.equal(stand.endpoint.counters.dropped['repeated-hello'], 1);
});

test('a device that was switched off and on begins anew at its address; its session lives until the new one is proved', () => {
  const stand = new DtlsStand();
  const before = stand.connect();
  const { session } = stand.last('opened');
  const { client, second } = hellos(stand);
  for (const datagram of second) stand.deliver(datagram);
  const flight = stand.fetch();
  stand.deliver(before.seal(Buffer.from('still here')));
  assert.deepEqual(stand.last('data').bytes, Buffer.from('still here'));
  for (const datagram of flight) client.receive(datagram, stand.now);
  stand.exchange(client);
  assert.equal(client.state, 'open');
  assert.deepEqual(stand.of('closed'), [{ kind: 'closed', session, reason: 'replaced' }]);
  assert.deepEqual(
    stand.effects.filter(({ kind }) => kind === 'closed' || kind === 'opened').map(({ kind }) => kind),
    ['opened', 'closed', 'opened'],
  );
  stand.deliver(client.seal(Buffer.from('anew')));
  assert.deepEqual(stand.last('data').bytes, Buffer.from('anew'));
});

test('somebody at the same address who cannot finish does not end the session', () => {
  const stand = new DtlsStand();
  const before = stand.connect();
  const thief = stand.connect({ psk: { identity: 'device', key: Buffer.from('guess') }, suites: ['PSK-AES128-CCM8'] });
  assert.ok(!thief.isOpen);
  stand.pass(61_000);
  assert.equal(stand.last('failed').reason, 'psk');
  stand.deliver(before.seal(Buffer.from('still here')));
  assert.equal(stand.of('data').length, 1);
  assert.deepEqual(stand.of('closed'), []);
});

test('what comes in clear never touches an open session', () => {
  const stand = new DtlsStand();
  const client = stand.connect();
  for (const type of [20, 21, 22, 23]) {
    for (const body of [alertBody('internal-error', 'fatal'), alertBody('close-notify', 'warning'), Buffer.alloc(40), Buffer.alloc(0)]) {
      stand.deliver(plainRecord(type, dtls12, 99, body));
    }
  }
  assert.deepEqual(stand.fetch(), []);
  assert.deepEqual(stand.of('closed'), []);
  stand.deliver(client.seal(Buffer.from('on')));
  assert.equal(stand.of('data').length, 1);
});

test('renegotiation is refused with no_renegotiation, and the session goes on', () => {
  const stand = new DtlsStand();
  const client = stand.connect();
  stand.deliver(client.sealMessage({ type: messageTypes.clientHello, sequence: 0, body: client.helloBody(new Uint8Array()) }));
  stand.exchange(client);
  assert.deepEqual(client.alerts, [{ code: 100, isFatal: false, isProtected: true }]);
  assert.equal(stand.endpoint.counters.renegotiationsRefused, 1);
  stand.deliver(client.seal(Buffer.from('on')));
  assert.equal(stand.of('data').length, 1);
});

test('a replayed record is dropped and counted', () => {
  const stand = new DtlsStand();
  const client = stand.connect();
  const record = client.seal(Buffer.from('once'));
  stand.deliver(record);
  stand.deliver(record);
  assert.equal(stand.of('data').length, 1);
  assert.equal(stand.endpoint.counters.dropped.replayed, 1);
});

test('several records in one datagram are all taken, up to one that is none', () => {
  const stand = new DtlsStand();
  const client = stand.connect();
  const records = ['a', 'b', 'c'].map((text) => client.seal(Buffer.from(text)));
  stand.deliver(Buffer.concat([records[0]!, records[1]!, Buffer.from('junk'), records[2]!]));
  assert.equal(stand.of('data').length, 2);
  assert.equal(stand.endpoint.counters.dropped.malformed, 1);
});

test('too many handshakes: those beyond are dropped and may try again; so it is by host', () => {
  for (const [limits, expected] of [
    [{ pendingHandshakes: 3 }, 3],
    [{ pendingPerHost: 2 }, 2],
  ] as const) {
    const stand = new DtlsStand({ limits });
    const begun = [1, 2, 3, 4, 5].map((port) => stand.connect({ isManual: true }, { address: '192.0.2.1', port }));
    assert.equal(stand.endpoint.counters.handshakesPending, expected);
    assert.equal(stand.endpoint.counters.dropped.full, 5 - expected);
    stand.pass(61_000);
    assert.equal(stand.endpoint.counters.handshakesPending, 0);
    assert.equal(stand.endpoint.counters.failed.timeout, expected);
    assert.equal(stand.connect({}, { address: '192.0.2.1', port: 9 }).state, 'open');
    assert.equal(begun.length, 5);
  }
});

test('all addresses of an IPv6 network are one host; those mapped from IPv4 are not', () => {
  for (const [address, expected] of [
    [(i: number) => `2001:db8:1:2:${i}::1`, 2],
    [(i: number) => `::ffff:192.0.2.${i}`, 5],
  ] as const) {
    const stand = new DtlsStand({ limits: { pendingPerHost: 2 } });
    for (const i of [1, 2, 3, 4, 5]) stand.connect({ isManual: true }, { address: address(i), port: 7 });
    assert.equal(stand.endpoint.counters.handshakesPending, expected, address(1));
  }
});

test('a host begins so many handshakes a second, also when it forgets those before; others are not held up', () => {
  const stand = new DtlsStand({ limits: { handshakesPerHostAndSecond: 3 } });
  for (let i = 0; i < 5; i++) stand.connect({ isManual: true });
  const { counters } = stand.endpoint;
  assert.equal(counters.dropped['too-fast'], 2);
  assert.equal(stand.connect({}, elsewhere).state, 'open');
  stand.pass(1000);
  assert.equal(stand.connect().state, 'open');
});

test('where handshakes keep much in all, only small ones go on', () => {
  const stand = new DtlsStand({ limits: { allHandshakeBytes: 30_000 } });
  const { counters } = stand.endpoint;
  const ports = [1, 2, 3, 4, 5];
  for (const port of ports) {
    const from = { address: '192.0.2.1', port };
    const client = stand.connect({ isManual: true }, from);
    // Messages that are not due yet, of which a byte is missing.
    for (const sequence of [4, 5]) {
      const message = fragmentOf(messageTypes.certificate, sequence, Buffer.alloc(7000), 0, 6999);
      stand.deliver(client.clear(contentTypes.handshake, message), from);
    }
  }
  assert.ok(counters.handshakeBytes <= 30_000 + ports.length * 8192, String(counters.handshakeBytes));
  assert.ok(counters.dropped['bad-fragment'] > 0);
  assert.equal(stand.connect({ proof: deviceProof }, elsewhere).state, 'open');
  stand.pass(61_000);
  assert.equal(counters.handshakeBytes, 0);
});

test('no more sessions than may be', () => {
  const stand = new DtlsStand({ limits: { sessions: 1 } });
  assert.equal(stand.connect().state, 'open');
  assert.equal(stand.connect({}, elsewhere).state, 'hello');
  assert.equal(stand.endpoint.counters.dropped.full, 1);
});

test('one identity has no more sessions than it may: the oldest is closed; so it is with hosts without identity', () => {
  for (const options of [{ suites: ['PSK-AES128-CCM8'], cid: Buffer.of(1) }, { suites: ['ECDHE-ECDSA-AES128-CCM'] }] as const) {
    const stand = new DtlsStand({ limits: { sessionsPerPeer: 2 } });
    const clients = [1, 2, 3].map((port) => stand.connect(options, { address: '192.0.2.1', port }));
    assert.deepEqual(stand.of('closed'), [{ kind: 'closed', session: 1, reason: 'replaced' }]);
    stand.exchange(clients[0]!, { address: '192.0.2.1', port: 1 });
    assert.equal(clients[0]!.state, 'closed', 'and is told');
    stand.take(stand.endpoint.close(2, stand.now));
    assert.equal(stand.connect(options, { address: '192.0.2.1', port: 4 }).state, 'open');
    assert.equal(stand.of('closed').length, 2);
    assert.equal(stand.endpoint.counters.sessions, 2);
  }
});

test('a session that is closed counts no more', () => {
  const stand = new DtlsStand({ limits: { sessionsPerPeer: 1 } });
  for (const _round of [1, 2, 3]) {
    assert.equal(stand.connect().state, 'open');
    stand.take(stand.endpoint.close(stand.last('opened').session, stand.now));
    stand.fetch();
  }
  assert.deepEqual(
    stand.of('closed').map(({ reason }) => reason),
    ['local', 'local', 'local'],
  );
});

test('of records that come before their keys only a few are kept', () => {
  const stand = new DtlsStand();
  const client = stand.client({ isManual: true });
  client.start(stand.now);
  stand.exchange(client);
  const early = client.clear(contentTypes.handshake, Buffer.alloc(40));
  early[4] = 1;
  for (let i = 0; i < 20; i++) stand.deliver(early);
  assert.equal(stand.endpoint.counters.dropped.unexpected, 12);
});

test('a handshake keeps no more bytes than it may', () => {
  const stand = new DtlsStand({ limits: { handshakeBytes: 4000 } });
  const client = stand.client({ isManual: true, suites: ['ECDHE-ECDSA-AES128-CCM'] });
  client.start(stand.now);
  stand.exchange(client);
  for (let i = 0; i < 20; i++) {
    const piece = fragmentOf(messageTypes.certificate, client.nextSequence, Buffer.alloc(16_000), i * 700, (i + 1) * 700);
    stand.deliver(client.clear(contentTypes.handshake, piece));
  }
  // Its own messages, a good thousand bytes, count, too.
  assert.equal(stand.endpoint.counters.dropped['bad-fragment'], 16);
});

test('closing all says goodbye to everybody and leaves nothing', () => {
  const stand = new DtlsStand();
  const client = stand.connect();
  stand.connect({ isManual: true }, elsewhere);
  stand.fetch(elsewhere);
  stand.take(stand.endpoint.closeAll(stand.now));
  stand.exchange(client);
  assert.equal(client.state, 'closed');
  assert.equal(stand.endpoint.nextDeadline(), Infinity);
  assert.equal(stand.endpoint.counters.handshakesPending, 0);
  assert.deepEqual(stand.endpoint.send(1, Buffer.of(1), stand.now), []);
  assert.equal(stand.endpoint.addressOf(1), undefined);
});

test('the server’s flight is sent again with back-off until the time is up, its last message in a datagram of its own', () => {
  const stand = new DtlsStand();
  const client = stand.client({ isManual: true });
  client.start(stand.now);
  for (const datagram of client.takeOut()) stand.deliver(datagram);
  for (const datagram of stand.fetch()) client.receive(datagram, stand.now);
  for (const datagram of client.takeOut()) stand.deliver(datagram);
  assert.equal(stand.fetch().length, 1);
  const times: number[] = [];
  const start = stand.now;
  for (let ms = 0; ms < 70_000; ms += 100) {
    stand.pass(100);
    const sent = stand.fetch(clientAddress);
    if (sent.length === 0) continue;
    times.push((stand.now - start) / 1000);
    assert.equal(sent.at(-1)!.length, 25, 'ServerHelloDone alone');
  }
  assert.deepEqual(times, [1, 3, 7, 15, 31, 47]);
  assert.equal(stand.last('failed').reason, 'timeout');
});

test('a client that repeats its hello is answered again, but not as often as it likes', () => {
  const stand = new DtlsStand();
  const { second } = hellos(stand);
  stand.deliver(second[0]!);
  assert.equal(stand.fetch().length, 1);
  stand.deliver(second[0]!);
  assert.deepEqual(stand.fetch(), [], 'too soon');
  let sent = 0;
  for (let i = 0; i < 100; i++) {
    stand.now += 250;
    stand.deliver(second[0]!);
    if (stand.fetch().length > 0) sent++;
  }
  assert.ok(sent > 5 && sent <= 12, `${sent}`);
});

// Connection IDs (RFC 9146): who moves, who does not, and what must carry one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientAddress, devicePsk, deviceProof, DtlsStand } from './testing/dtls-stand.ts';
import { contentTypes } from './record.ts';

const elsewhere = { address: '198.51.100.9', port: 1234 };
const cid = Buffer.from('beef', 'hex');

for (const [what, own] of [
  ['one of its own', cid],
  ['none for itself', Buffer.alloc(0)],
] as const) {
  test(`a client that wants ${what}: data both ways, and it may move`, () => {
    const stand = new DtlsStand();
    const client = stand.connect({ cid: own });
    const { session, hasCid } = stand.last('opened');
    assert.ok(hasCid);
    const record = client.seal(Buffer.from('from elsewhere'));
    assert.equal(record[0], contentTypes.tls12Cid);
    stand.deliver(record, elsewhere);
    assert.deepEqual(
      stand.effects.slice(-2).map(({ kind }) => kind),
      ['moved', 'data'],
    );
    assert.deepEqual(stand.last('moved'), { kind: 'moved', session, to: elsewhere });
    stand.take(stand.endpoint.send(session, Buffer.from('back'), stand.now));
    assert.deepEqual(stand.fetch(clientAddress), []);
    const [back] = stand.fetch(elsewhere);
    assert.equal(back![0], own.length > 0 ? contentTypes.tls12Cid : contentTypes.applicationData);
    client.receive(back!, stand.now);
    assert.deepEqual(client.data, [Buffer.from('back')]);
    assert.equal(stand.endpoint.counters.moves, 1);
  });
}

test('only the newest record moves its peer: an older one is taken, but from where it was sent nobody is answered', () => {
  const stand = new DtlsStand();
  const client = stand.connect({ cid });
  const { session } = stand.last('opened');
  const [older, newer] = [client.seal(Buffer.from('older')), client.seal(Buffer.from('newer'))];
  stand.deliver(newer);
  stand.deliver(older, elsewhere);
  assert.deepEqual(
    stand.of('data').map(({ bytes }) => Buffer.from(bytes).toString()),
    ['newer', 'older'],
  );
  assert.deepEqual(stand.endpoint.addressOf(session), clientAddress);
});

test('a replayed or forged record moves nobody', () => {
  const stand = new DtlsStand();
  const client = stand.connect({ cid });
  const record = client.seal(Buffer.from('once'));
  stand.deliver(record);
  stand.deliver(record, elsewhere);
  const forged = client.seal(Buffer.from('forged'));
  forged[forged.length - 1]! ^= 1;
  stand.deliver(forged, elsewhere);
  assert.deepEqual(stand.of('moved'), []);
  assert.equal(stand.endpoint.counters.dropped.replayed, 1);
  assert.equal(stand.endpoint.counters.dropped['bad-record'], 1);
});

test('once agreed on, records without Connection ID are not taken', () => {
  const stand = new DtlsStand();
  const client = stand.connect({ cid });
  const record = client.seal(Buffer.from('with'));
  const plain = Buffer.concat([Buffer.of(contentTypes.applicationData), record.subarray(1, 11), record.subarray(17)]);
  stand.deliver(plain);
  assert.deepEqual(stand.of('data'), []);
  assert.equal(stand.endpoint.counters.dropped['without-cid'], 1);
  stand.deliver(record);
  assert.equal(stand.of('data').length, 1);
});

test('an unknown Connection ID is nobody’s', () => {
  const stand = new DtlsStand();
  const client = stand.connect({ cid });
  const record = client.seal(Buffer.from('x'));
  record[11]! ^= 1;
  stand.deliver(record);
  assert.equal(stand.endpoint.counters.dropped['unknown-peer'], 1);
});

test('a client that knows no Connection IDs stays at its address, and so does one when the server offers none', () => {
  for (const [settings, options] of [
    [{}, {}],
    [{ connectionIds: false }, { cid }],
  ] as const) {
    const stand = new DtlsStand(settings);
    const client = stand.connect(options);
    assert.equal(client.state, 'open');
    assert.ok(!stand.last('opened').hasCid);
    stand.deliver(client.seal(Buffer.from('x')), elsewhere);
    assert.deepEqual(stand.of('data'), []);
  }
});

test('another device may come by an address that a session with Connection ID has left without a word; both live on', () => {
  const stand = new DtlsStand();
  const first = stand.connect({ cid });
  const second = stand.connect({ cid, proof: deviceProof });
  assert.equal(second.state, 'open');
  assert.deepEqual(stand.of('closed'), []);
  stand.deliver(first.seal(Buffer.from('first')), elsewhere);
  stand.deliver(second.seal(Buffer.from('second')));
  assert.deepEqual(
    stand.of('data').map(({ bytes }) => Buffer.from(bytes).toString()),
    ['first', 'second'],
  );
});

test('a device that begins anew at its address replaces itself', () => {
  const stand = new DtlsStand();
  stand.connect({ cid, suites: ['PSK-AES128-CCM8'] });
  const { session } = stand.last('opened');
  stand.connect({ cid, suites: ['PSK-AES128-CCM8'] });
  assert.deepEqual(stand.of('closed'), [{ kind: 'closed', session, reason: 'replaced' }]);
  assert.equal(stand.endpoint.counters.sessions, 1);
});

test('who moves to the address of one without Connection ID leaves it to him', () => {
  const stand = new DtlsStand();
  const settled = stand.connect({ suites: ['PSK-AES128-CCM8'], psk: devicePsk }, elsewhere);
  const mover = stand.connect({ cid });
  stand.deliver(mover.seal(Buffer.from('moved')), elsewhere);
  stand.deliver(settled.seal(Buffer.from('settled')), elsewhere);
  assert.deepEqual(
    stand.of('data').map(({ bytes }) => Buffer.from(bytes).toString()),
    ['moved', 'settled'],
  );
});

test('in a handshake nobody moves', () => {
  const stand = new DtlsStand();
  const client = stand.client({ cid });
  client.start(stand.now);
  for (let i = 0; i < 2; i++) {
    for (const datagram of client.takeOut()) stand.deliver(datagram);
    for (const datagram of stand.fetch()) client.receive(datagram, stand.now);
  }
  const flight = client.takeOut();
  // All but Finished came from the right address.
  for (const datagram of flight) stand.deliver(datagram.subarray(0, datagram.lastIndexOf(contentTypes.tls12Cid)));
  for (const datagram of flight) stand.deliver(datagram, elsewhere);
  assert.deepEqual(stand.of('opened'), []);
  assert.deepEqual(stand.fetch(elsewhere), []);
  for (const datagram of flight) stand.deliver(datagram);
  assert.equal(stand.of('opened').length, 1);
});

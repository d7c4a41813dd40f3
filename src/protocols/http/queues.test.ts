import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeSequence } from 'cbor2';
import { assertBooks } from '../../broker/testing/test-broker.ts';
import { HttpTest, securityWith, type FakeExchange, type FakePeer } from './testing/fake-exchange.ts';

function send(peer: FakePeer, ...payloads: string[]): void {
  for (const payload of payloads) assert.equal(peer.send('POST', '/v1/queues/q', {}, payload).status, 202);
}

type Item = { readonly payload: string; readonly delivery: string; readonly deliveryCount?: number };

function itemsOf(exchange: FakeExchange): Item[] {
  assert.equal(exchange.status, 200);
  return exchange.json['messages'] as Item[];
}

describe('queues by HTTP', () => {
  it('are received from, and settled by another connection', async () => {
    const t = await HttpTest.start();
    const peer = t.connect();
    send(peer, '1', '2', '3');
    const got = itemsOf(peer.send('POST', '/v1/queues/q/receive?max=2'));
    assert.deepEqual(
      got.map(({ payload }) => payload),
      ['1', '2'],
    );
    peer.close();
    const other = t.connect();
    assert.equal(other.send('POST', `/v1/queues/q/ack?delivery=${got[0]!.delivery}`).status, 204);
    const again = other.send('POST', `/v1/queues/q/ack?delivery=${got[0]!.delivery}`);
    assert.equal(again.status, 404);
    assert.deepEqual(again.json['deliveries'], [got[0]!.delivery]);
    const body = JSON.stringify({ deliveries: [got[1]!.delivery] });
    assert.equal(other.send('POST', '/v1/queues/q/nack', { 'Content-Type': 'application/json' }, body).status, 204);
    const rest = itemsOf(other.send('POST', '/v1/queues/q/receive?max=10'));
    assert.deepEqual(
      rest.map(({ payload }) => payload),
      ['2', '3'],
    );
    assertBooks(t.broker);
  });

  it('give a message back when its lease ends, and bury it in the end', async () => {
    const t = await HttpTest.start({ limits: { maxDeliveries: 2 } });
    const peer = t.connect();
    send(peer, 'poison');
    const first = itemsOf(peer.send('POST', '/v1/queues/q/receive?lease=5s'));
    assert.equal(peer.send('POST', '/v1/queues/q/receive').status, undefined);
    t.advance(5000);
    const [second] = itemsOf(peer.send('POST', '/v1/queues/q/receive?lease=5s&wait=10s'));
    void second;
    assert.equal(peer.send('POST', `/v1/queues/q/ack?delivery=${first[0]!.delivery}`).status, 404);
    t.advance(5000);
    const [dead] = itemsOf(peer.send('POST', '/v1/queues/dead-letter/receive'));
    assert.equal(dead!.payload, 'poison');
  });

  it('keep a message as long as its lease is renewed', async () => {
    const t = await HttpTest.start();
    const peer = t.connect();
    send(peer, 'x');
    const [item] = itemsOf(peer.send('POST', '/v1/queues/q/receive?lease=5s'));
    for (let i = 0; i < 5; i++) {
      t.advance(4000);
      assert.equal(peer.send('POST', `/v1/queues/q/renew?lease=5s&delivery=${item!.delivery}`).status, 204);
    }
    assert.equal(peer.send('POST', `/v1/queues/q/reject?reason=broken&delivery=${item!.delivery}`).status, 204);
    const raw = peer.send('POST', '/v1/queues/dead-letter/receive', { Accept: 'application/octet-stream' });
    assert.equal(raw.text, 'x');
    assert.equal(raw.headers['Death-Reason'], 'rejected');
  });

  it('wait for a message, and for no longer than they were asked', async () => {
    const t = await HttpTest.start();
    const peer = t.connect();
    const waits = peer.start('POST', '/v1/queues/q/receive?wait=20s');
    t.settle();
    assert.equal(waits.status, undefined);
    send(t.connect(), 'late');
    assert.equal(itemsOf(waits)[0]!.payload, 'late');
    const empty = peer.start('POST', '/v1/queues/q/receive?wait=20s');
    t.settle();
    t.advance(20_000);
    assert.equal(empty.status, 204);
  });

  it('take back what nobody was told of', async () => {
    const t = await HttpTest.start();
    const gone = t.connect();
    const waits = gone.start('POST', '/v1/queues/q/receive?wait=20s');
    t.settle();
    gone.close();
    send(t.connect(), 'x');
    assert.equal(waits.status, undefined);
    // Answered, but the peer was gone before it was sent.
    const other = t.connect();
    const unsent = other.send('POST', '/v1/queues/q/receive');
    itemsOf(unsent);
    unsent.close();
    t.settle();
    assert.equal(itemsOf(t.connect().send('POST', '/v1/queues/q/receive'))[0]!.payload, 'x');
  });

  it('answer in lines and in CBOR', async () => {
    const t = await HttpTest.start();
    const peer = t.connect();
    send(peer, '1', '2', '3');
    const lines = peer.send('POST', '/v1/queues/q/receive?max=2', { Accept: 'application/x-ndjson' });
    assert.deepEqual(
      lines.text
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as Item).payload),
      ['1', '2'],
    );
    const cbor = peer.send('POST', '/v1/queues/q/receive?max=2', { Accept: 'application/cbor-seq' });
    const [value] = [...decodeSequence(cbor.bytes)] as { payload: Uint8Array }[];
    assert.equal(Buffer.from(value!.payload).toString(), '3');
  });

  it('are bounded in leases, and lose them on a restart, not the messages', async () => {
    const t = await HttpTest.start({ http: { maxLeases: 2 } });
    const peer = t.connect();
    send(peer, '1', '2', '3');
    const got = itemsOf(peer.send('POST', '/v1/queues/q/receive?max=10'));
    assert.equal(got.length, 2);
    const more = peer.start('POST', '/v1/queues/q/receive');
    t.settle();
    t.advance(100);
    assert.equal(more.status, 204);
    const after = await t.restart({ http: { maxLeases: 10 } });
    assert.equal(after.connect().send('POST', `/v1/queues/q/ack?delivery=${got[0]!.delivery}`).status, 404);
    assert.equal(itemsOf(after.connect().send('POST', '/v1/queues/q/receive?max=10')).length, 3);
  });

  it('ask who receives for the right to, each time, and forget who is idle', async () => {
    let isAllowed = true;
    const t = await HttpTest.start({ security: securityWith({ allows: (_p, action) => action !== 'consume' || isAllowed }) });
    const peer = t.connect();
    send(peer, '1');
    const [item] = itemsOf(peer.send('POST', '/v1/queues/q/receive'));
    isAllowed = false;
    assert.equal(peer.send('POST', '/v1/queues/q/receive').status, 403);
    assert.equal(peer.send('POST', `/v1/queues/q/ack?delivery=${item!.delivery}`).status, 204);
    t.advance(11_000);
    assert.equal(t.server.counters.queueConsumers, 0);
    assert.equal(peer.send('POST', '/v1/queues/q/steal').status, 404);
    assert.equal(peer.send('POST', '/v1/queues/q/receive?max=0').status, 400);
    assert.equal(peer.send('POST', '/v1/queues/q/ack').status, 400);
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TestBroker, assertBooks } from '../testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };

/** Two shards: a session on the first that is also the member of a group on the second, with an exactly-once delivery of each. */
async function fromTwoShards() {
  const t = await TestBroker.start({ shards: 2 });
  const clientId = t.nameOn(0, 'a');
  const a = t.connect(clientId, durable);
  a.subscribe('inbox', 2);
  a.subscribe(`$share/${t.nameOn(1, 'g', '/group')}`, 2);
  const p = t.connect('p');
  p.publish('group', 'of group', 2, { token: 1 });
  p.publish('inbox', 'of inbox', 2, { token: 2 });
  const [first, second] = a.deliveries;
  assert.deepEqual(a.payloads, ['of group', 'of inbox']);
  return { t, a, clientId, first: first!.id, second: second!.id };
}

describe('releases', () => {
  test('come in the order of the receipts, whatever shard is slower [MQTT-4.6.0-4]', async () => {
    const { t, a, first, second } = await fromTwoShards();
    t.frozen.add(1);
    a.session!.settle(first, 'received');
    a.session!.settle(second, 'received');
    t.settle();
    assert.deepEqual(a.releases, []);
    t.frozen.clear();
    t.settle();
    assert.deepEqual(a.releases, [first, second]);
  });

  test('do not wait for one whose delivery is done with', async () => {
    const { t, a, first, second } = await fromTwoShards();
    t.frozen.add(1);
    a.session!.settle(first, 'received');
    a.session!.settle(second, 'received');
    t.settle();
    a.session!.settle(first, 'accepted');
    t.frozen.clear();
    t.settle();
    assert.deepEqual(a.releases, [second]);
  });

  test('come to a new connection after it was answered', async () => {
    const { t, a, clientId, first } = await fromTwoShards();
    t.frozen.add(1);
    a.session!.settle(first, 'received');
    t.settle();
    a.disconnect();
    t.frozen.add(0);
    const events: string[] = [];
    const b = t.connect(clientId, durable);
    const attached = b.attached.bind(b);
    b.attached = (...args) => (events.push('attached'), attached(...args));
    b.releaseDelivery = (id) => events.push(`release ${id === first}`);
    t.frozen.delete(1);
    t.settle();
    assert.deepEqual(events, []);
    t.frozen.delete(0);
    t.settle();
    assert.deepEqual(events, ['attached', 'release true']);
  });

  test('come to a new connection when they are durable only then', async () => {
    const { t, a, clientId, first } = await fromTwoShards();
    t.frozen.add(1);
    a.session!.settle(first, 'received');
    t.settle();
    a.disconnect();
    const b = t.connect(clientId, durable);
    assert.deepEqual(b.releases, []);
    t.frozen.clear();
    t.settle();
    assert.deepEqual(b.releases, [first]);
  });
});

describe('deliveries', () => {
  test('an exactly-once message whose time is over before it could be sent is not sent', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', durable);
    a.subscribe('x', 2);
    const p = t.connect('p');
    p.publishNow('x', 'late', 2, { token: 1, expiresAtMs: t.clock.wallMs() + 1000 });
    t.endTurn();
    t.commit();
    t.endTurn();
    t.clock.advance(2000);
    t.settle();
    assert.deepEqual(a.payloads, []);
    assert.equal(t.broker.total.expired, 1);
    assert.equal(t.broker.total.queued, 0);
    assertBooks(t);
    const t2 = await t.restart();
    assert.deepEqual(t2.connect('a', durable).payloads, []);
  });

  test('an exactly-once message that was never sent goes to another member of its group', async () => {
    const t = await TestBroker.start();
    t.connect('keeper', durable).subscribe('$share/g/x', 2);
    t.connect('keeper', durable).disconnect();
    const a = t.connect('a', { receiveMaximum: 1 });
    const b = t.connect('b', durable);
    a.subscribe('$share/g/x', 2);
    t.connect('p').publishNow('x', '1', 2, { token: 1 });
    t.endTurn();
    t.commit();
    t.endTurn();
    assert.deepEqual(a.payloads, [], 'its record is not durable yet');
    b.session!.subscribe(
      [{ filter: '$share/g/x', guarantee: 2, noLocal: false, retainAsPublished: false, retainHandling: 'never', subscriptionId: 0 }],
      1,
    );
    a.session!.detach(false);
    t.settle();
    assert.deepEqual(
      b.deliveries.map((d) => [d.payload, d.redelivered]),
      [['1', false]],
    );
    assertBooks(t);
    const t2 = await t.restart();
    assert.deepEqual(t2.connect('b', durable).payloads, ['1']);
  });

  test('thousands that two members leave behind go back to their places at once', async () => {
    const limits = { sharedQueue: { maxMessages: 1e6, maxBytes: 1e9, onFull: 'reject-new' } } as const;
    const t = await TestBroker.start({ limits });
    const members = ['a', 'b'].map((name) => t.connect(name, { ...durable, receiveMaximum: 65_535 }));
    for (const member of members) member.subscribe('$share/g/x');
    const p = t.connect('p');
    const count = 30_000;
    for (let i = 0; i < count; i++) p.publishNow('x', String(i));
    t.settle();
    assert.equal(members[0]!.deliveries.length, count / 2);
    const began = performance.now();
    for (const member of members) member.disconnect();
    const tookMs = performance.now() - began;
    assert.ok(tookMs < 1000, `${tookMs} ms`);
    const c = t.connect('c', { receiveMaximum: 65_535 });
    c.subscribe('$share/g/x');
    assert.deepEqual(
      c.payloads,
      Array.from({ length: count }, (_, i) => String(i)),
    );
  });

  test('thousands that come again one by one do so in time', async () => {
    const t = await TestBroker.start({ limits: { durableInbox: { maxMessages: 1e6, maxBytes: 1e9, onFull: 'reject-new' } } });
    const a = t.connect('a', { ...durable, receiveMaximum: 65_535 });
    a.subscribe('x');
    const p = t.connect('p');
    const count = 30_000;
    for (let i = 0; i < count; i++) p.publishNow('x', String(i));
    t.settle();
    a.disconnect();
    const b = t.connect('a', { ...durable, receiveMaximum: 1 });
    const began = performance.now();
    for (let i = 0; i < count; i++) b.session!.settle(b.deliveries[i]!.id, 'accepted');
    const tookMs = performance.now() - began;
    assert.equal(b.deliveries.length, count);
    assert.ok(tookMs < 1000, `${tookMs} ms`);
  });
});

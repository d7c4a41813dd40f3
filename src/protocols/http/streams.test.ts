import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HttpTest, securityWith } from './testing/fake-exchange.ts';

describe('streams of events', () => {
  it('deliver what is published, with last values first, encoded once for all', async () => {
    const t = await HttpTest.start();
    const publisher = t.broker.connect('publisher');
    publisher.publish('a/1', 'kept', 1, { retain: true });
    const one = t.connect().stream('/v1/topics/a/%2B?filter=b');
    const two = t.connect().stream('/v1/topics?filter=a%2F%23');
    publisher.publish('a/2', 'new');
    publisher.publish('b', 'other');
    assert.equal(one.headers['Content-Type'], 'text/event-stream');
    assert.deepEqual(one.streamed!.payloads, ['kept', 'new', 'other']);
    assert.equal(one.streamed!.events[0]!.data['retained'], true);
    assert.deepEqual(two.streamed!.payloads, ['kept', 'new']);
    assert.match(one.streamed!.text, /^retry: 1000\n\n/);
  });

  it('refuse filters by name, and end with their peer', async () => {
    const t = await HttpTest.start({
      security: securityWith({ allows: (_p, action, topic) => action !== 'subscribe' || topic !== 'secret' }),
    });
    const refused = t.connect().stream('/v1/topics/secret');
    assert.equal(refused.status, 403);
    assert.match(refused.text, /secret/);
    const peer = t.connect();
    peer.stream('/v1/topics/a');
    assert.equal(t.server.counters.streams, 1);
    peer.close();
    assert.equal(t.server.counters.streams, 0);
    assert.equal(t.broker.broker.sessionCount, 1, 'that of the peer whose filter was refused');
  });

  it('are bounded: in number, and when nobody reads', async () => {
    const t = await HttpTest.start({
      http: { maxStreams: 1, stallMs: 10_000 },
      limits: { transientInbox: { maxMessages: 5, maxBytes: 1e6, onFull: 'drop-oldest' } },
    });
    const peer = t.connect();
    const { streamed } = peer.stream('/v1/topics/a');
    assert.equal(peer.stream('/v1/topics/b').status, 503);
    const publisher = t.broker.connect('publisher');
    streamed!.pendingBytes = 1e6;
    for (let i = 0; i < 20; i++) publisher.publish('a', String(i));
    // The limit is looked at before writing: nothing was written while the peer took nothing.
    assert.deepEqual(streamed!.payloads, []);
    streamed!.pendingBytes = 0;
    streamed!.onDrained!();
    t.settle();
    assert.deepEqual(streamed!.payloads, ['15', '16', '17', '18', '19']);
    publisher.publish('a', 'last');
    streamed!.pendingBytes = 1e6;
    for (let i = 0; i < 4; i++) t.advance(10_000);
    assert.equal(streamed!.ended, 'abort');
    assert.equal(t.server.counters.cut.stalled, 1);
  });

  it('send a comment when they are silent', async () => {
    const t = await HttpTest.start();
    const { streamed } = t.connect().stream('/v1/topics/a');
    t.advance(15_000);
    assert.match(streamed!.text, /\n:\n\n$/);
  });

  it('end when what was proved is over', async () => {
    const principal = { tenant: 'main', id: 'meter', kind: 'device', roles: [] } as const;
    const expiresAtMs = 1_700_000_000_000 + 5000;
    const t = await HttpTest.start({
      security: securityWith({ authenticate: (_c, answer) => answer({ ok: true, principal, expiresAtMs }) }),
    });
    const { streamed } = t.connect().stream('/v1/topics/a');
    t.advance(4000);
    assert.equal(streamed!.ended, undefined);
    t.advance(2000);
    assert.equal(streamed!.ended, 'end');
  });
});

describe('named subscriptions', () => {
  const target = '/v1/topics/a?subscription=s';

  it('lose nothing, and repeat nothing that the last id tells of', async () => {
    const t = await HttpTest.start();
    const publisher = t.broker.connect('publisher');
    const peer = t.connect();
    const first = peer.stream(target).streamed!;
    publisher.publish('a', '1');
    publisher.publish('a', '2');
    publisher.publish('a', '3');
    const seen = first.events[1]!.id!;
    peer.close();
    publisher.publish('a', '4');
    const second = t.connect().stream(target, { 'Last-Event-ID': seen }).streamed!;
    assert.deepEqual(second.payloads, ['3', '4']);
  });

  it('send again what was not acknowledged', async () => {
    const t = await HttpTest.start();
    const publisher = t.broker.connect('publisher');
    const peer = t.connect();
    peer.stream(target);
    publisher.publish('a', '1');
    peer.close();
    const { events } = t.connect().stream(target).streamed!;
    assert.equal(events[0]!.data['redelivered'], true);
  });

  it('survive a crash', async () => {
    const t = await HttpTest.start();
    const publisher = t.broker.connect('publisher');
    const first = t.connect().stream(target).streamed!;
    for (const payload of ['1', '2', '3']) publisher.publish('a', payload);
    const after = await t.restart();
    const second = after.connect().stream(target, { 'Last-Event-ID': first.events[0]!.id! }).streamed!;
    assert.deepEqual(second.payloads, ['2', '3']);
  });

  it('do not take ids of an earlier subscription of the name for theirs', async () => {
    const t = await HttpTest.start();
    const publisher = t.broker.connect('publisher');
    const peer = t.connect();
    const first = peer.stream(target).streamed!;
    publisher.publish('a', 'old');
    const stale = first.events[0]!.id!;
    peer.close();
    assert.equal(t.connect().send('DELETE', '/v1/subscriptions/s').status, 204);
    const made = t.connect();
    made.stream(target);
    made.close();
    publisher.publish('a', 'new');
    assert.deepEqual(t.connect().stream(target, { 'Last-Event-ID': stale }).streamed!.payloads, ['new']);
  });

  it('end when the window is full, and go on with the id', async () => {
    const t = await HttpTest.start({ http: { subscriptionWindow: 2 } });
    const publisher = t.broker.connect('publisher');
    const first = t.connect().stream(target).streamed!;
    for (const payload of ['1', '2', '3']) publisher.publish('a', payload);
    assert.deepEqual(first.payloads, ['1', '2']);
    assert.equal(first.ended, 'end');
    const second = t.connect().stream(target, { 'Last-Event-ID': first.events[1]!.id! }).streamed!;
    assert.deepEqual(second.payloads, ['3']);
  });

  it('can be acknowledged while they are open', async () => {
    const t = await HttpTest.start({ http: { subscriptionWindow: 3 } });
    const publisher = t.broker.connect('publisher');
    const stream = t.connect().stream(target).streamed!;
    const other = t.connect();
    for (let i = 0; i < 10; i++) {
      publisher.publish('a', String(i));
      const ack = other.send('POST', `/v1/subscriptions/s/ack?id=${stream.events.at(-1)!.id}`);
      assert.deepEqual(ack.json, { acknowledged: 1 });
    }
    assert.equal(stream.ended, undefined);
    assert.equal(stream.payloads.length, 10);
    assert.equal(other.send('POST', '/v1/subscriptions/s/ack?id=nonsense').status, 400);
    assert.equal(other.send('POST', '/v1/subscriptions/other/ack?id=1-1').status, 404);
  });

  it('are taken over by the later request', async () => {
    const t = await HttpTest.start();
    const first = t.connect().stream(target).streamed!;
    const second = t.connect().stream(target).streamed!;
    t.broker.connect('publisher').publish('a', 'x');
    assert.equal(first.ended, 'end');
    assert.deepEqual(second.payloads, ['x']);
  });

  it('cannot be opened without filters, or with an id that is none', async () => {
    const t = await HttpTest.start();
    assert.equal(t.connect().stream('/v1/topics?subscription=s').status, 404);
    assert.equal(t.connect().stream(target, { 'Last-Event-ID': '???' }).status, 400);
    t.settle();
    assert.equal(t.connect().send('DELETE', '/v1/subscriptions/s').status, 404);
  });
});

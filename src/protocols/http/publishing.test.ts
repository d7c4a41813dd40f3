import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertBooks } from '../../broker/testing/test-broker.ts';
import { HttpTest, securityWith } from './testing/fake-exchange.ts';

describe('publishing by HTTP', () => {
  it('answers when the message is durable, not before', async () => {
    const t = await HttpTest.start();
    const keeper = t.broker.connect('keeper', { sessionExpiryMs: 1000 });
    keeper.subscribe('a/#');
    const peer = t.connect();
    const exchange = peer.start('POST', '/v1/topics/a/b', { 'Content-Type': 'text/plain' }, 'hello');
    t.broker.endTurn();
    assert.equal(exchange.status, undefined);
    t.settle();
    assert.equal(exchange.status, 202);
    assert.deepEqual(keeper.payloads, ['hello']);
    assert.equal(keeper.deliveries[0]!.attributes!.contentType, 'text/plain');
    assertBooks(t.broker);
  });

  it('says what the broker says, in the words of HTTP', async () => {
    const t = await HttpTest.start({
      limits: { namedQueue: { maxMessages: 1, maxBytes: 1000, onFull: 'reject-new' } },
      security: securityWith({ allows: (_principal, _action, topic) => topic !== 'secret' }),
    });
    const peer = t.connect();
    const statusOf = (method: string, target: string, headers = {}, body = 'x'): number | undefined =>
      peer.send(method, target, headers, body).status;
    assert.equal(statusOf('POST', '/v1/topics/nobody'), 202);
    assert.equal(statusOf('POST', '/v1/topics/secret'), 403);
    assert.equal(statusOf('POST', '/v1/topics/a%2B'), 400);
    assert.equal(statusOf('POST', '/v1/topics/%ff'), 400);
    assert.equal(statusOf('POST', '/v1/topics/a', { Qos: '3' }), 400);
    assert.equal(statusOf('POST', '/v1/topics/a', { Qos: '2' }), 400);
    assert.equal(statusOf('POST', '/v1/topics/a', {}, 'x'.repeat(70_000)), 413);
    assert.equal(statusOf('PATCH', '/v1/topics/a'), 405);
    assert.equal(statusOf('GET', '/v1/nothing'), 404);
    assert.equal(statusOf('POST', '/v1/queues/q'), 202);
    const full = peer.send('POST', '/v1/queues/q', {}, 'y');
    assert.equal(full.status, 429);
    assert.equal(full.headers['Retry-After'], '1');
    assert.equal(full.headers['Content-Type'], 'application/problem+json');
    assert.equal(full.problem, 'quota-exceeded');
    assert.equal(peer.send('DELETE', '/v1/queues/q').headers['Allow'], 'POST, OPTIONS');
  });

  it('sets, reads, guards and clears last values', async () => {
    const t = await HttpTest.start();
    const peer = t.connect();
    const first = peer.send('PUT', '/v1/topics/room/1', { 'Content-Type': 'application/json' }, '{"t":20}');
    assert.equal(first.status, 201);
    assert.equal(peer.send('PUT', '/v1/topics/room/1', { 'Content-Type': 'application/json' }, '{"t":21}').status, 202);
    const read = peer.send('GET', '/v1/topics/room/1');
    assert.equal(read.status, 200);
    assert.equal(read.text, '{"t":21}');
    assert.equal(read.headers['Content-Type'], 'application/json');
    const tag = read.headers['ETag'] as string;
    assert.notEqual(tag, first.headers['ETag']);
    assert.equal(peer.send('GET', '/v1/topics/room/1', { 'If-None-Match': tag }).status, 304);
    assert.equal(peer.send('PUT', '/v1/topics/room/1', { 'If-None-Match': '*' }, 'z').status, 412);
    assert.equal(peer.send('PUT', '/v1/topics/room/1', { 'If-Match': first.headers['ETag'] as string }, 'z').status, 412);
    assert.equal(peer.send('PUT', '/v1/topics/room/1', { 'If-Match': tag }, 'z').status, 202);
    assert.equal(peer.send('PUT', '/v1/topics/room/1', {}, '').problem, 'empty-value');
    assert.equal(peer.send('DELETE', '/v1/topics/room/1').status, 204);
    assert.equal(peer.send('GET', '/v1/topics/room/1').status, 404);
    assert.equal(peer.send('GET', '/v1/topics/room/%2B').status, 400);
  });

  it('publishes what has a key once, on any connection and after a crash', async () => {
    const t = await HttpTest.start();
    const keeper = t.broker.connect('keeper', { sessionExpiryMs: 1e6 });
    keeper.subscribe('a');
    const headers = { 'Idempotency-Key': '"7b3f"' };
    assert.equal(t.connect().send('POST', '/v1/topics/a', headers, 'one').status, 202);
    assert.equal(t.connect().send('POST', '/v1/topics/a', headers, 'one').status, 202);
    assert.equal(t.connect().send('POST', '/v1/topics/a', headers, 'other').problem, 'idempotency-key-reused');
    assert.deepEqual(keeper.payloads, ['one']);
    const after = await t.restart();
    assert.equal(after.connect().send('POST', '/v1/topics/a', headers, 'one').status, 202);
    const again = after.broker.connect('keeper', { sessionExpiryMs: 1e6 });
    assert.deepEqual(again.payloads, ['one']);
    // Its time is over: it is a message like any other.
    after.advance(3_700_000);
    assert.equal(after.server.counters.rememberedKeys, 0);
    assert.equal(after.connect().send('POST', '/v1/topics/a', headers, 'one').status, 202);
    assert.equal(again.payloads.length, 2);
  });

  it('bounds the keys of a principal', async () => {
    const t = await HttpTest.start({ http: { maxIdempotencyKeys: 2 } });
    const peer = t.connect();
    for (const key of ['1', '2']) assert.equal(peer.send('POST', '/v1/topics/a', { 'Idempotency-Key': key }, 'x').status, 202);
    assert.equal(peer.send('POST', '/v1/topics/a', { 'Idempotency-Key': '3' }, 'x').status, 429);
  });

  it('waits for a reply, and for no longer than it says', async () => {
    const t = await HttpTest.start();
    const responder = t.broker.connect('responder');
    responder.subscribe('ask');
    const peer = t.connect();
    const exchange = peer.start('POST', '/v1/topics/ask?reply=5s', { 'Correlation-Id': 'c-1' }, 'how are you?');
    t.settle();
    const { replyTo, correlation } = responder.deliveries[0]!.attributes!;
    assert.deepEqual(correlation, { type: 'string', value: 'c-1' });
    assert.equal(exchange.status, undefined);
    responder.publish(replyTo!.name, 'well');
    assert.equal(exchange.status, 200);
    assert.equal(exchange.text, 'well');
    const late = peer.start('POST', '/v1/topics/ask?reply=5s', {}, 'and now?');
    t.settle();
    t.advance(5100);
    assert.equal(late.status, 504);
    assert.equal(late.problem, 'no-reply');
    assert.equal(peer.send('POST', '/v1/topics/nobody?reply=5s', {}, 'x').problem, 'nobody-listens');
    assert.equal(peer.send('POST', '/v1/topics/ask?reply=soon', {}, 'x').status, 400);
  });

  it('takes batches line by line, each with an outcome of its own', async () => {
    const t = await HttpTest.start({ security: securityWith({ allows: (_p, _a, topic) => topic !== 'secret' }) });
    const keeper = t.broker.connect('keeper', { sessionExpiryMs: 1e6 });
    keeper.subscribe('b/#');
    const lines = [
      { topic: 'b/1', payload: 'one', properties: { unit: 'C' } },
      { topic: 'secret', payload: 'x' },
      'nonsense',
      { topic: 'b/2', payloadBase64: '//8=' },
      { queue: 'q', payload: 'three', qos: 2, idempotencyKey: 'k' },
      { topic: 'b/3', unknown: 1 },
    ];
    const body = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
    const exchange = t.connect().send('POST', '/v1/messages', { 'Content-Type': 'application/x-ndjson' }, body);
    assert.equal(exchange.status, 200);
    const statuses = exchange.text
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { status: number }).status);
    assert.deepEqual(statuses, [202, 403, 400, 202, 202, 400]);
    assert.equal(keeper.payloads.length, 2);
    assert.equal(t.connect().send('POST', '/v1/messages', { 'Content-Type': 'application/json' }, '[]').status, 415);
    const many = '{"topic":"b"}\n'.repeat(101);
    assert.equal(t.connect().send('POST', '/v1/messages', { 'Content-Type': 'application/x-ndjson' }, many).status, 413);
  });
});

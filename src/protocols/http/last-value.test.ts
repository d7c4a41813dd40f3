import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertBooks } from '../../broker/testing/test-broker.ts';
import { HttpTest } from './testing/fake-exchange.ts';

test('a value that must be read from disk is replaced once by those who expect it', async () => {
  const t = await HttpTest.start({ limits: { payloadMemoryBytes: 1 } });
  const keeper = t.broker.connect('keeper', { sessionExpiryMs: 1e6 });
  keeper.subscribe('v');
  const peer = t.connect();
  peer.send('PUT', '/v1/topics/v', {}, 'first'.repeat(100));
  // Nothing is kept in memory but the last of it.
  for (let i = 0; i < 10; i++) peer.send('PUT', `/v1/topics/others/${i}`, {}, 'x'.repeat(1000));
  const tag = String(peer.send('GET', '/v1/topics/v').headers['ETag']);
  for (let i = 0; i < 10; i++) peer.send('PUT', `/v1/topics/others/${i}`, {}, 'y'.repeat(1000));
  const writers = ['a', 'b', 'c'].map((name) => t.connect().start('PUT', '/v1/topics/v', { 'If-Match': tag }, name.repeat(500)));
  assert.deepEqual(new Set(writers.map(({ status }) => status)), new Set([undefined]));
  t.settle();
  assert.deepEqual(
    writers.map(({ status }) => status),
    [202, 412, 412],
  );
  assert.equal(peer.send('GET', '/v1/topics/v').text, 'a'.repeat(500));
  assert.deepEqual(
    keeper.payloads.map((payload) => payload[0]),
    ['f', 'a'],
  );
  assertBooks(t.broker);
});

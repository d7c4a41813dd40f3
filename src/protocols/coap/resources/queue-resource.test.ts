import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertBooks } from '../../../broker/testing/test-broker.ts';
import { OptionNumber, uintOption } from '../codec/index.ts';
import { TestHouse } from './testing/house.ts';

const queued = (t: TestHouse, name = 'jobs'): number => t.test.broker.spaces.get('main')!.named.get(name)!.queue.ledger.queued;

test('a message of a queue is settled when its answer is acknowledged', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  assert.equal(peer.ask('post', '/q/jobs', { payload: 'one', format: 50 }).words, '2.04');
  t.test.connect('mqtt').publish('$queue/jobs', 'two', 1);
  const got = peer.ask('get', '/q/jobs');
  assert.equal(got.words, '2.05 Content-Format=50 Max-Age=0 one');
  assert.equal(queued(t), 2);
  got.acknowledge();
  assert.equal(queued(t), 1);
  const lost = peer.ask('get', '/q/jobs');
  assert.equal(lost.payload, 'two');
  lost.acknowledge('lost');
  const again = t.peer().ask('get', '/q/jobs');
  assert.equal(again.payload, 'two', 'it went back');
  again.acknowledge();
  assert.equal(queued(t), 0);
  assert.match(peer.ask('get', '/q/jobs').words!, /^4\.04 no message waits/);
  assertBooks(t.test);
});

test('a GET waits for a message, and not for ever', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  const waiting = peer.ask('get', '/q/jobs?wait=20');
  assert.equal(waiting.response, undefined);
  t.test.advance(19_000);
  assert.equal(waiting.response, undefined);
  peer.ask('post', '/q/jobs', { payload: 'one' });
  assert.equal(waiting.payload, 'one');
  waiting.acknowledge();
  const late = peer.ask('get', '/q/jobs?wait=20');
  t.test.advance(20_001);
  assert.equal(late.code, '4.04');
  const gone = peer.ask('get', '/q/jobs?wait=20');
  gone.gone();
  peer.ask('post', '/q/jobs', { payload: 'two' });
  assert.equal(gone.response, undefined);
  assert.equal(queued(t), 1);
});

test('competing consumers: each message to one', async () => {
  const t = await TestHouse.open();
  const peers = [t.peer(), t.peer()];
  const replies = peers.map((peer) => peer.ask('get', '/q/jobs?wait=60'));
  const mqtt = t.test.connect('mqtt');
  mqtt.subscribe('$queue/jobs', 1);
  for (const payload of ['1', '2', '3']) mqtt.publish('$queue/jobs', payload, 1);
  const all = [...replies.map(({ payload }) => payload), ...mqtt.payloads];
  assert.deepEqual(all.toSorted(), ['1', '2', '3']);
});

test('a lease: settled by DELETE, given back by its end', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  for (const payload of ['1', '2', '3']) peer.ask('post', '/q/jobs', { payload });
  assert.equal(peer.ask('get', '/q/jobs?lease=10').words, '2.05 Location-Path=q Location-Path=jobs Location-Path=1 Max-Age=0 1');
  assert.equal(peer.ask('get', '/q/jobs?lease=10').payload, '2');
  assert.equal(peer.ask('delete', '/q/jobs/1').words, '2.02');
  assert.equal(queued(t), 2);
  assert.equal(peer.ask('delete', '/q/jobs/2?outcome=release').words, '2.02');
  assert.equal(peer.ask('get', '/q/jobs?lease=10').payload, '2');
  t.test.advance(10_001);
  assert.equal(t.house.counters.leasesExpired, 1);
  assert.match(peer.ask('delete', '/q/jobs/3').words!, /^4\.04 this message is not yours/);
  const [a, b] = [peer.ask('get', '/q/jobs'), peer.ask('get', '/q/jobs')];
  assert.deepEqual([a.payload, b.payload], ['2', '3']);
});

test('over reliable transports the next request says that the answer has arrived', async () => {
  const t = await TestHouse.open();
  const peer = t.peer({ isReliable: true });
  for (const payload of ['1', '2']) peer.ask('post', '/q/jobs', { payload });
  assert.match(peer.ask('get', '/q/jobs').words!, /^2\.05 Location-Path=q .* 1$/);
  assert.equal(queued(t), 2);
  assert.equal(peer.ask('get', '/q/jobs').payload, '2');
  assert.equal(queued(t), 1);
  peer.gone();
  assert.equal(t.peer().ask('get', '/q/jobs').payload, '2');
});

test('a queue is observed: each message is settled by its acknowledgement', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  const seen = peer.ask('get', '/q/jobs', { observe: 0 });
  for (const payload of ['1', '2']) peer.ask('post', '/q/jobs', { payload, token: 'p' });
  assert.equal(queued(t), 2);
  seen.acknowledge();
  assert.equal(queued(t), 1);
  seen.acknowledge('lost');
  assert.equal(queued(t), 1);
  assert.equal(t.peer().ask('get', '/q/jobs').payload, '2');
});

test('what is no queue, and too many that wait', async () => {
  const t = await TestHouse.open({ options: { maxWaitingReceivers: 1 } });
  const peer = t.peer();
  assert.equal(peer.ask('get', '/q').code, '4.00');
  assert.equal(peer.ask('get', '/q/a/b/c').code, '4.00');
  assert.equal(peer.ask('put', '/q/a').code, '4.05');
  assert.equal(peer.ask('get', '/q/a?wait=x').code, '4.00');
  peer.ask('get', '/q/a?wait=10', { token: '1' });
  assert.equal(peer.ask('get', '/q/a?wait=10', { token: '2' }).code, '5.03');
});

test('a peer reads so many queues at a time; those that owe nothing make room', async () => {
  const t = await TestHouse.open({ options: { maxQueuesPerPeer: 2, maxWaitingReceivers: 9 } });
  const peer = t.peer();
  const readers = (): number => t.test.broker.management.sessions('main', { limit: 100, parts: true }).entries.length - 1;
  for (let i = 0; i < 20; i++) assert.equal(peer.ask('get', `/q/n${i}`).code, '4.04');
  assert.equal(readers(), 2);
  peer.ask('get', '/q/a?wait=9');
  peer.ask('get', '/q/b?wait=9');
  assert.equal(peer.ask('get', '/q/c').code, '5.03');
  assert.equal(peer.ask('post', '/q/a', { payload: 'x' }).code, '2.04');
  assert.equal(t.house.counters.queuesRefused, 1);
});

test('a message is not given to who does not want to be told of it (RFC 7967)', async () => {
  const t = await TestHouse.open();
  const peer = t.peer({ isReliable: true });
  peer.ask('post', '/q/jobs', { payload: 'one' });
  const options = [uintOption(OptionNumber.noResponse, 2)];
  assert.equal(peer.ask('get', '/q/jobs', { options }).code, '4.00');
  assert.equal(peer.ask('get', '/q/jobs', { options, observe: 0 }).code, '4.00');
  // The next request would say that the answer has arrived.
  assert.equal(peer.ask('get', '/q/jobs').payload, 'one');
  assert.equal(queued(t), 1);
});

test('no part of another message is given for the rest of an answer that is not kept', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  peer.ask('post', '/q/jobs', { payload: 'one' });
  for (const words of [{}, { con: false }, { observe: 0 }]) {
    assert.equal(peer.ask('get', '/q/jobs', { ...words, isRest: true }).code, '4.08');
  }
  assert.equal(queued(t), 1);
  assert.equal(peer.ask('get', '/q/jobs').payload, 'one');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowAll, assertBooks } from '../../../broker/testing/test-broker.ts';
import { OptionNumber, optionValue, uintValue } from '../codec/index.ts';
import { TestHouse } from './testing/house.ts';

test('a topic is observed: the last value first, then what comes, each settled by its acknowledgement', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  const mqtt = t.test.connect('mqtt');
  mqtt.publish('a/b', '1', 1, { retain: true });
  const seen = peer.ask('get', '/t/a/b', { observe: 0 });
  assert.deepEqual(seen.heard(), ['CON 2.05 ETag Observe 1']);
  mqtt.publish('a/b', '2', 1);
  mqtt.publish('a/b', '3', 1);
  assert.deepEqual(seen.heard(), ['CON 2.05 Observe 2'], 'one at a time');
});

test('each confirmable notification waits for the one before it', async () => {
  const t = await TestHouse.open();
  const mqtt = t.test.connect('mqtt');
  const seen = t.peer().ask('get', '/t/a', { observe: 0 });
  assert.deepEqual(seen.notifications.length, 1);
  for (const payload of ['1', '2', '3', '4', '5', '6', '7']) mqtt.publish('a', payload, 1);
  const payloads = () => seen.notifications.map(({ response }) => Buffer.from(response.payload).toString());
  assert.deepEqual(payloads(), ['', '1']);
  for (let i = 0; i < 7; i++) seen.acknowledge();
  assert.deepEqual(payloads(), ['', '1', '2', '3', '4', '5', '6', '7']);
  const session = [...t.test.broker.spaces.get('main')!.sessions.values()].find(({ clientId }) => clientId.startsWith('$coap/peer/'))!;
  assert.equal(session.inbox.ledger.queued, 0);
  assert.equal(session.deliveries.unsettled, 0);
  assertBooks(t.test);
});

test('who has no last value is told that it observes', async () => {
  const t = await TestHouse.open();
  const seen = t.peer().ask('get', '/t/a', { observe: 0, con: false });
  assert.deepEqual(seen.heard(), ['NON 2.05 Observe Max-Age=0']);
});

test('sequence numbers rise, over all that a peer observes', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  const seen = [peer.ask('get', '/t/a?qos=0', { observe: 0, token: '1' }), peer.ask('get', '/t/a?qos=0', { observe: 0, token: '2' })];
  for (let i = 0; i < 3; i++) peer.ask('post', '/t/a', { payload: 'x', con: false });
  const numbers = seen.map(({ notifications }) => notifications.map(({ response }) => uintValue(optionValue(response.options, 6)!)));
  for (const row of numbers)
    assert.deepEqual(
      row,
      row.toSorted((a, b) => a - b),
    );
  assert.equal(new Set(numbers.flat()).size, 8);
});

test('wildcards tell the topic; last values follow the first notification', async () => {
  const t = await TestHouse.open();
  const mqtt = t.test.connect('mqtt');
  mqtt.publish('a/x', '1', 1, { retain: true });
  const seen = t.peer().ask('get', '/t/a/%2B', { observe: 0, con: false });
  mqtt.publish('a//', 'no', 0);
  mqtt.publish('a/', '2', 0);
  assert.deepEqual(seen.heard(), [
    'NON 2.05 Observe Max-Age=0',
    'NON 2.05 Observe Location-Path=t Location-Path=a Location-Path=x 1',
    'NON 2.05 Observe Location-Path=t Location-Path=a Location-Path= 2',
  ]);
});

test('non-confirmable notifications that cannot leave: the newest of a value, and not more than a few', async () => {
  const t = await TestHouse.open({ options: { maxWaitingNotifications: 2 } });
  const mqtt = t.test.connect('mqtt');
  // Its address is not proven: notifications are confirmed, and wait for each other.
  const peer = t.peer({ isProven: false });
  const seen = peer.ask('get', '/t/%23?qos=0', { observe: 0 });
  for (const [topic, payload, retain] of [
    ['a', '1', true],
    ['a', '2', true],
    ['a', '3', true],
    ['b', '4', true],
    ['c', '5', false],
  ] as const) {
    mqtt.publish(topic, payload, 0, { retain });
  }
  for (let i = 0; i < 3; i++) seen.acknowledge();
  assert.deepEqual(
    seen.heard().map((words) => words.split(' ').at(-1)),
    ['Max-Age=0', '1', '4', '5'],
  );
  const { notificationsCoalesced, notificationsDropped } = t.house.counters;
  assert.deepEqual([notificationsCoalesced, notificationsDropped], [1, 1]);
});

test('an observation ends by a reset, a lost notification, a cancel, or the same token', async () => {
  const t = await TestHouse.open();
  const mqtt = t.test.connect('mqtt');
  const peer = t.peer();
  for (const result of ['rejected', 'lost'] as const) {
    const seen = peer.ask('get', '/t/a', { observe: 0 });
    mqtt.publish('a', 'x', 1);
    seen.acknowledge(result);
    assert.equal(t.house.counters.observations, 0, result);
  }
  peer.ask('get', '/t/a', { observe: 0 });
  assert.equal(peer.ask('get', '/t/a', { observe: 1 }).code, '4.04');
  assert.equal(t.house.counters.observations, 0);
  const first = peer.ask('get', '/t/a', { observe: 0 });
  const second = peer.ask('get', '/t/a', { observe: 0 });
  assert.equal(t.house.counters.observations, 1);
  mqtt.publish('a', 'x', 1);
  assert.deepEqual([first.notifications.length, second.notifications.length], [1, 2]);
  second.gone();
  assert.equal(t.house.counters.observations, 0);
  const session = [...t.test.broker.spaces.get('main')!.sessions.values()].find(({ clientId }) => clientId.startsWith('$coap/peer/'))!;
  assert.equal(session.subscriptions.size, 0);
  assert.equal(session.deliveries.unsettled, 0);
  assertBooks(t.test);
});

test('several tokens observe one filter, each with its own guarantee', async () => {
  const t = await TestHouse.open();
  const mqtt = t.test.connect('mqtt');
  const peer = t.peer();
  const non = peer.ask('get', '/t/a', { observe: 0, con: false, token: 'n' });
  const con = peer.ask('get', '/t/a', { observe: 0, token: 'c' });
  const both = peer.ask('get', '/t/a/%23', { observe: 0, token: 'b' });
  mqtt.publish('a', 'x', 1);
  assert.deepEqual(
    [non, con, both].map((one) => one.heard().at(-1)!.split(' ')[0]),
    ['NON', 'CON', 'CON'],
  );
  assert.deepEqual(
    [non, con, both].map((one) => one.onGone !== undefined),
    [true, true, true],
  );
});

test('there are not more observations than may be', async () => {
  const t = await TestHouse.open({ options: { maxObservationsPerPeer: 1 } });
  const peer = t.peer();
  peer.ask('put', '/t/a', { payload: '1' });
  peer.ask('get', '/t/a', { observe: 0, token: '1' });
  assert.equal(peer.ask('get', '/t/a', { observe: 0, token: '2' }).words, '2.05 ETag 1');
  assert.match(peer.ask('get', '/t/%23', { observe: 0, token: '2' }).words!, /^4\.29 Max-Age=5 /);
  assert.equal(peer.ask('get', '/t/b', { observe: 0, token: '1' }).notifications.length, 1, 'the same token takes no more room');
});

test('an observer with Accept gets what is in its format', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  const seen = peer.ask('get', '/t/a', { observe: 0, accept: 50, token: 'o' });
  peer.ask('post', '/t/a', { payload: 'no', format: 0 });
  peer.ask('post', '/t/a', { payload: '{}', format: 50 });
  assert.deepEqual(seen.heard().slice(1), ['CON 2.05 Observe Content-Format=50 {}']);
  assert.equal(t.house.counters.notificationsNotAcceptable, 1);
});

test('over reliable transports nothing waits, and everything is settled', async () => {
  const t = await TestHouse.open();
  const mqtt = t.test.connect('mqtt');
  const seen = t.peer({ isReliable: true }).ask('get', '/t/a', { observe: 0 });
  for (let i = 0; i < 20; i++) mqtt.publish('a', `${i}`, 1);
  assert.equal(seen.notifications.length, 21);
  const session = [...t.test.broker.spaces.get('main')!.sessions.values()].find(({ clientId }) => clientId.startsWith('$coap/peer/'))!;
  assert.equal(session.deliveries.unsettled, 0);
});

test('what an observer may not see any more ends with 4.03, and it all with 4.01', async () => {
  let allowed = true;
  const version = { value: 1 };
  const security = {
    ...allowAll,
    get version() {
      return version.value;
    },
    allows: (_who: unknown, action: string) => allowed || action !== 'subscribe',
  };
  const t = await TestHouse.open({ security });
  const peer = t.peer();
  const seen = peer.ask('get', '/t/a', { observe: 0, token: '1' });
  allowed = false;
  version.value++;
  t.test.broker.review(
    {},
    (principal, answer) => answer({ standing: 'good', principal }),
    () => {},
  );
  t.settle();
  assert.match(seen.words!, /^4\.03/);
  allowed = true;
  const again = peer.ask('get', '/t/a', { observe: 0, token: '2' });
  const session = [...t.test.broker.spaces.get('main')!.sessions.values()].find(({ clientId }) => clientId.startsWith('$coap/peer/'))!;
  session.expel('administrative');
  t.settle();
  assert.match(again.words!, /^4\.01/);
  assert.equal(peer.closed, true);
});

test('who does not acknowledge costs its own messages, up to the limits of its inbox', async () => {
  const limits = { transientInbox: { maxMessages: 10, maxBytes: 1_000_000, onFull: 'drop-oldest' } } as const;
  const t = await TestHouse.open({ broker: { limits } });
  const mqtt = t.test.connect('mqtt');
  const seen = t.peer().ask('get', '/t/a', { observe: 0 });
  for (let i = 0; i < 100; i++) mqtt.publish('a', `${i}`, 1);
  // Four of the ten are with the peer.
  for (let i = 0; i < 10; i++) seen.acknowledge();
  const payloads = seen.heard().map((words) => words.split(' ').at(-1));
  assert.deepEqual(payloads.slice(1), ['0', '1', '2', '3', ...Array.from({ length: 6 }, (_, i) => `${94 + i}`)]);
  assertBooks(t.test);
});

test('a first value in another format is not shown to who accepts one', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  peer.ask('put', '/t/a', { payload: 'x', format: 0 });
  assert.deepEqual(peer.ask('get', '/t/a', { observe: 0, accept: 50 }).heard(), ['CON 2.05 Observe Max-Age=0']);
});

test('who has the value already is told that it is valid', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  peer.ask('put', '/t/a', { payload: '1', format: 0 });
  const etag = optionValue(peer.ask('get', '/t/a').response!.options, OptionNumber.etag)!;
  const tags = [Uint8Array.of(1), etag].map((value) => ({ number: OptionNumber.etag, value }));
  const seen = peer.ask('get', '/t/a', { observe: 0, options: tags });
  peer.ask('put', '/t/a', { payload: '2', format: 0 });
  assert.deepEqual(seen.heard(), ['CON 2.03 ETag Observe', 'CON 2.05 Observe Content-Format=0 2']);
});

test('a queue that cannot go on in the accepted format says so, and the message is for others', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  const seen = peer.ask('get', '/q/jobs', { observe: 0, accept: 50, token: 'o' });
  peer.ask('post', '/q/jobs', { payload: 'x', format: 0 });
  assert.match(seen.words!, /^4\.06/);
  assert.equal(t.house.counters.observations, 0);
  assert.match(peer.ask('get', '/q/jobs', { accept: 50 }).words!, /^4\.06/);
  const got = peer.ask('get', '/q/jobs');
  assert.match(got.words!, /^2\.05 .*x$/);
  got.acknowledge();
  assertBooks(t.test);
});

test('a topic with levels that no path has is not told by Location-Path', async () => {
  const t = await TestHouse.open();
  const mqtt = t.test.connect('mqtt');
  const seen = t.peer().ask('get', '/t/a/%23', { observe: 0, con: false });
  for (const topic of ['a/..', 'a/./b', `a/${'x'.repeat(256)}`, 'a/ok']) mqtt.publish(topic, '1', 0);
  const told = seen.heard().slice(1);
  assert.deepEqual(
    told.map((words) => words.includes('Location-Path')),
    [false, false, false, true],
  );
});

test('an observer is asked whether it is there at least every 24 hours', async () => {
  const t = await TestHouse.open({ options: { confirmEverySec: 1_000_000 } });
  const mqtt = t.test.connect('mqtt');
  const seen = t.peer().ask('get', '/t/a', { observe: 0, con: false });
  mqtt.publish('a', '1', 0);
  t.test.clock.advance(86_400_000);
  mqtt.publish('a', '2', 0);
  assert.deepEqual(
    seen.heard().map((words) => words.slice(0, 3)),
    ['NON', 'NON', 'CON'],
  );
});

test('observers are told that the node goes down', async () => {
  const t = await TestHouse.open();
  const seen = t.peer().ask('get', '/t/a', { observe: 0 });
  t.house.close();
  t.settle();
  assert.match(seen.words!, /^5\.03 Max-Age=5/);
  assert.equal(t.test.broker.spaces.get('main')!.sessions.size, 0);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode, Tag } from 'cbor2';
import { TestHouse, type TestPeer, type TestReply } from './testing/house.ts';

const ps = 606;

function create(peer: TestPeer, ...properties: [number, unknown][]): TestReply {
  const map = new Map<number, unknown>([[0, 'room/temp'], [2, 'core.ps.data'], ...properties]);
  return peer.ask('post', '/ps', { payload: new Uint8Array(encode(map)), format: ps });
}

/** The id that the answer to a creation names. */
function idOf(reply: TestReply): string {
  return /Location-Path=ps Location-Path=(\w+)/.exec(reply.words!)![1]!;
}

function shown(reply: TestReply): unknown {
  return decode(reply.response!.payload);
}

test('a topic is created, half at first, published to, read, observed, deleted', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  const made = create(peer, [3, 50], [4, 'temperature']);
  assert.equal(made.code, '2.01');
  const id = idOf(made);
  const data = `/ps/data/${id}`;
  assert.deepEqual(
    shown(made),
    new Map<number, unknown>([
      [0, 'room/temp'],
      [1, data],
      [2, 'core.ps.data'],
      [3, 50],
      [4, 'temperature'],
    ]),
  );
  assert.equal(peer.ask('get', data).code, '4.04');
  assert.equal(peer.ask('get', data, { observe: 0 }).code, '4.04');
  assert.equal(peer.ask('put', data, { payload: '1', format: 0 }).code, '4.15');
  assert.equal(peer.ask('put', data, { payload: '1', format: 50 }).words, '2.01');
  assert.equal(peer.ask('put', data, { payload: '2', format: 50 }).words, '2.04');
  assert.equal(peer.ask('get', '/t/room/temp').words, '2.05 ETag Content-Format=50 2', 'the same topic');
  const seen = peer.ask('get', data, { observe: 0, con: false, token: 'o' });
  t.test.connect('mqtt').publish('room/temp', '3', 0, { retain: true });
  t.test.connect('mqtt').publish('room/temp', 'no value', 0);
  assert.deepEqual(seen.heard(), ['NON 2.05 ETag Observe Content-Format=50 2', 'NON 2.05 Observe 3']);
  assert.equal(peer.ask('delete', data).words, '2.02');
  assert.match(seen.words!, /^4\.04/);
  assert.equal(peer.ask('get', data).code, '4.04');
  assert.equal(peer.ask('get', `/ps/${id}`).code, '2.05', 'half created again');
  assert.equal(peer.ask('delete', `/ps/${id}`).words, '2.02');
  assert.equal(peer.ask('get', `/ps/${id}`).code, '4.04');
});

test('what cannot be told in the accepted format is answered by 4.06', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  const id = idOf(create(peer));
  for (const [method, path] of [
    ['get', `/ps/${id}`],
    ['get', '/ps'],
  ] as const)
    assert.match(peer.ask(method, path, { accept: 0 }).words!, /^4\.06/, path);
  assert.match(peer.ask('fetch', '/ps', { accept: 0, payload: new Uint8Array(encode(new Map())), format: ps }).words!, /^4\.06/);
  assert.match(peer.ask('post', '/ps', { accept: 0, payload: new Uint8Array(encode(new Map())), format: ps }).words!, /^4\.06/);
  assert.equal(peer.ask('get', `/ps/${id}`, { accept: ps }).code, '2.05');
  const data = `/ps/data/${id}`;
  peer.ask('put', data, { payload: '{}', format: 50 });
  assert.match(peer.ask('get', data, { observe: 0, accept: 0, token: 'no' }).words!, /^4\.06/);
  const seen = peer.ask('get', data, { observe: 0, accept: 50, token: 'o' });
  assert.deepEqual(seen.heard(), ['CON 2.05 ETag Observe Content-Format=50 {}']);
  peer.ask('put', data, { payload: 'text', format: 0 });
  assert.match(seen.words!, /^4\.06/);
  assert.equal(t.house.counters.observations, 0);
});

test('a topic that is deleted, or whose time is over, takes its data and observers with it', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  const nowSec = Math.floor(t.test.clock.wallMs() / 1000);
  const id = idOf(create(peer, [5, new Tag(1, nowSec + 60)], [3, 60], [8, Uint8Array.of(0x80)]));
  assert.equal(peer.ask('get', `/ps/data/${id}`).code, '2.05', 'initialized');
  const seen = peer.ask('get', `/ps/data/${id}`, { observe: 0, token: 'o' });
  t.test.advance(61_000);
  assert.match(seen.words!, /^4\.04/);
  assert.equal(peer.ask('get', '/t/room/temp').code, '4.04');
  assert.equal(peer.ask('get', '/ps').words, '2.05 Content-Format=40');
});

test('collections are listed and filtered', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  const one = idOf(create(peer, [4, 'temperature']));
  const two = idOf(create(peer, [0, 'door'], [4, 'contact']));
  assert.equal(peer.ask('get', '/ps').payload, `</ps/${one}>,</ps/${two}>`);
  assert.equal(peer.ask('get', '/ps?rt=core.ps.data').payload, `</ps/data/${one}>,</ps/data/${two}>`);
  const filter = (map: [number, unknown][]) =>
    peer.ask('fetch', '/ps', { payload: new Uint8Array(encode(new Map(map))), format: ps }).payload;
  assert.equal(filter([[4, 'contact']]), `</ps/${two}>`);
  assert.equal(
    filter([
      [4, 'contact'],
      [0, 'else'],
    ]),
    '',
  );
  assert.deepEqual(
    shown(peer.ask('fetch', `/ps/${one}`, { payload: new Uint8Array(encode([1, 4])), format: 60 })),
    new Map([
      [1, `/ps/data/${one}`],
      [4, 'temperature'],
    ]),
  );
  assert.equal(peer.ask('get', '/.well-known/core?rt=core.ps.conf&href=/ps/*').payload.split(',').length, 2);
  assert.match(peer.ask('get', '/.well-known/core?rt=core.ps.coll').payload, /^<\/ps>;rt="core.ps core.ps.coll"/);
});

test('updates: whole, in part, and what cannot be changed', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  const id = idOf(create(peer, [4, 'temperature']));
  const update = (method: 'post' | 'ipatch', ...map: [number, unknown][]) =>
    peer.ask(method, `/ps/${id}`, { payload: new Uint8Array(encode(new Map(map))), format: ps });
  assert.deepEqual(
    shown(update('ipatch', [6, 2])),
    new Map<number, unknown>([
      [0, 'room/temp'],
      [1, `/ps/data/${id}`],
      [2, 'core.ps.data'],
      [4, 'temperature'],
      [6, 2],
    ]),
  );
  assert.deepEqual(
    shown(update('post', [7, 60])),
    new Map<number, unknown>([
      [0, 'room/temp'],
      [1, `/ps/data/${id}`],
      [2, 'core.ps.data'],
      [7, 60],
    ]),
  );
  for (const wrong of [
    [0, 'other'],
    [1, '/x'],
    [2, 'x'],
    [6, -1],
    [99, 1],
    [8, Uint8Array.of(1)],
  ] as [number, unknown][]) {
    assert.equal(update('ipatch', wrong).code, '4.00', String(wrong[0]));
  }
  peer.ask('put', `/ps/data/${id}`, { payload: 'x' });
  const seen = ['1', '2'].map((token) => peer.ask('get', `/ps/data/${id}`, { observe: 0, token }));
  update('ipatch', [6, 1]);
  assert.deepEqual(
    seen.map(({ code }) => code),
    [undefined, '4.04'],
  );
  const late = peer.ask('get', `/ps/data/${id}`, { observe: 0, token: '3' });
  assert.equal(late.words, '2.05 ETag x', 'without Observe');
});

test('what is refused', async () => {
  const t = await TestHouse.open({ options: { maxPubsubTopics: 1 } });
  const peer = t.peer();
  const halves = new Map<number, unknown>([
    [0, 7],
    [2, 'core.ps.data'],
  ]);
  for (const payload of ['x', encode('x'), encode([1]), encode({ a: 1 }), encode(new Map([[0, 'a']])), encode(halves)]) {
    const bytes = typeof payload === 'string' ? payload : new Uint8Array(payload);
    assert.equal(peer.ask('post', '/ps', { payload: bytes, format: ps }).code, '4.00');
  }
  assert.equal(peer.ask('post', '/ps', { payload: new Uint8Array([0xa0]), format: 50 }).code, '4.15');
  assert.equal(create(peer, [0, 'a/+']).code, '4.00');
  assert.equal(create(peer, [2, 'other']).code, '4.00');
  assert.equal(create(peer).code, '2.01');
  assert.equal(create(peer).code, '4.09');
  assert.equal(create(peer, [0, 'more']).code, '4.29');
  assert.equal(peer.ask('put', '/ps').code, '4.05');
  assert.equal(peer.ask('post', '/ps/data/none').code, '4.04');
});

test('topics outlive the node', async () => {
  const t = await TestHouse.open();
  const id = idOf(create(t.peer(), [6, 5]));
  const again = await t.restart();
  const peer = again.peer();
  assert.equal(peer.ask('get', '/ps').payload, `</ps/${id}>`);
  assert.deepEqual((shown(peer.ask('get', `/ps/${id}`)) as Map<number, unknown>).get(6), 5);
});

test('a configuration is bounded, for it is kept', async () => {
  const t = await TestHouse.open({ options: { maxRegistrationBytes: 512 } });
  const peer = t.peer();
  const id = idOf(create(peer, [3, 0], [8, new Uint8Array(400)]));
  assert.equal(create(peer, [3, 0], [8, new Uint8Array(500)]).code, '4.13');
  const large = new Uint8Array(encode(new Map<number, unknown>([[8, new Uint8Array(600)]])));
  assert.equal(peer.ask('ipatch', `/ps/${id}`, { payload: large, format: ps }).code, '4.13');
  assert.equal(peer.ask('fetch', `/ps/${id}`, { payload: new Uint8Array(encode(Array.from({ length: 600 }, () => 0))) }).code, '4.00');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowAll } from '../../../broker/testing/test-broker.ts';
import { OptionNumber, optionValue } from '../codec/index.ts';
import { TestHouse } from './testing/house.ts';

test('what a CoAP peer publishes reaches subscribers, with the guarantee it came with', async () => {
  const t = await TestHouse.open();
  const mqtt = t.test.connect('mqtt');
  mqtt.subscribe('a/#', 2);
  const peer = t.peer();
  assert.equal(peer.ask('post', '/t/a/b', { payload: 'con', format: 50 }).words, '2.04');
  assert.equal(peer.ask('post', '/t/a/b', { payload: 'non', con: false }).words, '2.04');
  assert.equal(peer.ask('post', '/t/a/b?mid=k1', { payload: 'once' }).words, '2.04');
  assert.equal(peer.ask('post', '/t/a/b?mid=k1', { payload: 'once' }).words, '2.04');
  assert.deepEqual(
    mqtt.deliveries.map(({ payload, guarantee, topic, attributes }) => [payload, guarantee, topic, attributes?.contentType]),
    [
      ['con', 1, 'a/b', 'application/json'],
      ['non', 0, 'a/b', undefined],
      ['once', 2, 'a/b', undefined],
    ],
  );
});

test('a key is known after a restart, and from another peer of the same principal', async () => {
  const device = { tenant: 'main', id: 'd1', kind: 'device', roles: [] } as const;
  const security = {
    ...allowAll,
    authenticate: (_: unknown, answer: (r: { ok: true; principal: typeof device }) => void) => answer({ ok: true, principal: device }),
  };
  const t = await TestHouse.open({ security });
  const lasting = { cleanStart: false, sessionExpiryMs: Infinity };
  t.test.connect('mqtt', lasting).subscribe('a', 2);
  assert.equal(t.peer().ask('post', '/t/a?mid=k', { payload: 'one' }).code, '2.04');
  assert.equal(t.peer().ask('post', '/t/a?mid=k', { payload: 'one' }).code, '2.04');
  const again = await t.restart({ security });
  assert.equal(again.peer().ask('post', '/t/a?mid=k', { payload: 'one' }).code, '2.04');
  assert.deepEqual(again.test.connect('mqtt', lasting).payloads, ['one']);
});

test('the acknowledgement waits for the store', async () => {
  const t = await TestHouse.open();
  t.test.connect('mqtt', { cleanStart: false, sessionExpiryMs: Infinity }).subscribe('a', 1);
  const peer = t.peer();
  peer.ask('post', '/t/x');
  const reply = peer.askNow('post', '/t/a', { payload: 'one' });
  t.test.endTurn();
  assert.equal(reply.response, undefined);
  t.settle();
  assert.equal(reply.code, '2.04');
});

test('a topic is a resource: PUT, GET, conditions, DELETE', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  assert.match(peer.ask('get', '/t/a').words!, /^4\.04 this topic has no last value/);
  assert.equal(peer.ask('put', '/t/a', { payload: '1', format: 0 }).words, '2.01');
  assert.equal(peer.ask('put', '/t/a', { payload: '2', format: 0 }).words, '2.04');
  const got = peer.ask('get', '/t/a');
  assert.equal(got.words, '2.05 ETag Content-Format=0 2');
  const etag = optionValue(got.response!.options, OptionNumber.etag)!;
  const tagged = (number: number) => ({ options: [{ number, value: etag }] });
  assert.equal(peer.ask('get', '/t/a', tagged(OptionNumber.etag)).words, '2.03 ETag');
  assert.equal(peer.ask('get', '/t/a', { accept: 0 }).code, '2.05');
  assert.match(peer.ask('get', '/t/a', { accept: 50 }).words!, /^4\.06/);
  assert.equal(peer.ask('put', '/t/a', { payload: '3', ...tagged(OptionNumber.ifMatch) }).words, '2.04');
  assert.match(peer.ask('put', '/t/a', { payload: '4', ...tagged(OptionNumber.ifMatch) }).words!, /^4\.12/);
  const ifNone = { options: [{ number: OptionNumber.ifNoneMatch, value: new Uint8Array(0) }] };
  assert.match(peer.ask('put', '/t/a', { payload: '4', ...ifNone }).words!, /^4\.12/);
  assert.equal(peer.ask('put', '/t/new', { payload: '4', ...ifNone }).words, '2.01');
  assert.match(peer.ask('put', '/t/a').words!, /^4\.00 an empty value/);
  assert.match(peer.ask('delete', '/t/a', tagged(OptionNumber.ifMatch)).words!, /^4\.12/);
  assert.equal(peer.ask('delete', '/t/a').words, '2.02');
  assert.equal(peer.ask('get', '/t/a').code, '4.04');
});

test('every method keeps to its conditions, or refuses them', async () => {
  const t = await TestHouse.open();
  const mqtt = t.test.connect('mqtt');
  mqtt.subscribe('a', 1);
  const peer = t.peer();
  const ifNone = { options: [{ number: OptionNumber.ifNoneMatch, value: new Uint8Array(0) }] };
  const ifAny = { options: [{ number: OptionNumber.ifMatch, value: new Uint8Array(0) }] };
  assert.equal(peer.ask('post', '/t/a', { payload: '1', ...ifNone }).words, '2.04');
  assert.match(peer.ask('post', '/t/a', { payload: '2', ...ifAny }).words!, /^4\.12/);
  peer.ask('put', '/t/a', { payload: '3' });
  assert.match(peer.ask('post', '/t/a', { payload: '4', ...ifNone }).words!, /^4\.12/);
  assert.equal(peer.ask('post', '/t/a', { payload: '5', ...ifAny }).words, '2.04');
  assert.deepEqual(mqtt.payloads, ['1', '3', '5']);
  assert.equal(peer.ask('get', '/t/a', ifAny).code, '2.05');
  assert.match(peer.ask('get', '/t/a', ifNone).words!, /^4\.12/);
  assert.match(peer.ask('get', '/t/a', { observe: 0, ...ifNone }).words!, /^4\.12/);
  for (const [method, path] of [
    ['post', '/q/jobs'],
    ['get', '/q/jobs'],
    ['post', '/rd?ep=d'],
    ['post', '/ps'],
    ['get', '/ps'],
    ['get', '/.well-known/core'],
  ] as const)
    assert.match(peer.ask(method, path, ifNone).words!, /^4\.02 .*If-None-Match/, `${method} ${path}`);
});

test('two that create at once: one of them does', async () => {
  const t = await TestHouse.open();
  const [one, other] = [t.peer(), t.peer()];
  one.ask('get', '/t/x');
  other.ask('get', '/t/x');
  const ifNone = { options: [{ number: OptionNumber.ifNoneMatch, value: new Uint8Array(0) }] };
  const replies = [one.askNow('put', '/t/a', { payload: '1', ...ifNone }), other.askNow('put', '/t/a', { payload: '2', ...ifNone })];
  t.settle();
  assert.deepEqual(
    replies.map(({ code }) => code),
    ['2.01', '4.12'],
  );
});

test('a value with a lifetime', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  peer.ask('put', '/t/a?ttl=30', { payload: 'x' });
  t.test.clock.advance(10_500);
  assert.equal(peer.ask('get', '/t/a').words, '2.05 ETag Max-Age=19 x');
  t.test.clock.advance(20_000);
  assert.equal(peer.ask('get', '/t/a').code, '4.04');
});

test('paths that are no topics, queries and options that are not understood', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  for (const path of ['/t', '/t/', '/t/a%2Fb', `/t/${'x'.repeat(250)}/${'y'.repeat(10)}`, '/t/a/+']) {
    assert.equal(peer.ask('post', path, { payload: 'x' }).code, '4.00', path);
  }
  assert.equal(peer.ask('post', '/t//a//', { payload: 'x' }).code, '2.04');
  for (const query of ['mid=', `mid=${'k'.repeat(33)}`, 'ttl=soon', 'ttl=0'])
    assert.equal(peer.ask('post', `/t/a?${query}`).code, '4.00', query);
  assert.match(peer.ask('get', '/t/a', { options: [{ number: 65_001, value: new Uint8Array(0) }] }).words!, /^4\.02 option 65001/);
  assert.equal(peer.ask('get', '/t/a', { options: [{ number: OptionNumber.proxyUri, value: new Uint8Array(1) }] }).code, '5.05');
  assert.equal(peer.ask('patch', '/t/a').code, '4.05');
  assert.equal(peer.ask('get', '/t/a/+').code, '4.00');
  assert.equal(peer.ask('get', '/elsewhere').code, '4.04');
});

test('who may not is told so', async () => {
  const security = {
    ...allowAll,
    allows: (_who: unknown, action: string, topic: string) => action === 'connect' || topic.startsWith('mine'),
  };
  const t = await TestHouse.open({ security });
  const peer = t.peer();
  assert.equal(peer.ask('post', '/t/mine', { payload: 'x' }).code, '2.04');
  assert.match(peer.ask('post', '/t/yours', { payload: 'x' }).words!, /^4\.03 no policy/);
  assert.equal(peer.ask('get', '/t/yours').code, '4.03');
  assert.equal(peer.ask('get', '/t/yours', { observe: 0 }).code, '4.03');
});

test('a store that can take nothing', async () => {
  const t = await TestHouse.open();
  t.test.connect('mqtt', { cleanStart: false, sessionExpiryMs: Infinity }).subscribe('a', 1);
  const peer = t.peer();
  peer.ask('post', '/t/x');
  t.test.stall(0);
  for (const [method, path] of [
    ['post', '/t/a'],
    ['put', '/t/b'],
    ['post', '/t/a?mid=k'],
    ['post', '/q/jobs'],
    ['post', '/rd'],
  ] as const) {
    assert.match(peer.ask(method, path, { payload: path === '/rd' ? '</a>' : 'x' }).words!, /^5\.03 Max-Age=5/, path);
  }
  t.test.resume(0);
  assert.equal(peer.ask('post', '/t/a', { payload: 'x' }).code, '2.04');
});

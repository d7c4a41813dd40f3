import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowAll, anyone } from '../../../broker/testing/test-broker.ts';
import type { AuthenticationResult, Credentials } from '../../../security/security.ts';
import { TestHouse, type TestPeer, type TestReply } from './testing/house.ts';

/** Answers when it is told to. */
class SlowSecurity {
  readonly asked: { readonly credentials: Credentials; readonly answer: (result: AuthenticationResult) => void }[] = [];
  readonly security = {
    ...allowAll,
    authenticate: (credentials: Credentials, answer: (result: AuthenticationResult) => void) =>
      void this.asked.push({ credentials, answer }),
  };

  answer(result: AuthenticationResult): void {
    this.asked.shift()!.answer(result);
  }
}

test('who a peer is, is asked once, with the facts; requests wait meanwhile, not too many', async () => {
  const slow = new SlowSecurity();
  const t = await TestHouse.open({ security: slow.security });
  const peer = t.peer({ pskIdentity: 'd1' });
  const replies = [1, 2, 3, 4, 5].map((n) => peer.askNow('post', `/t/${n}`));
  assert.equal(slow.asked.length, 1);
  const { pskIdentity, secure, listener, nameComesLater } = slow.asked[0]!.credentials;
  assert.deepEqual(
    { pskIdentity, secure, listener, nameComesLater },
    { pskIdentity: 'd1', secure: true, listener: 'coaps', nameComesLater: true },
  );
  assert.deepEqual(
    replies.map(({ code }) => code),
    [undefined, undefined, undefined, undefined, '5.03'],
  );
  replies[0]!.gone();
  slow.answer({ ok: true, principal: anyone });
  t.settle();
  assert.deepEqual(
    replies.map(({ code }) => code),
    [undefined, '2.04', '2.04', '2.04', '5.03'],
  );
  peer.ask('post', '/t/x');
  assert.equal(slow.asked.length, 0);
});

test('what waits is bounded in bytes, too: of one peer and of all; a single request may be larger than one peer may have', async () => {
  const slow = new SlowSecurity();
  const t = await TestHouse.open({ security: slow.security });
  const ask = (peer: TestPeer, bytes: number): TestReply => peer.askNow('post', '/t/a', { payload: 'x'.repeat(bytes) });
  const [large, small, other] = [t.peer(), t.peer(), t.peer()];
  assert.equal(ask(large, 5000).code, undefined);
  assert.equal(ask(large, 1).code, '5.03');
  assert.equal(ask(small, 1000).code, undefined);
  const given = ask(small, 1000);
  assert.equal(ask(other, 3000).code, '5.03');
  given.gone();
  assert.equal(ask(other, 1000).code, undefined);
  assert.equal(t.house.counters.requestsNotWaited, 2);
  assert.ok(t.house.counters.waitingBytes > 7000);
  slow.answer({ ok: true, principal: anyone });
  for (const peer of [small, other]) peer.gone();
  t.settle();
  assert.equal(t.house.counters.waitingBytes, 0);
});

test('requests are answered in their order, those that waited first', async () => {
  const t = await TestHouse.open();
  const mqtt = t.test.connect('mqtt');
  mqtt.subscribe('a', 1);
  const peer = t.peer();
  peer.askNow('post', '/t/a', { payload: '1' });
  peer.askNow('post', '/t/a', { payload: '2' });
  t.test.endTurn();
  peer.askNow('post', '/t/a', { payload: '3' });
  t.settle();
  assert.deepEqual(mqtt.payloads, ['1', '2', '3']);
  const gone = t.peer();
  gone.askNow('post', '/t/a', { payload: '4' });
  gone.gone();
  assert.deepEqual(mqtt.payloads, ['1', '2', '3']);
  assert.equal(t.house.counters.sessions, 1);
});

test('refused, banned, overloaded; and discovery all the same', async () => {
  const slow = new SlowSecurity();
  const t = await TestHouse.open({ security: slow.security });
  for (const [reason, words] of [
    ['refused', /^4\.01 who you are/],
    ['banned', /^4\.01 Max-Age=5/],
    ['overloaded', /^5\.03 Max-Age=5/],
  ] as const) {
    const peer = t.peer();
    const reply = peer.ask('post', '/t/a');
    const core = peer.ask('get', '/.well-known/core?rt=heliograph.topics');
    slow.answer({ ok: false, reason });
    assert.match(reply.words!, words);
    assert.match(core.words!, /^2\.05 Content-Format=40 <\/t>;rt="heliograph.topics"/);
    assert.match(peer.ask('post', '/t/a').words!, words, 'not asked again at once');
    assert.equal(slow.asked.length, 0);
    t.test.clock.advance(2001);
    peer.ask('post', '/t/a');
    assert.equal(slow.asked.length, 1);
    slow.asked.length = 0;
  }
});

test('each OSCORE context is an identity of its own, whatever path it comes by', async () => {
  const slow = new SlowSecurity();
  const t = await TestHouse.open({ security: slow.security });
  const peer = t.peer();
  const oscore = { tenant: 'main', principal: 'd2', contextId: 'c' };
  peer.ask('post', '/t/a', { oscore });
  assert.deepEqual(slow.asked[0]!.credentials.oscoreContext, oscore);
  slow.answer({ ok: true, principal: { ...anyone, id: 'd2' } });
  peer.ask('post', '/t/a');
  slow.answer({ ok: true, principal: anyone });
  t.settle();
  assert.equal(t.house.counters.sessions, 2);
  peer.gone();
  assert.equal(t.house.counters.sessions, 0);
});

test('a session ends with its peer, with its credentials, or when nothing happens', async () => {
  const slow = new SlowSecurity();
  const t = await TestHouse.open({ security: slow.security });
  const peer = t.peer();
  const seen = peer.ask('get', '/t/a', { observe: 0 });
  slow.answer({ ok: true, principal: anyone, expiresAtMs: t.test.clock.wallMs() + 10_000 });
  t.settle();
  assert.equal(seen.notifications.length, 1);
  t.test.advance(10_001);
  assert.match(seen.words!, /^4\.01 what proved who you are/);
  assert.equal(t.house.counters.sessions, 0);
  peer.ask('post', '/t/a');
  slow.answer({ ok: true, principal: anyone });
  t.settle();
  assert.equal(t.house.counters.sessions, 1);
  t.test.advance(300_000);
  t.test.advance(300_000);
  assert.equal(t.house.counters.sessions, 0);
  const watching = t.peer();
  watching.ask('get', '/t/a', { observe: 0 });
  slow.answer({ ok: true, principal: anyone });
  t.settle();
  t.test.advance(900_000);
  assert.equal(t.house.counters.sessions, 1, 'it observes');
  watching.gone();
  assert.equal(t.house.counters.sessions, 0);
  assert.equal([...t.test.broker.spaces.get('main')!.sessions.keys()].length, 0);
});

test('a publisher that is held back is told to wait', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  peer.ask('post', '/t/a');
  const session = [...t.test.broker.spaces.get('main')!.sessions.values()][0]!;
  session.consumer!.hold(true);
  assert.match(peer.ask('post', '/t/a').words!, /^5\.03 Max-Age=1/);
  assert.equal(peer.ask('post', '/t/a', { con: false }).code, '2.04');
  session.consumer!.hold(false);
  assert.equal(peer.ask('post', '/t/a').code, '2.04');
});

test('what is sent to a group is answered only where there is something to tell', async () => {
  const t = await TestHouse.open();
  const peer = t.peer();
  const isMulticast = true;
  assert.match(peer.ask('get', '/.well-known/core', { isMulticast, con: false }).words!, /^2\.05/);
  for (const path of ['/.well-known/core?rt=none', '/t/a', '/nowhere']) {
    assert.equal(peer.ask('get', path, { isMulticast, con: false }).code, '0.00', path);
  }
});

test('a mounted resource is asked without a session', async () => {
  const handler = {
    handle: (_request: unknown, reply: { send(r: object): void }) => reply.send({ code: 0x45, options: [], payload: new Uint8Array(0) }),
  };
  const slow = new SlowSecurity();
  const t = await TestHouse.open({
    security: slow.security,
    mounts: [{ path: ['.well-known', 'est'], handler, links: '</.well-known/est/sen>;rt="ace.est.sen"' }],
  });
  const peer = t.peer();
  assert.equal(peer.ask('post', '/.well-known/est/sen').code, '2.05');
  assert.equal(slow.asked.length, 0);
  const core = peer.ask('get', '/.well-known/core?rt=ace.est*');
  slow.answer({ ok: false, reason: 'refused' });
  assert.equal(core.payload, '</.well-known/est/sen>;rt="ace.est.sen"');
});

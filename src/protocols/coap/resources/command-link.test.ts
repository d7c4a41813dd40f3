import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowAll, assertBooks } from '../../../broker/testing/test-broker.ts';
import type { AuthenticationResult, Principal } from '../../../security/security.ts';
import { textBytes, uintBytes } from '../codec/index.ts';
import { TestHouse, type TestPeer, wordsOf } from './testing/house.ts';

const pump: Principal = { tenant: 'main', id: 'pump', kind: 'device', roles: [] };
const security = {
  ...allowAll,
  authenticate: (_: unknown, answer: (result: AuthenticationResult) => void) => answer({ ok: true, principal: pump }),
  // The device has no right of its own to answer.
  allows: (who: Principal, action: string, topic: string) => who.id !== 'pump' || action !== 'publish' || topic.startsWith('dev/pump'),
};

function registered(t: TestHouse, query = ''): TestPeer {
  const peer = t.peer();
  assert.equal(peer.ask('post', `/rd?lt=600${query}`, { payload: '</valve>', format: 40 }).code, '2.01');
  return peer;
}

/** What the device was asked, oldest first, and has not answered. */
function asked({ asked: sent }: TestPeer): string[] {
  return sent.map(({ request }) => wordsOf(request));
}

function answer(t: TestHouse, peer: TestPeer, payload: string, code = 0x45, format?: number): void {
  const options = format === undefined ? [] : [{ number: 12, value: uintBytes(format) }];
  peer.asked.shift()!.answer({ code, options, payload: textBytes(payload) });
  t.settle();
}

test('a message is sent as a request, and its answer goes where the message says', async () => {
  const t = await TestHouse.open({ security });
  const peer = registered(t);
  // The requester's own right is lent to who answers.
  const app = t.test.connect('app', { principal: { ...pump, id: 'tester' } });
  app.subscribe('answers/app', 1);
  const attributes = {
    contentType: 'application/json',
    replyTo: { kind: 'topic', name: 'answers/app' },
    correlation: { type: 'string', value: 'c1' },
  } as const;
  app.publish('dev/pump/command/PUT/valve/1?fade=2', '{"open":true}', 1, { attributes });
  assert.deepEqual(asked(peer), ['0.03 Uri-Path=valve Uri-Path=1 Content-Format=50 Uri-Query=fade=2 {"open":true}']);
  answer(t, peer, 'done', 0x44, 0);
  assert.deepEqual(
    app.deliveries.map(({ payload, attributes: { correlation, contentType, properties } = {} }) => [
      payload,
      correlation?.value,
      contentType,
      properties,
    ]),
    [['done', 'c1', 'text/plain; charset=utf-8', [{ key: 'coap-code', value: { type: 'string', value: '2.04' } }]]],
  );
  assert.equal(t.house.counters.commandsAnswered, 1);
  assertBooks(t.test);
});

test('one at a time, in order', async () => {
  const t = await TestHouse.open({ security });
  const peer = registered(t);
  const app = t.test.connect('app');
  for (const n of [1, 2, 3]) app.publish(`dev/pump/command/post/${n}`, '', 1);
  app.publish('dev/pump/command/nonsense', 'x', 1);
  for (const n of [1, 2, 3]) {
    assert.deepEqual(asked(peer), [`0.02 Uri-Path=${n}`]);
    answer(t, peer, '');
  }
  assert.deepEqual(asked(peer), []);
  assert.equal(t.house.counters.commandsInvalid, 1);
});

test('who does not answer is asked again when it is heard; what has expired is not', async () => {
  const t = await TestHouse.open({ security });
  const peer = registered(t);
  const app = t.test.connect('app');
  app.publish('dev/pump/command/post/a', '', 1);
  app.publish('dev/pump/command/post/b', '', 1, { expiresAtMs: t.test.clock.wallMs() + 1000 });
  app.publish('dev/pump/command/post/c', '', 1);
  peer.asked.shift()!.answer({ failure: 'timeout' });
  t.settle();
  assert.deepEqual(asked(peer), []);
  t.test.advance(2000);
  assert.deepEqual(asked(peer), []);
  peer.ask('post', '/t/anything', { con: false });
  assert.deepEqual(asked(peer), ['0.02 Uri-Path=a']);
  answer(t, peer, '');
  assert.deepEqual(asked(peer), ['0.02 Uri-Path=c']);
});

test('a device that sleeps is asked while it is awake', async () => {
  const t = await TestHouse.open({ security });
  const peer = registered(t, '&b=UQ');
  const app = t.test.connect('app');
  t.test.advance(94_000);
  app.publish('dev/pump/command/post/a', '', 1);
  assert.deepEqual(asked(peer), []);
  assert.equal(peer.ask('post', '/rd/pump').code, '2.04');
  assert.deepEqual(asked(peer), ['0.02 Uri-Path=a']);
});

test('commands wait for a device that is gone, and over a restart', async () => {
  const t = await TestHouse.open({ security });
  const peer = registered(t);
  const app = t.test.connect('app');
  app.publish('dev/pump/command/post/a', '', 1);
  peer.gone();
  app.publish('dev/pump/command/post/b', '', 1);
  const again = await t.restart({ security });
  const back = again.peer();
  assert.equal(back.ask('post', '/rd/pump').code, '2.04');
  assert.deepEqual(asked(back), ['0.02 Uri-Path=a']);
  answer(again, back, '');
  assert.deepEqual(asked(back), ['0.02 Uri-Path=b']);
  assertBooks(again.test);
});

test('when the registration is over nothing is sent', async () => {
  const t = await TestHouse.open({ security });
  const peer = registered(t);
  assert.equal(peer.ask('delete', '/rd/pump').code, '2.02');
  t.test.connect('app').publish('dev/pump/command/post/a', '', 1);
  assert.deepEqual(asked(peer), []);
  const back = registered(t);
  assert.deepEqual(asked(back), ['0.02 Uri-Path=a']);
});

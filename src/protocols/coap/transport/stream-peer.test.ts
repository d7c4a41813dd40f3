import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  Code,
  emptyOption,
  noBytes,
  type CoapMessage,
  type CoapOption,
  textBytes,
  uintOption,
  uintValue,
  optionValue,
} from '../codec/index.ts';
import type { CoapResponse, NotificationResult, RequestFailure } from '../exchange.ts';
import { StreamWorld } from './testing/stream-world.ts';
import { response } from './testing/udp-world.ts';

function aborted(world: StreamWorld, why: string): CoapMessage {
  const abort = world.take();
  assert.equal(abort.code, Code.abort);
  assert.equal(Buffer.from(abort.payload).toString(), why);
  assert.ok(world.isClosed);
  assert.equal(world.counters.connections, 0);
  return abort;
}

for (const isWebSocket of [false, true]) {
  suite(`over ${isWebSocket ? 'WebSocket' : 'TCP'}`, () => {
    const open = (options = {}): StreamWorld => new StreamWorld({ isWebSocket, ...options }).greet();

    test('a request is answered with its token, in any order', () => {
      const world = open().get('a').get('b');
      world.asked[1]!.reply.send(response(Code.content, 'two'));
      world.asked[0]!.reply.send(response(Code.content, 'one'));
      assert.deepEqual(
        [world.take(), world.take()].map(({ token, payload }) => [token, payload]),
        [
          [textBytes('b'), textBytes('two')],
          [textBytes('a'), textBytes('one')],
        ],
      );
      assert.equal(world.counters.pendingRequests, 0);
    });

    test('capabilities are told at once, and the peer is expected to tell its own first', () => {
      const world = new StreamWorld({ isWebSocket });
      const csm = world.take();
      assert.equal(csm.code, Code.csm);
      assert.equal(uintValue(optionValue(csm.options, 2)!), 4096);
      assert.ok(optionValue(csm.options, 4) !== undefined);
      world.get('a');
      aborted(world, 'CSM expected');
      assert.equal(world.asked.length, 0);
    });

    test('a peer that never tells its own is served where that is allowed, and is sent no large messages', () => {
      const world = new StreamWorld({ isWebSocket, requireCsm: false });
      world.take();
      world.get('a');
      assert.equal(world.asked[0]!.request.peer.maxMessageBytes, 1152);
      world.asked[0]!.reply.send(response(Code.content, 'one'));
      assert.deepEqual(world.take().payload, textBytes('one'));
      // It may do so later.
      world.send(Code.csm, '', [uintOption(2, 5000)]).get('b');
      assert.equal(world.asked[1]!.request.peer.maxMessageBytes, 5000);
    });

    test('a message larger than was allowed ends the connection', () => {
      const world = open().send(Code.post, '', [], 'x'.repeat(4200));
      aborted(world, 'message too large');
    });
  });
}

suite('capabilities (RFC 8323 §5.3)', () => {
  test('that do not come in time end the connection', () => {
    const world = new StreamWorld();
    world.take();
    world.pass(9_999).takeNothing().pass(1);
    aborted(world, 'no CSM in time');
  });

  test('with an unknown critical option end the connection, which is named', () => {
    const world = new StreamWorld();
    world.take();
    world.send(Code.csm, '', [emptyOption(2000), emptyOption(2001)]);
    assert.equal(uintValue(optionValue(aborted(world, 'bad CSM option').options, 2)!), 2001);
  });

  test('bound what is sent, and may be told again', () => {
    const world = new StreamWorld().greet();
    assert.equal(world.peer.maxMessageBytes, 1152);
    world.get('a');
    world.last.reply.send(response(Code.content, 'x'.repeat(2000)));
    assert.equal(world.take().code, Code.internalServerError);
    world.send(Code.csm, '', [uintOption(2, 5000)]).get('b');
    assert.equal(world.peer.maxMessageBytes, 5000);
    world.last.reply.send(response(Code.content, 'x'.repeat(2000)));
    assert.equal(world.take().code, Code.content);
  });

  test('tell how long tokens may be (RFC 8974)', () => {
    const world = new StreamWorld({ maxTokenBytes: 16 });
    assert.equal(uintValue(optionValue(world.take().options, 6)!), 16);
    world.send(Code.csm).get('x'.repeat(17));
    const refused = world.take();
    assert.equal(refused.code, Code.badRequest);
    assert.equal(refused.token.length, 17);
  });
});

suite('signals', () => {
  test('a Ping is answered with its token', () => {
    const pong = new StreamWorld().greet().send(Code.ping, 'p').take();
    assert.deepEqual([pong.code, pong.token, pong.options], [Code.pong, textBytes('p'), []]);
  });

  test('with custody the Pong waits for the requests before it, and not for those behind', () => {
    const world = new StreamWorld()
      .greet()
      .get('a')
      .send(Code.ping, 'p', [emptyOption(2)])
      .takeNothing()
      .get('b');
    world.asked[0]!.reply.send(response(Code.changed));
    assert.equal(world.take().code, Code.changed);
    const pong = world.take();
    assert.equal(pong.code, Code.pong);
    assert.ok(optionValue(pong.options, 2) !== undefined);
    world.takeNothing();
  });

  test('behind a Release what was asked is answered, and nothing more; then the connection ends', () => {
    const world = new StreamWorld().greet().get('a').send(Code.release).get('b');
    assert.equal(world.take().code, Code.serviceUnavailable);
    assert.equal(world.isClosed, false);
    world.asked[0]!.reply.send(response(Code.changed));
    assert.equal(world.take().code, Code.changed);
    assert.ok(world.isClosed);
  });

  test('an Abort ends the connection at once', () => {
    const world = new StreamWorld().greet().get('a').send(Code.abort);
    assert.ok(world.isClosed);
    assert.equal(world.last.gone, 1);
    world.last.reply.send(response(Code.changed));
    world.takeNothing();
  });

  test('the node going down is a Release', () => {
    const world = new StreamWorld().greet();
    world.peer.shutDown();
    assert.equal(world.take().code, Code.release);
    assert.ok(world.isClosed);
  });

  test('empty messages and unknown signals say nothing', () => {
    new StreamWorld().greet().send(Code.empty).send(0xff).send(0x60).takeNothing();
  });

  test('silence is asked about, and ends the connection', () => {
    const world = new StreamWorld().greet().pass(60_000);
    assert.equal(world.take().code, Code.ping);
    world.send(Code.pong).pass(60_000);
    assert.equal(world.take().code, Code.ping);
    world.pass(20_000);
    aborted(world, 'no pong in time');
  });
});

suite('requests', () => {
  test('that cannot be understood', () => {
    const world = new StreamWorld()
      .greet()
      .get('a', [emptyOption(9)])
      .get('b', [emptyOption(65_001)]);
    assert.equal(world.take().code, Code.badOption);
    assert.equal(world.asked.length, 1);
  });

  test('with a token that is in use take its place', () => {
    const world = new StreamWorld().greet().get('a').get('a');
    assert.equal(world.asked[0]!.gone, 1);
    world.asked[0]!.reply.send(response(Code.changed));
    world.takeNothing();
    world.asked[1]!.reply.send(response(Code.content));
    assert.equal(world.take().code, Code.content);
  });

  test('beyond what may wait are not read', () => {
    const world = new StreamWorld().greet();
    for (let i = 0; i < 8; i++) world.get(String(i));
    assert.equal(world.pauses, 1);
    world.last.reply.send(response(Code.changed));
    assert.equal(world.pauses, 0);
  });

  test('that want no answer get none', () => {
    const world = new StreamWorld().greet().get('a', [uintOption(258, 2)]);
    world.last.reply.send(response(Code.content));
    world.takeNothing();
    assert.equal(world.counters.pendingRequests, 0);
  });
});

suite('a peer that does not read', () => {
  test('is not read from, and its notifications wait', () => {
    const world = new StreamWorld({ outputHighWaterBytes: 1000, maxOutputBytes: 2000 }).greet().get('a', [uintOption(6, 0)]);
    const results: NotificationResult[] = [];
    const notify = (): void =>
      world.asked[0]!.reply.notify(response(Code.content, 'x'.repeat(600)), false, (result) => results.push(result));
    notify();
    notify();
    assert.deepEqual(results, ['sent']);
    for (let i = 0; i < 4; i++) notify();
    world.get('b');
    assert.equal(world.pauses, 1);
    world.output.takeChunks();
    world.peer.onDrained();
    assert.equal(results.length, 6);
    assert.equal(world.pauses, 0);
  });

  test('lets go of all when it is gone', () => {
    const world = new StreamWorld({ outputHighWaterBytes: 10 }).greet().get('a', [uintOption(6, 0)]);
    const results: NotificationResult[] = [];
    let gone = 0;
    world.peer.whenGone(() => gone++);
    world.last.reply.notify(response(Code.content, 'x'.repeat(600)), false, (result) => results.push(result));
    world.peer.onClosed();
    assert.deepEqual([results, world.last.gone, gone], [['lost'], 1, 1]);
    world.peer.whenGone(() => gone++);
    assert.equal(gone, 2);
    assert.equal(world.counters.connections, 0);
  });
});

suite('requests to a peer', () => {
  const get = { code: Code.get, options: [], payload: noBytes, confirmable: true };

  test('are answered, observed, cancelled, and fail', () => {
    const world = new StreamWorld({ keepAliveMs: 0 }).greet();
    const results: (CoapResponse | RequestFailure)[] = [];
    const ask = (options: readonly CoapOption[] = []): (() => void) =>
      world.peer.request({ ...get, options }, (result) => results.push(result));
    ask();
    const content = { code: Code.content, options: [], payload: textBytes('v') };
    const { token } = world.take();
    world.send(Code.content, token, [], 'v').send(Code.content, token, [], 'v');
    assert.deepEqual(results, [content]);
    const cancel = ask([uintOption(6, 0)]);
    const observed = world.take();
    // Nothing overtakes here: the numbers do not matter (RFC 8323 §7.1).
    for (const sequence of [5, 4]) world.send(Code.content, observed.token, [uintOption(6, sequence)], 'v');
    assert.equal(results.length, 3);
    cancel();
    // RFC 8323 §7.4.
    const { code, token: ended, options } = world.take();
    assert.deepEqual([code, ended, options], [Code.get, observed.token, [uintOption(6, 1)]]);
    cancel();
    world.takeNothing();
    world.send(Code.content, observed.token, [uintOption(6, 6)], 'v');
    assert.equal(results.length, 3);
    ask();
    world.pass(90_000);
    assert.deepEqual(results.at(-1), { failure: 'timeout' });
    ask();
    world.peer.onClosed();
    assert.deepEqual(results.at(-1), { failure: 'gone' });
  });
});

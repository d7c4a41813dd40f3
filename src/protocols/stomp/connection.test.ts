import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { allowAll } from '../../broker/testing/test-broker.ts';
import type { AuthenticationResult, Security } from '../../security/security.ts';
import { encodeFrame } from './codec/index.ts';
import { House, textOf } from './testing/house.ts';

describe('a handshake', () => {
  test('agrees on the highest common version, and names the server', async () => {
    const house = await House.open();
    for (const [asked, got] of [
      ['1.0,1.1,1.2', '1.2'],
      ['1.1,1.0', '1.1'],
      ['1.0', '1.0'],
      ['1.2, 1.3', '1.2'],
    ] as const) {
      const peer = house.peer().say('CONNECT', { 'accept-version': asked, host: 'h' });
      const [connected] = peer.hear();
      assert.equal(connected?.command, 'CONNECTED');
      assert.equal(connected.get('version'), got);
      assert.equal(connected.get('server'), 'Heliograph/1');
      peer.vanish();
    }
    assert.equal(house.server.counters.connections, 0);
    assert.equal(house.test.broker.sessionCount, 0);
  });

  test('of a client that names no version is 1.0', async () => {
    const house = await House.open();
    const [connected] = house.peer().say('STOMP', {}).hear();
    assert.equal(connected?.get('version'), '1.0');
    assert.equal(connected?.get('heart-beat'), undefined);
  });

  test('without a common version ends with an ERROR that names those there are', async () => {
    const house = await House.open();
    const peer = house.peer().say('CONNECT', { 'accept-version': '2.0' });
    const [error] = peer.hear();
    assert.equal(error?.command, 'ERROR');
    assert.equal(error.get('version'), '1.0,1.1,1.2');
    assert.match(textOf(error), /Supported protocol versions are 1\.0 1\.1 1\.2/);
    assert.equal(peer.wire.ended, 'closed');
  });

  test('that fails says why, and nothing of the passcode', async () => {
    const answers: AuthenticationResult[] = [
      { ok: false, reason: 'refused' },
      { ok: false, reason: 'banned' },
      { ok: false, reason: 'overloaded' },
    ];
    const security: Security = { ...allowAll, authenticate: (_, answer) => answer(answers.shift()!) };
    const house = await House.open({ security });
    for (const words of ['not authenticated', 'locked out', 'overloaded']) {
      const peer = house.peer().say('CONNECT', { 'accept-version': '1.2', login: 'a', passcode: 'secret-word' });
      const [error] = peer.hear();
      assert.equal(error?.get('message'), words);
      assert.ok(!JSON.stringify(error.headers).includes('secret-word') && !textOf(error).includes('secret-word'));
      peer.vanish();
    }
    assert.equal(house.server.counters.connectsRefused, 3);
    const counted = [...house.server.counters.samples()].filter(({ name }) => name === 'heliograph_stomp_errors_total');
    assert.deepEqual(
      counted.map(({ labels, value }) => [labels?.['reason'], value]),
      [
        ['not authenticated', 1],
        ['locked out', 1],
        ['overloaded', 1],
      ],
    );
  });

  test('gives login and passcode to security, and nothing where there is none', async () => {
    const asked: unknown[] = [];
    const security: Security = {
      ...allowAll,
      authenticate: (credentials, answer) => {
        const { username, password, clientId } = credentials;
        asked.push([clientId.startsWith('auto-') ? 'auto' : clientId, username, password && Buffer.from(password).toString()]);
        allowAll.authenticate(credentials, answer);
      },
    };
    const house = await House.open({ security });
    // CONNECT is not escaped.
    house.peer().say('CONNECT', [
      ['accept-version', '1.2'],
      ['client-id', 'c'],
      ['login', 'a\\b'],
      ['passcode', 'p:q'],
    ]);
    house.peer().say('CONNECT', { 'accept-version': '1.2' });
    house.peer().say('CONNECT', { 'accept-version': '1.2', login: '', passcode: '' });
    assert.deepEqual(asked, [
      ['c', 'a\\b', 'p:q'],
      ['auto', undefined, undefined],
      ['auto', undefined, undefined],
    ]);
  });

  test('takes what comes early, once it is answered', async () => {
    const answers: ((result: AuthenticationResult) => void)[] = [];
    const security: Security = { ...allowAll, authenticate: (_, answer) => void answers.push(answer) };
    const house = await House.open({ security });
    const peer = house.peer();
    peer.bytes(
      Buffer.concat([
        encodeFrame('CONNECT', [['accept-version', '1.2']]),
        encodeFrame('SUBSCRIBE', [
          ['destination', 'a'],
          ['id', '1'],
          ['receipt', 's'],
        ]),
        encodeFrame('SEND', [['destination', 'a']], 'x'),
      ]),
    );
    assert.deepEqual(peer.words(), []);
    assert.equal(peer.wire.pauses, 1);
    allowAll.authenticate({} as never, answers[0]!);
    house.test.settle();
    assert.deepEqual(peer.words(), ['CONNECTED', 'RECEIPT s', 'MESSAGE a x']);
    assert.equal(peer.wire.pauses, 0);
  });

  test('keeps only so much of what comes early', async () => {
    const security: Security = { ...allowAll, authenticate: () => {} };
    const house = await House.open({ security, maxEarlyBytes: 100 });
    const peer = house.peer().say('CONNECT', { 'accept-version': '1.2' });
    peer.bytes(Buffer.alloc(60)).bytes(Buffer.alloc(60));
    assert.deepEqual(peer.words(), ['ERROR too early']);
  });

  test('that takes too long ends', async () => {
    const house = await House.open();
    const peer = house.peer();
    house.test.clock.advance(10_000);
    peer.connection.onDeadline();
    assert.deepEqual(peer.words(), ['ERROR time-out']);
    assert.equal(peer.wire.ended, 'closed');
  });

  test('is refused to who may not connect', async () => {
    const security: Security = { ...allowAll, allows: (_principal, action) => action !== 'connect' };
    const house = await House.open({ security });
    assert.deepEqual(house.peer().say('CONNECT', { 'accept-version': '1.2' }).words(), ['ERROR not authorized']);
  });
});

describe('heart-beats', () => {
  test('are agreed on as the larger of what one can and the other wants', async () => {
    const house = await House.open({ heartBeatMs: 1000 });
    const peer = house.peer().say('CONNECT', { 'accept-version': '1.2', 'heart-beat': '500,4000' });
    assert.equal(peer.hear()[0]?.get('heart-beat'), '1000,1000');
    // Every 2000 ms it is seen to that something was sent.
    assert.equal(peer.wire.deadlineMs - house.test.clock.monotonicMs(), 2000);
    house.test.clock.advance(1900);
    peer.bytes(Buffer.from('\n'));
    house.test.clock.advance(100);
    peer.connection.onDeadline();
    // CONNECTED was sent in between.
    assert.equal(peer.wire.takeBytes().length, 0);
    house.test.clock.advance(1800);
    peer.connection.onDeadline();
    assert.equal(peer.wire.ended, undefined);
    peer.bytes(Buffer.from('\r\n'));
    house.test.clock.advance(200);
    peer.connection.onDeadline();
    assert.equal(peer.wire.takeBytes().toString(), '\n');
  });

  test('that do not come end the connection', async () => {
    const house = await House.open({ heartBeatMs: 1000 });
    const peer = house.client({ 'heart-beat': '1000,0' });
    assert.equal(peer.wire.deadlineMs - house.test.clock.monotonicMs(), 2000);
    house.test.clock.advance(2000);
    peer.connection.onDeadline();
    assert.deepEqual(peer.words(), ['ERROR heart-beat missed']);
    assert.equal(house.server.counters.heartBeatsMissed, 1);
  });

  test('are none where nobody asks, and an ERROR where they are no numbers', async () => {
    const house = await House.open();
    assert.equal(house.client().wire.deadlineMs, Infinity);
    assert.deepEqual(house.peer().say('CONNECT', { 'accept-version': '1.2', 'heart-beat': 'a,1' }).words(), ['ERROR bad heart-beat']);
  });
});

describe('a frame that is at fault', () => {
  const cases: readonly (readonly [
    name: string,
    command: string,
    headers: Readonly<Record<string, string>>,
    words: string,
    body?: string,
  ])[] = [
    ['an unknown command', 'PUBLISH', {}, 'ERROR unexpected frame'],
    ['a second CONNECT', 'CONNECT', { 'accept-version': '1.2' }, 'ERROR unexpected frame'],
    ['MESSAGE from a client', 'MESSAGE', { destination: 'a' }, 'ERROR unexpected frame'],
    ['a body where none may be', 'SUBSCRIBE', { destination: 'a', id: '1' }, 'ERROR malformed frame', 'x'],
    ['SEND to nowhere', 'SEND', {}, 'ERROR header destination missing'],
    ['SEND to a filter', 'SEND', { destination: '/topic/a/#' }, 'ERROR the destination is no topic that is accepted here'],
    ['SUBSCRIBE without id', 'SUBSCRIBE', { destination: 'a' }, 'ERROR header id missing'],
    ['SUBSCRIBE without destination', 'SUBSCRIBE', { id: '1' }, 'ERROR header destination missing'],
    [
      'SUBSCRIBE to no filter',
      'SUBSCRIBE',
      { id: '1', destination: '/topic/a#' },
      'ERROR the destination is no filter that is accepted here',
    ],
    ['SUBSCRIBE with another ack', 'SUBSCRIBE', { id: '1', destination: 'a', ack: 'never' }, 'ERROR bad ack'],
    ['a durable subscription without client-id', 'SUBSCRIBE', { id: '1', destination: 'a', durable: 'true' }, 'ERROR bad subscription'],
    ['a selector that cannot be read', 'SUBSCRIBE', { id: '1', destination: 'a', selector: 'a = ' }, 'ERROR the selector cannot be read'],
    ['a prefetch-count of nothing', 'SUBSCRIBE', { id: '1', destination: 'a', 'prefetch-count': '0' }, 'ERROR bad prefetch-count'],
    ['UNSUBSCRIBE of what is not there', 'UNSUBSCRIBE', { id: '1' }, 'ERROR unknown subscription'],
    ['ACK without id', 'ACK', {}, 'ERROR header id missing'],
    ['ACK of nothing', 'ACK', { id: '1-1' }, 'ERROR unknown message'],
    ['NACK of no message', 'NACK', { id: 'x' }, 'ERROR unknown message'],
    ['COMMIT of nothing', 'COMMIT', { transaction: 't' }, 'ERROR unknown transaction'],
    ['ABORT without a name', 'ABORT', {}, 'ERROR header transaction missing'],
    ['a priority of ten', 'SEND', { destination: 'a', priority: '10' }, 'ERROR bad header'],
  ];
  for (const [name, command, headers, words, body = ''] of cases) {
    test(`${name} ends the connection`, async () => {
      const house = await House.open();
      const peer = house.client();
      peer.say(command, headers, body);
      assert.deepEqual(peer.words(), [words]);
      assert.equal(peer.connection.state, 'closing');
      assert.equal(peer.wire.ended, 'closed');
      peer.vanish();
      assert.equal(house.test.broker.sessionCount, 0);
    });
  }

  test('is named by the receipt that it asked for', async () => {
    const peer = (await House.open()).client();
    peer.say('SEND', { destination: 'a/+', receipt: 'r-1' });
    const [error] = peer.hear();
    assert.equal(error?.get('receipt-id'), 'r-1');
    assert.match(textOf(error!), /SEND was refused/);
  });

  test('is nothing but CONNECT before CONNECT', async () => {
    const house = await House.open();
    for (const command of ['SEND', 'ACK', 'GET / HTTP/1.1', '']) {
      assert.deepEqual(house.peer().say(command, { destination: 'a' }).words(), ['ERROR not connected']);
    }
  });
});

describe('the end', () => {
  test('of a node is said', async () => {
    const peer = (await House.open()).client();
    peer.connection.shutDown();
    assert.deepEqual(peer.words(), ['ERROR the server is going down']);
    assert.equal(peer.wire.ended, 'closed');
  });

  test('of what proved who the client is ends the connection', async () => {
    const house = await House.open({
      security: {
        ...allowAll,
        authenticate: (credentials, answer) =>
          allowAll.authenticate(credentials, (result) => answer({ ...result, expiresAtMs: 5000 } as AuthenticationResult)),
      },
    });
    const peer = house.client();
    assert.ok(peer.wire.deadlineMs < Infinity);
    house.test.clock.advance(Math.max(0, 5000 - house.test.clock.wallMs()));
    peer.connection.onDeadline();
    assert.deepEqual(peer.words(), ['ERROR credentials expired']);
  });

  test('leaves nothing behind, in whatever state', async () => {
    const house = await House.open();
    house.peer().vanish();
    house.client().vanish();
    const peer = house.client();
    peer.say('SUBSCRIBE', { id: '1', destination: 'a', ack: 'client' }).say('BEGIN', { transaction: 't' });
    house.client().say('SEND', { destination: 'a' }, 'x');
    peer.vanish();
    const { counters } = house.server;
    assert.deepEqual([counters.subscriptions, counters.transactions, counters.connectsAbandoned], [0, 0, 1]);
    assert.equal(counters.connections, 1);
  });
});

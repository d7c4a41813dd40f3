// Proves the statements of STOMP 1.2 over the real broker, then checks that each was proved.

import assert from 'node:assert/strict';
import test from 'node:test';
import { allowAll } from '../../../src/broker/testing/test-broker.ts';
import { House, type Peer, textOf } from '../../../src/protocols/stomp/testing/house.ts';
import { deviations, statements } from './statements.ts';

const proved = new Set<string>();

function conforms(
  ids: string,
  name: string,
  body: (house: House) => void | Promise<void>,
  options: Parameters<typeof House.open>[0] = {},
): void {
  test(`STOMP 1.2 [${ids.replaceAll(' ', '] [')}] ${name}`, async () => {
    await body(await House.open(options));
    for (const id of ids.split(' ')) proved.add(id);
  });
}

const raw = (peer: Peer, text: string): Peer => peer.bytes(Buffer.from(text, 'latin1'));
const hello = 'CONNECT\naccept-version:1.2\nhost:h\n\n\0';

conforms('1.1', 'what is no UTF-8 is an ERROR', (house) => {
  assert.deepEqual(raw(house.client(), 'SEND\ndestination:\xff\n\n\0').words(), ['ERROR malformed frame']);
  assert.deepEqual(raw(house.client(), 'SEND\ndestination:\xc3\xa4\nreceipt:\xc3\xa4\n\n\0').words(), ['RECEIPT ä']);
});

conforms('1.2 1.3 2.1 2.3', 'line ends of both kinds, within and between frames', (house) => {
  const peer = raw(
    house.peer(),
    '\nCONNECT\r\naccept-version:1.2\r\nhost:h\r\n\r\n\0\n\r\n\nSEND\r\ndestination:a\nreceipt:1\r\n\r\nx\0\n\n',
  );
  const [connected, receipt] = peer.hear();
  assert.deepEqual([connected?.command, connected?.get('version'), receipt?.get('receipt-id')], ['CONNECTED', '1.2', '1']);
});

conforms('1.4 1.12 4.1 3.1', 'headers come as they were sent, escaped', (house) => {
  const reader = house.client();
  reader.say('SUBSCRIBE', { id: '1', destination: 'a' });
  raw(house.client(), 'SEND\ndestination:a\nk\\cey: a\\\\b\\nc\\rd\\ce \n\n\0');
  const [message] = reader.hear();
  assert.equal(message?.get('k:ey'), ' a\\b\nc\rd:e ');
});

conforms('1.5 4.3', 'an undefined escape ends the connection', (house) => {
  const peer = raw(house.client(), 'SEND\ndestination:a\nx:\\t\n\n\0');
  const [error] = peer.hear();
  assert.equal(error?.command, 'ERROR');
  assert.ok((error.get('message') ?? '') !== '' && textOf(error).includes('\\t'));
  assert.equal(peer.wire.ended, 'closed');
  assert.deepEqual(house.client().say('SEND', { destination: 'a/#', receipt: 'r' }).hear()[0]?.get('receipt-id'), 'r');
});

conforms('1.6', 'a body where there may be none is an ERROR', (house) => {
  for (const command of ['BEGIN', 'ACK', 'UNSUBSCRIBE', 'DISCONNECT']) {
    assert.deepEqual(house.client().say(command, { transaction: 't', id: '1' }, 'x').words(), ['ERROR malformed frame']);
  }
});

conforms('1.7 1.8', 'zeros in a body of known length, and lengths and types of what the server sends', (house) => {
  const reader = house.client();
  reader.say('SUBSCRIBE', { id: '1', destination: 'a' });
  raw(house.client(), 'SEND\ndestination:a\ncontent-length:3\ncontent-type:x/y\n\n\0a\0\0');
  const [message] = reader.hear();
  assert.deepEqual([message?.get('content-length'), message?.get('content-type'), message && textOf(message)], ['3', 'x/y', '\0a\0']);
  const [error] = reader.say('NONE').hear();
  assert.deepEqual([error?.get('content-length'), error?.get('content-type')], [String(error!.bodyBytes), 'text/plain']);
});

conforms('1.9 4.2 3.14 3.11', 'each frame is answered by its receipt', (house) => {
  const peer = house.client();
  const frames: [string, Record<string, string>][] = [
    ['SUBSCRIBE', { id: '1', destination: 'q', ack: 'client' }],
    ['BEGIN', { transaction: 't' }],
    ['SEND', { destination: 'q', transaction: 't' }],
    ['COMMIT', { transaction: 't' }],
    ['ACK', { id: '1-1' }],
    ['BEGIN', { transaction: 't' }],
    ['ABORT', { transaction: 't' }],
    ['UNSUBSCRIBE', { id: '1' }],
    ['NACK', { id: '1-1' }],
    ['DISCONNECT', {}],
  ];
  for (const [i, [command, headers]] of frames.entries()) {
    peer.say(command, { ...headers, receipt: `r${i}` });
    assert.ok(
      peer.hear().some((frame) => frame.command === 'RECEIPT' && frame.get('receipt-id') === `r${i}`),
      command,
    );
  }
  const twice = house.client().say('BEGIN', { transaction: 't' }).say('BEGIN', { transaction: 't' });
  assert.deepEqual(twice.words(), ['ERROR bad transaction']);
});

conforms('1.10', 'the first of repeated headers counts', (house) => {
  const reader = house.client();
  reader.say('SUBSCRIBE', { id: '1', destination: 'a' });
  house.client().say('SEND', [
    ['destination', 'a'],
    ['destination', 'b'],
    ['k', '1'],
    ['k', '2'],
  ]);
  assert.equal(reader.hear()[0]?.get('k'), '1');
});

conforms(
  '1.11',
  'what is too large ends the connection',
  (house) => {
    assert.deepEqual(house.client().say('SEND', { destination: 'a' }, 'x'.repeat(101)).words(), ['ERROR body too large']);
    assert.deepEqual(
      house
        .client()
        .say('SEND', { destination: 'x'.repeat(600) })
        .words(),
      ['ERROR headers too large'],
    );
    const many = Array.from({ length: 13 }, (_, i) => [`k${i}`, ''] as const);
    assert.deepEqual(house.client().say('SEND', many).words(), ['ERROR too many headers']);
  },
  { maxHeadBytes: 512, maxHeaders: 12, maxBodyBytes: 100 },
);

conforms('2.2 2.4', 'STOMP instead of CONNECT, and the highest common version', (house) => {
  const [connected] = raw(house.peer(), hello.replace('CONNECT', 'STOMP').replace('1.2', '1.0,1.1,2.0')).hear();
  assert.deepEqual([connected?.command, connected?.get('version')], ['CONNECTED', '1.1']);
});

conforms('2.5', 'no common version', (house) => {
  const peer = raw(house.peer(), hello.replace('1.2', '3.0'));
  const [error] = peer.hear();
  assert.deepEqual([error?.command, error?.get('version'), peer.wire.ended], ['ERROR', '1.0,1.1,1.2', 'closed']);
});

conforms(
  '2.6',
  'login and passcode',
  (house) => {
    assert.equal(house.client({ login: 'l', passcode: 'p' }).connection.state, 'connected');
    assert.deepEqual(house.peer().say('CONNECT', { 'accept-version': '1.2', login: 'l', passcode: 'x' }).words(), [
      'ERROR not authenticated',
    ]);
  },
  {
    security: {
      ...allowAll,
      authenticate: (credentials, answer) =>
        Buffer.from(credentials.password ?? []).toString() === 'p'
          ? allowAll.authenticate(credentials, answer)
          : answer({ ok: false, reason: 'refused' }),
    },
  },
);

conforms(
  '2.7 2.8 2.9',
  'heart-beats of both sides',
  (house) => {
    const peer = house.client({ 'heart-beat': '3000,2000' });
    const { clock } = house.test;
    for (let i = 0; i < 4; i++) {
      clock.advance(1000);
      peer.connection.onDeadline();
    }
    // CONNECTED was one, and one within every two seconds since.
    assert.match(peer.wire.takeBytes().toString(), /^\n{1,4}$/);
    clock.advance(2000);
    peer.connection.onDeadline();
    assert.deepEqual(peer.words(), ['ERROR heart-beat missed']);
    assert.equal(house.client({ 'heart-beat': '0,0' }).wire.deadlineMs, Infinity);
  },
  { heartBeatMs: 1000 },
);

conforms('3.2', 'a SEND that cannot be done', (house) => {
  const peer = house.client().say('SEND', { destination: '/topic/#' });
  assert.deepEqual([peer.hear()[0]?.command, peer.wire.ended], ['ERROR', 'closed']);
});

conforms('3.3 3.15 3.16', 'transactions', (house) => {
  const reader = house.client();
  reader.say('SUBSCRIBE', { id: '1', destination: 'a' });
  for (const end of ['ABORT', 'vanish', 'COMMIT']) {
    const writer = house.client();
    writer.say('BEGIN', { transaction: 't' }).say('SEND', { destination: 'a', transaction: 't' }, end);
    assert.deepEqual(reader.hear(), []);
    if (end === 'vanish') writer.vanish();
    else writer.say(end, { transaction: 't' });
  }
  assert.deepEqual(reader.hear().map(textOf), ['COMMIT']);
});

conforms('3.4', 'ids of subscriptions', (house) => {
  assert.deepEqual(house.client().say('SUBSCRIBE', { destination: 'a' }).words(), ['ERROR header id missing']);
  const twice = house.client().say('SUBSCRIBE', { destination: 'a', id: '1' }).say('SUBSCRIBE', { destination: 'b', id: '1' });
  assert.deepEqual(twice.words(), ['ERROR bad id']);
});

function queueOf(house: House, ack: string): { reader: Peer; names: string[] } {
  for (const body of ['1', '2', '3']) house.client().say('SEND', { destination: '/queue/q' }, body);
  const reader = house.client();
  reader.say('SUBSCRIBE', { id: 's', destination: '/queue/q', ack });
  return { reader, names: reader.hear().map((frame) => frame.get('ack') ?? '') };
}

function left(house: House): string[] {
  const reader = house.client();
  reader.say('SUBSCRIBE', { id: 's', destination: '/queue/q', ack: 'client' });
  const texts = reader.hear().map(textOf);
  reader.vanish();
  return texts;
}

conforms('3.5 3.6', 'MESSAGE, acknowledged by itself', (house) => {
  const { reader } = queueOf(house, 'auto');
  house.client().say('SEND', { destination: '/queue/q' }, 'x');
  const [message] = reader.hear();
  assert.deepEqual([message?.get('subscription'), message?.get('destination'), message?.get('ack')], ['s', '/queue/q', undefined]);
  assert.ok((message?.get('message-id') ?? '') !== '');
  reader.vanish();
  assert.deepEqual(left(house), []);
});

conforms('3.7 3.9 3.10', 'ACK of all before', (house) => {
  const { reader, names } = queueOf(house, 'client');
  reader.say('ACK', { id: names[1]! }).vanish();
  assert.deepEqual(left(house), ['3']);
});

conforms('3.8', 'ACK of one', (house) => {
  const { reader, names } = queueOf(house, 'client-individual');
  reader.say('ACK', { id: names[1]! }).vanish();
  assert.deepEqual(left(house), ['1', '3']);
});

conforms('3.12 3.13', 'ACK and NACK in a transaction', (house) => {
  const { reader, names } = queueOf(house, 'client-individual');
  reader.say('BEGIN', { transaction: 't' }).say('ACK', { id: names[0]!, transaction: 't' });
  reader.say('NACK', { id: names[1]!, transaction: 't', requeue: 'false' }).say('COMMIT', { transaction: 't' }).vanish();
  assert.deepEqual(left(house), ['3']);
});

conforms('3.17 3.18', 'DISCONNECT', (house) => {
  const peer = house.client();
  house.test.frozen.add(0);
  peer
    .say('SEND', { destination: '/queue/q' }, 'x')
    .say('DISCONNECT', { receipt: 'bye' })
    .say('SEND', { destination: '/queue/q', receipt: 'late' }, 'y');
  assert.deepEqual(peer.words(), []);
  house.test.frozen.delete(0);
  house.test.settle();
  assert.deepEqual([peer.words(), peer.wire.ended], [['RECEIPT bye'], 'closed']);
  assert.deepEqual(left(house), ['x']);
});

// Registered last, so that everything above has run.
test('every statement of STOMP 1.2 that binds a server is covered', (t) => {
  const ids = [...statements.keys()];
  t.diagnostic(`STOMP 1.2: ${ids.length} statements, ${proved.size} covered, ${Object.keys(deviations).length} deviations`);
  assert.deepEqual(
    { uncovered: ids.filter((id) => !proved.has(id) && !(id in deviations)), unknown: [...proved].filter((id) => !statements.has(id)) },
    { uncovered: [], unknown: [] },
  );
});

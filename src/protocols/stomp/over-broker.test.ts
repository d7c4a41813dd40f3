import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { allowAll } from '../../broker/testing/test-broker.ts';
import type { Security } from '../../security/security.ts';
import type { Frame } from './codec/index.ts';
import { House, type Peer, textOf } from './testing/house.ts';

function subscribe(peer: Peer, id: string, destination: string, more: Readonly<Record<string, string>> = {}): void {
  peer.say('SUBSCRIBE', { id, destination, receipt: `s-${id}`, ...more });
  assert.deepEqual(peer.words()[0], `RECEIPT s-${id}`);
}

function messages(peer: Peer): Frame[] {
  return peer.hear().filter(({ command }) => command === 'MESSAGE');
}

const bodies = (peer: Peer): string[] => messages(peer).map(textOf);

describe('a destination', () => {
  test('is a topic, a queue or a group, and comes back as its reader writes it', async () => {
    const house = await House.open();
    const reader = house.client();
    subscribe(reader, '1', '/topic/a/+');
    subscribe(reader, '2', 'a/#');
    subscribe(reader, '3', '/queue/jobs');
    subscribe(reader, '4', '/share/g/b/#');
    const writer = house.client();
    writer
      .say('SEND', { destination: '/topic/a/b' }, 'one')
      .say('SEND', { destination: '$queue/jobs' }, 'two')
      .say('SEND', { destination: 'b' }, 'three');
    const heard = messages(reader).map((frame) => [frame.get('subscription'), frame.get('destination'), textOf(frame)]);
    assert.deepEqual(heard.toSorted(), [
      ['1', '/topic/a/b', 'one'],
      ['2', 'a/b', 'one'],
      ['3', '/queue/jobs', 'two'],
      ['4', '/topic/b', 'three'],
    ]);
  });

  test('of a queue or group is shared by its readers', async () => {
    const house = await House.open();
    const readers = [house.client(), house.client()];
    for (const reader of readers) subscribe(reader, '1', '/share/g/a', { ack: 'client' });
    for (let i = 0; i < 4; i++) house.client().say('SEND', { destination: 'a' }, `${i}`);
    assert.deepEqual(readers.flatMap(bodies).toSorted(), ['0', '1', '2', '3']);
  });

  test('to which one may not send or subscribe is refused by name', async () => {
    const security: Security = { ...allowAll, allows: (_principal, _action, topic) => !topic.startsWith('secret') };
    const house = await House.open({ security });
    assert.deepEqual(house.client().say('SEND', { destination: 'secret', receipt: '1' }).words(), ['ERROR 1 not authorized']);
    assert.deepEqual(house.client().say('SUBSCRIBE', { destination: '/topic/secret', id: '1', receipt: '2' }).words(), [
      'ERROR 2 not authorized',
    ]);
  });
});

describe('a receipt', () => {
  test('of SEND comes when the message is durable, and not before', async () => {
    const house = await House.open();
    const reader = house.client({ 'client-id': 'c' });
    subscribe(reader, '1', '/queue/q', { ack: 'client' });
    const writer = house.client();
    house.test.frozen.add(0);
    writer.say('SEND', { destination: '/queue/q', receipt: 'r' }, 'x');
    assert.deepEqual(writer.words(), []);
    house.test.frozen.delete(0);
    house.test.settle();
    assert.deepEqual(writer.words(), ['RECEIPT r']);
  });

  test('of DISCONNECT comes when everything before it is done', async () => {
    const house = await House.open();
    const writer = house.client();
    writer.say('SEND', { destination: '/queue/q' }, 'early');
    house.test.frozen.add(0);
    writer.say('SEND', { destination: '/queue/q', receipt: '1' }, 'x').say('DISCONNECT', { receipt: '2' });
    writer.say('SEND', { destination: '/queue/q', receipt: '3' }, 'too late');
    assert.deepEqual(writer.words(), []);
    assert.equal(writer.wire.ended, undefined);
    house.test.frozen.delete(0);
    house.test.settle();
    assert.deepEqual(writer.words(), ['RECEIPT 1', 'RECEIPT 2']);
    assert.equal(writer.wire.ended, 'closed');
    writer.vanish();
    assert.deepEqual([house.server.counters.disconnects, house.server.counters.lost], [1, 0]);
    assert.equal(house.test.broker.sessionCount, 0);
  });

  test('of an ACK comes when it is durable that the message is gone', async () => {
    const house = await House.open();
    house.client().say('SEND', { destination: '/queue/q' }, 'x');
    const reader = house.client();
    reader.say('SUBSCRIBE', { id: '1', destination: '/queue/q', ack: 'client-individual' });
    const [message] = messages(reader);
    house.test.frozen.add(0);
    reader.say('ACK', { id: message!.get('ack')!, receipt: 'a' });
    assert.deepEqual(reader.words(), []);
    house.test.frozen.delete(0);
    house.test.settle();
    assert.deepEqual(reader.words(), ['RECEIPT a']);
    const again = new House(await house.test.restart());
    const later = again.client();
    later.say('SUBSCRIBE', { id: '1', destination: '/queue/q' });
    assert.deepEqual(bodies(later), []);
  });

  test('that a full queue refuses is an ERROR instead', async () => {
    const house = await House.open({}, { limits: { namedQueue: { maxMessages: 1, maxBytes: 1000, onFull: 'reject-new' } } });
    const writer = house.client();
    writer.say('SEND', { destination: '/queue/q', receipt: '1' }, 'x').say('SEND', { destination: '/queue/q', receipt: '2' }, 'y');
    assert.deepEqual(writer.words(), ['RECEIPT 1', 'ERROR 2 a queue is full, or a limit of the server is reached']);
  });

  test('holds reading back when too many are owed', async () => {
    const house = await House.open({ maxWaiting: 4 });
    const writer = house.client();
    house.test.frozen.add(0);
    for (let i = 0; i < 4; i++) writer.say('SEND', { destination: '/queue/q', receipt: `${i}` }, 'x');
    assert.equal(writer.wire.pauses, 1);
    house.test.frozen.delete(0);
    house.test.settle();
    assert.equal(writer.wire.pauses, 0);
    assert.equal(writer.words().length, 4);
  });
});

describe('acknowledging', () => {
  async function withThree(ack: string, version = '1.2'): Promise<{ house: House; reader: Peer; heard: Frame[] }> {
    const house = await House.open();
    for (const body of ['1', '2', '3']) house.client().say('SEND', { destination: '/queue/q' }, body);
    const reader = house.client({ 'accept-version': version });
    reader.say('SUBSCRIBE', { id: 's', destination: '/queue/q', ack });
    return { house, reader, heard: messages(reader) };
  }

  /** What a reader that comes later gets. */
  function left(house: House, reader: Peer): string[] {
    reader.vanish();
    const next = house.client();
    next.say('SUBSCRIBE', { id: 'n', destination: '/queue/q', ack: 'client' });
    return bodies(next);
  }

  test('is not needed with auto', async () => {
    const { house, reader, heard } = await withThree('auto');
    assert.deepEqual(heard.map(textOf), ['1', '2', '3']);
    assert.equal(heard[0]!.get('ack'), undefined);
    assert.deepEqual(left(house, reader), []);
  });

  test('with client counts for all before, too', async () => {
    const { house, reader, heard } = await withThree('client');
    reader.say('ACK', { id: heard[1]!.get('ack')!, receipt: 'r' });
    assert.deepEqual(reader.words(), ['RECEIPT r']);
    assert.deepEqual(left(house, reader), ['3']);
  });

  test('with client-individual counts for one', async () => {
    const { house, reader, heard } = await withThree('client-individual');
    reader.say('ACK', { id: heard[1]!.get('ack')! });
    assert.deepEqual(left(house, reader), ['1', '3']);
  });

  test('twice does nothing', async () => {
    const { house, reader, heard } = await withThree('client');
    const id = heard[1]!.get('ack')!;
    reader.say('ACK', { id }).say('ACK', { id, receipt: 'again' }).say('NACK', { id });
    assert.deepEqual(reader.words(), ['RECEIPT again']);
    assert.deepEqual(left(house, reader), ['3']);
  });

  test('negatively gives it back as one more failed attempt, or rejects it', async () => {
    const { house, reader, heard } = await withThree('client-individual');
    reader.say('NACK', { id: heard[0]!.get('ack')! });
    const [again] = messages(reader);
    assert.deepEqual([textOf(again!), again!.get('redelivered')], ['1', 'true']);
    reader.say('NACK', { id: heard[1]!.get('ack')!, requeue: 'false' });
    assert.deepEqual(left(house, reader), ['1', '3']);
    const dead = house.client();
    dead.say('SUBSCRIBE', { id: 'd', destination: '/queue/dead-letter' });
    assert.deepEqual(bodies(dead), ['2']);
  });

  test('in 1.1 names message and subscription, in 1.0 the message', async () => {
    const one = await withThree('client', '1.1');
    assert.equal(one.heard[0]!.get('ack'), undefined);
    one.reader.say('ACK', { 'message-id': one.heard[0]!.get('message-id')!, subscription: 's' });
    assert.deepEqual(left(one.house, one.reader), ['2', '3']);
    const two = await withThree('client', '1.0');
    two.reader.say('ACK', { 'message-id': two.heard[2]!.get('message-id')! });
    assert.deepEqual(left(two.house, two.reader), []);
    const three = await withThree('client', '1.1');
    three.reader.say('ACK', { 'message-id': three.heard[0]!.get('message-id')!, subscription: 'other' });
    assert.deepEqual(three.reader.words(), ['ERROR unknown message']);
  });

  test('late makes the others wait, as many as were asked for', async () => {
    const house = await House.open();
    for (const body of ['1', '2', '3']) house.client().say('SEND', { destination: '/queue/q' }, body);
    const reader = house.client();
    reader.say('SUBSCRIBE', { id: 's', destination: '/queue/q', ack: 'client', 'prefetch-count': '2' });
    const heard = messages(reader);
    assert.deepEqual(heard.map(textOf), ['1', '2']);
    reader.say('ACK', { id: heard[0]!.get('ack')! });
    assert.deepEqual(bodies(reader), ['3']);
  });

  test('after UNSUBSCRIBE does nothing: the messages went back', async () => {
    const { house, reader, heard } = await withThree('client');
    reader.say('UNSUBSCRIBE', { id: 's', receipt: 'u' }).say('ACK', { id: heard[2]!.get('ack')!, receipt: 'a' });
    assert.deepEqual(reader.words(), ['RECEIPT u', 'RECEIPT a']);
    assert.deepEqual(left(house, reader), ['1', '2', '3']);
  });
});

describe('a transaction', () => {
  test('sends everything or nothing', async () => {
    const house = await House.open();
    const reader = house.client();
    subscribe(reader, '1', 'a');
    const writer = house.client();
    writer.say('BEGIN', { transaction: 't', receipt: 'b' });
    writer.say('SEND', { destination: 'a', transaction: 't', receipt: '1' }, 'x').say('SEND', { destination: 'a', transaction: 't' }, 'y');
    assert.deepEqual(bodies(reader), []);
    writer.say('COMMIT', { transaction: 't', receipt: 'c' });
    assert.deepEqual(writer.words(), ['RECEIPT b', 'RECEIPT 1', 'RECEIPT c']);
    assert.deepEqual(bodies(reader), ['x', 'y']);
    writer.say('BEGIN', { transaction: 't' }).say('SEND', { destination: 'a', transaction: 't' }, 'z');
    writer.say('ABORT', { transaction: 't', receipt: 'd' });
    assert.deepEqual(writer.words(), ['RECEIPT d']);
    assert.deepEqual(bodies(reader), []);
    assert.equal(house.server.counters.transactions, 0);
  });

  test('is over with its connection', async () => {
    const house = await House.open();
    const reader = house.client();
    subscribe(reader, '1', 'a');
    const writer = house.client();
    writer.say('BEGIN', { transaction: 't' }).say('SEND', { destination: 'a', transaction: 't' }, 'x');
    writer.vanish();
    assert.deepEqual(bodies(reader), []);
  });

  test('of ACKs takes them back when it is aborted: they can be said again', async () => {
    const house = await House.open();
    for (const body of ['1', '2', '3']) house.client().say('SEND', { destination: '/queue/q' }, body);
    const reader = house.client();
    reader.say('SUBSCRIBE', { id: 's', destination: '/queue/q', ack: 'client' });
    const heard = messages(reader);
    reader
      .say('BEGIN', { transaction: 't' })
      .say('ACK', { id: heard[1]!.get('ack')!, transaction: 't' })
      .say('ABORT', { transaction: 't' });
    reader.say('BEGIN', { transaction: 'u' }).say('ACK', { id: heard[0]!.get('ack')!, transaction: 'u' });
    reader.say('COMMIT', { transaction: 'u', receipt: 'c' });
    assert.deepEqual(reader.words(), ['RECEIPT c']);
    reader.vanish();
    const next = house.client();
    next.say('SUBSCRIBE', { id: 'n', destination: '/queue/q', ack: 'client' });
    assert.deepEqual(bodies(next), ['2', '3']);
  });

  test('that takes too long is rolled back, and COMMIT says so', async () => {
    const house = await House.open();
    const writer = house.client();
    writer.say('BEGIN', { transaction: 't' });
    house.test.advance(60_001);
    writer.say('COMMIT', { transaction: 't', receipt: 'c' });
    assert.match(writer.words()[0]!, /^ERROR c the transaction was rolled back/);
  });

  test('has a name of its own, and there are only so many', async () => {
    const house = await House.open({ maxTransactions: 2 });
    const twice = house.client();
    twice.say('BEGIN', { transaction: 't' }).say('BEGIN', { transaction: 't' });
    assert.deepEqual(twice.words(), ['ERROR bad transaction']);
    const many = house.client();
    for (const transaction of ['1', '2', '3']) many.say('BEGIN', { transaction });
    assert.deepEqual(many.words(), ['ERROR too many transactions']);
  });
});

describe('a durable subscription', () => {
  const durable = { id: 'd', destination: '/topic/a', durable: 'true', ack: 'client' };

  test('keeps what comes while its client is away, also over a restart', async () => {
    const house = await House.open();
    const reader = house.client({ 'client-id': 'c' });
    reader.say('SUBSCRIBE', durable);
    reader.say('DISCONNECT', { receipt: 'bye' });
    reader.vanish();
    house.client().say('SEND', { destination: '/topic/a', receipt: 'r' }, 'missed');
    const again = new House(await house.test.restart());
    const back = again.client({ 'client-id': 'c' });
    back.say('SUBSCRIBE', durable);
    assert.deepEqual(bodies(back), ['missed']);
  });

  test('goes on when UNSUBSCRIBE does not end it, and is over when it does', async () => {
    const house = await House.open();
    for (const [more, expected] of [
      [{}, ['kept']],
      [{ durable: 'true' }, []],
    ] as const) {
      const reader = house.client({ 'client-id': 'c' });
      reader.say('SUBSCRIBE', durable).say('UNSUBSCRIBE', { id: 'd', ...more });
      house.client().say('SEND', { destination: '/topic/a' }, 'kept');
      reader.say('SUBSCRIBE', durable);
      const heard = messages(reader);
      assert.deepEqual(heard.map(textOf), expected);
      for (const frame of heard) reader.say('ACK', { id: frame.get('ack')! });
      reader.vanish();
    }
  });

  test('of the same name to something else is a new one', async () => {
    const house = await House.open();
    const reader = house.client({ 'client-id': 'c' });
    reader.say('SUBSCRIBE', durable);
    reader.vanish();
    house.client().say('SEND', { destination: '/topic/a' }, 'old');
    const back = house.client({ 'client-id': 'c' });
    back.say('SUBSCRIBE', { ...durable, destination: '/topic/b' });
    house.client().say('SEND', { destination: '/topic/b' }, 'new');
    assert.deepEqual(bodies(back), ['new']);
  });

  test('is taken over by the connection that asks for it later', async () => {
    const house = await House.open();
    const first = house.client({ 'client-id': 'c' });
    first.say('SUBSCRIBE', durable);
    const second = house.client({ 'client-id': 'c' });
    second.say('SUBSCRIBE', { ...durable, receipt: 's' });
    assert.deepEqual(second.words(), ['RECEIPT s']);
    assert.deepEqual(first.words(), ['ERROR another connection has taken the subscription over']);
    first.vanish();
    house.client().say('SEND', { destination: '/topic/a' }, 'x');
    assert.deepEqual(bodies(second), ['x']);
  });
});

describe('a message', () => {
  test('sets the last value of its topic, and says that it is one', async () => {
    const house = await House.open();
    house.client().say('SEND', { destination: 'a', retain: 'true' }, 'last');
    const reader = house.client();
    reader.say('SUBSCRIBE', { id: '1', destination: 'a' });
    const [message] = messages(reader);
    assert.deepEqual([textOf(message!), message!.get('retain')], ['last', 'true']);
    house.client().say('SEND', { destination: 'a', retain: 'true' });
    const later = house.client();
    later.say('SUBSCRIBE', { id: '1', destination: 'a' });
    assert.deepEqual(messages(later), []);
  });

  test('holds zeros and line ends, when its length is told, and any bytes come back', async () => {
    const house = await House.open();
    const reader = house.client();
    reader.say('SUBSCRIBE', { id: '1', destination: 'a' });
    const body = Buffer.from([0, 10, 13, 0, 255, 58, 92]);
    house.client().say('SEND', { destination: 'a', 'content-length': `${body.length}` }, body);
    const [message] = messages(reader);
    assert.deepEqual(Buffer.from(message!.buffer), body);
    assert.equal(message!.get('content-length'), '7');
  });

  test('is selected by a selector, and not sent back where nobody wants it', async () => {
    const house = await House.open();
    const peer = house.client();
    peer
      .say('SUBSCRIBE', { id: '1', destination: 'a', selector: "kind = 'hot'" })
      .say('SUBSCRIBE', { id: '2', destination: 'a', 'no-local': 'true' });
    peer.say('SEND', { destination: 'a', kind: 'hot' }, 'own');
    house.client().say('SEND', { destination: 'a', kind: 'cold' }, 'other');
    assert.deepEqual(
      messages(peer).map((frame) => [frame.get('subscription'), textOf(frame)]),
      [
        ['1', 'own'],
        ['2', 'other'],
      ],
    );
  });

  test('to who does not read waits, or is dropped and counted', async () => {
    const house = await House.open({ outputHighWaterBytes: 100, maxOutputBytes: 200 });
    const reader = house.client();
    reader.say('SUBSCRIBE', { id: '1', destination: '/queue/q', ack: 'client' }).say('SUBSCRIBE', { id: '2', destination: 'a' });
    reader.hear();
    for (let i = 0; i < 5; i++) house.client().say('SEND', { destination: '/queue/q' }, `${i}`.repeat(60));
    assert.ok(bodies(reader).length < 3);
    reader.connection.onDrained();
    house.test.settle();
    assert.ok(reader.hear().length > 0);
  });

  test('to who may not subscribe any more never comes: the connection ends', async () => {
    let isAllowed = true;
    const security: Security = { ...allowAll, allows: (_principal, action) => isAllowed || action !== 'subscribe' };
    const house = await House.open({ security });
    const reader = house.client();
    reader.say('SUBSCRIBE', { id: '1', destination: 'a' });
    isAllowed = false;
    house.test.broker.review(
      {},
      (principal, answer) => answer({ standing: 'good', principal }),
      () => {},
    );
    house.test.settle();
    assert.deepEqual(reader.words(), ['ERROR not authorized']);
  });

  test('of a barred client never comes: it is told why', async () => {
    const house = await House.open();
    const reader = house.client();
    reader.say('SUBSCRIBE', { id: '1', destination: 'a' });
    house.test.broker.review(
      {},
      (_principal, answer) => answer({ standing: 'barred' }),
      () => {},
    );
    house.test.settle();
    assert.deepEqual(reader.words(), ['ERROR closed by an operator']);
    reader.vanish();
    assert.equal(house.test.broker.sessionCount, 0);
  });
});

test('a message that is to be delivered later waits until then', async () => {
  const house = await House.open();
  const reader = house.client();
  subscribe(reader, '1', '/queue/q');
  const at = house.test.clock.wallMs() + 5000;
  house.client().say('SEND', { destination: '/queue/q', 'deliver-at': `${at}`, receipt: 'r' }, 'later');
  assert.deepEqual(bodies(reader), []);
  house.test.advance(5001);
  assert.deepEqual(bodies(reader), ['later']);
  house.client().say('SEND', { destination: '/queue/q', 'deliver-at': '1' }, 'past');
  assert.deepEqual(bodies(reader), ['past']);
});

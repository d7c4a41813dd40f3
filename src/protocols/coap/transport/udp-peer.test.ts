import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  Code,
  emptyMessage,
  emptyOption,
  encodeUdp,
  MessageType,
  noBytes,
  OptionNumber,
  textBytes,
  uintOption,
  type UdpMessage,
} from '../codec/index.ts';
import type { CoapResponse, NotificationResult } from '../exchange.ts';
import { response, UdpWorld, type UdpWorldOptions } from './testing/udp-world.ts';

const { confirmable: CON, nonConfirmable: NON } = MessageType;

function shape({ type, messageId, code }: UdpMessage): string {
  return `${['CON', 'NON', 'ACK', 'RST'][type]} ${messageId} ${code >>> 5}.${String(code & 31).padStart(2, '0')}`;
}

/** A world whose handler answers everything at once. */
function answering(what: CoapResponse = response(Code.content, 'v'), options: UdpWorldOptions = {}): UdpWorld {
  const world = new UdpWorld(options);
  world.onRequest = ({ reply }) => reply.send(what);
  return world;
}

suite('confirmable requests', () => {
  test('are answered on the acknowledgement when the answer is there at once', () => {
    const world = answering().request(CON, 7);
    const answer = world.take();
    assert.equal(shape(answer), 'ACK 7 2.05');
    assert.deepEqual(answer.token, textBytes('t'));
    world.takeNothing().pass(300_000).takeNothing();
  });

  test('are acknowledged when the answer takes longer, and answered by a confirmable message', () => {
    const world = new UdpWorld().request(CON, 7).takeNothing().pass(49).takeNothing().pass(1);
    assert.equal(shape(world.take()), 'ACK 7 0.00');
    world.last.reply.send(response(Code.changed));
    const separate = world.take();
    assert.equal(separate.type, CON);
    assert.notEqual(separate.messageId, 7);
    world.ack(separate.messageId).pass(300_000).takeNothing();
  });

  test('are acknowledged at once where nothing is waited for', () => {
    const world = new UdpWorld({ piggybackMs: 0 }).request(CON, 7);
    assert.equal(shape(world.take()), 'ACK 7 0.00');
  });

  test('hold no more memory than their datagram has, though it came in a larger buffer', () => {
    const world = new UdpWorld();
    const bytes = encodeUdp(CON, 7, Code.post, textBytes('t'), [], textBytes('a value'));
    const buffer = new Uint8Array(1000);
    buffer.set(bytes, 10);
    world.peer.receive(buffer.subarray(10, 10 + bytes.length), false);
    const { payload } = world.last.request.message;
    assert.deepEqual(payload, textBytes('a value'));
    assert.equal(payload.buffer.byteLength, bytes.length);
  });

  test('are answered once', () => {
    const world = answering().request(CON, 7);
    world.take();
    world.last.reply.send(response(Code.notFound));
    world.takeNothing();
  });

  test('whose answer must arrive are acknowledged, and the answer is a message of its own', () => {
    const results: NotificationResult[] = [];
    const world = new UdpWorld().request(CON, 7);
    world.last.reply.sendConfirmed(response(Code.content, 'taken'), (result) => results.push(result));
    assert.equal(shape(world.take()), 'ACK 7 0.00');
    const separate = world.take();
    assert.deepEqual(results, []);
    world.ack(separate.messageId);
    assert.deepEqual(results, ['acknowledged']);
  });
});

suite('repetitions (RFC 7252 §4.5)', () => {
  test('get the same answer, and are not processed', () => {
    const world = answering().request(CON, 7);
    const first = world.sent[0];
    world.request(CON, 7);
    assert.deepEqual(world.sent, [first, first]);
    assert.equal(world.asked.length, 1);
    assert.equal(world.counters.duplicates, 1);
  });

  test('are silent until there is an answer, and are acknowledged again behind the acknowledgement', () => {
    const world = new UdpWorld().request(CON, 7).request(CON, 7).takeNothing().pass(50);
    world.take();
    world.request(CON, 7);
    assert.equal(shape(world.take()), 'ACK 7 0.00');
    assert.equal(world.asked.length, 1);
  });

  test('of what is not confirmable are ignored', () => {
    const world = answering().request(NON, 7).request(NON, 7);
    assert.equal(world.sent.length, 1);
  });

  test('are new when their time is over: 247 s, and 145 s where not confirmable', () => {
    const world = answering().request(CON, 7).request(NON, 8).pass(144_999).request(NON, 8).pass(1).request(NON, 8);
    assert.equal(world.asked.length, 3);
    world.pass(101_999).request(CON, 7);
    assert.equal(world.asked.length, 3);
    world.pass(1).request(CON, 7);
    assert.equal(world.asked.length, 4);
  });

  test('are recognised as long as there is room, of one peer and of all', () => {
    const world = answering(response(Code.content, 'x'.repeat(600)));
    for (let id = 0; id < 1000; id++) world.request(CON, id, { token: String(id) });
    assert.ok(world.counters.remembered <= 32);
    assert.ok(world.counters.rememberedBytes <= 16_384);
    assert.ok(world.counters.forgottenEarly > 0);
    for (let port = 1; port < 50; port++) {
      const other = world.open('192.0.2.8', true, port);
      for (let id = 0; id < 10; id++) other.receive(encodeUdp(CON, id, Code.get, noBytes, [], noBytes), false);
    }
    assert.ok(world.counters.remembered <= 128);
    assert.ok(world.counters.rememberedBytes <= 65_536 + 1024, String(world.counters.rememberedBytes));
    const before = world.asked.length;
    world.sent.length = 0;
    world.peer.onClosed();
    assert.equal(world.asked.length, before);
  });

  test('nothing is remembered of a peer that is gone', () => {
    const world = answering().request(CON, 7);
    world.peer.onClosed();
    assert.equal(world.counters.remembered, 0);
    assert.equal(world.counters.rememberedBytes, 0);
    assert.equal(world.counters.datagramPeers, 0);
  });
});

suite('what is no good message', () => {
  test('a confirmable empty message is a ping: Reset', () => {
    const world = new UdpWorld().receive(emptyMessage(CON, 9));
    assert.equal(shape(world.take()), 'RST 9 0.00');
    world.receive(emptyMessage(NON, 10)).takeNothing();
  });

  test('a confirmable one with a format error is rejected, others are silence', () => {
    const good = encodeUdp(CON, 5, Code.get, textBytes('abc'), [uintOption(OptionNumber.accept, 60)], textBytes('pay'));
    const broken = Uint8Array.from([...good.subarray(0, 7), 0xf0, ...good.subarray(8)]);
    const world = new UdpWorld().receive(broken);
    assert.equal(shape(world.take()), 'RST 5 0.00');
    broken[0] = 0x50 | 3;
    world.receive(broken).takeNothing();
    for (const first of [0x00, 0x80, 0xc0]) world.receive(Uint8Array.of(first, 1, 0, 1)).takeNothing();
    world.receive(Uint8Array.of(0x40, 1, 0)).takeNothing();
  });

  test('reserved classes are rejected', () => {
    const world = new UdpWorld();
    for (const code of [0x20, 0xc0, 0xe1]) {
      world.receive(encodeUdp(CON, code, code, noBytes, [], noBytes));
      assert.equal(shape(world.take()), `RST ${code} 0.00`);
    }
  });

  test('an unknown critical option: 4.02, or a Reset where not confirmable', () => {
    const world = answering().request(CON, 1, { options: [emptyOption(65_001)] });
    assert.equal(shape(world.take()), 'ACK 1 4.02');
    world.request(NON, 2, { options: [emptyOption(65_001)] });
    assert.equal(shape(world.take()), 'RST 2 0.00');
    assert.equal(world.asked.length, 0);
  });

  test('an option of the registry that is not served is not understood: EDHOC', () => {
    const option = emptyOption(OptionNumber.edhoc);
    const world = answering().request(CON, 1, { options: [option] });
    assert.equal(shape(world.take()), 'ACK 1 4.02');
    world.request(NON, 2, { options: [option] });
    assert.equal(shape(world.take()), 'RST 2 0.00');
    assert.equal(world.asked.length, 0);
  });

  test('Q-Block, switched off, is not understood: a peer finds out before it sends a body', () => {
    for (const option of [uintOption(OptionNumber.qBlock1, 0x0e), uintOption(OptionNumber.qBlock2, 6)]) {
      const world = new UdpWorld({ qBlock: false }).request(CON, 1, { options: [option] });
      assert.equal(shape(world.take()), 'ACK 1 4.02');
      world.request(NON, 2, { options: [option] });
      assert.equal(shape(world.take()), 'RST 2 0.00');
      assert.equal(world.asked.length, 0);
      assert.equal(new UdpWorld().request(CON, 1, { options: [option] }).asked.length, 1);
    }
  });

  test('a critical option of a wrong length, or twice, counts as unknown; an elective one as absent', () => {
    const world = answering().request(CON, 1, { options: [uintOption(OptionNumber.accept, 0x1_0000)] });
    assert.equal(shape(world.take()), 'ACK 1 4.02');
    world.request(CON, 2, { options: [uintOption(OptionNumber.accept, 0), uintOption(OptionNumber.accept, 0)] });
    assert.equal(shape(world.take()), 'ACK 2 4.02');
    world.request(CON, 3, { options: [uintOption(OptionNumber.contentFormat, 0x1_0000), emptyOption(65_000)] });
    assert.equal(shape(world.take()), 'ACK 3 2.05');
    assert.deepEqual(
      world.last.request.message.options.map(({ number }) => number),
      [11, 65_000],
    );
  });

  test('every message cut at every byte and with every bit turned is answered or not, and never more', () => {
    const world = answering();
    const good = encodeUdp(CON, 77, Code.post, textBytes('tok'), [uintOption(6, 0), uintOption(12, 50)], textBytes('{"a":1}'));
    for (let end = 0; end <= good.length; end++) {
      const before = world.sent.length;
      world.receive(good.subarray(0, end));
      assert.ok(world.sent.length <= before + 1);
    }
    for (let bit = 0; bit < good.length * 8; bit++) {
      const turned = Uint8Array.from(good);
      turned[bit >>> 3]! ^= 1 << (bit & 7);
      const before = world.sent.length;
      world.receive(turned);
      assert.ok(world.sent.length <= before + 1);
    }
  });

  test('a token that is too long is refused with it (RFC 8974)', () => {
    const world = answering().request(CON, 1, { token: 'x'.repeat(16) });
    assert.equal(shape(world.take()), 'ACK 1 2.05');
    world.request(CON, 2, { token: 'x'.repeat(17) });
    const refused = world.take();
    assert.equal(shape(refused), 'ACK 2 4.00');
    assert.equal(refused.token.length, 17);
  });

  test('more requests than may wait are refused', () => {
    const world = new UdpWorld();
    for (let id = 0; id < 8; id++) world.request(CON, id, { token: String(id) });
    world.request(CON, 9, { token: '9' });
    assert.equal(shape(world.take()), 'ACK 9 5.03');
    assert.equal(world.asked.length, 8);
    assert.equal(world.counters.pendingRequests, 8);
    for (const { reply } of world.asked) reply.send(response(Code.changed));
    assert.equal(world.counters.pendingRequests, 0);
  });
});

suite('what the node originates', () => {
  test('is repeated with doubled pauses, at most four times, and then lost', () => {
    const results: NotificationResult[] = [];
    const world = new UdpWorld({ ackRandomFactor: 1 }).request(CON, 7);
    world.last.reply.sendConfirmed(response(Code.content), (result) => results.push(result));
    world.take();
    const first = world.sent.shift();
    for (const pause of [2000, 4000, 8000, 16_000]) {
      world
        .pass(pause - 1)
        .takeNothing()
        .pass(1);
      assert.deepEqual(world.sent.shift(), first);
    }
    world.pass(31_999);
    assert.deepEqual(results, []);
    world.pass(1);
    assert.deepEqual(results, ['lost']);
    assert.equal(world.counters.lost, 1);
    assert.equal(world.counters.retransmissions, 4);
    assert.ok(world.peer.isIdle);
  });

  test('waits for its turn: one is outstanding', () => {
    const world = new UdpWorld({ piggybackMs: 0 }).request(CON, 1, { token: 'a' }).request(CON, 2, { token: 'b' });
    world.take();
    world.take();
    for (const { reply } of world.asked) reply.send(response(Code.changed));
    const first = world.take();
    world.takeNothing().ack(first.messageId);
    const second = world.take();
    assert.deepEqual(second.token, textBytes('b'));
    world.ack(second.messageId).takeNothing();
  });

  test('is told when a Reset comes', () => {
    const results: NotificationResult[] = [];
    const world = new UdpWorld().request(CON, 7);
    world.last.reply.sendConfirmed(response(Code.content), (result) => results.push(result));
    world.take();
    world.reset(world.take().messageId);
    assert.deepEqual(results, ['rejected']);
  });
});

suite('No-Response (RFC 7967)', () => {
  test('what is not wanted is not sent, but acknowledged', () => {
    const world = answering(response(Code.changed)).request(CON, 1, { options: [uintOption(OptionNumber.noResponse, 2)] });
    assert.equal(shape(world.take()), 'ACK 1 0.00');
    world.request(NON, 2, { options: [uintOption(OptionNumber.noResponse, 26)] }).takeNothing();
    world.request(NON, 3, { options: [uintOption(OptionNumber.noResponse, 24)] });
    assert.equal(world.take().code, Code.changed);
  });
});

suite('observations', () => {
  const observe = [uintOption(OptionNumber.observe, 0)];

  test('begin with the answer, and go on with notifications', () => {
    const results: NotificationResult[] = [];
    const world = new UdpWorld().request(CON, 1, { options: observe });
    const { reply } = world.last;
    reply.notify(response(Code.content, '1', observe), false, (result) => results.push(result));
    assert.equal(shape(world.take()), 'ACK 1 2.05');
    reply.notify(response(Code.content, '2', [uintOption(6, 1)]), false, (result) => results.push(result));
    assert.equal(world.take().type, NON);
    reply.notify(response(Code.content, '3', [uintOption(6, 2)]), true, (result) => results.push(result));
    const confirmed = world.take();
    assert.equal(confirmed.type, CON);
    assert.deepEqual(results, ['sent', 'sent']);
    world.ack(confirmed.messageId);
    assert.deepEqual(results, ['sent', 'sent', 'acknowledged']);
    assert.equal(world.counters.pendingRequests, 0);
    assert.ok(!world.peer.isIdle);
  });

  test('end by a Reset to either kind of notification, by silence, and by the token used again', () => {
    for (const end of ['reset non', 'reset con', 'silence', 'token', 'gone'] as const) {
      const results: NotificationResult[] = [];
      const world = new UdpWorld().request(NON, 1, { options: observe });
      const asked = world.last;
      asked.reply.notify(response(Code.content, '1', observe), end === 'reset con' || end === 'silence', (result) => results.push(result));
      const { messageId } = world.take();
      if (end.startsWith('reset')) world.reset(messageId);
      else if (end === 'silence') world.pass(100_000);
      else if (end === 'token') world.request(CON, 2);
      else world.peer.onClosed();
      assert.equal(asked.gone, 1, end);
      assert.equal(results.length, 1);
      asked.reply.notify(response(Code.content, '2'), false, (result) => results.push(result));
      assert.equal(results[1], 'lost');
    }
  });

  test('a notification that waits for its turn is done with when the observation ends', () => {
    const results: NotificationResult[] = [];
    const world = new UdpWorld().request(NON, 1, { options: observe });
    const { reply } = world.last;
    reply.notify(response(Code.content, '1', observe), true, (result) => results.push(result));
    reply.notify(response(Code.content, '2', observe), true, (result) => results.push(result));
    world.request(CON, 2);
    assert.deepEqual(results, ['lost', 'lost']);
    assert.equal(world.asked[0]!.gone, 1);
  });
});

suite('requests to a group (RFC 7252 §8)', () => {
  test('are not answered unless that is configured', () => {
    const world = answering().request(NON, 1, { isMulticast: true });
    assert.equal(world.asked.length, 0);
    world.pass(10_000).takeNothing();
  });

  test('are answered within the leisure, without errors, resets and acknowledgements', () => {
    const world = answering(undefined, { answerMulticast: true }).request(NON, 1, { isMulticast: true }).takeNothing().pass(5000);
    const answer = world.take();
    assert.equal(answer.type, NON);
    world.request(CON, 2, { isMulticast: true }).receive(emptyMessage(CON, 3), true).pass(5000).takeNothing();
    world
      .request(NON, 4, { isMulticast: true, options: [emptyOption(65_001)] })
      .pass(5000)
      .takeNothing();
    world.onRequest = ({ reply }) => reply.send(response(Code.notFound));
    world.request(NON, 5, { isMulticast: true }).pass(5000).takeNothing();
    world
      .receive(Uint8Array.of(0x5f, 1, 0, 9), true)
      .pass(5000)
      .takeNothing();
  });
});

test('a watched peer is traced, without payloads', () => {
  const lines: string[] = [];
  const trace = {
    version: 1,
    wants: (id: string) => id === '$coap/192.0.2.7:40000',
    packet: (_: string, way: string, words: string) => lines.push(`${way} ${words}`),
  };
  answering(response(Code.content, 'secret'), { trace }).request(CON, 7, { path: 't/a' });
  assert.deepEqual(lines, ['in CON mid=7 GET token=0x74 Uri-Path="t" Uri-Path="a"', 'out ACK mid=7 2.05 content token=0x74 6 bytes']);
});

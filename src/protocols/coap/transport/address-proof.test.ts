import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Code, emptyMessage, encodeUdp, MessageType, noBytes, OptionNumber, uintOption, type UdpMessage } from '../codec/index.ts';
import type { CoapResponse } from '../exchange.ts';
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

suite('an address that is not proven (RFC 9175 §2.4)', () => {
  const large = response(Code.content, 'x'.repeat(500));

  test('gets a challenge instead of a large answer, and the answer when it returns the Echo', () => {
    const world = answering(large, { isProven: false }).request(CON, 1);
    const challenge = world.take();
    assert.equal(shape(challenge), 'ACK 1 4.01');
    const echo = challenge.options.find(({ number }) => number === OptionNumber.echo)!;
    assert.ok(world.sentBytes <= 3 * world.receivedBytes);
    assert.equal(world.peer.isProven, false);
    world.request(CON, 2, { options: [{ ...echo, value: Uint8Array.from(echo.value, (byte) => byte ^ 1) }] });
    assert.equal(shape(world.take()), 'ACK 2 4.01');
    world.request(CON, 3, { options: [echo] });
    assert.equal(shape(world.take()), 'ACK 3 2.05');
    assert.ok(world.peer.isProven);
  });

  test('the smallest request can be challenged, and an old Echo proves nothing', () => {
    const world = answering(large, { isProven: false }).receive(encodeUdp(NON, 1, Code.get, noBytes, [], noBytes));
    const challenge = world.take();
    assert.equal(challenge.code, Code.unauthorized);
    world.pass(60_001).request(CON, 2, { options: challenge.options });
    assert.equal(shape(world.take()), 'ACK 2 4.01');
  });

  test('what was done is not done again for want of room: the answer goes without its payload', () => {
    const world = answering(response(Code.changed, 'x'.repeat(500)), { isProven: false }).request(CON, 1, { code: Code.post });
    const answer = world.take();
    assert.equal(shape(answer), 'ACK 1 2.04');
    assert.equal(answer.payload.length, 0);
  });

  test('repetitions do not get around it', () => {
    const world = answering(response(Code.content, 'x'.repeat(20)), { isProven: false }).request(CON, 1);
    for (let i = 0; i < 50; i++) world.request(CON, 1);
    assert.ok(world.sentBytes <= 3 * world.receivedBytes);
    const other = new UdpWorld({ isProven: false, piggybackMs: 0 }).request(CON, 1);
    other.last.reply.send(response(Code.content, 'x'.repeat(10)));
    other.pass(300_000);
    assert.ok(other.sentBytes <= 3 * other.receivedBytes);
  });

  test('is proven by acknowledgements that fit, but not by guessing', () => {
    const observe = [uintOption(OptionNumber.observe, 0)];
    const world = new UdpWorld({ isProven: false, maxAmplification: 10 }).request(CON, 1, { options: observe });
    const { reply } = world.last;
    reply.notify(response(Code.content, '1', observe), false, () => {});
    world.take();
    for (let i = 0; i < 2; i++) {
      reply.notify(response(Code.content, '2', observe), false, () => {});
      const notification = world.take();
      assert.equal(notification.type, CON);
      world.ack(notification.messageId);
    }
    assert.ok(world.peer.isProven);
    const guessed = new UdpWorld({ isProven: false, maxAmplification: 10 }).request(CON, 1, { options: observe });
    for (let id = 0; id < 17; id++) guessed.ack(id);
    guessed.last.reply.notify(response(Code.content, '1', observe), false, () => {});
    guessed.take();
    for (let i = 0; i < 3; i++) {
      guessed.last.reply.notify(response(Code.content, '2', observe), false, () => {});
      guessed.ack(guessed.take().messageId);
    }
    assert.equal(guessed.peer.isProven, false);
  });

  suite('of a session of DTLS that has moved', () => {
    const rst = (messageId: number): Uint8Array => emptyMessage(MessageType.reset, messageId);

    /** It has asked for something large from elsewhere; what it got. */
    function moved(world: UdpWorld, messageId: number): { ping: UdpMessage; answer: UdpMessage } {
      world.move();
      world.receivedBytes = world.sentBytes = 0;
      world.request(CON, messageId);
      assert.ok(world.sentBytes <= 3 * world.receivedBytes);
      return { ping: world.take(), answer: world.take() };
    }

    test('is proven by what answers pings, for that address alone, by whoever knows no Echo', () => {
      const world = answering(large).request(CON, 1);
      assert.equal(world.take().code, Code.content);
      const { ping, answer } = moved(world, 2);
      assert.deepEqual([ping.type, ping.code, answer.code], [CON, Code.empty, Code.unauthorized]);
      world.receive(rst(ping.messageId));
      assert.equal(world.isProven, false, 'it could be guessed');
      const again = world.take();
      assert.notEqual(again.messageId, ping.messageId);
      world.receive(rst(again.messageId));
      assert.equal(world.isProven, true);
      world.request(CON, 3);
      assert.equal(world.take().code, Code.content);
      assert.equal(moved(world, 4).answer.code, Code.unauthorized);
    });

    test('is proven by an Echo that was sent there, not by one that was sent elsewhere', () => {
      const world = answering(large);
      const { answer: first } = moved(world, 1);
      world.move();
      world.request(CON, 2, { options: first.options });
      world.take();
      const second = world.take();
      assert.equal(second.code, Code.unauthorized);
      world.request(CON, 3, { options: second.options });
      world.take();
      assert.equal(world.take().code, Code.content);
      assert.equal(world.isProven, true);
    });

    test('is not proven by further datagrams, by guesses, or by what was sent to where it was', () => {
      const world = answering(large);
      const { ping } = moved(world, 1);
      for (let id = 2; id < 12; id++) world.request(CON, id);
      world.move();
      world.receive(rst(ping.messageId));
      for (let id = 0; id < 40; id++) world.receive(rst(id));
      world.request(CON, 20);
      const pings = world.sent.map((bytes) => bytes[2]! * 256 + bytes[3]!);
      for (const id of pings) world.receive(rst(id));
      assert.equal(world.isProven, false);
      assert.ok(world.sentBytes <= 3 * world.receivedBytes);
    });
  });

  test('loopback is proven', () => {
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
      assert.equal(answering(large, { isProven: false, address }).peer.isProven, true);
    }
  });
});

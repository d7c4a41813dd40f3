import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Code, encodeUdp, MessageType, noBytes, OptionNumber, uintOption, type UdpMessage } from '../codec/index.ts';
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

  test('a session of DTLS whose address has moved is sent little until it is sure again', () => {
    const world = answering(large).request(CON, 1);
    assert.equal(world.take().code, Code.content);
    world.isProven = false;
    world.request(CON, 2);
    const challenge = world.take();
    assert.equal(challenge.code, Code.unauthorized);
    world.isProven = true;
    world.request(CON, 3, { options: challenge.options });
    assert.equal(world.take().code, Code.content);
    world.isProven = false;
    world.request(CON, 4, { options: challenge.options });
    assert.equal(world.take().code, Code.unauthorized);
  });

  test('loopback is proven', () => {
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
      assert.equal(answering(large, { isProven: false, address }).peer.isProven, true);
    }
  });
});

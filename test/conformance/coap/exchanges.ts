// Requests and responses (RFC 7252 §5), observation (RFC 7641), No-Response (RFC 7967), long tokens (RFC 8974) and Echo (RFC 9175).

import assert from 'node:assert/strict';
import {
  Code,
  type CoapOption,
  emptyOption,
  encodeUdp,
  MessageType,
  noBytes,
  textBytes,
  textOption,
  uintOption,
} from '../../../src/protocols/coap/codec/index.ts';
import type { CoapRequest, CoapResponse, Reply, RequestFailure } from '../../../src/protocols/coap/exchange.ts';
import { RequestCheck } from '../../../src/protocols/coap/request-check.ts';
import { response, UdpWorld, type UdpWorldOptions } from '../../../src/protocols/coap/transport/testing/udp-world.ts';
import { conforms } from './conforms.ts';

const { confirmable: CON, nonConfirmable: NON, acknowledgement: ACK, reset: RST } = MessageType;
const observe = [uintOption(6, 0)];

function answering(what = response(Code.content, 'v'), options: UdpWorldOptions = {}): UdpWorld {
  const world = new UdpWorld(options);
  world.onRequest = ({ reply }) => reply.send(what);
  return world;
}

type Result = CoapResponse | RequestFailure;

function ask(world: UdpWorld, options: readonly CoapOption[] = []): Result[] {
  const results: Result[] = [];
  world.peer.request({ code: Code.get, options, payload: noBytes, confirmable: true }, (result) => results.push(result));
  return results;
}

conforms('7252/5.2.2-1 7252/5.2.2-2 7252/5.2.2-3', 'an answer that takes longer', () => {
  const world = new UdpWorld().request(CON, 1).pass(50);
  assert.deepEqual([world.sent[0]![1], world.take().type], [Code.empty, ACK]);
  world.last.reply.send(response(Code.content));
  const separate = world.take();
  assert.equal(separate.type, CON);
  assert.notEqual(separate.messageId, 1);
});

conforms('7252/5.3.1-2', 'tokens of requests to peers', () => {
  const world = new UdpWorld({ nstart: 4 });
  for (let i = 0; i < 4; i++) ask(world);
  const tokens = new Set(world.sent.map((_, i) => Buffer.from(world.sent[i]!.subarray(4)).toString('hex')));
  assert.equal(tokens.size, 4);
  assert.ok(world.take().token.length >= 4);
});

conforms('7252/5.3.2-1', 'a piggybacked response must fit twice', () => {
  const world = new UdpWorld();
  const results = ask(world);
  const { messageId, token } = world.take();
  world
    .receive(encodeUdp(ACK, messageId + 1, Code.content, token, [], noBytes))
    .receive(encodeUdp(ACK, messageId, Code.content, textBytes('no'), [], noBytes));
  assert.equal(results.length, 0);
  world.receive(encodeUdp(ACK, messageId, Code.content, token, [], noBytes)).takeNothing();
  assert.equal(results.length, 1);
});

conforms('7252/5.3.2-2', 'a response of its own', () => {
  const world = new UdpWorld();
  const results = ask(world);
  const { messageId, token } = world.take();
  world.ack(messageId).receive(encodeUdp(CON, 9, Code.content, token, [], noBytes));
  assert.equal(results.length, 1);
  const { type, messageId: acknowledged } = world.take();
  assert.deepEqual([type, acknowledged], [ACK, 9]);
});

conforms('7252/5.3.2-3', 'a response that is not expected', () => {
  assert.equal(new UdpWorld().receive(encodeUdp(CON, 9, Code.content, textBytes('?'), [], noBytes)).take().type, RST);
});

conforms('7252/5.4.1-1 7252/5.4.1-2 7252/5.4.1-4', 'unknown options in requests', () => {
  assert.equal(
    answering()
      .request(CON, 1, { options: [emptyOption(65_000)] })
      .take().code,
    Code.content,
  );
  const refused = answering().request(CON, 1, { options: [emptyOption(65_001)] });
  assert.equal(refused.take().code, Code.badOption);
  assert.equal(refused.asked.length, 0);
  const rejected = answering().request(NON, 1, { options: [emptyOption(65_001)] });
  assert.equal(rejected.take().type, RST);
  assert.equal(rejected.asked.length, 0);
});

conforms('7252/5.4.1-3', 'an unknown critical option in a response', () => {
  const world = new UdpWorld();
  const results = ask(world);
  const { token, messageId } = world.take();
  world.ack(messageId).receive(encodeUdp(CON, 9, Code.content, token, [emptyOption(65_001)], noBytes));
  assert.equal(world.take().type, RST);
  assert.equal(results.length, 0);
});

conforms('7252/5.4.3-1 7252/5.4.5-1', 'options of a wrong length, and too many', () => {
  const long = uintOption(17, 0x1_0000);
  assert.equal(
    answering()
      .request(CON, 1, { options: [long] })
      .take().code,
    Code.badOption,
  );
  assert.equal(
    answering()
      .request(CON, 1, { options: [uintOption(17, 1), uintOption(17, 1)] })
      .take().code,
    Code.badOption,
  );
  const world = answering().request(CON, 1, { options: [uintOption(12, 0x1_0000), uintOption(14, 1), uintOption(14, 2)] });
  assert.equal(world.take().code, Code.content);
  assert.deepEqual(world.last.request.message.options, [textOption(11, 'a'), uintOption(14, 1)]);
});

conforms('7252/5.10.2-1', 'a request to forward', () => {
  for (const option of [textOption(35, 'coap://elsewhere/'), textOption(39, 'http')]) {
    const world = new UdpWorld();
    const check = new RequestCheck({ handle: (_request: CoapRequest, reply: Reply) => reply.send(response(Code.content)) });
    world.onRequest = ({ request, reply }) => check.handle(request, reply);
    assert.equal(world.request(CON, 1, { options: [option] }).take().code, Code.proxyingNotSupported);
  }
});

conforms('7641/3.4-1', 'notifications that overtake each other', () => {
  const world = new UdpWorld();
  const results = ask(world, observe);
  const { token, messageId } = world.take();
  world.receive(encodeUdp(ACK, messageId, Code.content, token, [uintOption(6, 0xff_ffff)], noBytes));
  for (const [id, sequence] of [
    [1, 2],
    [2, 1],
    [3, 0xff_fffe],
    [4, 3],
  ] as const)
    world.receive(encodeUdp(NON, id, Code.content, token, [uintOption(6, sequence)], noBytes));
  assert.equal(results.length, 3);
});

conforms('7641/3.6-1 7641/4.1-1 7641/4.2-1 7641/4.5-1', 'the end of an observation', () => {
  for (const end of ['reset', 'token', 'silence'] as const) {
    const world = new UdpWorld().request(NON, 1, { options: observe, token: 'obs' });
    world.last.reply.notify(response(Code.content, 'v', observe), end === 'silence', () => {});
    const { token, messageId } = world.take();
    assert.deepEqual(token, textBytes('obs'));
    if (end === 'reset') world.reset(messageId);
    else if (end === 'token') world.request(NON, 2, { options: observe, token: 'obs' });
    else world.pass(100_000);
    assert.equal(world.asked[0]!.gone, 1, end);
  }
});

conforms('7967/2-1 7967/2-2', 'what is not wanted', () => {
  for (const [value, code, isSent] of [
    [2, 0x45, false],
    [2, 0x84, true],
    [8, 0x84, false],
    [16, 0xa0, false],
    [26, 0x45, false],
    [0, 0x45, true],
  ] as const) {
    const options = [uintOption(258, value)];
    const non = answering(response(code)).request(NON, 1, { options });
    assert.equal(non.sent.length, isSent ? 1 : 0);
    assert.equal(answering(response(code)).request(CON, 1, { options }).take().code, isSent ? code : Code.empty);
  }
});

conforms('8974/2.1-1 8974/2.2-1', 'long tokens', () => {
  for (const [length, code] of [
    [13, Code.content],
    [16, Code.content],
    [17, Code.badRequest],
    [300, Code.badRequest],
  ] as const) {
    const token = 'x'.repeat(length);
    const answer = answering().request(CON, 1, { token }).take();
    assert.deepEqual([answer.code, answer.token], [code, textBytes(token)]);
  }
});

conforms('9175/2.3-1 9175/2.4-1 9175/2.4-2', 'an address that is not proven', () => {
  const world = answering(response(Code.content, 'x'.repeat(1000)), { isProven: false }).request(CON, 1);
  const challenge = world.take();
  assert.equal(challenge.code, Code.unauthorized);
  const echo = challenge.options.find(({ number }) => number === 252)!;
  assert.equal(world.request(CON, 2, { options: [{ number: 252, value: new Uint8Array(6) }] }).take().code, Code.unauthorized);
  assert.ok(world.sentBytes <= 3 * world.receivedBytes);
  assert.equal(world.request(CON, 3, { options: [echo] }).take().code, Code.content);
});

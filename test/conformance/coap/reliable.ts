// CoAP over TCP, TLS and WebSocket (RFC 8323).

import assert from 'node:assert/strict';
import { ManualClock } from '../../../src/base/clock.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { Timers } from '../../../src/base/timers.ts';
import { defaultConfig } from '../../../src/config.ts';
import { coapOptions } from '../../../src/protocols/coap/settings.ts';
import { noTrace } from '../../../src/protocols/trace.ts';
import { coapKind } from '../../../src/protocols/coap/index.ts';
import { Code, emptyOption, noBytes, optionValue, textBytes, uintOption, uintValue } from '../../../src/protocols/coap/codec/index.ts';
import { CoapServer } from '../../../src/protocols/coap/server.ts';
import { StreamWorld } from '../../../src/protocols/coap/transport/testing/stream-world.ts';
import { response } from '../../../src/protocols/coap/transport/testing/udp-world.ts';
import { conforms } from './conforms.ts';

conforms('8323/3.2-1 8323/3.4-2', 'messages of any length', () => {
  for (const length of [0, 12, 13, 268, 269, 1000, 4000]) {
    const world = new StreamWorld().greet([uintOption(2, 100_000)]).send(Code.post, 'tok', [], 'x'.repeat(length));
    assert.equal(world.last.request.message.payload.length, length);
    world.last.reply.send(response(Code.content, 'x'.repeat(length)));
    const answer = world.take();
    assert.deepEqual([answer.payload.length, answer.token], [length, textBytes('tok')]);
  }
});

conforms('8323/3.4-1', 'an empty message', () => {
  new StreamWorld().greet().send(Code.empty).takeNothing();
});

conforms('8323/4.1-1 8323/4.2-1', 'WebSocket', () => {
  const config = defaultConfig();
  const resources = { handle: (): void => {} };
  const options = coapOptions(config.coap, config);
  const parts = { clock: new ManualClock(), random: new SeededRandom(1), timers: new Timers(), trace: noTrace, options, resources };
  assert.deepEqual(new CoapServer(parts).stream.webSocketProtocols, ['coap']);
  assert.deepEqual(coapKind.webSocket?.paths, ['/.well-known/coap']);
  const world = new StreamWorld({ isWebSocket: true }).greet().get('a').get('b');
  for (const { reply } of world.asked) reply.send(response(Code.content));
  assert.equal(world.take().code, Code.content);
  assert.equal(world.take().code, Code.content);
  const broken = new StreamWorld({ isWebSocket: true }).greet();
  broken.peer.receive(Uint8Array.of(0x10, Code.get, 0xb0));
  assert.equal(broken.take().code, Code.abort);
});

conforms('8323/5.3-1 8323/5.3-2 8323/5.3.1-1 8323/5.3.2-1 8974/2.2.1-1', 'capabilities come first', () => {
  const world = new StreamWorld();
  const csm = world.take();
  assert.equal(csm.code, Code.csm);
  assert.deepEqual(
    csm.options.map(({ number }) => number),
    [2, 4, 6],
  );
  assert.deepEqual([uintValue(optionValue(csm.options, 2)!), uintValue(optionValue(csm.options, 6)!)], [4096, 16]);
  assert.equal(world.peer.maxMessageBytes, 1152);
  world.get('a');
  assert.equal(world.take().code, Code.abort);
  assert.ok(world.isClosed);
});

conforms('8323/5.3-3 8323/5.3-4 8323/5.3-5', 'options of a CSM', () => {
  const world = new StreamWorld().greet([emptyOption(1000)]).send(Code.csm, '', [uintOption(2, 3000)]);
  assert.equal(world.peer.maxMessageBytes, 3000);
  world.send(Code.csm);
  assert.equal(world.peer.maxMessageBytes, 3000);
  world.send(Code.csm, '', [emptyOption(1001)]);
  const abort = world.take();
  assert.deepEqual([abort.code, uintValue(optionValue(abort.options, 2)!)], [Code.abort, 1001]);
});

conforms('8323/5.4-1 8323/5.4-2', 'Ping and Pong', () => {
  const world = new StreamWorld().greet().send(Code.ping, 'one');
  assert.deepEqual([world.take().token], [textBytes('one')]);
  world
    .get('a')
    .send(Code.ping, 'two', [emptyOption(2)])
    .takeNothing();
  world.last.reply.send(response(Code.content));
  world.take();
  const pong = world.take();
  assert.deepEqual([pong.code, pong.token, pong.options], [Code.pong, textBytes('two'), [emptyOption(2)]]);
});

conforms('8323/5.5-1 8323/5.5-2', 'Release', () => {
  const world = new StreamWorld().greet().get('a').send(Code.release);
  world.last.reply.send(response(Code.content));
  assert.equal(world.take().code, Code.content);
  assert.ok(world.isClosed);
  const other = new StreamWorld().greet();
  other.peer.shutDown();
  assert.equal(other.take().code, Code.release);
});

conforms('8323/5.6-1 8323/5.6-2', 'Abort', () => {
  const broken = new StreamWorld().greet();
  broken.peer.receive(Uint8Array.of(0x0f, 1));
  const abort = broken.take();
  assert.equal(abort.code, Code.abort);
  assert.ok(abort.payload.length > 0);
  const world = new StreamWorld().greet().get('a').send(Code.abort);
  world.last.reply.send(response(Code.content));
  world.takeNothing();
});

conforms('8323/7.1-1 8323/7.4-1', 'observations over a connection', () => {
  const world = new StreamWorld().greet();
  let count = 0;
  world.peer.request({ code: Code.get, options: [uintOption(6, 0)], payload: noBytes, confirmable: true }, () => count++);
  const { token } = world.take();
  for (const sequence of [9, 3]) world.send(Code.content, token, [uintOption(6, sequence)]);
  assert.equal(count, 2);
  world.get('o', [uintOption(6, 0)]);
  world.last.reply.notify(response(Code.content), false, () => {});
  world.peer.onClosed();
  assert.equal(world.last.gone, 1);
});

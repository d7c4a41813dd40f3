import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Code, encodeUdp, MessageType, noBytes, textBytes, uintOption, type UdpMessage } from '../codec/index.ts';
import type { CoapResponse, OutgoingRequest, RequestFailure } from '../exchange.ts';
import { UdpWorld } from './testing/udp-world.ts';

const { confirmable: CON, nonConfirmable: NON, acknowledgement: ACK } = MessageType;

function shape({ type, messageId, code }: UdpMessage): string {
  return `${['CON', 'NON', 'ACK', 'RST'][type]} ${messageId} ${code >>> 5}.${String(code & 31).padStart(2, '0')}`;
}

suite('requests to a peer', () => {
  const get: OutgoingRequest = { code: Code.get, options: [], payload: noBytes, confirmable: true };
  type Result = CoapResponse | RequestFailure;

  function ask(world: UdpWorld, request: OutgoingRequest = get): { results: Result[]; cancel: () => void } {
    const results: Result[] = [];
    return { results, cancel: world.peer.request(request, (result) => results.push(result)) };
  }

  test('are answered on the acknowledgement, or behind it, or instead of it', () => {
    for (const way of ['piggybacked', 'separate', 'early', 'non'] as const) {
      const world = new UdpWorld();
      const { results } = ask(world);
      const { token, messageId } = world.take();
      const content = [Code.content, token, [], textBytes('v')] as const;
      if (way === 'separate') world.ack(messageId).takeNothing();
      if (way === 'piggybacked') world.receive(encodeUdp(ACK, messageId, ...content)).takeNothing();
      else if (way === 'non') world.receive(encodeUdp(NON, 99, ...content)).takeNothing();
      else {
        world.receive(encodeUdp(CON, 99, ...content));
        assert.equal(shape(world.take()), 'ACK 99 0.00');
      }
      assert.deepEqual(results, [{ code: Code.content, options: [], payload: textBytes('v') }]);
      world.pass(300_000).takeNothing();
      assert.ok(world.peer.isIdle);
    }
  });

  test('fail when nobody acknowledges, nobody answers, the peer rejects, is gone, or too many wait', () => {
    const world = new UdpWorld();
    const [a, b] = [ask(world), ask(world, { ...get, confirmable: false })];
    world.pass(200_000);
    assert.deepEqual([a.results, b.results], [[{ failure: 'timeout' }], [{ failure: 'timeout' }]]);
    world.sent.length = 0;
    const c = ask(world);
    world.reset(world.take().messageId);
    assert.deepEqual(c.results, [{ failure: 'reset' }]);
    const all = Array.from({ length: 5 }, () => ask(world));
    assert.deepEqual(all[4]!.results, [{ failure: 'full' }]);
    world.peer.onClosed();
    assert.deepEqual(all[0]!.results, [{ failure: 'gone' }]);
    assert.deepEqual(ask(world).results, [{ failure: 'gone' }]);
  });

  test('a response that nobody waits for is rejected', () => {
    const world = new UdpWorld().receive(encodeUdp(CON, 5, Code.content, textBytes('?'), [], noBytes));
    assert.equal(shape(world.take()), 'RST 5 0.00');
  });

  test('an acknowledgement with a response must fit by token', () => {
    const world = new UdpWorld();
    const { results } = ask(world);
    const { messageId } = world.take();
    world.receive(encodeUdp(ACK, messageId, Code.content, textBytes('other'), [], noBytes)).takeNothing();
    assert.deepEqual(results, []);
  });

  test('an observation hands on what is newer, until it is cancelled', () => {
    const world = new UdpWorld();
    const { results, cancel } = ask(world, { ...get, options: [uintOption(6, 0)] });
    const { token, messageId } = world.take();
    const notify = (type: MessageType, id: number, sequence: number): UdpWorld =>
      world.receive(encodeUdp(type, id, Code.content, token, [uintOption(6, sequence)], textBytes(String(sequence))));
    notify(ACK, messageId, 5);
    notify(NON, 10, 7);
    notify(NON, 11, 6);
    notify(NON, 12, 7);
    assert.deepEqual(
      results.map((result) => 'payload' in result && Buffer.from(result.payload).toString()),
      ['5', '7'],
    );
    cancel();
    notify(NON, 13, 8);
    assert.equal(shape(world.take()), 'RST 13 0.00');
    assert.equal(results.length, 2);
  });
});

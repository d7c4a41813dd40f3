import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { SeededRandom } from '../../base/random.ts';
import { Timers } from '../../base/timers.ts';
import { defaultConfig } from '../../config.ts';
import type { DatagramPeer } from '../datagram.ts';
import { noTrace } from '../trace.ts';
import {
  Code,
  type CoapOption,
  decodeUdp,
  encodeUdp,
  MessageType,
  optionValue,
  textBytes,
  textOption,
  uintOption,
  uintValue,
} from './codec/index.ts';
import type { CoapRequest } from './exchange.ts';
import { CoapServer } from './server.ts';
import { coapOptions } from './settings.ts';

function serve(): { server: CoapServer; peer: DatagramPeer; sent: Uint8Array[]; asked: CoapRequest[]; closed: string[] } {
  const config = defaultConfig();
  const asked: CoapRequest[] = [];
  const sent: Uint8Array[] = [];
  const closed: string[] = [];
  const server = new CoapServer({
    clock: new ManualClock(),
    random: new SeededRandom(1),
    timers: new Timers(),
    trace: noTrace,
    options: coapOptions(config.coap, config),
    resources: {
      handle(request, reply) {
        asked.push(request);
        reply.send({ code: Code.content, options: [], payload: new Uint8Array(3000).fill(0x61) });
      },
    },
    goingDown: () => closed.push('resources'),
  });
  const facts = { listener: 'coap', remoteAddress: '127.0.0.1', remotePort: 5, secure: false, peerCertificate: undefined };
  const path = {
    facts,
    maxBytes: 1152,
    isProven: false,
    send: (bytes: Uint8Array) => void sent.push(bytes),
    setDeadline() {},
    close: () => void closed.push('path'),
  };
  return { server, peer: server.datagram.open(path), sent, asked, closed };
}

function get(peer: DatagramPeer, messageId: number, ...options: CoapOption[]): void {
  peer.receive(encodeUdp(MessageType.confirmable, messageId, Code.get, textBytes('t'), options, new Uint8Array(0)), false);
}

suite('the layers of CoAP', () => {
  test('a large answer goes in blocks that fit into datagrams', () => {
    const { peer, sent, asked } = serve();
    let bytes = 0;
    for (let number = 0; number < 3; number++) {
      get(peer, number, textOption(11, 'large'), uintOption(23, number * 16 + 6));
      const message = decodeUdp(sent.pop()!)!;
      assert.equal(uintValue(optionValue(message.options, 23)!) >>> 4, number);
      bytes += message.payload.length;
    }
    assert.equal(bytes, 3000);
    assert.equal(asked.length, 1);
  });

  test('requests to forward, and paths that no URI has, come to no resource', () => {
    const { peer, sent, asked } = serve();
    for (const [option, code] of [
      [textOption(35, 'coap://x/'), Code.proxyingNotSupported],
      [textOption(39, 'coap'), Code.proxyingNotSupported],
      [textOption(11, '..'), Code.badRequest],
      [uintOption(16, 0), Code.badRequest],
      [uintOption(16, 256), Code.badRequest],
    ] as const) {
      get(peer, code, option);
      assert.equal(decodeUdp(sent.pop()!)!.code, code);
    }
    get(peer, 9, textOption(35, ''));
    assert.equal(decodeUdp(sent.pop()!)!.code, Code.badOption);
    assert.equal(asked.length, 0);
  });

  test('when the node goes down the resources are told before the first peer is closed, once', () => {
    const { server, peer, closed } = serve();
    peer.shutDown();
    peer.shutDown();
    assert.deepEqual(closed, ['resources', 'path', 'path']);
    assert.ok([...server.metrics()].length > 20);
  });
});

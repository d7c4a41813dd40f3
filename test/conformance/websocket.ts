// MQTT over WebSocket (6), through a real listener on loopback.

import assert from 'node:assert/strict';
import { once } from 'node:events';

import { WebSocket } from 'ws';

import { decode } from '../harness/decode.ts';
import { encode } from '../harness/encode.ts';
import { Stand, until } from '../harness/net/stand.ts';
import { conforms } from './conforms.ts';

import type { TestContext } from 'node:test';
import type { ClientPacket, PacketType } from '../harness/packet.ts';
import type { Harness } from '../harness/harness.ts';

const statements = (...numbers: number[]): { v4: string; v5: string } => {
  const ids = numbers.map((n) => `6.0.0-${n}`).join(' ');
  return { v4: ids, v5: ids };
};

class WebClient {
  readonly socket: WebSocket;
  readonly #h: Harness;
  #bytes: Uint8Array = new Uint8Array(0);
  #closed = false;

  constructor(h: Harness, socket: WebSocket) {
    this.#h = h;
    this.socket = socket;
    socket.on('message', (data: Buffer, isBinary) => {
      assert.ok(isBinary, 'the server sent a text frame');
      this.#bytes = Buffer.concat([this.#bytes, data]);
    });
    socket.on('close', () => {
      this.#closed = true;
    });
    socket.on('error', () => {});
  }

  static async open(h: Harness, t: TestContext, protocols: string[]): Promise<WebClient> {
    // Deadlines are set by the harness's clock: by another one, they would be over as soon as the process is older than they are.
    const clock = { wallMs: () => h.clock.wallMs(), monotonicMs: () => h.clock.monotonicMs(), refresh: () => {} };
    const stand = new Stand(t, { clock });
    const listener = await stand.listen({ kind: 'ws', protocol: h.protocol });
    const socket = new WebSocket(`ws://127.0.0.1:${listener.address!.port}/mqtt`, protocols);
    const client = new WebClient(h, socket);
    stand.adopt({ destroy: () => socket.terminate() });
    await once(socket, 'open');
    return client;
  }

  bytesOf(...packets: ClientPacket[]): Uint8Array {
    return Buffer.concat(packets.map((packet) => encode(packet, this.#h.version)));
  }

  /** The next packets have these types. */
  async expect(...types: PacketType[]): Promise<void> {
    for (const type of types) {
      await until(() => {
        this.#h.settle();
        return decode(this.#bytes, this.#h.version) !== undefined;
      }, type);
      const { packet, end } = decode(this.#bytes, this.#h.version)!;
      assert.equal(packet.type, type);
      this.#bytes = this.#bytes.subarray(end);
    }
  }

  async expectClosed(): Promise<void> {
    await until(() => this.#closed, 'the end of the connection');
  }
}

const hello: ClientPacket[] = [{ type: 'connect', clientId: 'web' }, { type: 'pingreq' }];

conforms(statements(3, 4), 'the server selects the subprotocol mqtt', async (h, t) => {
  const client = await WebClient.open(h, t, ['something', 'mqtt']);
  assert.equal(client.socket.protocol, 'mqtt');
  client.socket.send(client.bytesOf(...hello));
  await client.expect('connack', 'pingresp');
});

conforms(statements(1), 'packets travel in binary frames, and a text frame closes the connection', async (h, t) => {
  const client = await WebClient.open(h, t, ['mqtt']);
  client.socket.send(client.bytesOf(hello[0]!));
  await client.expect('connack');
  client.socket.send('text');
  await client.expectClosed();
});

conforms(statements(2), 'packets need not be aligned with frames', async (h, t) => {
  const client = await WebClient.open(h, t, ['mqtt']);
  const bytes = client.bytesOf(
    ...hello,
    { type: 'subscribe', id: 1, subscriptions: [{ filter: 't' }] },
    { type: 'publish', topic: 't', payload: 'x' },
  );
  for (const byte of bytes) client.socket.send(Uint8Array.of(byte));
  await client.expect('connack', 'pingresp', 'suback', 'publish');
  client.socket.send(client.bytesOf({ type: 'pingreq' }, { type: 'pingreq' }, { type: 'pingreq' }));
  await client.expect('pingresp', 'pingresp', 'pingresp');
});

// Peers in conversation with the real connection machine over the real broker.

import { TestBroker, type TestBrokerOptions } from '../../../src/broker/testing/test-broker.ts';
import type { Begin, Performative } from '../../../src/protocols/amqp/codec/index.ts';
import { Dialogue, type DialogueOptions } from '../../../src/protocols/amqp/testing/dialogue.ts';
import { LivePeer } from '../../../src/protocols/amqp/testing/live-peer.ts';
import * as frames from '../../../src/protocols/amqp/testing/peer-frames.ts';

type PeerOptions = ConstructorParameters<typeof LivePeer>[2];

export async function meet(more: PeerOptions = {}, options: TestBrokerOptions = {}): Promise<{ test: TestBroker; peer: LivePeer }> {
  const test = await TestBroker.start(options);
  return { test, peer: new LivePeer(test, 'peer', more) };
}

/** A wire on which nothing was said. `send` also ends the broker's turns. */
export async function silent(
  more: DialogueOptions = {},
): Promise<{ test: TestBroker; wire: Dialogue; send: (...pieces: Uint8Array[]) => string[] }> {
  const test = await TestBroker.start();
  const wire = new Dialogue({ ...more, broker: test.broker, turn: test.turn as never, clock: test.clock });
  const send = (...pieces: Uint8Array[]): string[] => {
    wire.send(...pieces);
    test.settle();
    return wire.heard();
  };
  return { test, wire, send };
}

/** As `silent`, with header, open and one session whose begin may say more. */
export async function begun(
  begin: Partial<Begin> = {},
  more: DialogueOptions & { readonly open?: Partial<Extract<Performative, { type: 'open' }>> } = {},
): Promise<Awaited<ReturnType<typeof silent>>> {
  const scene = await silent(more);
  scene.send(frames.header(), frames.frame(0, { ...frames.open, ...more.open }), frames.frame(0, { ...frames.begin, ...begin }));
  return scene;
}

/** A frame by hand: its body as it is. */
export function rawFrame(body: readonly number[], { type = 0, channel = 0, offset = 2, size = -1 } = {}): Uint8Array {
  const extended = offset > 2 ? (offset - 2) * 4 : 0;
  const whole = Buffer.alloc(8 + extended + body.length);
  whole.writeUInt32BE(size === -1 ? whole.length : size, 0);
  whole[4] = offset;
  whole[5] = type;
  whole.writeUInt16BE(channel, 6);
  whole.set(body, 8 + extended);
  return new Uint8Array(whole);
}

export function latin1(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('latin1');
}

export function endsOf(words: readonly string[]): string[] {
  return words.filter((each) => /^(detach|end|close)/.test(each));
}

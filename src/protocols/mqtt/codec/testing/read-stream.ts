// Reads a stream as a peer would: frames, then packets, with what is allowed first and later.

import { decodePacket, type Packet } from '../any-packet.ts';
import { DecodeError } from '../decode-error.ts';
import { type FirstBytes, firstBytesFrom, firstBytesOfConnack, firstBytesOfConnect } from '../first-bytes.ts';
import { FrameReader } from '../frame-reader.ts';
import type { Side, Version } from '../packets.ts';

export type StreamResult = { readonly packets: Packet[]; readonly error: DecodeError | undefined };

export type StreamOptions = {
  readonly from: Side;
  readonly version: Version;
  /** Nothing has been received yet: CONNECT or CONNACK is expected. */
  readonly first: boolean;
  readonly maxPacketBytes?: number;
};

const largest = 268_435_455 + 5;

export function readStream(pieces: Iterable<Uint8Array>, options: StreamOptions): StreamResult {
  const { from } = options;
  let { version } = options;
  const packets: Packet[] = [];
  let refused: DecodeError | undefined;
  const reader = new FrameReader(firstAccept(options), options.maxPacketBytes ?? largest);
  const sink = {
    packet(firstByte: number, bytes: Uint8Array, start: number, end: number): boolean {
      const packet = decodePacket(firstByte, bytes, start, end, version, from);
      if (packet instanceof DecodeError) {
        refused = packet;
        return false;
      }
      packets.push(packet);
      if (packet.type === 'connect') version = packet.version;
      if (packet.type === 'connect' || packet.type === 'connack') reader.accept = firstBytesFrom(from, version);
      return true;
    },
  };
  for (const piece of pieces) {
    const error = reader.push(piece, sink) ?? refused;
    if (error !== undefined) return { packets, error };
  }
  return { packets, error: undefined };
}

function firstAccept({ from, version, first }: StreamOptions): FirstBytes {
  if (!first) return firstBytesFrom(from, version);
  return from === 'client' ? firstBytesOfConnect : firstBytesOfConnack(version);
}

/** The bytes in every way that cuts them once, then byte by byte. */
export function* everyCut(bytes: Uint8Array): Generator<Uint8Array[]> {
  yield [bytes];
  for (let at = 1; at < bytes.length; at++) yield [bytes.slice(0, at), bytes.slice(at)];
  yield Array.from(bytes, (byte) => Uint8Array.of(byte));
}

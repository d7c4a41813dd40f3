// Any stream of bytes into the MQTT codec. The first byte of an input says which side sends and in which version, the second how
// the stream is cut; the rest is the stream.

import assert from 'node:assert/strict';
import { Output } from '../../../src/base/output.ts';
import * as codec from '../../../src/protocols/mqtt/codec/index.ts';
import { packetSeeds, words } from '../mqtt-seeds.ts';
import { mutateFrames } from '../mqtt-frames.ts';
import type { Target } from '../target.ts';

const maxPacketBytes = 4096;
const headerBytes = 2;

type Setting = { readonly version: codec.Version; readonly from: codec.Side };
type Packet = { readonly firstByte: number; readonly body: Uint8Array };

function settingOf(byte: number): Setting {
  return { version: ([3, 4, 5] as const)[(byte & 0x7f) % 3]!, from: (byte & 0x80) === 0 ? 'client' : 'server' };
}

function run(input: Uint8Array): readonly string[] {
  if (input.length < headerBytes) return [];
  const setting = settingOf(input[0]!);
  const stream = input.subarray(headerBytes);
  const whole = read(stream, setting, stream.length);
  const cut = read(stream, setting, 1 + (input[1]! % 16));
  assert.deepEqual(cut.packets, whole.packets, 'the packets depend on how the stream is cut');
  assert.equal(cut.error?.message, whole.error?.message, 'the error depends on how the stream is cut');
  const seen: string[] = whole.error === undefined ? [] : [whole.error.message.replace(/\d+/g, 'N')];
  for (const { firstByte, body } of whole.packets) seen.push(check(firstByte, body, setting));
  return seen;
}

function read(
  stream: Uint8Array,
  { version, from }: Setting,
  pieceBytes: number,
): { packets: Packet[]; error: codec.DecodeError | undefined } {
  const packets: Packet[] = [];
  const established = codec.firstBytesFrom(from, version);
  const first = from === 'client' ? codec.firstBytesOfConnect : codec.firstBytesOfConnack(version);
  // A stream may also begin where the handshake is over, to spare the search the way.
  const reader = new codec.FrameReader(stream.length > 0 && first.verdicts[stream[0]!] === 0 ? first : established, maxPacketBytes);
  const sink = {
    packet(firstByte: number, bytes: Uint8Array, start: number, end: number): boolean {
      assert.ok(start >= 0 && end <= bytes.length && end - start <= maxPacketBytes);
      packets.push({ firstByte, body: bytes.slice(start, end) });
      reader.accept = established;
      return true;
    },
  };
  for (let at = 0; at < stream.length; at += pieceBytes) {
    // Bytes after the end of a piece must not matter: a piece is a copy of its own.
    const error = reader.push(stream.slice(at, at + pieceBytes), sink);
    if (error !== undefined) return { packets, error };
    assert.ok(reader.bufferedBytes <= Math.max(1024, 2 * (at + pieceBytes)), 'more memory is held than was received');
    assert.ok(reader.bufferedBytes <= maxPacketBytes, 'more memory is held than a packet may have');
  }
  return { packets, error: undefined };
}

/** Decodes, and for a good packet checks that writing it and reading it again gives the same. Returns what it was. */
function check(firstByte: number, body: Uint8Array, setting: Setting): string {
  const packet = decode(firstByte, body, setting);
  const name = codec.packetName(firstByte >> 4);
  if (packet instanceof codec.DecodeError) {
    assert.ok(packet.message.length > 0 && packet.message.length < 200);
    // A server can only say what is an error (from 0x80 on).
    assert.ok(packet.reason >= 0x80, `reason ${packet.reason} is not an error`);
    return `${name}: ${packet.message.replace(/0x[0-9a-f]+|\d+/g, 'N')}`;
  }
  if (packet === undefined) return name;
  const written = write(firstByte, packet, setting);
  if (written === undefined) return name;
  const again = decode(written.firstByte, written.body, setting);
  assert.deepEqual(plain(again), plain(packet), `${name} is not the same after being written and read`);
  return `${name}: ${Object.keys((packet as { properties?: object }).properties ?? {}).length} properties`;
}

/** Without what makes no difference: fields without a value, and the session of a refused connection, which is not written. */
function plain(packet: unknown): unknown {
  const fields: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(packet as object)) if (value !== undefined) fields[name] = value;
  if (fields['sessionPresent'] === true && fields['reason'] !== 0) fields['sessionPresent'] = false;
  return fields;
}

function decode(firstByte: number, body: Uint8Array, { version, from }: Setting): unknown {
  const type = firstByte >> 4;
  const end = body.length;
  switch (type) {
    case codec.PacketType.connect:
      return codec.decodeConnect(body, 0, end);
    case codec.PacketType.connack:
      return codec.decodeConnack(body, 0, end, version);
    case codec.PacketType.publish:
      return codec.decodePublishPacket(body, 0, end, firstByte & 0x0f, version, from);
    case codec.PacketType.puback:
    case codec.PacketType.pubrec:
    case codec.PacketType.pubrel:
    case codec.PacketType.pubcomp: {
      const fields = new codec.AckFields();
      return codec.decodeAck(type, body, 0, end, version, fields) ?? fields;
    }
    case codec.PacketType.subscribe:
      return codec.decodeSubscribe(body, 0, end, version);
    case codec.PacketType.suback:
      return codec.decodeSuback(body, 0, end, version);
    case codec.PacketType.unsubscribe:
      return codec.decodeUnsubscribe(body, 0, end, version);
    case codec.PacketType.unsuback:
      return codec.decodeUnsuback(body, 0, end, version);
    case codec.PacketType.disconnect:
      return codec.decodeDisconnect(body, 0, end, version, from);
    case codec.PacketType.auth:
      return codec.decodeAuth(body, 0, end, from);
    default:
      return codec.decodeEmpty(0, end);
  }
}

/** The packet as our encoder writes it; undefined for what has nothing to write. */
function write(firstByte: number, packet: unknown, { version }: Setting): Packet | undefined {
  const output = new Output(() => {});
  switch (firstByte >> 4) {
    case codec.PacketType.connect:
      codec.writeConnect(output, packet as codec.Connect);
      break;
    case codec.PacketType.connack:
      codec.writeConnack(output, version, packet as codec.Connack);
      break;
    case codec.PacketType.publish:
      codec.writePublishPacket(output, version, packet as codec.Publish);
      break;
    case codec.PacketType.puback:
    case codec.PacketType.pubrec:
    case codec.PacketType.pubrel:
    case codec.PacketType.pubcomp: {
      const { packetId, reason, properties } = packet as codec.AckFields;
      const type = (firstByte >> 4) as codec.AckType;
      if (properties === undefined) codec.writeAck(output, version, type, packetId, reason);
      else codec.writeAckWithProperties(output, type, packetId, reason, properties, Infinity);
      break;
    }
    case codec.PacketType.subscribe:
      codec.writeSubscribe(output, version, packet as codec.Subscribe);
      break;
    case codec.PacketType.suback:
      codec.writeSuback(output, version, packet as codec.Suback);
      break;
    case codec.PacketType.unsubscribe:
      codec.writeUnsubscribe(output, version, packet as codec.Unsubscribe);
      break;
    case codec.PacketType.unsuback:
      codec.writeUnsuback(output, version, packet as codec.Unsuback);
      break;
    case codec.PacketType.disconnect:
      codec.writeDisconnect(output, version, packet as codec.Disconnect);
      break;
    case codec.PacketType.auth:
      codec.writeAuth(output, packet as codec.Auth);
      break;
    default:
      return undefined;
  }
  return singlePacket(output);
}

function singlePacket(output: Output): Packet {
  const bytes = Buffer.concat(output.takeChunks());
  let at = 1;
  while (bytes[at++]! > 0x7f);
  return { firstByte: bytes[0]!, body: new Uint8Array(bytes.subarray(at)) };
}

export const target: Target = {
  name: 'mqtt-codec',
  properties: [
    'nothing throws, whatever comes',
    'packets and errors do not depend on how the stream is cut',
    'a cut packet holds no more memory than was received, twice over, and never more than the largest packet',
    'what is refused is refused with an error code and a short text',
    'a packet that was read, written and read again is the same',
  ],
  covers: /\/src\/protocols\/mqtt\/codec\//,
  maxBytes: 8192,
  slowMs: 200,
  seeds: packetSeeds((version, from) => Uint8Array.of((version - 3) | (from === 'server' ? 0x80 : 0), 6)),
  dictionary: words,
  mutate: (input, random, other) => mutateFrames(input, headerBytes, random, other, words),
  run,
};

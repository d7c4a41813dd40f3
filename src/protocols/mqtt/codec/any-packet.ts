// Any packet as one value, for callers that are not in a hurry: clients, traces, tests. The broker's connection dispatches by itself.

import type { Output } from '../../../base/output.ts';
import { AckFields, decodeAck, writeAck, writeAckWithProperties } from './acks.ts';
import { decodeConnect } from './connect.ts';
import { DecodeError, malformed } from './decode-error.ts';
import {
  decodeAuth,
  decodeConnack,
  decodeDisconnect,
  decodeEmpty,
  decodeSuback,
  decodeSubscribe,
  decodeUnsuback,
  decodeUnsubscribe,
} from './decode.ts';
import {
  writeAuth,
  writeConnack,
  writeConnect,
  writeDisconnect,
  writePingreq,
  writePingresp,
  writeSuback,
  writeSubscribe,
  writeUnsuback,
  writeUnsubscribe,
} from './encode.ts';
import {
  type AckProperties,
  type AckType,
  type Auth,
  type Connack,
  type Connect,
  type Disconnect,
  PacketType,
  type Publish,
  type Side,
  type Suback,
  type Subscribe,
  type Unsuback,
  type Unsubscribe,
  type Version,
} from './packets.ts';
import { decodePublishPacket } from './publish-decode.ts';
import { writePublishPacket } from './publish-encode.ts';
import type { ReasonCode } from './reason-codes.ts';

export type Ack = { readonly packetId: number; readonly reason: ReasonCode; readonly properties?: AckProperties | undefined };

export type Packet =
  | ({ readonly type: 'connect' } & Connect)
  | ({ readonly type: 'connack' } & Connack)
  | ({ readonly type: 'publish' } & Publish)
  | ({ readonly type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp' } & Ack)
  | ({ readonly type: 'subscribe' } & Subscribe)
  | ({ readonly type: 'suback' } & Suback)
  | ({ readonly type: 'unsubscribe' } & Unsubscribe)
  | ({ readonly type: 'unsuback' } & Unsuback)
  | { readonly type: 'pingreq' }
  | { readonly type: 'pingresp' }
  | ({ readonly type: 'disconnect' } & Disconnect)
  | ({ readonly type: 'auth' } & Auth);

/** Decodes the body `bytes[start..end)` of a packet whose first byte was checked. `version` does not matter for CONNECT. */
export function decodePacket(
  firstByte: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  version: Version,
  from: Side,
): Packet | DecodeError {
  switch (firstByte >> 4) {
    case PacketType.connect:
      return typed('connect', decodeConnect(bytes, start, end));
    case PacketType.connack:
      return typed('connack', decodeConnack(bytes, start, end, version));
    case PacketType.publish:
      return typed('publish', decodePublishPacket(bytes, start, end, firstByte & 0x0f, version, from));
    case PacketType.puback:
      return typed('puback', decodeAckPacket(PacketType.puback, bytes, start, end, version));
    case PacketType.pubrec:
      return typed('pubrec', decodeAckPacket(PacketType.pubrec, bytes, start, end, version));
    case PacketType.pubrel:
      return typed('pubrel', decodeAckPacket(PacketType.pubrel, bytes, start, end, version));
    case PacketType.pubcomp:
      return typed('pubcomp', decodeAckPacket(PacketType.pubcomp, bytes, start, end, version));
    case PacketType.subscribe:
      return typed('subscribe', decodeSubscribe(bytes, start, end, version));
    case PacketType.suback:
      return typed('suback', decodeSuback(bytes, start, end, version));
    case PacketType.unsubscribe:
      return typed('unsubscribe', decodeUnsubscribe(bytes, start, end, version));
    case PacketType.unsuback:
      return typed('unsuback', decodeUnsuback(bytes, start, end, version));
    case PacketType.pingreq:
      return decodeEmpty(start, end) ?? { type: 'pingreq' };
    case PacketType.pingresp:
      return decodeEmpty(start, end) ?? { type: 'pingresp' };
    case PacketType.disconnect:
      return typed('disconnect', decodeDisconnect(bytes, start, end, version, from));
    case PacketType.auth:
      return typed('auth', decodeAuth(bytes, start, end, from));
    default:
      return malformed('reserved packet type');
  }
}

function typed<T extends string, P extends object>(type: T, packet: P | DecodeError): ({ type: T } & P) | DecodeError {
  return packet instanceof DecodeError ? packet : { type, ...packet };
}

function decodeAckPacket(type: AckType, bytes: Uint8Array, start: number, end: number, version: Version): Ack | DecodeError {
  const fields = new AckFields();
  const error = decodeAck(type, bytes, start, end, version, fields);
  return error ?? { packetId: fields.packetId, reason: fields.reason, properties: fields.properties };
}

/** Writes any packet. Returns false when nothing was written: see writeConnack and `maxPacketBytes` in encode.ts. */
export function writePacket(output: Output, version: Version, packet: Packet, maxPacketBytes = Infinity): boolean {
  switch (packet.type) {
    case 'connect':
      writeConnect(output, packet);
      return true;
    case 'connack':
      return writeConnack(output, version, packet, maxPacketBytes);
    case 'publish':
      writePublishPacket(output, version, packet);
      return true;
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      writeAnyAck(output, version, PacketType[packet.type], packet, maxPacketBytes);
      return true;
    case 'subscribe':
      writeSubscribe(output, version, packet);
      return true;
    case 'suback':
      return writeSuback(output, version, packet, maxPacketBytes);
    case 'unsubscribe':
      writeUnsubscribe(output, version, packet);
      return true;
    case 'unsuback':
      return writeUnsuback(output, version, packet, maxPacketBytes);
    case 'pingreq':
      writePingreq(output);
      return true;
    case 'pingresp':
      writePingresp(output);
      return true;
    case 'disconnect':
      return writeDisconnect(output, version, packet, maxPacketBytes);
    case 'auth':
      return writeAuth(output, packet, maxPacketBytes);
  }
}

function writeAnyAck(output: Output, version: Version, type: AckType, ack: Ack, maxPacketBytes: number): void {
  if (version !== 5 || ack.properties === undefined) writeAck(output, version, type, ack.packetId, ack.reason);
  else writeAckWithProperties(output, type, ack.packetId, ack.reason, ack.properties, maxPacketBytes);
}

// PUBACK, PUBREC, PUBREL and PUBCOMP: one shape, two bytes long nearly always.

import type { Output } from '../../../base/output.ts';
import { Builder } from './builder.ts';
import { Cursor } from './cursor.ts';
import { type DecodeError, malformed, protocolError } from './decode-error.ts';
import { writeFitting } from './fitting.ts';
import { type AckProperties, type AckType, PacketType, type Version } from './packets.ts';
import { readProperties } from './properties.ts';
import { PropertySet } from './property-ids.ts';
import { ReasonCode } from './reason-codes.ts';
import { reasonIn } from './reason-sets.ts';

/** A decoded acknowledgement, to be reused for the next one. */
export class AckFields {
  packetId = 0;
  reason: ReasonCode = ReasonCode.success;
  properties: AckProperties | undefined = undefined;
}

/** Decodes the body `bytes[start..end)`. After an error `into` holds nothing of use. */
export function decodeAck(
  type: AckType,
  bytes: Uint8Array,
  start: number,
  end: number,
  version: Version,
  into: AckFields,
): DecodeError | undefined {
  const length = end - start;
  if (length < 2) return malformed('the packet ends within its Packet Identifier');
  const packetId = (bytes[start]! << 8) | bytes[start + 1]!;
  if (packetId === 0) return protocolError('Packet Identifier is 0'); // [MQTT-2.2.1-3]
  into.packetId = packetId;
  into.reason = ReasonCode.success; // §3.4.2.1: what is left out means success
  into.properties = undefined;
  if (length === 2) return undefined;
  if (version !== 5) return malformed('bytes after the Packet Identifier');
  return decodeReason(type, bytes, start + 2, end, into);
}

function decodeReason(type: AckType, bytes: Uint8Array, start: number, end: number, into: AckFields): DecodeError | undefined {
  // [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]; both sides may use the same codes.
  const reason = reasonIn(type, 'client', bytes[start]!);
  if (reason === undefined) return protocolError('an acknowledgement with a reason code that it may not carry');
  into.reason = reason;
  if (end - start === 1) return undefined;
  const cursor = new Cursor(bytes, start + 1, end);
  into.properties = readProperties(cursor, PropertySet.ack);
  cursor.finish('an acknowledgement');
  return cursor.error;
}

/** Without properties. Versions 3 and 4 have no room for a reason: it is left out. */
export function writeAck(output: Output, version: Version, type: AckType, packetId: number, reason: ReasonCode): void {
  const short = reason === 0 || version !== 5;
  output.reserve(5);
  const buffer = output.buffer;
  const at = output.position;
  // PUBREL carries the flags 0010 [MQTT-3.6.1-1]; in 3.1 they mean QoS 1.
  buffer[at] = type === PacketType.pubrel ? 0x62 : type << 4;
  buffer[at + 1] = short ? 2 : 3;
  buffer[at + 2] = packetId >>> 8;
  buffer[at + 3] = packetId;
  if (short) {
    output.position = at + 4;
  } else {
    buffer[at + 4] = reason;
    output.position = at + 5;
  }
}

const head = new Builder();

/** Version 5. Properties that would make the packet larger than `maxPacketBytes` are left out [MQTT-3.4.2-2] [MQTT-3.4.2-3]. */
export function writeAckWithProperties(
  output: Output,
  type: AckType,
  packetId: number,
  reason: ReasonCode,
  properties: AckProperties,
  maxPacketBytes: number,
): void {
  head.clear().twoBytes(packetId);
  head.byte(reason);
  const firstByte = type === PacketType.pubrel ? 0x62 : type << 4;
  if (!writeFitting(output, firstByte, head, properties, undefined, maxPacketBytes)) writeAck(output, 5, type, packetId, reason);
}

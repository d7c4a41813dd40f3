// The packets that are not on the hot path, from values to bytes. Strings and binary fields must fit 65,535 bytes: a longer one is
// the caller's mistake and throws a RangeError.

import type { Output } from '../../../base/output.ts';
import { Builder } from './builder.ts';
import { writeFitting, writeWhole } from './fitting.ts';
import {
  type Auth,
  type Connack,
  type Connect,
  type Disconnect,
  PacketType,
  type Properties,
  type Suback,
  type Subscribe,
  type Unsuback,
  type Unsubscribe,
  type Version,
} from './packets.ts';
import { writeProperties } from './properties.ts';
import { connectReturnCode } from './reason-codes.ts';

const head = new Builder();
const propertyBytes = new Builder();

// The functions with `maxPacketBytes` leave out user properties, then the reason string, if the packet would be larger than
// that, and return false, having written nothing, if it still is. Infinity: the peer set no limit.

export function writeConnect(output: Output, connect: Connect): void {
  const { version, will, username, password } = connect;
  head.clear().text(version === 3 ? 'MQIsdp' : 'MQTT');
  head.byte(version);
  head.byte(
    (connect.cleanStart ? 0x02 : 0) |
      (will === undefined ? 0 : 0x04 | (will.qos << 3) | (will.retain ? 0x20 : 0)) |
      (password === undefined ? 0 : 0x40) |
      (username === undefined ? 0 : 0x80),
  );
  head.twoBytes(connect.keepAlive);
  if (version === 5) appendProperties(connect.properties);
  head.text(connect.clientId);
  if (will !== undefined) {
    if (version === 5) appendProperties(will.properties);
    head.text(will.topic);
    head.binary(will.payload);
  }
  if (username !== undefined) head.text(username);
  if (password !== undefined) head.binary(password);
  writeWhole(output, PacketType.connect << 4, head);
}

/** Also false when versions 3 and 4 have no return code for the reason: then the connection is closed without a CONNACK. */
export function writeConnack(output: Output, version: Version, connack: Connack, maxPacketBytes = Infinity): boolean {
  const code = version === 5 ? connack.reason : connectReturnCode(connack.reason);
  if (code === undefined) return false;
  // [MQTT-3.2.2-2] [MQTT-3.2.2-6]: a refusal never has a session; 3.1 has no such flag.
  head.clear().byte(connack.sessionPresent && code === 0 && version !== 3 ? 1 : 0);
  head.byte(code);
  if (version !== 5) return writeWhole(output, PacketType.connack << 4, head);
  return writeFitting(output, PacketType.connack << 4, head, connack.properties, undefined, maxPacketBytes);
}

export function writeSubscribe(output: Output, version: Version, subscribe: Subscribe): void {
  head.clear().twoBytes(subscribe.packetId);
  if (version === 5) appendProperties(subscribe.properties);
  for (const { filter, qos, noLocal, retainAsPublished, retainHandling } of subscribe.subscriptions) {
    head.text(filter);
    head.byte(version === 5 ? qos | (noLocal ? 0x04 : 0) | (retainAsPublished ? 0x08 : 0) | (retainHandling << 4) : qos);
  }
  writeWhole(output, (PacketType.subscribe << 4) | 2, head); // [MQTT-3.8.1-1]
}

export function writeSuback(output: Output, version: Version, suback: Suback, maxPacketBytes = Infinity): boolean {
  head.clear().twoBytes(suback.packetId);
  if (version === 5) {
    return writeFitting(output, PacketType.suback << 4, head, suback.properties, Uint8Array.from(suback.reasons), maxPacketBytes);
  }
  for (const reason of suback.reasons) head.byte(Math.min(reason, 0x80)); // [MQTT-3.9.3-2] of 3.1.1
  return writeWhole(output, PacketType.suback << 4, head, maxPacketBytes);
}

export function writeUnsubscribe(output: Output, version: Version, unsubscribe: Unsubscribe): void {
  head.clear().twoBytes(unsubscribe.packetId);
  if (version === 5) appendProperties(unsubscribe.properties);
  for (const filter of unsubscribe.filters) head.text(filter);
  writeWhole(output, (PacketType.unsubscribe << 4) | 2, head); // [MQTT-3.10.1-1]
}

export function writeUnsuback(output: Output, version: Version, unsuback: Unsuback, maxPacketBytes = Infinity): boolean {
  head.clear().twoBytes(unsuback.packetId);
  if (version !== 5) return writeWhole(output, PacketType.unsuback << 4, head, maxPacketBytes);
  return writeFitting(output, PacketType.unsuback << 4, head, unsuback.properties, Uint8Array.from(unsuback.reasons), maxPacketBytes);
}

export function writePingreq(output: Output): void {
  writeEmpty(output, PacketType.pingreq << 4);
}

export function writePingresp(output: Output): void {
  writeEmpty(output, PacketType.pingresp << 4);
}

/** Before version 5 only a client may send it, and it says nothing. */
export function writeDisconnect(output: Output, version: Version, disconnect: Disconnect, maxPacketBytes = Infinity): boolean {
  if (version !== 5 || (disconnect.reason === 0 && disconnect.properties === undefined)) {
    writeEmpty(output, PacketType.disconnect << 4);
    return true;
  }
  head.clear().byte(disconnect.reason);
  return writeFitting(output, PacketType.disconnect << 4, head, disconnect.properties, undefined, maxPacketBytes);
}

/** Version 5 only. */
export function writeAuth(output: Output, auth: Auth, maxPacketBytes = Infinity): boolean {
  head.clear().byte(auth.reason);
  return writeFitting(output, PacketType.auth << 4, head, auth.properties, undefined, maxPacketBytes);
}

function writeEmpty(output: Output, firstByte: number): void {
  output.reserve(2);
  output.buffer[output.position++] = firstByte;
  output.buffer[output.position++] = 0;
}

function appendProperties(properties: Properties | undefined): void {
  propertyBytes.clear();
  if (properties !== undefined) writeProperties(propertyBytes, properties);
  head.variableByteInteger(propertyBytes.length);
  head.raw(propertyBytes.view());
}

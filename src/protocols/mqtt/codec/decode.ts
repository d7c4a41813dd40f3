// Bodies of the packets that are not on the hot path, from bytes to values. Each decoder takes `bytes[start..end)`, the body after the
// fixed header, and returns the packet or the error. The flags were checked with the first byte (first-bytes.ts).

import { Cursor } from './cursor.ts';
import { type DecodeError, malformed, protocolError } from './decode-error.ts';
import type { Auth, Connack, Disconnect, Qos, Side, Suback, Subscribe, Subscription, Unsuback, Unsubscribe, Version } from './packets.ts';
import { PacketType } from './packets.ts';
import { readProperties } from './properties.ts';
import { PropertySet } from './property-ids.ts';
import { ReasonCode, reasonOfReturnCode } from './reason-codes.ts';
import { reasonIn } from './reason-sets.ts';

export function decodeConnack(bytes: Uint8Array, start: number, end: number, version: Version): Connack | DecodeError {
  const cursor = new Cursor(bytes, start, end);
  const flags = cursor.byte();
  const code = cursor.byte();
  // [MQTT-3.2.2-1]; in 3.1 the byte is reserved and its value not defined.
  if (version !== 3 && flags > 1) cursor.fail(malformed('reserved CONNACK flags are not 0'));
  if (version !== 3 && flags === 1 && code !== 0) cursor.fail(protocolError('CONNACK with a session and a refusal')); // [MQTT-3.2.2-6]
  const reason = version === 5 ? reasonIn(PacketType.connack, 'server', code) : reasonOfReturnCode(code);
  if (reason === undefined) cursor.fail(protocolError('CONNACK with a code that it may not carry')); // [MQTT-3.2.2-8]
  const properties = version === 5 ? readProperties(cursor, PropertySet.connack) : undefined;
  cursor.finish('CONNACK');
  return cursor.error ?? { sessionPresent: version !== 3 && flags === 1, reason: reason!, properties };
}

export function decodeSubscribe(bytes: Uint8Array, start: number, end: number, version: Version): Subscribe | DecodeError {
  const cursor = new Cursor(bytes, start, end);
  const packetId = readPacketId(cursor);
  const properties = version === 5 ? readProperties(cursor, PropertySet.subscribe) : undefined;
  const subscriptions: Subscription[] = [];
  while (!cursor.atEnd) subscriptions.push(readSubscription(cursor, version));
  if (subscriptions.length === 0) cursor.fail(protocolError('SUBSCRIBE without a topic filter')); // [MQTT-3.8.3-2]
  return cursor.error ?? { packetId, subscriptions, properties };
}

function readSubscription(cursor: Cursor, version: Version): Subscription {
  const filter = cursor.text(); // [MQTT-3.8.3-1]
  const options = cursor.byte();
  const qos = (options & 0x03) as Qos;
  const retainHandling = ((options >> 4) & 0x03) as 0 | 1 | 2;
  const noLocal = (options & 0x04) !== 0;
  // [MQTT-3.8.3-5] (3-8.3-4 of 3.1.1); 3.1 does not use these bits.
  if (version !== 3 && (options & (version === 5 ? 0xc0 : 0xfc)) !== 0) cursor.fail(malformed('reserved subscription options are not 0'));
  if ((options & 0x03) === 3) cursor.fail(version === 5 ? protocolError('subscription with QoS 3') : malformed('subscription with QoS 3'));
  if (version !== 5) return { filter, qos, noLocal: false, retainAsPublished: false, retainHandling: 0 };
  if ((options & 0x30) === 0x30) cursor.fail(protocolError('subscription with Retain Handling 3'));
  if (noLocal && filter.startsWith('$share/')) cursor.fail(protocolError('No Local on a shared subscription')); // [MQTT-3.8.3-4]
  return { filter, qos, noLocal, retainAsPublished: (options & 0x08) !== 0, retainHandling };
}

export function decodeSuback(bytes: Uint8Array, start: number, end: number, version: Version): Suback | DecodeError {
  const cursor = new Cursor(bytes, start, end);
  const packetId = readPacketId(cursor);
  const properties = version === 5 ? readProperties(cursor, PropertySet.ack) : undefined;
  const reasons = readReasons(cursor, PacketType.suback, version);
  return cursor.error ?? { packetId, reasons, properties };
}

export function decodeUnsubscribe(bytes: Uint8Array, start: number, end: number, version: Version): Unsubscribe | DecodeError {
  const cursor = new Cursor(bytes, start, end);
  const packetId = readPacketId(cursor);
  const properties = version === 5 ? readProperties(cursor, PropertySet.unsubscribe) : undefined;
  const filters: string[] = [];
  while (!cursor.atEnd) filters.push(cursor.text()); // [MQTT-3.10.3-1]
  if (filters.length === 0) cursor.fail(protocolError('UNSUBSCRIBE without a topic filter')); // [MQTT-3.10.3-2]
  return cursor.error ?? { packetId, filters, properties };
}

/** Before version 5 an UNSUBACK carries no reasons: `reasons` is empty. */
export function decodeUnsuback(bytes: Uint8Array, start: number, end: number, version: Version): Unsuback | DecodeError {
  const cursor = new Cursor(bytes, start, end);
  const packetId = readPacketId(cursor);
  if (version !== 5) {
    cursor.finish('UNSUBACK');
    return cursor.error ?? { packetId, reasons: [] };
  }
  const properties = readProperties(cursor, PropertySet.ack);
  const reasons = readReasons(cursor, PacketType.unsuback, version);
  return cursor.error ?? { packetId, reasons, properties };
}

function readReasons(cursor: Cursor, type: PacketType, version: Version): ReasonCode[] {
  const reasons: ReasonCode[] = [];
  while (!cursor.atEnd) {
    const code = cursor.byte();
    const reason = version !== 5 && code > 2 && code !== 0x80 ? undefined : reasonIn(type, 'server', code);
    if (reason === undefined) cursor.fail(protocolError('a reason code that this packet may not carry')); // [MQTT-3.9.3-2] [MQTT-3.11.3-2]
    else reasons.push(reason);
  }
  if (reasons.length === 0) cursor.fail(malformed('an acknowledgement without reason codes'));
  return reasons;
}

/** `from` decides which reason codes are allowed. Before version 5 a DISCONNECT is empty and means `success`. */
export function decodeDisconnect(bytes: Uint8Array, start: number, end: number, version: Version, from: Side): Disconnect | DecodeError {
  if (version !== 5) return decodeEmpty(start, end) ?? { reason: ReasonCode.success };
  const cursor = new Cursor(bytes, start, end);
  if (start === end) return { reason: ReasonCode.success }; // §3.14.2.1
  const reason = reasonIn(PacketType.disconnect, from, cursor.byte());
  if (reason === undefined) cursor.fail(protocolError('DISCONNECT with a reason code that its sender may not use')); // [MQTT-3.14.2-1]
  const properties = cursor.atEnd ? undefined : readProperties(cursor, PropertySet.disconnect);
  if (from === 'server' && properties?.sessionExpiryInterval !== undefined) {
    cursor.fail(protocolError('DISCONNECT of a server with a Session Expiry Interval')); // [MQTT-3.14.2-2]
  }
  cursor.finish('DISCONNECT');
  return cursor.error ?? { reason: reason!, properties };
}

/** Version 5 only. */
export function decodeAuth(bytes: Uint8Array, start: number, end: number, from: Side): Auth | DecodeError {
  // §3.15.2.1: an empty body means success, which only a server may say.
  const cursor = new Cursor(bytes, start, end);
  const reason = reasonIn(PacketType.auth, from, start === end ? ReasonCode.success : cursor.byte());
  if (reason === undefined) cursor.fail(protocolError('AUTH with a reason code that its sender may not use')); // [MQTT-3.15.2-1]
  const properties = cursor.atEnd ? undefined : readProperties(cursor, PropertySet.auth);
  // §3.15.2.2.2 wants the method, §3.15.2.1 allows a success without any properties.
  if (properties?.authenticationMethod === undefined && !(reason === ReasonCode.success && properties === undefined)) {
    cursor.fail(protocolError('AUTH without an Authentication Method'));
  }
  cursor.finish('AUTH');
  return cursor.error ?? { reason: reason!, properties };
}

/** PINGREQ and PINGRESP have no body. */
export function decodeEmpty(start: number, end: number): DecodeError | undefined {
  return start === end ? undefined : malformed('a body in a packet that has none');
}

function readPacketId(cursor: Cursor): number {
  const packetId = cursor.twoBytes();
  if (packetId === 0) cursor.fail(protocolError('Packet Identifier is 0')); // [MQTT-2.2.1-3]
  return packetId;
}

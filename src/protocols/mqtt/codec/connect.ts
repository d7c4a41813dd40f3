// CONNECT: the packet that says which version the rest of the connection speaks.

import { Cursor } from './cursor.ts';
import { DecodeError, malformed } from './decode-error.ts';
import type { Connect, Qos, Version, WillPacket } from './packets.ts';
import { readProperties } from './properties.ts';
import { PropertySet } from './property-ids.ts';
import { ReasonCode } from './reason-codes.ts';

const cleanStartFlag = 0x02;
const willFlag = 0x04;
const willQosBits = 0x18;
const willRetainFlag = 0x20;
const passwordFlag = 0x40;
const usernameFlag = 0x80;

/**
 * Takes the body after the fixed header. An error's `version` says in which version's words to answer; without one the
 * connection is closed without an answer. Whether an empty client id or the will's topic is acceptable is for the caller.
 */
export function decodeConnect(bytes: Uint8Array, start: number, end: number): Connect | DecodeError {
  const cursor = new Cursor(bytes, start, end);
  const version = readVersion(cursor);
  if (version instanceof DecodeError) return version;
  const connect = readBody(cursor, version);
  return cursor.error === undefined ? connect : new DecodeError(cursor.error.reason, cursor.error.message, version);
}

function readVersion(cursor: Cursor): Version | DecodeError {
  const name = cursor.text();
  const level = cursor.byte();
  if (cursor.error !== undefined) return cursor.error;
  // [MQTT-3.1.2-1]: not MQTT at all, so there is no way to answer.
  if (name !== 'MQTT' && name !== 'MQIsdp') return new DecodeError(ReasonCode.unsupportedProtocolVersion, 'the protocol is not MQTT');
  if (name === 'MQIsdp' && level === 3) return 3;
  if (name === 'MQTT' && (level === 4 || level === 5)) return level;
  // [MQTT-3.1.2-2]. A version after 5 will understand 5's CONNACK; everything else understands 3.1.1's.
  return new DecodeError(
    ReasonCode.unsupportedProtocolVersion,
    `protocol level ${level} is not supported`,
    name === 'MQTT' && level > 5 ? 5 : 4,
  );
}

function readBody(cursor: Cursor, version: Version): Connect {
  const flags = cursor.byte();
  checkFlags(cursor, flags, version);
  const keepAlive = cursor.twoBytes();
  const properties = version === 5 ? readProperties(cursor, PropertySet.connect) : undefined;
  const clientId = cursor.text(); // [MQTT-3.1.3-3] [MQTT-3.1.3-4]
  // In this order [MQTT-3.1.3-1], each if its flag is set and only then [MQTT-3.1.2-9] [MQTT-3.1.2-16] to [MQTT-3.1.2-19].
  const will = (flags & willFlag) === 0 ? undefined : readWill(cursor, flags, version);
  // 3.1 lets the flags be set and the fields be missing: the remaining length takes precedence.
  const username = (flags & usernameFlag) !== 0 && !(version === 3 && cursor.atEnd) ? cursor.text() : undefined; // [MQTT-3.1.3-12]
  const password = (flags & passwordFlag) !== 0 && !(version === 3 && cursor.atEnd) ? cursor.binary() : undefined;
  cursor.finish('CONNECT');
  return { version, cleanStart: (flags & cleanStartFlag) !== 0, keepAlive, clientId, will, username, password, properties };
}

function checkFlags(cursor: Cursor, flags: number, version: Version): void {
  // [MQTT-3.1.2-3]; 3.1 does not use the bit.
  if ((flags & 0x01) !== 0 && version !== 3) cursor.fail(malformed('the reserved flag of CONNECT is set'));
  if ((flags & willQosBits) === willQosBits) cursor.fail(malformed('will with QoS 3')); // [MQTT-3.1.2-12]
  // [MQTT-3.1.2-11] [MQTT-3.1.2-13] (3.1.1: [MQTT-3.1.2-13] [MQTT-3.1.2-15]); 3.1 ignores them without a will.
  if ((flags & willFlag) === 0 && (flags & (willQosBits | willRetainFlag)) !== 0 && version !== 3) {
    cursor.fail(malformed('will QoS or will retain without a will'));
  }
  // [MQTT-3.1.2-22] of 3.1.1; version 5 allows it.
  if ((flags & (usernameFlag | passwordFlag)) === passwordFlag && version !== 5) {
    cursor.fail(malformed('a password without a user name'));
  }
}

function readWill(cursor: Cursor, flags: number, version: Version): WillPacket {
  const properties = version === 5 ? readProperties(cursor, PropertySet.will) : undefined;
  const topic = cursor.text(); // [MQTT-3.1.3-11]
  const payload = cursor.binary();
  return { topic, payload, qos: ((flags & willQosBits) >> 3) as Qos, retain: (flags & willRetainFlag) !== 0, properties };
}

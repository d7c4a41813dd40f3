// Packets from a client to bytes. Encodes whatever it is told to, right or wrong: that is what a test of a server needs.

import { packetTypes, toBytes } from './packet.ts';
import { propertyTable } from './properties.ts';

import type { Bytes, ClientPacket, Connect, Subscription, Version } from './packet.ts';
import type { Properties, PropertyName, PropertyValue } from './properties.ts';

export function variableByteInteger(value: number): Uint8Array {
  const bytes: number[] = [];
  do {
    const digit = value % 128;
    value = Math.floor(value / 128);
    bytes.push(value > 0 ? digit | 0x80 : digit);
  } while (value > 0);
  return Uint8Array.from(bytes);
}

const two = (value: number): Uint8Array => Uint8Array.of((value >> 8) & 0xff, value & 0xff);
const four = (value: number): Uint8Array => Uint8Array.of((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);

/** A UTF-8 string or binary data with its length in front. */
export function prefixed(value: Bytes): Uint8Array {
  const bytes = toBytes(value);
  return Buffer.concat([two(bytes.length), bytes]);
}

function propertyBytes(name: PropertyName, value: PropertyValue): Uint8Array {
  const { id, kind } = propertyTable[name];
  const one = (encoded: Uint8Array): Uint8Array => Buffer.concat([Uint8Array.of(id), encoded]);
  switch (kind) {
    case 'byte':
      return one(Uint8Array.of(value as number));
    case 'two':
      return one(two(value as number));
    case 'four':
      return one(four(value as number));
    case 'variable':
      return Buffer.concat((typeof value === 'number' ? [value] : (value as number[])).map((n) => one(variableByteInteger(n))));
    case 'string':
    case 'binary':
      return one(prefixed(value as Bytes));
    case 'pair':
      return Buffer.concat((value as [Bytes, Bytes][]).map(([k, v]) => one(Buffer.concat([prefixed(k), prefixed(v)]))));
  }
}

export function encodeProperties(properties: Properties = {}): Uint8Array {
  const { raw, ...named } = properties;
  const parts = Object.entries(named).map(([name, value]) => propertyBytes(name as PropertyName, value as PropertyValue));
  if (raw !== undefined) parts.push(raw);
  const body = Buffer.concat(parts);
  return Buffer.concat([variableByteInteger(body.length), body]);
}

function connectBody(packet: Connect, version: Version): Uint8Array {
  const { will, username, password } = packet;
  let flags = packet.clean === false ? 0 : 0x02;
  if (will !== undefined) flags |= 0x04 | ((will.qos ?? 0) << 3) | (will.retain === true ? 0x20 : 0);
  if (password !== undefined) flags |= 0x40;
  if (username !== undefined) flags |= 0x80;
  const parts = [
    prefixed(packet.protocolName ?? (version === 3 ? 'MQIsdp' : 'MQTT')),
    Uint8Array.of(packet.protocolLevel ?? version, packet.connectFlags ?? flags),
    two(packet.keepAlive ?? 0),
  ];
  if (version === 5) parts.push(encodeProperties(packet.properties));
  parts.push(prefixed(packet.clientId ?? ''));
  if (will !== undefined) {
    if (version === 5) parts.push(encodeProperties(will.properties));
    parts.push(prefixed(will.topic), prefixed(will.payload ?? ''));
  }
  if (username !== undefined) parts.push(prefixed(username));
  if (password !== undefined) parts.push(prefixed(password));
  return Buffer.concat(parts);
}

function subscriptionBytes(subscription: Subscription, version: Version): Uint8Array {
  let options = subscription.qos ?? 0;
  if (version === 5) {
    if (subscription.noLocal === true) options |= 0x04;
    if (subscription.retainAsPublished === true) options |= 0x08;
    options |= (subscription.retainHandling ?? 0) << 4;
  }
  return Buffer.concat([prefixed(subscription.filter), Uint8Array.of(subscription.options ?? options)]);
}

/** Reason code and properties at the end of a packet, left out where MQTT 5 allows it and the test gave none. */
function reasonBytes(packet: { reason?: number; properties?: Properties }, version: Version): Uint8Array {
  if (version !== 5 || (packet.reason === undefined && packet.properties === undefined)) return new Uint8Array(0);
  const reason = Uint8Array.of(packet.reason ?? 0);
  return packet.properties === undefined ? reason : Buffer.concat([reason, encodeProperties(packet.properties)]);
}

function body(packet: ClientPacket, version: Version): { flags: number; bytes: Uint8Array } {
  const properties = version === 5 && 'properties' in packet ? encodeProperties(packet.properties) : new Uint8Array(version === 5 ? 1 : 0);
  switch (packet.type) {
    case 'connect':
      return { flags: 0, bytes: connectBody(packet, version) };
    case 'publish': {
      const qos = packet.qos ?? 0;
      const id = packet.id ?? (qos > 0 ? 1 : undefined);
      const flags = (packet.dup === true ? 8 : 0) | (qos << 1) | (packet.retain === true ? 1 : 0);
      const parts = [prefixed(packet.topic)];
      if (id !== undefined) parts.push(two(id));
      parts.push(properties, toBytes(packet.payload ?? ''));
      return { flags, bytes: Buffer.concat(parts) };
    }
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return { flags: packet.type === 'pubrel' ? 2 : 0, bytes: Buffer.concat([two(packet.id), reasonBytes(packet, version)]) };
    case 'subscribe': {
      const list = packet.subscriptions.map((s) => subscriptionBytes(s, version));
      return { flags: 2, bytes: Buffer.concat([two(packet.id), properties, ...list]) };
    }
    case 'unsubscribe':
      return { flags: 2, bytes: Buffer.concat([two(packet.id), properties, ...packet.filters.map((f) => prefixed(f))]) };
    case 'disconnect':
    case 'auth':
      return { flags: 0, bytes: Buffer.from(reasonBytes(packet, version)) };
    case 'pingreq':
      return { flags: 0, bytes: new Uint8Array(0) };
  }
}

export function encode(packet: ClientPacket, version: Version): Uint8Array {
  const { flags, bytes } = body(packet, version);
  return frame(packetTypes[packet.type], packet.flags ?? flags, bytes);
}

/** A packet of any type around any body. */
export function frame(type: number, flags: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of((type << 4) | flags), variableByteInteger(bytes.length), bytes]);
}

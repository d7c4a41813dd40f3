// Bytes from a server to packets. Strict: whatever the standard forbids a server to send fails the test that received it,
// so that every test also proves the rules on reserved bits, reason codes, properties and encodings.

import assert from 'node:assert/strict';

import { packetTypes } from './packet.ts';
import { propertyById } from './properties.ts';

import type { Bytes, PacketType, ServerPacket, Version } from './packet.ts';
import type { Properties } from './properties.ts';

const typeNames = new Map<number, PacketType>(Object.entries(packetTypes).map(([name, n]) => [n, name as PacketType]));

/** Reason codes that a server may send in each packet (2.4, and the table of each packet). */
const reasonCodes: Partial<Record<PacketType, readonly number[]>> = {
  connack: [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
  ],
  puback: [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
  pubrec: [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
  pubrel: [0x00, 0x92],
  pubcomp: [0x00, 0x92],
  suback: [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2],
  unsuback: [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91],
  // 0x8c is not in the table of DISCONNECT (3-13), but 2.4 gives it to DISCONNECT.
  disconnect: [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b,
    0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
  ],
  auth: [0x00, 0x18],
};

class Reader {
  readonly bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  byte(): number {
    assert.ok(this.left >= 1, 'the server sent a packet that is cut short');
    return this.bytes[this.at++]!;
  }

  two(): number {
    return this.byte() * 0x100 + this.byte();
  }

  four(): number {
    return this.two() * 0x1_0000 + this.two();
  }

  take(length: number): Uint8Array {
    assert.ok(this.left >= length, 'the server sent a packet that is cut short');
    this.at += length;
    return this.bytes.slice(this.at - length, this.at);
  }

  variable(): number {
    const result = readVariable(this.bytes, this.at);
    assert.ok(result !== undefined, 'the server sent a variable byte integer that is cut short');
    this.at = result.end;
    return result.value;
  }

  string(): string {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.take(this.two()));
    assert.ok(!text.includes('\0'), 'the server sent U+0000 in a string [MQTT-1.5.4-2]');
    return text;
  }

  binary(): Bytes {
    return textOrBytes(this.take(this.two()));
  }
}

function readVariable(bytes: Uint8Array, at: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let i = 0; i < 4; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 128 ** i;
    if (byte < 0x80) {
      assert.ok(i === 0 || byte !== 0, 'the server sent a variable byte integer in too many bytes [MQTT-1.5.5-1]');
      return { value, end: at + i + 1 };
    }
  }
  assert.fail('the server sent a variable byte integer of more than four bytes');
}

export function textOrBytes(bytes: Uint8Array): Bytes {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return bytes;
  }
}

function readProperties(reader: Reader, type: PacketType): Properties {
  const length = reader.variable();
  const inner = new Reader(reader.take(length));
  const properties: Record<string, unknown> = {};
  while (inner.left > 0) {
    const id = inner.variable();
    const facts = propertyById.get(id);
    assert.ok(facts !== undefined, `the server sent an unknown property 0x${id.toString(16)}`);
    assert.ok(facts.inFromServer.includes(type), `the server sent ${facts.name} in ${type}`);
    const value = readPropertyValue(inner, facts.kind);
    if (facts.name === 'userProperty') {
      (properties['userProperty'] ??= []) as unknown[];
      (properties['userProperty'] as unknown[]).push(value);
    } else if (facts.name === 'subscriptionIdentifier') {
      assert.notEqual(value, 0, 'the server sent subscription identifier 0');
      const before = properties['subscriptionIdentifier'] as number[] | undefined;
      properties['subscriptionIdentifier'] = before === undefined ? [value] : [...before, value];
    } else {
      assert.ok(!(facts.name in properties), `the server sent ${facts.name} twice`);
      properties[facts.name] = value;
    }
  }
  return properties as Properties;
}

function readPropertyValue(reader: Reader, kind: string): unknown {
  switch (kind) {
    case 'byte':
      return reader.byte();
    case 'two':
      return reader.two();
    case 'four':
      return reader.four();
    case 'variable':
      return reader.variable();
    case 'string':
      return reader.string();
    case 'binary':
      return reader.binary();
    default:
      return [reader.string(), reader.string()];
  }
}

function checkReason(type: PacketType, reason: number, version: Version): void {
  if (version === 5) {
    assert.ok(reasonCodes[type]?.includes(reason), `the server sent reason 0x${reason.toString(16)} in ${type}`);
  } else if (type === 'connack') {
    assert.ok(reason <= 5, `the server sent return code ${reason} in CONNACK`);
  } else if (type === 'suback') {
    assert.ok([0, 1, 2, 0x80].includes(reason), `the server sent return code ${reason} in SUBACK [MQTT-3.9.3-2]`);
  }
}

function nonZeroId(reader: Reader): number {
  const id = reader.two();
  assert.notEqual(id, 0, 'the server sent packet identifier 0');
  return id;
}

type Fields = { -readonly [K in keyof ServerPacket]?: ServerPacket[K] };

function readPublish(reader: Reader, flags: number, version: Version): Fields {
  const qos = (flags >> 1) & 3;
  assert.ok(qos < 3, 'the server sent a PUBLISH with both QoS bits set [MQTT-3.3.1-4]');
  const dup = (flags & 8) !== 0;
  assert.ok(qos > 0 || !dup, 'the server sent DUP with QoS 0 [MQTT-3.3.1-2]');
  const topic = reader.string();
  assert.ok(!/[+#]/.test(topic), 'the server sent a wildcard in a topic name [MQTT-3.3.2-2]');
  const fields: Fields = { topic, qos, dup, retain: (flags & 1) !== 0 };
  if (qos > 0) fields.id = nonZeroId(reader);
  fields.properties = version === 5 ? readProperties(reader, 'publish') : {};
  fields.payload = textOrBytes(reader.take(reader.left));
  return fields;
}

function readAcknowledgement(reader: Reader, type: PacketType, version: Version): Fields {
  const fields: Fields = { id: nonZeroId(reader), reason: 0 };
  if (version === 5 && reader.left > 0) {
    fields.reason = reader.byte();
    if (reader.left > 0) fields.properties = readProperties(reader, type);
  }
  checkReason(type, fields.reason!, version);
  return fields;
}

function readBody(reader: Reader, type: PacketType, flags: number, version: Version): Fields {
  if (type === 'publish') return readPublish(reader, flags, version);
  assert.equal(flags, type === 'pubrel' ? 2 : 0, `the server sent wrong flags in ${type} [MQTT-2.1.3-1]`);
  switch (type) {
    case 'connack': {
      const acknowledge = reader.byte();
      assert.ok(acknowledge <= 1, 'the server sent reserved bits in CONNACK [MQTT-3.2.2-1]');
      const reason = reader.byte();
      checkReason(type, reason, version);
      assert.ok(reason === 0 || acknowledge === 0, 'the server sent session present with a refusal [MQTT-3.2.2-6]');
      return { sessionPresent: acknowledge === 1, reason, properties: version === 5 ? readProperties(reader, type) : {} };
    }
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return readAcknowledgement(reader, type, version);
    case 'suback':
    case 'unsuback': {
      const fields: Fields = { id: nonZeroId(reader), properties: version === 5 ? readProperties(reader, type) : {} };
      const reasons = [...reader.take(reader.left)];
      for (const reason of reasons) checkReason(type, reason, version);
      fields.reasons = reasons;
      return fields;
    }
    case 'pingresp':
      return {};
    case 'disconnect':
    case 'auth': {
      assert.equal(version, 5, `the server sent ${type} to a client of version ${version}`);
      const reason = reader.left > 0 ? reader.byte() : 0;
      checkReason(type, reason, version);
      return { reason, properties: reader.left > 0 ? readProperties(reader, type) : {} };
    }
    default:
      assert.fail(`the server sent ${type}, which only a client may send`);
  }
}

/** The first whole packet in `bytes` and where it ends; undefined when it is not whole yet. */
export function decode(bytes: Uint8Array, version: Version): { packet: ServerPacket; end: number } | undefined {
  if (bytes.length < 2) return undefined;
  const length = readVariable(bytes, 1);
  if (length === undefined) return undefined;
  const end = length.end + length.value;
  if (bytes.length < end) return undefined;
  const type = typeNames.get(bytes[0]! >> 4);
  assert.ok(type !== undefined, 'the server sent packet type 0');
  const reader = new Reader(bytes.slice(length.end, end));
  const fields = readBody(reader, type, bytes[0]! & 0x0f, version);
  assert.equal(reader.left, 0, `the server sent ${reader.left} bytes too many in ${type}`);
  return { packet: { properties: {}, ...fields, type, bytes: end }, end };
}

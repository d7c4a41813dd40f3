// mqtt-packet, the codec of MQTT.js, which we did not write, must read what we write and write what we read.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Packet as TheirPacket } from 'mqtt';
import { type Packet, writePacket } from './any-packet.ts';
import type { Properties, Side, Subscription, UserProperty, Version } from './packets.ts';
import { packetsFrom } from './testing/arbitrary-packets.ts';
import { plain } from './testing/plain.ts';
import { readStream } from './testing/read-stream.ts';
import { written } from './testing/written.ts';

type TheirCodec = {
  generate(packet: object, options: { protocolVersion: Version }): Buffer;
  parser(options: { protocolVersion: Version }): {
    on(event: 'packet', listener: (packet: TheirPacket) => void): void;
    on(event: 'error', listener: (error: Error) => void): void;
    parse(bytes: Buffer): void;
  };
};

// Not a dependency of ours: found through MQTT.js, which is.
const theirs = createRequire(createRequire(import.meta.url).resolve('mqtt'))('mqtt-packet') as TheirCodec;

type Fields = Record<string, unknown>;

/** They group values by key and so lose the order between keys. */
function grouped(userProperties: readonly UserProperty[]): Fields {
  const groups = new Map<string, string[]>();
  for (const { key, value } of userProperties) groups.set(key, [...(groups.get(key) ?? []), value]);
  return Object.fromEntries([...groups].map(([key, values]) => [key, values.length === 1 ? values[0] : values]));
}

function theirProperties(properties: Properties | undefined): Fields | undefined {
  if (properties === undefined) return undefined;
  const { userProperties, payloadFormatIndicator, maximumQos, subscriptionIdentifiers, ...same } = properties;
  return plain({
    ...same,
    userProperties: userProperties === undefined ? undefined : grouped(userProperties),
    payloadFormatIndicator: payloadFormatIndicator === undefined ? undefined : payloadFormatIndicator === 1,
    maximumQoS: maximumQos,
    subscriptionIdentifier: subscriptionIdentifiers?.length === 1 ? subscriptionIdentifiers[0] : subscriptionIdentifiers,
  }) as Fields;
}

function theirSubscription({ filter, qos, noLocal, retainAsPublished, retainHandling }: Subscription, version: Version): Fields {
  return version === 5 ? { topic: filter, qos, nl: noLocal, rap: retainAsPublished, rh: retainHandling } : { topic: filter, qos };
}

/** The packet in their words. */
function translated(packet: Packet, version: Version): Fields {
  const properties = 'properties' in packet ? theirProperties(packet.properties) : undefined;
  const cmd = packet.type;
  const code = version === 5 ? 'reasonCode' : 'returnCode';
  switch (packet.type) {
    case 'connect': {
      const { will, cleanStart: clean, keepAlive: keepalive, clientId, username, password } = packet;
      const theirWill = will === undefined ? undefined : { ...will, properties: theirProperties(will.properties) };
      const protocolId = version === 3 ? 'MQIsdp' : 'MQTT';
      return { cmd, protocolId, protocolVersion: version, clean, keepalive, clientId, username, password, will: theirWill, properties };
    }
    case 'connack':
      return {
        cmd,
        sessionPresent: packet.sessionPresent,
        [code]: version === 5 ? packet.reason : returnCodes.get(packet.reason),
        properties,
      };
    case 'publish': {
      const { topic, payload, qos, dup, retain, packetId } = packet;
      return { cmd, topic, payload, qos, dup, retain, messageId: qos === 0 ? undefined : packetId, properties };
    }
    case 'subscribe':
      return {
        cmd,
        messageId: packet.packetId,
        subscriptions: packet.subscriptions.map((each) => theirSubscription(each, version)),
        properties,
      };
    case 'unsubscribe':
      return { cmd, messageId: packet.packetId, unsubscriptions: packet.filters, properties };
    case 'suback':
    case 'unsuback':
      return { cmd, messageId: packet.packetId, granted: packet.reasons.length === 0 ? undefined : packet.reasons, properties };
    case 'pingreq':
    case 'pingresp':
      return { cmd };
    case 'disconnect':
    case 'auth':
      return { cmd, reasonCode: version === 5 ? packet.reason : undefined, properties };
    default:
      return { cmd, messageId: packet.packetId, reasonCode: version === 5 ? packet.reason : undefined, properties };
  }
}

const returnCodes = new Map([0, 0x84, 0x85, 0x88, 0x86, 0x87].map((reason, code) => [reason, code]));

function readByThem(bytes: Uint8Array, version: Version): Fields {
  const packets: TheirPacket[] = [];
  const parser = theirs.parser({ protocolVersion: version });
  parser.on('packet', (packet) => packets.push(packet));
  parser.on('error', (error) => assert.fail(error));
  parser.parse(Buffer.from(bytes));
  assert.equal(packets.length, 1);
  return packets[0] as unknown as Fields;
}

/** Only the fields that `expected` has: they add what follows from others, and empty sets of properties. */
function pick(actual: unknown, expected: unknown): unknown {
  if (Array.isArray(expected)) return (actual as unknown[]).map((each, i) => pick(each, expected[i]));
  if (expected instanceof Uint8Array) return typeof actual === 'string' ? new Uint8Array(Buffer.from(actual)) : plain(actual);
  if (expected === null || typeof expected !== 'object') return actual;
  return Object.fromEntries(Object.keys(expected).map((key) => [key, pick((actual as Fields)[key], (expected as Fields)[key])]));
}

/**
 * They write no CONNECT with a password alone, nor with an empty client id unless it is a clean start of 3.1.1 or later, and
 * lose an empty value of a user property when its key comes again.
 */
function isWithinTheirs(packet: Packet): boolean {
  if (JSON.stringify(packet).includes('"value":""')) return false;
  return packet.type !== 'connect' || (packet.clientId !== '' && (packet.password === undefined || packet.username !== undefined));
}

/** They take binary values as Buffers. */
function withBuffers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withBuffers);
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Uint8Array) return Buffer.from(value);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withBuffers(each)]));
}

/** The packet as it comes back when only groups of user properties survive. */
function regrouped(packet: unknown): unknown {
  if (Array.isArray(packet)) return packet.map(regrouped);
  if (packet === null || typeof packet !== 'object' || packet instanceof Uint8Array) return packet;
  return Object.fromEntries(
    Object.entries(packet).map(([key, value]) => [key, key === 'userProperties' ? grouped(value as UserProperty[]) : regrouped(value)]),
  );
}

function eachPacket(from: Side, version: Version, check: (packet: Packet) => void): void {
  for (const packets of packetsFrom(from, version)) fc.assert(fc.property(packets.filter(isWithinTheirs), check), { numRuns: 40 });
}

describe('mqtt-packet', () => {
  for (const from of ['client', 'server'] as const) {
    for (const version of [3, 4, 5] as const) {
      it(`reads what we write, from a ${from}, version ${version}`, () => {
        eachPacket(from, version, (packet) => {
          const expected = plain(translated(packet, version));
          const bytes = written((output) => writePacket(output, version, packet));
          assert.deepEqual(pick(readByThem(bytes, version), expected), expected);
        });
      });

      it(`writes what we read, from a ${from}, version ${version}`, () => {
        eachPacket(from, version, (packet) => {
          const bytes = theirs.generate(withBuffers(plain(translated(packet, version))) as object, { protocolVersion: version });
          const result = readStream([bytes], { from, version, first: packet.type === 'connect' || packet.type === 'connack' });
          assert.equal(result.error?.message, undefined);
          assert.deepEqual(
            result.packets.map((each) => regrouped(plain(each))),
            [regrouped(plain(packet))],
          );
        });
      });
    }
  }
});

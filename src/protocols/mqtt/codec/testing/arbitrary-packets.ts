// Arbitrary packets of each version, in the form in which the codec writes them.

import fc from 'fast-check';
import type { Packet } from '../any-packet.ts';
import type { Properties, Side, Version } from '../packets.ts';
import { PacketType } from '../packets.ts';
import { type PropertySet, PropertySet as Sets, propertyTable } from '../property-ids.ts';
import { ReasonCode, reasonOfReturnCode } from '../reason-codes.ts';
import { reasonIn } from '../reason-sets.ts';

/** Any string that MQTT can carry: no surrogates, no U+0000. */
export const mqttText = (maxLength = 20): fc.Arbitrary<string> =>
  fc
    .string({
      unit: fc.oneof(
        fc.constantFrom('a', '/', 'ä', '€', '😀', '\ufeff', '\u0001'),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
      ),
      maxLength,
    })
    .map((text) => text.replaceAll('\0', '~'));

export const binary = (maxLength = 40): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });
const topic = mqttText().filter((text) => text.length > 0);
const packetId = fc.integer({ min: 1, max: 65_535 });
const qos = fc.constantFrom(0, 1, 2);
const twoBytes = fc.integer({ min: 0, max: 65_535 });
const fourBytes = fc.integer({ min: 0, max: 0xffff_ffff });
const userProperties = fc.array(fc.record({ key: mqttText(), value: mqttText() }), { minLength: 1, maxLength: 4 });
const notZero = new Set<keyof Properties>(['receiveMaximum', 'topicAlias', 'maximumPacketSize']);

function valueOf(name: keyof Properties, type: string): fc.Arbitrary<unknown> {
  const least = notZero.has(name) ? 1 : 0;
  switch (type) {
    case 'bit':
      return fc.boolean();
    case 'byte':
      return fc.constantFrom(0, 1);
    case 'twoBytes':
      return twoBytes.map((value) => Math.max(value, least));
    case 'fourBytes':
      return fourBytes.map((value) => Math.max(value, least));
    case 'text':
      return name === 'responseTopic' ? mqttText().map((text) => text.replaceAll(/[+#]/g, '-')) : mqttText();
    case 'binary':
      return binary();
    case 'pairs':
      return userProperties;
    default:
      return fc.array(fc.integer({ min: 1, max: 268_435_455 }), { minLength: 1, maxLength: 3 });
  }
}

/** A set with at least one property, or undefined. */
function propertiesFor(set: PropertySet, from: Side): fc.Arbitrary<Properties | undefined> {
  const model: Record<string, fc.Arbitrary<unknown>> = {};
  for (const { name, type, sets } of propertyTable) {
    if ((sets & set) === 0) continue;
    if (name === 'subscriptionIdentifiers' && from === 'client' && set === Sets.publish) continue;
    if (name === 'sessionExpiryInterval' && from === 'server' && set === Sets.disconnect) continue;
    model[name] =
      name === 'subscriptionIdentifiers' && set === Sets.subscribe
        ? valueOf(name, type).map((ids) => (ids as number[]).slice(0, 1))
        : valueOf(name, type);
  }
  return fc.record(model, { requiredKeys: [] }).map((properties: Properties) => {
    if (properties.authenticationData !== undefined && properties.authenticationMethod === undefined) delete properties.authenticationData;
    return Object.keys(properties).length === 0 ? undefined : properties;
  });
}

function properties(version: Version, set: PropertySet, from: Side): fc.Arbitrary<Properties | undefined> {
  return version === 5 ? propertiesFor(set, from) : fc.constant(undefined);
}

function reasons(type: PacketType, from: Side): fc.Arbitrary<ReasonCode> {
  return fc.constantFrom(...Object.values(ReasonCode).filter((code) => reasonIn(type, from, code) !== undefined));
}

function option<T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(value, { nil: undefined });
}

function connect(version: Version): fc.Arbitrary<Packet> {
  const will = fc.record({ topic, payload: binary(), qos, retain: fc.boolean(), properties: properties(version, Sets.will, 'client') });
  return fc
    .record({
      type: fc.constant('connect'),
      version: fc.constant(version),
      cleanStart: fc.boolean(),
      keepAlive: twoBytes,
      clientId: mqttText(),
      will: option(will),
      username: option(mqttText()),
      password: option(binary()),
      properties: properties(version, Sets.connect, 'client'),
    })
    .map((packet) => (version !== 5 && packet.username === undefined ? { ...packet, password: undefined } : packet) as Packet);
}

function connack(version: Version): fc.Arbitrary<Packet> {
  const reason = version === 5 ? reasons(PacketType.connack, 'server') : fc.nat(5).map((code) => reasonOfReturnCode(code)!);
  return fc
    .record({ type: fc.constant('connack'), sessionPresent: fc.boolean(), reason, properties: properties(version, Sets.connack, 'server') })
    .map((packet) => ({ ...packet, sessionPresent: packet.sessionPresent && packet.reason === 0 && version !== 3 }));
}

function publish(version: Version, from: Side): fc.Arbitrary<Packet> {
  return fc
    .record({
      type: fc.constant('publish'),
      topic,
      payload: binary(300),
      qos,
      packetId,
      dup: fc.boolean(),
      retain: fc.boolean(),
      properties: properties(version, Sets.publish, from),
    })
    .map((packet) => (packet.qos === 0 ? { ...packet, packetId: 0, dup: false } : packet) as Packet);
}

function ack(type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp', version: Version, from: Side): fc.Arbitrary<Packet> {
  const reason = version === 5 ? reasons(PacketType[type], from) : fc.constant(ReasonCode.success);
  return fc.record({ type: fc.constant(type), packetId, reason, properties: properties(version, Sets.ack, from) });
}

function subscribe(version: Version): fc.Arbitrary<Packet> {
  const subscription =
    version === 5
      ? fc.record({ filter: topic, qos, noLocal: fc.boolean(), retainAsPublished: fc.boolean(), retainHandling: qos })
      : fc.record({
          filter: topic,
          qos,
          noLocal: fc.constant(false),
          retainAsPublished: fc.constant(false),
          retainHandling: fc.constant(0),
        });
  const subscriptions = fc.array(subscription, { minLength: 1, maxLength: 5 });
  return fc.record({
    type: fc.constant('subscribe'),
    packetId,
    subscriptions,
    properties: properties(version, Sets.subscribe, 'client'),
  });
}

function suback(version: Version): fc.Arbitrary<Packet> {
  const reason = version === 5 ? reasons(PacketType.suback, 'server') : fc.constantFrom(0, 1, 2, 0x80);
  return fc.record({
    type: fc.constant('suback'),
    packetId,
    reasons: fc.array(reason, { minLength: 1, maxLength: 5 }),
    properties: properties(version, Sets.ack, 'server'),
  });
}

function unsubscribe(version: Version): fc.Arbitrary<Packet> {
  return fc.record({
    type: fc.constant('unsubscribe'),
    packetId,
    filters: fc.array(topic, { minLength: 1, maxLength: 5 }),
    properties: properties(version, Sets.unsubscribe, 'client'),
  });
}

function unsuback(version: Version): fc.Arbitrary<Packet> {
  return fc.record({
    type: fc.constant('unsuback'),
    packetId,
    reasons: version === 5 ? fc.array(reasons(PacketType.unsuback, 'server'), { minLength: 1, maxLength: 5 }) : fc.constant([]),
    properties: properties(version, Sets.ack, 'server'),
  });
}

function disconnect(version: Version, from: Side): fc.Arbitrary<Packet> {
  const reason = version === 5 ? reasons(PacketType.disconnect, from) : fc.constant(ReasonCode.success);
  return fc.record({
    type: fc.constant('disconnect'),
    reason,
    properties: properties(version, Sets.disconnect, from),
  });
}

function auth(from: Side): fc.Arbitrary<Packet> {
  return fc.record({
    type: fc.constant('auth'),
    reason: reasons(PacketType.auth, from),
    properties: propertiesFor(Sets.auth, from).map((given) => ({ authenticationMethod: 'M', ...given })),
  });
}

/** Every packet that `from` may send in that version. */
export function packetsFrom(from: Side, version: Version): readonly fc.Arbitrary<Packet>[] {
  const acks = (['puback', 'pubrec', 'pubrel', 'pubcomp'] as const).map((type) => ack(type, version, from));
  const both = [publish(version, from), ...acks, ...(version === 5 ? [auth(from)] : [])];
  if (from === 'server') {
    const server = [connack(version), suback(version), unsuback(version), fc.constant({ type: 'pingresp' })];
    return version === 5 ? [...both, ...server, disconnect(version, from)] : [...both, ...server];
  }
  return [...both, connect(version), subscribe(version), unsubscribe(version), fc.constant({ type: 'pingreq' }), disconnect(version, from)];
}

// Property sets of MQTT 5: read with everything that the standard forbids refused, and written.

import type { Builder } from './builder.ts';
import type { Cursor } from './cursor.ts';
import { malformed, protocolError } from './decode-error.ts';
import type { Properties, UserProperty } from './packets.ts';
import { allowedSets, PropertyId, PropertySet, propertyTable } from './property-ids.ts';

/** Mutable while it is being read. */
export type PropertiesInReading = {
  -readonly [K in keyof Properties]: K extends 'userProperties'
    ? UserProperty[] | undefined
    : K extends 'subscriptionIdentifiers'
      ? number[] | undefined
      : Properties[K];
};

/** Reads a length and the properties after it. Undefined when there are none, or on an error, which is in the cursor. */
export function readProperties(cursor: Cursor, set: PropertySet): PropertiesInReading | undefined {
  const length = cursor.variableByteInteger();
  if (length === 0) return undefined;
  const packetEnd = cursor.end;
  if (cursor.at + length > packetEnd) {
    cursor.fail(malformed('the properties reach beyond the packet'));
    return undefined;
  }
  cursor.end = cursor.at + length; // A property that reaches beyond its set is cut.
  const properties = readPropertyRange(cursor, set);
  if (cursor.error !== undefined) cursor.at = packetEnd;
  cursor.end = packetEnd;
  return properties;
}

/** Reads properties to the cursor's end. Undefined on an error, which is in the cursor. */
export function readPropertyRange(cursor: Cursor, set: PropertySet): PropertiesInReading | undefined {
  const into: PropertiesInReading = {};
  const seen = { low: 0, high: 0 };
  while (!cursor.atEnd) readProperty(cursor, set, into, seen);
  if (into.authenticationData !== undefined && into.authenticationMethod === undefined) {
    cursor.fail(protocolError('Authentication Data without Authentication Method'));
  }
  return cursor.error === undefined ? into : undefined;
}

function readProperty(cursor: Cursor, set: PropertySet, into: PropertiesInReading, seen: { low: number; high: number }): void {
  const id = cursor.variableByteInteger();
  if (cursor.error !== undefined) return;
  if (((allowedSets[id] ?? 0) & set) === 0) {
    // §2.2.2.2: an identifier that is not valid for its packet type makes the packet malformed.
    cursor.fail(malformed(`property 0x${id.toString(16).padStart(2, '0')} is not allowed in this packet`));
    return;
  }
  if (!mayRepeat(id, set)) {
    const bit = 1 << (id & 31);
    const before = id < 32 ? seen.low : seen.high;
    if ((before & bit) !== 0) {
      cursor.fail(protocolError(`property 0x${id.toString(16).padStart(2, '0')} more than once`));
      return;
    }
    if (id < 32) seen.low |= bit;
    else seen.high |= bit;
  }
  readValue(cursor, id, into);
}

function mayRepeat(id: number, set: PropertySet): boolean {
  return id === PropertyId.userProperty || (id === PropertyId.subscriptionIdentifier && set === PropertySet.publish);
}

function readValue(cursor: Cursor, id: number, into: PropertiesInReading): void {
  switch (id) {
    case PropertyId.userProperty:
      (into.userProperties ??= []).push({ key: cursor.text(), value: cursor.text() }); // [MQTT-1.5.7-1]
      return;
    case PropertyId.payloadFormatIndicator:
      into.payloadFormatIndicator = zeroOrOne(cursor, 'Payload Format Indicator');
      return;
    case PropertyId.messageExpiryInterval:
      into.messageExpiryInterval = cursor.fourBytes();
      return;
    case PropertyId.contentType:
      into.contentType = cursor.text(); // [MQTT-3.3.2-19]
      return;
    case PropertyId.responseTopic:
      into.responseTopic = cursor.text(); // [MQTT-3.3.2-13]
      if (/[+#]/.test(into.responseTopic)) cursor.fail(protocolError('Response Topic holds a wildcard')); // [MQTT-3.3.2-14]
      return;
    case PropertyId.correlationData:
      into.correlationData = cursor.binary();
      return;
    case PropertyId.subscriptionIdentifier:
      (into.subscriptionIdentifiers ??= []).push(notZero(cursor, cursor.variableByteInteger(), 'Subscription Identifier'));
      return;
    case PropertyId.topicAlias:
      into.topicAlias = notZero(cursor, cursor.twoBytes(), 'Topic Alias'); // [MQTT-3.3.2-8]
      return;
    default:
      readSessionValue(cursor, id, into);
  }
}

/** The properties of everything but PUBLISH. */
function readSessionValue(cursor: Cursor, id: number, into: PropertiesInReading): void {
  switch (id) {
    case PropertyId.sessionExpiryInterval:
      into.sessionExpiryInterval = cursor.fourBytes();
      return;
    case PropertyId.assignedClientIdentifier:
      into.assignedClientIdentifier = cursor.text();
      return;
    case PropertyId.serverKeepAlive:
      into.serverKeepAlive = cursor.twoBytes();
      return;
    case PropertyId.authenticationMethod:
      into.authenticationMethod = cursor.text();
      return;
    case PropertyId.authenticationData:
      into.authenticationData = cursor.binary();
      return;
    case PropertyId.requestProblemInformation:
      into.requestProblemInformation = zeroOrOne(cursor, 'Request Problem Information') === 1;
      return;
    case PropertyId.willDelayInterval:
      into.willDelayInterval = cursor.fourBytes();
      return;
    case PropertyId.requestResponseInformation:
      into.requestResponseInformation = zeroOrOne(cursor, 'Request Response Information') === 1;
      return;
    case PropertyId.responseInformation:
      into.responseInformation = cursor.text();
      return;
    case PropertyId.serverReference:
      into.serverReference = cursor.text();
      return;
    case PropertyId.reasonString:
      into.reasonString = cursor.text();
      return;
    case PropertyId.receiveMaximum:
      into.receiveMaximum = notZero(cursor, cursor.twoBytes(), 'Receive Maximum');
      return;
    case PropertyId.topicAliasMaximum:
      into.topicAliasMaximum = cursor.twoBytes();
      return;
    case PropertyId.maximumQos:
      into.maximumQos = zeroOrOne(cursor, 'Maximum QoS');
      return;
    case PropertyId.retainAvailable:
      into.retainAvailable = zeroOrOne(cursor, 'Retain Available') === 1;
      return;
    case PropertyId.maximumPacketSize:
      into.maximumPacketSize = notZero(cursor, cursor.fourBytes(), 'Maximum Packet Size');
      return;
    case PropertyId.wildcardSubscriptionAvailable:
      into.wildcardSubscriptionAvailable = zeroOrOne(cursor, 'Wildcard Subscription Available') === 1;
      return;
    case PropertyId.subscriptionIdentifiersAvailable:
      into.subscriptionIdentifiersAvailable = zeroOrOne(cursor, 'Subscription Identifiers Available') === 1;
      return;
    case PropertyId.sharedSubscriptionAvailable:
      into.sharedSubscriptionAvailable = zeroOrOne(cursor, 'Shared Subscription Available') === 1;
  }
}

function zeroOrOne(cursor: Cursor, name: string): 0 | 1 {
  const value = cursor.byte();
  if (value > 1) cursor.fail(protocolError(`${name} is neither 0 nor 1`));
  return value === 1 ? 1 : 0;
}

function notZero(cursor: Cursor, value: number, name: string): number {
  if (value === 0) cursor.fail(protocolError(`${name} is 0`));
  return value;
}

/** Writes the properties without their length: what is not undefined, by identifier; then user properties stay in their order. */
export function writeProperties(builder: Builder, properties: Properties): void {
  for (const { id, name, type } of propertyTable) {
    const value = properties[name];
    if (value === undefined) continue;
    switch (type) {
      case 'bit':
        builder.byte(id);
        builder.byte(value === true ? 1 : 0);
        break;
      case 'byte':
        builder.byte(id);
        builder.byte(value as number);
        break;
      case 'twoBytes':
        builder.byte(id);
        builder.twoBytes(value as number);
        break;
      case 'fourBytes':
        builder.byte(id);
        builder.fourBytes(value as number);
        break;
      case 'text':
        builder.byte(id);
        builder.text(value as string);
        break;
      case 'binary':
        builder.byte(id);
        builder.binary(value as Uint8Array);
        break;
      case 'varint':
        builder.byte(id);
        builder.variableByteInteger(value as number);
        break;
      case 'varints':
        for (const each of value as readonly number[]) {
          builder.byte(id);
          builder.variableByteInteger(each);
        }
        break;
      case 'pairs':
        for (const each of value as readonly UserProperty[]) {
          builder.byte(id);
          builder.text(each.key);
          builder.text(each.value);
        }
    }
  }
}

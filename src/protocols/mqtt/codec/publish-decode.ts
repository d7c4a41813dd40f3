// PUBLISH from bytes: the hot path. The packet is decoded into a struct that its connection uses again and again; topic and payload stay
// where they are. Nothing is allocated unless there are properties other than a topic alias and an expiry.

import { copyOf, Cursor } from './cursor.ts';
import { DecodeError, malformed, protocolError } from './decode-error.ts';
import type { Publish, PublishProperties, Qos, Side, Version } from './packets.ts';
import { PropertySet } from './property-ids.ts';
import { readProperties } from './properties.ts';
import { ReasonCode } from './reason-codes.ts';
import { isMqttText, textOf } from './utf8.ts';

export class PublishFields {
  /** Who sends: only a server may send subscription identifiers [MQTT-3.3.4-6]. */
  readonly from: Side;
  dup = false;
  qos: Qos = 0;
  retain = false;
  /** The topic is `bytes[topicStart..topicEnd)`, not yet checked to be UTF-8 (`isMqttText`). Empty only with an alias. */
  topicStart = 0;
  topicEnd = 0;
  /** 0 at QoS 0. */
  packetId = 0;
  /** 0: none. */
  topicAlias = 0;
  /** Seconds; -1: none. */
  messageExpiryInterval = -1;
  /** All properties that came, if any came but the two above. */
  properties: PublishProperties | undefined = undefined;
  /** The properties without their length, for a caller that has seen the same bytes before. */
  propertiesStart = 0;
  propertiesEnd = 0;
  payloadStart = 0;
  payloadEnd = 0;

  constructor(from: Side) {
    this.from = from;
  }
}

/**
 * Decodes the body `bytes[start..end)` of a PUBLISH whose first byte had these `flags` (its low nibble, already checked by
 * first-bytes.ts). After an error `into` holds nothing of use.
 */
export function decodePublish(
  bytes: Uint8Array,
  start: number,
  end: number,
  flags: number,
  version: Version,
  into: PublishFields,
): DecodeError | undefined {
  const qos = ((flags >> 1) & 0x03) as Qos;
  if (end - start < 2) return cut();
  const topicEnd = start + 2 + ((bytes[start]! << 8) | bytes[start + 1]!);
  let at = topicEnd;
  into.dup = (flags & 0x08) !== 0;
  into.qos = qos;
  into.retain = (flags & 0x01) !== 0;
  into.topicStart = start + 2;
  into.topicEnd = topicEnd;
  into.payloadEnd = end;
  into.topicAlias = 0;
  into.messageExpiryInterval = -1;
  into.properties = undefined;
  if (qos === 0) {
    if (at > end) return cut();
    into.packetId = 0; // [MQTT-2.2.1-2]
  } else {
    if (at + 2 > end) return cut();
    const packetId = (bytes[at]! << 8) | bytes[at + 1]!;
    if (packetId === 0) return protocolError('Packet Identifier is 0'); // [MQTT-2.2.1-3] [MQTT-2.2.1-4]
    into.packetId = packetId;
    at += 2;
  }
  if (version === 5) {
    if (at >= end) return cut();
    if (bytes[at] !== 0) return decodeProperties(bytes, at, end, into);
    into.propertiesStart = into.propertiesEnd = ++at;
  }
  into.payloadStart = at;
  return topicEnd === start + 2 ? noTopic(version) : undefined;
}

const cursor = new Cursor(new Uint8Array(0), 0, 0);
const topicAliasBytes = 3;
const topicAliasId = 0x23;

function decodeProperties(bytes: Uint8Array, at: number, end: number, into: PublishFields): DecodeError | undefined {
  // The properties of a sender that spares bandwidth are a topic alias and nothing else.
  if (bytes[at] === topicAliasBytes && bytes[at + 1] === topicAliasId && at + 4 <= end) {
    into.topicAlias = (bytes[at + 2]! << 8) | bytes[at + 3]!;
    into.propertiesStart = at + 1;
    into.propertiesEnd = into.payloadStart = at + 4;
    return into.topicAlias === 0 ? protocolError('Topic Alias is 0') : undefined; // [MQTT-3.3.2-8]
  }
  cursor.reset(bytes, at, end);
  const properties = readProperties(cursor, PropertySet.publish);
  if (cursor.error !== undefined) return cursor.error;
  into.payloadStart = into.propertiesEnd = cursor.at;
  into.propertiesStart = at + (bytes[at]! < 0x80 ? 1 : bytes[at + 1]! < 0x80 ? 2 : bytes[at + 2]! < 0x80 ? 3 : 4);
  if (properties === undefined) return noTopic(5);
  return keepProperties(properties, into);
}

function keepProperties(properties: PublishProperties, into: PublishFields): DecodeError | undefined {
  let others = 0;
  for (const name in properties) {
    if (name === 'topicAlias') into.topicAlias = properties.topicAlias!;
    else if (name === 'messageExpiryInterval') into.messageExpiryInterval = properties.messageExpiryInterval!;
    else others++;
  }
  if (others > 0) into.properties = properties;
  if (into.from === 'client' && properties.subscriptionIdentifiers !== undefined) {
    return protocolError('a client sent a Subscription Identifier'); // [MQTT-3.3.4-6]
  }
  return into.topicEnd === into.topicStart && into.topicAlias === 0 ? noTopic(5) : undefined;
}

/** A packet as a value, for callers to whom speed does not matter. Also checks the topic's UTF-8. */
export function decodePublishPacket(
  bytes: Uint8Array,
  start: number,
  end: number,
  flags: number,
  version: Version,
  from: Side,
): Publish | DecodeError {
  const fields = new PublishFields(from);
  const error = decodePublish(bytes, start, end, flags, version, fields);
  if (error !== undefined) return error;
  if (!isMqttText(bytes, fields.topicStart, fields.topicEnd)) return malformed('a topic is not well-formed UTF-8, or holds U+0000');
  return {
    topic: textOf(bytes, fields.topicStart, fields.topicEnd),
    payload: copyOf(bytes, fields.payloadStart, fields.payloadEnd),
    qos: fields.qos,
    packetId: fields.packetId,
    dup: fields.dup,
    retain: fields.retain,
    properties: propertiesOf(fields),
  };
}

function propertiesOf(fields: PublishFields): PublishProperties | undefined {
  if (fields.properties !== undefined) return fields.properties;
  if (fields.topicAlias === 0 && fields.messageExpiryInterval < 0) return undefined;
  return {
    ...(fields.topicAlias === 0 ? {} : { topicAlias: fields.topicAlias }),
    ...(fields.messageExpiryInterval < 0 ? {} : { messageExpiryInterval: fields.messageExpiryInterval }),
  };
}

function cut(): DecodeError {
  return malformed('PUBLISH ends within its header');
}

/** A topic is at least one character long [MQTT-4.7.3-1]; only an alias can stand for it (§3.3.2.3.4). */
function noTopic(version: Version): DecodeError {
  return version === 5 ? protocolError('PUBLISH without a topic') : new DecodeError(ReasonCode.topicNameInvalid, 'PUBLISH without a topic');
}

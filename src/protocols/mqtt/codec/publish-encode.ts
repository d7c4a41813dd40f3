// PUBLISH to bytes: the other half of the hot path. A message is written straight into the output of its receiver.

import type { Output } from '../../../base/output.ts';
import type { Message } from '../../../message/message.ts';
import { encodedAttributes, encodedPriority } from '../convert.ts';
import { Builder, variableByteIntegerBytes, writeVariableByteInteger } from './builder.ts';
import { PacketType, type Publish, type Qos, type Version } from './packets.ts';
import { writeProperties } from './properties.ts';
import { PropertyId } from './property-ids.ts';

const publishByte = PacketType.publish << 4;
const nothing = new Uint8Array(0);
const expiryBytes = 5;
const aliasBytes = 3;

/** Up to this length a loop beats the view that TypedArray.set needs of a range (about 28 ns; without the view 10 ns). */
const loopBytes = 28;

/**
 * Writes a PUBLISH.
 *
 * @param packetId 0 at QoS 0
 * @param topicAlias 0: none; versions 3 and 4: always 0
 * @param sendTopic false: the receiver knows the topic by its alias
 * @param nowMs on the wall clock, to say how much of the message's time is left [MQTT-3.3.2-6]
 */
export function writePublish(
  output: Output,
  version: Version,
  message: Message,
  qos: Qos,
  packetId: number,
  dup: boolean,
  retain: boolean,
  topicAlias: number,
  sendTopic: boolean,
  subscriptionIds: readonly number[] | undefined,
  nowMs: number,
): void {
  const topic = sendTopic ? message.topicBytes : nothing;
  const topicLength = topic.length;
  const payloadStart = message.start;
  const payloadLength = message.end - payloadStart;
  const propertiesLength = version === 5 ? propertiesBytes(message, topicAlias, subscriptionIds) : 0;
  const body = bodyBytes(version, qos, topicLength, propertiesLength, payloadLength);
  output.reserve(5 + body);
  const buffer = output.buffer;
  let at = output.position;
  buffer[at] = publishByte | (dup ? 0x08 : 0) | (qos << 1) | (retain ? 0x01 : 0);
  if (body < 0x80) {
    buffer[at + 1] = body;
    at += 2;
  } else {
    at = writeVariableByteInteger(buffer, at + 1, body);
  }
  buffer[at] = topicLength >>> 8; // The topic comes first [MQTT-3.3.2-1].
  buffer[at + 1] = topicLength;
  buffer.set(topic, at + 2);
  at += 2 + topicLength;
  if (qos !== 0) {
    // [MQTT-2.2.1-2]
    buffer[at] = packetId >>> 8;
    buffer[at + 1] = packetId;
    at += 2;
  }
  if (version === 5) {
    if (propertiesLength === 0) buffer[at++] = 0; // [MQTT-2.2.2-1]
    else at = writeMessageProperties(buffer, at, message, propertiesLength, topicAlias, subscriptionIds, nowMs);
  }
  copyRange(message.buffer, payloadStart, payloadLength, buffer, at);
  output.position = at + payloadLength;
}

/** How large the packet that `writePublish` writes would be, fixed header included. */
export function publishBytes(
  version: Version,
  message: Message,
  qos: Qos,
  topicAlias: number,
  sendTopic: boolean,
  subscriptionIds: readonly number[] | undefined,
): number {
  const topicLength = sendTopic ? message.topicBytes.length : 0;
  const propertiesLength = version === 5 ? propertiesBytes(message, topicAlias, subscriptionIds) : 0;
  const body = bodyBytes(version, qos, topicLength, propertiesLength, message.end - message.start);
  return 1 + variableByteIntegerBytes(body) + body;
}

function bodyBytes(version: Version, qos: Qos, topicLength: number, propertiesLength: number, payloadLength: number): number {
  const properties = version === 5 ? variableByteIntegerBytes(propertiesLength) + propertiesLength : 0;
  return 2 + topicLength + (qos === 0 ? 0 : 2) + properties + payloadLength;
}

function propertiesBytes(message: Message, topicAlias: number, subscriptionIds: readonly number[] | undefined): number {
  const attributes = message.attributes;
  let bytes = topicAlias === 0 ? 0 : aliasBytes;
  if (message.expiresAtMs !== 0) bytes += expiryBytes;
  bytes += encodedPriority(message.priority, attributes).length;
  if (attributes !== undefined) bytes += encodedAttributes(attributes).length;
  if (subscriptionIds !== undefined) for (const id of subscriptionIds) bytes += 1 + variableByteIntegerBytes(id);
  return bytes;
}

function writeMessageProperties(
  buffer: Uint8Array,
  start: number,
  message: Message,
  length: number,
  topicAlias: number,
  subscriptionIds: readonly number[] | undefined,
  nowMs: number,
): number {
  let at = writeVariableByteInteger(buffer, start, length);
  if (topicAlias !== 0) {
    buffer[at++] = PropertyId.topicAlias;
    buffer[at++] = topicAlias >>> 8;
    buffer[at++] = topicAlias;
  }
  if (message.expiresAtMs !== 0) {
    const seconds = secondsLeft(message.expiresAtMs, nowMs);
    buffer[at++] = PropertyId.messageExpiryInterval;
    buffer[at++] = seconds >>> 24;
    buffer[at++] = seconds >>> 16;
    buffer[at++] = seconds >>> 8;
    buffer[at++] = seconds;
  }
  if (subscriptionIds !== undefined) {
    for (const id of subscriptionIds) {
      buffer[at++] = PropertyId.subscriptionIdentifier; // [MQTT-3.3.4-3] [MQTT-3.3.4-4] [MQTT-3.3.4-5]
      at = writeVariableByteInteger(buffer, at, id);
    }
  }
  const priority = encodedPriority(message.priority, message.attributes);
  buffer.set(priority, at);
  at += priority.length;
  if (message.attributes === undefined) return at;
  const attributes = encodedAttributes(message.attributes);
  buffer.set(attributes, at);
  return at + attributes.length;
}

/** Whole seconds, rounded up; what a property of four bytes can say. */
function secondsLeft(expiresAtMs: number, nowMs: number): number {
  return Math.min(0xffff_ffff, Math.max(0, Math.ceil((expiresAtMs - nowMs) / 1000)));
}

function copyRange(source: Uint8Array, start: number, length: number, target: Uint8Array, at: number): void {
  if (length === source.length) target.set(source, at);
  else if (length > loopBytes) target.set(source.subarray(start, start + length), at);
  else for (let i = 0; i < length; i++) target[at + i] = source[start + i]!;
}

const head = new Builder();
const propertyBlock = new Builder();

/** Writes a PUBLISH that is not made of a neutral message. Slower; for clients and tests. */
export function writePublishPacket(output: Output, version: Version, publish: Publish): void {
  const { payload, qos } = publish;
  head.clear().text(publish.topic);
  if (qos !== 0) head.twoBytes(publish.packetId);
  if (version === 5) {
    propertyBlock.clear();
    if (publish.properties !== undefined) writeProperties(propertyBlock, publish.properties);
    head.variableByteInteger(propertyBlock.length);
    head.raw(propertyBlock.view());
  }
  const body = head.length + payload.length;
  output.reserve(5 + body);
  const { buffer } = output;
  buffer[output.position] = publishByte | (publish.dup ? 0x08 : 0) | (qos << 1) | (publish.retain ? 0x01 : 0);
  const at = writeVariableByteInteger(buffer, output.position + 1, body);
  buffer.set(head.view(), at);
  buffer.set(payload, at + head.length);
  output.position = at + body;
}

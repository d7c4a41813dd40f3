// A packet of version 5 that must not be larger than its receiver allows: first its user properties are left out, then its reason string.

import type { Output } from '../../../base/output.ts';
import { Builder, variableByteIntegerBytes, writeVariableByteInteger } from './builder.ts';
import type { Properties } from './packets.ts';
import { writeProperties } from './properties.ts';

const propertyBytes = new Builder();
const nothing = new Uint8Array(0);

/**
 * Writes: fixed header, `head`, properties with their length, `tail`. The same diagnostic properties may be left out of every
 * packet that has them ([MQTT-3.2.2-19] [MQTT-3.2.2-20] [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.9.2-1] [MQTT-3.9.2-2]
 * [MQTT-3.11.2-1] [MQTT-3.11.2-2] [MQTT-3.14.2-3] [MQTT-3.14.2-4] [MQTT-3.15.2-2] [MQTT-3.15.2-3]).
 * Returns false, having written nothing, when the packet is too large without them.
 */
export function writeFitting(
  output: Output,
  firstByte: number,
  head: Builder,
  properties: Properties | undefined,
  tail: Uint8Array | undefined,
  maxPacketBytes: number,
): boolean {
  const rest = head.length + (tail?.length ?? 0);
  let chosen = encode(properties);
  if (packetBytes(rest, chosen.length) > maxPacketBytes) chosen = encode({ ...properties, userProperties: undefined });
  if (packetBytes(rest, chosen.length) > maxPacketBytes) {
    chosen = encode({ ...properties, userProperties: undefined, reasonString: undefined });
  }
  const total = packetBytes(rest, chosen.length);
  if (total > maxPacketBytes) return false;
  const body = bodyBytes(rest, chosen.length);
  output.reserve(total);
  const { buffer } = output;
  let at = output.position;
  buffer[at++] = firstByte;
  at = writeVariableByteInteger(buffer, at, body);
  buffer.set(head.view(), at);
  at = writeVariableByteInteger(buffer, at + head.length, chosen.length); // [MQTT-2.2.2-1]: 0 when there are none
  buffer.set(chosen, at);
  buffer.set(tail ?? nothing, at + chosen.length);
  output.position += total;
  return true;
}

/** Writes a packet whose body is complete in `body`. Returns false, having written nothing, when it is too large. */
export function writeWhole(output: Output, firstByte: number, body: Builder, maxPacketBytes = Infinity): boolean {
  const total = 1 + variableByteIntegerBytes(body.length) + body.length;
  if (total > maxPacketBytes) return false;
  output.reserve(total);
  const { buffer, position } = output;
  buffer[position] = firstByte;
  buffer.set(body.view(), writeVariableByteInteger(buffer, position + 1, body.length));
  output.position += total;
  return true;
}

/** A view, valid until the next call. */
function encode(properties: Properties | undefined): Uint8Array {
  if (properties === undefined) return nothing;
  writeProperties(propertyBytes.clear(), properties);
  return propertyBytes.view();
}

function bodyBytes(rest: number, propertiesLength: number): number {
  return rest + variableByteIntegerBytes(propertiesLength) + propertiesLength;
}

function packetBytes(rest: number, propertiesLength: number): number {
  const body = bodyBytes(rest, propertiesLength);
  return 1 + variableByteIntegerBytes(body) + body;
}

// Which first bytes (packet type and flags) a peer may send, decided before a second byte is read.

import { type DecodeError, malformed, protocolError } from './decode-error.ts';
import { packetName, PacketType, type Side, type Version } from './packets.ts';

const allowed = 0;
const badFlags = 1;
const badQos = 2;
const badDup = 3;
const reserved = 4;
const unexpected = 5;

/** A verdict for each of the 256 first bytes, and whether lengths must be written in as few bytes as possible. */
export type FirstBytes = { readonly verdicts: Uint8Array; readonly minimalLengths: boolean };

const toServer: readonly number[] = [
  PacketType.publish,
  PacketType.puback,
  PacketType.pubrec,
  PacketType.pubrel,
  PacketType.pubcomp,
  PacketType.subscribe,
  PacketType.unsubscribe,
  PacketType.pingreq,
  PacketType.disconnect,
  PacketType.auth,
];

const toClient: readonly number[] = [
  PacketType.publish,
  PacketType.puback,
  PacketType.pubrec,
  PacketType.pubrel,
  PacketType.pubcomp,
  PacketType.suback,
  PacketType.unsuback,
  PacketType.pingresp,
  PacketType.disconnect,
  PacketType.auth,
];

/** What a server accepts first: CONNECT and nothing else [MQTT-3.1.0-1]. */
export const firstBytesOfConnect: FirstBytes = table([PacketType.connect], 4);

const table5 = { client: table(toServer, 5), server: table(toClient, 5) };
const table4 = { client: table(toServer, 4), server: table(toClient, 4) };
const table3 = { client: table(toServer, 3), server: table(toClient, 3) };

/** What a client of that version accepts first. */
export function firstBytesOfConnack(version: Version): FirstBytes {
  return version === 5 ? firstOfConnack5 : firstOfConnack4;
}

const firstOfConnack4 = table([PacketType.connack], 4);
const firstOfConnack5 = table([PacketType.connack, PacketType.auth, PacketType.disconnect], 5);

/** What `from` may send once connected. A second CONNECT is not among it [MQTT-3.1.0-2]. */
export function firstBytesFrom(from: Side, version: Version): FirstBytes {
  return (version === 5 ? table5 : version === 4 ? table4 : table3)[from];
}

/** What an authenticating peer may send before CONNACK: only AUTH and DISCONNECT [MQTT-3.1.2-30]. */
export const firstBytesOfAuthentication: FirstBytes = table([PacketType.auth, PacketType.disconnect], 5);

/** The error of a first byte, or undefined. */
export function checkFirstByte(accept: FirstBytes, firstByte: number): DecodeError | undefined {
  const type = firstByte >> 4;
  switch (accept.verdicts[firstByte]) {
    case allowed:
      return undefined;
    case badFlags:
      return malformed(`reserved flags of ${packetName(type)} are not as the standard sets them`);
    case badQos:
      return malformed('PUBLISH with both QoS bits set');
    case badDup:
      return malformed('PUBLISH with DUP at QoS 0');
    case reserved:
      return malformed('reserved packet type');
    default:
      return protocolError(`${packetName(type)} is not expected here`);
  }
}

function table(types: readonly number[], version: Version): FirstBytes {
  const verdicts = new Uint8Array(256);
  for (let firstByte = 0; firstByte < 256; firstByte++) verdicts[firstByte] = verdictOf(firstByte, types, version);
  return { verdicts, minimalLengths: version === 5 };
}

function verdictOf(firstByte: number, types: readonly number[], version: Version): number {
  const type = firstByte >> 4;
  const flags = firstByte & 0x0f;
  if (type === 0 || (type === PacketType.auth && version !== 5)) return reserved;
  if (!types.includes(type)) return unexpected;
  if (type === PacketType.publish) {
    if ((flags & 0x06) === 0x06) return badQos; // [MQTT-3.3.1-4]
    // [MQTT-3.3.1-2]; 3.1 does not forbid it.
    return version !== 3 && (flags & 0x08) !== 0 && (flags & 0x06) === 0 ? badDup : allowed;
  }
  // 3.1 has "not used" bits where later versions have reserved ones, and its PUBREL and SUBSCRIBE may carry DUP.
  if (version === 3) return allowed;
  // [MQTT-2.1.3-1] (2.2.2-2 of 3.1.1); [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1] want 2.
  const wanted = type === PacketType.pubrel || type === PacketType.subscribe || type === PacketType.unsubscribe ? 2 : 0;
  return flags === wanted ? allowed : badFlags;
}

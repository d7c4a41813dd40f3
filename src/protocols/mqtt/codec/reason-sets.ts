// Which reason codes each packet may carry (§2.4, table 2-6). A code that a packet may not carry is a Protocol Error.

import { PacketType, type Side } from './packets.ts';
import type { ReasonCode } from './reason-codes.ts';

const ackCodes = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const releaseCodes = [0x00, 0x92];
const sets: Readonly<Record<Side, ReadonlyMap<number, Uint8Array>>> = {
  client: new Map([
    [PacketType.puback, setOf(ackCodes)],
    [PacketType.pubrec, setOf(ackCodes)],
    [PacketType.pubrel, setOf(releaseCodes)],
    [PacketType.pubcomp, setOf(releaseCodes)],
    [PacketType.disconnect, setOf([0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99])],
    [PacketType.auth, setOf([0x18, 0x19])],
  ]),
  server: new Map([
    [
      PacketType.connack,
      setOf([
        0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
      ]),
    ],
    [PacketType.puback, setOf(ackCodes)],
    [PacketType.pubrec, setOf(ackCodes)],
    [PacketType.pubrel, setOf(releaseCodes)],
    [PacketType.pubcomp, setOf(releaseCodes)],
    [PacketType.suback, setOf([0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2])],
    [PacketType.unsuback, setOf([0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91])],
    [
      PacketType.disconnect,
      setOf([
        0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c,
        0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
      ]),
    ],
    [PacketType.auth, setOf([0x00, 0x18])],
  ]),
};

/** The code as a ReasonCode when `from` may send it in that packet, else undefined. */
export function reasonIn(type: PacketType, from: Side, code: number): ReasonCode | undefined {
  return sets[from].get(type)?.[code] === 1 ? (code as ReasonCode) : undefined;
}

function setOf(codes: readonly number[]): Uint8Array {
  const set = new Uint8Array(256);
  for (const code of codes) set[code] = 1;
  return set;
}

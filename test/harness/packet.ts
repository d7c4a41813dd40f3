// MQTT packets as plain objects, as a test writes and reads them. This folder has its own encoder and decoder, written from
// the standard and sharing nothing with src/protocols/mqtt/codec, so that a mistake there cannot cancel itself out here.

import type { Properties } from './properties.ts';

/** Protocol level: 3 is MQTT 3.1 (MQIsdp), 4 is 3.1.1, 5 is 5.0. */
export type Version = 3 | 4 | 5;

export type Bytes = Uint8Array | string;

export type Will = {
  topic: Bytes;
  payload?: Bytes;
  qos?: number;
  retain?: boolean;
  properties?: Properties;
};

export type Subscription = {
  filter: Bytes;
  qos?: number;
  noLocal?: boolean;
  retainAsPublished?: boolean;
  /** 0 always, 1 if new, 2 never. */
  retainHandling?: number;
  /** The whole options byte, instead of the fields above. */
  options?: number;
};

export type Connect = {
  type: 'connect';
  clientId?: Bytes;
  /** Clean Session in 3.1 and 3.1.1. Default true. */
  clean?: boolean;
  /** Seconds. Default 0. */
  keepAlive?: number;
  will?: Will;
  username?: Bytes;
  password?: Bytes;
  properties?: Properties;
  /** Default by version: `MQTT` or `MQIsdp`. */
  protocolName?: Bytes;
  protocolLevel?: number;
  /** The connect flags byte, instead of the one that follows from the fields. */
  connectFlags?: number;
};

export type Publish = {
  type: 'publish';
  topic: Bytes;
  payload?: Bytes;
  qos?: number;
  id?: number;
  retain?: boolean;
  dup?: boolean;
  properties?: Properties;
};

export type Acknowledgement = {
  type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';
  id: number;
  reason?: number;
  properties?: Properties;
};

export type Subscribe = { type: 'subscribe'; id: number; subscriptions: Subscription[]; properties?: Properties };
export type Unsubscribe = { type: 'unsubscribe'; id: number; filters: Bytes[]; properties?: Properties };
export type Disconnect = { type: 'disconnect'; reason?: number; properties?: Properties };
export type Auth = { type: 'auth'; reason?: number; properties?: Properties };
export type Ping = { type: 'pingreq' };

/** What a client sends. `flags` replaces the low four bits of the first byte. */
export type ClientPacket = (Connect | Publish | Acknowledgement | Subscribe | Unsubscribe | Disconnect | Auth | Ping) & { flags?: number };

/** What a server sends, decoded. Payloads and other binary fields are text when they are UTF-8, else bytes. */
export type ServerPacket = {
  readonly type: PacketType;
  /** Length of the whole packet in bytes. */
  readonly bytes: number;
  readonly id?: number;
  readonly topic?: string;
  readonly payload?: Bytes;
  readonly qos?: number;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly sessionPresent?: boolean;
  /** Reason code; return code in a CONNACK of 3.1.1. */
  readonly reason?: number;
  readonly reasons?: readonly number[];
  readonly properties: Properties;
};

export const packetTypes = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const;
export type PacketType = keyof typeof packetTypes;

export function toBytes(value: Bytes): Uint8Array {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
}

/** Bytes from hexadecimal digits; blanks are ignored. */
export function hex(digits: string): Uint8Array {
  const packed = digits.replace(/\s+/g, '');
  if (!/^([0-9a-f]{2})*$/i.test(packed)) throw new Error(`not hexadecimal: ${digits}`);
  return Buffer.from(packed, 'hex');
}

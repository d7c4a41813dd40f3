// The control packets of MQTT 3.1 (version 3), 3.1.1 (version 4) and 5.0 (version 5) as values. PUBLISH and the four
// acknowledgements are decoded into reusable structs instead: publish.ts and acks.ts.

import type { ReasonCode } from './reason-codes.ts';

/** The protocol level on the wire: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0. */
export type Version = 3 | 4 | 5;
export type Qos = 0 | 1 | 2;
/** Who sent a packet: some values are allowed to one side only. */
export type Side = 'client' | 'server';

/** The high nibble of a packet's first byte. */
export const PacketType = {
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
export type PacketType = (typeof PacketType)[keyof typeof PacketType];
export type AckType = typeof PacketType.puback | typeof PacketType.pubrec | typeof PacketType.pubrel | typeof PacketType.pubcomp;

const names = [
  'reserved',
  'CONNECT',
  'CONNACK',
  'PUBLISH',
  'PUBACK',
  'PUBREC',
  'PUBREL',
  'PUBCOMP',
  'SUBSCRIBE',
  'SUBACK',
  'UNSUBSCRIBE',
  'UNSUBACK',
  'PINGREQ',
  'PINGRESP',
  'DISCONNECT',
  'AUTH',
] as const;

/** The standard's name of a packet type (a first byte's high nibble). */
export function packetName(type: number): string {
  return names[type] ?? names[0];
}

export type UserProperty = { readonly key: string; readonly value: string };

/** All properties of MQTT 5 (§2.2.2.2). Times are in seconds. Binary values own their bytes. */
export type Properties = {
  payloadFormatIndicator?: 0 | 1 | undefined;
  messageExpiryInterval?: number | undefined;
  contentType?: string | undefined;
  responseTopic?: string | undefined;
  correlationData?: Uint8Array | undefined;
  /** In SUBSCRIBE at most one. */
  subscriptionIdentifiers?: readonly number[] | undefined;
  sessionExpiryInterval?: number | undefined;
  assignedClientIdentifier?: string | undefined;
  serverKeepAlive?: number | undefined;
  authenticationMethod?: string | undefined;
  authenticationData?: Uint8Array | undefined;
  requestProblemInformation?: boolean | undefined;
  willDelayInterval?: number | undefined;
  requestResponseInformation?: boolean | undefined;
  responseInformation?: string | undefined;
  serverReference?: string | undefined;
  reasonString?: string | undefined;
  receiveMaximum?: number | undefined;
  topicAliasMaximum?: number | undefined;
  topicAlias?: number | undefined;
  maximumQos?: 0 | 1 | undefined;
  retainAvailable?: boolean | undefined;
  /** In the order of the wire, duplicates kept. */
  userProperties?: readonly UserProperty[] | undefined;
  maximumPacketSize?: number | undefined;
  wildcardSubscriptionAvailable?: boolean | undefined;
  subscriptionIdentifiersAvailable?: boolean | undefined;
  sharedSubscriptionAvailable?: boolean | undefined;
};

export type ConnectProperties = Pick<
  Properties,
  | 'sessionExpiryInterval'
  | 'receiveMaximum'
  | 'maximumPacketSize'
  | 'topicAliasMaximum'
  | 'requestResponseInformation'
  | 'requestProblemInformation'
  | 'userProperties'
  | 'authenticationMethod'
  | 'authenticationData'
>;

export type WillProperties = Pick<
  Properties,
  | 'willDelayInterval'
  | 'payloadFormatIndicator'
  | 'messageExpiryInterval'
  | 'contentType'
  | 'responseTopic'
  | 'correlationData'
  | 'userProperties'
>;

export type ConnackProperties = Pick<
  Properties,
  | 'sessionExpiryInterval'
  | 'receiveMaximum'
  | 'maximumQos'
  | 'retainAvailable'
  | 'maximumPacketSize'
  | 'assignedClientIdentifier'
  | 'topicAliasMaximum'
  | 'reasonString'
  | 'userProperties'
  | 'wildcardSubscriptionAvailable'
  | 'subscriptionIdentifiersAvailable'
  | 'sharedSubscriptionAvailable'
  | 'serverKeepAlive'
  | 'responseInformation'
  | 'serverReference'
  | 'authenticationMethod'
  | 'authenticationData'
>;

export type PublishProperties = Pick<
  Properties,
  | 'payloadFormatIndicator'
  | 'messageExpiryInterval'
  | 'topicAlias'
  | 'responseTopic'
  | 'correlationData'
  | 'userProperties'
  | 'subscriptionIdentifiers'
  | 'contentType'
>;

export type AckProperties = Pick<Properties, 'reasonString' | 'userProperties'>;
export type SubscribeProperties = Pick<Properties, 'subscriptionIdentifiers' | 'userProperties'>;
export type UnsubscribeProperties = Pick<Properties, 'userProperties'>;
export type DisconnectProperties = Pick<Properties, 'sessionExpiryInterval' | 'reasonString' | 'userProperties' | 'serverReference'>;
export type AuthProperties = Pick<Properties, 'authenticationMethod' | 'authenticationData' | 'reasonString' | 'userProperties'>;

// Absent properties (`undefined`) mean the same as an empty set; versions 3 and 4 never have any.

export type WillPacket = {
  /** Well-formed UTF-8 without NUL; whether it is a topic name is for the reader to check. */
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly properties?: WillProperties | undefined;
};

export type Connect = {
  readonly version: Version;
  readonly cleanStart: boolean;
  /** Seconds; 0: none. */
  readonly keepAlive: number;
  /** May be empty: what that means differs between versions. */
  readonly clientId: string;
  readonly will?: WillPacket | undefined;
  readonly username?: string | undefined;
  readonly password?: Uint8Array | undefined;
  readonly properties?: ConnectProperties | undefined;
};

export type Connack = {
  readonly sessionPresent: boolean;
  /** Of version 5 in all versions; 3.1 and 3.1.1 carry the nearest return code. */
  readonly reason: ReasonCode;
  readonly properties?: ConnackProperties | undefined;
};

/** A PUBLISH as a value, where speed does not matter; the broker uses PublishFields and writePublish. */
export type Publish = {
  /** Empty in version 5 when a topic alias stands for it. */
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: Qos;
  /** 0 when `qos` is 0. */
  readonly packetId: number;
  readonly dup: boolean;
  readonly retain: boolean;
  readonly properties?: PublishProperties | undefined;
};

export type Subscription = {
  /** Well-formed UTF-8 without NUL; whether it is a topic filter is for the reader to check. */
  readonly filter: string;
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** 0: send retained messages, 1: only if the subscription is new, 2: do not. */
  readonly retainHandling: 0 | 1 | 2;
};

export type Subscribe = {
  readonly packetId: number;
  /** At least one. */
  readonly subscriptions: readonly Subscription[];
  readonly properties?: SubscribeProperties | undefined;
};

export type Suback = {
  readonly packetId: number;
  /** One per subscription, in order. 3.1 and 3.1.1 write every code from 0x80 on as 0x80. */
  readonly reasons: readonly ReasonCode[];
  readonly properties?: AckProperties | undefined;
};

export type Unsubscribe = {
  readonly packetId: number;
  /** At least one. */
  readonly filters: readonly string[];
  readonly properties?: UnsubscribeProperties | undefined;
};

export type Unsuback = {
  readonly packetId: number;
  /** One per filter, in order; versions 3 and 4 do not carry them. */
  readonly reasons: readonly ReasonCode[];
  readonly properties?: AckProperties | undefined;
};

export type Disconnect = {
  readonly reason: ReasonCode;
  readonly properties?: DisconnectProperties | undefined;
};
export type Auth = {
  readonly reason: ReasonCode;
  readonly properties?: AuthProperties | undefined;
};

// The properties of MQTT 5 (2.2.2): identifier, type, and the packets that may carry them.

import type { Bytes } from './packet.ts';

export type PropertyKind = 'byte' | 'two' | 'four' | 'variable' | 'string' | 'binary' | 'pair';

type PropertyFacts = {
  readonly id: number;
  readonly kind: PropertyKind;
  /** Packets in which a server may send it. */
  readonly inFromServer: readonly string[];
  readonly repeats?: boolean;
};

const acks = ['puback', 'pubrec', 'pubrel', 'pubcomp', 'suback', 'unsuback'];

export const propertyTable = {
  payloadFormatIndicator: { id: 0x01, kind: 'byte', inFromServer: ['publish'] },
  messageExpiryInterval: { id: 0x02, kind: 'four', inFromServer: ['publish'] },
  contentType: { id: 0x03, kind: 'string', inFromServer: ['publish'] },
  responseTopic: { id: 0x08, kind: 'string', inFromServer: ['publish'] },
  correlationData: { id: 0x09, kind: 'binary', inFromServer: ['publish'] },
  subscriptionIdentifier: { id: 0x0b, kind: 'variable', inFromServer: ['publish'], repeats: true },
  sessionExpiryInterval: { id: 0x11, kind: 'four', inFromServer: ['connack'] },
  assignedClientIdentifier: { id: 0x12, kind: 'string', inFromServer: ['connack'] },
  serverKeepAlive: { id: 0x13, kind: 'two', inFromServer: ['connack'] },
  authenticationMethod: { id: 0x15, kind: 'string', inFromServer: ['connack', 'auth'] },
  authenticationData: { id: 0x16, kind: 'binary', inFromServer: ['connack', 'auth'] },
  requestProblemInformation: { id: 0x17, kind: 'byte', inFromServer: [] },
  willDelayInterval: { id: 0x18, kind: 'four', inFromServer: [] },
  requestResponseInformation: { id: 0x19, kind: 'byte', inFromServer: [] },
  responseInformation: { id: 0x1a, kind: 'string', inFromServer: ['connack'] },
  serverReference: { id: 0x1c, kind: 'string', inFromServer: ['connack', 'disconnect'] },
  reasonString: { id: 0x1f, kind: 'string', inFromServer: [...acks, 'connack', 'disconnect', 'auth'] },
  receiveMaximum: { id: 0x21, kind: 'two', inFromServer: ['connack'] },
  topicAliasMaximum: { id: 0x22, kind: 'two', inFromServer: ['connack'] },
  topicAlias: { id: 0x23, kind: 'two', inFromServer: ['publish'] },
  maximumQoS: { id: 0x24, kind: 'byte', inFromServer: ['connack'] },
  retainAvailable: { id: 0x25, kind: 'byte', inFromServer: ['connack'] },
  userProperty: { id: 0x26, kind: 'pair', inFromServer: [...acks, 'publish', 'connack', 'disconnect', 'auth'], repeats: true },
  maximumPacketSize: { id: 0x27, kind: 'four', inFromServer: ['connack'] },
  wildcardSubscriptionAvailable: { id: 0x28, kind: 'byte', inFromServer: ['connack'] },
  subscriptionIdentifierAvailable: { id: 0x29, kind: 'byte', inFromServer: ['connack'] },
  sharedSubscriptionAvailable: { id: 0x2a, kind: 'byte', inFromServer: ['connack'] },
} as const satisfies Record<string, PropertyFacts>;

export type PropertyName = keyof typeof propertyTable;

export const propertyById: ReadonlyMap<number, PropertyFacts & { name: PropertyName }> = new Map(
  (Object.keys(propertyTable) as PropertyName[]).map((name) => [propertyTable[name].id, { ...propertyTable[name], name }]),
);

export type PropertyValue = number | Bytes | readonly (readonly [Bytes, Bytes])[] | readonly number[];

/**
 * By name. `userProperty` is a list of pairs; `subscriptionIdentifier` a number, or a list of numbers. To send what the
 * standard forbids (a property twice, an unknown one) give the raw bytes in `raw`; they come last.
 */
export type Properties = { [name in PropertyName]?: PropertyValue } & { raw?: Uint8Array };

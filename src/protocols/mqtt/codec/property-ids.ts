// The properties of MQTT 5: identifier, data type, and the packets that may carry each (§2.2.2.2, table 2-4).

import type { Properties } from './packets.ts';

export const PropertyId = {
  payloadFormatIndicator: 0x01,
  messageExpiryInterval: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifier: 0x0b,
  sessionExpiryInterval: 0x11,
  assignedClientIdentifier: 0x12,
  serverKeepAlive: 0x13,
  authenticationMethod: 0x15,
  authenticationData: 0x16,
  requestProblemInformation: 0x17,
  willDelayInterval: 0x18,
  requestResponseInformation: 0x19,
  responseInformation: 0x1a,
  serverReference: 0x1c,
  reasonString: 0x1f,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
  maximumQos: 0x24,
  retainAvailable: 0x25,
  userProperty: 0x26,
  maximumPacketSize: 0x27,
  wildcardSubscriptionAvailable: 0x28,
  subscriptionIdentifiersAvailable: 0x29,
  sharedSubscriptionAvailable: 0x2a,
} as const;

/** Where a set of properties stands; each a bit of a mask. PUBACK to PUBCOMP, SUBACK and UNSUBACK allow the same: `ack`. */
export const PropertySet = {
  connect: 1,
  will: 2,
  connack: 4,
  publish: 8,
  ack: 16,
  subscribe: 32,
  unsubscribe: 64,
  disconnect: 128,
  auth: 256,
} as const;
export type PropertySet = (typeof PropertySet)[keyof typeof PropertySet];

export type PropertyType = 'bit' | 'byte' | 'twoBytes' | 'fourBytes' | 'varint' | 'varints' | 'text' | 'binary' | 'pairs';

type PropertyRow = {
  readonly id: number;
  readonly name: keyof Properties;
  readonly type: PropertyType;
  /** A mask of PropertySet. */
  readonly sets: number;
};

const { connect, will, connack, publish, ack, subscribe, unsubscribe, disconnect, auth } = PropertySet;

/** In the order of their identifiers, which is also the order in which they are written. */
export const propertyTable: readonly PropertyRow[] = [
  { id: 0x01, name: 'payloadFormatIndicator', type: 'byte', sets: publish | will },
  { id: 0x02, name: 'messageExpiryInterval', type: 'fourBytes', sets: publish | will },
  { id: 0x03, name: 'contentType', type: 'text', sets: publish | will },
  { id: 0x08, name: 'responseTopic', type: 'text', sets: publish | will },
  { id: 0x09, name: 'correlationData', type: 'binary', sets: publish | will },
  { id: 0x0b, name: 'subscriptionIdentifiers', type: 'varints', sets: publish | subscribe },
  { id: 0x11, name: 'sessionExpiryInterval', type: 'fourBytes', sets: connect | connack | disconnect },
  { id: 0x12, name: 'assignedClientIdentifier', type: 'text', sets: connack },
  { id: 0x13, name: 'serverKeepAlive', type: 'twoBytes', sets: connack },
  { id: 0x15, name: 'authenticationMethod', type: 'text', sets: connect | connack | auth },
  { id: 0x16, name: 'authenticationData', type: 'binary', sets: connect | connack | auth },
  { id: 0x17, name: 'requestProblemInformation', type: 'bit', sets: connect },
  { id: 0x18, name: 'willDelayInterval', type: 'fourBytes', sets: will },
  { id: 0x19, name: 'requestResponseInformation', type: 'bit', sets: connect },
  { id: 0x1a, name: 'responseInformation', type: 'text', sets: connack },
  { id: 0x1c, name: 'serverReference', type: 'text', sets: connack | disconnect },
  { id: 0x1f, name: 'reasonString', type: 'text', sets: connack | ack | disconnect | auth },
  { id: 0x21, name: 'receiveMaximum', type: 'twoBytes', sets: connect | connack },
  { id: 0x22, name: 'topicAliasMaximum', type: 'twoBytes', sets: connect | connack },
  { id: 0x23, name: 'topicAlias', type: 'twoBytes', sets: publish },
  { id: 0x24, name: 'maximumQos', type: 'byte', sets: connack },
  { id: 0x25, name: 'retainAvailable', type: 'bit', sets: connack },
  {
    id: 0x26,
    name: 'userProperties',
    type: 'pairs',
    sets: connect | connack | publish | will | ack | subscribe | unsubscribe | disconnect | auth,
  },
  { id: 0x27, name: 'maximumPacketSize', type: 'fourBytes', sets: connect | connack },
  { id: 0x28, name: 'wildcardSubscriptionAvailable', type: 'bit', sets: connack },
  { id: 0x29, name: 'subscriptionIdentifiersAvailable', type: 'bit', sets: connack },
  { id: 0x2a, name: 'sharedSubscriptionAvailable', type: 'bit', sets: connack },
];

const highestId = 0x2a;

/** For each identifier the mask of sets that allow it; 0: no such property. */
export const allowedSets: Uint16Array = (() => {
  const sets = new Uint16Array(highestId + 1);
  for (const row of propertyTable) sets[row.id] = row.sets;
  return sets;
})();

// What goes over the wire and what it means: shared by the tests of the codec and of the connection. The bytes are in the notation of
// wire.ts; every packet is the standard's, not this codec's.

import type { Packet } from '../any-packet.ts';
import type { Side, Version } from '../packets.ts';
import { ReasonCode } from '../reason-codes.ts';

export type GoodCase = {
  readonly name: string;
  readonly from: Side;
  readonly version: Version;
  /** One packet. */
  readonly bytes: string;
  readonly packet: Packet;
  /** The codec would write other bytes for the same packet: this form is only accepted. */
  readonly accepted?: true;
};

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const text = (value: string): Uint8Array => new Uint8Array(Buffer.from(value));

const connects: readonly GoodCase[] = [
  {
    name: 'CONNECT 3.1',
    from: 'client',
    version: 3,
    bytes: '10 { "MQIsdp" 03 02 00 3c "dev" }',
    packet: { type: 'connect', version: 3, cleanStart: true, keepAlive: 60, clientId: 'dev' },
  },
  {
    name: 'CONNECT 3.1 with a user name flag but no user name',
    from: 'client',
    version: 3,
    bytes: '10 { "MQIsdp" 03 c2 00 3c "dev" }',
    packet: { type: 'connect', version: 3, cleanStart: true, keepAlive: 60, clientId: 'dev' },
    accepted: true,
  },
  {
    name: 'CONNECT 3.1.1, the least',
    from: 'client',
    version: 4,
    bytes: '10 { "MQTT" 04 02 00 00 "" }',
    packet: { type: 'connect', version: 4, cleanStart: true, keepAlive: 0, clientId: '' },
  },
  {
    name: 'CONNECT 3.1.1 with all fields',
    from: 'client',
    version: 4,
    bytes: `10 { "MQTT" 04 ec (user name, password, will retain, will QoS 1, will) ff ff "gerät"
      "last/words" < 00 ff > "user" < 'pass' > }`,
    packet: {
      type: 'connect',
      version: 4,
      cleanStart: false,
      keepAlive: 65535,
      clientId: 'gerät',
      will: { topic: 'last/words', payload: bytes(0, 255), qos: 1, retain: true },
      username: 'user',
      password: text('pass'),
    },
  },
  {
    name: 'CONNECT 5, the least',
    from: 'client',
    version: 5,
    bytes: '10 { "MQTT" 05 02 00 0a 00 "" }',
    packet: { type: 'connect', version: 5, cleanStart: true, keepAlive: 10, clientId: '' },
  },
  {
    name: 'CONNECT 5 with a password and no user name',
    from: 'client',
    version: 5,
    bytes: '10 { "MQTT" 05 40 00 0a 00 "c" <01> }',
    packet: { type: 'connect', version: 5, cleanStart: false, keepAlive: 10, clientId: 'c', password: bytes(1) },
  },
  {
    name: 'CONNECT 5 with every property',
    from: 'client',
    version: 5,
    bytes: `10 { "MQTT" 05 f6 (all flags, will QoS 2) 00 0a
      { 11 ff ff ff ff (session expiry)  15 "SCRAM" (method)  16 <01 02> (data)  17 00 (problem information)
        19 01 (response information)  21 00 05 (receive maximum)  22 00 0a (alias maximum)  26 "a" "1"  26 "b" "2"  26 "a" "3"
        27 00 01 00 00 (maximum packet size) }
      "c"
      { 01 01 (format)  02 00 00 00 3c (expiry)  03 "text/plain"  08 "answer/here"  09 <ff>  18 00 00 00 05 (delay)  26 "w" "" }
      "w/t" < 'bye' > "u" < 'p' > }`,
    packet: {
      type: 'connect',
      version: 5,
      cleanStart: true,
      keepAlive: 10,
      clientId: 'c',
      properties: {
        sessionExpiryInterval: 0xffffffff,
        authenticationMethod: 'SCRAM',
        authenticationData: bytes(1, 2),
        requestProblemInformation: false,
        requestResponseInformation: true,
        receiveMaximum: 5,
        topicAliasMaximum: 10,
        userProperties: [
          { key: 'a', value: '1' },
          { key: 'b', value: '2' },
          { key: 'a', value: '3' },
        ],
        maximumPacketSize: 65536,
      },
      will: {
        topic: 'w/t',
        payload: text('bye'),
        qos: 2,
        retain: true,
        properties: {
          payloadFormatIndicator: 1,
          messageExpiryInterval: 60,
          contentType: 'text/plain',
          responseTopic: 'answer/here',
          correlationData: bytes(255),
          willDelayInterval: 5,
          userProperties: [{ key: 'w', value: '' }],
        },
      },
      username: 'u',
      password: text('p'),
    },
  },
];

const connacks: readonly GoodCase[] = [
  {
    name: 'CONNACK 3.1',
    from: 'server',
    version: 3,
    bytes: '20 { 00 00 }',
    packet: { type: 'connack', sessionPresent: false, reason: ReasonCode.success },
  },
  {
    name: 'CONNACK 3.1.1 with a session',
    from: 'server',
    version: 4,
    bytes: '20 { 01 00 }',
    packet: { type: 'connack', sessionPresent: true, reason: ReasonCode.success },
  },
  {
    name: 'CONNACK 3.1.1, not authorized',
    from: 'server',
    version: 4,
    bytes: '20 { 00 05 }',
    packet: { type: 'connack', sessionPresent: false, reason: ReasonCode.notAuthorized },
  },
  {
    name: 'CONNACK 5 with every property',
    from: 'server',
    version: 5,
    bytes: `20 { 01 00 { 11 00 00 0e 10  12 "auto-1"  13 00 1e  15 "M"  16 <00>  1a "resp/"  1c "other:1883"  1f "hello"  21 00 14
      22 00 10  24 01  25 00  26 "k" "v"  27 00 10 00 00  28 01  29 00  2a 01 } }`,
    packet: {
      type: 'connack',
      sessionPresent: true,
      reason: ReasonCode.success,
      properties: {
        sessionExpiryInterval: 3600,
        assignedClientIdentifier: 'auto-1',
        serverKeepAlive: 30,
        authenticationMethod: 'M',
        authenticationData: bytes(0),
        responseInformation: 'resp/',
        serverReference: 'other:1883',
        reasonString: 'hello',
        receiveMaximum: 20,
        topicAliasMaximum: 16,
        maximumQos: 1,
        retainAvailable: false,
        userProperties: [{ key: 'k', value: 'v' }],
        maximumPacketSize: 0x100000,
        wildcardSubscriptionAvailable: true,
        subscriptionIdentifiersAvailable: false,
        sharedSubscriptionAvailable: true,
      },
    },
  },
];

const plainPublish = { dup: false, retain: false, packetId: 0, qos: 0 } as const;

const publishes: readonly GoodCase[] = [
  {
    name: 'PUBLISH 3.1.1 QoS 0',
    from: 'client',
    version: 4,
    bytes: `30 { "a/b" 'hi' }`,
    packet: { type: 'publish', ...plainPublish, topic: 'a/b', payload: text('hi') },
  },
  {
    name: 'PUBLISH 3.1 QoS 2, DUP, RETAIN, no payload',
    from: 'client',
    version: 3,
    bytes: '3d { "t" 00 01 }',
    packet: { type: 'publish', topic: 't', payload: bytes(), qos: 2, packetId: 1, dup: true, retain: true },
  },
  {
    name: 'PUBLISH 3.1 QoS 0 with DUP',
    from: 'client',
    version: 3,
    bytes: '38 { "t" }',
    packet: { type: 'publish', ...plainPublish, topic: 't', payload: bytes(), dup: true },
  },
  {
    name: 'PUBLISH 5 without properties',
    from: 'client',
    version: 5,
    bytes: '32 { "t" ff ff 00 01 02 03 }',
    packet: { type: 'publish', topic: 't', payload: bytes(1, 2, 3), qos: 1, packetId: 65535, dup: false, retain: false },
  },
  {
    name: 'PUBLISH 5 by alias',
    from: 'client',
    version: 5,
    bytes: `30 { "" { 23 00 07 } 'x' }`,
    packet: { type: 'publish', ...plainPublish, topic: '', payload: text('x'), properties: { topicAlias: 7 } },
  },
  {
    name: 'PUBLISH 5 by alias, no payload',
    from: 'client',
    version: 5,
    bytes: '30 { "" { 23 ff ff } }',
    packet: { type: 'publish', ...plainPublish, topic: '', payload: bytes(), properties: { topicAlias: 65535 } },
  },
  {
    name: 'PUBLISH 5 with every property a client may send',
    from: 'client',
    version: 5,
    bytes: `33 { "t" 00 09 { 01 01  02 00 00 00 00  03 ""  08 "r"  09 <>  23 00 01  26 "" ""  26 "x" "y"  26 "x" "y" } 'p' }`,
    packet: {
      type: 'publish',
      topic: 't',
      payload: text('p'),
      qos: 1,
      packetId: 9,
      dup: false,
      retain: true,
      properties: {
        payloadFormatIndicator: 1,
        messageExpiryInterval: 0,
        contentType: '',
        responseTopic: 'r',
        correlationData: bytes(),
        topicAlias: 1,
        userProperties: [
          { key: '', value: '' },
          { key: 'x', value: 'y' },
          { key: 'x', value: 'y' },
        ],
      },
    },
  },
  {
    name: 'PUBLISH 5 with several subscription identifiers',
    from: 'server',
    version: 5,
    bytes: '30 { "t" { 0b 01  0b ff ff ff 7f } 00 }',
    packet: {
      type: 'publish',
      ...plainPublish,
      topic: 't',
      payload: bytes(0),
      properties: { subscriptionIdentifiers: [1, 268_435_455] },
    },
  },
  {
    name: 'PUBLISH with a topic of all kinds of characters and a byte order mark',
    from: 'client',
    version: 4,
    bytes: '30 { <ef bb bf (U+FEFF) c3 a4 e2 82 ac f0 9f 98 80 f4 8f bf bf ee 80 80 01 7f> }',
    packet: { type: 'publish', ...plainPublish, topic: '\ufeffä€😀\u{10ffff}\ue000\u0001\u007f', payload: bytes() },
  },
  {
    name: 'PUBLISH with a length of two bytes',
    from: 'client',
    version: 4,
    bytes: `30 { "t" '${'0123456789'.repeat(20)}' }`,
    packet: { type: 'publish', ...plainPublish, topic: 't', payload: text('0123456789'.repeat(20)) },
  },
  {
    name: 'PUBLISH 3.1.1 whose length has a needless byte',
    from: 'client',
    version: 4,
    bytes: `30 85 00 "t" 'hi'`,
    packet: { type: 'publish', ...plainPublish, topic: 't', payload: text('hi') },
    accepted: true,
  },
];

function ack(name: string, type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp', from: Side, version: Version, written: string): GoodCase {
  return { name, from, version, bytes: written, packet: { type, packetId: 0x0102, reason: ReasonCode.success } };
}

const acks: readonly GoodCase[] = [
  ack('PUBACK 3.1', 'puback', 'client', 3, '40 { 01 02 }'),
  ack('PUBACK', 'puback', 'server', 4, '40 { 01 02 }'),
  ack('PUBREC', 'pubrec', 'client', 4, '50 { 01 02 }'),
  ack('PUBREL', 'pubrel', 'client', 4, '62 { 01 02 }'),
  ack('PUBCOMP', 'pubcomp', 'client', 5, '70 { 01 02 }'),
  { ...ack('PUBREL 3.1 with DUP', 'pubrel', 'client', 3, '6a { 01 02 }'), accepted: true },
  { ...ack('PUBACK 5 that spells success out', 'puback', 'client', 5, '40 { 01 02 00 }'), accepted: true },
  { ...ack('PUBACK 5 that spells no properties out', 'puback', 'client', 5, '40 { 01 02 00 00 }'), accepted: true },
  {
    name: 'PUBACK 5 with a reason',
    from: 'server',
    version: 5,
    bytes: '40 { 01 02 10 }',
    packet: { type: 'puback', packetId: 0x0102, reason: ReasonCode.noMatchingSubscribers },
  },
  {
    name: 'PUBREC 5 with properties',
    from: 'client',
    version: 5,
    bytes: '50 { 01 02 97 { 1f "full" 26 "a" "b" } }',
    packet: {
      type: 'pubrec',
      packetId: 0x0102,
      reason: ReasonCode.quotaExceeded,
      properties: { reasonString: 'full', userProperties: [{ key: 'a', value: 'b' }] },
    },
  },
  {
    name: 'PUBREL 5 with an unknown identifier',
    from: 'client',
    version: 5,
    bytes: '62 { 01 02 92 }',
    packet: { type: 'pubrel', packetId: 0x0102, reason: ReasonCode.packetIdentifierNotFound },
  },
];

const plainSubscription = { noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;

const subscriptions: readonly GoodCase[] = [
  {
    name: 'SUBSCRIBE 3.1.1',
    from: 'client',
    version: 4,
    bytes: '82 { 00 0a "a/b" 01 "#" 00 }',
    packet: {
      type: 'subscribe',
      packetId: 10,
      subscriptions: [
        { filter: 'a/b', qos: 1, ...plainSubscription },
        { filter: '#', qos: 0, ...plainSubscription },
      ],
    },
  },
  {
    name: 'SUBSCRIBE 3.1 with DUP',
    from: 'client',
    version: 3,
    bytes: '8a { 00 0a "a" 02 }',
    packet: { type: 'subscribe', packetId: 10, subscriptions: [{ filter: 'a', qos: 2, ...plainSubscription }] },
    accepted: true,
  },
  {
    name: 'SUBSCRIBE 5 with all options',
    from: 'client',
    version: 5,
    bytes: '82 { ff ff { 0b 80 01 26 "k" "v" } "+/x" 2e "$share/g/#" 19 }',
    packet: {
      type: 'subscribe',
      packetId: 65535,
      properties: { subscriptionIdentifiers: [128], userProperties: [{ key: 'k', value: 'v' }] },
      subscriptions: [
        { filter: '+/x', qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 },
        { filter: '$share/g/#', qos: 1, noLocal: false, retainAsPublished: true, retainHandling: 1 },
      ],
    },
  },
  {
    name: 'SUBACK 3.1.1',
    from: 'server',
    version: 4,
    bytes: '90 { 00 0a 01 80 02 00 }',
    packet: { type: 'suback', packetId: 10, reasons: [1, 0x80, 2, 0] },
  },
  {
    name: 'SUBACK 5',
    from: 'server',
    version: 5,
    bytes: '90 { 00 0a { 1f "no" } 87 8f 02 }',
    packet: { type: 'suback', packetId: 10, properties: { reasonString: 'no' }, reasons: [0x87, 0x8f, 2] },
  },
  {
    name: 'UNSUBSCRIBE 3.1.1',
    from: 'client',
    version: 4,
    bytes: 'a2 { 00 0b "a" "b/#" }',
    packet: { type: 'unsubscribe', packetId: 11, filters: ['a', 'b/#'] },
  },
  {
    name: 'UNSUBSCRIBE 5',
    from: 'client',
    version: 5,
    bytes: 'a2 { 00 0b { 26 "x" "" } "a" }',
    packet: { type: 'unsubscribe', packetId: 11, filters: ['a'], properties: { userProperties: [{ key: 'x', value: '' }] } },
  },
  {
    name: 'UNSUBACK 3.1.1',
    from: 'server',
    version: 4,
    bytes: 'b0 { 00 0b }',
    packet: { type: 'unsuback', packetId: 11, reasons: [] },
  },
  {
    name: 'UNSUBACK 5',
    from: 'server',
    version: 5,
    bytes: 'b0 { 00 0b 00 00 11 }',
    packet: { type: 'unsuback', packetId: 11, reasons: [0, 0x11] },
  },
];

const others: readonly GoodCase[] = [
  { name: 'PINGREQ', from: 'client', version: 4, bytes: 'c0 00', packet: { type: 'pingreq' } },
  { name: 'PINGRESP', from: 'server', version: 5, bytes: 'd0 00', packet: { type: 'pingresp' } },
  { name: 'DISCONNECT 3.1.1', from: 'client', version: 4, bytes: 'e0 00', packet: { type: 'disconnect', reason: ReasonCode.success } },
  { name: 'DISCONNECT 5, empty', from: 'client', version: 5, bytes: 'e0 00', packet: { type: 'disconnect', reason: ReasonCode.success } },
  {
    name: 'DISCONNECT 5 with a reason alone',
    from: 'client',
    version: 5,
    bytes: 'e0 01 04',
    packet: { type: 'disconnect', reason: ReasonCode.disconnectWithWillMessage },
    accepted: true,
  },
  {
    name: 'DISCONNECT 5 of a client with properties',
    from: 'client',
    version: 5,
    bytes: 'e0 { 00 { 11 00 00 00 3c 1f "bye" 26 "a" "b" } }',
    packet: {
      type: 'disconnect',
      reason: ReasonCode.success,
      properties: { sessionExpiryInterval: 60, reasonString: 'bye', userProperties: [{ key: 'a', value: 'b' }] },
    },
  },
  {
    name: 'DISCONNECT 5 of a server',
    from: 'server',
    version: 5,
    bytes: 'e0 { 9c { 1c "other" } }',
    packet: { type: 'disconnect', reason: ReasonCode.useAnotherServer, properties: { serverReference: 'other' } },
  },
  {
    name: 'AUTH of a client',
    from: 'client',
    version: 5,
    bytes: 'f0 { 18 { 15 "M" 16 <01> 1f "r" 26 "a" "b" } }',
    packet: {
      type: 'auth',
      reason: ReasonCode.continueAuthentication,
      properties: {
        authenticationMethod: 'M',
        authenticationData: bytes(1),
        reasonString: 'r',
        userProperties: [{ key: 'a', value: 'b' }],
      },
    },
  },
  {
    name: 'AUTH of a server, empty',
    from: 'server',
    version: 5,
    bytes: 'f0 00',
    packet: { type: 'auth', reason: ReasonCode.success },
    accepted: true,
  },
];

export const goodCases: readonly GoodCase[] = [...connects, ...connacks, ...publishes, ...acks, ...subscriptions, ...others];

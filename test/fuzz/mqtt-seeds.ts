// Good MQTT packets to start from, and pieces that are hard to guess.

import { encode, frame, prefixed } from '../harness/encode.ts';
import { hex, type ClientPacket, type Version } from '../harness/packet.ts';

const everyPublishProperty = {
  payloadFormatIndicator: 1,
  messageExpiryInterval: 60,
  topicAlias: 3,
  responseTopic: 'r/t',
  correlationData: 'c1',
  userProperty: [
    ['k', 'v'],
    ['k', 'w'],
  ] as [string, string][],
  contentType: 'text/plain',
};

/** A packet of each kind that a client sends in `version`. */
export function clientPackets(version: Version): Uint8Array[] {
  const packets: ClientPacket[] = [
    { type: 'connect', clientId: 'c1' },
    {
      type: 'connect',
      clientId: 'c2',
      clean: false,
      keepAlive: 60,
      username: 'u',
      password: 'p',
      will: { topic: 'w/t', payload: 'bye', qos: 1, retain: true },
    },
    { type: 'publish', topic: 'a/b', payload: 'hello' },
    { type: 'publish', topic: 'a/b', payload: 'hello', qos: 1, id: 7, retain: true },
    { type: 'publish', topic: 'a/é', payload: '', qos: 2, id: 8, dup: true },
    { type: 'puback', id: 1 },
    { type: 'pubrec', id: 1 },
    { type: 'pubrel', id: 8 },
    { type: 'pubcomp', id: 1 },
    { type: 'subscribe', id: 2, subscriptions: [{ filter: 'a/+' }, { filter: '$share/g/a/#', qos: 2 }] },
    { type: 'unsubscribe', id: 3, filters: ['a/+', '#'] },
    { type: 'pingreq' },
    { type: 'disconnect' },
  ];
  if (version === 5) packets.push(...version5Packets());
  return packets.map((packet) => encode(packet, version));
}

function version5Packets(): ClientPacket[] {
  const userProperty: [string, string][] = [['k', 'v']];
  return [
    {
      type: 'connect',
      clientId: 'c5',
      properties: {
        sessionExpiryInterval: 100,
        receiveMaximum: 10,
        maximumPacketSize: 1000,
        topicAliasMaximum: 5,
        requestResponseInformation: 1,
        requestProblemInformation: 0,
        userProperty,
      },
      will: { topic: 'w', payload: 'x', properties: { willDelayInterval: 5, payloadFormatIndicator: 1, contentType: 't', userProperty } },
    },
    { type: 'connect', clientId: 'ca', properties: { authenticationMethod: 'M', authenticationData: 'd' } },
    { type: 'publish', topic: 'a/b', payload: 'hello', qos: 1, id: 9, properties: everyPublishProperty },
    { type: 'publish', topic: '', payload: 'by alias', properties: { topicAlias: 3 } },
    { type: 'puback', id: 1, reason: 0x10 },
    { type: 'pubrec', id: 2, reason: 0x97, properties: { reasonString: 'full', userProperty } },
    { type: 'pubrel', id: 2, reason: 0x92 },
    {
      type: 'subscribe',
      id: 4,
      subscriptions: [{ filter: 'b/#', qos: 1, noLocal: true, retainAsPublished: true, retainHandling: 2 }],
      properties: { subscriptionIdentifier: 300, userProperty },
    },
    { type: 'disconnect', reason: 4, properties: { sessionExpiryInterval: 9, reasonString: 'bye', userProperty } },
    { type: 'auth', reason: 0x18, properties: { authenticationMethod: 'M', authenticationData: 'd' } },
  ];
}

/** A packet of each kind that only a server sends in `version`. */
function serverPackets(version: Version): Uint8Array[] {
  const old = version !== 5;
  return [
    old ? hex('20 02 01 00') : hex('20 03 01 00 00'),
    old ? hex('20 02 00 05') : hex('20 13 00 00 10 21 000a 24 01 12 0003 616263 27 00001000'),
    frame(3, 0, Buffer.concat([prefixed('a/b'), old ? hex('') : hex('02 0b 05'), Buffer.from('hello')])),
    old ? hex('90 04 0002 00 80') : hex('90 05 0002 00 02 8f'),
    old ? hex('b0 02 0003') : hex('b0 05 0003 00 00 11'),
    hex('d0 00'),
    ...(old ? [] : [hex('e0 01 8b'), hex('f0 07 18 05 15 0002 4d32')]),
  ];
}

/** One input for each packet and one for all in a row; `header` says what stands in front of the stream. */
export function packetSeeds(header: (version: Version, from: 'client' | 'server') => Uint8Array): Uint8Array[] {
  const seeds: Uint8Array[] = [];
  for (const version of [3, 4, 5] as const) {
    for (const from of ['client', 'server'] as const) {
      const packets = from === 'client' ? clientPackets(version) : serverPackets(version);
      for (const packet of packets) seeds.push(Buffer.concat([header(version, from), packet]));
      seeds.push(Buffer.concat([header(version, from), ...packets]));
    }
  }
  return seeds.map((seed) => new Uint8Array(seed));
}

export const words: readonly Uint8Array[] = [
  ...[
    'MQTT',
    'MQIsdp',
    '$share/',
    '$share/g/',
    '$SYS/',
    '$queue/',
    '/',
    '+',
    '#',
    '/#',
    '+/',
    'a/b',
    'é',
    '\u{1F600}',
    '\u0000',
    '\uFEFF',
  ].map((text) => new TextEncoder().encode(text)),
  ...['a/b', '+', '#', '$share/g/#', ''].map((text) => new Uint8Array(prefixed(text))),
  // UTF-8 that is none: overlong, surrogate, cut, too high.
  ...['c080', 'eda080', 'e282', 'f4908080', 'ff'].map((digits) => new Uint8Array(hex(digits))),
  // Every property, with a plain value.
  ...[
    '0101',
    '0200000001',
    '03000174',
    '080001 72',
    '0900 0164',
    '0b01',
    '0b8001',
    '1100000001',
    '12000169',
    '13000a',
    '1500014d',
    '16000164',
    '1701',
    '1800000001',
    '1901',
    '1a000172',
    '1c000173',
    '1f000165',
    '21000a',
    '22000a',
    '230001',
    '2401',
    '2501',
    '2600016b000176',
    '2700001000',
    '2801',
    '2901',
    '2a01',
  ].map((digits) => new Uint8Array(hex(digits))),
];

// Packets in words, for an operator who watches one client. Says nothing of payloads, passwords and authentication data but their length.

import {
  AckFields,
  type AckType,
  decodeAck,
  decodeAuth,
  decodeConnack,
  decodeConnect,
  decodeDisconnect,
  DecodeError,
  decodePublishPacket,
  decodeSuback,
  decodeSubscribe,
  decodeUnsuback,
  decodeUnsubscribe,
  packetName,
  PacketType,
  type Properties,
  reasonText,
  type Side,
  type Version,
} from './codec/index.ts';

/** The packet with that first byte and the body `bytes[start..end)`. For CONNECT any version will do. */
export function packetInWords(version: Version, from: Side, firstByte: number, bytes: Uint8Array, start: number, end: number): string {
  const type = (firstByte >> 4) as PacketType;
  const details = detailsOf(version, from, firstByte, bytes, start, end);
  const words = details instanceof DecodeError ? [`(${reasonText(details.reason)}: ${details.message})`, `${end - start} bytes`] : details;
  return [packetName(type), ...words.filter((word) => word !== '')].join(' ');
}

type Details = readonly string[] | DecodeError;

function detailsOf(version: Version, from: Side, firstByte: number, bytes: Uint8Array, start: number, end: number): Details {
  const type = (firstByte >> 4) as PacketType;
  switch (type) {
    case PacketType.connect:
      return connectDetails(bytes, start, end);
    case PacketType.connack:
      return map(decodeConnack(bytes, start, end, version), (connack) => [
        reasonText(connack.reason),
        connack.sessionPresent ? 'session present' : '',
        ...propertyWords(connack.properties),
      ]);
    case PacketType.publish:
      return publishDetails(version, from, firstByte, bytes, start, end);
    case PacketType.puback:
    case PacketType.pubrec:
    case PacketType.pubrel:
    case PacketType.pubcomp:
      return ackDetails(version, type, bytes, start, end);
    case PacketType.subscribe:
      return map(decodeSubscribe(bytes, start, end, version), (subscribe) => [
        `id=${subscribe.packetId}`,
        ...subscribe.subscriptions.map((each) =>
          [
            quoted(each.filter),
            `q${each.qos}`,
            each.noLocal ? 'no-local' : '',
            each.retainAsPublished ? 'retain-as-published' : '',
            each.retainHandling > 0 ? `retain-handling=${each.retainHandling}` : '',
          ]
            .filter((word) => word !== '')
            .join(' '),
        ),
        ...propertyWords(subscribe.properties),
      ]);
    case PacketType.suback:
    case PacketType.unsuback:
      return map((type === PacketType.suback ? decodeSuback : decodeUnsuback)(bytes, start, end, version), (answer) => [
        `id=${answer.packetId}`,
        ...answer.reasons.map((reason) => (type === PacketType.suback && reason === 0 ? 'Granted QoS 0' : reasonText(reason))),
        ...propertyWords(answer.properties),
      ]);
    case PacketType.unsubscribe:
      return map(decodeUnsubscribe(bytes, start, end, version), (unsubscribe) => [
        `id=${unsubscribe.packetId}`,
        ...unsubscribe.filters.map(quoted),
        ...propertyWords(unsubscribe.properties),
      ]);
    case PacketType.disconnect:
      return map(decodeDisconnect(bytes, start, end, version, from), (disconnect) => [
        disconnect.reason === 0 ? '' : reasonText(disconnect.reason),
        ...propertyWords(disconnect.properties),
      ]);
    case PacketType.auth:
      return map(decodeAuth(bytes, start, end, from), (auth) => [reasonText(auth.reason), ...propertyWords(auth.properties)]);
    default:
      return [];
  }
}

function map<T extends object>(packet: T | DecodeError, words: (packet: T) => readonly string[]): Details {
  return packet instanceof DecodeError ? packet : words(packet);
}

const versionNames = { 3: '3.1', 4: '3.1.1', 5: '5.0' } as const;

function connectDetails(bytes: Uint8Array, start: number, end: number): Details {
  return map(decodeConnect(bytes, start, end), (connect) => {
    const { will } = connect;
    return [
      versionNames[connect.version],
      `client=${quoted(connect.clientId)}`,
      connect.cleanStart ? 'clean' : '',
      `keep-alive=${connect.keepAlive}`,
      connect.username === undefined ? '' : `user=${quoted(connect.username)}`,
      connect.password === undefined ? '' : 'password',
      ...propertyWords(connect.properties),
      ...(will === undefined
        ? []
        : [
            `will=${quoted(will.topic)}`,
            `q${will.qos}`,
            will.retain ? 'retain' : '',
            `${will.payload.length} bytes`,
            ...propertyWords(will.properties),
          ]),
    ];
  });
}

function publishDetails(version: Version, from: Side, firstByte: number, bytes: Uint8Array, start: number, end: number): Details {
  return map(decodePublishPacket(bytes, start, end, firstByte & 0x0f, version, from), (publish) => [
    `q${publish.qos}`,
    publish.qos === 0 ? '' : `id=${publish.packetId}`,
    quoted(publish.topic),
    `${publish.payload.length} bytes`,
    publish.retain ? 'retain' : '',
    publish.dup ? 'dup' : '',
    ...propertyWords(publish.properties),
  ]);
}

function ackDetails(version: Version, type: AckType, bytes: Uint8Array, start: number, end: number): Details {
  const fields = new AckFields();
  const error = decodeAck(type, bytes, start, end, version, fields);
  if (error !== undefined) return error;
  return [`id=${fields.packetId}`, fields.reason === 0 ? '' : reasonText(fields.reason), ...propertyWords(fields.properties)];
}

function propertyWords(properties: Partial<Properties> | undefined): string[] {
  if (properties === undefined) return [];
  const { userProperties, ...others } = properties;
  const words = Object.entries(others).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const label = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    if (value instanceof Uint8Array) return [`${label}=${value.length} bytes`];
    if (typeof value === 'string') return [`${label}=${quoted(value)}`];
    return [`${label}=${typeof value === 'object' ? value.join(',') : value}`];
  });
  if (userProperties !== undefined) words.push(`user-properties=${userProperties.length}`);
  return words;
}

/** Nothing that a client sends may move the operator's cursor. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

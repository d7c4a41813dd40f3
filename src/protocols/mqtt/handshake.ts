// What CONNECT asks for, what it gets, and in which words it is told. Pure: no state, nothing is sent.

import type { AttachRequest, Will } from '../../broker/port.ts';
import { Message } from '../../message/message.ts';
import type { Credentials, Principal } from '../../security/security.ts';
import type { WireFacts } from '../protocol.ts';
import { largestPacketBytes } from './client-writer.ts';
import {
  type Connack,
  type Connect,
  type ConnackProperties,
  DecodeError,
  isUtf8,
  protocolError,
  ReasonCode,
  type WillPacket,
} from './codec/index.ts';
import { toNeutral } from './convert.ts';
import { agreeOnKeepAlive, type KeepAliveAgreement } from './keep-alive.ts';
import type { MqttOptions } from './options.ts';
import { hasWildcard } from './publisher.ts';

/** In MQTT: for ever. */
const foreverSec = 0xffff_ffff;
const assignedIdBytes = 16;
/** Sessions of peers of other protocols have names that begin with them; see docs/mapping.md. */
const reservedIdPrefixes = ['$amqp/', '$coap/', '$http/', '$stomp/'];

/** What a connection is granted, as long as its CONNECT is of use. */
export type Terms = {
  readonly connect: Connect;
  readonly clientId: string;
  /** The client left its identifier to us. */
  readonly assigned: boolean;
  readonly sessionExpirySec: number;
  readonly keepAlive: KeepAliveAgreement;
};

/** Why the connection is refused whoever the client is. [MQTT-3.1.4-1] [MQTT-3.1.4-2] */
export function faultOf(connect: Connect, options: MqttOptions): DecodeError | undefined {
  return clientIdFault(connect, options) ?? (connect.will === undefined ? undefined : willFault(connect.will, options));
}

function clientIdFault({ version, clientId, cleanStart }: Connect, options: MqttOptions): DecodeError | undefined {
  if (clientId === '') {
    // 3.1 has no such thing; [MQTT-3.1.3-7] [MQTT-3.1.3-8] of 3.1.1: only for a session that ends with its connection.
    const possible = options.assignClientId && (version === 5 || (version === 4 && cleanStart));
    return possible ? undefined : new DecodeError(ReasonCode.clientIdentifierNotValid, 'an empty client identifier is not accepted');
  }
  // Nobody takes over the link of a peer that speaks AMQP or the subscription of one that speaks HTTP, or sees what they are owed.
  const reserved = reservedIdPrefixes.find((prefix) => clientId.startsWith(prefix));
  if (reserved !== undefined) {
    return new DecodeError(ReasonCode.clientIdentifierNotValid, `client identifiers that begin with ${reserved} are reserved`);
  }
  // [MQTT-3.1.3-5]: no shorter than 23 bytes by checkMqttOptions. 3.1's own limit of 23 is not enforced, as nobody does.
  if (clientId.length * 3 > options.maxClientIdBytes && Buffer.byteLength(clientId) > options.maxClientIdBytes) {
    return new DecodeError(ReasonCode.clientIdentifierNotValid, `the client identifier is longer than ${options.maxClientIdBytes} bytes`);
  }
  return undefined;
}

function willFault(will: WillPacket, options: MqttOptions): DecodeError | undefined {
  const { topic, properties } = will;
  if (will.qos > options.maxQos) return new DecodeError(ReasonCode.qosNotSupported, `will above QoS ${options.maxQos}`); // [MQTT-3.2.2-12]
  if (will.retain && !options.retainAvailable) return new DecodeError(ReasonCode.retainNotSupported, 'retained messages are not offered'); // [MQTT-3.2.2-13]
  const badTopic =
    topic === '' || hasWildcard(topic) || tooDeep(topic, options.maxTopicLevels) || Buffer.byteLength(topic) > options.maxTopicBytes;
  if (badTopic) return new DecodeError(ReasonCode.topicNameInvalid, 'the topic of the will is not accepted');
  if (properties === undefined) return undefined;
  if (properties.responseTopic !== undefined && hasWildcard(properties.responseTopic)) return protocolError('wildcard in a response topic'); // [MQTT-3.3.2-14]
  if (properties.payloadFormatIndicator === 1 && options.payloadFormatCheck && !isUtf8(will.payload, 0, will.payload.length)) {
    return new DecodeError(ReasonCode.payloadFormatInvalid, 'the payload of the will is not UTF-8');
  }
  return undefined;
}

function tooDeep(topic: string, maxLevels: number): boolean {
  return topic.split('/', maxLevels + 1).length > maxLevels;
}

/** [MQTT-3.1.3-6] [MQTT-3.2.2-16]: `randomBytes` makes the identifier one that nobody has. */
export function termsOf(connect: Connect, options: MqttOptions, randomBytes: (length: number) => Uint8Array): Terms {
  const assigned = connect.clientId === '';
  return {
    connect,
    assigned,
    clientId: assigned ? `auto-${Buffer.from(randomBytes(assignedIdBytes)).toString('hex')}` : connect.clientId,
    sessionExpirySec: grantedExpirySec(askedExpirySec(connect), options),
    keepAlive: agreeOnKeepAlive(connect.version, connect.keepAlive, options),
  };
}

/** How long the client wants its session to outlive the connection. */
export function askedExpirySec({ version, cleanStart, properties }: Connect): number {
  if (version === 5) return properties?.sessionExpiryInterval ?? 0;
  return cleanStart ? 0 : foreverSec; // §3.1.2.4 of 3.1.1
}

export function grantedExpirySec(askedSec: number, options: MqttOptions): number {
  return Math.min(askedSec, options.maxSessionExpirySec);
}

export function expiryMs(sec: number): number {
  return sec === foreverSec ? Infinity : sec * 1000;
}

export function credentialsOf({ connect, clientId }: Terms, facts: WireFacts): Credentials {
  return {
    listener: facts.listener,
    remoteAddress: facts.remoteAddress,
    secure: facts.secure,
    clientId,
    username: connect.username,
    password: connect.password,
    certificate: facts.peerCertificate,
    ...(facts.pskIdentity !== undefined && { pskIdentity: facts.pskIdentity }),
  };
}

const protocolNames = { 3: 'MQTT 3.1', 4: 'MQTT 3.1.1', 5: 'MQTT 5.0' } as const;

export function attachRequestOf(terms: Terms, principal: Principal, facts: WireFacts, nowMs: number): AttachRequest {
  const { connect } = terms;
  const { properties } = connect;
  return {
    principal,
    clientId: terms.clientId,
    protocol: protocolNames[connect.version],
    remoteAddress: facts.remoteAddress,
    listener: facts.listener,
    cleanStart: connect.cleanStart,
    sessionExpiryMs: expiryMs(terms.sessionExpirySec),
    will: connect.will === undefined ? undefined : willOf(connect.will, principal, nowMs),
    // 3.1 and 3.1.1 can only close the connection.
    canRefuse: connect.version === 5,
    receiveMaximum: properties?.receiveMaximum ?? 65_535,
    maxPacketBytes: properties?.maximumPacketSize ?? largestPacketBytes,
  };
}

/**
 * The will as a message that owns its bytes. Its life counts from when it is published: until then `expiresAtMs` minus
 * `acceptedAtMs` is how long that is.
 */
function willOf(will: WillPacket, principal: Principal, nowMs: number): Will {
  const { topic, payload, qos, retain, properties } = will;
  const { attributes, priority } = toNeutral(properties);
  const lifeSec = properties?.messageExpiryInterval;
  const expiresAtMs = lifeSec === undefined ? 0 : nowMs + lifeSec * 1000;
  const topicBytes = new Uint8Array(Buffer.from(topic));
  const message = new Message(
    topic,
    topicBytes,
    new Uint8Array(payload),
    0,
    payload.length,
    qos,
    retain,
    priority,
    expiresAtMs,
    nowMs,
    principal.id,
    attributes,
  );
  return { message, delayMs: (properties?.willDelayInterval ?? 0) * 1000 };
}

/** The positive CONNACK. [MQTT-3.1.4-5] */
export function connackOf(
  terms: Terms,
  sessionPresent: boolean,
  options: MqttOptions,
  authentication: ConnackProperties | undefined,
): Connack {
  const { connect, clientId } = terms;
  if (connect.version !== 5) return { sessionPresent, reason: ReasonCode.success };
  const properties: ConnackProperties = {
    ...authentication,
    sessionExpiryInterval: terms.sessionExpirySec === askedExpirySec(connect) ? undefined : terms.sessionExpirySec,
    receiveMaximum: options.receiveMaximum === 65_535 ? undefined : options.receiveMaximum,
    maximumQos: options.maxQos === 2 ? undefined : options.maxQos, // [MQTT-3.2.2-9]
    retainAvailable: options.retainAvailable ? undefined : false,
    maximumPacketSize: options.maxPacketBytes >= largestPacketBytes ? undefined : options.maxPacketBytes,
    assignedClientIdentifier: terms.assigned ? clientId : undefined, // [MQTT-3.1.3-7]
    topicAliasMaximum: options.topicAliasMaximum === 0 ? undefined : options.topicAliasMaximum,
    wildcardSubscriptionAvailable: options.wildcardSubscriptionsAvailable ? undefined : false,
    subscriptionIdentifiersAvailable: options.subscriptionIdentifiersAvailable ? undefined : false,
    sharedSubscriptionAvailable: options.sharedSubscriptionsAvailable ? undefined : false,
    serverKeepAlive: terms.keepAlive.serverKeepAliveSec,
    responseInformation: responseInformation(terms, options),
  };
  return { sessionPresent, reason: ReasonCode.success, properties };
}

/** [MQTT-3.1.2-28] */
function responseInformation({ connect, clientId }: Terms, { responseTopicPrefix }: MqttOptions): string | undefined {
  if (connect.properties?.requestResponseInformation !== true || responseTopicPrefix === '') return undefined;
  return `${responseTopicPrefix}${clientId}/`;
}

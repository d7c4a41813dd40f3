// What a peer's open asks for, and what it is answered. Pure: no state, nothing is sent.

import type { AttachRequest } from '../../broker/port.ts';
import type { Principal } from '../../security/security.ts';
import type { WireFacts } from '../protocol.ts';
import { anonymousRelayCapability, delayedDeliveryCapability, sharedSubscriptionsCapability } from './address.ts';
import {
  type AmqpError,
  AmqpFault,
  type AmqpValue,
  Condition,
  type Fields,
  minMaxFrameSize,
  type Open,
  stringValue,
  symbolValue,
} from './codec/index.ts';
import type { AmqpServer } from './server.ts';

/** Qpid JMS asks for it when it was given a client id: nobody else may have the same. */
export const soleConnectionCapability = 'sole-connection-for-container';

const capabilities = [anonymousRelayCapability, delayedDeliveryCapability, sharedSubscriptionsCapability] as const;
const longestPeerFrame = 0xffff_ffff;
const none = 0;

/** Why the connection is refused whoever the peer is. */
export function openFault(open: Open, server: AmqpServer): AmqpFault | undefined {
  const { maxContainerIdBytes, minPeerIdleTimeoutMs } = server.options;
  const { containerId, maxFrameSize = longestPeerFrame, idleTimeOut = none } = open;
  if (containerId.length === 0 || Buffer.byteLength(containerId) > maxContainerIdBytes) {
    return new AmqpFault(Condition.invalidField, `a container id has 1 to ${maxContainerIdBytes} bytes`);
  }
  // [AMQP 2.7.1]
  if (maxFrameSize < minMaxFrameSize) return new AmqpFault(Condition.invalidField, `max-frame-size is below ${minMaxFrameSize}`);
  // [AMQP 2.4.5] Who cannot keep a peer's time-out says so.
  if (idleTimeOut !== none && idleTimeOut < minPeerIdleTimeoutMs) {
    return new AmqpFault(Condition.notAllowed, `an idle time-out below ${minPeerIdleTimeoutMs} ms is not kept here`);
  }
  return undefined;
}

export function wantsToBeSole({ desiredCapabilities }: Open): boolean {
  return desiredCapabilities?.includes(soleConnectionCapability) === true;
}

export function openAnswer(asked: Open | undefined, server: AmqpServer, maxFrameSize: number, failing = false): Open {
  const { options, product } = server;
  const sole = asked !== undefined && wantsToBeSole(asked);
  const properties = new Map<string, AmqpValue>([['product', stringValue(product.name)]]);
  if (product.version !== '') properties.set('version', stringValue(product.version));
  if (product.platform !== undefined) properties.set('platform', stringValue(product.platform));
  // Tells clients of AMQP JMS that a close follows at once, instead of letting them begin.
  if (failing) properties.set('amqp:connection-establishment-failed', { type: 'boolean', value: true });
  return {
    type: 'open',
    containerId: options.containerId,
    maxFrameSize,
    channelMax: options.channelMax,
    // [AMQP 2.4.5] Half of what is kept, so that a peer that is a little late is not cut.
    ...(options.idleTimeoutMs > 0 && { idleTimeOut: Math.floor(options.idleTimeoutMs / 2) }),
    offeredCapabilities: sole ? [...capabilities, soleConnectionCapability] : capabilities,
    properties,
  };
}

/** What Qpid JMS takes for "your client id is in use". */
export const containerInUse: AmqpError = {
  type: 'error',
  condition: Condition.invalidField,
  description: 'the container id is in use by another connection',
  info: new Map([['invalid-field', symbolValue('container-id')]]) satisfies Fields,
};

/** The broker session of a connection: its links are parts of it. */
export function connectionAttachRequest(containerId: string, principal: Principal, facts: WireFacts, serial: number): AttachRequest {
  const name = containerId.replaceAll('%', '%25').replaceAll('/', '%2F');
  return {
    principal,
    clientId: `$amqp/${name}/#${serial}`,
    connectsAs: containerId,
    protocol: 'AMQP 1.0',
    remoteAddress: facts.remoteAddress,
    listener: facts.listener,
    cleanStart: true,
    sessionExpiryMs: 0,
    will: undefined,
    receiveMaximum: 1,
    maxPacketBytes: 0xffff_ffff,
  };
}

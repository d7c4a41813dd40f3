// What a sending peer asks for in its attach, and what it gets. Pure: no state, nothing is sent.

import type { AttachRequest } from '../../broker/port.ts';
import { addressOfTopic, terminusExpiryMs } from './address.ts';
import { acceptedState, type DeliveryState, ReceiverSettleMode, type Target, type UnsettledMap } from './codec/index.ts';
import type { PublishNode } from './incoming-link.ts';
import type { AttachAnswer, LinkHost } from './link.ts';
import { terminusRequest } from './terminus-request.ts';

/** Nothing is delivered on such a link. */
const noDeliveries = { receiveMaximum: 1, maxPacketBytes: 0xffff_ffff };

/** The broker session of a link on which the peer sends. It outlives its connection as long as its target does. */
export function attachRequestOf(host: LinkHost): AttachRequest {
  const sessionExpiryMs = expiryOf(host);
  return {
    principal: host.principal,
    clientId: host.brokerSessionName,
    protocol: 'AMQP 1.0',
    remoteAddress: host.facts.remoteAddress,
    listener: host.facts.listener,
    cleanStart: sessionExpiryMs === 0,
    sessionExpiryMs,
    will: undefined,
    ...noDeliveries,
    partOf: host.connectionSession,
  };
}

function expiryOf({ asked, server }: LinkHost): number {
  const { target } = asked;
  return target?.type === 'target' ? terminusExpiryMs(terminusRequest(target), server.options.maxLinkExpiryMs) : 0;
}

/** `taken`: the deliveries that the peer may ask for and that we have. */
export function answerOf(host: LinkHost, node: PublishNode, taken: ReadonlySet<string>): AttachAnswer {
  const { asked, server } = host;
  const unsettled: ReadonlyMap<string, DeliveryState> = new Map([...taken].map((tag) => [tag, acceptedState]));
  return {
    source: asked.source,
    target: targetOf(host, node),
    sndSettleMode: asked.sndSettleMode,
    rcvSettleMode: asked.rcvSettleMode ?? ReceiverSettleMode.first,
    // [AMQP 2.7.3] Of a link that was not there before the map is null.
    ...((asked.unsettled !== undefined || unsettled.size > 0) && { unsettled }),
    maxMessageSize: BigInt(server.options.maxMessageBytes),
  };
}

/** The target as it is [AMQP 2.6.3]: what was made for the peer, and what its terminus keeps. Its time runs from the loss of the link. */
function targetOf({ asked, server }: LinkHost, node: PublishNode): Target {
  const target: Target = asked.target?.type === 'target' ? asked.target : { type: 'target' };
  const request = terminusRequest(target);
  const granted = terminusExpiryMs(request, server.options.maxLinkExpiryMs);
  return {
    ...target,
    ...(node.kind === 'topic' && target.dynamic === true && { address: addressOfTopic(node.topic) }),
    ...(granted === 0 && { durable: 0 }),
    ...(granted === Infinity ? { expiryPolicy: 'never' } : { expiryPolicy: 'link-detach', timeout: Math.floor(granted / 1000) }),
  };
}

/**
 * What a re-attach finds of deliveries that settle second. `taken`: the peer may still speak of them; `forgotten`: it will not.
 * [AMQP 2.6.13]
 */
export function acceptedTags(
  peers: UnsettledMap | undefined,
  incomplete: boolean | undefined,
  published: readonly string[],
): { readonly taken: Set<string>; readonly forgotten: readonly string[] } {
  const taken = new Set<string>();
  const forgotten: string[] = [];
  for (const tag of published) {
    if (incomplete === true || peers?.has(tag) === true) taken.add(tag);
    else forgotten.push(tag);
  }
  return { taken, forgotten };
}

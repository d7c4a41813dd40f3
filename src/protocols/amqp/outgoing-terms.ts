// What a receiving peer asks for with its attach, and what it is granted: the one place that reads its source and writes ours.

import type { AttachRequest, SubscribeRequest } from '../../broker/port.ts';
import { hasWildcard } from '../../message/filter.ts';
import { parseSelector } from '../../message/selector/selector.ts';
import { addressOfTopic, Capability, sharedSubscriptionsCapability, sourceNode, type SourceNode, terminusExpiryMs } from './address.ts';
import {
  type AmqpFault,
  type AmqpOutcome,
  AmqpFault as Fault,
  type Attach,
  Condition,
  type ExpiryPolicy,
  type Fields,
  lifetimePolicy,
  ReceiverSettleMode,
  SenderSettleMode,
  type Source,
  trueValue,
  ValueWriter,
  writePerformative,
} from './codec/index.ts';
import { readFilters, type SourceFilters } from './filters.ts';
import type { LinkHost } from './link.ts';
import { plainOutcome } from './settlements.ts';
import { terminusRequest } from './terminus-request.ts';

/** Desired and offered: each message says who sent it. */
export const senderCapability = 'heliograph:sender';
/** Property of a link: boolean true asks for the queue alone. */
const exclusiveProperty = 'heliograph:exclusive';

const scratch = new ValueWriter(1024);
/** However large the peer's frames may be. */
const maxAnswerBytes = 1 << 20;
/** The head of a frame (8), that of a map (9), and of a list that is long with it and would be short without (6). */
const frameAndMapBytes = 23;

/** All that our deliveries can end with [AMQP 3.4]. */
const outcomes = ['amqp:accepted:list', 'amqp:rejected:list', 'amqp:released:list', 'amqp:modified:list'] as const;

/** What a delivery is when a peer settles it and says nothing: it is not lost, and it is not sent for ever. */
const defaultOutcome: AmqpOutcome = { type: 'modified', deliveryFailed: true };

type OpenNode = Exclude<SourceNode, { readonly kind: 'refused' } | { readonly kind: 'service' }>;

export type OutgoingTerms = {
  readonly node: OpenNode;
  readonly filters: SourceFilters;
  /** Everything is sent settled, everything unsettled, or what is delivered at most once settled. */
  readonly sndSettleMode: SenderSettleMode;
  readonly settlesSecond: boolean;
  /** How long the terminus lives when the event that its policy names has come; 0: not at all. */
  readonly expiryMs: number;
  readonly expiryPolicy: ExpiryPolicy;
  readonly exclusive: boolean;
  readonly showsSender: boolean;
  /** The dynamic node outlives the link: it is the connection's. */
  readonly nodeOutlivesLink: boolean;
  readonly defaultOutcome: AmqpOutcome;
};

/** What the peer asks for, or why it cannot have it. */
export function readTerms(host: LinkHost): OutgoingTerms | AmqpFault {
  const { asked, server } = host;
  const { source } = asked;
  const request = source && terminusRequest(source);
  const link = { linkName: host.name, containerId: host.containerId, desiredCapabilities: asked.desiredCapabilities ?? [] };
  const node = sourceNode(request, link, server.options);
  if (node.kind === 'refused') return node.fault;
  if (node.kind === 'service') return new Fault(Condition.internalError, 'a node of the broker is served by another link');
  const filters = readFilters(source?.filter);
  if (filters instanceof Fault) return filters;
  const fault = selectorFault(filters);
  if (fault !== undefined) return fault;
  return {
    node,
    filters,
    sndSettleMode: asked.sndSettleMode ?? SenderSettleMode.mixed,
    settlesSecond: asked.rcvSettleMode === ReceiverSettleMode.second && asked.sndSettleMode !== SenderSettleMode.settled,
    expiryMs: request === undefined ? server.options.maxLinkExpiryMs : terminusExpiryMs(request, server.options.maxLinkExpiryMs),
    expiryPolicy: request === undefined ? 'link-detach' : grantedPolicy(node, request.expiryPolicy),
    exclusive: asked.properties?.get(exclusiveProperty)?.value === true,
    showsSender: asked.desiredCapabilities?.includes(senderCapability) === true,
    nodeOutlivesLink: outlivesLink(source?.dynamicNodeProperties),
    defaultOutcome: plainOutcome(source?.defaultOutcome ?? defaultOutcome),
  };
}

/** The broker would refuse it, too, but could not say why. */
function selectorFault({ selector }: SourceFilters): AmqpFault | undefined {
  const parsed = selector === undefined ? undefined : parseSelector(selector);
  if (parsed === undefined || parsed.ok) return undefined;
  const { message, at } = parsed.fault;
  return new Fault(Condition.invalidField, `the selector cannot be read at character ${at + 1}: ${message}`);
}

/** [AMQP 3.5.10] to [AMQP 3.5.13] A node that is not to go with its link goes with its connection. */
function outlivesLink(properties: Fields | undefined): boolean {
  const policy = lifetimePolicy(properties?.get('lifetime-policy'));
  return policy !== undefined && policy !== 'delete-on-close';
}

/**
 * How long the broker session lives without its link: of shared subscriptions it is the subscription that lives on, unless what
 * the link has unsettled must be found again: exactly once.
 */
/**
 * [AMQP 3.5.6] A topic is kept for a link that is detached as long as its session or connection is there. Of others nothing is to be
 * kept: what is under way from a queue goes back to it.
 */
function grantedPolicy({ kind }: OpenNode, asked: string): ExpiryPolicy {
  if (asked === 'never' || (kind === 'topic' && (asked === 'session-end' || asked === 'connection-close'))) return asked;
  return 'link-detach';
}

/** The terminus outlives its link, whatever its time. */
export function isSuspendable({ expiryPolicy }: OutgoingTerms): boolean {
  return expiryPolicy === 'session-end' || expiryPolicy === 'connection-close';
}

export function sessionExpiryMs({ node, expiryMs, settlesSecond }: OutgoingTerms): number | undefined {
  // Who only looks at what is there leaves its time as it is.
  if (node.kind === 'existing') return undefined;
  return (node.kind === 'shared' && !settlesSecond) || node.kind === 'temporary' ? 0 : expiryMs;
}

export function attachRequest(host: LinkHost, terms: OutgoingTerms): Omit<AttachRequest, 'cleanStart'> {
  const { asked, facts, server } = host;
  const maxMessageBytes = Number(asked.maxMessageSize ?? 0n);
  return {
    principal: host.principal,
    clientId: host.brokerSessionName,
    protocol: 'AMQP 1.0',
    remoteAddress: facts.remoteAddress,
    listener: facts.listener,
    sessionExpiryMs: sessionExpiryMs(terms) ?? 0,
    keepsExpiry: terms.node.kind === 'existing',
    will: undefined,
    receiveMaximum: server.options.maxUnsettledPerLink,
    maxPacketBytes: maxMessageBytes === 0 ? 0xffff_ffff : Math.min(maxMessageBytes, 0xffff_ffff),
    partOf: host.connectionSession,
    queuesAtMostOnce: true,
    deadLetters: terms.sndSettleMode !== SenderSettleMode.settled,
  };
}

/** `filter`: what the node has turned out to be, for a dynamic one. */
export function subscribeRequest(terms: OutgoingTerms, filter: string): SubscribeRequest {
  const { node, filters, exclusive } = terms;
  return {
    filter,
    guarantee: terms.sndSettleMode === SenderSettleMode.settled ? 0 : terms.settlesSecond ? 2 : 1,
    noLocal: filters.noLocal,
    retainAsPublished: false,
    retainHandling: filters.retained === 'never' ? 'never' : filters.retained === 'only' ? 'always' : 'ifNew',
    subscriptionId: 0,
    ...(filters.selector !== undefined && { selector: filters.selector }),
    ...(node.kind === 'queue' && node.browse && { browse: true }),
    ...(exclusive && node.kind === 'queue' && { exclusive: true }),
    ...(filters.retained === 'only' && { retainedOnly: true }),
    ...(node.kind === 'shared' && { sharedExpiryMs: node.outlivesMembers ? terms.expiryMs : 0 }),
  };
}

/** Messages of several topics may come by it. */
export function hasSeveralTopics(filter: string): boolean {
  return hasWildcard(filter);
}

/** The rest of the answer to the attach: what the peer gets [AMQP 2.6.3]. */
/** `sessionMs`: how long its broker session lives without it. */
export function grantedAttach(
  host: LinkHost,
  terms: OutgoingTerms,
  filter: string,
  sessionMs = 0,
): Omit<Attach, 'type' | 'name' | 'handle' | 'role'> {
  const { asked } = host;
  const offered = [sharedSubscriptionsCapability, senderCapability].filter((name) => asked.desiredCapabilities?.includes(name));
  return {
    sndSettleMode: terms.sndSettleMode,
    // As asked, also where all is settled and it makes no difference: go-amqp gives up when it gets another mode than it wants.
    rcvSettleMode: asked.rcvSettleMode ?? ReceiverSettleMode.first,
    source: grantedSource(terms, asked.source, filter, terms.node.kind === 'existing' ? sessionMs : terms.expiryMs),
    target: asked.target,
    initialDeliveryCount: 0,
    ...(offered.length > 0 && { offeredCapabilities: offered }),
    ...(terms.exclusive && { properties: new Map([[exclusiveProperty, trueValue]]) }),
  };
}

/** Bytes that the frame which answers the attach has for the entries of its map of unsettled deliveries. */
export function roomInAnswer(host: LinkHost, terms: OutgoingTerms, filter: string): number {
  const answer = { ...grantedAttach(host, terms, filter), incompleteUnsettled: true };
  writePerformative(scratch.reset(), { type: 'attach', name: host.name, handle: host.handle, role: 'sender', ...answer });
  return Math.max(0, Math.min(host.session.maxFrameBytes, maxAnswerBytes) - frameAndMapBytes - scratch.length);
}

function grantedSource(terms: OutgoingTerms, asked: Source | undefined, filter: string, expiryMs: number): Source {
  const { node, filters, expiryPolicy } = terms;
  const forEver = expiryMs === Infinity;
  const outlives = expiryMs > 0 && node.kind !== 'temporary';
  return {
    type: 'source',
    address: grantedAddress(terms, asked, filter),
    durable: outlives ? asked?.durable : 0,
    expiryPolicy: forEver ? 'never' : expiryPolicy === 'never' ? 'link-detach' : expiryPolicy,
    timeout: forEver ? 0 : Math.ceil(expiryMs / 1000),
    ...(asked?.dynamic === true && { dynamic: true, dynamicNodeProperties: asked.dynamicNodeProperties }),
    distributionMode: movesMessages(node) ? 'move' : 'copy',
    filter: filters.honoured,
    defaultOutcome: terms.defaultOutcome,
    outcomes,
    capabilities: grantedCapabilities(terms, asked, filter),
  };
}

/** [AMQP 3.5.7] Each message goes to one of the links there are. */
function movesMessages(node: OpenNode): boolean {
  return (node.kind === 'queue' && !node.browse) || node.kind === 'shared' || (node.kind === 'temporary' && node.node === 'queue');
}

/** The address that the peer gave is a good one; where it gave none, or a shorter one, it is told. */
function grantedAddress({ node }: OutgoingTerms, asked: Source | undefined, filter: string): string {
  return node.kind === 'existing' || node.kind === 'temporary' || asked?.address === undefined ? addressOfTopic(filter) : asked.address;
}

function grantedCapabilities({ node }: OutgoingTerms, asked: Source | undefined, filter: string): readonly string[] {
  const isQueue = filter.startsWith('$queue/');
  switch (node.kind) {
    case 'temporary':
      return [node.node === 'topic' ? Capability.temporaryTopic : Capability.temporaryQueue];
    case 'shared':
      return [
        Capability.topic,
        Capability.shared,
        ...(asked?.capabilities?.includes(Capability.global) === true ? [Capability.global] : []),
      ];
    default:
      return [isQueue ? Capability.queue : Capability.topic];
  }
}

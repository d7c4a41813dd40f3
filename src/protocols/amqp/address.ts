// What a peer means by a terminus: its address, capabilities and durability in, what to ask the broker for out. Pure.
//
// Written so that the usual clients get what they expect: Qpid JMS says by capabilities what a plain address is, and by the name
// of the link which subscription it wants; Proton, rhea, go-amqp, AMQP.Net Lite and the Azure SDKs say nothing but the address.

import type { ReplyAddress } from '../../message/attributes.ts';
import { parseFilter } from '../../message/filter.ts';
import { topicProblem } from '../../message/topic.ts';
import { AmqpFault, Condition } from './codec/index.ts';

/** Capabilities of a terminus that say what its node is [AMQP-JMS 5.3]. */
export const Capability = {
  queue: 'queue',
  topic: 'topic',
  temporaryQueue: 'temporary-queue',
  temporaryTopic: 'temporary-topic',
  /** Several links have one subscription [AMQP-JMS 5.3.5]. */
  shared: 'shared',
  /** Its name stands for itself, not for itself within a container id. */
  global: 'global',
} as const;

/** Offered on links and connections that ask for it: Qpid JMS makes shared consumers only then. */
export const sharedSubscriptionsCapability = 'SHARED-SUBS';
export const delayedDeliveryCapability = 'DELAYED_DELIVERY';
export const anonymousRelayCapability = 'ANONYMOUS-RELAY';

const queueScheme = 'queue:';
const topicScheme = 'topic:';
const queuePrefix = '$queue/';
const sharePrefix = '$share/';
/** Where clients of Azure ask for what is not in AMQP itself: to peek, to renew a lock. */
const managementOfEntity = '/$management';

/** Nodes that the broker itself answers at. */
export const serviceNodes = ['$management', '$cbs'] as const;
export type ServiceNode = (typeof serviceNodes)[number];

export type TerminusRequest = {
  readonly address: string | undefined;
  readonly dynamic: boolean;
  readonly capabilities: readonly string[];
  /** Terminus durability: 0 none, 1 configuration, 2 unsettled state [AMQP 3.5.5]. */
  readonly durable: number;
  readonly expiryPolicy: string;
  readonly timeoutSeconds: number;
  /** Of a source: `copy` leaves the messages of a queue where they are [AMQP 3.5.7]. */
  readonly distributionMode?: string | undefined;
};

export type LinkIdentity = {
  readonly linkName: string;
  readonly containerId: string;
  /** Desired capabilities of the attach itself: say with a null source whose subscription is meant. */
  readonly desiredCapabilities: readonly string[];
};

export type AddressRules = {
  /** What an address without scheme and capability names. */
  readonly plainAddress: 'topic' | 'queue';
  readonly maxTopicBytes: number;
  readonly maxTopicLevels: number;
};

export type SourceNode =
  /** `filter` is as SubscribeRequest.filter wants it. */
  | { readonly kind: 'topic'; readonly filter: string }
  | { readonly kind: 'queue'; readonly filter: string; readonly browse: boolean }
  | { readonly kind: 'shared'; readonly filter: string; readonly group: string; readonly outlivesMembers: boolean }
  | { readonly kind: 'temporary'; readonly node: 'queue' | 'topic' }
  | { readonly kind: 'service'; readonly name: ServiceNode }
  /** No source: what the link of this name has, or else the shared subscriptions of `group`, for whoever wants to end them. */
  | { readonly kind: 'existing'; readonly group: string }
  | { readonly kind: 'refused'; readonly fault: AmqpFault };

export type TargetNode =
  /** `topic` is as Session.address wants it: a topic, or `$queue/<name>`. */
  | { readonly kind: 'topic'; readonly topic: string }
  | { readonly kind: 'temporary'; readonly node: 'queue' | 'topic' }
  | { readonly kind: 'service'; readonly name: ServiceNode }
  /** Each message names its own by `to`. */
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'refused'; readonly fault: AmqpFault };

/** What the source of a link that sends to the peer asks for. `source` undefined: the peer gave none. */
export function sourceNode(source: TerminusRequest | undefined, link: LinkIdentity, rules: AddressRules): SourceNode {
  if (source === undefined) return { kind: 'existing', group: sharedGroup(link, link.desiredCapabilities, true) };
  if (source.dynamic) return dynamicNode(source);
  if (source.address === undefined) return refused(Condition.invalidField, 'a source needs an address, or must be dynamic');
  const service = serviceNodes.find((name) => name === source.address);
  if (service !== undefined) return { kind: 'service', name: service };
  const place = placeOf(source.address, source.capabilities, rules);
  if (place instanceof AmqpFault) return { kind: 'refused', fault: place };
  const shared = place.kind === 'topic' && source.capabilities.includes(Capability.shared) && !place.name.startsWith(sharePrefix);
  const group = shared ? sharedGroup(link, source.capabilities, isDurable(source)) : '';
  const filter = place.kind === 'queue' ? queuePrefix + place.name : shared ? `${sharePrefix}${group}/${place.name}` : place.name;
  if (Buffer.byteLength(filter) > rules.maxTopicBytes) return refused(Condition.invalidField, 'the address is too long');
  const parsed = parseFilter(filter, rules.maxTopicLevels);
  switch (parsed.kind) {
    case 'invalid':
      return refused(Condition.invalidField, parsed.problem);
    case 'plain':
      return { kind: 'topic', filter };
    case 'shared':
      return { kind: 'shared', filter, group: parsed.group, outlivesMembers: isDurable(source) };
    case 'queue':
      return { kind: 'queue', filter, browse: source.distributionMode === 'copy' };
  }
}

/** What the target of a link that the peer sends on asks for. `target` undefined: the peer gave none. */
export function targetNode(target: TerminusRequest | undefined, rules: AddressRules): TargetNode {
  if (target === undefined) return refused(Condition.invalidField, 'a sending link needs a target');
  if (target.dynamic) return dynamicNode(target);
  // ANONYMOUS-RELAY: a target without address.
  if (target.address === undefined || target.address === '') return { kind: 'anonymous' };
  const service = serviceNodes.find((name) => name === target.address);
  if (service !== undefined) return { kind: 'service', name: service };
  const topic = topicOf(target.address, target.capabilities, rules);
  return topic instanceof AmqpFault ? { kind: 'refused', fault: topic } : { kind: 'topic', topic };
}

/**
 * Where a message goes whose `to` is this address (anonymous terminus): a topic, or `$queue/<name>`. `destinationType` is the
 * annotation `x-opt-jms-dest`, where the message has one.
 */
export function topicOfTo(to: string, destinationType: number | undefined, rules: AddressRules): string | AmqpFault {
  return topicOf(to, capabilitiesOf(destinationType), rules);
}

function topicOf(address: string, capabilities: readonly string[], rules: AddressRules): string | AmqpFault {
  const place = placeOf(address, capabilities, rules);
  if (place instanceof AmqpFault) return place;
  const topic = place.kind === 'queue' ? queuePrefix + place.name : place.name;
  if (Buffer.byteLength(topic) > rules.maxTopicBytes) return new AmqpFault(Condition.invalidField, 'the address is too long');
  const problem = topicProblem(topic, rules.maxTopicLevels);
  return problem === undefined ? topic : new AmqpFault(Condition.invalidField, problem);
}

/** A reply-to address as the neutral message has it; the type is the annotation `x-opt-jms-reply-to`, where there is one. */
export function replyAddressOf(address: string, destinationType: number | undefined, plainAddress: 'topic' | 'queue'): ReplyAddress {
  const place = placeOf(address, capabilitiesOf(destinationType), { plainAddress });
  return place instanceof AmqpFault ? { kind: plainAddress, name: address } : place;
}

/** The other way: an address that every client can send to without knowing more. */
export function addressOfReply({ kind, name }: ReplyAddress): string {
  if (kind === 'queue') return queueAddress(name);
  return name.startsWith(queueScheme) || name.startsWith(topicScheme) ? topicScheme + name : name;
}

/** The address of a topic or `$queue/<name>`, as it stands in sources that the broker grants and in `to`. */
export function addressOfTopic(topic: string): string {
  if (topic.startsWith(queuePrefix)) return queueAddress(topic.slice(queuePrefix.length));
  return topic.startsWith(queueScheme) || topic.startsWith(topicScheme) ? topicScheme + topic : topic;
}

function queueAddress(name: string): string {
  return name.startsWith('//') ? `${queueScheme}//${name}` : queueScheme + name;
}

/** JMS destination types [AMQP-JMS 3.2.4.2]: queue, topic, and the temporary ones. */
function capabilitiesOf(destinationType: number | undefined): readonly string[] {
  return destinationType === undefined ? noCapabilities : (byDestinationType[destinationType] ?? noCapabilities);
}

const noCapabilities: readonly string[] = [];
const byDestinationType: readonly (readonly string[])[] = [
  [Capability.queue],
  [Capability.topic],
  [Capability.temporaryQueue],
  [Capability.temporaryTopic],
];

/** A scheme says what an address is; without one the capabilities do, and else the configuration. */
function placeOf(
  written: string,
  capabilities: readonly string[],
  { plainAddress }: Pick<AddressRules, 'plainAddress'>,
): ReplyAddress | AmqpFault {
  const address = withoutAuthority(written);
  const wantsQueue = capabilities.includes(Capability.queue);
  const wantsTopic = capabilities.includes(Capability.topic);
  // Or else who asks there would wait for ever at a queue of that name.
  if (address.endsWith(managementOfEntity)) return new AmqpFault(Condition.notFound, 'nodes have no $management of their own here');
  if (wantsQueue && wantsTopic) return new AmqpFault(Condition.invalidField, 'a node is a queue or a topic, not both');
  // A temporary node has the address that it was given when it was made, which has a scheme.
  const queueName = schemeless(address, queueScheme) ?? schemeless(address, queuePrefix);
  if (queueName !== undefined) {
    return wantsTopic
      ? new AmqpFault(Condition.invalidField, 'the address of a queue with the capability of a topic')
      : { kind: 'queue', name: queueName };
  }
  const topicName = schemeless(address, topicScheme) ?? (address.startsWith('$') ? address : undefined);
  if (topicName !== undefined) {
    return wantsQueue
      ? new AmqpFault(Condition.invalidField, 'the address of a topic with the capability of a queue')
      : { kind: 'topic', name: topicName };
  }
  if (wantsQueue || capabilities.includes(Capability.temporaryQueue)) return { kind: 'queue', name: address };
  if (wantsTopic || capabilities.includes(Capability.temporaryTopic)) return { kind: 'topic', name: address };
  return { kind: plainAddress, name: address };
}

/** Clients of Azure write the address of a node as a URL. Which host that names was decided when they connected. */
function withoutAuthority(address: string): string {
  if (!address.startsWith('amqp://') && !address.startsWith('amqps://')) return address;
  const path = address.indexOf('/', address.indexOf('://') + 3);
  return path === -1 ? address : address.slice(path + 1);
}

/** What follows the scheme; also as `queue://name`, which JMS users know from other brokers. */
function schemeless(address: string, scheme: string): string | undefined {
  if (!address.startsWith(scheme)) return undefined;
  return address.startsWith('//', scheme.length) && scheme.endsWith(':') ? address.slice(scheme.length + 2) : address.slice(scheme.length);
}

function dynamicNode({ capabilities, address }: TerminusRequest): TargetNode & SourceNode {
  // [AMQP 3.5.3] The address of a dynamic node is chosen by who makes it.
  if (address !== undefined) return refused(Condition.invalidField, 'a dynamic node must not be given an address');
  const topic = capabilities.includes(Capability.temporaryTopic) || capabilities.includes(Capability.topic);
  return { kind: 'temporary', node: topic ? 'topic' : 'queue' };
}

function refused(condition: Condition, message: string): { kind: 'refused'; fault: AmqpFault } {
  return { kind: 'refused', fault: new AmqpFault(condition, message) };
}

/** What follows the name of a subscription in the name of a link, where Qpid JMS means one that is not durable. */
const volatileConsumer = /^(global-)?volatile\d*$/;

/**
 * The group of a shared subscription. Its name is the link's up to the first `|`, what follows tells its consumers apart. With a
 * client id of its own (a container id that the user chose) a JMS application has the name to itself. Names of durable subscriptions
 * and of others are two things in JMS (Session.createSharedConsumer): Qpid JMS says in what follows the name that it means the latter.
 */
function sharedGroup({ linkName, containerId }: LinkIdentity, capabilities: readonly string[], durable: boolean): string {
  const bar = linkName.indexOf('|');
  const name = levelText(bar === -1 ? linkName : linkName.slice(0, bar));
  const rest = bar === -1 ? '' : linkName.slice(bar + 1);
  const isGlobal = capabilities.includes(Capability.global) || (capabilities.length === 0 && rest.startsWith('global'));
  const scope = isGlobal ? '' : levelText(containerId);
  if (!durable && volatileConsumer.test(rest)) return `${name}@${scope}@volatile`;
  return isGlobal ? name : `${name}@${scope}`;
}

/** A text as one level of a filter: what means something there is percent-encoded. */
function levelText(text: string): string {
  return text.replaceAll(/[%/+#@]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

function isDurable({ durable, expiryPolicy }: TerminusRequest): boolean {
  return durable > 0 || expiryPolicy === 'never';
}

/** The name of a link's broker session: role `in`, the peer sends; `out`, it receives. */
export function linkSessionName(containerId: string, role: 'in' | 'out', linkName: string): string {
  return `$amqp/${nameText(containerId)}/${role}/${nameText(linkName)}`;
}

function nameText(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('/', '%2F');
}

/**
 * How long a terminus outlives its link, in milliseconds [AMQP 3.5.6]: when the policy's event has come, the time-out runs.
 * Infinity: for ever.
 */
export function terminusExpiryMs({ expiryPolicy, timeoutSeconds }: TerminusRequest, maxMs: number): number {
  return Math.min(expiryPolicy === 'never' ? Infinity : timeoutSeconds * 1000, maxMs);
}

// What can be seen of the broker at `$management`: kinds of entities, with their attributes in the words of AMQP.

import type { BrokerManagement, PageOptions, QueueView, SessionView } from '../../../broker/management.ts';
import { type AmqpValue, falseValue, nullValue, stringValue, trueValue } from '../codec/index.ts';

/** A right that the management interface asks for too (docs/management.md). */
export type ManagedRight = 'queues:read' | 'queues:write' | 'sessions:read' | 'connections:read';

export type Attributes = ReadonlyMap<string, AmqpValue>;
export type EntityPage = { readonly entities: readonly Attributes[]; readonly next: string | undefined };

export type EntityKind = {
  readonly type: string;
  readonly attributes: readonly string[];
  readonly operations: readonly string[];
  readonly right: ManagedRight;
  /** `owner`: only what belongs to this principal. */
  page(management: BrokerManagement, tenant: string, options: PageOptions, owner: string | undefined): EntityPage;
};

const prefix = 'org.heliograph.';
const linkPrefix = '$amqp/';
const queuePrefix = '$queue/';

const common = ['name', 'identity', 'type'] as const;

function described(type: string, name: string, rest: Readonly<Record<string, AmqpValue>>): Attributes {
  const [own, typed] = [stringValue(name), stringValue(type)];
  return new Map<string, AmqpValue>([['name', own], ['identity', own], ['type', typed], ...Object.entries(rest)]);
}

function number(value: number): AmqpValue {
  return { type: 'long', value: BigInt(Math.trunc(value)) };
}

function time(ms: number | undefined): AmqpValue {
  return ms === undefined ? nullValue : { type: 'timestamp', value: BigInt(Math.trunc(ms)) };
}

function flag(value: boolean): AmqpValue {
  return value ? trueValue : falseValue;
}

function text(value: string | undefined): AmqpValue {
  return value === undefined ? nullValue : stringValue(value);
}

const queueType = `${prefix}queue`;

function queueOf({ name, kind, durable, messages, bytes, consumers, unsettled }: QueueView): Attributes {
  return described(queueType, kind === 'named' ? name.slice(queuePrefix.length) : name, {
    kind: stringValue(kind),
    durable: flag(durable),
    messageCount: number(messages),
    messageBytes: number(bytes),
    consumerCount: number(consumers),
    unsettledCount: number(unsettled),
  });
}

function sessionOf(type: string, session: SessionView): Attributes {
  return described(type, session.clientId, {
    principal: stringValue(session.principal),
    protocol: stringValue(session.protocol),
    connected: flag(session.connected),
    durable: flag(session.durable),
    remoteAddress: text(session.remoteAddress),
    listener: text(session.listener),
    connectedAt: time(session.connectedAtMs),
    expiry: session.expiryMs === Infinity ? nullValue : number(session.expiryMs / 1000),
    subscriptionCount: number(session.subscriptions),
    messageCount: number(session.queuedMessages),
    messageBytes: number(session.queuedBytes),
    unsettledCount: number(session.unsettled),
  });
}

const sessionAttributes = [
  ...common,
  'principal',
  'protocol',
  'connected',
  'durable',
  'remoteAddress',
  'listener',
  'connectedAt',
  'expiry',
  'subscriptionCount',
  'messageCount',
  'messageBytes',
  'unsettledCount',
];

/** Sessions that suit, a page of them at a time. */
function sessions(
  type: string,
  right: ManagedRight,
  wanted: { readonly connected?: boolean; suits(session: SessionView): boolean },
): EntityKind {
  return {
    type,
    attributes: sessionAttributes,
    operations: ['READ'],
    right,
    page(management, tenant, options, owner) {
      const who = owner === undefined ? {} : { principal: owner };
      const connected = wanted.connected === undefined ? {} : { connected: wanted.connected };
      const { entries, next } = management.sessions(tenant, { ...options, ...who, ...connected });
      return { entities: entries.filter((session) => wanted.suits(session)).map((session) => sessionOf(type, session)), next };
    },
  };
}

/** `$amqp/<container>/<in|out>/<link>`; that of a connection ends in `#<serial>`. */
function isLink({ clientId }: SessionView): boolean {
  return clientId.startsWith(linkPrefix) && clientId.split('/').length === 4;
}

const queues: EntityKind = {
  type: queueType,
  attributes: [...common, 'kind', 'durable', 'messageCount', 'messageBytes', 'consumerCount', 'unsettledCount'],
  operations: ['CREATE', 'READ', 'DELETE', 'PURGE'],
  right: 'queues:read',
  page(management, tenant, options, owner) {
    // Queues belong to nobody: without the right there are none to be seen.
    if (owner !== undefined) return { entities: [], next: undefined };
    const { entries, next } = management.queues(tenant, options);
    return { entities: entries.map(queueOf), next };
  },
};

export const entityKinds: readonly EntityKind[] = [
  queues,
  sessions(`${prefix}session`, 'sessions:read', { suits: () => true }),
  sessions(`${prefix}connection`, 'connections:read', { connected: true, suits: (session) => !isLink(session) }),
  sessions(`${prefix}link`, 'sessions:read', { suits: isLink }),
];

export const [queueKind] = entityKinds as [EntityKind, ...EntityKind[]];

/** By its type, or the last word of it. */
export function kindOf(type: string): EntityKind | undefined {
  return entityKinds.find((kind) => kind.type === type || kind.type === prefix + type);
}

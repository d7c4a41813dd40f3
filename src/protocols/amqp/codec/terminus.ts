// The two ends of a link [AMQP 3.5]: a source, and a target or a coordinator of transactions [AMQP 4.5.1].

import type { AmqpValue, Fields } from './amqp-value.ts';
import {
  booleanField,
  choiceField,
  type Composite,
  composite,
  compositeSet,
  type Field,
  fieldsField,
  oneOf,
  stringField,
  symbolField,
  symbolsField,
  uintField,
} from './composite.ts';
import { type AmqpOutcome, outcomeField } from './delivery-state.ts';

/** [AMQP 3.5.5] */
export const TerminusDurability = { none: 0, configuration: 1, unsettledState: 2 } as const;
export type TerminusDurability = (typeof TerminusDurability)[keyof typeof TerminusDurability];

/** [AMQP 3.5.6] When the time of a terminus begins to run out. */
export type ExpiryPolicy = 'link-detach' | 'session-end' | 'connection-close' | 'never';

export type Source = {
  readonly type: 'source';
  readonly address?: string | undefined;
  /** Default: none. */
  readonly durable?: TerminusDurability | undefined;
  /** One of ExpiryPolicy, or words of the peer's own. Default: session-end. */
  readonly expiryPolicy?: string | undefined;
  /** Seconds. Default: 0. */
  readonly timeout?: number | undefined;
  readonly dynamic?: boolean | undefined;
  readonly dynamicNodeProperties?: Fields | undefined;
  /** `move` or `copy`. */
  readonly distributionMode?: string | undefined;
  /** By the filter's name on this link; the filter is a described value, or null. */
  readonly filter?: Fields | undefined;
  readonly defaultOutcome?: AmqpOutcome | undefined;
  /** Symbols of the outcomes that may be used (`amqp:accepted:list`). */
  readonly outcomes?: readonly string[] | undefined;
  readonly capabilities?: readonly string[] | undefined;
};

export type Target = {
  readonly type: 'target';
  readonly address?: string | undefined;
  readonly durable?: TerminusDurability | undefined;
  readonly expiryPolicy?: string | undefined;
  /** Seconds. Default: 0. */
  readonly timeout?: number | undefined;
  readonly dynamic?: boolean | undefined;
  readonly dynamicNodeProperties?: Fields | undefined;
  readonly capabilities?: readonly string[] | undefined;
};

export type Coordinator = { readonly type: 'coordinator'; readonly capabilities?: readonly string[] | undefined };

const durabilityField = choiceField<TerminusDurability>(uintField, 2, 'terminus durability');

const source = composite<Source>('source', 0x28, {
  address: stringField,
  durable: durabilityField,
  expiryPolicy: symbolField,
  timeout: uintField,
  dynamic: booleanField,
  dynamicNodeProperties: fieldsField,
  distributionMode: symbolField,
  filter: fieldsField,
  defaultOutcome: outcomeField,
  outcomes: symbolsField,
  capabilities: symbolsField,
});

const target = composite<Target>('target', 0x29, {
  address: stringField,
  durable: durabilityField,
  expiryPolicy: symbolField,
  timeout: uintField,
  dynamic: booleanField,
  dynamicNodeProperties: fieldsField,
  capabilities: symbolsField,
});

const coordinator = composite<Coordinator>('coordinator', 0x30, { capabilities: symbolsField });

export const sourceField: Field<Source> = oneOf(compositeSet(source), 'a source');
export const targetField: Field<Target | Coordinator> = oneOf(
  compositeSet<Target | Coordinator>(...([target, coordinator] as Composite<Target | Coordinator>[])),
  'a target',
);

/** When a dynamic node is deleted [AMQP 3.5.10] to [AMQP 3.5.13]. */
export type LifetimePolicy = 'delete-on-close' | 'delete-on-no-links' | 'delete-on-no-messages' | 'delete-on-no-links-or-messages';

const lifetimePolicies: readonly (readonly [code: bigint, policy: LifetimePolicy])[] = [
  [0x2bn, 'delete-on-close'],
  [0x2cn, 'delete-on-no-links'],
  [0x2dn, 'delete-on-no-messages'],
  [0x2en, 'delete-on-no-links-or-messages'],
];

/** The policy that the dynamic node property `lifetime-policy` holds; undefined: none that is known. */
export function lifetimePolicy(value: AmqpValue | undefined): LifetimePolicy | undefined {
  if (value?.type !== 'described') return undefined;
  const { descriptor } = value;
  return lifetimePolicies.find(([code, policy]) => descriptor.value === code || descriptor.value === `amqp:${policy}:list`)?.[1];
}

export function lifetimePolicyValue(policy: LifetimePolicy): AmqpValue {
  const code = lifetimePolicies.find(([, name]) => name === policy)![0];
  return { type: 'described', descriptor: { type: 'ulong', value: code }, value: { type: 'list', value: [] } };
}

// What became of a delivery [AMQP 3.4], also within a transaction [AMQP 4.5], and the error that may come with it [AMQP 2.8.14].

import type { AmqpValue, Fields } from './amqp-value.ts';
import {
  binaryField,
  booleanField,
  type Composite,
  composite,
  compositeSet,
  type Field,
  fieldsField,
  mandatory,
  oneOf,
  readComposite,
  stringField,
  symbolField,
  uintField,
  ulongField,
  writeComposite,
} from './composite.ts';
import { decodeFault } from './amqp-fault.ts';
import type { ValueReader } from './value-reader.ts';
import type { ValueWriter } from './value-writer.ts';

/** [AMQP 2.8.14] The condition is a symbol: one of `Condition`, or a peer's own. */
export type AmqpError = {
  readonly type: 'error';
  readonly condition: string;
  readonly description?: string | undefined;
  readonly info?: Fields | undefined;
};

export type Accepted = { readonly type: 'accepted' };
export type Rejected = { readonly type: 'rejected'; readonly error?: AmqpError | undefined };
export type Released = { readonly type: 'released' };
export type Modified = {
  readonly type: 'modified';
  readonly deliveryFailed?: boolean | undefined;
  readonly undeliverableHere?: boolean | undefined;
  readonly messageAnnotations?: Fields | undefined;
};
/** How far a delivery has come: the first `sectionOffset` bytes of section `sectionNumber`, and all before it. Not an outcome. */
export type Received = { readonly type: 'received'; readonly sectionNumber: number; readonly sectionOffset: bigint };
/** Answers Declare. */
export type Declared = { readonly type: 'declared'; readonly txnId: Uint8Array };

/** Terminal states [AMQP 3.4]. */
export type AmqpOutcome = Accepted | Rejected | Released | Modified | Declared;

/** What happens when the transaction is discharged; without an outcome: a message that is published in it. */
export type TransactionalState = {
  readonly type: 'transactional-state';
  readonly txnId: Uint8Array;
  readonly outcome?: AmqpOutcome | undefined;
};

/** A state that no specification of ours has; never terminal. */
export type UnknownState = { readonly type: 'unknown'; readonly value: AmqpValue };

export type DeliveryState = AmqpOutcome | Received | TransactionalState | UnknownState;

/** Descriptors. */
export const StateCode = {
  received: 0x23,
  accepted: 0x24,
  rejected: 0x25,
  released: 0x26,
  modified: 0x27,
  declared: 0x33,
  transactionalState: 0x34,
} as const;

export const acceptedState: Accepted = { type: 'accepted' };
export const releasedState: Released = { type: 'released' };

export const errorType = composite<AmqpError>('error', 0x1d, {
  condition: mandatory(symbolField),
  description: stringField,
  info: fieldsField,
});

export const errorField: Field<AmqpError> = oneOf(compositeSet(errorType), 'an error');

const accepted = composite<Accepted>('accepted', StateCode.accepted, {});
const rejected = composite<Rejected>('rejected', StateCode.rejected, { error: errorField });
const released = composite<Released>('released', StateCode.released, {});
const modified = composite<Modified>('modified', StateCode.modified, {
  deliveryFailed: booleanField,
  undeliverableHere: booleanField,
  messageAnnotations: fieldsField,
});
const received = composite<Received>('received', StateCode.received, {
  sectionNumber: mandatory(uintField),
  sectionOffset: mandatory(ulongField),
});
const declared = composite<Declared>('declared', StateCode.declared, { txnId: mandatory(binaryField) });

const outcomes = compositeSet<AmqpOutcome>(...([accepted, rejected, released, modified, declared] as Composite<AmqpOutcome>[]));
export const outcomeField: Field<AmqpOutcome> = oneOf(outcomes, 'an outcome');

const transactional = composite<TransactionalState>('transactional-state', StateCode.transactionalState, {
  txnId: mandatory(binaryField),
  outcome: outcomeField,
});

type KnownState = Exclude<DeliveryState, UnknownState>;
const states = compositeSet<KnownState>(
  ...([accepted, rejected, released, modified, received, declared, transactional] as Composite<KnownState>[]),
);

/** Reads a delivery state. One that nobody here knows is kept as a value: states are open to extension [AMQP 3.4]. */
export function readDeliveryState(reader: ValueReader): DeliveryState {
  const start = reader.at;
  const code = reader.descriptor(states.codes);
  if (reader.fault !== undefined) return acceptedState;
  const type = states.byCode.get(code);
  if (type === undefined) {
    reader.at = start;
    return { type: 'unknown', value: reader.value() };
  }
  const state = readComposite(reader, type);
  if (state.type === 'transactional-state' && state.outcome?.type === 'declared') {
    reader.fail(decodeFault('a transaction is declared within another one'));
  }
  return state;
}

export function writeDeliveryState(writer: ValueWriter, state: DeliveryState): void {
  if (state.type === 'unknown') writer.value(state.value);
  else writeComposite(writer, states.byType.get(state.type)!, state);
}

export const stateField: Field<DeliveryState> = { read: readDeliveryState, write: writeDeliveryState };

// A value of any AMQP type [AMQP 1.6]. The type decides its encoding; which of a type's encodings a value came in is not kept.

import type { TypedValue } from '../../../message/attributes.ts';

export type AmqpValue =
  | TypedValue
  /** A Unicode scalar value. */
  | { readonly type: 'char'; readonly value: number }
  /** IEEE 754-2008 decimals as they are on the wire: 4, 8 and 16 bytes. Nobody here calculates with them. */
  | { readonly type: 'decimal32' | 'decimal64' | 'decimal128'; readonly value: Uint8Array }
  | { readonly type: 'list'; readonly value: readonly AmqpValue[] }
  | { readonly type: 'map'; readonly value: readonly AmqpEntry[] }
  | AmqpArray
  | { readonly type: 'described'; readonly descriptor: AmqpValue; readonly value: AmqpValue };

/** A pair of a map. Order is kept: it is significant [AMQP 1.6.23]. */
export type AmqpEntry = readonly [key: AmqpValue, value: AmqpValue];

export type AmqpArray = {
  readonly type: 'array';
  /** What all elements are; kept apart from them because an array may be empty. */
  readonly of: PrimitiveType;
  /** Elements of a described type: its descriptors, outermost first. The elements themselves stand without. */
  readonly descriptors?: readonly AmqpValue[];
  readonly value: readonly AmqpValue[];
};

export type PrimitiveType = Exclude<AmqpValue['type'], 'described'>;

/** A map whose keys are symbols [AMQP 2.8.13]: properties of performatives, filters, info of errors, annotations. */
export type Fields = ReadonlyMap<string, AmqpValue>;

export const nullValue: AmqpValue = { type: 'null', value: null };
export const trueValue: AmqpValue = { type: 'boolean', value: true };
export const falseValue: AmqpValue = { type: 'boolean', value: false };

export function symbolValue(value: string): AmqpValue {
  return { type: 'symbol', value };
}

export function stringValue(value: string): AmqpValue {
  return { type: 'string', value };
}

// The constructor under which all elements of an array can stand: the smallest that takes every one of them. For a single value: its
// smallest.

import type { AmqpValue, PrimitiveType } from './amqp-value.ts';
import { FormatCode } from './format-code.ts';

export function arrayCode(type: PrimitiveType, values: readonly AmqpValue[]): number {
  switch (type) {
    case 'uint':
      return values.every((value) => (value.value as number) <= 0xff) ? FormatCode.smalluint : FormatCode.uint;
    case 'int':
      return values.every((value) => isSmall(value.value as number)) ? FormatCode.smallint : FormatCode.int;
    case 'ulong':
      return values.every((value) => (value.value as bigint) <= 0xffn) ? FormatCode.smallulong : FormatCode.ulong;
    case 'long':
      return values.every((value) => isSmall(value.value as bigint)) ? FormatCode.smalllong : FormatCode.long;
    case 'binary':
      return values.every((value) => (value.value as Uint8Array).length <= 0xff) ? FormatCode.vbin8 : FormatCode.vbin32;
    case 'string':
      return values.every((value) => Buffer.byteLength(value.value as string) <= 0xff) ? FormatCode.str8 : FormatCode.str32;
    case 'symbol':
      return values.every((value) => (value.value as string).length <= 0xff) ? FormatCode.sym8 : FormatCode.sym32;
    default:
      return onlyCodes[type];
  }
}

function isSmall(value: number | bigint): boolean {
  return value >= -128 && value <= 127;
}

type Sized = 'uint' | 'int' | 'ulong' | 'long' | 'binary' | 'string' | 'symbol';

/** Of types with one encoding; of compounds, which the writer makes wide where it must, the narrow one. */
const onlyCodes: Readonly<Record<Exclude<PrimitiveType, Sized>, number>> = {
  null: FormatCode.null,
  boolean: FormatCode.boolean,
  ubyte: FormatCode.ubyte,
  ushort: FormatCode.ushort,
  byte: FormatCode.byte,
  short: FormatCode.short,
  float: FormatCode.float,
  double: FormatCode.double,
  decimal32: FormatCode.decimal32,
  decimal64: FormatCode.decimal64,
  decimal128: FormatCode.decimal128,
  char: FormatCode.char,
  timestamp: FormatCode.timestamp,
  uuid: FormatCode.uuid,
  list: FormatCode.list8,
  map: FormatCode.map8,
  array: FormatCode.array8,
};

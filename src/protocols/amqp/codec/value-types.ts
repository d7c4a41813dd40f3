// Which primitive type each constructor is of [AMQP 1.6].

import type { PrimitiveType } from './amqp-value.ts';
import { FormatCode } from './format-code.ts';

const types = new Map<number, PrimitiveType>([
  [FormatCode.null, 'null'],
  [FormatCode.true, 'boolean'],
  [FormatCode.false, 'boolean'],
  [FormatCode.boolean, 'boolean'],
  [FormatCode.ubyte, 'ubyte'],
  [FormatCode.ushort, 'ushort'],
  [FormatCode.uint, 'uint'],
  [FormatCode.smalluint, 'uint'],
  [FormatCode.uint0, 'uint'],
  [FormatCode.ulong, 'ulong'],
  [FormatCode.smallulong, 'ulong'],
  [FormatCode.ulong0, 'ulong'],
  [FormatCode.byte, 'byte'],
  [FormatCode.short, 'short'],
  [FormatCode.int, 'int'],
  [FormatCode.smallint, 'int'],
  [FormatCode.long, 'long'],
  [FormatCode.smalllong, 'long'],
  [FormatCode.float, 'float'],
  [FormatCode.double, 'double'],
  [FormatCode.decimal32, 'decimal32'],
  [FormatCode.decimal64, 'decimal64'],
  [FormatCode.decimal128, 'decimal128'],
  [FormatCode.char, 'char'],
  [FormatCode.timestamp, 'timestamp'],
  [FormatCode.uuid, 'uuid'],
  [FormatCode.vbin8, 'binary'],
  [FormatCode.vbin32, 'binary'],
  [FormatCode.str8, 'string'],
  [FormatCode.str32, 'string'],
  [FormatCode.sym8, 'symbol'],
  [FormatCode.sym32, 'symbol'],
  [FormatCode.list0, 'list'],
  [FormatCode.list8, 'list'],
  [FormatCode.list32, 'list'],
  [FormatCode.map8, 'map'],
  [FormatCode.map32, 'map'],
  [FormatCode.array8, 'array'],
  [FormatCode.array32, 'array'],
]);

/** Undefined: no type has this constructor. */
export function elementType(code: number): PrimitiveType | undefined {
  return types.get(code);
}

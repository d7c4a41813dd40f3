// rhea's codec, which we did not write, and its values in our words and ours in its.

import { createRequire } from 'node:module';
import type { AmqpValue } from '../amqp-value.ts';
import { mapKey } from '../map-key.ts';
import { elementType } from '../value-types.ts';

export type Typed = {
  readonly type: { readonly typecode: number };
  readonly value: unknown;
  readonly descriptor?: Typed;
  readonly array_constructor?: { readonly typecode: number; readonly descriptor?: Typed };
};

type Create = ((value?: unknown, code?: number, descriptor?: Typed) => Typed) & { readonly typecode: number };
type Creators = { readonly [name: string]: Create };
type Types = Creators & {
  Reader: new (buffer: Buffer) => { read(): Typed; remaining(): number };
  Writer: new () => { write(value: unknown): void; toBuffer(): Buffer };
};

/** A performative: its fields by their names, and as the list they stand in. */
export type TheirPerformative = { readonly value: readonly Typed[]; readonly [field: string]: unknown };

type Frames = {
  read_frame(buffer: Buffer): {
    readonly channel: number;
    readonly type: number;
    readonly performative: TheirPerformative;
    readonly payload?: Buffer;
  };
  write_frame(frame: unknown): Buffer;
  amqp_frame(channel: number, performative: unknown, payload?: Buffer): unknown;
  sasl_frame(performative: unknown): unknown;
} & { readonly [name: string]: (fields: object) => { described(): unknown } };

type Messages = {
  encode(message: object): Buffer;
  decode(buffer: Buffer): Record<string, unknown>;
  data_section(bytes: Buffer): unknown;
};

const require = createRequire(import.meta.url);
const types = require('rhea/lib/types.js') as Types;
require('rhea/lib/sasl.js'); // defines frames of its own
export const theirFrames = require('rhea/lib/frames.js') as Frames;
export const theirMessages = require('rhea/lib/message.js') as Messages;

export function readByThem(bytes: Uint8Array): AmqpValue {
  const reader = new types.Reader(Buffer.from(bytes));
  const value = inOurWords(reader.read());
  if (reader.remaining() > 0) throw new Error('they have left bytes');
  return value;
}

export function writtenByThem(value: AmqpValue): Uint8Array {
  const writer = new types.Writer();
  writer.write(inTheirWords(value));
  return new Uint8Array(writer.toBuffer());
}

export function inOurWords(typed: Typed): AmqpValue {
  const value = undescribed(typed);
  return typed.descriptor === undefined ? value : { type: 'described', descriptor: inOurWords(typed.descriptor), value };
}

function undescribed({ type, value, array_constructor: constructor }: Typed): AmqpValue {
  const name = elementType(type.typecode)!;
  switch (name) {
    case 'boolean':
      return { type: name, value: Boolean(value) };
    case 'ulong':
    case 'long':
      return { type: name, value: bigOf(value, name === 'long') };
    case 'timestamp':
      return { type: name, value: BigInt((value as Date).getTime()) };
    case 'uuid':
      return { type: name, value: (value as Buffer).toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-') };
    case 'binary':
    case 'decimal32':
    case 'decimal64':
    case 'decimal128':
      return { type: name, value: new Uint8Array(value as Buffer) };
    case 'list':
      return { type: name, value: (value as Typed[]).map(inOurWords) };
    case 'map': {
      const flat = (value as Typed[]).map(inOurWords);
      return { type: name, value: flat.flatMap((key, i) => (i % 2 === 0 ? [[key, flat[i + 1]!] as const] : [])) };
    }
    case 'array': {
      const { typecode, descriptor } = constructor!;
      const array = { type: name, of: elementType(typecode)!, value: (value as Typed[]).map(undescribed) } as const;
      return descriptor === undefined ? array : { ...array, descriptors: [inOurWords(descriptor)] };
    }
    default:
      return { type: name, value } as AmqpValue;
  }
}

/** They keep as a number what they believe to be exact, and the rest as eight bytes. */
function bigOf(value: unknown, signed: boolean): bigint {
  if (typeof value === 'number') return BigInt(value);
  return signed ? (value as Buffer).readBigInt64BE() : (value as Buffer).readBigUInt64BE();
}

const creators: Readonly<Partial<Record<AmqpValue['type'], string>>> = {
  null: 'Null',
  boolean: 'Boolean',
  ubyte: 'Ubyte',
  ushort: 'Ushort',
  uint: 'Uint',
  ulong: 'Ulong',
  byte: 'Byte',
  short: 'Short',
  int: 'Int',
  long: 'Long',
  float: 'Float',
  double: 'Double',
  decimal32: 'Decimal32',
  decimal64: 'Decimal64',
  decimal128: 'Decimal128',
  char: 'CharUTF32',
  timestamp: 'Timestamp',
  uuid: 'Uuid',
  binary: 'Vbin32',
  string: 'Str32',
  symbol: 'Sym32',
  list: 'List32',
  map: 'Map32',
  array: 'Array32',
};

/** Always in the widest encoding. */
export function inTheirWords(value: AmqpValue): Typed {
  if (value.type === 'described') return Object.assign(inTheirWords(value.value), { descriptor: inTheirWords(value.descriptor) });
  const create = types[creators[value.type]!]!;
  if (value.type === 'array') {
    const descriptor = value.descriptors?.[0];
    const code = types[creators[value.of]!]!.typecode;
    return create(value.value.map(rawOf), code, descriptor === undefined ? undefined : inTheirWords(descriptor));
  }
  return create(rawOf(value));
}

function rawOf(value: AmqpValue): unknown {
  switch (value.type) {
    case 'boolean':
      return value.value ? 1 : 0;
    case 'ulong':
    case 'long':
    case 'timestamp': {
      if (value.type === 'timestamp') return Number(value.value);
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(BigInt.asUintN(64, value.value));
      return bytes;
    }
    case 'uuid':
      return Buffer.from(value.value.replaceAll('-', ''), 'hex');
    case 'binary':
    case 'decimal32':
    case 'decimal64':
    case 'decimal128':
      return Buffer.from(value.value);
    case 'list':
      return value.value.map(inTheirWords);
    case 'map':
      return value.value.flatMap(([key, element]) => [inTheirWords(key), inTheirWords(element)]);
    default:
      return value.value;
  }
}

/** A value as near to `value` as they can have it. */
export function tamed(value: AmqpValue): AmqpValue {
  switch (value.type) {
    case 'long':
    case 'ulong':
      // They take what is a little beyond 2^53 for exact.
      return { type: value.type, value: isBlurred(value.value) ? 1n : value.value };
    case 'timestamp':
      return { type: value.type, value: value.value % 8_000_000_000_000_000n };
    case 'list':
      return { type: value.type, value: value.value.map(tamed) };
    case 'map':
      return {
        type: value.type,
        value: [...new Map(value.value.map(([key, element]) => [mapKey(tamed(key)), [tamed(key), tamed(element)] as const])).values()],
      };
    case 'array':
      // Of several descriptors they keep one, and arrays in arrays they cannot write.
      return {
        type: 'array',
        of: value.of,
        value: value.of === 'array' ? [] : value.value.map(tamed),
        ...(value.descriptors === undefined ? {} : { descriptors: [tamed(value.descriptors[0]!)] }),
      };
    case 'described': {
      const inner = tamed(value.value);
      return { type: value.type, descriptor: tamed(value.descriptor), value: inner.type === 'described' ? inner.value : inner };
    }
    default:
      return value;
  }
}

function isBlurred(value: bigint): boolean {
  return (value > 2n ** 53n - 1n && value < 2n ** 54n) || (value < 0n && value > -(2n ** 54n) && value < -(2n ** 53n) + 1n);
}

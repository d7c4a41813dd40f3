// Composite types: a described list whose elements are fields [AMQP 1.4]. A type is a table of its fields in their order; the one reader
// and the one writer here walk it.

import { AmqpFault, Condition, decodeFault } from './amqp-fault.ts';
import type { AmqpValue, Fields } from './amqp-value.ts';
import type { ValueReader } from './value-reader.ts';
import type { ValueWriter } from './value-writer.ts';

/** How a field's value, which is not null, is read and written. */
export type Field<T> = {
  read(reader: ValueReader): T;
  write(writer: ValueWriter, value: T): void;
};

export type MandatoryField<T> = Field<T> & { readonly mandatory: true };

/** A field of `T` is optional exactly if the type says that it may be absent. */
type FieldsOf<T> = {
  readonly [K in Exclude<keyof T, 'type'>]-?: undefined extends T[K] ? Field<Exclude<T[K], undefined>> : MandatoryField<T[K]>;
};

type NamedField = { readonly name: string; readonly field: Field<unknown>; readonly mandatory: boolean };

export type Composite<T> = {
  /** As in the specification, for words about it; also the discriminant of the objects. */
  readonly type: string;
  /** The descriptor, as a number and as a symbol. */
  readonly code: number;
  readonly symbol: string;
  readonly fields: readonly NamedField[];
  /** Only the compiler looks at it. */
  readonly of?: T;
};

/** `fields` stand in the order of the specification. */
export function composite<T extends { readonly type: string }>(
  type: T['type'],
  code: number,
  fields: FieldsOf<T>,
  name: string = type,
): Composite<T> {
  const named = Object.entries(fields as Record<string, Field<unknown> | MandatoryField<unknown>>).map(([name, field]) => ({
    name,
    field,
    mandatory: 'mandatory' in field,
  }));
  return { type, code, symbol: `amqp:${name}:list`, fields: named };
}

/** Reads the list behind the descriptor. What the peer left out is absent from the object. After a fault it is of no use. */
export function readComposite<T>(reader: ValueReader, type: Composite<T>): T {
  const object: Record<string, unknown> = { type: type.type };
  const outer = reader.end;
  const count = reader.enterList();
  if (count > type.fields.length) reader.fail(decodeFault(`${type.type} with more fields than there are`));
  for (let i = 0; i < type.fields.length && reader.fault === undefined; i++) {
    const { name, field, mandatory } = type.fields[i]!;
    // [AMQP 1.4] Null says that there is no value; so does the end of a list that is shorter.
    if (i < count && !reader.skipNull()) object[name] = field.read(reader);
    else if (mandatory) reader.fail(decodeFault(`${type.type} without ${name}`));
  }
  reader.leave(outer);
  return object as T;
}

/** Writes descriptor and list; nulls at its end are left out. */
export function writeComposite<T>(writer: ValueWriter, type: Composite<T>, object: T): void {
  const values = object as Record<string, unknown>;
  let count = type.fields.length;
  while (count > 0 && values[type.fields[count - 1]!.name] === undefined) count--;
  writer.descriptor(type.code);
  const start = writer.open();
  for (let i = 0; i < count; i++) {
    const { name, field } = type.fields[i]!;
    const value = values[name];
    if (value === undefined) writer.null();
    else field.write(writer, value);
  }
  writer.closeList(start, count);
}

/** Some composites, one of which stands where any of them may. */
export type CompositeSet<T> = {
  readonly byCode: ReadonlyMap<number, Composite<T>>;
  readonly byType: ReadonlyMap<string, Composite<T>>;
  readonly codes: ReadonlyMap<string, number>;
};

export function compositeSet<T extends { readonly type: string }>(...types: readonly Composite<T>[]): CompositeSet<T> {
  return {
    byCode: new Map(types.map((type) => [type.code, type])),
    byType: new Map(types.map((type) => [type.type, type])),
    codes: new Map(types.map((type) => [type.symbol, type.code])),
  };
}

/** Reads a described value that must be one of `set`; `what` names what it should be. */
export function readOneOf<T>(reader: ValueReader, set: CompositeSet<T>, what: string): T {
  const type = set.byCode.get(reader.descriptor(set.codes));
  if (type === undefined) reader.fail(new AmqpFault(Condition.notImplemented, `an unknown type where ${what} belongs`));
  return type === undefined ? ({} as T) : readComposite(reader, type);
}

export function writeOneOf<T extends { readonly type: string }>(writer: ValueWriter, set: CompositeSet<T>, object: T): void {
  const type = set.byType.get(object.type);
  if (type === undefined) throw new TypeError(`no type is called ${object.type}`);
  writeComposite(writer, type, object);
}

/** A field that holds one of several composites. */
export function oneOf<T extends { readonly type: string }>(set: CompositeSet<T>, what: string): Field<T> {
  return {
    read: (reader) => readOneOf(reader, set, what),
    write: (writer, value) => writeOneOf(writer, set, value),
  };
}

export function mandatory<T>(field: Field<T>): MandatoryField<T> {
  return { ...field, mandatory: true };
}

export const booleanField: Field<boolean> = { read: (reader) => reader.boolean(), write: (writer, value) => writer.boolean(value) };
export const ubyteField: Field<number> = { read: (reader) => reader.ubyte(), write: (writer, value) => writer.ubyte(value) };
export const ushortField: Field<number> = { read: (reader) => reader.ushort(), write: (writer, value) => writer.ushort(value) };
export const uintField: Field<number> = { read: (reader) => reader.uint(), write: (writer, value) => writer.uint(value) };
export const ulongField: Field<bigint> = { read: (reader) => reader.ulong(), write: (writer, value) => writer.ulong(value) };
export const stringField: Field<string> = { read: (reader) => reader.string(), write: (writer, value) => writer.string(value) };
export const symbolField: Field<string> = { read: (reader) => reader.symbol(), write: (writer, value) => writer.symbol(value) };
export const binaryField: Field<Uint8Array> = { read: (reader) => reader.binary(), write: (writer, value) => writer.binary(value) };
export const anyField: Field<AmqpValue> = { read: (reader) => reader.value(), write: (writer, value) => writer.value(value) };
export const fieldsField: Field<Fields> = { read: (reader) => reader.fields(), write: (writer, value) => writer.fields(value) };
/** `multiple="true"`: null says the same as an empty array [AMQP 1.4]. */
export const symbolsField: Field<readonly string[]> = {
  read: (reader) => reader.symbols(),
  write: (writer, value) => writer.symbols(value),
};

/** A field whose numbers mean something up to `most`. */
export function choiceField<T extends number>(field: Field<number>, most: T, what: string): Field<T> {
  return {
    read(reader) {
      const value = field.read(reader);
      if (value > most) reader.fail(invalid(`an unknown ${what}`));
      return value as T;
    },
    write: (writer, value) => field.write(writer, value),
  };
}

function invalid(message: string): AmqpFault {
  return new AmqpFault(Condition.invalidField, message);
}

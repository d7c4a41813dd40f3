// Reads AMQP values from a range of bytes. The first fault sticks: later reads give empty values and read nothing, so that a decoder
// reads on in a straight line and looks at `fault` once. Nothing is ever allocated by a size or a count that the bytes merely announce.

import { type AmqpFault, decodeFault } from './amqp-fault.ts';
import { type AmqpArray, type AmqpEntry, type AmqpValue, falseValue, type Fields, nullValue, trueValue } from './amqp-value.ts';
import { DataReader } from './data-reader.ts';
import { FormatCode, skipValue, uint32 } from './format-code.ts';
import { mapKey } from './map-key.ts';
import { uuidOf } from './text.ts';
import { elementType } from './value-types.ts';

/** How deep values may lie in each other: what is deeper would need stack, and nobody has a use for it. */
export const maxValueDepth = 32;

/** Most values that one reading makes: elements of no width cost the sender nothing. */
export const maxValues = 262_144;

const noFields: Fields = new Map();

export class ValueReader extends DataReader {
  #depth = 0;
  #valuesLeft = maxValues;

  override reset(bytes: Uint8Array, start: number, end: number): this {
    this.#depth = 0;
    this.#valuesLeft = maxValues;
    return super.reset(bytes, start, end);
  }

  /** Whether the next value is null; passes it if so. At the end there is none. */
  skipNull(): boolean {
    if (this.at >= this.end || this.bytes[this.at] !== FormatCode.null) return false;
    this.at++;
    return true;
  }

  /** Passes one value without looking into it. */
  skip(): void {
    const next = skipValue(this.bytes, this.at, this.end);
    if (next < 0) this.cut();
    else this.at = next;
  }

  /** The constructor of the next value, and its last one if it is described: see `descriptor`. */
  code(): number {
    if (this.at >= this.end) return this.cut();
    return this.bytes[this.at++]!;
  }

  /** Looks at the next constructor; -1 at the end. */
  peek(): number {
    return this.at < this.end ? this.bytes[this.at]! : -1;
  }

  boolean(): boolean {
    const code = this.code();
    if (code === FormatCode.true) return true;
    if (code === FormatCode.boolean) return this.booleanByte();
    if (code !== FormatCode.false) this.wrong('a boolean');
    return false;
  }

  ubyte(): number {
    return this.code() === FormatCode.ubyte ? this.uint8() : this.wrong('a ubyte');
  }

  ushort(): number {
    return this.code() === FormatCode.ushort ? this.uint16() : this.wrong('a ushort');
  }

  uint(): number {
    const code = this.code();
    if (code === FormatCode.smalluint) return this.uint8();
    if (code === FormatCode.uint0) return 0;
    return code === FormatCode.uint ? this.uint32() : this.wrong('a uint');
  }

  ulong(): bigint {
    const code = this.code();
    if (code === FormatCode.smallulong) return BigInt(this.uint8());
    if (code === FormatCode.ulong0) return 0n;
    return code === FormatCode.ulong ? this.uint64() : BigInt(this.wrong('a ulong'));
  }

  /** Milliseconds since the epoch; exact up to 2^53. */
  timestamp(): number {
    return this.code() === FormatCode.timestamp ? Number(this.int64()) : this.wrong('a timestamp');
  }

  string(): string {
    const code = this.code();
    if (code !== FormatCode.str8 && code !== FormatCode.str32) this.wrong('a string');
    return this.text(code === FormatCode.str8 ? this.uint8() : this.uint32());
  }

  symbol(): string {
    const code = this.code();
    if (code !== FormatCode.sym8 && code !== FormatCode.sym32) this.wrong('a symbol');
    return this.ascii(code === FormatCode.sym8 ? this.uint8() : this.uint32());
  }

  /** A copy. */
  binary(): Uint8Array {
    const code = this.code();
    if (code !== FormatCode.vbin8 && code !== FormatCode.vbin32) this.wrong('binary');
    return this.copy(code === FormatCode.vbin8 ? this.uint8() : this.uint32());
  }

  /** A field that takes several symbols: one alone, or an array of them; null says none [AMQP 1.4]. */
  symbols(): readonly string[] {
    const code = this.peek();
    if (code === FormatCode.sym8 || code === FormatCode.sym32) return [this.symbol()];
    const value = this.value();
    if (value.type === 'array' && value.of === 'symbol' && value.descriptors === undefined) {
      return value.value.map((element) => element.value as string);
    }
    this.wrong('one symbol or an array of symbols');
    return [];
  }

  /** A map whose keys are symbols [AMQP 2.8.13]; strings are taken for symbols, which some clients write in the info of errors. */
  fields(): Fields {
    const code = this.code();
    const outer = this.end;
    const count = this.#openMap(code);
    if (count === 0) {
      this.#close(outer);
      return noFields;
    }
    const fields = new Map<string, AmqpValue>();
    for (let i = 0; i < count && this.fault === undefined; i += 2) {
      const key = this.#fieldName();
      if (fields.has(key)) this.fail(decodeFault('a key stands twice in a map')); // [AMQP 1.6.23]
      fields.set(key, this.value());
    }
    this.#close(outer);
    return fields;
  }

  #fieldName(): string {
    switch (this.peek()) {
      case FormatCode.str8:
        this.at++;
        return this.ascii(this.uint8());
      case FormatCode.str32:
        this.at++;
        return this.ascii(this.uint32());
      default:
        return this.symbol();
    }
  }

  /** The pairs of a map with any keys, in order. */
  map(): readonly AmqpEntry[] {
    const outer = this.end;
    const count = this.#openMap(this.code());
    return this.#entries(count, outer);
  }

  /**
   * The descriptor of a described value: its number, if it is a ulong or one of the `symbols`, else -1, with the descriptor passed.
   * The value itself follows.
   */
  descriptor(symbols: ReadonlyMap<string, number>): number {
    if (this.code() !== FormatCode.described) return this.wrong('a described value') - 1;
    const code = this.peek();
    if (code === FormatCode.smallulong || code === FormatCode.ulong || code === FormatCode.ulong0) {
      const number = this.ulong();
      return number <= Number.MAX_SAFE_INTEGER ? Number(number) : -1;
    }
    if (code === FormatCode.sym8 || code === FormatCode.sym32) return symbols.get(this.symbol()) ?? -1;
    this.skip();
    return -1;
  }

  /** Enters a list and returns how many elements it says it has. `leave` it with `outer`, which was `end` before. */
  enterList(): number {
    const code = this.code();
    if (code === FormatCode.list0) return this.#open(0, 0);
    if (code === FormatCode.list8) return this.#openSized(1);
    if (code === FormatCode.list32) return this.#openSized(4);
    this.wrong('a list');
    return this.#open(0, 0);
  }

  /** Enters a map and returns how many keys and values it says it has. `leave` it as a list. */
  enterMap(): number {
    return this.#openMap(this.code());
  }

  leave(outer: number): void {
    this.#close(outer);
  }

  value(): AmqpValue {
    if (--this.#valuesLeft < 0) {
      this.fail(decodeFault('too many values'));
      return nullValue;
    }
    const code = this.code();
    if (this.fault !== undefined) return nullValue;
    return code === FormatCode.described ? this.#described() : this.#data(code);
  }

  #described(): AmqpValue {
    if (!this.#deeper()) return nullValue;
    const descriptor = this.value();
    const value = this.value();
    this.#depth--;
    return { type: 'described', descriptor, value };
  }

  #deeper(): boolean {
    if (++this.#depth <= maxValueDepth) return true;
    this.fail(decodeFault('values lie too deep in each other'));
    return false;
  }

  /** The data behind a constructor: what follows stands once for each element of an array, too. */
  #data(code: number): AmqpValue {
    switch (code) {
      case FormatCode.null:
        return nullValue;
      case FormatCode.true:
        return trueValue;
      case FormatCode.false:
        return falseValue;
      case FormatCode.boolean:
        return this.booleanByte() ? trueValue : falseValue;
      case FormatCode.list0:
        return emptyList;
      case FormatCode.list8:
        return this.#list(1);
      case FormatCode.list32:
        return this.#list(4);
      case FormatCode.map8:
      case FormatCode.map32: {
        const outer = this.end;
        return { type: 'map', value: this.#entries(this.#openMap(code), outer) };
      }
      case FormatCode.array8:
        return this.#array(1);
      case FormatCode.array32:
        return this.#array(4);
      default:
        return code < 0xa0 ? this.#number(code) : this.#variable(code);
    }
  }

  #number(code: number): AmqpValue {
    switch (code) {
      case FormatCode.ubyte:
        return { type: 'ubyte', value: this.uint8() };
      case FormatCode.ushort:
        return { type: 'ushort', value: this.uint16() };
      case FormatCode.uint:
        return { type: 'uint', value: this.uint32() };
      case FormatCode.smalluint:
        return { type: 'uint', value: this.uint8() };
      case FormatCode.uint0:
        return { type: 'uint', value: 0 };
      case FormatCode.ulong:
        return { type: 'ulong', value: this.uint64() };
      case FormatCode.smallulong:
        return { type: 'ulong', value: BigInt(this.uint8()) };
      case FormatCode.ulong0:
        return { type: 'ulong', value: 0n };
      case FormatCode.byte:
        return { type: 'byte', value: (this.uint8() << 24) >> 24 };
      case FormatCode.short:
        return { type: 'short', value: (this.uint16() << 16) >> 16 };
      case FormatCode.int:
        return { type: 'int', value: this.uint32() | 0 };
      case FormatCode.smallint:
        return { type: 'int', value: (this.uint8() << 24) >> 24 };
      case FormatCode.long:
        return { type: 'long', value: this.int64() };
      case FormatCode.smalllong:
        return { type: 'long', value: BigInt((this.uint8() << 24) >> 24) };
      case FormatCode.timestamp:
        return { type: 'timestamp', value: this.int64() };
      case FormatCode.float:
        return { type: 'float', value: this.float(4) };
      case FormatCode.double:
        return { type: 'double', value: this.float(8) };
      default:
        return this.#rareFixed(code);
    }
  }

  #rareFixed(code: number): AmqpValue {
    switch (code) {
      case FormatCode.decimal32:
        return { type: 'decimal32', value: this.copy(4) };
      case FormatCode.decimal64:
        return { type: 'decimal64', value: this.copy(8) };
      case FormatCode.decimal128:
        return { type: 'decimal128', value: this.copy(16) };
      case FormatCode.char: {
        const value = this.uint32();
        // [AMQP 1.6.16] One Unicode character: a surrogate is none.
        if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) this.fail(decodeFault('a char is no Unicode character'));
        return { type: 'char', value };
      }
      case FormatCode.uuid:
        if (!this.has(16)) return nullValue;
        this.at += 16;
        return { type: 'uuid', value: uuidOf(this.bytes, this.at - 16) };
      default:
        this.fail(decodeFault('a constructor that no type has'));
        return nullValue;
    }
  }

  #variable(code: number): AmqpValue {
    switch (code) {
      case FormatCode.vbin8:
        return { type: 'binary', value: this.copy(this.uint8()) };
      case FormatCode.vbin32:
        return { type: 'binary', value: this.copy(this.uint32()) };
      case FormatCode.str8:
        return { type: 'string', value: this.text(this.uint8()) };
      case FormatCode.str32:
        return { type: 'string', value: this.text(this.uint32()) };
      case FormatCode.sym8:
        return { type: 'symbol', value: this.ascii(this.uint8()) };
      case FormatCode.sym32:
        return { type: 'symbol', value: this.ascii(this.uint32()) };
      default:
        this.fail(decodeFault('a constructor that no type has'));
        return nullValue;
    }
  }

  #list(width: 1 | 4): AmqpValue {
    const outer = this.end;
    const count = this.#openSized(width);
    if (!this.#deeper()) return nullValue;
    const value: AmqpValue[] = [];
    for (let i = 0; i < count && this.fault === undefined; i++) value.push(this.value());
    this.#depth--;
    this.#close(outer);
    return { type: 'list', value };
  }

  #entries(count: number, outer: number): readonly AmqpEntry[] {
    const entries: AmqpEntry[] = [];
    if (!this.#deeper()) return entries;
    const keys = count > 2 ? new Set<string>() : undefined;
    for (let i = 0; i < count && this.fault === undefined; i += 2) {
      const key = this.value();
      if (keys !== undefined && keys.size === keys.add(mapKey(key)).size) {
        this.fail(decodeFault('a key stands twice in a map')); // [AMQP 1.6.23]
      }
      entries.push([key, this.value()]);
    }
    this.#depth--;
    this.#close(outer);
    return entries;
  }

  #array(width: 1 | 4): AmqpValue {
    const outer = this.end;
    const count = this.#openSized(width);
    if (!this.#deeper()) return nullValue;
    let descriptors: AmqpValue[] | undefined;
    let code = this.code();
    while (code === FormatCode.described && this.fault === undefined) {
      (descriptors ??= []).push(this.value());
      if (descriptors.length > maxValueDepth) this.fail(decodeFault('values lie too deep in each other'));
      code = this.code();
    }
    const of = elementType(code);
    if (of === undefined) this.fail(decodeFault('an array of what no type has'));
    const value: AmqpValue[] = [];
    for (let i = 0; i < count && this.fault === undefined; i++) {
      if (--this.#valuesLeft < 0) this.fail(decodeFault('too many values'));
      value.push(this.#data(code));
    }
    this.#depth--;
    this.#close(outer);
    if (this.fault !== undefined) return nullValue;
    const array: AmqpArray = { type: 'array', of: of!, value };
    return descriptors === undefined ? array : { ...array, descriptors };
  }

  #openMap(code: number): number {
    let count = 0;
    if (code === FormatCode.map8) count = this.#openSized(1);
    else if (code === FormatCode.map32) count = this.#openSized(4);
    else this.wrong('a map');
    if ((count & 1) !== 0) this.fail(decodeFault('a map with a key that has no value')); // [AMQP 1.6.23]
    return count;
  }

  /** Size and count of a compound or an array [AMQP 1.2.3] [AMQP 1.2.4]; the size counts the count, too. */
  #openSized(width: 1 | 4): number {
    if (!this.has(2 * width)) return 0;
    const size = width === 1 ? this.bytes[this.at]! : uint32(this.bytes, this.at);
    const count = width === 1 ? this.bytes[this.at + 1]! : uint32(this.bytes, this.at + 4);
    this.at += 2 * width;
    if (size < width) this.fail(decodeFault('a size that does not hold its count'));
    else if (!this.has(size - width)) return 0;
    return this.fault === undefined ? this.#open(size - width, count) : 0;
  }

  #open(bytes: number, count: number): number {
    this.end = this.at + bytes;
    return count;
  }

  #close(outer: number): void {
    if (this.fault === undefined && this.at < this.end) this.fail(decodeFault('a size that its elements do not fill'));
    // After a fault the end stays where it is, so that nothing more is read.
    if (this.fault === undefined) this.end = outer;
  }
}

const emptyList: AmqpValue = { type: 'list', value: [] };

/** The one value that `bytes` hold, as a copy. */
export function decodeValue(bytes: Uint8Array, start = 0, end: number = bytes.length): AmqpValue | AmqpFault {
  const reader = new ValueReader(bytes, start, end);
  const value = reader.value();
  reader.finish('the value');
  return reader.fault ?? value;
}

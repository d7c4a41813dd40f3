// Writes AMQP values into a buffer of its own that grows. Every value takes the smallest of its type's encodings, so that equal values
// are equal bytes. Not for the hot path, which writes into the output itself.

import type { AmqpArray, AmqpEntry, AmqpValue, Fields } from './amqp-value.ts';
import { arrayCode } from './array-code.ts';
import { FormatCode } from './format-code.ts';
import { writeLatin1, writeUtf8, writeUuid } from './text.ts';

const firstBytes = 256;
/** Up to here a loop is quicker than `set`, which needs a view of a range. */
const loopBytes = 24;
/** Room for a compound's constructor, size and count in their wide form. */
const wideHead = 9;
const narrowHead = 3;

export class ValueWriter {
  bytes: Uint8Array;
  length = 0;
  #view: DataView;

  constructor(room: number = firstBytes) {
    this.bytes = new Uint8Array(room);
    this.#view = new DataView(this.bytes.buffer);
  }

  reset(): this {
    this.length = 0;
    return this;
  }

  /** A copy of what was written. */
  copy(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  /** What was written; valid until the next write. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  raw(source: Uint8Array, start = 0, end: number = source.length): void {
    const length = end - start;
    this.#reserve(length);
    const { bytes, length: at } = this;
    if (length <= loopBytes) for (let i = 0; i < length; i++) bytes[at + i] = source[start + i]!;
    // Not `subarray`: that of a Buffer, which sockets hand out, makes a Buffer, which takes longer.
    else bytes.set(length === source.length ? source : new Uint8Array(source.buffer, source.byteOffset + start, length), at);
    this.length = at + length;
  }

  null(): void {
    this.#byte(FormatCode.null);
  }

  boolean(value: boolean): void {
    this.#byte(value ? FormatCode.true : FormatCode.false);
  }

  ubyte(value: number): void {
    this.#byte(FormatCode.ubyte);
    this.#byte(value);
  }

  ushort(value: number): void {
    this.#byte(FormatCode.ushort);
    this.#uint16(value);
  }

  uint(value: number): void {
    if (value === 0) {
      this.#byte(FormatCode.uint0);
    } else if (value <= 0xff) {
      this.#byte(FormatCode.smalluint);
      this.#byte(value);
    } else {
      this.#byte(FormatCode.uint);
      this.#uint32(value);
    }
  }

  ulong(value: bigint): void {
    if (value === 0n) {
      this.#byte(FormatCode.ulong0);
    } else if (value <= 0xffn) {
      this.#byte(FormatCode.smallulong);
      this.#byte(Number(value));
    } else {
      this.#byte(FormatCode.ulong);
      this.#uint64(value);
    }
  }

  /** Milliseconds since the epoch. */
  timestamp(value: number | bigint): void {
    this.#byte(FormatCode.timestamp);
    this.#uint64(BigInt(value));
  }

  string(value: string): void {
    this.#variable(FormatCode.str8, Buffer.byteLength(value), value, undefined);
  }

  /** A string that is UTF-8 already. */
  utf8(bytes: Uint8Array): void {
    this.#variable(FormatCode.str8, bytes.length, undefined, bytes);
  }

  /** ASCII only: the caller's own words, or what a peer's symbol held. */
  symbol(value: string): void {
    this.#variable(FormatCode.sym8, value.length, value, undefined);
  }

  binary(value: Uint8Array): void {
    this.#variable(FormatCode.vbin8, value.length, undefined, value);
  }

  /** Constructor and size of a binary of `length` bytes, which must follow. */
  binaryHead(length: number): void {
    if (length <= 0xff) {
      this.#byte(FormatCode.vbin8);
      this.#byte(length);
    } else {
      this.#byte(FormatCode.vbin32);
      this.#uint32(length);
    }
  }

  /** One symbol stands alone, several in an array [AMQP 1.4]. */
  symbols(values: readonly string[]): void {
    if (values.length === 1) this.symbol(values[0]!);
    else this.value({ type: 'array', of: 'symbol', value: values.map((value) => ({ type: 'symbol', value })) });
  }

  fields(fields: Fields): void {
    const start = this.open();
    for (const [key, value] of fields) {
      this.symbol(key);
      this.value(value);
    }
    this.closeMap(start, fields.size * 2);
  }

  map(entries: readonly AmqpEntry[]): void {
    const start = this.open();
    for (const [key, value] of entries) {
      this.value(key);
      this.value(value);
    }
    this.closeMap(start, entries.length * 2);
  }

  /** The descriptor of one of the specification's types; its value must follow. */
  descriptor(code: number): void {
    this.#byte(FormatCode.described);
    this.#byte(FormatCode.smallulong);
    this.#byte(code);
  }

  /** Begins a list or a map, whose elements follow; hand what it returns to `closeList` or `closeMap`. */
  open(): number {
    this.#reserve(wideHead);
    this.length += wideHead;
    return this.length - wideHead;
  }

  closeList(start: number, count: number): void {
    if (count === 0) {
      this.bytes[start] = FormatCode.list0;
      this.length = start + 1;
    } else {
      this.#close(start, count, FormatCode.list8);
    }
  }

  closeMap(start: number, count: number): void {
    this.#close(start, count, FormatCode.map8);
  }

  value(value: AmqpValue): void {
    switch (value.type) {
      case 'null':
        return this.null();
      case 'boolean':
        return this.boolean(value.value);
      case 'uint':
        return this.uint(value.value);
      case 'ulong':
        return this.ulong(value.value);
      case 'string':
        return this.string(value.value);
      case 'symbol':
        return this.symbol(value.value);
      case 'binary':
        return this.binary(value.value);
      case 'list': {
        const start = this.open();
        for (const element of value.value) this.value(element);
        return this.closeList(start, value.value.length);
      }
      case 'map':
        return this.map(value.value);
      case 'array':
        return this.#array(value);
      case 'described':
        this.#byte(FormatCode.described);
        this.value(value.descriptor);
        return this.value(value.value);
      default:
        return this.#fixed(value);
    }
  }

  #fixed(value: AmqpValue): void {
    const code = arrayCode(value.type as 'int', [value]);
    this.#byte(code);
    this.#data(code, value);
  }

  #array(array: AmqpArray): void {
    const start = this.open();
    this.#elements(array);
    this.#close(start, array.value.length, FormatCode.array8);
  }

  #elements(array: AmqpArray): void {
    for (const descriptor of array.descriptors ?? []) {
      this.#byte(FormatCode.described);
      this.value(descriptor);
    }
    if (array.value.some((element) => element.type !== array.of)) throw new TypeError(`something else in an array of ${array.of}`);
    const code = arrayCode(array.of, array.value);
    if (code >= FormatCode.list8) return this.#compounds(code, array.value.map(encodeValue));
    this.#byte(code);
    for (const element of array.value) this.#data(code, element);
  }

  /** Lists, maps or arrays as elements of an array: all narrow or all wide. `encoded`: each as it would stand alone. */
  #compounds(narrow: number, encoded: readonly Uint8Array[]): void {
    const wide = encoded.some((bytes) => (bytes[0]! & 0x10) !== 0);
    this.#byte(wide ? narrow | 0x10 : narrow);
    for (const bytes of encoded) {
      const isEmptyList = bytes[0] === FormatCode.list0;
      if (!isEmptyList && wide === ((bytes[0]! & 0x10) !== 0)) {
        this.raw(bytes, 1);
        continue;
      }
      const size = isEmptyList ? 1 : bytes[1]!;
      const count = isEmptyList ? 0 : bytes[2]!;
      if (wide) {
        this.#uint32(size + 3);
        this.#uint32(count);
      } else {
        this.#byte(size);
        this.#byte(count);
      }
      if (!isEmptyList) this.raw(bytes, 3);
    }
  }

  /** The data of a value behind a constructor that was chosen for it. */
  #data(code: number, value: AmqpValue): void {
    switch (value.type) {
      case 'null':
        return;
      case 'boolean':
        return this.#byte(value.value ? 1 : 0);
      case 'ubyte':
      case 'byte':
        return this.#byte(value.value);
      case 'ushort':
      case 'short':
        return this.#uint16(value.value);
      case 'uint':
      case 'int':
        return code === FormatCode.smalluint || code === FormatCode.smallint ? this.#byte(value.value) : this.#uint32(value.value);
      case 'ulong':
      case 'long':
        return code === FormatCode.smallulong || code === FormatCode.smalllong
          ? this.#byte(Number(value.value))
          : this.#uint64(value.value);
      case 'timestamp':
        return this.#uint64(value.value);
      case 'char':
        return this.#uint32(value.value);
      default:
        return this.#longData(code, value);
    }
  }

  #longData(code: number, value: AmqpValue): void {
    switch (value.type) {
      case 'float':
        this.#reserve(4);
        this.#view.setFloat32(this.length, value.value);
        this.length += 4;
        return;
      case 'double':
        this.#reserve(8);
        this.#view.setFloat64(this.length, value.value);
        this.length += 8;
        return;
      case 'uuid':
        this.#reserve(16);
        writeUuid(this.bytes, this.length, value.value);
        this.length += 16;
        return;
      case 'decimal32':
      case 'decimal64':
      case 'decimal128':
        return this.raw(value.value);
      case 'binary':
        return this.#sized(code === FormatCode.vbin8, value.value.length, undefined, value.value);
      case 'string':
        return this.#sized(code === FormatCode.str8, Buffer.byteLength(value.value), value.value, undefined);
      case 'symbol':
        return this.#sized(code === FormatCode.sym8, value.value.length, value.value, undefined);
      default:
        throw new TypeError(`${value.type} has no constructor of its own`);
    }
  }

  /** Puts constructor, size and count in front of what was written since `start`, in the narrow form if they fit. */
  #close(start: number, count: number, narrow: number): void {
    const content = this.length - start - wideHead;
    if (content + 1 <= 0xff && count <= 0xff) {
      this.bytes.copyWithin(start + narrowHead, start + wideHead, this.length);
      this.bytes[start] = narrow;
      this.bytes[start + 1] = content + 1;
      this.bytes[start + 2] = count;
      this.length = start + narrowHead + content;
    } else {
      this.bytes[start] = narrow | 0x10;
      this.#view.setUint32(start + 1, content + 4);
      this.#view.setUint32(start + 5, count);
    }
  }

  #variable(narrow: number, length: number, text: string | undefined, bytes: Uint8Array | undefined): void {
    const small = length <= 0xff;
    this.#byte(small ? narrow : narrow | 0x10);
    this.#sized(small, length, text, bytes);
  }

  #sized(small: boolean, length: number, text: string | undefined, bytes: Uint8Array | undefined): void {
    if (small) this.#byte(length);
    else this.#uint32(length);
    if (bytes !== undefined) return this.raw(bytes);
    this.#reserve(length);
    if (text!.length === length) writeLatin1(this.bytes, this.length, text!);
    else writeUtf8(this.bytes, this.length, text!, length);
    this.length += length;
  }

  #byte(value: number): void {
    if (this.length === this.bytes.length) this.#reserve(1);
    this.bytes[this.length++] = value;
  }

  #uint16(value: number): void {
    this.#byte(value >> 8);
    this.#byte(value);
  }

  #uint32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.length, value);
    this.length += 4;
  }

  #uint64(value: bigint): void {
    this.#reserve(8);
    this.#view.setBigUint64(this.length, BigInt.asUintN(64, value));
    this.length += 8;
  }

  #reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

const scratch = new ValueWriter();

/** A value's bytes, as a copy. */
export function encodeValue(value: AmqpValue): Uint8Array {
  const outer = scratch.length;
  scratch.value(value);
  const bytes = scratch.bytes.slice(outer, scratch.length);
  scratch.length = outer;
  return bytes;
}

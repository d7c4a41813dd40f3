// Raw data out of a range of bytes: what stands behind a constructor [AMQP 1.6]. The first fault sticks: later reads give empty values
// and read nothing.

import { type AmqpFault, decodeFault } from './amqp-fault.ts';
import { uint32 } from './format-code.ts';
import { isAscii, latin1Of, stringOf } from './text.ts';

const nothing = new Uint8Array(0);

export class DataReader {
  bytes: Uint8Array;
  at: number;
  end: number;
  fault: AmqpFault | undefined;

  constructor(bytes: Uint8Array = nothing, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.fault = undefined;
  }

  reset(bytes: Uint8Array, start: number, end: number): this {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.fault = undefined;
    return this;
  }

  get atEnd(): boolean {
    return this.at >= this.end;
  }

  /** Keeps the first fault and ends the reading. */
  fail(fault: AmqpFault): void {
    this.fault ??= fault;
    this.at = this.end;
  }

  /** Nothing may be left. */
  finish(what: string): void {
    if (this.at < this.end) this.fail(decodeFault(`bytes after the end of ${what}`));
  }

  booleanByte(): boolean {
    const byte = this.uint8();
    if (byte > 1) this.fail(decodeFault('a boolean that is neither 0 nor 1')); // [AMQP 1.6.2]
    return byte === 1;
  }

  uint8(): number {
    return this.has(1) ? this.bytes[this.at++]! : 0;
  }

  uint16(): number {
    if (!this.has(2)) return 0;
    this.at += 2;
    return (this.bytes[this.at - 2]! << 8) | this.bytes[this.at - 1]!;
  }

  uint32(): number {
    if (!this.has(4)) return 0;
    this.at += 4;
    return uint32(this.bytes, this.at - 4);
  }

  uint64(): bigint {
    if (!this.has(8)) return 0n;
    this.at += 8;
    return (BigInt(uint32(this.bytes, this.at - 8)) << 32n) | BigInt(uint32(this.bytes, this.at - 4));
  }

  int64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  float(width: 4 | 8): number {
    if (!this.has(width)) return 0;
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + this.at, width);
    this.at += width;
    return width === 4 ? view.getFloat32(0) : view.getFloat64(0);
  }

  text(length: number): string {
    if (!this.has(length)) return '';
    this.at += length;
    const text = stringOf(this.bytes, this.at - length, this.at);
    if (text === undefined) this.fail(decodeFault('a string is not well-formed UTF-8')); // [AMQP 1.6.20]
    return text ?? '';
  }

  ascii(length: number): string {
    if (!this.has(length)) return '';
    this.at += length;
    if (isAscii(this.bytes, this.at - length, this.at)) return latin1Of(this.bytes, this.at - length, this.at);
    this.fail(decodeFault('a symbol is not ASCII')); // [AMQP 1.6.21]
    return '';
  }

  copy(length: number): Uint8Array {
    if (!this.has(length)) return nothing;
    this.at += length;
    // Not `slice`: that of a Buffer, which sockets hand out, is a view.
    return new Uint8Array(this.bytes.subarray(this.at - length, this.at));
  }

  has(length: number): boolean {
    if (this.end - this.at >= length && this.fault === undefined) return true;
    this.cut();
    return false;
  }

  cut(): number {
    this.fail(decodeFault('the bytes end within a value'));
    return 0;
  }

  wrong(wanted: string): number {
    this.fail(decodeFault(`another type where ${wanted} belongs`));
    return 0;
  }
}

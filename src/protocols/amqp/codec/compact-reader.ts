// What the hot path reads from performatives: numbers and flags, without an object and without big integers. Functions on a cursor that
// the decoders of transfer, disposition and flow share; like ValueReader's, its first fault sticks.

import { type AmqpFault, decodeFault } from './amqp-fault.ts';
import { FormatCode, skipValue, uint32 } from './format-code.ts';

export class CompactReader {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  /** Of the list. */
  end = 0;
  /** Elements of the list that have not been read. */
  left = 0;
  fault: AmqpFault | undefined = undefined;

  /**
   * Enters the list behind the descriptor at `start`, which was recognised (`performativeCode`), and which has at most `fields`
   * elements. Returns false after a fault.
   */
  enter(bytes: Uint8Array, start: number, end: number, fields: number, what: string): boolean {
    let at = start + 3;
    if (at > end || bytes[start + 1] !== FormatCode.smallulong) at = skipValue(bytes, start + 1, end);
    return this.enterList(bytes, at < 0 ? end : at, end, fields, what);
  }

  /** As `enter`, for a list without a descriptor. */
  enterList(bytes: Uint8Array, start: number, end: number, fields: number, what: string): boolean {
    this.bytes = bytes;
    this.fault = undefined;
    const at = start;
    if (at >= end) return this.#fail(`${what} ends within its descriptor`);
    const code = bytes[at]!;
    if (code === FormatCode.list8 && end - at >= 3) {
      this.left = bytes[at + 2]!;
      this.end = at + 2 + bytes[at + 1]!;
      this.at = at + 3;
    } else if (code === FormatCode.list32 && end - at >= 9) {
      this.left = uint32(bytes, at + 5);
      this.end = at + 5 + uint32(bytes, at + 1);
      this.at = at + 9;
    } else if (code === FormatCode.list0) {
      this.left = 0;
      this.at = this.end = at + 1;
    } else {
      return this.#fail(`${what} is not a list`);
    }
    if (this.at > this.end || this.end > end) return this.#fail(`${what} has a wrong size`);
    if (this.left > fields) return this.#fail(`${what} with more fields than there are`);
    return true;
  }

  /** To be called after the last field: all elements and all bytes must have been read. */
  leave(what: string): AmqpFault | undefined {
    if (this.fault === undefined && (this.at !== this.end || this.left > 0)) this.#fail(`${what} has a wrong size`);
    return this.fault;
  }

  /** A uint, or -1 when it is absent. */
  uint(): number {
    if (this.left === 0) return -1;
    this.left--;
    const { bytes, at } = this;
    if (at >= this.end) return this.cut();
    switch (bytes[at]) {
      case FormatCode.smalluint:
        if (at + 2 > this.end) return this.cut();
        this.at = at + 2;
        return bytes[at + 1]!;
      case FormatCode.uint0:
        this.at = at + 1;
        return 0;
      case FormatCode.uint:
        if (at + 5 > this.end) return this.cut();
        this.at = at + 5;
        return uint32(bytes, at + 1);
      case FormatCode.null:
        this.at = at + 1;
        return -1;
      default:
        return this.#wrong('a uint');
    }
  }

  /** A boolean; false also when it is absent. */
  flag(): boolean {
    return this.choice() === 1;
  }

  /** A boolean: 1, 0, or -1 when it is absent. */
  choice(): number {
    if (this.left === 0) return -1;
    this.left--;
    const { bytes, at } = this;
    if (at >= this.end) return this.cut();
    this.at = at + 1;
    switch (bytes[at]) {
      case FormatCode.true:
        return 1;
      case FormatCode.false:
        return 0;
      case FormatCode.null:
        return -1;
      case FormatCode.boolean: {
        if (at + 2 > this.end) return this.cut();
        this.at = at + 2;
        const byte = bytes[at + 1]!;
        return byte <= 1 ? byte : this.#wrong('a boolean');
      }
      default:
        return this.#wrong('a boolean');
    }
  }

  /** A ubyte, or -1 when it is absent. */
  ubyte(): number {
    if (this.left === 0) return -1;
    this.left--;
    const { bytes, at } = this;
    if (at >= this.end) return this.cut();
    if (bytes[at] === FormatCode.null) {
      this.at = at + 1;
      return -1;
    }
    if (bytes[at] !== FormatCode.ubyte) return this.#wrong('a ubyte');
    if (at + 2 > this.end) return this.cut();
    this.at = at + 2;
    return bytes[at + 1]!;
  }

  /** A binary: its length, with `at` behind it; -1 when it is absent. */
  binary(): number {
    if (this.left === 0) return -1;
    this.left--;
    const { bytes, at } = this;
    if (at >= this.end) return this.cut();
    let length = 0;
    let start = at + 2;
    switch (bytes[at]) {
      case FormatCode.vbin8:
        if (start > this.end) return this.cut();
        length = bytes[at + 1]!;
        break;
      case FormatCode.vbin32:
        start = at + 5;
        if (start > this.end) return this.cut();
        length = uint32(bytes, at + 1);
        break;
      case FormatCode.null:
        this.at = at + 1;
        return -1;
      default:
        return this.#wrong('binary');
    }
    if (start + length > this.end) return this.cut();
    this.at = start + length;
    return length;
  }

  /** Whether the next field holds something; passes what says that it does not. */
  present(): boolean {
    if (this.left === 0) return false;
    this.left--;
    if (this.at >= this.end) {
      this.cut();
      return false;
    }
    if (this.bytes[this.at] !== FormatCode.null) return true;
    this.at++;
    return false;
  }

  cut(): number {
    this.#fail('the bytes end within a value');
    return -1;
  }

  fail(fault: AmqpFault): void {
    this.fault ??= fault;
    this.at = this.end;
    this.left = 0;
  }

  #wrong(wanted: string): number {
    this.#fail(`another type where ${wanted} belongs`);
    return -1;
  }

  #fail(message: string): false {
    this.fail(decodeFault(message));
    return false;
  }
}

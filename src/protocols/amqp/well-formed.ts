// Whether bytes are values as the specification has them, without making anything of them: what is kept to be read later, or by another
// peer, must be readable then. A message that a strict consumer cannot read would end its connection, again and again.

import { isUtf8 } from 'node:buffer';
import { FormatCode, isAscii, uint32 } from './codec/index.ts';
import { elementType } from './codec/value-types.ts';
import { maxValueDepth } from './codec/value-reader.ts';

/** Bytes of data behind constructors of a fixed width; -1: no type has this constructor. */
const widths = new Int8Array(0xa0).fill(-1);
for (const [width, codes] of [
  [0, [FormatCode.null, FormatCode.true, FormatCode.false, FormatCode.uint0, FormatCode.ulong0, FormatCode.list0]],
  [1, [FormatCode.ubyte, FormatCode.byte, FormatCode.smalluint, FormatCode.smallulong]],
  [1, [FormatCode.smallint, FormatCode.smalllong, FormatCode.boolean]],
  [2, [FormatCode.ushort, FormatCode.short]],
  [4, [FormatCode.uint, FormatCode.int, FormatCode.float, FormatCode.char, FormatCode.decimal32]],
  [8, [FormatCode.ulong, FormatCode.long, FormatCode.double, FormatCode.timestamp, FormatCode.decimal64]],
  [16, [FormatCode.decimal128, FormatCode.uuid]],
] as const) {
  for (const code of codes) widths[code] = width;
}

/** Whether `bytes[start..end)` is one value, and all in it are. */
export function isWellFormed(bytes: Uint8Array, start: number, end: number): boolean {
  return valueEnd(bytes, start, end, maxValueDepth) === end;
}

/** Where the value at `at` ends; -1: it is none, or does not end before `end`. */
function valueEnd(bytes: Uint8Array, at: number, end: number, depthLeft: number): number {
  if (at >= end || depthLeft === 0) return -1;
  const code = bytes[at]!;
  if (code !== FormatCode.described) return dataEnd(bytes, code, at + 1, end, depthLeft);
  const value = valueEnd(bytes, at + 1, end, depthLeft - 1);
  return value < 0 ? -1 : valueEnd(bytes, value, end, depthLeft - 1);
}

function dataEnd(bytes: Uint8Array, code: number, at: number, end: number, depthLeft: number): number {
  if (code < 0xa0) {
    const width = widths[code]!;
    return width < 0 || at + width > end ? -1 : at + width;
  }
  const wide = (code & 0x10) !== 0;
  const start = at + (wide ? 4 : 1);
  if (start > end) return -1;
  const next = start + (wide ? uint32(bytes, at) : bytes[at]!);
  if (next > end) return -1;
  switch (code) {
    case FormatCode.vbin8:
    case FormatCode.vbin32:
      return next;
    case FormatCode.str8:
    case FormatCode.str32:
      return isAscii(bytes, start, next) || isUtf8(bytes.subarray(start, next)) ? next : -1;
    case FormatCode.sym8:
    case FormatCode.sym32:
      return isAscii(bytes, start, next) ? next : -1;
    default:
      return holdsElements(bytes, code, start, next, wide, depthLeft - 1) ? next : -1;
  }
}

/** Whether `bytes[start..end)` is the count of a list, a map or an array, and as many elements. */
function holdsElements(bytes: Uint8Array, code: number, start: number, end: number, wide: boolean, depthLeft: number): boolean {
  let at = start + (wide ? 4 : 1);
  if (at > end) return false;
  const count = wide ? uint32(bytes, start) : bytes[start]!;
  const kind = code & 0xef;
  if (kind === FormatCode.array8) return holdsArray(bytes, at, end, count, depthLeft);
  if (kind !== FormatCode.list8 && (kind !== FormatCode.map8 || count % 2 !== 0)) return false;
  for (let i = 0; i < count; i++) {
    at = valueEnd(bytes, at, end, depthLeft);
    if (at < 0) return false;
  }
  return at === end;
}

/** One constructor for all elements [AMQP 1.2.4]. */
function holdsArray(bytes: Uint8Array, start: number, end: number, count: number, depthLeft: number): boolean {
  let at = start;
  for (let descriptors = 0; bytes[at] === FormatCode.described && at < end; descriptors++) {
    at = descriptors < depthLeft ? valueEnd(bytes, at + 1, end, depthLeft - 1) : -1;
    if (at < 0) return false;
  }
  if (at >= end || depthLeft <= 0) return false;
  const code = bytes[at++]!;
  if (elementType(code) === undefined) return false;
  // Elements without width take no bytes: however many it says there are, there is nothing to look at.
  if (code < 0xa0 && widths[code] === 0) return at === end;
  for (let i = 0; i < count; i++) {
    at = dataEnd(bytes, code, at, end, depthLeft);
    if (at < 0) return false;
  }
  return at === end;
}

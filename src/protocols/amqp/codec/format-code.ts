// Constructors of primitive types [AMQP 1.6]. The first half of a code is its category, which says how many bytes follow [AMQP 1.2].

export const FormatCode = {
  described: 0x00,
  null: 0x40,
  true: 0x41,
  false: 0x42,
  uint0: 0x43,
  ulong0: 0x44,
  list0: 0x45,
  ubyte: 0x50,
  byte: 0x51,
  smalluint: 0x52,
  smallulong: 0x53,
  smallint: 0x54,
  smalllong: 0x55,
  boolean: 0x56,
  ushort: 0x60,
  short: 0x61,
  uint: 0x70,
  int: 0x71,
  float: 0x72,
  char: 0x73,
  decimal32: 0x74,
  ulong: 0x80,
  long: 0x81,
  double: 0x82,
  timestamp: 0x83,
  decimal64: 0x84,
  decimal128: 0x94,
  uuid: 0x98,
  vbin8: 0xa0,
  str8: 0xa1,
  sym8: 0xa3,
  vbin32: 0xb0,
  str32: 0xb1,
  sym32: 0xb3,
  list8: 0xc0,
  map8: 0xc1,
  list32: 0xd0,
  map32: 0xd1,
  array8: 0xe0,
  array32: 0xf0,
} as const;

/** Bytes of data behind a code of a fixed width [AMQP 1.2.1], by the code's first half. */
const fixedWidths = [0, 1, 2, 4, 8, 16];

/**
 * Where the data behind `code` ends; its first byte is at `at`. -1: it does not end before `end`, or no such category exists.
 * Not looked into: codes that no type has yet are skipped by their category.
 */
export function dataEnd(code: number, bytes: Uint8Array, at: number, end: number): number {
  const category = code >> 4;
  let next = -1;
  if (category >= 0x4 && category <= 0x9) {
    next = at + fixedWidths[category - 4]!;
  } else if (category >= 0xa) {
    // Sizes of variable widths, compounds and arrays: one byte where the category is even, four where it is odd.
    if ((category & 1) === 0) next = at < end ? at + 1 + bytes[at]! : -1;
    else if (end - at >= 4) next = at + 4 + uint32(bytes, at);
  }
  return next > end ? -1 : next;
}

export function uint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/**
 * Where the value at `at` ends, described ones with their descriptors; -1: not before `end`. Follows sizes and looks into
 * nothing, so that it takes neither memory nor stack, whatever the bytes are.
 */
export function skipValue(bytes: Uint8Array, at: number, end: number): number {
  // A described value is two values: its descriptor and itself [AMQP 1.2].
  for (let wanted = 1; wanted > 0;) {
    if (at >= end) return -1;
    const code = bytes[at++]!;
    if (code === FormatCode.described) {
      wanted++;
      continue;
    }
    at = dataEnd(code, bytes, at, end);
    if (at < 0) return -1;
    wanted--;
  }
  return at;
}

// UTF-8 as MQTT wants it (§1.5.4): well-formed, no surrogates [MQTT-1.5.4-1], no U+0000 [MQTT-1.5.4-2]. Control characters
// and non-characters may be refused by a receiver; here they pass, because topics and values of other protocols hold them.
// A byte order mark is a character like any other [MQTT-1.5.4-3].

/**
 * Whether `bytes[start..end)` is well-formed UTF-8 without U+0000: any string field, and a topic's bytes [MQTT-4.7.3-2]. Length and
 * wildcards of a topic are another matter.
 */
export function isMqttText(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    // 1 to 127; anything else leaves the short way.
    if (((byte - 1) | 0) >>> 0 >= 0x7f) return byte !== 0 && isMultiByteText(bytes, at, end);
  }
  return true;
}

/** Whether `bytes[start..end)` is well-formed UTF-8; U+0000 is allowed. For payloads that say they are text. */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    const length = sequenceBytes(bytes, at, end);
    if (length === 0) return false;
    at += length;
  }
  return true;
}

/** The text of `bytes[start..end)`, which must have passed a check. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  return utf8Slice.call(bytes, start, end);
}

// Without a Buffer object per string, which Buffer.from(...).toString() would cost.
const { utf8Slice } = Buffer.prototype as unknown as { utf8Slice: (this: Uint8Array, start: number, end: number) => string };

function isMultiByteText(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    if (bytes[at] === 0) return false;
    const length = sequenceBytes(bytes, at, end);
    if (length === 0) return false;
    at += length;
  }
  return true;
}

/** Length of the well-formed sequence at `at` (Unicode, table 3-7), or 0. */
function sequenceBytes(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at]!;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (at + length > end) return 0;
  const second = bytes[at + 1]!;
  // The second byte rules out overlong forms (E0, F0), surrogates (ED) and what is beyond U+10FFFF (F4).
  const lowest = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const highest = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let i = 2; i < length; i++) if ((bytes[at + i]! & 0xc0) !== 0x80) return 0;
  return length;
}

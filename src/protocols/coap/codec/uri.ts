// The path and the query of a request, read from its options (RFC 7252 §5.10.1) without a string where none is needed.

import type { CoapOption } from './message.ts';
import { OptionNumber } from './options.ts';
import { textValue } from './option-values.ts';

const slash = 0x2f;
const dot = 0x2e;
const equals = 0x3d;

/** The index of the first Uri-Path option, or -1. The others follow it. */
export function pathStart(options: readonly CoapOption[]): number {
  for (let i = 0; i < options.length; i++) {
    const { number } = options[i]!;
    if (number === OptionNumber.uriPath) return i;
    if (number > OptionNumber.uriPath) return -1;
  }
  return -1;
}

export function pathSegmentCount(options: readonly CoapOption[]): number {
  let count = 0;
  for (let i = pathStart(options); i >= 0 && i < options.length && options[i]!.number === OptionNumber.uriPath; i++) count++;
  return count;
}

/** The bytes of the n-th segment, from 0; undefined: there are not so many. */
export function pathSegment(options: readonly CoapOption[], n: number): Uint8Array | undefined {
  const start = pathStart(options);
  if (start < 0) return undefined;
  const option = options[start + n];
  return option?.number === OptionNumber.uriPath ? option.value : undefined;
}

/** Whether the n-th segment is these bytes: `isSegment(options, 0, textBytes('t'))`. */
export function isSegment(options: readonly CoapOption[], n: number, bytes: Uint8Array): boolean {
  const segment = pathSegment(options, n);
  return segment !== undefined && sameBytes(segment, bytes);
}

/**
 * Writes the segments from the `from`-th on into `into`, with a slash between them, and returns how many bytes that is. -1: they do not
 * fit. -2: a segment has a slash of its own, and so would be taken for two. For looking up what is cached by the bytes of its path.
 */
export function joinPath(options: readonly CoapOption[], from: number, into: Uint8Array): number {
  const start = pathStart(options);
  if (start < 0) return 0;
  let at = 0;
  for (let i = start + from; i < options.length; i++) {
    const { number, value } = options[i]!;
    if (number !== OptionNumber.uriPath) break;
    if (i > start + from) {
      if (at === into.length) return -1;
      into[at++] = slash;
    }
    if (at + value.length > into.length) return -1;
    for (let j = 0; j < value.length; j++) {
      const byte = value[j]!;
      if (byte === slash) return -2;
      into[at++] = byte;
    }
  }
  return at;
}

/** The segments as text; undefined when one is not UTF-8. */
export function pathSegments(options: readonly CoapOption[]): string[] | undefined {
  return texts(options, OptionNumber.uriPath);
}

/** The arguments of the query as text, `name=value` each; undefined when one is not UTF-8. */
export function queryArguments(options: readonly CoapOption[]): string[] | undefined {
  return texts(options, OptionNumber.uriQuery);
}

/** What stands behind `name=` in the first argument with that name: empty bytes where there is only the name. Undefined: there is none. */
export function queryValue(options: readonly CoapOption[], name: Uint8Array): Uint8Array | undefined {
  for (let i = 0; i < options.length; i++) {
    const { number, value } = options[i]!;
    if (number > OptionNumber.uriQuery) return undefined;
    if (number !== OptionNumber.uriQuery || value.length < name.length || !startsWith(value, name)) continue;
    if (value.length === name.length) return value.subarray(name.length);
    if (value[name.length] === equals) return value.subarray(name.length + 1);
  }
  return undefined;
}

/** RFC 7252 §5.10.1: `.` and `..` must not be segments; a URI is resolved before it is sent. */
export function hasDotSegment(options: readonly CoapOption[]): boolean {
  for (let i = pathStart(options); i >= 0 && i < options.length && options[i]!.number === OptionNumber.uriPath; i++) {
    const { value } = options[i]!;
    if ((value.length === 1 || (value.length === 2 && value[1] === dot)) && value[0] === dot) return true;
  }
  return false;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && startsWith(a, b);
}

function startsWith(bytes: Uint8Array, beginning: Uint8Array): boolean {
  for (let i = 0; i < beginning.length; i++) if (bytes[i] !== beginning[i]) return false;
  return true;
}

function texts(options: readonly CoapOption[], wanted: number): string[] | undefined {
  const found: string[] = [];
  for (const { number, value } of options) {
    if (number > wanted) break;
    if (number !== wanted) continue;
    const text = textValue(value);
    if (text === undefined) return undefined;
    found.push(text);
  }
  return found;
}

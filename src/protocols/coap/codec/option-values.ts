// What the values of options say, and options with a value (RFC 7252 §3.2).

import type { CoapOption } from './message.ts';

export const noBytes = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A number in network byte order; leading zeros change nothing. More than six bytes do not fit and are NaN. */
export function uintValue(value: Uint8Array): number {
  let number = 0;
  for (let i = 0; i < value.length; i++) number = number * 256 + value[i]!;
  return number <= Number.MAX_SAFE_INTEGER ? number : NaN;
}

/** In as few bytes as it takes: 0 has none (RFC 7252 §3.2). `number`: 0 to 2^53 - 1. */
export function uintBytes(number: number): Uint8Array {
  if (number === 0) return noBytes;
  if (number < 0x100) return Uint8Array.of(number);
  if (number < 0x1_0000) return Uint8Array.of(number >>> 8, number);
  const bytes: number[] = [];
  for (let rest = number; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Uint8Array.from(bytes);
}

/** The text of a value; undefined when it is not UTF-8. */
export function textValue(value: Uint8Array): string | undefined {
  try {
    return decoder.decode(value);
  } catch {
    return undefined;
  }
}

export function textBytes(text: string): Uint8Array {
  return encoder.encode(text);
}

export function uintOption(number: number, value: number): CoapOption {
  return { number, value: uintBytes(value) };
}

export function textOption(number: number, text: string): CoapOption {
  return { number, value: encoder.encode(text) };
}

export function emptyOption(number: number): CoapOption {
  return { number, value: noBytes };
}

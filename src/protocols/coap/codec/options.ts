// The options of CoAP: their numbers, what the number itself says of them, and what the registry says of their values.
// RFC 7252 §5.4, §5.10 and Table 4; RFC 7641 §2, 7959 §2.1 and §4, 7967 §2, 8613 §2, 8768 §3, 9175 §2.2.1 and §3.2, 9177 §4.1, 9668 §3.1.

import type { CoapOption } from './message.ts';

export const OptionNumber = {
  ifMatch: 1,
  uriHost: 3,
  etag: 4,
  ifNoneMatch: 5,
  observe: 6,
  uriPort: 7,
  locationPath: 8,
  oscore: 9,
  uriPath: 11,
  contentFormat: 12,
  maxAge: 14,
  uriQuery: 15,
  hopLimit: 16,
  accept: 17,
  qBlock1: 19,
  locationQuery: 20,
  edhoc: 21,
  block2: 23,
  block1: 27,
  size2: 28,
  qBlock2: 31,
  proxyUri: 35,
  proxyScheme: 39,
  size1: 60,
  echo: 252,
  noResponse: 258,
  requestTag: 292,
} as const;

export type OptionFormat = 'empty' | 'opaque' | 'uint' | 'string';

export type OptionFacts = {
  /** As the RFCs write it: `Uri-Path`. */
  readonly name: string;
  readonly format: OptionFormat;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly repeatable: boolean;
};

/** By number. Lengths in bytes. */
const facts: readonly (OptionFacts | undefined)[] = table([
  [OptionNumber.ifMatch, 'If-Match', 'opaque', 0, 8, 'repeatable'],
  [OptionNumber.uriHost, 'Uri-Host', 'string', 1, 255],
  [OptionNumber.etag, 'ETag', 'opaque', 1, 8, 'repeatable'],
  [OptionNumber.ifNoneMatch, 'If-None-Match', 'empty', 0, 0],
  [OptionNumber.observe, 'Observe', 'uint', 0, 3],
  [OptionNumber.uriPort, 'Uri-Port', 'uint', 0, 2],
  [OptionNumber.locationPath, 'Location-Path', 'string', 0, 255, 'repeatable'],
  [OptionNumber.oscore, 'OSCORE', 'opaque', 0, 255],
  [OptionNumber.uriPath, 'Uri-Path', 'string', 0, 255, 'repeatable'],
  [OptionNumber.contentFormat, 'Content-Format', 'uint', 0, 2],
  [OptionNumber.maxAge, 'Max-Age', 'uint', 0, 4],
  [OptionNumber.uriQuery, 'Uri-Query', 'string', 0, 255, 'repeatable'],
  // RFC 8768 §3: of one byte; what else comes is not ignored, but refused (request-check.ts).
  [OptionNumber.hopLimit, 'Hop-Limit', 'uint', 0, 255],
  [OptionNumber.accept, 'Accept', 'uint', 0, 2],
  [OptionNumber.qBlock1, 'Q-Block1', 'uint', 0, 3],
  [OptionNumber.locationQuery, 'Location-Query', 'string', 0, 255, 'repeatable'],
  [OptionNumber.edhoc, 'EDHOC', 'empty', 0, 0],
  [OptionNumber.block2, 'Block2', 'uint', 0, 3],
  [OptionNumber.block1, 'Block1', 'uint', 0, 3],
  [OptionNumber.size2, 'Size2', 'uint', 0, 4],
  // RFC 9177 §4.1: in a request it may ask for several missing blocks.
  [OptionNumber.qBlock2, 'Q-Block2', 'uint', 0, 3, 'repeatable'],
  [OptionNumber.proxyUri, 'Proxy-Uri', 'string', 1, 1034],
  [OptionNumber.proxyScheme, 'Proxy-Scheme', 'string', 1, 255],
  [OptionNumber.size1, 'Size1', 'uint', 0, 4],
  [OptionNumber.echo, 'Echo', 'opaque', 1, 40],
  [OptionNumber.noResponse, 'No-Response', 'uint', 0, 1],
  [OptionNumber.requestTag, 'Request-Tag', 'opaque', 0, 8, 'repeatable'],
]);

/** What is known of an option; undefined: it is not one of ours. */
export function optionFacts(number: number): OptionFacts | undefined {
  return facts[number];
}

/** For logs and traces: `Uri-Path`, or `65000` for one that is not known. */
export function optionName(number: number): string {
  return facts[number]?.name ?? String(number);
}

/** RFC 7252 §5.4.1: who does not understand it must not process the message. */
export function isCritical(number: number): boolean {
  return (number & 1) !== 0;
}

/** RFC 7252 §5.4.2: a proxy that does not know it must not forward the message. */
export function isUnsafeToForward(number: number): boolean {
  return (number & 2) !== 0;
}

/** RFC 7252 §5.4.2: it is no part of the key by which caches know a request. */
export function isNoCacheKey(number: number): boolean {
  return (number & 0x1e) === 0x1c;
}

/** The value of the first option with that number. */
export function optionValue(options: readonly CoapOption[], number: number): Uint8Array | undefined {
  for (let i = 0; i < options.length; i++) {
    const option = options[i]!;
    if (option.number === number) return option.value;
    if (option.number > number) return undefined;
  }
  return undefined;
}

export function hasOption(options: readonly CoapOption[], number: number): boolean {
  return optionValue(options, number) !== undefined;
}

/** `options` without those of that number; the same array when there is none. */
export function withoutOption(options: readonly CoapOption[], number: number): readonly CoapOption[] {
  return hasOption(options, number) ? options.filter((option) => option.number !== number) : options;
}

/** `options` and one more, where it belongs: behind those with the same number. */
export function withOption(options: readonly CoapOption[], option: CoapOption): readonly CoapOption[] {
  let at = options.length;
  while (at > 0 && options[at - 1]!.number > option.number) at--;
  return [...options.slice(0, at), option, ...options.slice(at)];
}

/**
 * The number of the first critical option that cannot be processed, or 0: one that `understood` does not name, one whose length is
 * not as it should be (RFC 7252 §5.4.3), or a repetition of one that may come once (§5.4.5). `understood` is asked for those that are
 * in the registry.
 */
export function badCriticalOption(options: readonly CoapOption[], understood: (number: number) => boolean): number {
  for (let i = 0; i < options.length; i++) {
    const { number, value } = options[i]!;
    if ((number & 1) === 0) continue;
    const known = facts[number];
    if (known === undefined || !understood(number)) return number;
    if (value.length < known.minBytes || value.length > known.maxBytes) return number;
    if (!known.repeatable && i > 0 && options[i - 1]!.number === number) return number;
  }
  return 0;
}

/** An elective option that is to be taken as if it were not there: its length is wrong, or it came before (RFC 7252 §5.4.3, §5.4.5). */
export function isIgnored(options: readonly CoapOption[], index: number): boolean {
  const { number, value } = options[index]!;
  const known = facts[number];
  if (known === undefined || (number & 1) !== 0) return false;
  if (value.length < known.minBytes || value.length > known.maxBytes) return true;
  return !known.repeatable && index > 0 && options[index - 1]!.number === number;
}

type Row = readonly [number, string, OptionFormat, number, number, 'repeatable'?];

function table(rows: readonly Row[]): readonly (OptionFacts | undefined)[] {
  const byNumber: (OptionFacts | undefined)[] = Array.from({ length: OptionNumber.requestTag + 1 }, () => undefined);
  for (const [number, name, format, minBytes, maxBytes, repeatable] of rows) {
    byNumber[number] = { name, format, minBytes, maxBytes, repeatable: repeatable !== undefined };
  }
  return byNumber;
}

// A message as CoAP shows it: the options and the payload of a response, without what only one observation knows. Made once for all
// observers of a message.

import type { Message } from '../../../message/message.ts';
import { Code, type CoapOption, OptionNumber, textBytes, uintOption } from '../codec/index.ts';
import type { CoapResponse } from '../exchange.ts';
import { formatOf, maxAgeOf } from './convert.ts';

/** RFC 7252 §5.10.5: what a response without the option has. */
const defaultMaxAgeSec = 60;

export type Representation = {
  /** Owned. */
  readonly payload: Uint8Array;
  readonly topic: string;
  readonly format: number;
  /** Milliseconds since the epoch; 0: never. */
  readonly expiresAtMs: number;
  /** It is the last value of its topic. */
  readonly isState: boolean;
  /** Content-Format, if there is one. */
  readonly formatOption: CoapOption | undefined;
  /** Where the topic is: told by observations of several topics. */
  readonly location: readonly CoapOption[];
};

let lastMessage: Message | undefined;
let last: Representation | undefined;

/** Remembers the last one: a message with many observers is made ready once. */
export function representationOf(message: Message, isState: boolean): Representation {
  if (lastMessage === message && last!.isState === isState) return last!;
  const format = formatOf(message.attributes);
  const { topic, expiresAtMs } = message;
  last = {
    payload: new Uint8Array(message.payload()),
    topic,
    format,
    expiresAtMs,
    isState,
    formatOption: format < 0 ? undefined : uintOption(OptionNumber.contentFormat, format),
    location: placeOf(['t', ...topic.split('/')]),
  };
  lastMessage = message;
  return last;
}

/** RFC 7252 §5.10.7: what cannot be said in Location-Path is not said. */
function placeOf(segments: readonly string[]): readonly CoapOption[] {
  const location = locationOf(segments);
  return location.every(({ value }, i) => value.length <= 255 && !/^\.\.?$/.test(segments[i]!)) ? location : [];
}

export function locationOf(segments: readonly string[]): CoapOption[] {
  return segments.map((segment) => ({ number: OptionNumber.locationPath, value: textBytes(segment) }));
}

export function maxAgeOption(message: { readonly expiresAtMs: number }, nowMs: number, maxAgeSec: number): CoapOption | undefined {
  const seconds = maxAgeOf(message as Message, nowMs, maxAgeSec);
  return seconds === defaultMaxAgeSec ? undefined : uintOption(OptionNumber.maxAge, seconds);
}

/**
 * An entity-tag of a last value: the same as long as it is the same, across restarts, too (RFC 7252 §5.10.6.1). When it was accepted
 * is part of it, so that nobody can make another value with the same tag on purpose.
 */
export function etagOf(message: Message): Uint8Array {
  let hash = 0x811c9dc5 | 0;
  const { buffer, start, end, acceptedAtMs } = message;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ buffer[i]!, 0x01000193);
  hash = Math.imul(hash ^ formatOf(message.attributes), 0x01000193);
  const tag = new Uint8Array(8);
  const view = new DataView(tag.buffer);
  view.setUint32(0, hash >>> 0);
  view.setUint32(4, acceptedAtMs % 0x1_0000_0000);
  return tag;
}

/** The answer to a GET of a last value. */
export function contentOf(message: Message, nowMs: number, maxAgeSec: number): CoapResponse {
  const { formatOption, payload } = representationOf(message, true);
  const options: CoapOption[] = [{ number: OptionNumber.etag, value: etagOf(message) }];
  if (formatOption !== undefined) options.push(formatOption);
  const maxAge = maxAgeOption(message, nowMs, maxAgeSec);
  if (maxAge !== undefined) options.push(maxAge);
  return { code: Code.content, options, payload };
}

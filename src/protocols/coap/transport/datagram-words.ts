// Messages in words, for an operator who watches one peer. Says nothing of payloads but their length, and nothing of opaque options that
// may be secrets.

import { type CoapMessage, codeName, decodeUdp, isCoap, isSignal, optionFacts, optionName, textValue, uintValue } from '../codec/index.ts';

const types = ['CON', 'NON', 'ACK', 'RST'];
/** Longer texts of a peer are cut. */
const longestText = 200;

/** One datagram as one line. */
export function datagramInWords(bytes: Uint8Array): string {
  const message = isCoap(bytes) ? decodeUdp(bytes) : undefined;
  if (message === undefined) return `(not a message) ${bytes.length} bytes`;
  return `${types[message.type]} mid=${message.messageId} ${messageInWords(message)}`;
}

/** What is alike over all transports. */
export function messageInWords({ code, token, options, payload }: CoapMessage): string {
  const words = [codeName(code)];
  if (token.length > 0) words.push(`token=0x${hex(token.subarray(0, 16))}`);
  for (const { number, value } of options) words.push(isSignal(code) ? `${number}=${uintValue(value)}` : optionInWords(number, value));
  if (payload.length > 0) words.push(`${payload.length} bytes`);
  return words.join(' ');
}

function optionInWords(number: number, value: Uint8Array): string {
  const name = optionName(number);
  switch (optionFacts(number)?.format) {
    case 'uint':
      return `${name}=${uintValue(value)}`;
    case 'string': {
      const text = textValue(value) ?? `0x${hex(value)}`;
      return `${name}=${JSON.stringify(text.length > longestText ? `${text.slice(0, longestText)}…` : text)}`;
    }
    case 'empty':
      return name;
    default:
      return `${name}(${value.length} bytes)`;
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

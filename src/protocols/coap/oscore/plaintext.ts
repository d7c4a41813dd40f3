// What is encrypted of a message: code, options of class E and payload (RFC 8613 §5.3). And which options are of which class (§4.1).

import { optionsLength, payloadLength, readBody, writeBody } from '../codec/message-body.ts';
import type { CoapOption } from '../codec/message.ts';
import { OptionNumber } from '../codec/options.ts';

export type Plaintext = { readonly code: number; readonly options: readonly CoapOption[]; readonly payload: Uint8Array };

/** `options` ascend. */
export function writePlaintext(code: number, options: readonly CoapOption[], payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + optionsLength(options) + payloadLength(payload));
  bytes[0] = code;
  writeBody(bytes, 1, options, payload);
  return bytes;
}

/** Views of `bytes`; undefined: it is none. */
export function readPlaintext(bytes: Uint8Array): Plaintext | undefined {
  if (bytes.length === 0) return undefined;
  const body = readBody(bytes, 1, bytes.length);
  return body && { code: bytes[0]!, ...body };
}

/** RFC 8613 §4.1, RFC 8768 §3: only proxies and servers before the endpoint need them. Whatever else there is, is encrypted. */
export function isOuterOnly(number: number): boolean {
  return (
    number === OptionNumber.uriHost ||
    number === OptionNumber.uriPort ||
    number === OptionNumber.proxyUri ||
    number === OptionNumber.proxyScheme ||
    number === OptionNumber.hopLimit ||
    number === OptionNumber.oscore
  );
}

/**
 * The options of a request that was opened (RFC 8613 §8.2): those inside, and of those outside what is only there. An observation
 * wants the option in both places (§4.1.3.5.1): a proxy that took the outer one away does not carry notifications.
 */
export function openedOptions(inner: readonly CoapOption[], outer: readonly CoapOption[]): readonly CoapOption[] {
  const options: CoapOption[] = [];
  let hasOuterObserve = false;
  for (const option of outer) {
    if (option.number === OptionNumber.observe) hasOuterObserve = true;
    if (!isOuterOnly(option.number) || option.number === OptionNumber.oscore) continue;
    if (!inner.some(({ number }) => number === option.number)) options.push(option);
  }
  const isMixed = options.length > 0;
  for (const option of inner) {
    if (option.number === OptionNumber.oscore) continue;
    if (option.number !== OptionNumber.observe || hasOuterObserve) options.push(option);
  }
  return isMixed ? options.sort((a, b) => a.number - b.number) : options;
}

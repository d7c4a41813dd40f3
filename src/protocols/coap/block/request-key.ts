// Which requests belong to one transfer: the same peer, the same identity, and the same but for blocks (RFC 7959 §2.5, RFC 9175 §3.3).
// Tokens are no part of it: each block has its own.

import { isNoCacheKey, OptionNumber } from '../codec/options.ts';

import type { CoapOption } from '../codec/message.ts';
import type { CoapRequest, OscoreIdentity } from '../exchange.ts';

/** Key of a body that comes in: everything counts but what says which block it is. Request-Tag tells transfers apart that are else alike. */
export function assemblyKey(request: CoapRequest): string {
  return keyOf(request.message.code, request.message.options, request.oscore, isBlockWise);
}

/**
 * Key of an answer that goes out: who asks for a further block repeats neither Observe (RFC 7959 §3.4) nor the ETags it had.
 * Requests with a body of their own have it in their first block only, and its format with it.
 */
export function answerKey(request: CoapRequest): string {
  return keyOf(request.message.code, request.message.options, request.oscore, isOfFirstOnly);
}

export function isBlockWise(number: number): boolean {
  switch (number) {
    case OptionNumber.block1:
    case OptionNumber.block2:
    case OptionNumber.qBlock1:
    case OptionNumber.qBlock2:
    case OptionNumber.noResponse:
      return true;
    default:
      return false;
  }
}

/** The same for answers by Q-Block2: who asks for more of them need not repeat the Request-Tag either (RFC 9177 §10.3.2). */
export function qAnswerKey(request: CoapRequest): string {
  return keyOf(
    request.message.code,
    request.message.options,
    request.oscore,
    (number) => number === OptionNumber.requestTag || isOfFirstOnly(number),
  );
}

function isOfFirstOnly(number: number): boolean {
  return isBlockWise(number) || number === OptionNumber.observe || number === OptionNumber.etag || number === OptionNumber.contentFormat;
}

function keyOf(
  code: number,
  options: readonly CoapOption[],
  oscore: OscoreIdentity | undefined,
  without: (number: number) => boolean,
): string {
  let key = String.fromCharCode(code);
  // Length first: no name can be continued into another's.
  if (oscore !== undefined) key += `${oscore.contextId.length}:${oscore.contextId}${oscore.tenant.length}:${oscore.tenant}`;
  for (const { number, value } of options) {
    if (isNoCacheKey(number) || without(number)) continue;
    key += String.fromCharCode(number, value.length, ...value);
  }
  return key;
}

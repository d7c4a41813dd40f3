// What is looked at in every request before a resource sees it, whether it came in clear or out of OSCORE.

import {
  badCriticalOption,
  Code,
  hasDotSegment,
  hasOption,
  noBytes,
  OptionNumber,
  optionName,
  optionValue,
  textBytes,
  uintValue,
} from './codec/index.ts';
import type { CoapRequest, CoapResponse, Reply, RequestHandler } from './exchange.ts';
import { isUnderstood, isUnderstoodInDatagrams } from './transport/transport.ts';

export class RequestCheck implements RequestHandler {
  readonly #next: RequestHandler;

  constructor(next: RequestHandler) {
    this.#next = next;
  }

  handle(request: CoapRequest, reply: Reply): void {
    const refusal = refusalOf(request);
    if (refusal === undefined) this.#next.handle(request, reply);
    else reply.send(refusal);
  }
}

function refusalOf({ message: { options }, oscore, peer }: CoapRequest): CoapResponse | undefined {
  // What came in clear has been looked at by the transport.
  const bad = oscore === undefined ? 0 : badCriticalOption(options, peer.isReliable ? isUnderstood : isUnderstoodInDatagrams);
  if (bad !== 0) return { code: Code.badOption, options: [], payload: textBytes(optionName(bad)) };
  // RFC 8768 §3.
  const hops = optionValue(options, OptionNumber.hopLimit);
  if (hops !== undefined && !(uintValue(hops) >= 1 && uintValue(hops) <= 255)) {
    return { code: Code.badRequest, options: [], payload: textBytes('Hop-Limit') };
  }
  // RFC 7252 §5.10.2: no proxy is here.
  if (hasOption(options, OptionNumber.proxyUri) || hasOption(options, OptionNumber.proxyScheme)) {
    return { code: Code.proxyingNotSupported, options: [], payload: noBytes };
  }
  // RFC 7252 §5.10.1.
  if (hasDotSegment(options)) return { code: Code.badRequest, options: [], payload: textBytes('Uri-Path . or ..') };
  return undefined;
}

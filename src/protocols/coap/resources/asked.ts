// What a request asks for besides its method and path, read in one pass over its options into an object that is used again: a
// request costs none.

import { OptionNumber, optionFacts, textValue, uintValue, type CoapOption } from '../codec/index.ts';

const none = -1;

/** Critical options that the resources, or the layers below them, understand. */
const understood: ReadonlySet<number> = new Set([
  OptionNumber.ifMatch,
  OptionNumber.uriHost,
  OptionNumber.ifNoneMatch,
  OptionNumber.uriPort,
  OptionNumber.oscore,
  OptionNumber.uriPath,
  OptionNumber.uriQuery,
  OptionNumber.accept,
  OptionNumber.block2,
  OptionNumber.block1,
]);

export class Asked {
  /** 0: register, 1: cancel (RFC 7641 §2); -1: neither. */
  observe = none;
  /** Content-Format numbers; -1: not said. */
  contentFormat = none;
  accept = none;
  /** Index of the first Uri-Path and of the first Uri-Query; -1: there is none. */
  path = none;
  query = none;
  hasIfMatch = false;
  ifNoneMatch = false;
  hasEtag = false;
  isProxied = false;
  /** Number of a critical option that cannot be processed (RFC 7252 §5.4.1); 0: there is none. */
  bad = 0;

  read(options: readonly CoapOption[]): void {
    this.observe = this.contentFormat = this.accept = this.path = this.query = none;
    this.hasIfMatch = this.ifNoneMatch = this.hasEtag = this.isProxied = false;
    this.bad = 0;
    let before = none;
    for (let i = 0; i < options.length; i++) {
      const option = options[i]!;
      const { number } = option;
      if (number === OptionNumber.uriPath) {
        if (this.path === none) this.path = i;
      } else if (number === OptionNumber.uriQuery) {
        if (this.query === none) this.query = i;
      } else this.#readOne(option, number === before);
      before = number;
    }
  }

  #readOne({ number, value }: CoapOption, isRepeated: boolean): void {
    const facts = optionFacts(number);
    const isWrong = facts === undefined || value.length < facts.minBytes || value.length > facts.maxBytes;
    if ((number & 1) !== 0) {
      if (number === OptionNumber.proxyUri || number === OptionNumber.proxyScheme) this.isProxied = true;
      // RFC 7252 §5.4.3, §5.4.5: what is critical must be right.
      else if (isWrong || !understood.has(number) || (isRepeated && !facts.repeatable)) this.bad ||= number;
    } else if (isWrong || isRepeated) return;
    switch (number) {
      case OptionNumber.observe:
        this.observe = uintValue(value);
        return;
      case OptionNumber.contentFormat:
        this.contentFormat = uintValue(value);
        return;
      case OptionNumber.accept:
        this.accept = uintValue(value);
        return;
      case OptionNumber.ifMatch:
        this.hasIfMatch = true;
        return;
      case OptionNumber.ifNoneMatch:
        this.ifNoneMatch = true;
        return;
      case OptionNumber.etag:
        this.hasEtag = true;
    }
  }
}

/** The arguments of the query, the first of each name; undefined when one is not UTF-8. */
export function queryOf(options: readonly CoapOption[]): Map<string, string> | undefined {
  const found = new Map<string, string>();
  for (const { number, value } of options) {
    if (number !== OptionNumber.uriQuery) continue;
    const text = textValue(value);
    if (text === undefined) return undefined;
    const at = text.indexOf('=');
    const name = at === -1 ? text : text.slice(0, at);
    if (!found.has(name)) found.set(name, at === -1 ? '' : text.slice(at + 1));
  }
  return found;
}

/** A whole number of seconds from 0 to `max`; more is `max`. Undefined: it is none. */
export function secondsOf(text: string, max: number): number | undefined {
  return /^\d{1,10}$/.test(text) ? Math.min(Number(text), max) : undefined;
}

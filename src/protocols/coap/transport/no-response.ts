// What a request does not want to be answered (RFC 7967 §2).

import { Code, type CoapOption, OptionNumber, optionValue, uintValue } from '../codec/index.ts';

/** The option's bits: 2 no success, 8 no client errors, 16 no server errors. 0: it wants all. */
export function unwantedClasses(options: readonly CoapOption[]): number {
  const value = optionValue(options, OptionNumber.noResponse);
  return value === undefined ? 0 : uintValue(value);
}

/** Code.empty is no answer: who would have answered knows that none is wanted. */
export function isUnwanted(unwanted: number, code: number): boolean {
  if (code === Code.empty) return true;
  return unwanted !== 0 && (unwanted & (1 << ((code >>> 5) - 1))) !== 0;
}

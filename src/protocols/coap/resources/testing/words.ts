// Options in words, for tests to compare.

import { type CoapOption, OptionNumber, optionFacts, uintValue } from '../../codec/index.ts';

export * from '../../codec/index.ts';

/** `Max-Age=5`; an ETag only says that there is one. */
export function formatOptionWords({ number, value }: CoapOption): string {
  const facts = optionFacts(number);
  if (facts === undefined) return `${number}`;
  if (number === OptionNumber.etag) return 'ETag';
  if (facts.format === 'uint') return `${facts.name}=${uintValue(value)}`;
  return facts.format === 'string' ? `${facts.name}=${Buffer.from(value).toString()}` : facts.name;
}

// Options in words, for tests to compare.

import { type CoapOption, OptionNumber, optionFacts, uintValue } from '../../codec/index.ts';

export * from '../../codec/index.ts';

/** `Max-Age=5`; ETag and Observe only say that there is one. */
export function formatOptionWords({ number, value }: CoapOption): string {
  const facts = optionFacts(number);
  if (facts === undefined) return `${number}`;
  // They are other ones each time.
  if (number === OptionNumber.etag || number === OptionNumber.observe) return facts.name;
  if (facts.format === 'uint') return `${facts.name}=${uintValue(value)}`;
  return facts.format === 'string' ? `${facts.name}=${Buffer.from(value).toString()}` : facts.name;
}

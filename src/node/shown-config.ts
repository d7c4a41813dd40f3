// The configuration in force, as others may see it: paths and limits, but nothing by which one could sign in.

import type { Config } from '../config.ts';

const hidden = '(hidden)';
const secretName = /(password|passphrase|secret|token|hash|key)$/i;

export function shownConfig(config: Config): object {
  return shown(config) as object;
}

/** Texts under names that sound like a secret; paths of files (`…File`) end otherwise. */
function shown(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, typeof inner === 'string' && secretName.test(name) ? hidden : shown(inner)]),
  );
}

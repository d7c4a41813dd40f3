// What somebody else says of a principal (a token, a webhook), taken as far as it can be used.

import { nameFault } from '../../message/names.ts';

/** As many as an entry of the registry may have. */
const maxNames = 64;
const maxLabels = 32;
const maxLabelLength = 256;
const labelKey = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** What others may grant, unless the configuration names more: everything but management. */
const reservedRoles: ReadonlySet<string> = new Set(['admin', 'operator', 'security-officer', 'viewer']);

/** Names out of a list or a text with spaces between them; those that cannot be names, and more than fit, are left out. */
export function claimedNames(given: unknown): readonly string[] {
  const list: readonly unknown[] = typeof given === 'string' ? given.split(' ') : Array.isArray(given) ? given : [];
  const names = new Set<string>();
  for (const name of list) {
    if (names.size === maxNames) break;
    if (typeof name === 'string' && nameFault(name) === undefined) names.add(name);
  }
  return [...names];
}

/** Roles that somebody else may grant. `grantable` undefined: all that are not reserved for management. */
export function claimedRoles(given: unknown, grantable: readonly string[] | undefined): readonly string[] {
  return claimedNames(given).filter((role) => (grantable === undefined ? !reservedRoles.has(role) : grantable.includes(role)));
}

/** Labels out of an object; numbers and truth values as text, the rest is left out. */
export function claimedLabels(given: unknown): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  if (typeof given !== 'object' || given === null) return labels;
  for (const [key, value] of Object.entries(given)) {
    if (Object.keys(labels).length === maxLabels) break;
    const text = typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
    if (typeof text === 'string' && labelKey.test(key) && isLabel(text)) labels[key] = text;
  }
  return labels;
}

function isLabel(text: string): boolean {
  return text !== '' && text.length <= maxLabelLength && text.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text);
}

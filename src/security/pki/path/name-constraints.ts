// Whether names lie where the authorities above them may certify names (RFC 5280 §4.2.1.10). What cannot be judged is not permitted.

import { isWithin } from './distinguished-name.ts';
import type { GeneralName, NameConstraints } from './general-name.ts';

export function permits({ permitted, excluded }: NameConstraints, name: GeneralName): boolean {
  if (excluded.some((subtree) => sameForm(subtree, name) && matches(subtree, name) !== 'no')) return false;
  const held = permitted.filter((subtree) => sameForm(subtree, name));
  return held.length === 0 || held.some((subtree) => matches(subtree, name) === 'yes');
}

/** Constraints are for names of the same form alone. */
function sameForm(subtree: GeneralName, name: GeneralName): boolean {
  return subtree.kind === name.kind && (subtree.kind !== 'unknown' || subtree.form === (name as { form: number }).form);
}

/** 'unclear': forbidden as well as not permitted. */
type Match = 'yes' | 'no' | 'unclear';

function matches(subtree: GeneralName, name: GeneralName): Match {
  if (subtree.kind === 'directory' && name.kind === 'directory') return isWithin(name.name, subtree.name) ? 'yes' : 'no';
  if (subtree.kind === 'ip' && name.kind === 'ip') return matchesIp(subtree.bytes, name.bytes);
  if (!('text' in subtree) || !('text' in name)) return 'unclear';
  const base = subtree.text.toLowerCase();
  if (subtree.kind === 'dns') return matchesDns(base, name.text.toLowerCase());
  return subtree.kind === 'email' ? matchesEmail(subtree.text, name.text) : matchesUri(base, name.text);
}

function matchesDns(base: string, host: string): Match {
  // A name that ends in a dot is the same name (RFC 1034 §3.1).
  const plain = host.endsWith('.') ? host.slice(0, -1) : host;
  if (base === '') return 'yes';
  if (plain === base) return 'yes';
  return plain.endsWith(base.startsWith('.') ? base : `.${base}`) ? 'yes' : 'no';
}

function matchesEmail(base: string, address: string): Match {
  const at = address.lastIndexOf('@');
  if (at < 1 || at === address.length - 1 || address.startsWith('"')) return 'unclear';
  const host = address.slice(at + 1).toLowerCase();
  const baseAt = base.lastIndexOf('@');
  // The part in front of the @ distinguishes small letters and capitals (RFC 5321 §2.4).
  if (baseAt > 0) return base.slice(0, baseAt) === address.slice(0, at) && base.slice(baseAt + 1).toLowerCase() === host ? 'yes' : 'no';
  return matchesHost(base.slice(baseAt + 1).toLowerCase(), host);
}

function matchesUri(base: string, uri: string): Match {
  const found = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([A-Za-z0-9._~-]+)(?::\d*)?(?:[/?#]|$)/.exec(uri);
  const host = found?.[1]?.toLowerCase();
  // §4.2.1.10: without the name of a host there is nothing to hold it against, and it is not acceptable.
  if (host === undefined || /^[\d.]+$/.test(host)) return 'unclear';
  return matchesHost(base, host);
}

/** A host alone is that host; with a dot in front it is every host below. */
function matchesHost(base: string, host: string): Match {
  if (base === '') return 'yes';
  return (base.startsWith('.') ? host.endsWith(base) : host === base) ? 'yes' : 'no';
}

/** Address and mask, one behind the other. */
function matchesIp(base: Uint8Array, address: Uint8Array): Match {
  if ((address.length !== 4 && address.length !== 16) || (base.length !== 8 && base.length !== 32)) return 'unclear';
  if (base.length !== 2 * address.length) return 'no';
  return address.every((byte, i) => ((byte ^ base[i]!) & base[address.length + i]!) === 0) ? 'yes' : 'no';
}

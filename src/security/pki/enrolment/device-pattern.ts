// Which device ids a token is good for: `*` stands for any characters, everything else for itself.

import { maxNameLength } from '../../../message/names.ts';

export function isForOne(pattern: string): boolean {
  return !pattern.includes('*');
}

/** Why it cannot be a pattern; undefined when it can. */
export function patternFault(pattern: string): string | undefined {
  if (pattern === '') return 'is empty: it would be good for no device';
  if (pattern.length > maxNameLength) return `is longer than ${maxNameLength} characters`;
  if (/[/+#$]/.test(pattern)) return 'holds one of / + # $, which no device id holds';
  return undefined;
}

/** In time that grows with both lengths together, whatever they hold: the id comes from a stranger. */
export function matchesPattern(pattern: string, id: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  if (rest.length === 0) return id === pattern;
  const last = rest.pop()!;
  if (id.length < first.length + last.length || !id.startsWith(first) || !id.endsWith(last)) return false;
  let at = first.length;
  const end = id.length - last.length;
  for (const part of rest) {
    const found = id.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

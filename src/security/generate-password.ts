// Passwords for people to copy: without characters that look alike or that a shell would interpret.

import type { Random } from '../base/random.ts';

const alphabet = 'abcdefghijkmnpqrstuvwxyz23456789';
const groups = 5;
const groupLength = 5;

/** 125 bits as five groups of five, `k7mpa-…`. `random` must be the secure source. */
export function generatePassword(random: Random): string {
  const bytes = random.bytes(groups * groupLength);
  const out: string[] = [];
  for (let group = 0; group < groups; group++) {
    let text = '';
    // The alphabet has 32 letters, so the low five bits choose without bias.
    for (let i = 0; i < groupLength; i++) text += alphabet[bytes[group * groupLength + i]! & 31]!;
    out.push(text);
  }
  return out.join('-');
}

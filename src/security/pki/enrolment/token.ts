// One-time tokens: `hgt_` and 192 random bits. Only a hash is kept, by which the registry finds the enrolment: how long that takes tells
// nothing of the token.

import { createHash } from 'node:crypto';
import type { Random } from '../../../base/random.ts';

const prefix = 'hgt_';
const secretBytes = 24;
const idBytes = 6;

/** `random` must be the secure source. The id names the enrolment to people, and tells nothing of the token. */
export function newToken(random: Random): { readonly id: string; readonly token: string } {
  const id = Buffer.from(random.bytes(idBytes)).toString('hex');
  return { id, token: prefix + Buffer.from(random.bytes(secretBytes)).toString('base64url') };
}

/** Whether it has the shape of one. */
export function isToken(text: string): boolean {
  return /^hgt_[\w-]{32}$/.test(text);
}

/** SHA-256, lower-case hex. */
export function hashOfToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

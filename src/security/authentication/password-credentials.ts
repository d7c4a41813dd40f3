// What is kept when a password is set: one secret for who sends the password itself, one for who proves it by SCRAM.

import type { Random } from '../../base/random.ts';
import type { CredentialType } from '../../registry/entries.ts';
import { hashPassword, maxPasswordBytes, type HashCost } from '../password-hash.ts';
import { scramCredential } from './scram-credential.ts';

/** Fewer would be guessed even through the rate limit, when the hash is stolen for certain. */
export const minPasswordLength = 8;

export type PasswordCredential = { readonly type: CredentialType & ('password' | 'scram-sha-256'); readonly secret: string };

/** What is wrong with a password, in words; undefined when nothing is. */
export function passwordFault(password: string): string | undefined {
  if (password.length < minPasswordLength) return `has fewer than ${minPasswordLength} characters`;
  if (Buffer.byteLength(password) > maxPasswordBytes) return `has more than ${maxPasswordBytes} bytes`;
  return undefined;
}

/**
 * The credentials of a password that has no `passwordFault`. One that SCRAM cannot prepare (RFC 4013: a control character) has
 * none for SCRAM. Off the event loop. `random` must be the secure source.
 */
export async function passwordCredentials(password: string, random: Random, cost?: HashCost): Promise<readonly PasswordCredential[]> {
  const [hash, scram] = await Promise.all([hashPassword(Buffer.from(password), random, cost), scramCredential(password, random)]);
  const plain: PasswordCredential = { type: 'password', secret: hash };
  return scram === undefined ? [plain] : [plain, { type: 'scram-sha-256', secret: scram }];
}

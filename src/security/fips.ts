// Whether this process really runs on approved cryptography (FIPS 140). `crypto.setFips(1)` succeeds also where OpenSSL has no such
// provider, and then nothing works: so it is tried.

import { createHash, getFips } from 'node:crypto';

/** What keeps this process from being called FIPS, in words; undefined when nothing does. */
export function fipsFault(): string | undefined {
  if (getFips() !== 1) return 'OpenSSL does not run in FIPS mode';
  if (!works('sha256')) return 'OpenSSL is in FIPS mode, but its provider is not loaded';
  // Approved by nobody: where it works, another provider answers as well.
  if (works('md5')) return 'OpenSSL still does what FIPS does not approve';
  return undefined;
}

function works(hash: string): boolean {
  try {
    createHash(hash).update('').digest();
    return true;
  } catch {
    return false;
  }
}

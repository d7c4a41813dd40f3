// Private keys at rest: encrypted PKCS #8 (RFC 5958 §3) that OpenSSL opens, too (`openssl pkey -in FILE`). The passphrase goes
// through scrypt (RFC 7914), whose work and memory make guessing expensive; Node itself would only offer PBKDF2 with few rounds.

import { createCipheriv, createDecipheriv, createPrivateKey, scrypt } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { Random } from '../../base/random.ts';
import { DerError, contentOf, oidOf, readDer, smallIntegerOf, tags } from './der/der-reader.ts';
import { integer, octets, oid, sequence } from './der/der-writer.ts';

const oids = {
  pbes2: '1.2.840.113549.1.5.13',
  scrypt: '1.3.6.1.4.1.11591.4.11',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
} as const;

/** OpenSSL reads up to 32 MiB of scrypt: 16 MiB, five times over. About 0.2 s, which slows guessing. */
const slow = { N: 16_384, r: 8, p: 5 } as const;
/** Nobody guesses 256 random bits, however fast. */
const fast = { N: 1024, r: 8, p: 1 } as const;

/** What opens the file. */
export type FileSecret = { readonly secret: string; readonly source: 'passphrase' | 'key file' };
/** What a file may ask of this process. */
const maxMemoryBytes = 32 * 1024 * 1024;
const maxParallel = 16;
/** About five seconds. */
const maxIterations = 10_000_000;
const keyBytes = 32;
const saltBytes = 16;
const ivBytes = 16;
const label = 'ENCRYPTED PRIVATE KEY';

const derive = promisify(scrypt) as (
  secret: string,
  salt: Uint8Array,
  length: number,
  options: { N: number; r: number; p: number; maxmem: number },
) => Promise<Buffer>;

/** PEM. `random` must be the secure source. */
export async function encryptPrivateKey(key: KeyObject, { secret, source }: FileSecret, random: Random): Promise<string> {
  const cost = source === 'passphrase' ? slow : fast;
  const salt = random.bytes(saltBytes);
  const iv = random.bytes(ivBytes);
  const cipher = createCipheriv('aes-256-cbc', await derive(secret, salt, keyBytes, { ...cost, maxmem: 2 * maxMemoryBytes }), iv);
  const plain = key.export({ type: 'pkcs8', format: 'der' });
  const encrypted = Buffer.concat([cipher.update(plain), cipher.final()]);
  plain.fill(0);
  const derivation = sequence(octets(salt), integer(cost.N), integer(cost.r), integer(cost.p), integer(keyBytes));
  const scheme = sequence(oid(oids.pbes2), sequence(sequence(oid(oids.scrypt), derivation), sequence(oid(oids.aes256Cbc), octets(iv))));
  return pemOf(label, sequence(scheme, octets(encrypted)));
}

/** Undefined: the passphrase is wrong, or the text is no key that `encryptPrivateKey` or OpenSSL (with -scrypt) wrote. */
export async function decryptPrivateKey(pem: string, secret: string): Promise<KeyObject | undefined> {
  const block = /-----BEGIN ENCRYPTED PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END ENCRYPTED PRIVATE KEY-----/.exec(pem)?.[1];
  if (block === undefined) return undefined;
  const der = Buffer.from(block, 'base64');
  // OpenSSL does whatever a file asks for, at once and on this thread: for hours, if somebody has made the file for that.
  if (isTooMuchWork(der)) return undefined;
  try {
    const { salt, N, r, p, iv, encrypted } = parse(der)!;
    const key = await derive(secret, salt, keyBytes, { N, r, p, maxmem: 2 * maxMemoryBytes });
    const decipher = createDecipheriv('aes-256-cbc', key, iv);
    const plain = Buffer.concat([decipher.update(encrypted), decipher.final()]);
    const found = createPrivateKey({ key: plain, type: 'pkcs8', format: 'der' });
    plain.fill(0);
    return found;
  } catch {
    // What the library says of a wrong passphrase is noise, and of a right one perhaps too much.
    return decryptByOpenSsl(pem, secret);
  }
}

/** Other schemes, such as PBKDF2: of keys that the operator brings. */
function decryptByOpenSsl(pem: string, passphrase: string): KeyObject | undefined {
  try {
    return createPrivateKey({ key: pem, passphrase });
  } catch {
    return undefined;
  }
}

/** Also when it cannot be told. */
function isTooMuchWork(der: Uint8Array): boolean {
  return (
    readDer(der, (reader) => {
      const info = reader.enter(tags.sequence);
      const scheme = info.enter(tags.sequence);
      info.take(tags.octetString);
      // Of PBES2 the derivation (RFC 8018 §A.4); the schemes before it are one themselves.
      const derivation = oidOf(scheme.take(tags.oid)) === oids.pbes2 ? scheme.enter(tags.sequence).enter(tags.sequence) : undefined;
      const isScrypt = derivation !== undefined && oidOf(derivation.take(tags.oid)) === oids.scrypt;
      const given = (derivation ?? scheme).enter(tags.sequence);
      given.take(tags.octetString);
      const work = smallIntegerOf(given.take(tags.integer));
      if (!isScrypt) return work > maxIterations;
      const [r, p] = [smallIntegerOf(given.take(tags.integer)), smallIntegerOf(given.take(tags.integer))];
      return isTooMuchScrypt(work, r, p);
    }) !== false
  );
}

function isTooMuchScrypt(N: number, r: number, p: number): boolean {
  return 128 * N * r > maxMemoryBytes || p > maxParallel;
}

/** Undefined: not in this scheme. */
function parse(der: Uint8Array) {
  return readDer(der, (reader) => {
    const info = reader.enter(tags.sequence);
    const scheme = info.enter(tags.sequence);
    const encrypted = contentOf(info.take(tags.octetString));
    if (oidOf(scheme.take(tags.oid)) !== oids.pbes2) throw new DerError('is encrypted in another way');
    const parameters = scheme.enter(tags.sequence);
    const derivation = parameters.enter(tags.sequence);
    const cipher = parameters.enter(tags.sequence);
    const isOurs = oidOf(derivation.take(tags.oid)) === oids.scrypt && oidOf(cipher.take(tags.oid)) === oids.aes256Cbc;
    if (!isOurs) throw new DerError('is encrypted in another way');
    const given = derivation.enter(tags.sequence);
    const salt = contentOf(given.take(tags.octetString));
    const [N, r, p] = [given.take(tags.integer), given.take(tags.integer), given.take(tags.integer)].map(smallIntegerOf) as [
      number,
      number,
      number,
    ];
    return { salt, N, r, p, iv: contentOf(cipher.take(tags.octetString)), encrypted };
  });
}

export function pemOf(what: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${what}-----\n${lines.join('\n')}\n-----END ${what}-----\n`;
}

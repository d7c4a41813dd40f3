// What protects secrets at rest: one secret of this node, from the operator (a passphrase) or from a key file. Keys of authorities
// are encrypted with it (encrypted-key.ts), and what others must keep (pre-shared keys) is sealed with it here.
//
// A key file that lies beside what it protects keeps nothing from who can copy the whole data directory: it is for an operator to
// move it elsewhere (`pki.keyFile`), or to use a passphrase.

import { createCipheriv, createDecipheriv, createHmac, hkdfSync, scryptSync } from 'node:crypto';
import { join } from 'node:path';
import type { Log } from '../../base/log.ts';
import { makePrivateDirectory, writePrivateFile } from '../../base/private-file.ts';
import type { Random } from '../../base/random.ts';
import { UserError } from '../../base/user-error.ts';
import { readIfPresent, warnIfExposed } from './keystore-files.ts';

export const passphraseVariable = 'HELIOGRAPH_CA_PASSPHRASE';
const defaultKeyFile = 'seal.key';
const saltFile = 'seal.salt';
const minPassphraseLength = 8;
const maxSecretLength = 1024;
/** What a process remembers: each salt costs an attacker, and us, a run of scrypt. */
const maxDerivedKeys = 64;
const cost = { N: 16_384, r: 8, p: 5, maxmem: 64 * 1024 * 1024 } as const;
const version = 1;
const saltBytes = 16;
const ivBytes = 12;
const tagBytes = 16;
const keyBytes = 32;

export type SealingOptions = {
  /** `<data>/pki`. */
  readonly directory: string;
  /** A file that holds the passphrase; its last line feed is not part of it. */
  readonly passphraseFile?: string | undefined;
  /** From the environment; `passphraseFile` goes before it. */
  readonly passphrase?: string | undefined;
  /** Absent: `seal.key` in the directory, made when it is not there and there is no passphrase. */
  readonly keyFile?: string | undefined;
};

/** Where the secret is from: what is told in `status`. */
export type SecretSource = 'passphrase' | 'key file';

/**
 * Seals and opens short secrets (AES-256-GCM). A sealed one is bytes in a form of our own:
 * version 1, salt 16, nonce 12, ciphertext, tag 16.
 */
export class Sealer {
  /** Opens the files of keys, too. */
  readonly secret: string;
  readonly source: SecretSource;
  readonly #salt: Uint8Array;
  readonly #random: Random;
  readonly #keys = new Map<string, Buffer>();

  /** Use openSealer. `random` must be the secure source. */
  constructor(secret: string, source: SecretSource, salt: Uint8Array, random: Random) {
    this.secret = secret;
    this.source = source;
    this.#salt = salt;
    this.#random = random;
  }

  /** `place` says what it is for (`psk/main/pump-7`): it opens only there. */
  seal(plain: Uint8Array, place: string): Buffer {
    const iv = this.#random.bytes(ivBytes);
    const cipher = createCipheriv('aes-256-gcm', this.#keyFor(this.#salt), iv, { authTagLength: tagBytes });
    cipher.setAAD(Buffer.from(place));
    const encrypted = Buffer.concat([cipher.update(plain), cipher.final()]);
    return Buffer.concat([Uint8Array.of(version), this.#salt, iv, encrypted, cipher.getAuthTag()]);
  }

  /** Undefined: it was sealed with another secret, for another place, or is damaged. */
  unseal(sealed: Uint8Array, place: string): Buffer | undefined {
    const head = 1 + saltBytes + ivBytes;
    if (sealed[0] !== version || sealed.length < head + tagBytes) return undefined;
    const key = this.#keyFor(sealed.subarray(1, 1 + saltBytes));
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(1 + saltBytes, head), { authTagLength: tagBytes });
    decipher.setAAD(Buffer.from(place));
    decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
    try {
      return Buffer.concat([decipher.update(sealed.subarray(head, sealed.length - tagBytes)), decipher.final()]);
    } catch {
      return undefined;
    }
  }

  /** A value that only this secret gives for `text`: 32 bytes. */
  mark(text: string): Buffer {
    return createHmac('sha256', this.#keyFor(this.#salt)).update('mark\0').update(text).digest();
  }

  #keyFor(salt: Uint8Array): Buffer {
    const name = Buffer.from(salt).toString('base64');
    let key = this.#keys.get(name);
    if (key === undefined) {
      // A key file is random already; a passphrase is made expensive to guess.
      const strong = this.source === 'key file' ? Buffer.from(this.secret) : scryptSync(this.secret, salt, keyBytes, cost);
      key = Buffer.from(hkdfSync('sha256', strong, salt, 'heliograph seal', keyBytes));
      if (this.#keys.size >= maxDerivedKeys) this.#keys.delete(this.#keys.keys().next().value!);
      this.#keys.set(name, key);
    }
    return key;
  }
}

/** @throws UserError when the secret is missing, cannot be read, or is too short */
export async function openSealer(options: SealingOptions, services: { readonly random: Random; readonly log: Log }): Promise<Sealer> {
  const { directory, passphraseFile, passphrase, keyFile } = options;
  await makePrivateDirectory(directory);
  const saltPath = join(directory, saltFile);
  const salt = async (): Promise<Uint8Array> => {
    const found = await readIfPresent(saltPath);
    if (found !== undefined && /^[0-9a-f]{32}\n$/.test(found)) return Buffer.from(found.trim(), 'hex');
    const made = services.random.bytes(saltBytes);
    await writePrivateFile(saltPath, `${Buffer.from(made).toString('hex')}\n`);
    return made;
  };
  if (passphraseFile !== undefined)
    return new Sealer(await passphraseIn(passphraseFile, services.log), 'passphrase', await salt(), services.random);
  if (passphrase !== undefined && passphrase !== '') {
    return new Sealer(checked(passphrase, `environment variable ${passphraseVariable}`), 'passphrase', await salt(), services.random);
  }
  const path = keyFile ?? join(directory, defaultKeyFile);
  const secret = (await readIfPresent(path)) ?? (await newKeyFile(path, keyFile !== undefined, services.random));
  await warnIfExposed(path, services.log);
  return new Sealer(checkedKey(secret, path), 'key file', await salt(), services.random);
}

async function newKeyFile(path: string, isNamed: boolean, random: Random): Promise<string> {
  const secret = `${Buffer.from(random.bytes(keyBytes)).toString('base64')}\n`;
  try {
    await writePrivateFile(path, secret);
  } catch (error) {
    throw new UserError('The key that seals secrets cannot be written.', {
      where: path,
      fix: isNamed ? 'make its directory, writable by this user, or put a key there that was kept' : 'check the owner of the directory',
      cause: error,
    });
  }
  return secret;
}

async function passphraseIn(path: string, log: Log): Promise<string> {
  const found = await readIfPresent(path);
  if (found === undefined) {
    throw new UserError('The file of the passphrase does not exist.', { where: path, fix: 'check pki.passphraseFile' });
  }
  await warnIfExposed(path, log);
  return checked(found.replace(/\r?\n$/, ''), path);
}

function checked(passphrase: string, where: string): string {
  if (passphrase.length >= minPassphraseLength && passphrase.length <= maxSecretLength) return passphrase;
  throw new UserError(`The passphrase has not ${minPassphraseLength} to ${maxSecretLength} characters.`, {
    where,
    fix: 'choose another one',
  });
}

function checkedKey(text: string, where: string): string {
  const key = text.trim();
  if (/^[A-Za-z0-9+/]{43}=$/.test(key)) return key;
  throw new UserError('The key that seals secrets is damaged.', {
    where,
    fix: 'restore it from a backup; a new one is 32 random bytes in base64: openssl rand -base64 32',
  });
}

// Passwords are kept as argon2id hashes in the PHC string format, `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`: the cost is
// stored with each hash, so that it can be raised later without breaking what exists (RFC 9106).

import { argon2, timingSafeEqual } from 'node:crypto';
import type { Random } from '../base/random.ts';

export type HashCost = {
  readonly memoryKib: number;
  readonly passes: number;
  readonly lanes: number;
};

/** About 25 ms of one core, and 19 MiB while it runs. */
export const defaultCost: HashCost = { memoryKib: 19_456, passes: 2, lanes: 1 };

const saltBytes = 16;
const tagBytes = 32;
/** Version 1.3 of the algorithm, the only one there is code for. */
const algorithmVersion = 19;
/** A hash from a file must not be able to ask for more; stops a planted entry from taking the machine down. */
const maxCost: HashCost = { memoryKib: 1_048_576, passes: 64, lanes: 16 };
/** Longer passwords are refused before any work is done. */
export const maxPasswordBytes = 1024;

export type PasswordHash = {
  readonly cost: HashCost;
  readonly salt: Uint8Array;
  readonly tag: Uint8Array;
};

const phc = /^\$argon2id\$v=(\d{1,3})\$m=(\d{1,9}),t=(\d{1,4}),p=(\d{1,4})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,172})$/;

/** Reads the PHC string; undefined when it is not one, or costs more than is sane. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const found = phc.exec(text);
  if (found === null || Number(found[1]) !== algorithmVersion) return undefined;
  const cost = { memoryKib: Number(found[2]), passes: Number(found[3]), lanes: Number(found[4]) };
  if (cost.memoryKib > maxCost.memoryKib || cost.passes > maxCost.passes || cost.lanes > maxCost.lanes) return undefined;
  if (cost.lanes < 1 || cost.passes < 1 || cost.memoryKib < 8 * cost.lanes) return undefined;
  const hash = { cost, salt: Buffer.from(found[5]!, 'base64'), tag: Buffer.from(found[6]!, 'base64') };
  // What decodes to other text than it was read from would be two spellings of one hash.
  return formatPasswordHash(hash) === text ? hash : undefined;
}

export function formatPasswordHash({ cost, salt, tag }: PasswordHash): string {
  const unpadded = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64').replace(/=+$/, '');
  const { memoryKib, passes, lanes } = cost;
  return `$argon2id$v=${algorithmVersion}$m=${memoryKib},t=${passes},p=${lanes}$${unpadded(salt)}$${unpadded(tag)}`;
}

function derive(password: Uint8Array, salt: Uint8Array, length: number, cost: HashCost): Promise<Buffer> {
  const parameters = {
    message: password,
    nonce: salt,
    parallelism: cost.lanes,
    tagLength: length,
    memory: cost.memoryKib,
    passes: cost.passes,
  };
  return new Promise((resolve, reject) => {
    argon2('argon2id', parameters, (error, tag) => (error === null ? resolve(tag) : reject(error)));
  });
}

/** Hashes off the event loop. `random` must be the secure source. */
export async function hashPassword(password: Uint8Array, random: Random, cost: HashCost = defaultCost): Promise<string> {
  const salt = random.bytes(saltBytes);
  return formatPasswordHash({ cost, salt, tag: await derive(password, salt, tagBytes, cost) });
}

/** Checks off the event loop; takes as long for a wrong password as for the right one. */
export async function verifyPassword(password: Uint8Array, hash: PasswordHash): Promise<boolean> {
  const tag = await derive(password, hash.salt, hash.tag.length, hash.cost);
  return timingSafeEqual(tag, hash.tag);
}

/** A hash that no password has: what unknown users are checked against, so that they take as long as known ones. */
export function impossibleHash(random: Random, cost: HashCost = defaultCost): PasswordHash {
  return { cost, salt: random.bytes(saltBytes), tag: random.bytes(tagBytes) };
}

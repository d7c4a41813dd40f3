// Passwords are kept as hashes in the PHC string format, so that the cost is stored with each and can be raised later without
// breaking what exists: argon2id (RFC 9106), `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`, or, where only approved
// algorithms may be used (FIPS 140), PBKDF2 (RFC 8018), `$pbkdf2-sha512$i=210000$<salt>$<hash>`.

import { argon2, getFips, pbkdf2, timingSafeEqual } from 'node:crypto';
import type { Random } from '../base/random.ts';

export type Argon2Cost = {
  readonly algorithm?: 'argon2id';
  readonly memoryKib: number;
  readonly passes: number;
  readonly lanes: number;
};

export type Pbkdf2Cost = {
  readonly algorithm: 'pbkdf2-sha256' | 'pbkdf2-sha512';
  readonly iterations: number;
};

export type HashCost = Argon2Cost | Pbkdf2Cost;

/** About 25 ms of one core, and 19 MiB while it runs. */
export const defaultCost: HashCost = { memoryKib: 19_456, passes: 2, lanes: 1 };
/** About 80 ms of one core. */
const approvedCost: HashCost = { algorithm: 'pbkdf2-sha512', iterations: 210_000 };

/** What new hashes cost: in FIPS mode argon2 does not exist. */
export function usualCost(): HashCost {
  return getFips() === 1 ? approvedCost : defaultCost;
}

const saltBytes = 16;
const tagBytes = 32;
/** Version 1.3 of the algorithm, the only one there is code for. */
const algorithmVersion = 19;
/** A hash from a file must not be able to ask for more; stops a planted entry from taking the machine down. */
const maxArgon2Cost = { memoryKib: 1_048_576, passes: 64, lanes: 16 };
const maxPbkdf2Iterations = 10_000_000;
/** Longer passwords are refused before any work is done. */
export const maxPasswordBytes = 1024;

export type PasswordHash = {
  readonly cost: HashCost;
  readonly salt: Uint8Array;
  readonly tag: Uint8Array;
};

const ends = String.raw`\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,172})$`;
const argon2Form = new RegExp(String.raw`^\$argon2id\$v=(\d{1,3})\$m=(\d{1,9}),t=(\d{1,4}),p=(\d{1,4})${ends}`);
const pbkdf2Form = new RegExp(String.raw`^\$(pbkdf2-sha256|pbkdf2-sha512)\$i=(\d{1,8})${ends}`);

/** Reads the PHC string; undefined when it is not one, or costs more than is sane. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const hash = parseArgon2(text) ?? parsePbkdf2(text);
  // What decodes to other text than it was read from would be two spellings of one hash.
  return hash !== undefined && formatPasswordHash(hash) === text ? hash : undefined;
}

function parseArgon2(text: string): PasswordHash | undefined {
  const found = argon2Form.exec(text);
  if (found === null || Number(found[1]) !== algorithmVersion) return undefined;
  const cost = { memoryKib: Number(found[2]), passes: Number(found[3]), lanes: Number(found[4]) };
  const { memoryKib, passes, lanes } = maxArgon2Cost;
  if (cost.memoryKib > memoryKib || cost.passes > passes || cost.lanes > lanes) return undefined;
  if (cost.lanes < 1 || cost.passes < 1 || cost.memoryKib < 8 * cost.lanes) return undefined;
  return { cost, salt: Buffer.from(found[5]!, 'base64'), tag: Buffer.from(found[6]!, 'base64') };
}

function parsePbkdf2(text: string): PasswordHash | undefined {
  const found = pbkdf2Form.exec(text);
  if (found === null) return undefined;
  const cost = { algorithm: found[1] as Pbkdf2Cost['algorithm'], iterations: Number(found[2]) };
  if (cost.iterations < 1 || cost.iterations > maxPbkdf2Iterations) return undefined;
  return { cost, salt: Buffer.from(found[3]!, 'base64'), tag: Buffer.from(found[4]!, 'base64') };
}

export function formatPasswordHash({ cost, salt, tag }: PasswordHash): string {
  const unpadded = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64').replace(/=+$/, '');
  const rest = `$${unpadded(salt)}$${unpadded(tag)}`;
  if (isPbkdf2(cost)) return `$${cost.algorithm}$i=${cost.iterations}${rest}`;
  const { memoryKib, passes, lanes } = cost;
  return `$argon2id$v=${algorithmVersion}$m=${memoryKib},t=${passes},p=${lanes}${rest}`;
}

function isPbkdf2(cost: HashCost): cost is Pbkdf2Cost {
  return cost.algorithm !== undefined && cost.algorithm !== 'argon2id';
}

function derive(password: Uint8Array, salt: Uint8Array, length: number, cost: HashCost): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, tag: Buffer): void => (error === null ? resolve(tag) : reject(error));
    if (isPbkdf2(cost)) {
      pbkdf2(password, salt, cost.iterations, length, cost.algorithm === 'pbkdf2-sha256' ? 'sha256' : 'sha512', done);
      return;
    }
    const { lanes: parallelism, memoryKib: memory, passes } = cost;
    argon2('argon2id', { message: password, nonce: salt, parallelism, tagLength: length, memory, passes }, done);
  });
}

/** Hashes off the event loop. `random` must be the secure source. */
export async function hashPassword(password: Uint8Array, random: Random, cost: HashCost = usualCost()): Promise<string> {
  const salt = random.bytes(saltBytes);
  return formatPasswordHash({ cost, salt, tag: await derive(password, salt, tagBytes, cost) });
}

/** Checks off the event loop; takes as long for a wrong password as for the right one. */
export async function verifyPassword(password: Uint8Array, hash: PasswordHash): Promise<boolean> {
  const tag = await derive(password, hash.salt, hash.tag.length, hash.cost);
  return timingSafeEqual(tag, hash.tag);
}

/** A hash that no password has: what unknown users are checked against, so that they take as long as known ones. */
export function impossibleHash(random: Random, cost: HashCost = usualCost()): PasswordHash {
  return { cost, salt: random.bytes(saltBytes), tag: random.bytes(tagBytes) };
}

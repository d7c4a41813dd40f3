// The users of a broker that no outside system knows: `<data>/users.json`, for its owner alone. The command line changes it, also
// while the broker runs; the broker reads it. Passwords are in it as hashes only.

import { readFileSync } from 'node:fs';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isReadableByOthers, makePrivateDirectory, syncDirectory, writePrivateFile } from '../base/private-file.ts';
import type { Random } from '../base/random.ts';
import { UserError } from '../base/user-error.ts';
import { adminRole } from './policy/management-resources.ts';
import { generatePassword } from './generate-password.ts';
import { accountKey, nameFault } from '../message/names.ts';
import { hashPassword, maxPasswordBytes, parsePasswordHash } from './password-hash.ts';
import type { HashCost } from './password-hash.ts';

export type User = {
  readonly tenant: string;
  readonly name: string;
  readonly roles: readonly string[];
  /** PHC string, see password-hash.ts. */
  readonly passwordHash: string;
  readonly createdMs: number;
};

const fileVersion = 1;
/** Fewer would be guessed even through the rate limit, when the file is stolen for certain. */
const minPasswordLength = 8;
const lockRetryMs = 20;
const lockTries = 250;
/** A lock that is older belongs to a process that died. */
const lockStaleMs = 10_000;

function damaged(path: string, what: string, cause?: unknown): UserError {
  return new UserError(`The users file ${what}.`, { where: path, fix: 'restore it from a backup, or correct it by hand', cause });
}

function isUser(value: unknown): value is User {
  if (typeof value !== 'object' || value === null) return false;
  const { tenant, name, roles, passwordHash, createdMs } = value as Record<string, unknown>;
  return (
    typeof tenant === 'string' &&
    nameFault(tenant) === undefined &&
    typeof name === 'string' &&
    nameFault(name) === undefined &&
    Array.isArray(roles) &&
    roles.every((role) => typeof role === 'string') &&
    typeof passwordHash === 'string' &&
    parsePasswordHash(passwordHash) !== undefined &&
    typeof createdMs === 'number'
  );
}

/** Reads the text of a users file. @throws UserError that never repeats the content */
export function parseUsers(path: string, text: string): User[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message quotes the text, which holds hashes: it is left out.
    throw damaged(path, 'is not JSON');
  }
  const { version, users } = (value ?? {}) as { version?: unknown; users?: unknown };
  if (version !== fileVersion) throw damaged(path, `has a version that this release does not know (it knows ${fileVersion})`);
  if (!Array.isArray(users)) throw damaged(path, 'has no list `users`');
  const seen = new Set<string>();
  return users.map((user: unknown, i) => {
    if (!isUser(user)) throw damaged(path, `has a broken entry (number ${i + 1})`);
    const key = accountKey(user.tenant, user.name);
    if (seen.has(key)) throw damaged(path, `has the user ${key} twice`);
    seen.add(key);
    const { tenant, name, roles, passwordHash, createdMs } = user;
    return { tenant, name, roles: [...roles], passwordHash, createdMs };
  });
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

/** The users in the file, none if there is no file. @throws UserError when it cannot be read */
export async function readUsers(path: string): Promise<User[]> {
  return parseUsers(path, await readFile(path, 'utf8').catch((error: unknown) => emptyIfMissing(path, error)));
}

/** As readUsers, for the start of the process, when nothing waits yet. */
export function readUsersNow(path: string): User[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    text = emptyIfMissing(path, error);
  }
  return parseUsers(path, text);
}

function emptyIfMissing(path: string, error: unknown): string {
  if (!isMissing(error))
    throw new UserError('The users file cannot be read.', { where: path, fix: 'check its owner and mode', cause: error });
  return JSON.stringify({ version: fileVersion, users: [] });
}

/** What changes the file. All methods take effect on the disk before they return. */
export class UsersFile {
  readonly path: string;
  readonly #random: Random;
  readonly #cost: HashCost | undefined;

  /** `random` must be the secure source. */
  constructor(path: string, random: Random, cost?: HashCost) {
    this.path = path;
    this.#random = random;
    this.#cost = cost;
  }

  list(): Promise<User[]> {
    return readUsers(this.path);
  }

  /** @throws UserError when the user exists, or the name or password cannot be one */
  async add(user: { tenant: string; name: string; roles: readonly string[]; password: string; createdMs: number }): Promise<void> {
    const { tenant, name, roles, createdMs } = user;
    for (const [what, value] of [['tenant', tenant], ['user name', name], ...roles.map((role) => ['role', role] as const)] as const) {
      const fault = nameFault(value);
      if (fault !== undefined) throw new UserError(`The ${what} \`${value}\` ${fault}.`, { fix: 'choose another one' });
    }
    const passwordHash = await this.#hash(user.password);
    await this.#change((users) => {
      if (users.some((other) => other.tenant === tenant && other.name === name)) {
        throw new UserError(`The user ${accountKey(tenant, name)} exists already.`, {
          fix: 'change its password instead, or remove it first',
        });
      }
      return [...users, { tenant, name, roles: [...roles], passwordHash, createdMs }];
    });
  }

  /** @throws UserError when there is no such user */
  async remove(tenant: string, name: string): Promise<void> {
    await this.#change((users) => {
      const rest = users.filter((user) => user.tenant !== tenant || user.name !== name);
      if (rest.length === users.length) throw unknownUser(tenant, name);
      return rest;
    });
  }

  /** @throws UserError when there is no such user, or the password cannot be one */
  async changePassword(tenant: string, name: string, password: string): Promise<void> {
    const passwordHash = await this.#hash(password);
    await this.#replace(tenant, name, (user) => ({ ...user, passwordHash }));
  }

  /** @throws UserError when there is no such user */
  async changeRoles(tenant: string, name: string, roles: readonly string[]): Promise<void> {
    await this.#replace(tenant, name, (user) => ({ ...user, roles: [...roles] }));
  }

  /**
   * Creates the first administrator if there is no users file yet, and returns its password, which is kept nowhere else.
   * Undefined when there was a file.
   */
  async createFirstAdmin(tenant: string, nowMs: number): Promise<{ readonly name: string; readonly password: string } | undefined> {
    if (await exists(this.path)) return undefined;
    await makePrivateDirectory(dirname(this.path));
    const name = 'admin';
    const password = generatePassword(this.#random);
    await this.add({ tenant, name, roles: [adminRole], password, createdMs: nowMs });
    return { name, password };
  }

  async #hash(password: string): Promise<string> {
    const bytes = Buffer.from(password);
    if (password.length < minPasswordLength) {
      throw new UserError(`The password has fewer than ${minPasswordLength} characters.`, {
        fix: 'choose a longer one, or let one be generated',
      });
    }
    if (bytes.length > maxPasswordBytes)
      throw new UserError(`The password has more than ${maxPasswordBytes} bytes.`, { fix: 'choose a shorter one' });
    return hashPassword(bytes, this.#random, this.#cost);
  }

  async #replace(tenant: string, name: string, change: (user: User) => User): Promise<void> {
    await this.#change((users) => {
      if (!users.some((user) => user.tenant === tenant && user.name === name)) throw unknownUser(tenant, name);
      return users.map((user) => (user.tenant === tenant && user.name === name ? change(user) : user));
    });
  }

  async #change(change: (users: User[]) => User[]): Promise<void> {
    const unlock = await lock(`${this.path}.lock`);
    try {
      const users = change(await readUsers(this.path));
      await writePrivateFile(this.path, `${JSON.stringify({ version: fileVersion, users }, undefined, 2)}\n`);
    } finally {
      await unlock();
    }
  }
}

/**
 * Gives the users of the file away, once: when `take` is done the file is `<path>.imported` (or `.imported.2`, when there is one).
 * A crash before that leads to the same call again. False: there is no file. @throws UserError, and what `take` throws
 */
export async function handOverUsers(path: string, take: (users: readonly User[]) => Promise<void>): Promise<boolean> {
  if (!(await exists(path))) return false;
  const unlock = await lock(`${path}.lock`);
  try {
    if (!(await exists(path))) return false;
    await take(await readUsers(path));
    let target = `${path}.imported`;
    for (let n = 2; await exists(target); n++) target = `${path}.imported.${n}`;
    await rename(path, target);
    await syncDirectory(dirname(path));
    return true;
  } finally {
    await unlock();
  }
}

/** Something to warn of: the file's mode lets others read it. */
export const usersFileIsExposed = isReadableByOthers;

function unknownUser(tenant: string, name: string): UserError {
  return new UserError(`There is no user ${accountKey(tenant, name)}.`, { fix: 'see the names with `heliograph user list`' });
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Keeps two commands from writing over each other's change. */
async function lock(path: string): Promise<() => Promise<void>> {
  for (let i = 0; i < lockTries; i++) {
    try {
      await (await open(path, 'wx', 0o600)).close();
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw new UserError('The users file cannot be changed.', {
          where: path,
          fix: 'check that the directory exists and is yours',
          cause: error,
        });
      }
    }
    const facts = await stat(path).catch(() => undefined);
    if (facts !== undefined && Date.now() - facts.mtimeMs > lockStaleMs) await rm(path, { force: true });
    else await sleep(lockRetryMs);
  }
  throw new UserError('Another command is changing the users.', {
    where: path,
    fix: 'try again; remove this file if no command is running',
  });
}

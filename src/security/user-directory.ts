// The users in force: those of the configuration and those of the users file, looked up by account. Changes of the file are noticed
// here, so that `heliograph user add` works on a running broker.

import { stat } from 'node:fs/promises';
import type { Random } from '../base/random.ts';
import { UserError } from '../base/user-error.ts';
import { accountKey, defaultTenant, nameFault } from '../message/names.ts';
import { impossibleHash, parsePasswordHash, usualCost } from './password-hash.ts';
import type { HashCost, PasswordHash } from './password-hash.ts';
import { readUsers, readUsersNow } from './users-file.ts';
import type { User } from './users-file.ts';

/** A user given in the configuration, where a plain password has no place. */
export type ConfiguredUser = {
  readonly name: string;
  readonly tenant?: string | undefined;
  readonly roles?: readonly string[] | undefined;
  /** As `heliograph user hash` prints it. */
  readonly passwordHash: string;
};

export type Account = {
  readonly tenant: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly passwordHash: string;
  readonly hash: PasswordHash;
};

/** What is wrong with configured users, each with the place (`users[0].passwordHash`); never quotes a hash. */
export function userFaults(users: readonly ConfiguredUser[]): { readonly at: string; readonly what: string }[] {
  const faults: { at: string; what: string }[] = [];
  const seen = new Set<string>();
  for (const [i, { name, tenant = defaultTenant, passwordHash }] of users.entries()) {
    const at = `users[${i}]`;
    const nameProblem = nameFault(name);
    if (nameProblem !== undefined) faults.push({ at: `${at}.name`, what: nameProblem });
    const tenantProblem = nameFault(tenant);
    if (tenantProblem !== undefined) faults.push({ at: `${at}.tenant`, what: tenantProblem });
    if (parsePasswordHash(passwordHash) === undefined) {
      faults.push({
        at: `${at}.passwordHash`,
        what: 'is no hash of a password ($argon2id$v=19$m=…,t=…,p=…$…$…); `heliograph user hash` makes one',
      });
    }
    const key = accountKey(tenant, name);
    if (seen.has(key)) faults.push({ at, what: `names the user ${key} a second time` });
    seen.add(key);
  }
  return faults;
}

type Table = { readonly accounts: ReadonlyMap<string, Account>; readonly dummy: PasswordHash };

export class UserDirectory {
  readonly #path: string | undefined;
  readonly #random: Random;
  readonly #cost: HashCost | undefined;
  #configured: readonly ConfiguredUser[];
  #table: Table;
  /** What the file looked like when it was last read: tells whether it changed. */
  #seen = '';

  /**
   * Reads the file at once. `cost`: what an unknown user costs; absent: as much as most of those here.
   * @throws UserError when the file or a configured user is broken
   */
  constructor(path: string | undefined, configured: readonly ConfiguredUser[], random: Random, cost?: HashCost) {
    this.#path = path;
    this.#random = random;
    this.#cost = cost;
    this.#configured = configured;
    this.#table = this.#build(configured, path === undefined ? [] : readUsersNow(path));
  }

  get size(): number {
    return this.#table.accounts.size;
  }

  find(tenant: string, name: string): Account | undefined {
    return this.#table.accounts.get(accountKey(tenant, name));
  }

  /** What to check the password of an unknown user against; costs what most users' hashes cost. */
  get dummy(): PasswordHash {
    return this.#table.dummy;
  }

  /** Reads everything again; on an error what was in force stays. @throws UserError */
  async reload(configured: readonly ConfiguredUser[] = this.#configured): Promise<void> {
    const seen = await this.#look();
    const table = this.#build(configured, this.#path === undefined ? [] : await readUsers(this.#path));
    this.#configured = configured;
    this.#table = table;
    this.#seen = seen;
  }

  /** Reads the file again if it is not the one that was read last; true when it was. @throws UserError */
  async reloadIfChanged(): Promise<boolean> {
    if (this.#path === undefined) return false;
    const seen = await this.#look();
    if (seen === this.#seen) return false;
    // Remembered even if reading fails: a broken file is complained about once, not at each connect.
    this.#seen = seen;
    await this.reload();
    return true;
  }

  async #look(): Promise<string> {
    if (this.#path === undefined) return '';
    const facts = await stat(this.#path, { bigint: true }).catch(() => undefined);
    return facts === undefined ? 'none' : `${facts.ino} ${facts.mtimeNs} ${facts.size}`;
  }

  #build(configured: readonly ConfiguredUser[], fromFile: readonly User[]): Table {
    const fault = userFaults(configured)[0];
    if (fault !== undefined) throw new UserError(`A user of the configuration cannot be used: ${fault.what}.`, { where: fault.at });
    const accounts = new Map<string, Account>();
    const add = (tenant: string, name: string, roles: readonly string[], passwordHash: string): void => {
      accounts.set(accountKey(tenant, name), { tenant, name, roles, passwordHash, hash: parsePasswordHash(passwordHash)! });
    };
    for (const { tenant, name, roles, passwordHash } of fromFile) add(tenant, name, roles, passwordHash);
    // The configuration wins: it is what the operator reads.
    for (const { tenant = defaultTenant, name, roles = [], passwordHash } of configured) add(tenant, name, roles, passwordHash);
    return { accounts, dummy: impossibleHash(this.#random, this.#cost ?? commonCost(accounts.values())) };
  }
}

function commonCost(accounts: Iterable<Account>): HashCost {
  const counts = new Map<string, { cost: HashCost; count: number }>();
  for (const { hash } of accounts) {
    const key = Object.values(hash.cost).join();
    const entry = counts.get(key) ?? { cost: hash.cost, count: 0 };
    entry.count++;
    counts.set(key, entry);
  }
  let best: { cost: HashCost; count: number } | undefined;
  for (const entry of counts.values()) if (best === undefined || entry.count > best.count) best = entry;
  return best?.cost ?? usualCost();
}

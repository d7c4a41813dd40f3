// The users of the configuration, looked up by account.

import type { Random } from '../base/random.ts';
import { UserError } from '../base/user-error.ts';
import { accountKey, defaultTenant, nameFault } from '../message/names.ts';
import { impossibleHash, parsePasswordHash, usualCost } from './password-hash.ts';
import type { HashCost, PasswordHash } from './password-hash.ts';

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
  readonly #random: Random;
  readonly #cost: HashCost | undefined;
  #table: Table;

  /**
   * `cost`: what an unknown user costs; absent: as much as most of those here.
   * @throws UserError when a user is broken
   */
  constructor(configured: readonly ConfiguredUser[], random: Random, cost?: HashCost) {
    this.#random = random;
    this.#cost = cost;
    this.#table = this.#build(configured);
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

  /** On an error what was in force stays. @throws UserError */
  reload(configured: readonly ConfiguredUser[]): void {
    this.#table = this.#build(configured);
  }

  #build(configured: readonly ConfiguredUser[]): Table {
    const fault = userFaults(configured)[0];
    if (fault !== undefined) throw new UserError(`A user of the configuration cannot be used: ${fault.what}.`, { where: fault.at });
    const accounts = new Map<string, Account>();
    for (const { tenant = defaultTenant, name, roles = [], passwordHash } of configured) {
      accounts.set(accountKey(tenant, name), { tenant, name, roles, passwordHash, hash: parsePasswordHash(passwordHash)! });
    }
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

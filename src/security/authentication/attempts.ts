// Failures of those who try to prove an account, however they try: one allowance for passwords and for SCRAM, so that changing
// the method gives no further guesses.

import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { MetricSource, Sample } from '../../base/metrics.ts';
import { accountKey, maxNameLength, parseAccount } from '../../message/names.ts';
import { addressKey } from '../../base/address-key.ts';
import { Lockout } from '../lockout.ts';

export type AttemptLimits = {
  readonly failuresPerAccount: number;
  readonly failuresPerAddress: number;
  readonly forgiveFailureMs: number;
  readonly banMs: number;
  readonly maxBanMs: number;
  readonly failureEntries: number;
};

/** Somebody at some address who claims to be an account. */
export type Claim = {
  /** Undefined: what was claimed cannot be an account. */
  readonly named: { readonly tenant: string; readonly name: string } | undefined;
  /** Under which failures are counted. */
  readonly key: string;
  readonly address: string;
};

export type BanListener = (what: 'account' | 'address', claim: Claim, exists: boolean) => void;

export function claimOf(username: string, remoteAddress: string): Claim {
  const named = parseAccount(username);
  // What cannot be a name is counted like one; cut, because a peer may send 65,535 bytes.
  const key = named === undefined ? `?${username.slice(0, maxNameLength)}` : accountKey(named.tenant, named.name);
  return { named, key, address: addressKey(remoteAddress) };
}

export class Attempts implements MetricSource {
  readonly #accounts: Lockout;
  readonly #addresses: Lockout;
  readonly #log: Log;
  readonly #banned: BanListener;
  #bans = 0;

  constructor(limits: AttemptLimits, clock: Clock, log: Log, banned: BanListener = () => {}) {
    const { forgiveFailureMs: forgiveMs, banMs, maxBanMs, failureEntries: entries } = limits;
    this.#accounts = new Lockout({ failures: limits.failuresPerAccount, forgiveMs, banMs, maxBanMs, entries }, clock);
    this.#addresses = new Lockout({ failures: limits.failuresPerAddress, forgiveMs, banMs, maxBanMs, entries }, clock);
    this.#log = log;
    this.#banned = banned;
  }

  isAccountBanned({ key }: Claim): boolean {
    return this.#accounts.isBanned(key);
  }

  isAddressBanned({ address }: Claim): boolean {
    return this.#addresses.isBanned(address);
  }

  isBanned(claim: Claim): boolean {
    return this.isAccountBanned(claim) || this.isAddressBanned(claim);
  }

  /** `exists`: there is such an account. */
  failed(claim: Claim, exists: boolean): void {
    const { key, address } = claim;
    if (this.#accounts.failed(key)) {
      this.#bans++;
      // An unknown name may be a password typed into the wrong field: it is not repeated.
      this.#log.warn('security.account.banned', { account: exists ? key : '(unknown)', address });
      this.#banned('account', claim, exists);
    }
    if (this.#addresses.failed(address)) {
      this.#bans++;
      this.#log.warn('security.address.banned', { address });
      this.#banned('address', claim, exists);
    }
  }

  succeeded({ key }: Claim): void {
    this.#accounts.succeeded(key);
  }

  *metrics(): Iterable<Sample> {
    const one = (name: string, type: 'counter' | 'gauge', help: string, value: number): Sample => ({
      name: `heliograph_security_${name}`,
      help,
      type,
      value,
    });
    yield one('bans_total', 'counter', 'Accounts and addresses locked out for a while.', this.#bans);
    yield one('failing_accounts', 'gauge', 'Accounts with failures that are not forgiven yet.', this.#accounts.size);
    yield one('failing_addresses', 'gauge', 'Addresses with failures that are not forgiven yet.', this.#addresses.size);
  }
}

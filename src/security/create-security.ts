// The security of one node: who a peer is (certificate, then password, then anonymous if that is allowed), and what it may do.
//
// Rules here: an answer never tells whether a user exists, neither by its content nor by its time; no password, hash or token
// goes into a log, an error or a metric; names that peers send are logged only when they are accounts we know.

import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { MetricSource, Sample } from '../base/metrics.ts';
import type { Random } from '../base/random.ts';
import { UserError } from '../base/user-error.ts';
import { AccessRules, ruleFaults } from './access-rules.ts';
import type { Rule } from './access-rules.ts';
import { addressKey, Lockout } from './lockout.ts';
import { accountKey, defaultTenant, maxNameLength, parseAccount } from '../message/names.ts';
import { PasswordGate } from './password-gate.ts';
import { maxPasswordBytes, verifyPassword } from './password-hash.ts';
import { identityOf } from './peer-certificate.ts';
import type { CertificateRule } from './peer-certificate.ts';
import type { Action, AuthenticationResult, Credentials, Exchange, Principal, Security } from './security.ts';
import type { AskStanding, Standing } from './standing.ts';
import { UserDirectory } from './user-directory.ts';
import type { Account, ConfiguredUser } from './user-directory.ts';
import { VerifiedCredentials } from './verified-credentials.ts';

export type SecurityLimits = {
  /** Password checks that run at a time, that may wait, and that may wait from one address. */
  readonly checksRunning: number;
  readonly checksWaiting: number;
  readonly checksWaitingPerAddress: number;
  /** Wrong passwords that an account, and an address, may have before it is banned. */
  readonly failuresPerAccount: number;
  readonly failuresPerAddress: number;
  /** One failure is forgiven after this time. */
  readonly forgiveFailureMs: number;
  /** The first ban; each further one is twice as long, up to the maximum. */
  readonly banMs: number;
  readonly maxBanMs: number;
  /** Accounts, and addresses, whose failures are remembered. */
  readonly failureEntries: number;
  /** Verified credentials that are remembered, so that a fleet can reconnect at once. About 250 bytes each. 0: none. */
  readonly verifiedEntries: number;
};

export const defaultSecurityLimits: SecurityLimits = {
  checksRunning: 2,
  checksWaiting: 1024,
  checksWaitingPerAddress: 256,
  failuresPerAccount: 10,
  failuresPerAddress: 100,
  forgiveFailureMs: 30_000,
  banMs: 30_000,
  maxBanMs: 15 * 60_000,
  failureEntries: 10_000,
  verifiedEntries: 100_000,
};

/** What may change while the node runs. */
export type SecurityPolicy = {
  readonly users: readonly ConfiguredUser[];
  readonly rules: readonly Rule[];
  /** Undefined: who shows nothing is refused. `listeners`: only there; empty or absent: everywhere. */
  readonly anonymous: { readonly roles: readonly string[]; readonly tenant?: string; readonly listeners?: readonly string[] } | undefined;
  readonly certificates: {
    /** Where a certificate names its principal, in this order: URI `heliograph:tenant/name`, common name. */
    readonly rules: readonly CertificateRule[];
    readonly roles: readonly string[];
    /** The tenant of principals that are found by common name. */
    readonly commonNameTenant: string;
  };
};

export const defaultCertificatePolicy: SecurityPolicy['certificates'] = {
  rules: ['san', 'cn'],
  roles: ['device'],
  commonNameTenant: defaultTenant,
};

export type SecurityOptions = SecurityPolicy & {
  /** `<data>/users.json`; undefined: only the users of the configuration. */
  readonly usersFile: string | undefined;
  readonly limits: SecurityLimits;
};

/** `random` must be the secure source. */
export type SecurityServices = {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Absent: whoever has proved who it is, is in good standing. */
  readonly standing?: AskStanding;
};

export interface NodeSecurity extends Security, MetricSource {
  /** Takes a new policy (or reads the users file again); on an error what was in force stays. @throws UserError */
  reload(policy?: SecurityPolicy): Promise<void>;
}

/** @throws UserError when the users file, a user or a rule is broken */
export function createSecurity(options: SecurityOptions, services: SecurityServices): NodeSecurity {
  return new LocalSecurity(options, services);
}

/** The users file is looked at for changes at most this often. */
const usersFileCheckMs = 1000;

type Method = 'certificate' | 'password' | 'anonymous' | 'none';
type Answer = (result: AuthenticationResult) => void;

class LocalSecurity implements NodeSecurity {
  version = 1;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #standing: AskStanding;
  readonly #users: UserDirectory;
  readonly #watchesUsersFile: boolean;
  readonly #gate: PasswordGate;
  readonly #accounts: Lockout;
  readonly #addresses: Lockout;
  readonly #verified: VerifiedCredentials<Account>;
  #policy: SecurityPolicy;
  #rules: AccessRules;
  #usersCheckedMs = -Infinity;
  #checkingUsers = false;
  readonly #counts = new Map<string, { method: Method; result: string; count: number }>();
  #hashes = 0;
  #remembered = 0;
  #bans = 0;

  constructor(options: SecurityOptions, { clock, random, log, standing = () => 'good' }: SecurityServices) {
    const { limits } = options;
    this.#clock = clock;
    this.#log = log;
    this.#standing = standing;
    this.#policy = options;
    this.#rules = compile(options.rules);
    this.#users = new UserDirectory(options.usersFile, options.users, random);
    this.#watchesUsersFile = options.usersFile !== undefined;
    this.#gate = new PasswordGate({
      running: limits.checksRunning,
      waiting: limits.checksWaiting,
      waitingPerAddress: limits.checksWaitingPerAddress,
    });
    const { forgiveFailureMs: forgiveMs, banMs, maxBanMs, failureEntries: entries } = limits;
    this.#accounts = new Lockout({ failures: limits.failuresPerAccount, forgiveMs, banMs, maxBanMs, entries }, clock);
    this.#addresses = new Lockout({ failures: limits.failuresPerAddress, forgiveMs, banMs, maxBanMs, entries }, clock);
    this.#verified = new VerifiedCredentials(limits.verifiedEntries, random);
  }

  allows(principal: Principal, action: Action, topic: string): boolean {
    return this.#rules.allows(principal, action, topic);
  }

  /** No mechanism is offered yet. */
  startExchange(_mechanism: string, _credentials: Credentials): Exchange | undefined {
    return undefined;
  }

  authenticate(credentials: Credentials, answer: Answer): void {
    const { certificate, username, password } = credentials;
    const { certificates } = this.#policy;
    const identity = certificate && identityOf(certificate, certificates.rules, certificates.commonNameTenant);
    if (identity !== undefined) {
      this.#accept('certificate', { ...identity, kind: 'device', roles: certificates.roles }, credentials, answer);
    } else if (username === undefined && password === undefined) {
      this.#authenticateAnonymous(credentials, answer);
    } else if (username === undefined || password === undefined) {
      this.#refuse('password', 'refused', answer);
    } else {
      // The bytes belong to the wire's buffer, and the check may come later.
      const own = password.slice(0, maxPasswordBytes + 1);
      this.#withFreshUsers(() => this.#authenticatePassword(username, own, credentials, answer));
    }
  }

  async reload(policy: SecurityPolicy = this.#policy): Promise<void> {
    const rules = compile(policy.rules);
    await this.#users.reload(policy.users);
    this.#policy = policy;
    this.#rules = rules;
    this.#changed();
  }

  #changed(): void {
    this.#verified.clear();
    this.version++;
  }

  #authenticateAnonymous(credentials: Credentials, answer: Answer): void {
    const { anonymous } = this.#policy;
    if (anonymous === undefined) return this.#refuse('none', 'refused', answer);
    const { tenant = defaultTenant, roles, listeners = [] } = anonymous;
    if (listeners.length > 0 && !listeners.includes(credentials.listener)) return this.#refuse('none', 'refused', answer);
    this.#accept('anonymous', { tenant, id: 'anonymous', kind: 'anonymous', roles }, credentials, answer);
  }

  #authenticatePassword(username: string, password: Uint8Array, credentials: Credentials, answer: Answer): void {
    const address = addressKey(credentials.remoteAddress);
    if (this.#addresses.isBanned(address)) return this.#refuse('password', 'banned', answer);
    const named = parseAccount(username);
    // What cannot be a name is counted like one; cut, because a peer may send 65,535 bytes.
    const key = named === undefined ? `?${username.slice(0, maxNameLength)}` : accountKey(named.tenant, named.name);
    if (password.length > maxPasswordBytes) {
      this.#failed(key, address, undefined);
      return this.#refuse('password', 'refused', answer);
    }
    const token = this.#verified.tokenFor(key, password);
    const isBanned = this.#accounts.isBanned(key);
    const known = this.#verified.get(token);
    // Someone else's guesses must not keep a peer out that comes from where it last succeeded.
    if (known !== undefined && (!isBanned || known.address === address)) {
      this.#remembered++;
      return this.#acceptUser(known.subject, credentials, answer);
    }
    if (isBanned) return this.#refuse('password', 'banned', answer);
    const entered = this.#gate.enter(address, () => this.#checkPassword(key, named, password, token, address, credentials, answer));
    if (!entered) this.#refuse('password', 'overloaded', answer);
  }

  async #checkPassword(
    key: string,
    named: ReturnType<typeof parseAccount>,
    password: Uint8Array,
    token: string,
    address: string,
    credentials: Credentials,
    answer: Answer,
  ): Promise<void> {
    // While this waited, an earlier one may have proved the same credentials, or used up the allowance.
    const known = this.#verified.get(token);
    if (known !== undefined) {
      this.#remembered++;
      return this.#acceptUser(known.subject, credentials, answer);
    }
    if (this.#accounts.isBanned(key) || this.#addresses.isBanned(address)) return this.#refuse('password', 'banned', answer);
    const account = named && this.#users.find(named.tenant, named.name);
    this.#hashes++;
    const matches = await verifyPassword(password, account?.hash ?? this.#users.dummy).catch((error: unknown) => {
      this.#log.error('security.password.check.failed', { error: (error as Error).message });
      return undefined;
    });
    // The algorithm itself failed, for want of memory: nobody's fault, nothing is counted.
    if (matches === undefined) return this.#refuse('password', 'overloaded', answer);
    // Users may have changed meanwhile: what counts is the user as it is now.
    const current = named && this.#users.find(named.tenant, named.name);
    if (!matches || account === undefined || current?.passwordHash !== account.passwordHash) {
      this.#failed(key, address, account);
      return this.#refuse('password', 'refused', answer);
    }
    this.#accounts.succeeded(key);
    this.#verified.put(token, current, address);
    this.#acceptUser(current, credentials, answer);
  }

  #failed(key: string, address: string, account: Account | undefined): void {
    if (this.#accounts.failed(key)) {
      this.#bans++;
      // An unknown name may be a password typed into the wrong field: it is not repeated.
      this.#log.warn('security.account.banned', { account: account === undefined ? '(unknown)' : key, address });
    }
    if (this.#addresses.failed(address)) {
      this.#bans++;
      this.#log.warn('security.address.banned', { address });
    }
  }

  #acceptUser({ tenant, name, roles }: Account, credentials: Credentials, answer: Answer): void {
    const kind = roles.includes('device') ? 'device' : 'application';
    this.#accept('password', { tenant, id: name, kind, roles }, credentials, answer);
  }

  #accept(method: Method, principal: Principal, credentials: Credentials, answer: Answer): void {
    if (!this.#rules.allows(principal, 'connect', credentials.clientId)) return this.#refuse(method, 'refused', answer);
    const standing = this.#standing(principal, credentials.certificate);
    if (!(standing instanceof Promise)) return this.#admit(method, principal, standing, answer);
    const failed = (error: unknown): Standing => {
      this.#log.error('security.standing.failed', { error: (error as Error).message });
      return 'unknown';
    };
    void standing.catch(failed).then((found) => this.#admit(method, principal, found, answer));
  }

  #admit(method: Method, principal: Principal, standing: Standing, answer: Answer): void {
    if (standing !== 'good') return this.#refuse(method, standing === 'barred' ? 'refused' : 'overloaded', answer);
    this.#count(method, 'accepted');
    answer({ ok: true, principal });
  }

  #refuse(method: Method, reason: 'refused' | 'overloaded' | 'banned', answer: Answer): void {
    this.#count(method, reason);
    answer({ ok: false, reason });
  }

  #count(method: Method, result: string): void {
    const key = `${method} ${result}`;
    const entry = this.#counts.get(key);
    if (entry === undefined) this.#counts.set(key, { method, result, count: 1 });
    else entry.count++;
  }

  /** Runs `next`, after a look at the users file if the last one is a while ago. Only one look is under way at a time. */
  #withFreshUsers(next: () => void): void {
    const now = this.#clock.monotonicMs();
    if (!this.#watchesUsersFile || this.#checkingUsers || now - this.#usersCheckedMs < usersFileCheckMs) return next();
    this.#usersCheckedMs = now;
    this.#checkingUsers = true;
    void this.#rereadUsersIfChanged().finally(() => {
      this.#checkingUsers = false;
      next();
    });
  }

  async #rereadUsersIfChanged(): Promise<void> {
    try {
      if (await this.#users.reloadIfChanged()) this.#changed();
    } catch (error) {
      this.#log.error('security.users.reload.failed', { error: (error as Error).message });
    }
  }

  *metrics(): Iterable<Sample> {
    const help = 'Answers to peers that asked to connect, by what they showed.';
    for (const { method, result, count } of this.#counts.values()) {
      yield { name: 'heliograph_security_authentications_total', help, type: 'counter', labels: { method, result }, value: count };
    }
    const one = (name: string, type: 'counter' | 'gauge', text: string, value: number): Sample => ({
      name: `heliograph_security_${name}`,
      help: text,
      type,
      value,
    });
    yield one('users', 'gauge', 'Users known by password.', this.#users.size);
    yield one('password_hashes_total', 'counter', 'Slow password checks done.', this.#hashes);
    yield one('password_checks_running', 'gauge', 'Slow password checks under way.', this.#gate.running);
    yield one('password_checks_waiting', 'gauge', 'Slow password checks in the waiting line.', this.#gate.waiting);
    yield one('remembered_credentials_total', 'counter', 'Passwords accepted without a slow check.', this.#remembered);
    yield one('remembered_credentials', 'gauge', 'Verified credentials kept to spare slow checks.', this.#verified.size);
    yield one('bans_total', 'counter', 'Accounts and addresses locked out for a while.', this.#bans);
    yield one('failing_accounts', 'gauge', 'Accounts with failures that are not forgiven yet.', this.#accounts.size);
    yield one('failing_addresses', 'gauge', 'Addresses with failures that are not forgiven yet.', this.#addresses.size);
  }
}

function compile(rules: readonly Rule[]): AccessRules {
  const fault = ruleFaults(rules)[0];
  if (fault !== undefined) throw new UserError(`An access rule cannot be used: ${fault.what}.`, { where: fault.at });
  return new AccessRules(rules);
}

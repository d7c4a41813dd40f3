// The security of one node, put together: who a peer is (authentication/chain.ts), and what it may do (authorization).

import { createHmac } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { MetricSource, Sample } from '../base/metrics.ts';
import type { Random } from '../base/random.ts';
import { defaultTenant } from '../message/names.ts';
import type { LookUps, NowOrLater } from '../registry/registry.ts';
import { noAudit, type Audit } from './audit/audit.ts';
import { Accounts } from './authentication/accounts.ts';
import { AnonymousAuthenticator, isWelcome, type AnonymousPolicy } from './authentication/anonymous.ts';
import { Attempts, claimOf, type Claim } from './authentication/attempts.ts';
import type { Authenticator } from './authentication/authenticator.ts';
import { CertificateAuthenticator, type CertificatePolicy } from './authentication/certificate.ts';
import { AuthenticationChain, type Guesses } from './authentication/chain.ts';
import { LoginAudit, type LoginAuditLevel } from './authentication/login-audit.ts';
import { PasswordAuthenticator } from './authentication/password.ts';
import { OscoreAuthenticator } from './authentication/oscore.ts';
import { PrincipalFacts, type FindAuthority, type Join } from './authentication/principal-facts.ts';
import { PskAuthenticator, type PskKeys, type SecretBox } from './authentication/psk.ts';
import { RawPublicKeyAuthenticator } from './authentication/raw-public-key.ts';
import { ScramAuthenticator } from './authentication/scram.ts';
import type { HashCost } from './password-hash.ts';
import { createAuthorization } from './policy/authorization.ts';
import type { AuthorizationSettings } from './policy/authorization.ts';
import { methods } from './security.ts';
import type {
  Action,
  AuthenticationResult,
  Credentials,
  Exchange,
  MessageTerms,
  Method,
  Principal,
  Reassessment,
  Security,
} from './security.ts';
import { UserDirectory } from './user-directory.ts';
import type { ConfiguredUser } from './user-directory.ts';

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

/**
 * The order in which peers are asked for proof: first what the connection has proved already, last what proves nothing. Tokens
 * stand before passwords, because they come in the same place and cost less to judge.
 */
export const defaultAuthentication: readonly Method[] = methods;

/** What may change while the node runs. */
export type SecurityPolicy = AuthorizationSettings & {
  readonly users: readonly ConfiguredUser[];
  /** Undefined: who shows nothing is refused. */
  readonly anonymous: AnonymousPolicy | undefined;
  readonly certificates: CertificatePolicy;
  /** Absent: `defaultAuthentication`. */
  readonly authentication?: readonly Method[];
  /** What single listeners accept, by their names; absent: what `authentication` says. */
  readonly listeners?: Readonly<Record<string, readonly Method[] | undefined>>;
  /** Absent: management. */
  readonly auditLogins?: LoginAuditLevel;
};

export const defaultCertificatePolicy: CertificatePolicy = {
  rules: ['san', 'fingerprint', 'cn'],
  roles: ['device'],
  commonNameTenant: defaultTenant,
};

export type SecurityOptions = SecurityPolicy & {
  readonly limits: SecurityLimits;
};

/** What principals may do. */
export interface AuthorizationDoor<Policy = SecurityPolicy> extends Partial<MetricSource> {
  /** See Security.version. */
  readonly version: number;
  allows(principal: Principal, action: Action, topic: string): boolean;
  forbids?(principal: Principal, action: 'publish', topic: string): boolean;
  messageTerms?(principal: Principal, action: Action, topic: string): MessageTerms | undefined;
  /** Asked before anything else about a principal of this tenant. false: what it grants cannot be read now. */
  ready?(tenant: string): NowOrLater<boolean>;
  /** Takes a new policy; on an error what was in force stays. @throws UserError */
  reload(policy: Policy): void;
  close?(): void;
}

/** `random` must be the secure source. */
export type SecurityServices = {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Absent: made of the configuration alone, without roles and policies of the registry. */
  readonly authorization?: AuthorizationDoor;
  /** Absent: nobody is known but the users of the configuration. */
  readonly lookUps?: LookUps;
  readonly audit?: Audit;
  /** Absent: there are no pre-shared keys, and what strangers are shown changes with each start. */
  readonly secrets?: SecretBox;
  readonly authorityOf?: FindAuthority;
  /** Absent: devices that nobody has added come in as they are. */
  readonly join?: Join;
  /** Besides those built in here: tokens, webhooks. */
  readonly authenticators?: readonly Authenticator[];
  /** What hashes of the registry cost: unknown users cost the same. Absent: as most of the configuration do. */
  readonly hashCost?: HashCost;
};

export interface NodeSecurity extends Security, MetricSource, PskKeys {
  /** The layer of OSCORE has not accepted a request; `reason` as in Verdict. */
  oscoreRefused(reason: string, origin: { readonly listener: string; readonly remoteAddress: string }): void;
  reassess(principal: Principal, answer: (result: Reassessment) => void): void;
  /** By what peers of a listener may prove who they are now; `anonymous` only where somebody is welcome who shows nothing. */
  accepts(listener: string): readonly Method[];
  messageTerms(principal: Principal, action: Action, topic: string): MessageTerms | undefined;
  /** Takes a new policy; on an error what was in force stays. @throws UserError */
  reload(policy: SecurityPolicy): Promise<void>;
  close(): Promise<void>;
}

/** @throws UserError when a user or a rule is broken */
export function createSecurity(options: SecurityOptions, services: SecurityServices): NodeSecurity {
  return new LocalSecurity(options, services);
}

const markKeyBytes = 32;

class LocalSecurity implements NodeSecurity {
  readonly #users: UserDirectory;
  readonly #authorization: AuthorizationDoor;
  readonly #password: PasswordAuthenticator;
  readonly #psk: PskAuthenticator | undefined;
  readonly #attempts: Attempts;
  readonly #loginAudit: LoginAudit;
  readonly #chain: AuthenticationChain;
  #policy: SecurityPolicy;
  #reloads = 0;

  constructor(options: SecurityOptions, services: SecurityServices) {
    const { clock, random, log, lookUps, audit = noAudit, secrets, authorityOf, join, authenticators = [], hashCost } = services;
    const { limits } = options;
    this.#policy = options;
    this.#authorization = services.authorization ?? createAuthorization(options, { clock, log });
    this.#users = new UserDirectory(options.users, random, hashCost);
    this.#loginAudit = new LoginAudit(audit, clock, () => this.#policy.auditLogins ?? 'management');
    this.#attempts = new Attempts(limits, clock, log, (what, { key, address }, exists) =>
      this.#loginAudit.banned(what, address, exists && what === 'account' ? key : undefined),
    );
    const accounts = new Accounts(this.#users, lookUps, clock);
    this.#password = new PasswordAuthenticator({
      accounts,
      attempts: this.#attempts,
      gate: { running: limits.checksRunning, waiting: limits.checksWaiting, waitingPerAddress: limits.checksWaitingPerAddress },
      verifiedEntries: limits.verifiedEntries,
      dummy: () => this.#users.dummy,
      random,
      log,
    });
    const mark = secrets === undefined ? markWith(random.bytes(markKeyBytes)) : (text: string) => secrets.mark(text);
    this.#psk = secrets && new PskAuthenticator(accounts, secrets);
    this.#chain = new AuthenticationChain({
      authenticators: [
        new CertificateAuthenticator(() => this.#policy.certificates, lookUps),
        new ScramAuthenticator({ accounts, attempts: this.#attempts, mark, random }),
        this.#password,
        new AnonymousAuthenticator(() => this.#policy.anonymous, defaultTenant),
        ...(this.#psk === undefined ? [] : [this.#psk]),
        ...(lookUps === undefined ? [] : [new RawPublicKeyAuthenticator(lookUps, clock), new OscoreAuthenticator(lookUps, clock)]),
        ...authenticators,
      ],
      accepts: (listener) => this.#accepts(listener),
      facts: new PrincipalFacts(lookUps, clock, authorityOf, join),
      guesses: this.#guesses,
      ready: (tenant) => this.#authorization.ready?.(tenant) ?? true,
      mayConnect: (principal, clientId) => this.#authorization.allows(principal, 'connect', clientId),
      audit: this.#loginAudit,
      log,
    });
  }

  get version(): number {
    return this.#authorization.version + this.#reloads;
  }

  forbids(principal: Principal, action: 'publish', topic: string): boolean {
    return this.#authorization.forbids?.(principal, action, topic) === true;
  }

  allows(principal: Principal, action: Action, topic: string): boolean {
    return this.#authorization.allows(principal, action, topic);
  }

  messageTerms(principal: Principal, action: Action, topic: string): MessageTerms | undefined {
    return this.#authorization.messageTerms?.(principal, action, topic);
  }

  authenticate(credentials: Credentials, answer: (result: AuthenticationResult) => void): void {
    this.#chain.authenticate(credentials, answer);
  }

  startExchange(mechanism: string, credentials: Credentials): Exchange | undefined {
    return this.#chain.startExchange(mechanism, credentials);
  }

  reassess(principal: Principal, answer: (result: Reassessment) => void): void {
    this.#chain.reassess(principal, answer);
  }

  accepts(listener: string): readonly Method[] {
    const accepted = this.#accepts(listener);
    const { anonymous } = this.#policy;
    if (anonymous !== undefined && isWelcome(anonymous, listener)) return accepted;
    return accepted.filter((method) => method !== 'anonymous');
  }

  pskKey(identity: string): Uint8Array | undefined {
    return this.#psk?.pskKey(identity);
  }

  pskKeyLater(identity: string): NowOrLater<Uint8Array | undefined> {
    return this.#psk?.pskKeyLater(identity);
  }

  pskRefused(origin: { readonly listener: string; readonly remoteAddress: string }): void {
    this.#chain.refusedBefore('psk', 'wrong-key', origin);
  }

  oscoreRefused(reason: string, origin: { readonly listener: string; readonly remoteAddress: string }): void {
    this.#chain.refusedBefore('oscore', reason, origin);
  }

  async reload(policy: SecurityPolicy): Promise<void> {
    const before = this.#policy;
    this.#users.reload(policy.users);
    try {
      this.#authorization.reload(policy);
    } catch (error) {
      this.#users.reload(before.users);
      throw error;
    }
    this.#policy = policy;
    this.#changed();
  }

  async close(): Promise<void> {
    await this.#chain.close();
    this.#authorization.close?.();
  }

  get #guesses(): Guesses {
    // Who shows no name and no password does not guess.
    const claim = ({ username, password, remoteAddress }: Credentials): Claim | undefined =>
      username === undefined && password === undefined ? undefined : claimOf(username ?? '', remoteAddress);
    return {
      isBanned: (credentials) => {
        const made = claim(credentials);
        return made !== undefined && this.#attempts.isBanned(made);
      },
      failed: (credentials) => {
        const made = claim(credentials);
        if (made !== undefined) this.#attempts.failed(made, false);
      },
    };
  }

  #accepts(listener: string): readonly Method[] {
    const { listeners, authentication = defaultAuthentication } = this.#policy;
    const own = listeners !== undefined && Object.hasOwn(listeners, listener) ? listeners[listener] : undefined;
    return own ?? authentication;
  }

  #changed(): void {
    this.#password.forget();
    this.#reloads++;
  }

  *metrics(): Iterable<Sample> {
    yield* this.#chain.metrics();
    yield* this.#attempts.metrics();
    yield* this.#loginAudit.metrics();
    yield { name: 'heliograph_security_users', help: 'Users of the configuration.', type: 'gauge', value: this.#users.size };
    if (this.#authorization.metrics !== undefined) yield* this.#authorization.metrics();
  }
}

function markWith(key: Uint8Array): (text: string) => Uint8Array {
  return (text) => createHmac('sha256', key).update(text).digest();
}

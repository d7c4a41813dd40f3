// Name and password (MQTT CONNECT, HTTP Basic). Whether a name exists is told neither by the answer nor by its time.

import type { Log } from '../../base/log.ts';
import type { MetricSource, Sample } from '../../base/metrics.ts';
import type { Random } from '../../base/random.ts';
import type { NowOrLater } from '../../registry/registry.ts';
import { PasswordGate, type GateLimits } from '../password-gate.ts';
import { maxPasswordBytes, verifyPassword, type PasswordHash } from '../password-hash.ts';
import type { Access, Credentials } from '../security.ts';
import { VerifiedCredentials } from '../verified-credentials.ts';
import { hashesOf, type Account, type Accounts, type FoundHash, type Secret } from './accounts.ts';
import type { Attempts, Claim } from './attempts.ts';
import { claimOf } from './attempts.ts';
import type { Authenticator, Identity, Verdict } from './authenticator.ts';
import { whenKnown } from './now-or-later.ts';

export type PasswordServices = {
  readonly accounts: Accounts;
  readonly attempts: Attempts;
  readonly gate: GateLimits;
  /** Verified credentials that are remembered. */
  readonly verifiedEntries: number;
  /** What the password of an unknown user is checked against. */
  readonly dummy: () => PasswordHash;
  readonly random: Random;
  readonly log: Log;
};

type Answer = (verdict: Verdict) => void;
type Try = { readonly claim: Claim; readonly password: Uint8Array; readonly token: string; readonly answer: Answer };

export class PasswordAuthenticator implements Authenticator, MetricSource {
  readonly method = 'password';
  readonly #services: PasswordServices;
  readonly #gate: PasswordGate;
  /** Which secret was proved, by its stored text: it must still be the account's when it is remembered. */
  readonly #verified: VerifiedCredentials<string>;
  /** Most hashes that any account has had: every failure does as many, so that the time does not tell who has two. */
  #depth = 1;
  #hashes = 0;
  #remembered = 0;

  constructor(services: PasswordServices) {
    this.#services = services;
    this.#gate = new PasswordGate(services.gate);
    this.#verified = new VerifiedCredentials(services.verifiedEntries, services.random);
  }

  authenticate({ username, password, remoteAddress }: Credentials, answer: Answer): void {
    if (username === undefined && password === undefined) return answer({ kind: 'next' });
    if (username === undefined || password === undefined) return answer({ kind: 'next', reason: 'half-a-credential' });
    const { attempts } = this.#services;
    const claim = claimOf(username, remoteAddress);
    if (attempts.isAddressBanned(claim)) return answer({ kind: 'banned' });
    if (password.length > maxPasswordBytes) {
      // It may be a token, which another one knows how to read.
      return answer({ kind: 'next', reason: 'password-too-long', whenRefused: () => attempts.failed(claim, false) });
    }
    const token = this.#verified.tokenFor(claim.key, password);
    const attempt: Try = { claim, password, token, answer };
    const known = this.#verified.get(token);
    const isBanned = attempts.isAccountBanned(claim);
    // Someone else's guesses must not keep a peer out that comes from where it last succeeded.
    if (known !== undefined && (!isBanned || known.address === claim.address)) {
      const found = this.#recall(attempt, known.subject);
      if (!(found instanceof Promise)) return found === undefined ? this.#queue(attempt, isBanned) : answer(found);
      return void found.then(
        (verdict) => (verdict === undefined ? this.#queue(attempt, isBanned) : answer(verdict)),
        (error: unknown) => answer(this.#broken(error)),
      );
    }
    this.#queue(attempt, isBanned);
  }

  /** Proved already, if the account still has that secret. */
  #recall({ claim }: Try, secret: string): NowOrLater<Verdict | undefined> {
    return whenKnown(this.#find(claim), (account) => {
      if (account === 'unavailable') return { kind: 'overloaded' };
      const current = account?.secrets.find(({ text }) => text === secret);
      if (account === undefined || current === undefined) return undefined;
      this.#remembered++;
      return proved(account, current);
    });
  }

  #queue(attempt: Try, isBanned: boolean): void {
    const { claim, answer } = attempt;
    if (isBanned) return answer({ kind: 'banned' });
    if (!this.#gate.enter(claim.address, () => this.#check(attempt))) answer({ kind: 'overloaded' });
  }

  async #check(attempt: Try): Promise<void> {
    let verdict: Verdict;
    try {
      verdict = await this.#judge(attempt);
    } catch (error) {
      verdict = this.#broken(error);
    }
    attempt.answer(verdict);
  }

  async #judge(attempt: Try): Promise<Verdict> {
    const { claim, password, token } = attempt;
    const { attempts } = this.#services;
    // While this waited, an earlier one may have proved the same credentials, or used up the allowance.
    const known = this.#verified.get(token);
    const recalled = known === undefined ? undefined : await this.#recall(attempt, known.subject);
    if (recalled !== undefined) return recalled;
    if (attempts.isBanned(claim)) return { kind: 'banned' };
    const account = await this.#find(claim);
    if (account === 'unavailable') return { kind: 'overloaded' };
    const matching = await this.#match(password, account === undefined ? [] : hashesOf(account));
    // The account may have changed meanwhile: what counts is how it is now.
    const current = await this.#find(claim);
    if (current === 'unavailable') return { kind: 'overloaded' };
    if (account === undefined) {
      return { kind: 'next', reason: 'unknown-account', whenRefused: () => attempts.failed(claim, false) };
    }
    const secret = current?.secrets.find(({ text }) => text === matching?.secret.text);
    if (current === undefined || secret === undefined) {
      attempts.failed(claim, true);
      return { kind: 'refused', reason: 'wrong-password', account: claim.key };
    }
    attempts.succeeded(claim);
    this.#verified.put(token, secret.text, claim.address);
    return proved(current, secret);
  }

  /** The one that matches; as much work when none does as for the account with most hashes. */
  async #match(password: Uint8Array, hashes: readonly FoundHash[]): Promise<FoundHash | undefined> {
    this.#depth = Math.max(this.#depth, hashes.length);
    for (const found of hashes) {
      this.#hashes++;
      if (await verifyPassword(password, found.hash)) return found;
    }
    for (let done = hashes.length; done < this.#depth; done++) {
      this.#hashes++;
      await verifyPassword(password, this.#services.dummy());
    }
    return undefined;
  }

  #find({ named }: Claim): NowOrLater<Account | undefined | 'unavailable'> {
    return named && this.#services.accounts.find(named.tenant, named.name, 'password');
  }

  /** The algorithm itself failed, for want of memory: nobody's fault, nothing is counted. */
  #broken(error: unknown): Verdict {
    this.#services.log.error('security.password.check.failed', { error: (error as Error).message });
    return { kind: 'overloaded' };
  }

  reassess(identity: Identity, _access: Access): NowOrLater<Identity | 'barred' | 'unknown'> {
    return stillThere(identity, this.#services.accounts.find(identity.tenant, identity.id, 'password'));
  }

  /** After the configuration has changed. */
  forget(): void {
    this.#verified.clear();
  }

  *metrics(): Iterable<Sample> {
    const one = (name: string, type: 'counter' | 'gauge', help: string, value: number): Sample => ({
      name: `heliograph_security_${name}`,
      help,
      type,
      value,
    });
    yield one('password_hashes_total', 'counter', 'Slow password checks done.', this.#hashes);
    yield one('password_checks_running', 'gauge', 'Slow password checks under way.', this.#gate.running);
    yield one('password_checks_waiting', 'gauge', 'Slow password checks in the waiting line.', this.#gate.waiting);
    yield one('remembered_credentials_total', 'counter', 'Passwords accepted without a slow check.', this.#remembered);
    yield one('remembered_credentials', 'gauge', 'Verified credentials kept to spare slow checks.', this.#verified.size);
  }
}

function proved({ identity }: Account, { text: secret, expiresAtMs }: Secret): Verdict {
  return { kind: 'proved', identity: { ...identity, secret }, ...(expiresAtMs !== undefined && { expiresAtMs }) };
}

/**
 * For reassess: an account that has lost the secret by which somebody came in has lost that somebody, too. Who sets a new one
 * because the old one is known to others does not want them to stay.
 */
export function stillThere(
  { secret }: Identity,
  found: NowOrLater<Account | undefined | 'unavailable'>,
): NowOrLater<Identity | 'barred' | 'unknown'> {
  return whenKnown(found, (account) => {
    if (account === 'unavailable') return 'unknown';
    if (account === undefined || !account.secrets.some(({ text }) => text === secret)) return 'barred';
    return { ...account.identity, secret: secret! };
  });
}

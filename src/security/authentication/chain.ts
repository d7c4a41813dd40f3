// The chain: asks the authenticators that a listener accepts, in the order of the configuration, until one has proved who the
// peer is or refuses it; adds what the registry knows; and lets in who is in good standing and may connect.
//
// Rules here: an answer never tells whether an account exists, neither by its content nor by its time; no password, hash or
// token goes into a log, an error, a metric or the audit log; names that peers send are told only when they are accounts we know.

import type { Log } from '../../base/log.ts';
import type { MetricSource, Sample } from '../../base/metrics.ts';
import type { NowOrLater } from '../../registry/registry.ts';
import { isNodePrincipal } from '../security.ts';
import type { Access, AuthenticationResult, Credentials, Exchange, ExchangeStep, Method, Principal, Reassessment } from '../security.ts';
import { anonymousId } from './anonymous.ts';
import type { Authenticator, ExchangeVerdict, Identity, MechanismExchange, Verdict } from './authenticator.ts';
import type { LoginAudit } from './login-audit.ts';
import { allKnown, whenKnown } from './now-or-later.ts';
import type { Facts, PrincipalFacts } from './principal-facts.ts';
import { maxSecretBytes } from './secret-bytes.ts';

export type ChainServices = {
  /** All there are; which of them are asked, and in which order, says `accepts`. */
  readonly authenticators: readonly Authenticator[];
  readonly accepts: (listener: string) => readonly Method[];
  readonly facts: PrincipalFacts;
  /** What a tenant grants has been read; false: it cannot be now. */
  readonly ready: (tenant: string) => NowOrLater<boolean>;
  /** Of who guesses at somebody else's accounts, which are asked for elsewhere. */
  readonly guesses: Guesses;
  readonly mayConnect: (principal: Principal, clientId: string) => boolean;
  readonly audit: LoginAudit;
  readonly log: Log;
};

export type Guesses = {
  readonly isBanned: (credentials: Credentials) => boolean;
  readonly failed: (credentials: Credentials) => void;
};

type Answer = (result: AuthenticationResult) => void;
type Proof = { readonly method: Method; readonly identity: Identity; readonly expiresAtMs: number | undefined };
type Admission =
  | { readonly ok: true; readonly principal: Principal; readonly expiresAtMs?: number }
  | { readonly ok: false; readonly reason: 'refused' | 'overloaded'; readonly why: string };
type Refusal = 'refused' | 'overloaded' | 'banned';

export class AuthenticationChain implements MetricSource {
  readonly #services: ChainServices;
  readonly #byMethod: ReadonlyMap<Method, Authenticator>;
  /** What a principal was made of: claims and configuration are not in the registry, and must last as long as it does. */
  readonly #proofs = new WeakMap<Principal, Identity>();
  readonly #counts = new Map<string, { method: string; result: string; reason: string; count: number }>();

  constructor(services: ChainServices) {
    this.#services = services;
    this.#byMethod = new Map(services.authenticators.map((one) => [one.method, one]));
  }

  authenticate(credentials: Credentials, answer: Answer): void {
    const own = ownCredentials(credentials);
    const run = new Run(this.#acceptedBy(credentials.listener), own, this.#services, (method, verdict) =>
      this.#decided(method, verdict, own, answer),
    );
    run.ask();
  }

  startExchange(mechanism: string, credentials: Credentials): Exchange | undefined {
    const offering = this.#acceptedBy(credentials.listener).find((one) => one.mechanisms?.includes(mechanism) === true);
    const exchange = offering?.startExchange?.(mechanism, credentials);
    if (offering === undefined || exchange === undefined) return undefined;
    return new ChainExchange(exchange, (verdict, answer) => this.#exchanged(offering.method, verdict, credentials, answer));
  }

  /** See Security.reassess. */
  reassess(principal: Principal, answer: (result: Reassessment) => void): void {
    if (isNodePrincipal(principal)) return answer({ standing: 'good', principal });
    const { access } = principal;
    const identity = this.#proofs.get(principal) ?? identityFrom(principal);
    const unchanged: Reassessment = { standing: 'good', principal };
    const judge = (facts: Facts, proved: Identity): Reassessment => {
      if (facts.standing === 'unknown') return unchanged;
      if (facts.standing === 'barred') return { standing: 'barred' };
      if (access !== undefined && isAnotherKind(access.method, proved, facts.principal)) return { standing: 'barred' };
      if (isSame(facts.principal, principal)) return unchanged;
      const next = { ...facts.principal, ...(access !== undefined && { access }) };
      this.#proofs.set(next, proved);
      return { standing: 'good', principal: next };
    };
    const asked = whenKnown(this.#stillProved(identity, access), (proved): NowOrLater<Reassessment> => {
      if (proved === 'barred') return { standing: 'barred' };
      if (proved === 'unknown') return unchanged;
      const facts = this.#services.facts.of(proved, access?.certificate, access?.method === 'certificate');
      return whenKnown(facts, (found) => judge(found, proved));
    });
    if (!(asked instanceof Promise)) return answer(asked);
    void asked.catch((error: unknown) => (this.#broken(error), unchanged)).then((result) => answer(result));
  }

  #stillProved(identity: Identity, access: Access | undefined): NowOrLater<Identity | 'barred' | 'unknown'> {
    if (access === undefined) return identity;
    // The listener may take other proofs now.
    if (!this.#services.accepts(access.listener).includes(access.method)) return 'barred';
    return this.#byMethod.get(access.method)?.reassess?.(identity, access) ?? identity;
  }

  #acceptedBy(listener: string): readonly Authenticator[] {
    return this.#services.accepts(listener).flatMap((method) => this.#byMethod.get(method) ?? []);
  }

  #decided(method: Method | 'none', verdict: Exclude<Verdict, { kind: 'next' }>, credentials: Credentials, answer: Answer): void {
    if (verdict.kind !== 'proved') {
      const why = verdict.kind === 'refused' ? verdict.reason : verdict.kind;
      const account = 'account' in verdict ? verdict.account : undefined;
      return this.#refuse(method, verdict.kind, why, account, credentials, answer);
    }
    const { identity, expiresAtMs } = verdict;
    const admitted = this.#admit({ method: method as Method, identity, expiresAtMs }, credentials);
    this.#whenAdmitted(admitted, (admission) => {
      if (!admission.ok) {
        const { tenant, id } = identity;
        return this.#refuse(method, admission.reason, admission.why, `${tenant}/${id}`, credentials, answer);
      }
      this.#accepted(method as Method, admission.principal, credentials);
      answer(admission);
    });
  }

  #exchanged(method: Method, verdict: ExchangeVerdict, credentials: Credentials, answer: (step: ExchangeStep) => void): void {
    if (verdict.kind === 'challenge') return answer(verdict);
    const fail = (refusal: Refusal, why: string, account: string | undefined): void => {
      this.#tell(method, refusal, why, account, credentials);
      answer({ kind: 'failed' });
    };
    if (verdict.kind === 'failed') {
      const refusal = verdict.reason === 'banned' || verdict.reason === 'overloaded' ? verdict.reason : 'refused';
      return fail(refusal, verdict.reason, verdict.account);
    }
    const { identity, expiresAtMs, data } = verdict;
    this.#whenAdmitted(this.#admit({ method, identity, expiresAtMs }, credentials), (admission) => {
      if (!admission.ok) return fail(admission.reason, admission.why, `${identity.tenant}/${identity.id}`);
      const { principal, expiresAtMs: endMs } = admission;
      this.#accepted(method, principal, credentials);
      answer({ kind: 'done', principal, data, ...(endMs !== undefined && { expiresAtMs: endMs }) });
    });
  }

  #admit({ method, identity, expiresAtMs }: Proof, credentials: Credentials): NowOrLater<Admission> {
    if (method !== 'anonymous' && identity.id === anonymousId) return { ok: false, reason: 'refused', why: 'reserved-name' };
    const { listener, remoteAddress, secure, certificate, clientId, nameComesLater } = credentials;
    const { facts: known, ready } = this.#services;
    const asked = [known.of(identity, certificate, method === 'certificate', remoteAddress), ready(identity.tenant)] as const;
    return whenKnown(allKnown<[Facts, boolean]>(asked), ([facts, isReady]): Admission => {
      if (facts.standing === 'unknown' || !isReady) return { ok: false, reason: 'overloaded', why: 'registry-unavailable' };
      if (facts.standing === 'barred') return { ok: false, reason: 'refused', why: facts.reason };
      if (isAnotherKind(method, identity, facts.principal)) return { ok: false, reason: 'refused', why: 'another-kind' };
      const access: Access = { listener, remoteAddress, secure, method, certificate };
      const principal: Principal = { ...facts.principal, access };
      this.#proofs.set(principal, identity);
      if (nameComesLater !== true && !this.#services.mayConnect(principal, clientId))
        return { ok: false, reason: 'refused', why: 'not-allowed-to-connect' };
      const endMs = Math.min(expiresAtMs ?? Infinity, facts.expiresAtMs ?? Infinity);
      return { ok: true, principal, ...(endMs !== Infinity && { expiresAtMs: endMs }) };
    });
  }

  #whenAdmitted(admission: Admission | Promise<Admission>, next: (admission: Admission) => void): void {
    if (admission instanceof Promise) void this.#admitLater(admission, next);
    else next(admission);
  }

  async #admitLater(admission: Promise<Admission>, next: (admission: Admission) => void): Promise<void> {
    let known: Admission;
    try {
      known = await admission;
    } catch (error) {
      this.#broken(error);
      known = { ok: false, reason: 'overloaded', why: 'registry-unavailable' };
    }
    next(known);
  }

  #broken(error: unknown): void {
    this.#services.log.error('security.standing.failed', { error: (error as Error).message });
  }

  /** Somebody was refused before there was a connection to speak by. */
  refusedBefore(method: Method, reason: string, origin: { readonly listener: string; readonly remoteAddress: string }): void {
    this.#count(method, 'refused', reason);
    this.#services.audit.failed({ method, reason }, origin);
  }

  #accepted(method: Method, principal: Principal, credentials: Credentials): void {
    this.#count(method, 'accepted', 'none');
    this.#services.audit.succeeded(principal, credentials);
  }

  #refuse(
    method: Method | 'none',
    refusal: Refusal,
    why: string,
    account: string | undefined,
    credentials: Credentials,
    answer: Answer,
  ): void {
    this.#tell(method, refusal, why, account, credentials);
    answer({ ok: false, reason: refusal });
  }

  #tell(method: Method | 'none', refusal: Refusal, reason: string, account: string | undefined, credentials: Credentials): void {
    this.#count(method, refusal, reason);
    // Nobody's fault, and there may be very many.
    if (refusal !== 'overloaded') this.#services.audit.failed({ method, reason, account }, credentials);
  }

  #count(method: string, result: string, reason: string): void {
    const key = `${method} ${result} ${reason}`;
    const entry = this.#counts.get(key);
    if (entry === undefined) this.#counts.set(key, { method, result, reason, count: 1 });
    else entry.count++;
  }

  async close(): Promise<void> {
    this.#services.audit.flush(true);
    await allKnown([...this.#byMethod.values()].map((one) => one.close?.()));
  }

  *metrics(): Iterable<Sample> {
    const help = 'Answers to peers that asked to connect, by what they showed and why.';
    for (const { method, result, reason, count } of this.#counts.values()) {
      const labels = { method, result, reason };
      yield { name: 'heliograph_security_authentications_total', help, type: 'counter', labels, value: count };
    }
    for (const one of this.#byMethod.values()) if (one.metrics !== undefined) yield* one.metrics();
  }
}

/** One peer's way along the chain. */
class Run {
  readonly #authenticators: readonly Authenticator[];
  readonly #credentials: Credentials;
  readonly #services: Pick<ChainServices, 'log' | 'guesses'>;
  readonly #decided: (method: Method | 'none', verdict: Exclude<Verdict, { kind: 'next' }>) => void;
  readonly #whenRefused: (() => void)[] = [];
  /** The first that had something to say, and could not prove it. */
  #last: { readonly method: Method; readonly reason: string } | undefined;
  #next = 0;

  constructor(
    authenticators: readonly Authenticator[],
    credentials: Credentials,
    services: Pick<ChainServices, 'log' | 'guesses'>,
    decided: (method: Method | 'none', verdict: Exclude<Verdict, { kind: 'next' }>) => void,
  ) {
    this.#authenticators = authenticators;
    this.#credentials = credentials;
    this.#services = services;
    this.#decided = decided;
  }

  ask(): void {
    const authenticator = this.#authenticators[this.#next++];
    if (authenticator === undefined) {
      const { method, reason } = this.#last ?? { method: 'none' as const, reason: 'not-accepted-here' };
      return this.#end(method, { kind: 'refused', reason });
    }
    const { method } = authenticator;
    const { log, guesses } = this.#services;
    if (method === 'webhook' && guesses.isBanned(this.#credentials)) return this.#end(method, { kind: 'banned' });
    let answered = false;
    const answer = (verdict: Verdict): void => {
      // One that answers twice has a bug; the second answer must not open a door.
      if (answered) return log.error('security.authenticator.answered.twice', { method });
      answered = true;
      if (verdict.kind !== 'next') return this.#end(method, verdict);
      if (verdict.whenRefused !== undefined) this.#whenRefused.push(verdict.whenRefused);
      if (verdict.reason !== undefined && outranks(verdict.reason, this.#last?.reason)) this.#last = { method, reason: verdict.reason };
      this.ask();
    };
    try {
      authenticator.authenticate(this.#credentials, answer);
    } catch (error) {
      log.error('security.authenticator.failed', { method, error: (error as Error).message });
      if (!answered) answer({ kind: 'overloaded' });
    }
  }

  #end(method: Method | 'none', verdict: Exclude<Verdict, { kind: 'next' }>): void {
    if (verdict.kind === 'refused') {
      for (const count of this.#whenRefused) count();
      // Where passwords are not asked for here, nobody has counted.
      if (method === 'webhook' && this.#whenRefused.length === 0) this.#services.guesses.failed(this.#credentials);
    }
    this.#decided(method, verdict);
  }
}

/** The bytes belong to the wire's buffer, and the check may come later. */
function ownCredentials(given: Credentials): Credentials {
  const { password, oscoreContext, listener, remoteAddress, clientId, nameComesLater } = given;
  if (oscoreContext === undefined) return { ...given, password: password && new Uint8Array(password.subarray(0, maxSecretBytes + 1)) };
  // What comes under OSCORE may come through a proxy: whatever else is shown is the proxy's. It is protected from end to end.
  const nothing = { username: undefined, password: undefined, certificate: undefined };
  return { listener, remoteAddress, clientId, ...(nameComesLater && { nameComesLater }), secure: true, ...nothing, oscoreContext };
}

/** That somebody has shown nothing tells least. */
function outranks(reason: string, than: string | undefined): boolean {
  return than === undefined || (than === 'no-credentials' && reason !== than);
}

/** Keeps a mechanism to its order, and a peer from asking before it was answered. */
class ChainExchange implements Exchange {
  readonly #exchange: MechanismExchange;
  readonly #judge: (verdict: ExchangeVerdict, answer: (step: ExchangeStep) => void) => void;
  #state: 'waiting' | 'busy' | 'over' = 'waiting';

  constructor(exchange: MechanismExchange, judge: (verdict: ExchangeVerdict, answer: (step: ExchangeStep) => void) => void) {
    this.#exchange = exchange;
    this.#judge = judge;
  }

  step(data: Uint8Array | undefined, answer: (step: ExchangeStep) => void): void {
    if (this.#state !== 'waiting') return answer({ kind: 'failed' });
    this.#state = 'busy';
    this.#exchange.step(data && new Uint8Array(data), (verdict) => {
      if (this.#state !== 'busy') return;
      this.#state = verdict.kind === 'challenge' ? 'waiting' : 'over';
      this.#judge(verdict, answer);
    });
  }
}

/**
 * Others who say that all their peers are devices may not name somebody of the registry who is none: with the name come the roles
 * that it has there.
 */
function isAnotherKind(method: Method, { kind }: Identity, principal: Omit<Principal, 'access'>): boolean {
  return (method === 'jwt' || method === 'webhook') && kind !== undefined && kind !== principal.kind;
}

function identityFrom({ tenant, id, kind }: Principal): Identity {
  return { tenant, id, kind };
}

function isSame(facts: Omit<Principal, 'access'>, principal: Principal): boolean {
  return facts.kind === principal.kind && text(facts) === text(principal);
}

function text({ roles, groups = [], labels = {} }: Principal | Omit<Principal, 'access'>): string {
  return JSON.stringify([[...roles].sort(), [...groups].sort(), Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))]);
}

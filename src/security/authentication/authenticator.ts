// The contract of one way to prove who one is. The chain (chain.ts) asks those that a listener accepts, in the order of the
// configuration, and adds what the registry knows of whoever has proved an identity.

import type { MetricSource } from '../../base/metrics.ts';
import type { NowOrLater } from '../../registry/registry.ts';
import type { Access, Credentials, Method } from '../security.ts';

/** Who it is, before the registry was asked. `kind` undefined: what the registry says, else application. */
export type Identity = {
  readonly tenant: string;
  readonly id: string;
  readonly kind: 'device' | 'application' | 'user' | 'anonymous' | undefined;
  /** Roles, groups and labels besides those of the registry: from a claim, a webhook, the configuration. */
  readonly roles?: readonly string[];
  readonly groups?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  /** What is stored of the secret that was proved (a hash, a sealed key). Not for logs. When it is gone, so is the proof. */
  readonly secret?: string;
};

export type Verdict =
  | { readonly kind: 'proved'; readonly identity: Identity; readonly expiresAtMs?: number }
  /**
   * Nothing here for this authenticator to judge, or nobody it knows: the next of the chain may. `reason`: why, if nobody else
   * proves it either; `whenRefused` is called then, to count the failure.
   */
  | { readonly kind: 'next'; readonly reason?: string; readonly whenRefused?: () => void }
  /**
   * Ends the chain. `reason` is one lower-case hyphenated word for metrics and the audit log (`wrong-password`,
   * `expired-token`); peers are told only what AuthenticationResult says. `account`: `tenant/name`, only of one that exists.
   */
  | { readonly kind: 'refused'; readonly reason: string; readonly account?: string }
  | { readonly kind: 'overloaded' }
  | { readonly kind: 'banned'; readonly account?: string };

/** One step of an exchange; `done` with the identity that was proved. */
export type ExchangeVerdict =
  | { readonly kind: 'challenge'; readonly data: Uint8Array }
  | { readonly kind: 'done'; readonly identity: Identity; readonly data: Uint8Array | undefined; readonly expiresAtMs?: number }
  /** `account`: `tenant/name`, only of one that exists. */
  | { readonly kind: 'failed'; readonly reason: string; readonly account?: string };

export interface MechanismExchange {
  step(data: Uint8Array | undefined, answer: (verdict: ExchangeVerdict) => void): void;
}

export interface Authenticator extends Partial<MetricSource> {
  readonly method: Method;
  /** Answers now or later, exactly once. `credentials` own their bytes. Never throws. */
  authenticate(credentials: Credentials, answer: (verdict: Verdict) => void): void;
  /** Names of challenge-response mechanisms (MQTT 5 authentication method, SASL), as in `SCRAM-SHA-256`. */
  readonly mechanisms?: readonly string[];
  startExchange?(mechanism: string, credentials: Credentials): MechanismExchange;
  /**
   * Whom what it once proved makes the peer now: does the account exist, is anonymous still allowed, with which roles?
   * `unknown`: it cannot be found out now. Absent: what it proves ends by `expiresAtMs` alone. What the registry says of the
   * principal is asked by the chain.
   */
  reassess?(identity: Identity, access: Access): NowOrLater<Identity | 'barred' | 'unknown'>;
  /** Lets go of timers and connections. */
  close?(): void | Promise<void>;
}

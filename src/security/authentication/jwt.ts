// Tokens of OAuth 2 and OpenID Connect issuers (RFC 7519): given as password, or in AUTH packets of MQTT 5 by the method `JWT`, where
// the peer can hand over a new one before the old one ends. It ends with its token, however long it is connected.
//
// A token is somebody's key until it expires: nothing of it goes anywhere but here.

import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { MetricSource, Sample } from '../../base/metrics.ts';
import type { Credentials } from '../security.ts';
import type { Authenticator, ExchangeVerdict, Identity, MechanismExchange, Verdict } from './authenticator.ts';
import { identityOf, type JwtIssuer } from './jwt-issuer.ts';
import { KeySet, type KeySource } from './key-set.ts';
import type { KeySetLimits } from './key-set-limits.ts';

export const jwtMechanism = 'JWT';
/** Larger ones would not fit into a header anywhere else either. */
const maxTokenBytes = 8 * 1024;
/** Checks under way: each may wait for an issuer. */
const maxChecks = 1024;

export type JwtServices = { readonly clock: Clock; readonly log: Log };
export type JwtSettings = { readonly issuers: readonly (JwtIssuer & { readonly keys: KeySource })[]; readonly limits: KeySetLimits };

type Trusted = { readonly issuer: JwtIssuer; readonly keys: KeySet };
type Checked =
  | { readonly kind: 'proved'; readonly identity: Identity; readonly expiresAtMs: number }
  | { readonly kind: 'refused'; readonly reason: string }
  /** Not a token of an issuer that is known here. */
  | { readonly kind: 'foreign'; readonly reason: string }
  | { readonly kind: 'overloaded' };

export class JwtAuthenticator implements Authenticator, MetricSource {
  readonly method = 'jwt';
  readonly mechanisms = [jwtMechanism];
  readonly #clock: Clock;
  readonly #trusted = new Map<string, Trusted>();
  #checks = 0;

  constructor({ issuers, limits }: JwtSettings, { clock, log }: JwtServices) {
    this.#clock = clock;
    for (const issuer of issuers) {
      this.#trusted.set(issuer.issuer, { issuer, keys: new KeySet(issuer.name, issuer.keys, limits, clock, log) });
    }
  }

  authenticate(credentials: Credentials, answer: (verdict: Verdict) => void): void {
    const token = tokenOf(credentials.password);
    if (token === undefined) return answer({ kind: 'next' });
    void this.#check(token, credentials.username).then((checked) =>
      // It may be a password that looks like one, or one that a webhook knows.
      answer(checked.kind === 'foreign' ? { kind: 'next', reason: checked.reason } : checked),
    );
  }

  startExchange(_mechanism: string, credentials: Credentials): MechanismExchange {
    let wasAsked = false;
    return {
      step: (data, answer) => {
        if (data === undefined && !wasAsked) {
          // As in SASL: who has said nothing yet is asked by an empty challenge.
          wasAsked = true;
          return answer({ kind: 'challenge', data: new Uint8Array(0) });
        }
        const token = tokenOf(data);
        if (token === undefined) return answer({ kind: 'failed', reason: 'malformed-token' });
        void this.#check(token, credentials.username).then((checked) => answer(verdictOf(checked)));
      },
    };
  }

  close(): void {
    for (const { keys } of this.#trusted.values()) keys.close();
  }

  *metrics(): Iterable<Sample> {
    for (const { issuer, keys } of this.#trusted.values()) {
      const labels = { issuer: issuer.name };
      const fetches = 'Fetches of the keys of an issuer of tokens.';
      for (const result of ['fetched', 'failed'] as const) {
        const name = 'heliograph_security_key_fetches_total';
        yield { name, help: fetches, type: 'counter', labels: { ...labels, result }, value: keys.counts[result] };
      }
      yield { name: 'heliograph_security_keys', help: 'Keys of an issuer of tokens.', type: 'gauge', labels, value: keys.size };
      if (keys.ageMs === undefined) continue;
      const help = 'Since the keys of an issuer of tokens were last fetched.';
      yield { name: 'heliograph_security_keys_age_seconds', help, type: 'gauge', labels, value: keys.ageMs / 1000 };
    }
    const help = 'Tokens that are being checked.';
    yield { name: 'heliograph_security_token_checks_running', help, type: 'gauge', value: this.#checks };
  }

  async #check(token: string, username: string | undefined): Promise<Checked> {
    if (this.#checks >= maxChecks) return { kind: 'overloaded' };
    this.#checks++;
    try {
      return await this.#judge(token, username);
    } catch {
      // Not a fault that jose names: nobody comes in by it.
      return { kind: 'refused', reason: 'malformed-token' };
    } finally {
      this.#checks--;
    }
  }

  async #judge(token: string, username: string | undefined): Promise<Checked> {
    const trusted = this.#trustedOf(token);
    if ('reason' in trusted) return { kind: 'foreign', reason: trusted.reason };
    const { issuer, keys } = trusted;
    // Before any key is asked for: whoever sends rubbish must not cause fetches.
    const { alg } = decodeProtectedHeader(token);
    if (!(issuer.algorithms as readonly unknown[]).includes(alg)) return { kind: 'refused', reason: 'algorithm-not-allowed' };
    let find = await keys.current();
    if (find === undefined) return { kind: 'overloaded' };
    let found = await this.#verify(token, issuer, find);
    if (found === 'unknown-key') {
      find = await keys.newerThan(find);
      if (find !== undefined) found = await this.#verify(token, issuer, find);
    }
    if (typeof found === 'string') return { kind: 'refused', reason: found };
    const identity = identityOf(found, issuer);
    if (typeof identity === 'string') return { kind: 'refused', reason: identity };
    if (issuer.username === 'id' && username !== undefined && !names(username, identity))
      return { kind: 'refused', reason: 'wrong-username' };
    return { kind: 'proved', identity, expiresAtMs: endOf(found, issuer) };
  }

  /** Whose token it says it is. Nothing of it is believed yet. */
  #trustedOf(token: string): Trusted | { readonly reason: string } {
    try {
      const { iss } = decodeJwt(token);
      decodeProtectedHeader(token);
      return (typeof iss === 'string' ? this.#trusted.get(iss) : undefined) ?? { reason: 'unknown-issuer' };
    } catch {
      return { reason: 'malformed-token' };
    }
  }

  /** Its claims, or why it does not hold. */
  async #verify(token: string, { issuer, audience, algorithms, clockSkewMs, maxAgeMs }: JwtIssuer, find: JWTVerifyGetKey) {
    try {
      const { payload } = await jwtVerify(token, find, {
        algorithms: [...algorithms],
        issuer,
        audience: [...audience],
        clockTolerance: clockSkewMs / 1000,
        currentDate: new Date(this.#clock.wallMs()),
        requiredClaims: ['exp'],
        ...(maxAgeMs > 0 && { maxTokenAge: maxAgeMs / 1000 }),
      });
      return payload;
    } catch (error) {
      return reasonOf(error);
    }
  }
}

function verdictOf(checked: Checked): ExchangeVerdict {
  switch (checked.kind) {
    case 'proved':
      return { kind: 'done', identity: checked.identity, data: undefined, expiresAtMs: checked.expiresAtMs };
    case 'overloaded':
      return { kind: 'failed', reason: 'overloaded' };
    default:
      return { kind: 'failed', reason: checked.reason };
  }
}

/** The compact form (RFC 7515 §3.1) of a signed token: three parts of base64url. */
function tokenOf(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined || bytes.length > maxTokenBytes) return undefined;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  // The signature of `none` is empty: it is told as what it is, and refused.
  return /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/.test(text) ? text : undefined;
}

/** It held a moment longer than it says when it was let in: so does the connection. */
function endOf({ exp, iat }: JWTPayload, { clockSkewMs, maxAgeMs }: JwtIssuer): number {
  const endMs = exp! * 1000 + clockSkewMs;
  return maxAgeMs > 0 ? Math.min(endMs, iat! * 1000 + maxAgeMs + clockSkewMs) : endMs;
}

function names(username: string, { tenant, id }: Identity): boolean {
  return username === id || username === `${tenant}/${id}`;
}

function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return error.claim === 'iat' ? 'token-too-old' : 'expired-token';
  if (error instanceof errors.JWTClaimValidationFailed) return claimReasons[error.claim] ?? 'malformed-token';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'bad-signature';
  if (error instanceof errors.JOSEAlgNotAllowed) return 'algorithm-not-allowed';
  if (error instanceof errors.JWKSNoMatchingKey) return 'unknown-key';
  // It names none of several: to try them all would be work for whoever asks for it.
  if (error instanceof errors.JWKSMultipleMatchingKeys) return 'ambiguous-key';
  if (error instanceof errors.JOSEError) return 'malformed-token';
  // RSA below 2048 bits, a key that does not fit its algorithm.
  return 'unusable-key';
}

const claimReasons: Readonly<Record<string, string>> = {
  aud: 'wrong-audience',
  iss: 'unknown-issuer',
  nbf: 'not-yet-valid',
  iat: 'not-yet-valid',
  exp: 'no-expiry',
};

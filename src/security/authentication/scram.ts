// SCRAM-SHA-256 (RFC 5802, RFC 7677): the client proves that it knows a password without telling it, and the server that it was
// told something made of it. Over MQTT 5 in AUTH packets, for AMQP in SASL frames.
//
//   client-first ──► server-first (salt, iterations) ──► client-final (proof) ──► server-final (the server's proof)
//
// Channel binding (`p=`, SCRAM-SHA-256-PLUS) is not offered: Node tells no binding that is safe with TLS 1.3 on the server's side.

import { timingSafeEqual } from 'node:crypto';
import type { MetricSource, Sample } from '../../base/metrics.ts';
import type { Random } from '../../base/random.ts';
import { accountKey } from '../../message/names.ts';
import type { NowOrLater } from '../../registry/registry.ts';
import type { Access, Credentials } from '../security.ts';
import type { Account, Accounts, Secret } from './accounts.ts';
import { claimOf, type Attempts, type Claim } from './attempts.ts';
import type { Authenticator, ExchangeVerdict, Identity, MechanismExchange, Verdict } from './authenticator.ts';
import { stillThere } from './password.ts';
import { preparedText } from './prepared-text.ts';
import { defaultScramIterations, hmac, parseScramCredential, scramSaltBytes, sha256, type ScramCredential } from './scram-credential.ts';
import { readClientFinal, readClientFirst, type ClientFirst } from './scram-messages.ts';

export const scramMechanism = 'SCRAM-SHA-256';

export type ScramServices = {
  readonly accounts: Accounts;
  readonly attempts: Attempts;
  /** A value for a text that only this system can make, and always makes the same: 32 bytes. */
  readonly mark: (text: string) => Uint8Array;
  readonly random: Random;
};

type Answer = (verdict: ExchangeVerdict) => void;

/** 144 bits, as text. */
const nonceBytes = 18;

export class ScramAuthenticator implements Authenticator, MetricSource {
  readonly method = 'scram-sha-256';
  readonly mechanisms = [scramMechanism];
  readonly #services: ScramServices;
  #exchanges = 0;

  constructor(services: ScramServices) {
    this.#services = services;
  }

  /** It proves nothing without an exchange. */
  authenticate(_credentials: Credentials, answer: (verdict: Verdict) => void): void {
    answer({ kind: 'next' });
  }

  startExchange(_mechanism: string, credentials: Credentials): MechanismExchange {
    this.#exchanges++;
    return new ScramExchange(this.#services, credentials);
  }

  reassess(identity: Identity, _access: Access): NowOrLater<Identity | 'barred' | 'unknown'> {
    return stillThere(identity, this.#services.accounts.find(identity.tenant, identity.id, 'scram-sha-256'));
  }

  *metrics(): Iterable<Sample> {
    const help = 'SCRAM exchanges begun.';
    yield { name: 'heliograph_security_scram_exchanges_total', help, type: 'counter', value: this.#exchanges };
  }
}

/** What the server has promised in its first message, and needs to judge the client's last. */
type Asked = {
  readonly kind: 'asked';
  readonly claim: Claim;
  readonly account: Account | undefined;
  readonly credential: ScramCredential;
  readonly secret: Secret | undefined;
  readonly first: ClientFirst;
  readonly nonce: string;
  readonly serverFirst: string;
};

class ScramExchange implements MechanismExchange {
  readonly #services: ScramServices;
  readonly #credentials: Credentials;
  #state: { readonly kind: 'begin'; readonly wasAsked: boolean } | Asked | { readonly kind: 'over' } = { kind: 'begin', wasAsked: false };

  constructor(services: ScramServices, credentials: Credentials) {
    this.#services = services;
    this.#credentials = credentials;
  }

  step(data: Uint8Array | undefined, answer: Answer): void {
    const state = this.#state;
    this.#state = { kind: 'over' };
    switch (state.kind) {
      case 'over':
        return answer({ kind: 'failed', reason: 'out-of-turn' });
      case 'begin':
        if ((data === undefined || data.length === 0) && !state.wasAsked) {
          // The client's first word may be left out, and is asked for then (RFC 4422 §3.3).
          this.#state = { kind: 'begin', wasAsked: true };
          return answer({ kind: 'challenge', data: new Uint8Array(0) });
        }
        return this.#begin(data ?? new Uint8Array(0), answer);
      case 'asked':
        return this.#confirm(this.#finish(data ?? new Uint8Array(0), state), answer);
    }
  }

  /** The account may have changed since the exchange began: what counts is how it is now. */
  #confirm(verdict: ExchangeVerdict, answer: Answer): void {
    if (verdict.kind !== 'done') return answer(verdict);
    const { tenant, id } = verdict.identity;
    const judge = (now: Identity | 'barred' | 'unknown'): ExchangeVerdict => {
      if (now === 'unknown') return { kind: 'failed', reason: 'overloaded' };
      if (now === 'barred') return { kind: 'failed', reason: 'wrong-password', account: accountKey(tenant, id) };
      return { ...verdict, identity: now };
    };
    const still = stillThere(verdict.identity, this.#services.accounts.find(tenant, id, 'scram-sha-256'));
    if (!(still instanceof Promise)) return answer(judge(still));
    still.then(
      (now) => answer(judge(now)),
      () => answer({ kind: 'failed', reason: 'overloaded' }),
    );
  }

  #begin(data: Uint8Array, answer: Answer): void {
    const first = readClientFirst(data);
    if (typeof first === 'string') return answer({ kind: 'failed', reason: first });
    const { username: connectName, remoteAddress } = this.#credentials;
    const name = preparedText(first.username);
    if (name === undefined) return answer({ kind: 'failed', reason: 'malformed' });
    // Nobody acts for somebody else here, and CONNECT may not say another name than the one that is proved.
    if (first.authorizationId !== undefined && preparedText(first.authorizationId) !== name) {
      return answer({ kind: 'failed', reason: 'another-identity' });
    }
    if (connectName !== undefined && preparedText(connectName) !== name) return answer({ kind: 'failed', reason: 'another-identity' });
    const claim = claimOf(name, remoteAddress);
    const { accounts, attempts } = this.#services;
    if (attempts.isBanned(claim)) return answer({ kind: 'failed', reason: 'banned' });
    const found = claim.named && accounts.find(claim.named.tenant, claim.named.name, 'scram-sha-256');
    if (!(found instanceof Promise)) return answer(this.#ask(first, claim, found));
    found.then(
      (account) => answer(this.#ask(first, claim, account)),
      () => answer({ kind: 'failed', reason: 'overloaded' }),
    );
  }

  #ask(first: ClientFirst, claim: Claim, found: Account | undefined | 'unavailable'): ExchangeVerdict {
    if (found === 'unavailable') return { kind: 'failed', reason: 'overloaded' };
    const secret = found?.secrets[0];
    const credential = secret && parseScramCredential(secret.text);
    const account = credential === undefined ? undefined : found;
    const shown = credential ?? this.#fake(claim);
    const nonce = first.nonce + Buffer.from(this.#services.random.bytes(nonceBytes)).toString('base64');
    const serverFirst = `r=${nonce},s=${Buffer.from(shown.salt).toString('base64')},i=${shown.iterations}`;
    this.#state = { kind: 'asked', claim, account, credential: shown, secret, first, nonce, serverFirst };
    return { kind: 'challenge', data: Buffer.from(serverFirst) };
  }

  /** What a stranger is shown: always the same for one name, as if there were such an account (RFC 5802 §9). */
  #fake({ key }: Claim): ScramCredential {
    const { mark, random } = this.#services;
    const salt = mark(`scram salt ${key}`).subarray(0, scramSaltBytes);
    return { iterations: defaultScramIterations, salt, storedKey: random.bytes(32), serverKey: random.bytes(32) };
  }

  #finish(data: Uint8Array, asked: Asked): ExchangeVerdict {
    const { claim, account, credential, first, nonce, serverFirst, secret } = asked;
    const { attempts } = this.#services;
    const final = readClientFinal(data);
    if (typeof final === 'string') return { kind: 'failed', reason: final };
    // Another exchange's nonce, or another header than the first message had: somebody replays, or stands in between.
    if (!isSame(final.nonce, nonce) || !isSame(final.channelBinding, first.gs2Header)) return { kind: 'failed', reason: 'wrong-nonce' };
    // Guesses made at the same time as this one may have used up the allowance.
    if (attempts.isBanned(claim)) return { kind: 'failed', reason: 'banned' };
    const message = `${first.bare},${serverFirst},${final.withoutProof}`;
    const isRight = provesKey(final.proof, credential, message) && account !== undefined;
    if (!isRight) {
      attempts.failed(claim, account !== undefined);
      if (account === undefined) return { kind: 'failed', reason: 'unknown-account' };
      return { kind: 'failed', reason: 'wrong-password', account: claim.key };
    }
    attempts.succeeded(claim);
    return {
      kind: 'done',
      identity: { ...account.identity, secret: secret!.text },
      data: Buffer.from(`v=${hmac(credential.serverKey, message).toString('base64')}`),
      ...(secret!.expiresAtMs !== undefined && { expiresAtMs: secret!.expiresAtMs }),
    };
  }
}

/** RFC 5802 §3: ClientKey = ClientProof XOR ClientSignature, and its hash is the stored key. */
function provesKey(proof: Uint8Array, { storedKey }: ScramCredential, message: string): boolean {
  if (proof.length !== storedKey.length) return false;
  const clientKey = hmac(storedKey, message);
  for (let i = 0; i < clientKey.length; i++) clientKey[i]! ^= proof[i]!;
  return timingSafeEqual(sha256(clientKey), storedKey);
}

function isSame(given: string | Uint8Array, expected: string): boolean {
  const [one, other] = [sha256(Buffer.from(given)), sha256(Buffer.from(expected))];
  return timingSafeEqual(one, other);
}

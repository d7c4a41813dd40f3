// Finds out who asks the management interface: the token of this start (for who can read the data directory), a user name and
// password, an API token, a JWT, or the certificate of the connection. What whoever it is may do is decided elsewhere (caller.ts).

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { PeerCertificate, Principal, Security } from '../security/security.ts';
import { callerOf, localCaller, type Caller, type Identification } from './api/caller.ts';
import type { FailureBrake } from './failure-brake.ts';

const maxHeaderLength = 16 * 1024;

export type Visitor = {
  readonly listener: string;
  readonly secure: boolean;
  readonly remoteAddress: string;
  readonly authorization: string | undefined;
  /** The request's Host: by which name it believes to have come here. */
  readonly host: string | undefined;
  /** Of the connection, and one that the listener trusts. */
  readonly certificate?: PeerCertificate | undefined;
};

export function visitorOf(request: IncomingMessage, listener: string, secure: boolean, certificate?: PeerCertificate): Visitor {
  return {
    listener,
    secure,
    remoteAddress: request.socket.remoteAddress ?? '',
    authorization: request.headers.authorization,
    host: request.headers.host,
    certificate,
  };
}

/** Whose API token this is; undefined: nobody's. */
export type FindTokenOwner = (token: string, visitor: Visitor) => Promise<Principal | undefined | 'unavailable'>;

const refused: Identification = { ok: false, status: 401, detail: 'The credentials are missing or wrong.' };
const overloaded: Identification = { ok: false, status: 503, detail: 'Too many sign in right now.', retrySeconds: 1 };

/** RFC 7519 §3: three parts in base64url, the first of them a JSON object. */
const jwtShape = /^eyJ[\w-]*\.[\w-]+\.[\w-]*$/;

export class Gatekeeper {
  readonly #security: Security;
  readonly #brake: FailureBrake;
  readonly #tokenHash: Uint8Array | undefined;
  readonly #findTokenOwner: FindTokenOwner | undefined;

  constructor(security: Security, brake: FailureBrake, token: string | undefined, findTokenOwner?: FindTokenOwner) {
    this.#security = security;
    this.#brake = brake;
    this.#tokenHash = token === undefined ? undefined : digest(token);
    this.#findTokenOwner = findTokenOwner;
  }

  identify(visitor: Visitor, answer: (found: Identification) => void): void {
    const retrySeconds = this.#brake.waitSeconds(visitor.remoteAddress);
    if (retrySeconds > 0) return answer({ ok: false, status: 429, detail: 'Too many wrong credentials.', retrySeconds });
    const { authorization = '' } = visitor;
    if (authorization === '') {
      // Where everybody may come in, a web page in the operator's browser must not: it cannot come under an address or `localhost`,
      // only under a name of its own that was made to point here.
      const mayAsk = visitor.certificate !== undefined || isOwnName(visitor.host);
      return mayAsk ? this.#ask(visitor, undefined, undefined, answer) : answer(refused);
    }
    const [, scheme = '', value = ''] = /^([a-z]+) +(\S+)$/i.exec(authorization.slice(0, maxHeaderLength + 1)) ?? [];
    const isTooLong = authorization.length > maxHeaderLength;
    if (!isTooLong && scheme.toLowerCase() === 'bearer') return this.#bearer(visitor, value, answer);
    if (!isTooLong && scheme.toLowerCase() === 'basic') {
      const pair = Buffer.from(value, 'base64');
      const colon = pair.indexOf(58);
      if (colon > 0) return this.#ask(visitor, pair.toString('utf8', 0, colon), pair.subarray(colon + 1), answer);
    }
    this.#refuse(visitor, answer);
  }

  #bearer(visitor: Visitor, value: string, answer: (found: Identification) => void): void {
    if (this.#isLocalToken(value)) return answer({ ok: true, caller: localCaller });
    // The chain of authenticators knows a JWT as a password that needs no name.
    if (jwtShape.test(value)) return this.#ask({ ...visitor, certificate: undefined }, undefined, Buffer.from(value), answer);
    if (this.#findTokenOwner === undefined) return this.#refuse(visitor, answer);
    void this.#findTokenOwner(value, visitor).then((owner) => {
      if (owner === undefined) return this.#refuse(visitor, answer);
      if (owner === 'unavailable') return answer(overloaded);
      const caller = this.#callerOf(owner);
      const again = async (): Promise<Caller | undefined> => {
        const now = await this.#findTokenOwner!(value, visitor);
        return now === 'unavailable' ? caller : now && this.#callerOf(now);
      };
      answer({ ok: true, caller: { ...caller, standing: { again } } });
    });
  }

  #refuse({ remoteAddress }: Visitor, answer: (found: Identification) => void): void {
    this.#brake.failed(remoteAddress);
    answer(refused);
  }

  #ask(visitor: Visitor, username: string | undefined, password: Uint8Array | undefined, answer: (found: Identification) => void): void {
    const { listener, secure, remoteAddress } = visitor;
    // Who gives a name means that one, whatever certificate the connection has.
    const certificate = username === undefined ? visitor.certificate : undefined;
    // Rules that tie a client id to its user are meant for messaging: here everyone comes under the own name.
    const clientId = username ?? '';
    this.#security.authenticate({ listener, remoteAddress, secure, clientId, username, password, certificate }, (result) => {
      if (result.ok) return answer({ ok: true, caller: this.#standing(result.principal, result.expiresAtMs) });
      if (result.reason === 'overloaded') return answer(overloaded);
      // Who shows nothing has not guessed either.
      if (username !== undefined || password !== undefined) this.#brake.failed(remoteAddress);
      if (result.reason === 'banned') return answer({ ok: false, status: 429, detail: 'Locked out for a while.', retrySeconds: 30 });
      answer(refused);
    });
  }

  #standing(principal: Principal, untilMs: number | undefined): Caller {
    let now = principal;
    const again = (): Promise<Caller | undefined> =>
      new Promise((resolve) => {
        if (this.#security.reassess === undefined) return resolve(this.#callerOf(now));
        this.#security.reassess(now, (result) => {
          if (result.standing === 'good') now = result.principal;
          resolve(result.standing === 'good' ? this.#callerOf(now) : undefined);
        });
      });
    return { ...this.#callerOf(principal), standing: { untilMs, again } };
  }

  #callerOf(principal: Principal): Caller {
    return callerOf(principal, this.#security);
  }

  /** Compares hashes, so that the time tells nothing of the token, its length included. */
  #isLocalToken(value: string): boolean {
    return this.#tokenHash !== undefined && timingSafeEqual(digest(value), this.#tokenHash);
  }
}

function isOwnName(host: string | undefined): boolean {
  const name = host?.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1') ?? '';
  return name === 'localhost' || isIP(name) !== 0;
}

function digest(text: string): Uint8Array {
  return createHash('sha256').update(text).digest();
}

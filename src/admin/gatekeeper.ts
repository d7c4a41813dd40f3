// Decides whether a request may see the node's inside: the token of this start (for who can read the data directory), or the
// user name and password of a principal that may `manage` `$admin`.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { Security } from '../security/security.ts';
import type { FailureBrake } from './failure-brake.ts';

/** What rules of access call the management interface. */
const managedTopic = '$admin';
const maxHeaderLength = 4096;

export type Admission =
  | { readonly ok: true }
  /** 401: no or wrong credentials; 403: right ones that do not suffice; 429 and 503: later. */
  | { readonly ok: false; readonly status: 401 | 403 | 429 | 503; readonly detail: string; readonly retrySeconds?: number };

export type Visitor = {
  readonly listener: string;
  readonly secure: boolean;
  readonly remoteAddress: string;
  readonly authorization: string | undefined;
  /** The request's Host: by which name it believes to have come here. */
  readonly host: string | undefined;
};

export function visitorOf(request: IncomingMessage, listener: string, secure: boolean): Visitor {
  return {
    listener,
    secure,
    remoteAddress: request.socket.remoteAddress ?? '',
    authorization: request.headers.authorization,
    host: request.headers.host,
  };
}

const refused: Admission = { ok: false, status: 401, detail: 'The credentials are missing or wrong.' };

export class Gatekeeper {
  readonly #security: Security;
  readonly #brake: FailureBrake;
  readonly #tokenHash: Uint8Array | undefined;

  constructor(security: Security, brake: FailureBrake, token: string | undefined) {
    this.#security = security;
    this.#brake = brake;
    this.#tokenHash = token === undefined ? undefined : digest(token);
  }

  admit(visitor: Visitor, answer: (admission: Admission) => void): void {
    const retrySeconds = this.#brake.waitSeconds(visitor.remoteAddress);
    if (retrySeconds > 0) return answer({ ok: false, status: 429, detail: 'Too many wrong credentials.', retrySeconds });
    const { authorization = '' } = visitor;
    const [, scheme = '', value = ''] = /^([a-z]+) +(\S+)$/i.exec(authorization.slice(0, maxHeaderLength)) ?? [];
    const isTooLong = authorization.length > maxHeaderLength;
    if (authorization === '') {
      // Where everybody may come in, a web page in the operator's browser must not: it cannot come under an address or `localhost`,
      // only under a name of its own that was made to point here.
      return isOwnName(visitor.host) ? this.#ask(visitor, undefined, undefined, answer) : answer(refused);
    }
    if (!isTooLong && scheme.toLowerCase() === 'bearer' && this.#isToken(value)) return answer({ ok: true });
    if (!isTooLong && scheme.toLowerCase() === 'basic') {
      const pair = Buffer.from(value, 'base64');
      const colon = pair.indexOf(58);
      if (colon > 0) return this.#ask(visitor, pair.toString('utf8', 0, colon), pair.subarray(colon + 1), answer);
    }
    this.#brake.failed(visitor.remoteAddress);
    answer(refused);
  }

  #ask(visitor: Visitor, username: string | undefined, password: Uint8Array | undefined, answer: (admission: Admission) => void): void {
    const { listener, secure, remoteAddress } = visitor;
    // Rules that tie a client id to its user are meant for messaging: here everyone comes under the own name.
    const clientId = username ?? '';
    this.#security.authenticate({ listener, remoteAddress, secure, clientId, username, password, certificate: undefined }, (result) => {
      if (result.ok) {
        const mayManage = this.#security.allows(result.principal, 'manage', managedTopic);
        return answer(mayManage ? { ok: true } : { ok: false, status: 403, detail: 'This user may not manage the node.' });
      }
      if (result.reason === 'overloaded') return answer({ ok: false, status: 503, detail: 'Too many sign in right now.', retrySeconds: 1 });
      // Who shows nothing has not guessed either.
      if (username !== undefined) this.#brake.failed(remoteAddress);
      if (result.reason === 'banned') return answer({ ok: false, status: 429, detail: 'Locked out for a while.', retrySeconds: 30 });
      answer(refused);
    });
  }

  /** Compares hashes, so that the time tells nothing of the token, its length included. */
  #isToken(value: string): boolean {
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

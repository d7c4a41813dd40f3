// The stateless cookie of HelloVerifyRequest (RFC 6347 §4.2.1): it costs whoever forges addresses more than it costs us.

import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto';
import type { Random } from '../../base/random.ts';
import type { PeerAddress } from './endpoint.ts';

/** Short, so that a ClientHello that carries it still fits one datagram. */
const cookieBytes = 16;
/** A cookie is good for this long to twice as long: its secret is the current one, then the one before. */
const secretMs = 60_000;

export class CookieJar {
  readonly #random: Random;
  #current: KeyObject;
  #previous: KeyObject;
  #rotatesAt = -Infinity;

  constructor(random: Random) {
    this.#random = random;
    this.#current = this.#newSecret();
    this.#previous = this.#current;
  }

  /** Bound to the address and to the client's random, so that it serves nobody else and no other handshake. */
  bake(peer: PeerAddress, clientRandom: Uint8Array, now: number): Uint8Array {
    this.#rotate(now);
    return cookieOf(this.#current, peer, clientRandom);
  }

  isGood(cookie: Uint8Array, peer: PeerAddress, clientRandom: Uint8Array, now: number): boolean {
    if (cookie.length !== cookieBytes) return false;
    this.#rotate(now);
    if (timingSafeEqual(cookie, cookieOf(this.#current, peer, clientRandom))) return true;
    return timingSafeEqual(cookie, cookieOf(this.#previous, peer, clientRandom));
  }

  #rotate(now: number): void {
    if (now < this.#rotatesAt) return;
    // After a long pause the current one is too old to be the previous one.
    this.#previous = now < this.#rotatesAt + secretMs ? this.#current : this.#newSecret();
    this.#current = this.#newSecret();
    this.#rotatesAt = now + secretMs;
  }

  #newSecret(): KeyObject {
    return createSecretKey(this.#random.bytes(32));
  }
}

function cookieOf(secret: KeyObject, { address, port }: PeerAddress, clientRandom: Uint8Array): Buffer {
  return createHmac('sha256', secret).update(clientRandom).update(`${address}|${port}`).digest().subarray(0, cookieBytes);
}

// Whether a peer receives at the address that its datagrams name, and how much may be sent there while nobody knows
// (RFC 9175 §2.4, RFC 7252 §11.3): else a few bytes with a false sender would bring many to a victim.

import type { Clock } from '../../../base/clock.ts';
import type { Random } from '../../../base/random.ts';
import type { DatagramPath } from '../../datagram.ts';
import type { TransportOptions } from '../transport-options.ts';
import { sameBytes } from '../codec/index.ts';

/**
 * Of an Echo value. A 4.01 with six bytes takes twelve and the token, three times the smallest request with that token; to guess it is
 * 1 in 2^48.
 */
const echoBytes = 6;
/** Acknowledgements of ours that fit prove the address, too, as long as nobody guesses: message ids are random here. */
const provingAcknowledgements = 2;
const guessesAllowed = 16;

export class AddressProof {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #options: TransportOptions;
  readonly #path: DatagramPath;
  /** Found out here. A session of DTLS knows by itself, and knows not when its address has moved. */
  #proven: boolean;
  #receivedBytes = 0;
  #sentBytes = 0;
  #echo: Uint8Array | undefined = undefined;
  #echoUntilMs = 0;
  #acknowledgements = 0;
  #guesses = 0;

  constructor(clock: Clock, random: Random, options: TransportOptions, path: DatagramPath) {
    this.#clock = clock;
    this.#random = random;
    this.#options = options;
    this.#path = path;
    this.#proven = isLoopback(path.facts.remoteAddress) || options.maxAmplification === 0;
  }

  get isProven(): boolean {
    return this.#proven || this.#path.isProven;
  }

  received(bytes: number): void {
    if (this.isProven) {
      // From a move of the address on it is counted anew.
      this.#receivedBytes = 0;
      this.#sentBytes = 0;
    } else this.#receivedBytes += bytes;
  }

  /** Whether so many bytes may be sent now. What is sent must be told by `sent`. */
  allows(bytes: number): boolean {
    return this.isProven || this.#sentBytes + bytes <= this.#receivedBytes * this.#options.maxAmplification;
  }

  sent(bytes: number): void {
    if (!this.isProven) this.#sentBytes += bytes;
  }

  /** The value that the peer is to send back. */
  challenge(): Uint8Array {
    const nowMs = this.#clock.monotonicMs();
    // The same value for a while: several requests may be under way.
    if (this.#echo === undefined || nowMs > this.#echoUntilMs - this.#options.echoLifetimeMs / 2) {
      this.#echo = this.#random.bytes(echoBytes);
      this.#echoUntilMs = nowMs + this.#options.echoLifetimeMs;
    }
    return this.#echo;
  }

  /** The peer sent an Echo option back. True: that proves its address now. */
  echoed(value: Uint8Array): boolean {
    if (!this.#mayProve || this.#echo === undefined || this.#clock.monotonicMs() > this.#echoUntilMs) return false;
    if (!sameBytes(value, this.#echo)) return false;
    this.#proven = true;
    return true;
  }

  /** An acknowledgement came for a message of ours, or for none. True: that proves the address now. */
  acknowledged(fits: boolean): boolean {
    if (!this.#mayProve) return false;
    if (!fits) {
      this.#guesses++;
      return false;
    }
    this.#proven = ++this.#acknowledgements >= provingAcknowledgements && this.#guesses <= guessesAllowed;
    return this.#proven;
  }

  /** An answer came to a request of ours: it has a token that nobody can guess. True: that proves the address now. */
  answered(): boolean {
    if (!this.#mayProve) return false;
    this.#proven = true;
    return true;
  }

  get #mayProve(): boolean {
    return !this.#proven && !this.#path.facts.secure;
  }
}

/** Nothing from outside arrives with such an address as its sender. */
function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1' || address.startsWith('::ffff:127.');
}

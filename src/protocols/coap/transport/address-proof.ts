// Whether a peer receives at the address that its datagrams name, and how much may be sent there while nobody knows
// (RFC 9175 §2.4, RFC 7252 §11.3): else a few bytes with a false sender would bring many to a victim.

import type { Clock } from '../../../base/clock.ts';
import type { Random } from '../../../base/random.ts';
import type { DatagramPath } from '../../datagram.ts';
import type { WireFacts } from '../../protocol.ts';
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
  #pingId: number | undefined = undefined;
  /** Of the address that all this is about. */
  #facts: WireFacts;

  constructor(clock: Clock, random: Random, options: TransportOptions, path: DatagramPath) {
    this.#clock = clock;
    this.#random = random;
    this.#options = options;
    this.#path = path;
    this.#facts = path.facts;
    this.#proven = isLoopback(path.facts.remoteAddress) || options.maxAmplification === 0;
  }

  get isProven(): boolean {
    return this.#proven || this.#path.isProven;
  }

  received(bytes: number): void {
    if (this.#path.proven !== undefined && this.#facts !== this.#path.facts) this.#begin();
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

  /** The message id of a ping: the Reset that answers it (RFC 7252 §4.3) helps to prove where a session has moved to. Undefined: none. */
  ping(): number | undefined {
    if (this.isProven || this.#path.proven === undefined) return undefined;
    return (this.#pingId ??= this.#random.below(0x1_0000));
  }

  /** A Reset came. True: it answers a ping, and `isProven` tells whether that was enough. */
  ponged(messageId: number): boolean {
    if (this.isProven || this.#path.proven === undefined) return false;
    if (messageId !== this.#pingId) {
      this.#guesses++;
      return false;
    }
    this.#pingId = undefined;
    this.#proves();
    return true;
  }

  /** The peer sent an Echo option back. True: that proves its address now. */
  echoed(value: Uint8Array): boolean {
    const { secure } = this.#path.facts;
    if (this.isProven || (secure && this.#path.proven === undefined)) return false;
    if (this.#echo === undefined || this.#clock.monotonicMs() > this.#echoUntilMs || !sameBytes(value, this.#echo)) return false;
    this.#prove();
    return true;
  }

  /** An acknowledgement came for a message of ours, or for none. True: that proves the address now. */
  acknowledged(fits: boolean): boolean {
    if (!this.#mayProve) return false;
    if (fits) return this.#proves();
    this.#guesses++;
    return false;
  }

  /** An answer came to a request of ours: it has a token that nobody can guess. True: that proves the address now. */
  answered(): boolean {
    if (!this.#mayProve) return false;
    this.#prove();
    return true;
  }

  /** By what was sent to where a session was before, nothing is proved. */
  get #mayProve(): boolean {
    return !this.isProven && !this.#path.facts.secure;
  }

  /** Something came that is hard to guess, but not hard enough. */
  #proves(): boolean {
    if (++this.#acknowledgements < provingAcknowledgements || this.#guesses > guessesAllowed) return false;
    this.#prove();
    return true;
  }

  #prove(): void {
    // Where a session of DTLS has moved to, it may move from again: that is for the session to know.
    if (this.#path.proven === undefined) this.#proven = true;
    else this.#path.proven();
  }

  /** What a session was sent elsewhere proves nothing here. */
  #begin(): void {
    this.#facts = this.#path.facts;
    this.#receivedBytes = 0;
    this.#sentBytes = 0;
    this.#echo = undefined;
    this.#pingId = undefined;
    this.#acknowledgements = 0;
    this.#guesses = 0;
  }
}

/** Nothing from outside arrives with such an address as its sender. */
function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1' || address.startsWith('::ffff:127.');
}

// Requests to a peer that is a server, too, by their tokens: who waits for which answer (RFC 7252 §5.3).

import type { Clock } from '../../../base/clock.ts';
import type { Random } from '../../../base/random.ts';
import { type CoapMessage, OptionNumber, optionValue, uintValue } from '../codec/index.ts';
import type { Counters } from '../counters.ts';
import type { CoapResponse, OutgoingRequest, RequestFailure } from '../exchange.ts';
import { type TokenKey, tokenKey } from './token-key.ts';

/** Nobody guesses one (RFC 7252 §5.3.1), and it is a number as a key. */
const tokenBytes = 6;
const observeRange = 0x100_0000;
/** RFC 7641 §3.4: after so long a silence any number is a newer one. */
const observeFreshMs = 128_000;

type Answer = (result: CoapResponse | RequestFailure) => void;

export class OutgoingRequestState {
  readonly token: Uint8Array;
  readonly key: TokenKey;
  readonly answer: Answer;
  readonly asksToObserve: boolean;
  /** Of a non-confirmable request over UDP: a Reset names it. */
  messageId = -1;
  deadlineMs = Infinity;
  isObserving = false;
  #observed = -1;
  #observedMs = 0;

  constructor(token: Uint8Array, request: OutgoingRequest, answer: Answer) {
    this.token = token;
    this.key = tokenKey(token);
    this.answer = answer;
    const observe = optionValue(request.options, OptionNumber.observe);
    this.asksToObserve = observe !== undefined && uintValue(observe) === 0;
  }

  /** RFC 7641 §3.4: datagrams overtake each other. Remembers the number if it is a newer one. */
  isNewer(sequence: number, nowMs: number): boolean {
    const before = this.#observed;
    const ahead = (sequence - before + observeRange) % observeRange;
    if (before >= 0 && nowMs <= this.#observedMs + observeFreshMs && (ahead === 0 || ahead >= observeRange / 2)) return false;
    this.#observed = sequence;
    this.#observedMs = nowMs;
    return true;
  }
}

export class OutgoingRequests {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #counters: Counters;
  readonly #max: number;
  readonly #timeoutMs: number;
  readonly #byToken = new Map<TokenKey, OutgoingRequestState>();

  constructor(clock: Clock, random: Random, counters: Counters, limits: { maxOutgoingPerPeer: number; responseTimeoutMs: number }) {
    this.#clock = clock;
    this.#random = random;
    this.#counters = counters;
    this.#max = limits.maxOutgoingPerPeer;
    this.#timeoutMs = limits.responseTimeoutMs;
  }

  get size(): number {
    return this.#byToken.size;
  }

  /** Undefined: too many wait. */
  add(request: OutgoingRequest, answer: Answer): OutgoingRequestState | undefined {
    if (this.#byToken.size >= this.#max) {
      this.#counters.outgoing.full++;
      return undefined;
    }
    let state = new OutgoingRequestState(this.#random.bytes(tokenBytes), request, answer);
    while (this.#byToken.has(state.key)) state = new OutgoingRequestState(this.#random.bytes(tokenBytes), request, answer);
    this.#byToken.set(state.key, state);
    this.#counters.outgoing.sent++;
    return state;
  }

  find(token: Uint8Array): OutgoingRequestState | undefined {
    return this.#byToken.get(tokenKey(token));
  }

  byMessageId(messageId: number): OutgoingRequestState | undefined {
    for (const state of this.#byToken.values()) if (state.messageId === messageId) return state;
    return undefined;
  }

  /** From now on its answer is waited for. Returns until when. */
  await(state: OutgoingRequestState): number {
    if (this.#byToken.has(state.key) && !state.isObserving) state.deadlineMs = this.#clock.monotonicMs() + this.#timeoutMs;
    return state.deadlineMs;
  }

  /** Hands a response on. One of an observation that is older than what came before is not news. */
  answered(state: OutgoingRequestState, message: CoapMessage, isReliable: boolean): void {
    const { code, options, payload } = message;
    const observe = code >>> 5 === 2 && state.asksToObserve ? optionValue(options, OptionNumber.observe) : undefined;
    if (observe === undefined) {
      this.#byToken.delete(state.key);
    } else {
      state.isObserving = true;
      state.deadlineMs = Infinity;
      if (!isReliable && !state.isNewer(uintValue(observe), this.#clock.monotonicMs())) return;
    }
    this.#counters.outgoing.answered++;
    state.answer({ code, options, payload });
  }

  fail(state: OutgoingRequestState, failure: 'timeout' | 'reset' | 'gone'): void {
    if (!this.#byToken.delete(state.key)) return;
    this.#counters.outgoing[failure]++;
    state.answer({ failure });
  }

  /** It could not be sent: too much else waits. */
  refuse(state: OutgoingRequestState): void {
    if (!this.#byToken.delete(state.key)) return;
    this.#counters.outgoing.full++;
    state.answer({ failure: 'full' });
  }

  /** Nobody wants the answer any more. Returns whether there is an observation to end. */
  forget(state: OutgoingRequestState): boolean {
    return this.#byToken.delete(state.key) && state.isObserving;
  }

  nextDueMs(): number {
    let due = Infinity;
    for (const { deadlineMs } of this.#byToken.values()) due = Math.min(due, deadlineMs);
    return due;
  }

  advance(nowMs: number): void {
    for (const state of [...this.#byToken.values()]) if (state.deadlineMs <= nowMs) this.fail(state, 'timeout');
  }

  /** The peer is gone. */
  clear(): void {
    for (const state of [...this.#byToken.values()]) this.fail(state, 'gone');
  }
}

// What the resources answer when there is nothing to tell, and what becomes of the broker's outcomes (docs/mapping.md §4). An error
// carries a diagnostic payload that says what to do (RFC 7252 §5.5.2).

import { Outcome } from '../../../broker/port.ts';
import { Code, noBytes, OptionNumber, textBytes, uintOption, type CoapOption } from '../codec/index.ts';
import type { CoapResponse } from '../exchange.ts';

export const noOptions: readonly CoapOption[] = [];

export function bare(code: number): CoapResponse {
  return { code, options: noOptions, payload: noBytes };
}

/** For the transport: nothing is to be said (RFC 7252 §8.2.1). */
export const noAnswer: CoapResponse = bare(Code.empty);
export const created: CoapResponse = bare(Code.created);
export const changed: CoapResponse = bare(Code.changed);
export const deleted: CoapResponse = bare(Code.deleted);

/** `words`: what to do about it. */
export function problem(code: number, words: string): CoapResponse {
  return { code, options: noOptions, payload: textBytes(words) };
}

/** 4.29 and 5.03 say when to try again (RFC 8516, RFC 7252 §5.9.3.4). */
export function problemForNow(code: number, words: string, retryAfterSec: number): CoapResponse {
  return { code, options: [uintOption(OptionNumber.maxAge, retryAfterSec)], payload: textBytes(words) };
}

export const notAllowed: CoapResponse = problem(Code.methodNotAllowed, 'this resource does not know this method');
export const notFound: CoapResponse = problem(Code.notFound, 'nothing is here: GET /.well-known/core tells what there is');
export const notAcceptable: CoapResponse = problem(Code.notAcceptable, 'it is in another format: ask without Accept');
export const badTopic: CoapResponse = problem(
  Code.badRequest,
  'not a topic: well-formed UTF-8, not empty, not too long or deep, no slash within a segment, no wildcard but to observe',
);

export class Answers {
  readonly #byOutcome: readonly CoapResponse[];
  readonly tooManyObservations: CoapResponse;
  readonly tooManyWaiting: CoapResponse;
  readonly held: CoapResponse;
  readonly overloaded: CoapResponse;
  readonly refused: CoapResponse;
  readonly banned: CoapResponse;

  constructor(retryAfterSec: number) {
    const later = (code: number, words: string): CoapResponse => problemForNow(code, words, retryAfterSec);
    this.#byOutcome = outcomes(later);
    this.tooManyObservations = later(Code.tooManyRequests, 'too many observations: cancel some, or observe a wildcard');
    this.tooManyWaiting = later(Code.serviceUnavailable, 'too many requests of yours wait: send fewer at a time');
    this.held = problemForNow(Code.serviceUnavailable, 'the store is behind: send slower', 1);
    this.overloaded = later(Code.serviceUnavailable, 'too many are proving who they are just now: try again later');
    this.refused = problem(Code.unauthorized, 'who you are is not proven: use DTLS or OSCORE with credentials that are known here');
    this.banned = later(Code.unauthorized, 'locked out for a while after too many wrong credentials');
  }

  /** Of a publish that failed, or of anything else that did. */
  failure(outcome: Outcome): CoapResponse {
    return this.#byOutcome[outcome]!;
  }
}

function outcomes(later: (code: number, words: string) => CoapResponse): CoapResponse[] {
  const unexpected = problem(Code.internalServerError, 'an answer that is not expected here');
  const all: CoapResponse[] = Object.values(Outcome).map(() => unexpected);
  all[Outcome.accepted] = changed;
  all[Outcome.noSubscribers] = changed;
  all[Outcome.notAuthorized] = problem(Code.forbidden, 'no policy allows you this: ask whoever runs the broker');
  all[Outcome.topicInvalid] = badTopic;
  all[Outcome.filterInvalid] = problem(Code.badRequest, 'not a filter: + stands for a whole level, # for all that follow, at the end');
  all[Outcome.payloadFormatInvalid] = problem(Code.badRequest, 'the payload is not what its format says');
  all[Outcome.tooLarge] = problem(Code.requestEntityTooLarge, 'the message is larger than is taken here');
  all[Outcome.quotaExceeded] = later(Code.tooManyRequests, 'a queue is full, or a quota used up: try again later');
  all[Outcome.unavailable] = later(Code.serviceUnavailable, 'the store cannot take it now: try again later');
  all[Outcome.notSupported] = problem(
    Code.badRequest,
    'this is not possible here: without mid, or without a shared subscription, it may be',
  );
  all[Outcome.noSubscription] = notFound;
  all[Outcome.inUse] = problem(Code.conflict, 'another consumer has it to itself');
  all[Outcome.notFound] = notFound;
  return all;
}

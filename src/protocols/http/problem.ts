// What is answered when something is not done: problem details (RFC 9457), with the status that docs/mapping.md §4 names.

import { Outcome } from '../../broker/port.ts';
import type { AnswerHeaders, HttpExchange } from '../http-exchange.ts';

export type Problem = {
  readonly status: number;
  /** The end of its `type`: stable, for programs. */
  readonly code: string;
  readonly title: string;
  readonly detail?: string | undefined;
  readonly headers?: AnswerHeaders;
  /** More members (RFC 9457 §3.2). */
  readonly more?: Readonly<Record<string, unknown>>;
};

export const problemType = 'application/problem+json';

/** Anywhere one may read of it; never fetched by us. */
const typePrefix = 'urn:heliograph:problem:';

export function answerProblem(exchange: HttpExchange, problem: Problem, headers?: AnswerHeaders): void {
  exchange.answer(
    problem.status,
    { ...headers, ...problem.headers, 'Content-Type': problemType, 'Cache-Control': 'no-store' },
    problemText(problem),
  );
}

export function problemText(problem: Problem): string {
  return JSON.stringify(problemBody(problem));
}

export function problemBody({ status, code, title, detail, more }: Problem): Readonly<Record<string, unknown>> {
  return { type: typePrefix + code, title, status, ...(detail !== undefined && { detail }), ...more };
}

export function badRequest(detail: string, code = 'bad-request'): Problem {
  return { status: 400, code, title: 'The request cannot be understood', detail };
}

export function notFound(detail: string, code = 'not-found'): Problem {
  return { status: 404, code, title: 'There is no such thing', detail };
}

/** Of what may be tried again soon. */
const retryAfter = { 'Retry-After': '1' };

const byOutcome: Partial<Record<Outcome, Problem>> = {
  [Outcome.notAuthorized]: { status: 403, code: 'not-authorized', title: 'You may not do this' },
  [Outcome.topicInvalid]: { status: 400, code: 'topic-invalid', title: 'The topic is not valid' },
  [Outcome.filterInvalid]: { status: 400, code: 'filter-invalid', title: 'The filter is not valid' },
  [Outcome.payloadFormatInvalid]: { status: 400, code: 'payload-format-invalid', title: 'The payload is not what it is declared to be' },
  [Outcome.tooLarge]: { status: 413, code: 'too-large', title: 'The message is too large' },
  [Outcome.quotaExceeded]: {
    status: 429,
    code: 'quota-exceeded',
    title: 'A queue is full, or a quota is used up',
    headers: retryAfter,
  },
  [Outcome.unavailable]: { status: 503, code: 'unavailable', title: 'The message cannot be stored now', headers: retryAfter },
  [Outcome.notSupported]: { status: 501, code: 'not-supported', title: 'This is not possible here' },
  [Outcome.selectorInvalid]: { status: 400, code: 'selector-invalid', title: 'The selector cannot be read' },
  [Outcome.inUse]: { status: 409, code: 'in-use', title: 'Another consumer has it to itself' },
  [Outcome.notFound]: { status: 404, code: 'not-found', title: 'There is no such thing' },
  [Outcome.aborted]: { status: 409, code: 'aborted', title: 'It was given up' },
};

const unexpected: Problem = { status: 500, code: 'unexpected', title: 'This should not have happened' };

/** Undefined: the outcome is a good one. */
export function problemOf(outcome: Outcome, detail?: string): Problem | undefined {
  if (outcome === Outcome.accepted || outcome === Outcome.noSubscribers) return undefined;
  const problem = byOutcome[outcome] ?? unexpected;
  return detail === undefined ? problem : { ...problem, detail };
}

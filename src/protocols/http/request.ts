// One request on its way through the API: answered once, and counted when it is.

import { Outcome } from '../../broker/port.ts';
import type { AnswerHeaders, AnswerStream, HttpExchange } from '../http-exchange.ts';
import type { Member } from './member.ts';
import { answerProblem, problemOf, type Problem } from './problem.ts';
import type { HttpServer } from './server.ts';
import type { Visit } from './visit.ts';

/** Of an answer to who is no page of another origin. */
export const noHeaders: AnswerHeaders = {};

export class Request {
  readonly server: HttpServer;
  readonly exchange: HttpExchange;
  readonly visit: Visit;
  /** Set before a resource sees it. */
  #member: Member | undefined;
  /** Added to every answer. */
  readonly #cors: AnswerHeaders;
  #done: (() => void) | undefined;
  #query: URLSearchParams | undefined;
  /** Set by whoever answers late: nobody waits any more. */
  onGone: (() => void) | undefined;

  constructor(server: HttpServer, exchange: HttpExchange, visit: Visit, cors: AnswerHeaders, done: () => void) {
    this.server = server;
    this.exchange = exchange;
    this.visit = visit;
    this.#cors = cors;
    this.#done = done;
    exchange.onClosed = () => this.#gone();
  }

  get member(): Member {
    return this.#member!;
  }

  set member(member: Member) {
    this.#member = member;
    member.open++;
  }

  get query(): URLSearchParams {
    return (this.#query ??= new URLSearchParams(this.exchange.query));
  }

  /** It is answered, or nobody waits for the answer. */
  get isOver(): boolean {
    return this.#done === undefined;
  }

  /** Nothing more is to be done: it is over, or who sent it cannot be spoken for any more, which is answered here. */
  get isLost(): boolean {
    if (this.isOver) return true;
    if (!this.member.isOver) return false;
    this.problem(problemOf(Outcome.unavailable)!);
    return true;
  }

  wantsStream(): boolean {
    return this.streamType() !== undefined;
  }

  streamType(): 'text/event-stream' | 'application/x-ndjson' | undefined {
    const accept = this.exchange.header('accept') ?? '';
    if (accept.includes('text/event-stream')) return 'text/event-stream';
    return accept.includes('application/x-ndjson') ? 'application/x-ndjson' : undefined;
  }

  answer(status: number, headers: AnswerHeaders, body?: Uint8Array | string): void {
    if (!this.#finish(status)) return;
    this.exchange.answer(status, this.#cors === noHeaders ? headers : { ...this.#cors, ...headers }, body);
  }

  problem(problem: Problem): void {
    if (!this.#finish(problem.status)) return;
    answerProblem(this.exchange, problem, this.#cors);
  }

  /** It is answered by a stream; over when the peer goes, or `ended` is called. */
  stream(status: number, headers: AnswerHeaders): AnswerStream {
    this.server.counters.answer(status);
    return this.exchange.stream(status, { ...this.#cors, ...headers });
  }

  /** What `stream` began has ended. */
  ended(): void {
    this.#close();
  }

  #finish(status: number): boolean {
    if (this.#done === undefined) return false;
    this.server.counters.answer(status);
    this.#close();
    return true;
  }

  #close(): void {
    const done = this.#done;
    this.#done = undefined;
    if (this.#member !== undefined && done !== undefined) this.#member.open--;
    done?.();
  }

  #gone(): void {
    const { onGone } = this;
    this.onGone = undefined;
    if (this.#done !== undefined) this.server.counters.abandoned++;
    this.#close();
    onGone?.();
  }
}

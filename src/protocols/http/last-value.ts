// The last value of a topic as a resource: read, with conditions (RFC 9110 §13).

import { Outcome } from '../../broker/port.ts';
import type { Message } from '../../message/message.ts';
import type { HttpExchange } from '../http-exchange.ts';
import { dateOf, inertHeadersOf } from './convert.ts';
import { fingerprint } from './fingerprint.ts';
import { notFound, problemOf, type Problem } from './problem.ts';
import type { Request } from './request.ts';

/** Strong: the same bytes of the same type (RFC 9110 §8.8.3). */
export function entityTag(message: Message): string {
  const type = message.attributes?.contentType ?? '';
  const seed = type === '' ? 0 : fingerprint(new Uint8Array(Buffer.from(type))).charCodeAt(0) + type.length * 256;
  return `"${Buffer.from(fingerprint(message.payload(), seed), 'latin1').toString('base64url')}"`;
}

export function answerLastValue(request: Request, topic: string): void {
  const { exchange, member } = request;
  if (topic.includes('+') || topic.includes('#')) {
    return request.problem(problemOf(Outcome.topicInvalid, 'a value has one topic; Accept: text/event-stream subscribes to a filter')!);
  }
  member.session.lastValue(topic, (outcome, message) => {
    if (request.isOver) return;
    const problem = problemOf(outcome);
    if (problem !== undefined) return request.problem(problem);
    if (message === undefined) return request.problem(notFound('the topic has no last value', 'no-value'));
    const tag = entityTag(message);
    const caching = { ETag: tag, 'Cache-Control': 'no-cache', Vary: 'Accept, Authorization, Origin', ...lastModified(message) };
    const unless = exchange.header('if-none-match');
    if (unless !== undefined && lists(unless, tag)) return request.answer(304, caching);
    request.answer(200, { ...inertHeadersOf(message), ...caching }, message.payload());
  });
}

function lastModified({ acceptedAtMs }: Message): { readonly 'Last-Modified'?: string } {
  return acceptedAtMs > 0 ? { 'Last-Modified': dateOf(acceptedAtMs).toUTCString() } : {};
}

/** Whether what a write depends on is so (RFC 9110 §13.1). */
export function conditionFault(exchange: HttpExchange, present: Message | undefined): Problem | undefined {
  const must = exchange.header('if-match');
  const tag = present === undefined ? undefined : entityTag(present);
  if (must !== undefined && (tag === undefined || !lists(must, tag))) return failed;
  const unless = exchange.header('if-none-match');
  if (unless !== undefined && tag !== undefined && lists(unless, tag)) return failed;
  return undefined;
}

const failed: Problem = { status: 412, code: 'precondition-failed', title: 'The last value is another one' };

function lists(header: string, tag: string): boolean {
  return header.split(',').some((each) => each.trim() === '*' || each.trim().replace(/^W\//, '') === tag);
}

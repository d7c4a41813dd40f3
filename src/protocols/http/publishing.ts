// Requests that publish: to a topic, to a queue, a last value, or nothing in its place; and those that wait for a reply.

import { Outcome } from '../../broker/port.ts';
import { withFields } from '../../message/attributes.ts';
import { Message, type Guarantee } from '../../message/message.ts';
import type { AnswerHeaders } from '../http-exchange.ts';
import { inertHeadersOf, isWellDeclared, readHeaders, type Told } from './convert.ts';
import { conditionFault, entityTag } from './last-value.ts';
import { badRequest, problemOf, type Problem } from './problem.ts';
import type { Request } from './request.ts';
import { spanMs } from './target.ts';

const nothing = new Uint8Array(0);
const noHeaders: AnswerHeaders = {};

export function publishTo(request: Request, topic: string, method: 'POST' | 'PUT' | 'DELETE'): void {
  const { exchange, server, member } = request;
  const told = readHeaders(exchange.rawHeaders, server.clock.wallMs());
  if (typeof told === 'string') return request.problem(badRequest(told));
  const guarantee = guaranteeOf(told);
  if (typeof guarantee !== 'number') return request.problem(guarantee);
  const address = member.address(topic);
  if (address.outcome !== Outcome.accepted) return request.problem(problemOf(address.outcome)!);
  const isValue = method !== 'POST';
  const take = (payload: Uint8Array): void => {
    if (!isWellDeclared(told.attributes, payload)) return request.problem(problemOf(Outcome.payloadFormatInvalid)!);
    const message = messageOf(request, topic, address.topicBytes, payload, guarantee, isValue, told);
    if (isValue) setValue(request, message, told, method === 'DELETE');
    else if (exchange.query.includes('reply=')) askFor(request, message, told);
    else publish(request, message, told, (outcome) => answer(request, outcome));
  };
  if (method === 'DELETE') return take(nothing);
  exchange.readWhole(server.options.maxBodyBytes, (body) => {
    if (body === 'large') return request.problem(problemOf(Outcome.tooLarge, `at most ${server.options.maxBodyBytes} bytes`)!);
    // An empty one would clear it.
    if (isValue && body.length === 0) return request.problem(badRequest('a last value is not empty: DELETE clears it', 'empty-value'));
    if (request.isLost) return;
    take(body);
  });
}

/** The key makes it exactly once; without one nobody could recognise a repetition. */
export function guaranteeOf({ guarantee, idempotencyKey }: Pick<Told, 'guarantee' | 'idempotencyKey'>): Guarantee | Problem {
  if (idempotencyKey === undefined) return guarantee === 2 ? keyMissing : (guarantee ?? 1);
  return guarantee === undefined || guarantee === 2 ? 2 : badRequest('with an Idempotency-Key the Qos is 2');
}

const keyMissing: Problem = {
  status: 400,
  code: 'idempotency-key-missing',
  title: 'Exactly once wants an Idempotency-Key',
};

function messageOf(
  request: Request,
  topic: string,
  topicBytes: Uint8Array,
  payload: Uint8Array,
  guarantee: Guarantee,
  retain: boolean,
  { priority, expiresAtMs, attributes }: Told,
): Message {
  const { member, server } = request;
  const nowMs = server.clock.wallMs();
  return new Message(
    topic,
    topicBytes,
    payload,
    0,
    payload.length,
    guarantee,
    retain,
    priority,
    expiresAtMs,
    nowMs,
    member.principal.id,
    attributes,
  );
}

/** `done` is called once, with a problem of this API's own where the broker was not asked. */
function publish(request: Request, message: Message, told: Told, done: (outcome: Outcome | Problem) => void): void {
  const { member, server } = request;
  if (told.idempotencyKey === undefined) {
    member.publish(member.address(message.topic), message, done);
    return;
  }
  server.idempotency.publish(member, told.idempotencyKey, message, done);
}

function answer(request: Request, outcome: Outcome | Problem, headers: AnswerHeaders = noHeaders, status = 202): void {
  const problem = typeof outcome === 'number' ? problemOf(outcome) : outcome;
  if (problem === undefined) request.answer(status, headers);
  else request.problem(problem);
}

/** PUT and DELETE: 201 for a topic that had no value, as far as the peer may know. */
function setValue(request: Request, message: Message, told: Told, clears: boolean): void {
  const { exchange, member } = request;
  const isConditional = exchange.header('if-match') !== undefined || exchange.header('if-none-match') !== undefined;
  member.session.lastValue(message.topic, (outcome, present) => {
    if (request.isLost) return;
    const isKnown = outcome === Outcome.accepted;
    if (isConditional) {
      const fault = isKnown ? conditionFault(exchange, present) : problemOf(outcome);
      if (fault !== undefined) return request.problem(fault);
    }
    const isNew = isKnown && present === undefined && !clears;
    publish(request, message, told, (result) => {
      const headers: AnswerHeaders = clears ? noHeaders : { ETag: entityTag(message), ...(isNew && { Location: exchange.path }) };
      answer(request, result, headers, isNew ? 201 : clears ? 204 : 202);
    });
  });
}

/** Publishes a request with an address for the reply, and answers with what comes there. */
function askFor(request: Request, message: Message, told: Told): void {
  const { member, server, query } = request;
  const waitMs = spanMs(query.get('reply') ?? '');
  if (waitMs === undefined || waitMs === 0) return request.problem(badRequest('reply is how long to wait, such as 30s'));
  if (told.idempotencyKey !== undefined || told.attributes?.replyTo !== undefined) {
    return request.problem(badRequest('who waits for a reply sends no Idempotency-Key and no Reply-To'));
  }
  const untilMs = server.clock.monotonicMs() + Math.min(waitMs, server.options.maxWaitMs);
  let arrived: Message | undefined;
  let topicOf: string | undefined;
  let isOver = false;
  const timer = server.timers.at(untilMs, () => finish(() => request.problem(noReply)));
  const leaves = request.visit.lasts({ shutDown: () => finish(() => request.problem(problemOf(Outcome.unavailable)!)) });
  const finish = (tell: () => void): void => {
    if (isOver) return;
    isOver = true;
    server.timers.cancel(timer);
    leaves();
    if (topicOf !== undefined) member.forgetReply(topicOf);
    tell();
  };
  request.onGone = () => finish(() => {});
  const onReply = (reply: Message): void => {
    if (arrived !== undefined) return;
    arrived = reply.kept();
    // The broker is in the middle of handing it over.
    server.turn.atEnd(() => finish(() => request.answer(200, inertHeadersOf(arrived!), arrived!.payload())));
  };
  const own = message.kept();
  member.expectReply(onReply, (topic, outcome) => {
    topicOf = topic;
    if (isOver || member.isOver) {
      if (topic !== undefined) member.forgetReply(topic);
      return;
    }
    if (topic === undefined) return finish(() => request.problem(problemOf(outcome)!));
    member.publish(member.address(own.topic), withReplyTo(own, topic), (published) => {
      const problem = problemOf(published);
      if (problem !== undefined) finish(() => request.problem(problem));
      else if (published === Outcome.noSubscribers) finish(() => request.problem(nobodyThere));
    });
  });
}

const noReply: Problem = { status: 504, code: 'no-reply', title: 'Nobody replied in time' };
const nobodyThere: Problem = { status: 504, code: 'nobody-listens', title: 'Nobody listens who could reply' };

function withReplyTo(message: Message, topic: string): Message {
  return new Message(
    message.topic,
    message.topicBytes,
    message.buffer,
    message.start,
    message.end,
    message.guarantee,
    message.retain,
    message.priority,
    message.expiresAtMs,
    message.acceptedAtMs,
    message.sender,
    withFields(message.attributes, { replyTo: { kind: 'topic', name: topic } }),
  );
}

// Many messages in one request: JSON lines, or a CBOR sequence (RFC 8742). Each has an outcome of its own, told in their order when all
// are decided; a broken line is one refused message, and broken CBOR ends the batch where it breaks.

import { Outcome } from '../../broker/port.ts';
import { Message } from '../../message/message.ts';
import { cborSequence, cborSequenceType, readCborSequence } from './cbor.ts';
import { isWellDeclared } from './convert.ts';
import { readItem, type MessageItem } from './message-value.ts';
import { badRequest, problemBody, problemOf, type Problem } from './problem.ts';
import { guaranteeOf } from './publishing.ts';
import type { Request } from './request.ts';

const linesType = 'application/x-ndjson';

const unsupported: Problem = {
  status: 415,
  code: 'unsupported-media-type',
  title: `A batch is ${linesType} or ${cborSequenceType}`,
  headers: { 'Accept-Post': `${linesType}, ${cborSequenceType}` },
};

export function answerBatch(request: Request): void {
  const { exchange, server } = request;
  const type = (exchange.header('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
  const isCbor = type === cborSequenceType;
  if (!isCbor && type !== linesType) return request.problem(unsupported);
  exchange.readWhole(server.options.maxBatchBytes, (body) => {
    if (request.isLost) return;
    if (body === 'large') return request.problem(problemOf(Outcome.tooLarge, `at most ${server.options.maxBatchBytes} bytes`)!);
    const max = server.options.maxBatchMessages;
    const values = isCbor ? readCborSequence(body, max + 1) : readLines(body, max + 1);
    if (values.length > max) return request.problem({ ...problemOf(Outcome.tooLarge)!, detail: `a batch has at most ${max} messages` });
    if (values.length === 0) return request.problem(badRequest('the batch is empty'));
    publishAll(request, values, isCbor);
  });
}

/** What cannot be read stands there as nothing that is a message. */
const broken = Symbol('broken');

const lineFeed = 0x0a;

function readLines(body: Uint8Array, max: number): unknown[] {
  const values: unknown[] = [];
  // Not all cut at once: a body of nothing but line ends would be millions of texts.
  for (let start = 0, end = 0; start < body.length && values.length < max; start = end + 1) {
    end = body.indexOf(lineFeed, start);
    if (end < 0) end = body.length;
    if (end === start) continue;
    const line = Buffer.from(body.buffer, body.byteOffset + start, end - start).toString('utf8');
    if (line.trim() === '') continue;
    try {
      values.push(JSON.parse(line));
    } catch {
      values.push(broken);
    }
  }
  return values;
}

function publishAll(request: Request, values: readonly unknown[], isCbor: boolean): void {
  const results: (Outcome | Problem)[] = [];
  let open = values.length;
  const decided = (at: number, result: Outcome | Problem): void => {
    results[at] = result;
    if (--open === 0) answer(request, results, isCbor);
  };
  for (const [at, value] of values.entries()) publishOne(request, value, (result) => decided(at, result));
}

function publishOne(request: Request, value: unknown, done: (result: Outcome | Problem) => void): void {
  const { member, server } = request;
  if (member.isOver) return done(Outcome.unavailable);
  const item = value === broken ? 'it is not JSON' : readItem(value, server.clock.wallMs());
  if (typeof item === 'string') return done(badRequest(item));
  const guarantee = guaranteeOf(item);
  if (typeof guarantee !== 'number') return done(guarantee);
  if (item.payload.length > server.options.maxBodyBytes) return done(Outcome.tooLarge);
  if (!isWellDeclared(item.attributes, item.payload)) return done(Outcome.payloadFormatInvalid);
  const address = member.address(item.topic);
  if (address.outcome !== Outcome.accepted) return done(address.outcome);
  const message = messageOf(request, item, address.topicBytes, guarantee);
  if (item.idempotencyKey === undefined) member.publish(address, message, done);
  else server.idempotency.publish(member, item.idempotencyKey, message, done);
}

function messageOf({ member, server }: Request, item: MessageItem, topicBytes: Uint8Array, guarantee: 0 | 1 | 2): Message {
  const { topic, payload, retain, priority, expiresAtMs, attributes } = item;
  const nowMs = server.clock.wallMs();
  const sender = member.principal.id;
  return new Message(topic, topicBytes, payload, 0, payload.length, guarantee, retain, priority, expiresAtMs, nowMs, sender, attributes);
}

function answer(request: Request, results: readonly (Outcome | Problem)[], isCbor: boolean): void {
  const values = results.map((result) => {
    const problem = typeof result === 'number' ? problemOf(result) : result;
    return problem === undefined ? { status: 202 } : problemBody(problem);
  });
  if (isCbor) request.answer(200, { 'Content-Type': cborSequenceType }, cborSequence(values));
  else request.answer(200, { 'Content-Type': linesType }, values.map((value) => `${JSON.stringify(value)}\n`).join(''));
}

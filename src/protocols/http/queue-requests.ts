// Requests about a queue besides sending to it: receive, ack, nack, reject, renew.

import type { Settlement, SettlementDetail } from '../../broker/port.ts';
import type { AnswerHeaders } from '../http-exchange.ts';
import { cborSequence, cborSequenceType } from './cbor.ts';
import { inertHeadersOf } from './convert.ts';
import { valueOfMessage, type Delivered } from './message-value.ts';
import { badRequest, notFound, type Problem } from './problem.ts';
import type { Received, Waiter } from './queue-consumers.ts';
import type { Request } from './request.ts';
import { spanMs, type QueueVerb } from './target.ts';

export function answerQueueVerb(request: Request, queue: string, verb: QueueVerb): void {
  request.exchange.readWhole(request.server.options.maxBodyBytes, (body) => {
    if (request.isLost) return;
    if (body === 'large') return request.problem({ status: 413, code: 'too-large', title: 'The body is too large' });
    // Nothing in it is asked for; but unread it would be waited for.
    if (verb === 'receive') return receive(request, queue);
    const asked = askedOf(request, body);
    if ('status' in asked) return request.problem(asked);
    settle(request, queue, verb, asked);
  });
}

// --- receive

function receive(request: Request, queue: string): void {
  const { server, query, member } = request;
  const { options, clock } = server;
  const max = numberOf(query.get('max'), 1, options.maxReceive);
  if (max === undefined) return request.problem(badRequest(`max is 1 to ${options.maxReceive}`));
  const leaseMs = spanOf(query.get('lease'), options.leaseMs, options.maxLeaseMs);
  if (leaseMs === undefined || leaseMs === 0) return request.problem(badRequest('lease is a span such as 30s'));
  const waitMs = spanOf(query.get('wait'), 0, options.maxWaitMs);
  if (waitMs === undefined) return request.problem(badRequest('wait is a span such as 20s'));
  const consumer = server.queues.obtain(member, queue);
  if ('status' in consumer) return request.problem(consumer);
  const form = formOf(request);
  const items: Received[] = [];
  const leaves = request.visit.lasts({ shutDown: () => (giveUp(), answer(request, [], form)) });
  const waiter: Waiter = {
    max: form === 'raw' ? 1 : max,
    leaseMs,
    items,
    done(problem) {
      leaves();
      if (problem !== undefined) request.problem(problem);
      else answer(request, items, form);
    },
  };
  // A queue that has something answers within a turn or two, if its messages need not be read from disk.
  const leftMs = member.expiresAtMs - clock.wallMs();
  const giveUp = consumer.receive(waiter, clock.monotonicMs() + Math.min(leftMs, Math.max(waitMs, shortestWaitMs)));
  request.onGone = () => {
    leaves();
    giveUp();
  };
}

const shortestWaitMs = 50;

type Form = 'json' | 'lines' | 'cbor' | 'raw';

function formOf({ exchange }: Request): Form {
  const accept = exchange.header('accept') ?? '';
  if (accept.includes('application/x-ndjson')) return 'lines';
  if (accept.includes(cborSequenceType)) return 'cbor';
  return accept.includes('application/octet-stream') ? 'raw' : 'json';
}

const noStore: AnswerHeaders = { 'Cache-Control': 'no-store' };

function answer(request: Request, items: readonly Received[], form: Form): void {
  const [first] = items;
  if (first === undefined) return request.answer(204, noStore);
  switch (form) {
    case 'raw':
      return request.answer(200, { ...inertHeadersOf(first.message), ...noStore, ...deliveryHeaders(first) }, first.message.payload());
    case 'cbor': {
      const values = items.map((item) => valueOfMessage(item.message, 'cbor', deliveredOf(item)));
      return request.answer(200, { ...noStore, 'Content-Type': cborSequenceType }, cborSequence(values));
    }
    case 'lines': {
      const lines = items.map((item) => `${JSON.stringify(valueOfMessage(item.message, 'json', deliveredOf(item)))}\n`);
      return request.answer(200, { ...noStore, 'Content-Type': 'application/x-ndjson' }, lines.join(''));
    }
    default: {
      const messages = items.map((item) => valueOfMessage(item.message, 'json', deliveredOf(item)));
      return request.answer(200, { ...noStore, 'Content-Type': 'application/json' }, JSON.stringify({ messages }));
    }
  }
}

function deliveredOf({ delivery, leaseUntilMs, redelivered, deliveryCount }: Received): Delivered {
  return { redelivered, deliveryCount, ...(delivery !== undefined && { delivery, leaseUntilMs }) };
}

/** Longer ones are in JSON and CBOR only: clients take no such headers. */
const maxTopicLength = 8192;

function deliveryHeaders({ delivery, leaseUntilMs, deliveryCount, message }: Received): AnswerHeaders {
  const topic = encodeURI(message.topic);
  return {
    ...(topic.length <= maxTopicLength && { Topic: topic }),
    ...(delivery !== undefined && { 'Delivery-Id': delivery, 'Lease-Until': new Date(leaseUntilMs).toUTCString() }),
    ...(deliveryCount > 0 && { 'Delivery-Count': String(deliveryCount) }),
  };
}

// --- settling

type Asked = {
  readonly deliveries: readonly string[];
  readonly failed: boolean;
  readonly reason: string | undefined;
  readonly leaseMs: number;
};

function askedOf({ query, server, exchange }: Request, body: Uint8Array): Asked | Problem {
  const { leaseMs, maxLeaseMs, maxLeases } = server.options;
  let given: Readonly<Record<string, unknown>> = {};
  if (body.length > 0 && exchange.header('content-type')?.includes('json') === true) {
    const parsed = parsedObject(body);
    if (parsed === undefined) return badRequest('the body is no JSON object');
    given = parsed;
  }
  const {
    deliveries = query.getAll('delivery'),
    failed = query.get('failed') === 'true',
    reason = query.get('reason') ?? undefined,
  } = given;
  const lease = given['lease'] ?? query.get('lease');
  if (lease !== null && !isText(lease)) return badRequest('lease is a span such as 30s');
  if (!Array.isArray(deliveries) || deliveries.length === 0 || deliveries.length > maxLeases || !deliveries.every(isText)) {
    return badRequest(`name 1 to ${maxLeases} deliveries: ?delivery=…, or {"deliveries": […]} as application/json`);
  }
  if (typeof failed !== 'boolean') return badRequest('failed is true or false');
  if (reason !== undefined && (!isText(reason) || reason.length > 1000)) return badRequest('reason is a text of at most 1000 characters');
  const renewMs = spanOf(lease, leaseMs, maxLeaseMs);
  if (renewMs === undefined || renewMs === 0) return badRequest('lease is a span such as 30s');
  return { deliveries, failed, reason, leaseMs: renewMs };
}

function parsedObject(body: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function settle(request: Request, queue: string, verb: Exclude<QueueVerb, 'receive'>, asked: Asked): void {
  const consumer = request.server.queues.find(request.member, queue);
  const missing = asked.deliveries.filter((delivery) => {
    if (consumer === undefined) return true;
    if (verb === 'renew') return !consumer.renewLease(delivery, asked.leaseMs);
    const [settlement, detail] = settlementOf(verb, asked);
    return !consumer.settle(delivery, settlement, detail);
  });
  if (missing.length === 0) return request.answer(204, noStore);
  request.problem({ ...notFound('these are settled, or their leases have ended', 'lease-ended'), more: { deliveries: missing } });
}

function settlementOf(verb: 'ack' | 'nack' | 'reject', { failed, reason }: Asked): [Settlement, SettlementDetail | undefined] {
  if (verb === 'ack') return ['accepted', undefined];
  if (verb === 'nack') return failed ? ['modified', { deliveryFailed: true }] : ['released', undefined];
  return ['rejected', reason === undefined ? undefined : { reason: { condition: 'rejected', description: reason } }];
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function numberOf(text: string | null, otherwise: number, max: number): number | undefined {
  if (text === null) return otherwise;
  return /^[1-9]\d{0,5}$/.test(text) ? Math.min(Number(text), max) : undefined;
}

/** Longer ones are shortened: a wait and a lease are wishes. */
function spanOf(text: string | null, otherwise: number, max: number): number | undefined {
  const span = text === null ? otherwise : spanMs(text);
  return span === undefined ? undefined : Math.min(span, max);
}

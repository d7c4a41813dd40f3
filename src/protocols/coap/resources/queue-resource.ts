// `/q/{name}`: a named queue. POST sends to it; GET takes one message (queue-readers.ts), waiting for it with `?wait=<seconds>`; with
// Observe, messages come as notifications, settled by their acknowledgement. DELETE of `/q/{name}/{delivery}` settles what was fetched
// with a lease: done, or with `?outcome=release` or `reject` given back or refused.

import { Outcome, type Session, type Settlement } from '../../../broker/port.ts';
import { defaultPriority, Message } from '../../../message/message.ts';
import { Code, OptionNumber, optionValue, pathSegments, textBytes, uintValue } from '../codec/index.ts';
import type { CoapRequest, Reply } from '../exchange.ts';
import { changed, deleted, notAllowed, notFound, problem } from './answers.ts';
import { type Asked, queryOf, secondsOf } from './asked.ts';
import type { Client } from './client.ts';
import { attributesOf } from './convert.ts';
import type { House } from './house.ts';
import type { FetchTerms } from './queue-readers.ts';
import { termsOf } from './topic-resource.ts';

const badName = problem(Code.badRequest, 'name one queue: /q/<name>');
const badQuery = problem(Code.badRequest, 'the query cannot be read: wait and lease in seconds; mid, ttl; outcome=release or reject');
const unanswered = problem(Code.badRequest, 'a message that is not to be told would be lost: ask without No-Response');
const notKept = problem(Code.requestEntityIncomplete, 'the answer is not kept: a part of another message would be the rest of none');
const notYours = problem(Code.notFound, 'this message is not yours any more: its lease is over, or it was settled');

const settlements: ReadonlyMap<string, Settlement> = new Map([
  ['accept', 'accepted'],
  ['release', 'released'],
  ['reject', 'rejected'],
]);

export class QueueResource {
  readonly #house: House;

  constructor(house: House) {
    this.#house = house;
  }

  handle(client: Client, session: Session, request: CoapRequest, reply: Reply, asked: Asked): void {
    const house = this.#house;
    const { code, options } = request.message;
    const [, name, delivery, ...more] = pathSegments(options) ?? [];
    if (name === undefined || name === '' || more.length > 0) return house.answer(reply, badName);
    if (delivery !== undefined) {
      return code === Code.delete ? this.#settle(client, name, delivery, request, reply) : house.answer(reply, notAllowed);
    }
    if (code === Code.post) return this.#send(client, session, name, request, reply, asked);
    if (code !== Code.get) return house.answer(reply, notAllowed);
    if (wantsNoSuccess(request)) return house.answer(reply, unanswered);
    if (request.isRest === true) return house.answer(reply, notKept);
    if (asked.observe === 0) return this.#observe(client, session, name, request, reply, asked);
    if (asked.observe === 1) client.observations.cancel(request.message.token);
    const terms = fetchTermsOf(request, house, asked.accept);
    if (terms === undefined) return house.answer(reply, badQuery);
    // Asked to stop observing, it wants no message.
    if (asked.observe === 1) return house.answer(reply, notFound);
    if (client.queues.waiting >= house.options.maxWaitingReceivers) return house.answer(reply, house.answers.tooManyWaiting);
    if (!client.queues.fetch(name, request, reply, terms)) house.answer(reply, house.answers.tooManyWaiting);
  }

  #send(client: Client, session: Session, name: string, request: CoapRequest, reply: Reply, asked: Asked): void {
    const house = this.#house;
    const { options, payload } = request.message;
    const terms = termsOf(options);
    if (terms === undefined) return house.answer(reply, badQuery);
    const topic = `$queue/${name}`;
    const topicBytes = textBytes(topic);
    const address = session.address(topic, topicBytes);
    if (address.outcome !== Outcome.accepted) return house.answer(reply, house.answers.failure(address.outcome));
    const { key, ttlSec } = terms;
    const guarantee = key !== undefined ? 2 : request.confirmable ? 1 : 0;
    if (client.held && guarantee > 0) return house.answer(reply, house.answers.held);
    const nowMs = house.clock.wallMs();
    const attributes = attributesOf(asked.contentFormat);
    const message = new Message(
      topic,
      topicBytes,
      payload,
      0,
      payload.length,
      guarantee,
      false,
      defaultPriority,
      ttlSec === 0 ? 0 : nowMs + ttlSec * 1000,
      nowMs,
      session.principal.id,
      key === undefined ? attributes : { ...attributes, messageId: { type: 'string', value: key } },
    );
    if (key !== undefined) return house.once.publish(client, message, key, reply, changed);
    const { publishes } = client;
    publishes.decide(session.publish(address, message, publishes.token), reply, changed);
  }

  #observe(client: Client, session: Session, name: string, request: CoapRequest, reply: Reply, asked: Asked): void {
    const house = this.#house;
    const { observations } = client;
    const isFull = observations.size >= house.options.maxObservationsPerPeer && !observations.cancel(request.message.token);
    if (isFull) return house.answer(reply, house.answers.tooManyObservations);
    observations.add(session, `$queue/${name}`, request.confirmable ? 1 : 0, request, reply, asked.accept);
  }

  #settle(client: Client, name: string, delivery: string, request: CoapRequest, reply: Reply): void {
    const house = this.#house;
    const settlement = settlements.get(queryOf(request.message.options)?.get('outcome') ?? 'accept');
    if (settlement === undefined) return house.answer(reply, badQuery);
    house.answer(reply, client.queues.settle(name, delivery, settlement) ? deleted : notYours);
  }
}

/** RFC 7967 §2.1. */
function wantsNoSuccess({ message }: CoapRequest): boolean {
  const value = optionValue(message.options, OptionNumber.noResponse);
  return value !== undefined && (uintValue(value) & 2) !== 0;
}

function fetchTermsOf({ message }: CoapRequest, { options }: House, accept: number): FetchTerms | undefined {
  const query = queryOf(message.options);
  const waitSec = secondsOf(query?.get('wait') ?? '0', options.maxQueueWaitSec);
  const leaseSec = secondsOf(query?.get('lease') ?? '0', options.maxLeaseSec);
  return query === undefined || waitSec === undefined || leaseSec === undefined ? undefined : { waitSec, leaseSec, accept };
}

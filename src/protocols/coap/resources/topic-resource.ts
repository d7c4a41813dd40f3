// `/t/{topic…}`: a topic is a resource, its last value the resource's state (docs/mapping.md §2 to §5).
//
//   POST publishes; PUT publishes and sets the last value; GET reads it; GET with Observe subscribes; DELETE clears it.
//
// NON is at most once, CON at least once, and exactly once with `?mid=<key>`. A path with wildcards can only be observed.

import { Outcome, type Session } from '../../../broker/port.ts';
import type { Attributes } from '../../../message/attributes.ts';
import { defaultPriority, type Guarantee, Message } from '../../../message/message.ts';
import { Code, noBytes, OptionNumber, sameBytes, textBytes, textValue, type CoapOption, joinPath } from '../codec/index.ts';
import type { CoapRequest, CoapResponse, Reply } from '../exchange.ts';
import { badTopic, bare, changed, created, deleted, notAcceptable, notAllowed, problem } from './answers.ts';
import { type Asked, queryOf, secondsOf } from './asked.ts';
import type { Client } from './client.ts';
import { attributesOf, formatOf, isAcceptable } from './convert.ts';
import type { House } from './house.ts';
import { isWildcard } from './observations.ts';
import { contentOf, etagOf } from './representation.ts';
import type { KnownTopic } from './topic-addresses.ts';

const badQuery = problem(Code.badRequest, 'the query cannot be read: mid (1 to 32 bytes), ttl (seconds), qos (0 or 1)');
const emptyValue = problem(Code.badRequest, 'an empty value cannot be kept: DELETE clears a value');
const noValue = problem(Code.notFound, 'this topic has no last value: observe it to get what comes');
const noSingleValue = problem(Code.badRequest, 'a filter with wildcards has no value: observe it');
const changedMeanwhile = problem(Code.preconditionFailed, 'the value is not the one that was expected: GET it again');
const tooBusy = problem(Code.preconditionFailed, 'the value changes too often to be compared');

const maxKeyBytes = 32;
const maxTtlSec = 366 * 86_400;
/** How often a value that changes while it is looked at is looked at again. */
const maxLooks = 20;

/** What a publish may say in its query. */
type Terms = { readonly key: string | undefined; readonly ttlSec: number };

const noTerms: Terms = { key: undefined, ttlSec: 0 };

export class TopicResource {
  readonly #house: House;

  constructor(house: House) {
    this.#house = house;
  }

  handle(client: Client, session: Session, request: CoapRequest, reply: Reply, asked: Asked): void {
    switch (request.message.code) {
      case Code.post:
        return this.#publish(client, session, request, reply, asked, false);
      case Code.put:
        return this.#publish(client, session, request, reply, asked, true);
      case Code.get:
        return this.#get(client, session, request, reply, asked);
      case Code.delete:
        return this.#delete(client, session, request, reply, asked);
      default:
        return this.#house.answer(reply, notAllowed);
    }
  }

  // --- Publishing

  #publish(client: Client, session: Session, request: CoapRequest, reply: Reply, asked: Asked, retain: boolean): void {
    const house = this.#house;
    const { options, payload } = request.message;
    const known = client.topics.find(session, options, asked.path, 1);
    if (known === undefined) return house.answer(reply, badTopic);
    if (retain) return this.put(client, session, known, request, reply, asked);
    const { address } = known;
    if (address.outcome !== Outcome.accepted) return house.answer(reply, house.answers.failure(address.outcome));
    const terms = asked.query < 0 ? noTerms : termsOf(options);
    if (terms === undefined) return house.answer(reply, badQuery);
    const attributes = attributesOf(asked.contentFormat);
    const publish = (): void => this.#send(client, request, reply, known, terms, attributes, payload, false, changed);
    if (!asked.hasIfMatch && !asked.ifNoneMatch) return publish();
    const expects = conditionOf(options, asked);
    this.#look(session, address.topic, reply, (message) => (expects(message) ? publish() : house.answer(reply, changedMeanwhile)));
  }

  put(client: Client, session: Session, known: KnownTopic, request: CoapRequest, reply: Reply, asked: Asked): void {
    const house = this.#house;
    const { options, payload } = request.message;
    const { address } = known;
    if (address.outcome !== Outcome.accepted) return house.answer(reply, house.answers.failure(address.outcome));
    if (payload.length === 0) return house.answer(reply, emptyValue);
    if (!known.mayRetain(session, house.security)) return house.answer(reply, house.answers.failure(Outcome.notAuthorized));
    const terms = asked.query < 0 ? noTerms : termsOf(options);
    if (terms === undefined) return house.answer(reply, badQuery);
    const attributes = attributesOf(asked.contentFormat);
    const expects = conditionOf(options, asked);
    this.#look(session, address.topic, reply, (message) => {
      const isNew = message === undefined;
      if (!expects(message)) return house.answer(reply, changedMeanwhile);
      this.#send(client, request, reply, known, terms, attributes, payload, true, isNew ? created : changed);
    });
  }

  #delete(client: Client, session: Session, request: CoapRequest, reply: Reply, asked: Asked): void {
    const known = client.topics.find(session, request.message.options, asked.path, 1);
    if (known === undefined) this.#house.answer(reply, badTopic);
    else this.clear(client, session, known, request, reply, asked);
  }

  clear(client: Client, session: Session, known: KnownTopic, request: CoapRequest, reply: Reply, asked: Asked): void {
    const house = this.#house;
    const { options } = request.message;
    const { address } = known;
    if (address.outcome !== Outcome.accepted) return house.answer(reply, house.answers.failure(address.outcome));
    if (!known.mayRetain(session, house.security)) return house.answer(reply, house.answers.failure(Outcome.notAuthorized));
    const terms = asked.query < 0 ? noTerms : termsOf(options);
    if (terms === undefined) return house.answer(reply, badQuery);
    const clear = (): void => this.#send(client, request, reply, known, terms, undefined, noBytes, true, deleted);
    if (!asked.hasIfMatch && !asked.ifNoneMatch) return clear();
    const expects = conditionOf(options, asked);
    this.#look(session, address.topic, reply, (message) => (expects(message) ? clear() : house.answer(reply, changedMeanwhile)));
  }

  #send(
    client: Client,
    request: CoapRequest,
    reply: Reply,
    known: KnownTopic,
    { key, ttlSec }: Terms,
    attributes: Attributes | undefined,
    payload: Uint8Array,
    retain: boolean,
    success: CoapResponse,
  ): void {
    const house = this.#house;
    const session = client.session;
    // It may have ended while the last value was looked at.
    if (session === undefined) return house.answer(reply, house.answers.failure(Outcome.unavailable));
    const guarantee: Guarantee = key !== undefined ? 2 : request.confirmable ? 1 : 0;
    if (client.held && guarantee > 0) return house.answer(reply, house.answers.held);
    const { address } = known;
    const nowMs = house.clock.wallMs();
    const message = new Message(
      address.topic,
      address.topicBytes,
      payload,
      0,
      payload.length,
      guarantee,
      retain,
      defaultPriority,
      ttlSec === 0 ? 0 : nowMs + ttlSec * 1000,
      nowMs,
      session.principal.id,
      key === undefined ? attributes : { ...attributes, messageId: { type: 'string', value: key } },
    );
    if (key !== undefined) return house.once.publish(client, message, key, reply, success);
    const { publishes } = client;
    publishes.decide(session.publish(address, message, publishes.token), reply, success);
  }

  /** Sets a last value that nobody waits for. */
  keepValue(client: Client, session: Session, topic: string, payload: Uint8Array, format: number): void {
    const { clock } = this.#house;
    const topicBytes = textBytes(topic);
    const { id } = session.principal;
    const attributes = attributesOf(format);
    const message = new Message(topic, topicBytes, payload, 0, payload.length, 1, true, defaultPriority, 0, clock.wallMs(), id, attributes);
    session.publish(session.address(topic, topicBytes), message, client.publishes.skip());
  }

  /**
   * Hands the last value to `task`, outside of any call of the broker, so that what the task does next is done before anybody changes
   * it. Who may not read it cannot make conditions, and is not told whether it is new.
   */
  #look(session: Session, topic: string, reply: Reply, task: (message: Message | undefined | 'unknown') => void, looks = 0): void {
    const house = this.#house;
    let isNow = true;
    session.lastValue(topic, (outcome, message) => {
      if (!isNow && looks >= maxLooks) house.answer(reply, tooBusy);
      else if (!isNow) house.later(() => this.#look(session, topic, reply, task, looks + 1));
      else if (outcome === Outcome.unavailable) house.answer(reply, house.answers.failure(outcome));
      else task(outcome === Outcome.accepted ? message : 'unknown');
    });
    isNow = false;
  }

  // --- Reading

  #get(client: Client, session: Session, request: CoapRequest, reply: Reply, asked: Asked): void {
    const house = this.#house;
    const { options, token } = request.message;
    const filter = filterOf(options, house.scratch);
    if (filter === undefined) return house.answer(reply, badTopic);
    // With a condition it is about the value there is now: Observe is elective, If-Match and If-None-Match are not.
    const isConditional = asked.hasIfMatch || asked.ifNoneMatch;
    if (asked.observe === 0 && !isConditional) return this.#observe(client, session, filter, request, reply, asked);
    const wasObserved = asked.observe === 1 && client.observations.cancel(token);
    if (!isWildcard(filter)) return this.read(session, filter, request, reply, asked);
    house.answer(reply, wasObserved || asked.observe === 1 ? bare(Code.content) : noSingleValue);
  }

  #observe(client: Client, session: Session, filter: string, request: CoapRequest, reply: Reply, asked: Asked): void {
    const house = this.#house;
    const { options } = request.message;
    const guarantee = asked.query < 0 ? (request.confirmable ? 1 : 0) : guaranteeOf(options, request.confirmable);
    if (guarantee === undefined) return house.answer(reply, badQuery);
    const { observations } = client;
    // The same token again takes no more room.
    const isFull = observations.size >= house.options.maxObservationsPerPeer && !observations.cancel(request.message.token);
    if (!isFull) return void observations.add(session, filter, guarantee, request, reply, asked.accept);
    // RFC 7641 §4.1: who cannot be observed answers like an ordinary GET.
    if (isWildcard(filter)) house.answer(reply, house.answers.tooManyObservations);
    else this.read(session, filter, request, reply, asked);
  }

  read(session: Session, topic: string, request: CoapRequest, reply: Reply, asked: Asked): void {
    const house = this.#house;
    const { accept, hasEtag } = asked;
    const expects = asked.hasIfMatch || asked.ifNoneMatch ? conditionOf(request.message.options, asked) : undefined;
    session.lastValue(topic, (outcome, message) => {
      if (outcome !== Outcome.accepted) return house.answer(reply, house.answers.failure(outcome));
      if (expects?.(message) === false) return house.answer(reply, changedMeanwhile);
      if (message === undefined) return house.answer(reply, noValue);
      const etags = hasEtag ? valuesOf(request.message.options, OptionNumber.etag) : [];
      const etag = hasEtag ? etagOf(message) : noBytes;
      const content = contentOf(message, house.clock.wallMs(), house.options.maxAgeSec);
      // RFC 7252 §5.10.6.2: 2.03 has the tag and the age, and neither format nor payload.
      if (etags.some((one) => sameBytes(one, etag))) {
        return house.answer(reply, {
          code: Code.valid,
          options: content.options.filter(({ number }) => number !== OptionNumber.contentFormat),
          payload: noBytes,
        });
      }
      house.answer(reply, isAcceptable(accept, formatOf(message.attributes)) ? content : notAcceptable);
    });
  }
}

/** The topic or filter behind the first segment; undefined: it is none. `scratch`: at least as long. */
export function filterOf(options: readonly CoapOption[], scratch: Uint8Array): string | undefined {
  const length = joinPath(options, 1, scratch);
  return length <= 0 ? undefined : textValue(scratch.subarray(0, length));
}

/** RFC 7252 §5.10.8: whether the present value is one that the request asks for. */
function conditionOf(options: readonly CoapOption[], asked: Asked): (message: Message | undefined | 'unknown') => boolean {
  const tags = asked.hasIfMatch ? valuesOf(options, OptionNumber.ifMatch) : undefined;
  const { ifNoneMatch } = asked;
  return (message) => {
    if (message === 'unknown') return tags === undefined && !ifNoneMatch;
    if (ifNoneMatch && message !== undefined) return false;
    if (tags === undefined) return true;
    // An empty one: there is a value, whichever.
    return message !== undefined && tags.some((tag) => tag.length === 0 || sameBytes(tag, etagOf(message)));
  };
}

function valuesOf(options: readonly CoapOption[], number: number): Uint8Array[] {
  return options.filter((option) => option.number === number).map(({ value }) => value);
}

/** Undefined: it cannot be read. */
export function termsOf(options: readonly CoapOption[]): Terms | undefined {
  const query = queryOf(options);
  if (query === undefined) return undefined;
  const key = query.get('mid');
  if (key !== undefined && (key === '' || Buffer.byteLength(key) > maxKeyBytes)) return undefined;
  const ttl = query.get('ttl');
  const ttlSec = ttl === undefined ? 0 : secondsOf(ttl, maxTtlSec);
  return ttlSec === undefined || (ttl !== undefined && ttlSec === 0) ? undefined : { key, ttlSec };
}

/** Whether notifications are confirmed: as the query says (`qos`), else as the request is. */
function guaranteeOf(options: readonly CoapOption[], confirmable: boolean): 0 | 1 | undefined {
  const qos = queryOf(options)?.get('qos');
  if (qos === undefined) return confirmable ? 1 : 0;
  return qos === '0' ? 0 : qos === '1' ? 1 : undefined;
}

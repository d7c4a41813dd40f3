// The pub/sub draft (draft-ietf-core-coap-pubsub-21) as a second face of the same topics: `/ps` is a collection, `/ps/{id}` the
// configuration of a topic, `/ps/data/{id}` its data: the last value of the broker's topic with that name. Half created is a topic
// without a last value. Who may configure a topic may publish to it and keep a value there; who may see it may publish or subscribe.

import { Outcome, type Session } from '../../../broker/port.ts';
import { Code, FormatNumber, OptionNumber, pathSegments, textBytes, uintOption } from '../codec/index.ts';
import type { CoapRequest, CoapResponse, Reply } from '../exchange.ts';
import { badTopic, deleted, notAcceptable, notAllowed, notFound, problem } from './answers.ts';
import { type Asked, queryOf } from './asked.ts';
import type { Client } from './client.ts';
import { answerLinks } from './discovery.ts';
import type { House } from './house.ts';
import { type Link, matchesQuery } from './links.ts';
import { formatOf, isAcceptable } from './convert.ts';
import { isWildcard } from './observations.ts';
import {
  changesIdentity,
  configurationOf,
  dataTarget,
  dataType,
  hasProperties,
  namesData,
  type PubsubConfiguration,
  pubsubFormat,
  type PubsubTopic,
  readCbor,
  writeTopic,
} from './pubsub-topic.ts';
import { locationOf } from './representation.ts';
import type { Tenant } from './tenants.ts';
import { KnownTopic } from './topic-addresses.ts';
import type { TopicResource } from './topic-resource.ts';

/** So that one device cannot have all of its tenant's. */
const maxTopicsPerOwner = 100;

const badMap = problem(
  Code.badRequest,
  'not a map of topic properties: topic-name (0) and resource-type (2) are texts, the others as the draft says',
);
const badKeys = problem(Code.badRequest, 'FETCH of a topic takes an array of property keys');
const tooLong = problem(Code.requestEntityTooLarge, 'the configuration is larger than is taken here');
const notCbor = problem(Code.unsupportedContentFormat, 'topic properties are application/core-pubsub+cbor (606) or application/cbor (60)');
const nameTaken = problem(Code.conflict, 'there is a topic with this name: GET /ps tells which');
const fixed = problem(Code.badRequest, 'topic-name, topic-data and resource-type cannot be changed; where the data is, is told here');
const otherType = problem(Code.badRequest, `resource-type is ${dataType}`);
const wrongFormat = problem(Code.unsupportedContentFormat, 'the data of this topic has another Content-Format');
const noData = problem(Code.notFound, 'nothing has been published to this topic yet, or its data was deleted');

export class PubsubResource {
  readonly #house: House;
  readonly #topics: TopicResource;

  constructor(house: House, topics: TopicResource) {
    this.#house = house;
    this.#topics = topics;
  }

  static readonly links: readonly Link[] = [
    {
      target: '/ps',
      attributes: [
        { name: 'rt', value: 'core.ps core.ps.coll' },
        { name: 'ct', value: '40' },
      ],
    },
  ];

  handle(client: Client, session: Session, tenant: Tenant, request: CoapRequest, reply: Reply, asked: Asked): void {
    const house = this.#house;
    const [, second, third, ...more] = pathSegments(request.message.options) ?? [];
    if (more.length > 0 || (third !== undefined && second !== 'data')) return house.answer(reply, notFound);
    if (second === undefined) return this.#collection(client, session, tenant, request, reply, asked);
    const topic = tenant.pubsub.get(second === 'data' ? (third ?? '') : second);
    if (topic === undefined || !this.#maySee(client, topic)) return house.answer(reply, notFound);
    if (second === 'data') this.#data(client, session, topic, request, reply, asked);
    else this.#topic(client, session, tenant, topic, request, reply, asked);
  }

  // --- The collection

  #collection(client: Client, session: Session, tenant: Tenant, request: CoapRequest, reply: Reply, asked: Asked): void {
    const house = this.#house;
    const { code, options, payload } = request.message;
    const seen = (): PubsubTopic[] => [...tenant.pubsub.all()].filter((topic) => this.#maySee(client, topic));
    if (code === Code.get) {
      const query = queryOf(options) ?? new Map<string, string>();
      const links = seen().flatMap((topic) => bothLinks(topic).filter((link) => matchesQuery(link, query)));
      // What is asked for by its type is of that type; without a query, it is topics that are listed.
      const wanted = query.size === 0 ? links.filter(({ target }) => !target.startsWith('/ps/data/')) : links;
      return answerLinks(
        house,
        reply,
        wanted.map(({ target }) => ({ target, attributes: [] })),
        options,
      );
    }
    if (code !== Code.post && code !== Code.fetch) return house.answer(reply, notAllowed);
    if (code === Code.post && !isShown(asked)) return house.answer(reply, notAcceptable);
    const map = mapOf(asked, payload, house.options.maxRegistrationBytes);
    if ('code' in map) return house.answer(reply, map);
    if (code === Code.post) return this.#create(client, session, tenant, map, reply);
    const found = seen().filter((topic) => hasProperties(topic, map));
    answerLinks(
      house,
      reply,
      found.map(({ id }) => ({ target: `/ps/${id}`, attributes: [] })),
      options,
    );
  }

  #create(client: Client, session: Session, tenant: Tenant, map: ReadonlyMap<number, unknown>, reply: Reply): void {
    const house = this.#house;
    const { pubsub } = tenant;
    const configuration = configurationOf(map);
    if (configuration === undefined) return house.answer(reply, badMap);
    if (namesData(map)) return house.answer(reply, fixed);
    if (configuration.resourceType !== dataType) return house.answer(reply, otherType);
    const { name } = configuration;
    // A name with wildcards, or of a queue, has no last value.
    if (isWildcard(name) || name.startsWith('$')) return house.answer(reply, badTopic);
    const refused = this.#mayConfigure(session, name);
    if (refused !== undefined) return house.answer(reply, refused);
    if (pubsub.named(name) !== undefined) return house.answer(reply, nameTaken);
    if (pubsub.size >= house.options.maxPubsubTopics || pubsub.ownedBy(client.principal!.id) >= maxTopicsPerOwner)
      return house.answer(reply, house.answers.failure(Outcome.quotaExceeded));
    const topic: PubsubTopic = { id: house.randomName(), owner: client.principal!.id, configuration, observers: new Set() };
    pubsub.put(topic, (outcome) => {
      if (outcome > Outcome.noSubscribers) {
        pubsub.undo(topic);
        return house.answer(reply, house.answers.failure(outcome));
      }
      this.#initialize(client, configuration);
      house.answer(reply, { ...shown(Code.created, topic), options: [...locationOf(['ps', topic.id]), cborOption] });
    });
  }

  #initialize(client: Client, { name, initialize, format }: PubsubConfiguration): void {
    if (initialize === undefined || client.session === undefined) return;
    this.#topics.keepValue(client, client.session, name, initialize, format ?? -1);
  }

  // --- One topic

  #topic(client: Client, session: Session, tenant: Tenant, topic: PubsubTopic, request: CoapRequest, reply: Reply, asked: Asked): void {
    const house = this.#house;
    const { code, payload } = request.message;
    if (code !== Code.delete && !isShown(asked)) return house.answer(reply, notAcceptable);
    if (code === Code.get) return house.answer(reply, shown(Code.content, topic));
    if (code === Code.fetch) {
      const keys = payload.length > house.options.maxRegistrationBytes ? undefined : readCbor(payload);
      if (!Array.isArray(keys)) return house.answer(reply, badKeys);
      return house.answer(reply, { ...shown(Code.content, topic), payload: writeTopic(topic, keys as number[]) });
    }
    const refused = this.#mayConfigure(session, topic.configuration.name);
    if (refused !== undefined) return house.answer(reply, refused);
    if (code === Code.delete) {
      return tenant.pubsub.remove(topic, (outcome) =>
        house.answer(reply, outcome <= Outcome.noSubscribers ? deleted : house.answers.failure(outcome)),
      );
    }
    const isPartial = code === Code.patch || code === Code.ipatch;
    if (!isPartial && code !== Code.post && code !== Code.put) return house.answer(reply, notAllowed);
    const map = mapOf(asked, payload, house.options.maxRegistrationBytes);
    if ('code' in map) return house.answer(reply, map);
    if (changesIdentity(topic, map)) return house.answer(reply, fixed);
    const { name, resourceType } = topic.configuration;
    const kept: PubsubConfiguration = { ...unset, name, resourceType };
    const configuration = configurationOf(map, isPartial ? topic.configuration : kept);
    if (configuration === undefined) return house.answer(reply, badMap);
    topic.configuration = configuration;
    this.#trim(topic);
    tenant.pubsub.put(topic, (outcome) =>
      house.answer(reply, outcome <= Outcome.noSubscribers ? shown(Code.changed, topic) : house.answers.failure(outcome)),
    );
  }

  /** Fewer may subscribe than do: those that came last go. */
  #trim({ observers, configuration: { maxSubscribers = Infinity } }: PubsubTopic): void {
    for (const observation of [...observers].slice(maxSubscribers)) observation.client.observations.remove(observation, noData);
  }

  // --- Its data

  #data(client: Client, session: Session, topic: PubsubTopic, request: CoapRequest, reply: Reply, asked: Asked): void {
    const house = this.#house;
    const { name, format } = topic.configuration;
    switch (request.message.code) {
      case Code.put: {
        if (format !== undefined && asked.contentFormat !== format) return house.answer(reply, wrongFormat);
        const known = new KnownTopic(session.address(name, textBytes(name)), session.addressVersion);
        return this.#topics.put(client, session, known, request, reply, asked);
      }
      case Code.delete: {
        const known = new KnownTopic(session.address(name, textBytes(name)), session.addressVersion);
        return this.#topics.clear(client, session, known, request, reply, asked);
      }
      case Code.get:
        if (asked.observe === 0) return this.#observe(client, session, topic, request, reply, asked);
        if (asked.observe === 1) client.observations.cancel(request.message.token);
        return this.#topics.read(session, name, request, reply, asked);
      default:
        return house.answer(reply, notAllowed);
    }
  }

  #observe(client: Client, session: Session, topic: PubsubTopic, request: CoapRequest, reply: Reply, asked: Asked): void {
    const house = this.#house;
    const { observers, configuration } = topic;
    const { name, maxSubscribers = Infinity, observerCheck } = configuration;
    const { accept } = asked;
    client.observations.cancel(request.message.token);
    const isFull = observers.size >= maxSubscribers || client.observations.size >= house.options.maxObservationsPerPeer;
    // RFC 7641 §4.1: the value, without Observe.
    if (isFull) return this.#topics.read(session, name, request, reply, asked);
    let isGone = false;
    reply.onGone = () => (isGone = true);
    session.lastValue(name, (outcome, message) => {
      if (outcome !== Outcome.accepted) return house.answer(reply, house.answers.failure(outcome));
      if (message === undefined) return house.answer(reply, noData);
      if (!isAcceptable(accept, formatOf(message.attributes))) return house.answer(reply, notAcceptable);
      house.later(() => {
        if (isGone) return;
        if (client.session !== session) return house.answer(reply, house.answers.failure(Outcome.unavailable));
        const guarantee = request.confirmable ? 1 : 0;
        const observation = client.observations.add(session, name, guarantee, request, reply, accept, {
          ended: () => observers.delete(observation),
          cleared: noData,
          confirmEverySec: observerCheck,
        });
        observers.add(observation);
      });
    });
  }

  // --- Who may

  /** Topics and their data, as far as the client may see them. */
  linksFor(client: Client, { pubsub }: Tenant): Link[] {
    return [...pubsub.all()].filter((topic) => this.#maySee(client, topic)).flatMap((topic) => bothLinks(topic));
  }

  #maySee({ principal }: Client, { configuration: { name }, owner }: PubsubTopic): boolean {
    const { security } = this.#house;
    return owner === principal!.id || security.allows(principal!, 'subscribe', name) || security.allows(principal!, 'publish', name);
  }

  #mayConfigure(session: Session, name: string): CoapResponse | undefined {
    const { answers, security } = this.#house;
    const { outcome } = session.address(name, textBytes(name));
    if (outcome !== Outcome.accepted) return answers.failure(outcome);
    return security.allows(session.principal, 'retain', name) ? undefined : answers.failure(Outcome.notAuthorized);
  }
}

const cborOption = uintOption(OptionNumber.contentFormat, pubsubFormat);

const unset = {
  format: undefined,
  topicType: undefined,
  expirationDate: undefined,
  maxSubscribers: undefined,
  observerCheck: undefined,
  initialize: undefined,
} as const;

/** RFC 7252 §5.10.4: topics are shown in one format. */
function isShown({ accept }: Asked): boolean {
  return accept < 0 || accept === pubsubFormat;
}

function shown(code: number, topic: PubsubTopic): CoapResponse {
  return { code, options: [cborOption], payload: writeTopic(topic) };
}

function mapOf({ contentFormat }: Asked, payload: Uint8Array, maxBytes: number): ReadonlyMap<number, unknown> | CoapResponse {
  if (contentFormat >= 0 && contentFormat !== pubsubFormat && contentFormat !== FormatNumber.cbor) return notCbor;
  // It is kept for as long as the topic is, what initializes the data included.
  if (payload.length > maxBytes) return { ...tooLong, options: [uintOption(OptionNumber.size1, maxBytes)] };
  const map = readCbor(payload);
  return map instanceof Map ? (map as ReadonlyMap<number, unknown>) : badMap;
}

function bothLinks(topic: PubsubTopic): Link[] {
  const { topicType, format } = topic.configuration;
  const more = [
    ...(topicType === undefined ? [] : [{ name: 'topic-type', value: topicType }]),
    ...(format === undefined ? [] : [{ name: 'ct', value: String(format) }]),
  ];
  return [
    { target: `/ps/${topic.id}`, attributes: [{ name: 'rt', value: 'core.ps.conf' }, ...more] },
    { target: dataTarget(topic), attributes: [{ name: 'rt', value: dataType }, ...more] },
  ];
}

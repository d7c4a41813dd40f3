// The resource directory over CoAP (RFC 9176): `/rd` to register, `/.well-known/rd` for simple registration, `/rd-lookup/ep` and
// `/rd-lookup/res` to look up. A device registers its own name: that of its principal. Who may see a registration: whoever
// registered it, may command the device, or may subscribe to `$coap/rd/<name>`.

import { Outcome } from '../../../broker/port.ts';
import { Code, FormatNumber, OptionNumber, pathSegments, textBytes, textValue, uintOption } from '../codec/index.ts';
import type { CoapRequest, CoapResponse, OutgoingRequest, Reply } from '../exchange.ts';
import { changed, deleted, notAllowed, notFound, problem } from './answers.ts';
import { type Asked, queryOf } from './asked.ts';
import type { Client } from './client.ts';
import { answerLinks } from './discovery.ts';
import type { House } from './house.ts';
import { type Link, parseLinks } from './links.ts';
import {
  addressOf,
  commandTopicOf,
  endpointLink,
  endpointMeets,
  lifetimeOf,
  maxAttributes,
  meetsAll,
  type Registration,
  registrationKey,
  registrationTerms,
  type RegistrationTerms,
  resourceLinks,
} from './registration.ts';
import { locationOf } from './representation.ts';
import type { Tenant } from './tenants.ts';

const badTerms = problem(Code.badRequest, 'the query cannot be read: ep and d (63 bytes), lt (seconds), base (scheme://host:port)');
const badLinks = problem(Code.badRequest, 'the payload is not application/link-format');
const notLinks = problem(Code.unsupportedContentFormat, 'registrations are in application/link-format (40)');
const tooLong = problem(Code.requestEntityTooLarge, 'the registration is larger than is taken here');
const notYours = problem(Code.forbidden, 'register under your own name: ep is the id of your principal, or left out');
const badFilters = problem(Code.badRequest, 'more than 16 arguments to choose by');
const badPage = problem(Code.badRequest, 'page and count are whole numbers, count at least 1');

/** Each is held against every registration. */
const maxFilters = 16;

/** In which one device may be registered under its name: so that it cannot have the directory for itself. */
const maxSectors = 8;

/** What simple registration fetches (RFC 9176 §5.1). */
const wellKnownCore: OutgoingRequest = {
  code: Code.get,
  options: [
    ...['.well-known', 'core'].map((segment) => ({ number: OptionNumber.uriPath, value: textBytes(segment) })),
    uintOption(OptionNumber.accept, FormatNumber.linkFormat),
  ],
  payload: new Uint8Array(0),
  confirmable: true,
};

export class DirectoryResource {
  readonly #house: House;

  constructor(house: House) {
    this.#house = house;
  }

  /** What `/.well-known/core` says of it. */
  static readonly links: readonly Link[] = [
    linkOf('/rd', 'core.rd'),
    linkOf('/rd-lookup/ep', 'core.rd-lookup-ep'),
    linkOf('/rd-lookup/res', 'core.rd-lookup-res'),
  ];

  handle(client: Client, tenant: Tenant, request: CoapRequest, reply: Reply, asked: Asked): void {
    const house = this.#house;
    const segments = pathSegments(request.message.options) ?? [];
    const query = queryOf(request.message.options);
    if (query === undefined) return house.answer(reply, badTerms);
    const [first, second] = segments;
    if (first === 'rd-lookup') return this.#lookUp(client, tenant, second, query, request, reply);
    if (first === '.well-known') return this.#registerSimply(client, tenant, query, request, reply);
    if (segments.length > 2) return house.answer(reply, notFound);
    const { code } = request.message;
    if (second === undefined) {
      if (code !== Code.post) return house.answer(reply, notAllowed);
      const format = asked.contentFormat;
      if (format >= 0 && format !== FormatNumber.linkFormat) return house.answer(reply, notLinks);
      return this.#register(client, tenant, query, request.message.payload, (response) => house.answer(reply, response));
    }
    const registration = tenant.directory.get(second);
    if (registration === undefined || !this.#maySee(client, registration)) return house.answer(reply, notFound);
    if (code === Code.get) return answerLinks(house, reply, registration.links, request.message.options);
    if (registration.owner !== client.principal!.id) return house.answer(reply, notYours);
    if (code === Code.post) return this.#update(client, tenant, registration, query, reply);
    if (code === Code.delete) {
      return tenant.directory.remove(second, (outcome) => house.answer(reply, this.#response(outcome, deleted)));
    }
    house.answer(reply, notAllowed);
  }

  // --- Registration

  #register(
    client: Client,
    tenant: Tenant,
    query: Map<string, string>,
    payload: Uint8Array,
    answer: (response: CoapResponse) => void,
  ): void {
    const { options } = this.#house;
    if (payload.length > options.maxRegistrationBytes) {
      // RFC 7252 §5.9.2.9: Size1 says how much is taken.
      return answer({ ...tooLong, options: [uintOption(OptionNumber.size1, options.maxRegistrationBytes)] });
    }
    const terms = this.#termsOf(client, tenant, query);
    if ('code' in terms) return answer(terms);
    const linksText = textValue(payload);
    const links = linksText === undefined ? undefined : parseLinks(linksText);
    if (links === undefined) return answer(badLinks);
    const registration = this.#registrationOf(client, terms, links, linksText!);
    const place = locationOf(['rd', registration.key]);
    tenant.directory.put(registration, client, (outcome) =>
      answer(this.#response(outcome, { code: Code.created, options: place, payload: new Uint8Array(0) })),
    );
  }

  /** What is asked for, or why it is refused. */
  #termsOf(client: Client, { directory }: Tenant, query: Map<string, string>): RegistrationTerms | CoapResponse {
    const { answers, options } = this.#house;
    const { id, kind } = client.principal!;
    const terms = registrationTerms(query, id);
    if (terms === undefined) return badTerms;
    if (kind !== 'anonymous' && terms.ep !== id) return notYours;
    const before = directory.get(registrationKey(terms.ep, terms.sector));
    // Its own name is everybody's who has one: whoever is anonymous cannot keep it from him.
    if (before !== undefined && before.owner !== id && kind === 'anonymous') return notYours;
    const isFull = directory.size >= options.maxRegistrations || (kind !== 'anonymous' && directory.ownedBy(id) >= maxSectors);
    if (before === undefined && isFull) return answers.failure(Outcome.quotaExceeded);
    return terms;
  }

  #registrationOf({ principal, peer }: Client, terms: RegistrationTerms, links: readonly Link[], linksText: string): Registration {
    const { clock, options } = this.#house;
    const lifetimeSec = lifetimeOf(terms, options.maxLifetimeSec);
    return {
      key: registrationKey(terms.ep, terms.sector),
      ep: terms.ep,
      sector: terms.sector,
      owner: principal!.id,
      lifetimeSec,
      base: terms.base,
      heardAt: addressOf(peer.facts, peer.isReliable),
      attributes: terms.attributes,
      links,
      linksText,
      expiresAtMs: clock.wallMs() + lifetimeSec * 1000,
    };
  }

  /** RFC 9176 §5.3.1: what is not said stays as it is. */
  #update(client: Client, tenant: Tenant, before: Registration, query: Map<string, string>, reply: Reply): void {
    const house = this.#house;
    const terms = registrationTerms(query, before.ep);
    if (terms === undefined || terms.ep !== before.ep) return house.answer(reply, badTerms);
    const { peer } = client;
    const lifetimeSec = lifetimeOf(terms, house.options.maxLifetimeSec, before.lifetimeSec);
    const names = new Set(terms.attributes.map(({ name }) => name));
    const attributes = [...before.attributes.filter(({ name }) => !names.has(name)), ...terms.attributes];
    // Else each update could bring more.
    if (attributes.length > maxAttributes) return house.answer(reply, badTerms);
    const registration: Registration = {
      ...before,
      lifetimeSec,
      base: terms.base ?? before.base,
      heardAt: addressOf(peer.facts, peer.isReliable),
      attributes,
      expiresAtMs: house.clock.wallMs() + lifetimeSec * 1000,
    };
    tenant.directory.put(registration, client, (outcome) => house.answer(reply, this.#response(outcome, changed)));
  }

  /** RFC 9176 §5.1: the device is asked for its links. It is answered before that: it may not do two things at a time. */
  #registerSimply(client: Client, tenant: Tenant, query: Map<string, string>, request: CoapRequest, reply: Reply): void {
    const house = this.#house;
    if (request.message.code !== Code.post) return house.answer(reply, notAllowed);
    const terms = this.#termsOf(client, tenant, query);
    if ('code' in terms) return house.answer(reply, terms);
    // Links of another host would be fetched from this one.
    if (query.has('base')) return house.answer(reply, badTerms);
    house.answer(reply, changed);
    client.peer.request(wellKnownCore, (result) => {
      if ('failure' in result || result.code !== Code.content || client.session === undefined) return;
      this.#register(client, tenant, query, result.payload, (response) => {
        if (response.code >= Code.badRequest)
          house.log.info('coap.registration.refused', { principal: client.principal?.id, code: response.code });
      });
    });
  }

  #response(outcome: Outcome, success: CoapResponse): CoapResponse {
    return outcome <= Outcome.noSubscribers ? success : this.#house.answers.failure(outcome);
  }

  // --- Lookup

  #lookUp(client: Client, tenant: Tenant, what: string | undefined, query: Map<string, string>, request: CoapRequest, reply: Reply): void {
    const house = this.#house;
    const { code, payload, options } = request.message;
    if (what !== 'ep' && what !== 'res') return house.answer(reply, notFound);
    if (code !== Code.get && code !== Code.fetch) return house.answer(reply, notAllowed);
    // FETCH: a query that is too long for options, one argument a line or between `&`.
    const more = code === Code.fetch ? (textValue(payload) ?? '') : '';
    for (const argument of more.split(/[&\n]/)) {
      const at = argument.indexOf('=');
      if (at > 0 && !query.has(argument.slice(0, at))) query.set(argument.slice(0, at), argument.slice(at + 1));
    }
    const page = pageOf(query);
    if (page === undefined) return house.answer(reply, badPage);
    const filters = [...query].filter(([name]) => name !== 'page' && name !== 'count');
    if (filters.length > maxFilters) return house.answer(reply, badFilters);
    const found: Link[] = [];
    const maySeeAll = house.security.allows(client.principal!, 'subscribe', '$coap/rd/#');
    for (const registration of tenant.directory.all()) {
      if (found.length >= page.end) break;
      if (!maySeeAll && !this.#maySee(client, registration)) continue;
      found.push(...matches(registration, what, filters));
    }
    answerLinks(house, reply, found.slice(page.start, page.end), options);
  }

  /** Who registered it; who may ask the device itself for its links, by a command; who may subscribe to what is kept of it. */
  #maySee({ principal }: Client, { owner, key, ep }: Registration): boolean {
    const { security, options } = this.#house;
    if (owner === principal!.id) return true;
    const command = options.commandTopic === '' ? undefined : `${commandTopicOf(options.commandTopic, ep)}/get/.well-known/core`;
    if (command !== undefined && security.allows(principal!, 'publish', command)) return true;
    return security.allows(principal!, 'subscribe', `$coap/rd/${key}`);
  }
}

function matches(registration: Registration, what: 'ep' | 'res', filters: readonly (readonly [string, string])[]): Link[] {
  const endpoint = endpointLink(registration);
  const links = resourceLinks(registration);
  if (what === 'ep') return endpointMeets(endpoint, links, filters) ? [endpoint] : [];
  return links.filter((link) => meetsAll(link, endpoint, filters));
}

/** RFC 9176 §6.2: page counts from 0, and only together with count. Undefined: they cannot be read. */
function pageOf(query: ReadonlyMap<string, string>): { readonly start: number; readonly end: number } | undefined {
  const count = query.get('count');
  const page = query.get('page') ?? '0';
  if (count === undefined) return query.has('page') ? undefined : { start: 0, end: Infinity };
  if (!/^[1-9]\d{0,5}$/.test(count) || !/^\d{1,6}$/.test(page)) return undefined;
  return { start: Number(page) * Number(count), end: (Number(page) + 1) * Number(count) };
}

function linkOf(target: string, rt: string): Link {
  return {
    target,
    attributes: [
      { name: 'rt', value: rt },
      { name: 'ct', value: '40' },
    ],
  };
}

// `/.well-known/core` (RFC 6690): what there is here, as far as the asker may see it.

import { Code, type CoapOption, FormatNumber, isSegment, OptionNumber, pathSegmentCount, textBytes, uintOption } from '../codec/index.ts';
import type { CoapRequest, Reply } from '../exchange.ts';
import { noAnswer, notAllowed, problem } from './answers.ts';
import { queryOf } from './asked.ts';
import type { Client } from './client.ts';
import type { House } from './house.ts';
import { DirectoryResource } from './directory-resource.ts';
import { PubsubResource } from './pubsub-resource.ts';
import { formatLinks, type Link, matchesQuery, parseLinks } from './links.ts';

const wellKnown = textBytes('.well-known');
const core = textBytes('core');
const badQuery = problem(Code.badRequest, 'the query is not UTF-8');
const onlyLinks = problem(Code.notAcceptable, 'links are told in application/link-format (40)');

export class Discovery {
  readonly #house: House;
  readonly #links: readonly Link[];

  constructor(house: House) {
    this.#house = house;
    const mounted = house.mounts.flatMap(({ links }) => parseLinks(links ?? '') ?? []);
    this.#links = [
      link('/t', 'heliograph.topics', 'topics: POST publishes, PUT keeps, GET reads, Observe subscribes'),
      link('/q', 'heliograph.queues', 'queues: POST sends, GET takes'),
      ...(house.options.maxRegistrations > 0 ? DirectoryResource.links : []),
      ...(house.options.maxPubsubTopics > 0 ? PubsubResource.links : []),
      ...mounted,
    ];
  }

  isAsked(options: readonly CoapOption[]): boolean {
    return isSegment(options, 0, wellKnown) && isSegment(options, 1, core) && pathSegmentCount(options) === 2;
  }

  /** `client` undefined: somebody who is not known, or who asks a group. */
  handle(client: Client | undefined, request: CoapRequest, reply: Reply): void {
    const house = this.#house;
    const { code, options } = request.message;
    if (code !== Code.get) return request.isMulticast ? reply.send(noAnswer) : house.answer(reply, notAllowed);
    const query = queryOf(options);
    if (query === undefined) return request.isMulticast ? reply.send(noAnswer) : house.answer(reply, badQuery);
    // Topics of the pub/sub draft are told to who asks for them: there may be many (draft-ietf-core-coap-pubsub-21 §2.3).
    if (client !== undefined && /^core\.ps\.(conf|data)$/.test(query.get('rt') ?? '')) {
      return house.pubsubLinks(client, (links) =>
        answerLinks(
          house,
          reply,
          links.filter((one) => matchesQuery(one, query)),
          options,
        ),
      );
    }
    const found = this.#links.filter((one) => matchesQuery(one, query));
    // RFC 7252 §8.2.1, RFC 6690 §4.1: a group is not told that there is nothing.
    if (request.isMulticast && found.length === 0) return reply.send(noAnswer);
    answerLinks(house, reply, found, options);
  }
}

export function answerLinks(house: House, reply: Reply, links: Iterable<Link>, options: readonly CoapOption[]): void {
  const accept = options.find(({ number }) => number === OptionNumber.accept)?.value;
  if (accept !== undefined && !(accept.length === 1 && accept[0] === FormatNumber.linkFormat)) return house.answer(reply, onlyLinks);
  house.answer(reply, {
    code: Code.content,
    options: [uintOption(OptionNumber.contentFormat, FormatNumber.linkFormat)],
    payload: textBytes(formatLinks(links)),
  });
}

function link(target: string, rt: string, title: string): Link {
  return {
    target,
    attributes: [
      { name: 'rt', value: rt },
      { name: 'title', value: title },
    ],
  };
}

// The resources that ETSI's plugtests for CoAP ask for (TD_COAP_CORE, LINK, BLOCK, OBS), in our own words.

import { Code, noBytes, OptionNumber, textOption, uintOption } from '../../../../src/protocols/coap/codec/index.ts';
import { Observed } from './observed.ts';
import { answer, content, Format, inWords, linkFormat, location, number, textOf, values } from './resource.ts';
import { Created, LargeCreate, largePost, LargeUpdate, Validated } from './stored.ts';

import type { CoapRequest, Reply, RequestHandler } from '../../../../src/protocols/coap/exchange.ts';
import type { Exchange, Link, Method, Resource } from './resource.ts';

/** Twenty lines of 64 bytes: more than fits into a datagram. */
const largeText = Array.from({ length: 20 }, (_, i) => `${`line ${i + 1} of twenty, 64 bytes each `.padEnd(63, '.')}\n`).join('');

/** How long what is slow takes: longer than an answer rides on an acknowledgement. */
const separateMs = 1000;

const simple = (path: string, attributes: Link['attributes'], methods: Partial<Resource>): Resource => ({
  path,
  links: () => [{ href: path, attributes }],
  ...methods,
});

const later = (method: Method): Method => {
  return (exchange) => void setTimeout(() => method(exchange), separateMs);
};

const text: Method = ({ request, reply }) => reply.send(content(inWords(request), Format.text, [uintOption(OptionNumber.maxAge, 30)]));
const large: Method = ({ reply }) => reply.send(content(largeText, Format.text));

/** TD_COAP_CORE_20: one state in four formats. */
const multiFormat: Method = ({ request, reply }) => {
  const accepted = number(request, OptionNumber.accept) ?? Format.text;
  const { code } = request.message;
  const forms: Readonly<Record<number, string | Uint8Array>> = {
    [Format.text]: `code ${code}`,
    [Format.xml]: `<request code="${code}"/>`,
    [Format.json]: `{"code":${code}}`,
    // {"code": …}: the code is below 24.
    [Format.cbor]: Uint8Array.of(0xa1, 0x64, ...Buffer.from('code'), code),
  };
  const form = forms[accepted];
  reply.send(form === undefined ? answer(Code.notAcceptable) : content(form, accepted));
};

function fixed(): Resource[] {
  const textCt = String(Format.text);
  return [
    simple(
      '/test',
      { title: 'Default test resource', ct: textCt },
      {
        get: text,
        post: ({ reply }) => reply.send(answer(Code.created, location('/location1/location2/location3'))),
        put: ({ request, reply }) =>
          reply.send(answer(values(request, OptionNumber.ifNoneMatch).length > 0 ? Code.preconditionFailed : Code.changed)),
        delete: ({ reply }) => reply.send(answer(Code.deleted)),
      },
    ),
    simple('/seg1', { ct: textCt }, { get: text }),
    simple('/seg1/seg2', { ct: textCt }, { get: text }),
    simple('/seg1/seg2/seg3', { ct: textCt }, { get: text }),
    simple('/query', { ct: textCt }, { get: text }),
    simple('/separate', { ct: textCt }, { get: later(text) }),
    simple('/large', { rt: 'block', sz: String(largeText.length), ct: textCt }, { get: large }),
    simple('/large-separate', { rt: 'block', sz: String(largeText.length), ct: textCt }, { get: later(large) }),
    simple('/multi-format', { ct: [Format.text, Format.xml, Format.json, Format.cbor].join(' ') }, { get: multiFormat }),
    simple(
      '/location-query',
      {},
      {
        post: ({ reply }) =>
          reply.send(
            answer(
              Code.created,
              ['first=1', 'second=2'].map((query) => textOption(OptionNumber.locationQuery, query)),
            ),
          ),
      },
    ),
    simple('/link1', { title: 'Link test resource', rt: 'Type1 Type2', if: 'If1' }, { get: text }),
    simple('/link2', { title: 'Link test resource', rt: 'Type2 Type3', if: 'If2' }, { get: text }),
    simple('/link3', { title: 'Link test resource', rt: 'Type1 Type3', if: 'foo' }, { get: text }),
    simple(
      '/oscore',
      {},
      {
        get: secured(text),
        put: secured(({ reply }) => reply.send(answer(Code.changed))),
        delete: secured(({ reply }) => reply.send(answer(Code.deleted))),
      },
    ),
    largePost,
  ];
}

/** For those whom OSCORE protects. */
const secured = (method: Method): Method => {
  return (exchange) => {
    if (exchange.request.oscore === undefined) exchange.reply.send(answer(Code.unauthorized));
    else method(exchange);
  };
};

/** TD_COAP_LINK_09: links that lead to links. */
function paths(): Resource[] {
  const subs = ['/path/sub1', '/path/sub2', '/path/sub3'];
  const links = subs.map((href) => ({ href, attributes: {} }));
  const top = simple(
    '/path',
    { title: 'Hierarchical links', ct: String(Format.links) },
    {
      get: ({ reply }) => reply.send(content(linkFormat(links, []), Format.links)),
    },
  );
  return [top, ...subs.map((path) => simple(path, {}, { get: text }))];
}

export class PlugtestResources implements RequestHandler {
  readonly #byPath = new Map<string, Resource>();
  readonly #observed: Observed[];
  readonly #timer: NodeJS.Timeout;

  /** Whatever changes by itself does so every `intervalMs`. */
  constructor(intervalMs: number) {
    const maxAgeSec = Math.ceil((2 * intervalMs) / 1000);
    const clock = (): string => new Date().toISOString();
    const line = '-'.repeat(64);
    this.#observed = [
      new Observed('/obs', true, maxAgeSec, clock),
      new Observed('/obs-non', false, maxAgeSec, clock),
      new Observed('/obs-large', true, maxAgeSec, () => [line, clock(), largeText].join('\n')),
      new Observed('/obs-pumping', true, maxAgeSec, (count) => `${clock()}\n${line.repeat(count % 3)}`),
      new Observed('/obs-pumping-non', false, maxAgeSec, (count) => `${clock()}\n${line.repeat(count % 3)}`),
    ];
    const stored = [new Created('/create1'), new Created('/create2'), new Created('/create3'), new Validated(), new LargeCreate()];
    const reset = simple('/obs-reset', {}, { post: (exchange) => this.#reset(exchange) });
    const all = [...fixed(), ...paths(), ...stored, new LargeUpdate(Buffer.from(largeText)), ...this.#observed, reset, this.#core()];
    for (const resource of all) this.#byPath.set(resource.path, resource);
    this.#timer = setInterval(() => {
      for (const observed of this.#observed) observed.tick();
    }, intervalMs);
  }

  handle(request: CoapRequest, reply: Reply): void {
    const segments = values(request, OptionNumber.uriPath).map(textOf);
    let resource = this.#byPath.get(`/${segments.join('/')}`);
    let below: string[] = [];
    if (resource === undefined && segments.length > 1) {
      below = segments.splice(1);
      resource = this.#byPath.get(`/${segments[0]}`);
      if (resource?.hasChildren !== true) resource = undefined;
    }
    const method = resource === undefined ? undefined : methodOf(resource, request.message.code);
    if (resource === undefined) reply.send({ code: Code.notFound, options: [], payload: noBytes });
    else if (method === undefined) reply.send({ code: Code.methodNotAllowed, options: [], payload: noBytes });
    else method({ request, reply, below });
  }

  /** Discovery (RFC 6690 §4). */
  #core(): Resource {
    return {
      path: '/.well-known/core',
      links: () => [],
      get: ({ request, reply }) => {
        const links = [...this.#byPath.values()].flatMap((resource) => [...resource.links()]);
        const queries = values(request, OptionNumber.uriQuery).map(textOf);
        reply.send(content(linkFormat(links, queries), Format.links));
      },
    };
  }

  /** TD_COAP_OBS_04: as if the server had been started again. */
  #reset({ request, reply }: Exchange): void {
    if (textOf(request.message.payload) !== 'sesame') {
      reply.send(answer(Code.forbidden));
      return;
    }
    const tells = values(request, OptionNumber.uriQuery).map(textOf).includes('notfound');
    for (const observed of this.#observed) observed.clear(tells ? Code.notFound : undefined);
    reply.send(answer(Code.changed));
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

function methodOf(resource: Resource, code: number): Method | undefined {
  switch (code) {
    case Code.get:
      return resource.get;
    case Code.put:
      return resource.put;
    case Code.post:
      return resource.post;
    case Code.delete:
      return resource.delete;
    default:
      return undefined;
  }
}

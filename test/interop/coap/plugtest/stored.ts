// Resources of the plugtests that keep what they are given.

import { Code, OptionNumber } from '../../../../src/protocols/coap/codec/index.ts';
import { answer, content, Format, linkFormat, location, number, textOf, values, wantsOther } from './resource.ts';

import type { Exchange, Link, Resource } from './resource.ts';

type Representation = { readonly payload: Uint8Array; readonly format: number };

/** What was sent, if it says in which format. */
function given({ request, reply }: Exchange): Representation | undefined {
  const format = number(request, OptionNumber.contentFormat);
  if (format === undefined) reply.send(answer(Code.badRequest, [], 'Content-Format is missing'));
  return format === undefined ? undefined : { payload: request.message.payload, format };
}

function show({ request, reply }: Exchange, kept: Representation | undefined): void {
  if (kept === undefined) reply.send(answer(Code.notFound));
  else if (wantsOther(request, kept.format)) reply.send(answer(Code.notAcceptable));
  else reply.send(content(kept.payload, kept.format));
}

/** TD_COAP_CORE_23: does not exist until it is put, and then not a second time. */
export class Created implements Resource {
  readonly path: string;
  #kept: Representation | undefined;

  constructor(path: string) {
    this.path = path;
  }

  links(): Link[] {
    return this.#kept === undefined ? [] : [{ href: this.path, attributes: { title: 'Created by PUT' } }];
  }

  readonly get = (exchange: Exchange): void => show(exchange, this.#kept);

  readonly put = (exchange: Exchange): void => {
    if (this.#kept !== undefined && values(exchange.request, OptionNumber.ifNoneMatch).length > 0) {
      // So that the test can be run again.
      this.#kept = undefined;
      exchange.reply.send(answer(Code.preconditionFailed));
      return;
    }
    const isNew = this.#kept === undefined;
    const kept = given(exchange);
    if (kept === undefined) return;
    this.#kept = kept;
    exchange.reply.send(answer(isNew ? Code.created : Code.changed));
  };

  readonly delete = ({ reply }: Exchange): void => {
    this.#kept = undefined;
    reply.send(answer(Code.deleted));
  };
}

/** TD_COAP_CORE_21 and 22: has an ETag for each state. */
export class Validated implements Resource {
  readonly path = '/validate';
  #kept: Representation = { payload: new TextEncoder().encode('nothing yet'), format: Format.text };
  #version = 1;

  links(): Link[] {
    return [{ href: this.path, attributes: { title: 'Varies' } }];
  }

  readonly get = (exchange: Exchange): void => {
    const etag = { number: OptionNumber.etag, value: this.#tag() };
    if (this.#matches(values(exchange.request, OptionNumber.etag))) exchange.reply.send(answer(Code.valid, [etag]));
    else if (wantsOther(exchange.request, this.#kept.format)) exchange.reply.send(answer(Code.notAcceptable));
    else exchange.reply.send(content(this.#kept.payload, this.#kept.format, [etag]));
  };

  readonly put = (exchange: Exchange): void => {
    const wanted = values(exchange.request, OptionNumber.ifMatch);
    if (wanted.length > 0 && !wanted.some((tag) => tag.length === 0) && !this.#matches(wanted)) {
      exchange.reply.send(answer(Code.preconditionFailed));
      return;
    }
    const kept = given(exchange);
    if (kept === undefined) return;
    this.#kept = kept;
    this.#version++;
    exchange.reply.send(answer(Code.changed, [{ number: OptionNumber.etag, value: this.#tag() }]));
  };

  #tag(): Uint8Array {
    return Uint8Array.of(this.#version >>> 8, this.#version);
  }

  #matches(tags: readonly Uint8Array[]): boolean {
    return tags.some((tag) => Buffer.compare(tag, this.#tag()) === 0);
  }
}

/** TD_COAP_BLOCK_03 */
export class LargeUpdate implements Resource {
  readonly path = '/large-update';
  #kept: Representation;

  constructor(payload: Uint8Array) {
    this.#kept = { payload, format: Format.text };
  }

  links(): Link[] {
    const { payload, format } = this.#kept;
    return [
      { href: this.path, attributes: { title: 'Large, updated by PUT', rt: 'block', sz: String(payload.length), ct: String(format) } },
    ];
  }

  readonly get = (exchange: Exchange): void => show(exchange, this.#kept);

  readonly put = (exchange: Exchange): void => {
    const kept = given(exchange);
    if (kept === undefined) return;
    this.#kept = kept;
    exchange.reply.send(answer(Code.changed));
  };
}

/** TD_COAP_BLOCK_04: each POST makes one of its own. The oldest makes room. */
export class LargeCreate implements Resource {
  readonly path = '/large-create';
  readonly hasChildren = true;
  readonly #children = new Map<string, Representation>();
  #next = 0;

  links(): Link[] {
    const own = { href: this.path, attributes: { title: 'Large ones are created by POST', rt: 'block', ct: String(Format.links) } };
    return [own, ...[...this.#children.keys()].map((name) => ({ href: `${this.path}/${name}`, attributes: {} }))];
  }

  readonly get = (exchange: Exchange): void => {
    const [name] = exchange.below;
    if (name === undefined) exchange.reply.send(content(linkFormat(this.links().slice(1), []), Format.links));
    else show(exchange, this.#children.get(name));
  };

  readonly post = (exchange: Exchange): void => {
    const kept = given(exchange);
    if (kept === undefined) return;
    const name = String(++this.#next);
    this.#children.set(name, kept);
    if (this.#children.size > 16) this.#children.delete(this.#children.keys().next().value!);
    exchange.reply.send(answer(Code.created, location(`${this.path}/${name}`)));
  };

  readonly delete = ({ below, reply }: Exchange): void => {
    this.#children.delete(below[0] ?? '');
    reply.send(answer(Code.deleted));
  };
}

/** TD_COAP_BLOCK_05: what is posted comes back in capitals. */
export const largePost: Resource = {
  path: '/large-post',
  links: () => [{ href: '/large-post', attributes: { title: 'Large POST with large answer', rt: 'block' } }],
  post: (exchange) => {
    const kept = given(exchange);
    if (kept === undefined) return;
    const code = kept.format === Format.text ? Code.changed : Code.notAcceptable;
    if (code === Code.changed) exchange.reply.send({ ...content(textOf(kept.payload).toUpperCase(), Format.text), code });
    else exchange.reply.send(answer(code));
  },
};

// What the resources of the plugtests are made of: a handler for each method, and what discovery says of it (RFC 6690).

import { Code, OptionNumber, textOption, uintOption, uintValue } from '../../../../src/protocols/coap/codec/index.ts';

import type { CoapOption } from '../../../../src/protocols/coap/codec/index.ts';
import type { CoapRequest, CoapResponse, Reply } from '../../../../src/protocols/coap/exchange.ts';

export const Format = { text: 0, links: 40, xml: 41, json: 50, cbor: 60 } as const;

export type Exchange = {
  readonly request: CoapRequest;
  readonly reply: Reply;
  /** Segments below the resource itself. */
  readonly below: readonly string[];
};

export type Method = (exchange: Exchange) => void;

/** `ct`, `if`, `rt` and `sz` may have several values. */
export type Link = { readonly href: string; readonly attributes: Readonly<Record<string, string>> };

export interface Resource {
  readonly path: string;
  /** It answers for all paths below it, too. */
  readonly hasChildren?: boolean;
  links(): readonly Link[];
  readonly get?: Method;
  readonly put?: Method;
  readonly post?: Method;
  readonly delete?: Method;
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

export function values(request: CoapRequest, number: number): Uint8Array[] {
  return request.message.options.filter((option) => option.number === number).map(({ value }) => value);
}

export function number(request: CoapRequest, option: number): number | undefined {
  const [value] = values(request, option);
  return value === undefined ? undefined : uintValue(value);
}

export function answer(code: number, options: readonly CoapOption[] = [], payload: Uint8Array | string = ''): CoapResponse {
  const sorted = [...options].sort((a, b) => a.number - b.number);
  return { code, options: sorted, payload: typeof payload === 'string' ? bytesOf(payload) : payload };
}

/** 2.05 */
export function content(payload: Uint8Array | string, format: number, more: readonly CoapOption[] = []): CoapResponse {
  return answer(Code.content, [uintOption(OptionNumber.contentFormat, format), ...more], payload);
}

export function location(path: string): CoapOption[] {
  return path
    .split('/')
    .slice(1)
    .map((segment) => textOption(OptionNumber.locationPath, segment));
}

/** 4.06 is due: another format is asked for than there is. */
export function wantsOther(request: CoapRequest, format: number): boolean {
  const accepted = number(request, OptionNumber.accept);
  return accepted !== undefined && accepted !== format;
}

/** What came, for people who look at an answer. */
export function inWords(request: CoapRequest): string {
  const query = values(request, OptionNumber.uriQuery).map(textOf).join('&');
  return `code ${request.message.code}, ${request.confirmable ? 'confirmable' : 'not confirmable'}${query === '' ? '' : `, query ${query}`}`;
}

/** In RFC 6690's format, those that every filter of the query fits. */
export function linkFormat(links: readonly Link[], queries: readonly string[]): string {
  const fitting = links.filter((link) => queries.every((query) => fits(link, query)));
  return fitting.map(({ href, attributes }) => `<${href}>${Object.entries(attributes).map(inLink).join('')}`).join(',');
}

function inLink([name, value]: [string, string]): string {
  if (value === '') return `;${name}`;
  return name === 'sz' || (name === 'ct' && !value.includes(' ')) ? `;${name}=${value}` : `;${name}="${value}"`;
}

/** RFC 6690 §4.1: a value may end in *. */
function fits({ href, attributes }: Link, query: string): boolean {
  const [name, wanted = ''] = query.split('=', 2) as [string, string?];
  const has = name === 'href' ? [href] : attributes[name]?.split(' ');
  if (has === undefined) return false;
  return has.some((value) => (wanted.endsWith('*') ? value.startsWith(wanted.slice(0, -1)) : value === wanted));
}

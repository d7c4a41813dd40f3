// How every command asks the management API: over HTTP where a node runs, in process where none does. Both are the same application,
// so a command never knows which it was.
//
//   await withApi(options, async (api) => {
//     const { body } = await api.request<Device>('GET', `/devices/${encodeURIComponent(id)}`, { query: { tenant } });
//     for await (const device of api.pages<Device>('/devices', { tenant, prefix })) …
//     for await (const line of api.lines('POST', '/devices:import', { query, file, contentType: 'text/csv' })) …
//   });
//
// Paths are below /api/v1. What the API refuses comes as a UserError whose text is the problem's.

import type { Readable } from 'node:stream';
import { UserError } from '../base/user-error.ts';
import type { AccessOptions } from './access-options.ts';

export type ApiMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Members that are undefined are left out; a list is given once for each of its texts. */
export type ApiQuery = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export type ApiRequest = {
  readonly query?: ApiQuery;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Version that the entry must still have. */
  readonly ifMatch?: number | undefined;
};

export type ApiFile = {
  readonly query?: ApiQuery;
  /** The body, as it comes. */
  readonly file?: AsyncIterable<Uint8Array>;
  readonly contentType?: string;
  readonly accept?: string;
};

export type ApiAnswer<T> = {
  /** 202: it waits for a second person; `body` is the approval. */
  readonly status: number;
  /** Undefined where there is none (204). */
  readonly body: T;
  readonly version: number | undefined;
};

export interface ApiClient {
  /** A node runs; false: the registry is asked in this process. */
  readonly isLive: boolean;
  /** @throws UserError when it is refused, or nobody answers */
  request<T = unknown>(method: ApiMethod, path: string, request?: ApiRequest): Promise<ApiAnswer<T>>;
  /** All entries of a list, page by page, `most` at most, `ofPage` at a time. @throws UserError as request */
  pages<T>(path: string, query?: ApiQuery, most?: number, ofPage?: number): AsyncGenerator<T>;
  /** The same at once. */
  all<T>(path: string, query?: ApiQuery, most?: number, ofPage?: number): Promise<T[]>;
  /** The text of an answer as it comes. @throws UserError as request */
  text(method: ApiMethod, path: string, file?: ApiFile): AsyncGenerator<string>;
  /** The same, line by line, without empty ones. */
  lines(method: ApiMethod, path: string, file?: ApiFile): AsyncGenerator<string>;
  close(): Promise<void>;
}

/** What a transport does: one request, one answer that may go on. */
export type Sent = { readonly status: number; readonly headers: Readonly<Record<string, unknown>>; readonly body: Readable };
export type Transport = {
  readonly isLive: boolean;
  /** For messages: whom it asks. */
  readonly where: string;
  send(request: {
    readonly method: ApiMethod;
    /** With /api/v1 and the query. */
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string | AsyncIterable<Uint8Array> | undefined;
  }): Promise<Sent>;
  close(): Promise<void>;
};

/** Opens what the options name, does `work`, and closes it again. @throws UserError */
export async function withApi<T>(options: AccessOptions, work: (api: ApiClient) => Promise<T>): Promise<T> {
  const api = await openApi(options);
  try {
    return await work(api);
  } finally {
    await api.close();
  }
}

export async function openApi(options: AccessOptions): Promise<ApiClient> {
  const { transportOf } = await import('./api-transport.ts');
  return new Client(await transportOf(options, process.env));
}

const maxAnswerBytes = 64 * 1024 * 1024;
/** How often a request is sent again that came too early (429, 503), and how long is waited at most. */
const maxTries = 5;
const maxWaitSeconds = 30;

export class Client implements ApiClient {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  get isLive(): boolean {
    return this.#transport.isLive;
  }

  async request<T = unknown>(method: ApiMethod, path: string, { query, body, ifMatch }: ApiRequest = {}): Promise<ApiAnswer<T>> {
    const headers = {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(ifMatch !== undefined && { 'if-match': `"${ifMatch}"` }),
      // What gets lost on the way is sent again, and done once.
      ...(method === 'POST' && { 'idempotency-key': crypto.randomUUID() }),
    };
    const sent = await this.#patiently({
      method,
      url: urlOf(path, query),
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await textOf(sent.body, this.#transport.where);
    const tag = /^"(\d+)"$/.exec((sent.headers['etag'] as string | undefined) ?? '')?.[1];
    const version = tag === undefined ? undefined : Number(tag);
    return { status: sent.status, body: (text === '' ? undefined : JSON.parse(text)) as T, version };
  }

  async *pages<T>(path: string, query: ApiQuery = {}, most = Infinity, ofPage = 1000): AsyncGenerator<T> {
    let left = most;
    let after: string | undefined;
    do {
      const limit = Math.min(ofPage, left);
      const { body } = await this.request<{ entries: readonly T[]; next?: string }>('GET', path, { query: { ...query, limit, after } });
      yield* body.entries;
      left -= body.entries.length;
      after = body.next;
    } while (after !== undefined && left > 0);
  }

  async all<T>(path: string, query?: ApiQuery, most?: number, ofPage?: number): Promise<T[]> {
    const found: T[] = [];
    for await (const entry of this.pages<T>(path, query, most, ofPage)) found.push(entry);
    return found;
  }

  async *text(method: ApiMethod, path: string, { query, file, contentType, accept }: ApiFile = {}): AsyncGenerator<string> {
    const headers = { ...(contentType !== undefined && { 'content-type': contentType }), ...(accept !== undefined && { accept }) };
    const sent = await this.#transport.send({ method, url: urlOf(path, query), headers, body: file });
    if (sent.status >= 400) throw await this.#refusal(sent);
    sent.body.setEncoding('utf8');
    for await (const piece of sent.body) yield piece as string;
  }

  async *lines(method: ApiMethod, path: string, file?: ApiFile): AsyncGenerator<string> {
    let rest = '';
    for await (const piece of this.text(method, path, file)) {
      const found = (rest + piece).split('\n');
      rest = found.pop()!;
      for (const line of found) if (line !== '') yield line;
    }
    if (rest !== '') yield rest;
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  async #patiently(request: Parameters<Transport['send']>[0]): Promise<Sent> {
    for (let tries = 1; ; tries++) {
      const sent = await this.#transport.send(request);
      if (sent.status < 400) return sent;
      const seconds = Number(sent.headers['retry-after'] ?? Number.NaN);
      const mayWait = (sent.status === 429 || sent.status === 503) && tries < maxTries && seconds <= maxWaitSeconds;
      if (!mayWait) throw await this.#refusal(sent);
      sent.body.destroy();
      const { setTimeout: sleep } = await import('node:timers/promises');
      await sleep(seconds * 1000);
    }
  }

  async #refusal(sent: Sent): Promise<UserError> {
    const { where } = this.#transport;
    let problem: { readonly detail?: string; readonly code?: string } = {};
    try {
      problem = JSON.parse(await textOf(sent.body, where)) as typeof problem;
    } catch {
      // Something that is not a Heliograph.
    }
    const fix = fixOf(sent.status, problem.code);
    return new ApiRefusal(problem.detail ?? `It answered with status ${sent.status}.`, sent.status, problem.code ?? '', {
      ...(this.#transport.isLive && { where }),
      ...(fix !== undefined && { fix }),
    });
  }
}

/** What the API refused. `code` is the problem's: `not-found`, `exists`, `conflict`, … */
export class ApiRefusal extends UserError {
  readonly status: number;
  readonly code: string;

  constructor(what: string, status: number, code: string, options: { readonly where?: string; readonly fix?: string }) {
    super(what, options);
    this.status = status;
    this.code = code;
  }
}

const fixes: Readonly<Record<string, string>> = {
  unavailable: 'see in the log of the broker what it cannot reach, or use, now; then try again',
  full: 'free some space, then try again',
  damaged: 'restore a backup of the registry',
  'later-version': 'start that version',
  conflict: 'look at it again, then decide again',
};

function fixOf(status: number, code: string | undefined): string | undefined {
  if (status === 401) return 'give --user and its password in HELIOGRAPH_PASSWORD, or an API token in HELIOGRAPH_TOKEN';
  if (status === 403) return 'use somebody who may: "heliograph user roles" gives roles such as operator or admin';
  if (status === 429) return 'wait a while';
  return code === undefined ? undefined : fixes[code];
}

function urlOf(path: string, query: ApiQuery = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const each of typeof value === 'object' ? value : [value]) parameters.append(name, String(each));
  }
  const text = parameters.toString();
  return `/api/v1${path}${text === '' ? '' : `?${text}`}`;
}

async function textOf(body: Readable, where: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += (chunk as Uint8Array).length;
    if (bytes > maxAnswerBytes) throw new UserError('The answer is longer than any that a broker gives.', { where });
    chunks.push(chunk as Uint8Array);
  }
  return Buffer.concat(chunks).toString('utf8');
}

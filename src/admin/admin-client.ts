// What the command line uses to ask a running node.

import { request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { rootCertificates } from 'node:tls';
import { UserError } from '../base/user-error.ts';

export type AdminAccess = {
  /** `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Value of the Authorization header; undefined: none. */
  readonly authorization: string | undefined;
  /** PEM of one more authority to trust. */
  readonly authority?: string | undefined;
};

export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

const answerMs = 10_000;
const maxAnswerBytes = 16 * 1024 * 1024;

/** Asks for a JSON document. @throws UserError when the node cannot be reached or refuses */
export async function getJson(access: AdminAccess, path: string): Promise<unknown> {
  const response = await open(access, path);
  return JSON.parse(await textOf(response, access.url)) as unknown;
}

/** Yields the lines of an answer that goes on, until the node ends it or `signal` aborts. @throws UserError as getJson */
export async function* getLines(access: AdminAccess, path: string, signal: AbortSignal): AsyncGenerator<string> {
  const response = await open(access, path, signal);
  response.setEncoding('utf8');
  let rest = '';
  try {
    for await (const chunk of response) {
      const lines = (rest + (chunk as string)).split('\n');
      rest = lines.pop()!;
      // An empty line only says that the node is there.
      for (const line of lines) if (line !== '') yield line;
    }
  } catch (error) {
    if (!signal.aborted && (error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
  } finally {
    response.destroy();
  }
}

async function open(access: AdminAccess, path: string, signal?: AbortSignal): Promise<IncomingMessage> {
  const response = await ask(access, { method: 'GET', path, headers: {}, body: undefined }, signal);
  if (response.statusCode === 200) return response;
  throw await refusal(response, access.url);
}

export type AdminRequest = {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | AsyncIterable<Uint8Array> | undefined;
};

export type AdminAnswer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Readable };

/** Sends one request, and gives back what is answered, whatever it is. @throws UserError when the node cannot be reached */
export async function sendRequest(access: AdminAccess, request: AdminRequest): Promise<AdminAnswer> {
  const response = await ask(access, request);
  return { status: response.statusCode!, headers: response.headers, body: response };
}

async function ask(access: AdminAccess, { method, path, headers, body }: AdminRequest, signal?: AbortSignal): Promise<IncomingMessage> {
  const url = URL.parse(path, access.url);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new UserError(`"${access.url}" is not an address of a management interface.`, { fix: 'write it like http://127.0.0.1:8080' });
  }
  const options: RequestOptions & { ca?: string[] } = { method, headers: { ...headers }, agent: false };
  if (access.authorization !== undefined) options.headers = { ...headers, authorization: access.authorization };
  if (access.authority !== undefined) options.ca = [...rootCertificates, access.authority];
  if (signal !== undefined) options.signal = signal;
  return new Promise<IncomingMessage>((resolve, reject) => {
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, options, resolve);
    request.setTimeout(answerMs, () => request.destroy(new Error('it does not answer')));
    request.once('response', () => request.setTimeout(0));
    request.once('error', (error) => reject(unreachable(error, access.url)));
    if (body === undefined || typeof body === 'string') request.end(body);
    // What goes wrong while it is sent, the answer or the error tells.
    else pipeline(body, request).catch((error: unknown) => request.destroy(error as Error));
  });
}

function unreachable(error: NodeJS.ErrnoException, url: string): UserError {
  const isClosed = error.code === 'ECONNREFUSED';
  return new UserError(isClosed ? 'No broker listens there.' : `The broker cannot be reached: ${error.message}`, {
    where: url,
    fix: isClosed ? 'start it with "heliograph serve", or name another one with --data or --url' : 'check --url and the way there',
    cause: error,
  });
}

async function refusal(response: IncomingMessage, url: string): Promise<UserError> {
  const fixes: Record<number, string> = {
    401: 'give --user, and its password in HELIOGRAPH_PASSWORD',
    403: 'use a user with the role admin, or a rule that allows "manage" on $admin',
    429: 'wait a while',
  };
  const status = response.statusCode ?? 0;
  const text = await textOf(response, url);
  let detail = `it answered with status ${status}`;
  try {
    detail = (JSON.parse(text) as { detail?: string }).detail ?? detail;
  } catch {
    // Something that is not a Heliograph.
  }
  return new UserError(`The broker refuses: ${detail}`, { where: url, ...(fixes[status] === undefined ? {} : { fix: fixes[status] }) });
}

async function textOf(response: IncomingMessage, url: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += (chunk as Uint8Array).length;
    if (bytes > maxAnswerBytes) throw new UserError('The answer is longer than any that a broker gives.', { where: url });
    chunks.push(chunk as Uint8Array);
  }
  return Buffer.concat(chunks).toString('utf8');
}

// Requests of Node's HTTP servers as exchanges (protocols/http-exchange.ts): one class for HTTP/1.1, one for HTTP/2.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Readable, Writable } from 'node:stream';
import type { AnswerHeaders, AnswerStream, HttpExchange } from '../protocols/http-exchange.ts';
import type { NetLoop } from './loop.ts';

/** What an exchange needs of its connection. */
export type ExchangeHome = {
  readonly loop: NetLoop;
  /** No more requests are wanted on this connection. */
  readonly isClosing: boolean;
  readonly answerTimeoutMs: number;
  /** It is asked to keep bytes of a body (negative: they are kept no more). Returns whether it may. */
  keep(bytes: number): boolean;
  /** The answer is sent whole, or nobody wants it. */
  finished(exchange: NodeExchange): void;
};

export abstract class NodeExchange implements HttpExchange {
  abstract readonly method: string;
  abstract readonly rawHeaders: readonly string[];
  readonly path: string;
  readonly query: string;
  onClosed: (() => void) | undefined = undefined;
  /** There is a body, and not all of it has come. */
  isReading = true;
  isAnswered = false;
  /** By when the peer must have taken the answer. */
  dueMs = Infinity;
  readonly startedMs: number;
  protected readonly home: ExchangeHome;
  protected abstract readonly source: Readable;
  protected abstract readonly sink: Writable;
  #isOver = false;
  /** Of a body of which not all has come. */
  #keptBytes = 0;

  constructor(home: ExchangeHome, target: string) {
    this.home = home;
    this.startedMs = home.loop.clock.monotonicMs();
    const mark = target.indexOf('?');
    this.path = mark === -1 ? target : target.slice(0, mark);
    this.query = mark === -1 ? '' : target.slice(mark + 1);
  }

  abstract header(name: string): string | undefined;
  abstract answer(status: number, headers: AnswerHeaders, body?: Uint8Array | string): void;
  abstract stream(status: number, headers: AnswerHeaders): AnswerStream;
  /** The peer was told that the rest of its body is not wanted. */
  protected abstract refuseRest(): void;
  /** Ends it at once, whatever the peer has got. */
  abstract cut(): void;

  readWhole(maxBytes: number, done: (body: Uint8Array | 'large') => void): void {
    const declared = Number(this.header('content-length') ?? 0);
    if (declared > maxBytes) {
      this.refuseRest();
      done('large');
      return;
    }
    let first: Uint8Array | undefined;
    let more: Uint8Array[] | undefined;
    let bytes = 0;
    let isLarge = false;
    this.source.on('data', (part: Uint8Array) => {
      if (isLarge || this.#isOver) return;
      bytes += part.length;
      this.#keptBytes += part.length;
      if (!this.home.keep(part.length)) {
        more = first = undefined;
        this.cut();
        return;
      }
      if (bytes > maxBytes) {
        isLarge = true;
        more = first = undefined;
        this.#release();
        this.home.loop.enterTurn();
        this.refuseRest();
        done('large');
      } else if (first === undefined) first = part;
      else (more ??= [first]).push(part);
    });
    this.source.on('end', () => {
      this.isReading = false;
      this.#release();
      if (isLarge || this.#isOver) return;
      this.home.loop.enterTurn();
      done(more === undefined ? (first ?? nothing) : Buffer.concat(more));
    });
  }

  #release(): void {
    this.home.keep(-this.#keptBytes);
    this.#keptBytes = 0;
  }

  /** The system has let go of it, or of its connection. `isWhole`: everything was sent. */
  over(isWhole: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.isReading = false;
    this.#release();
    this.home.loop.enterTurn();
    const { onClosed } = this;
    this.onClosed = undefined;
    if (!isWhole) onClosed?.();
    this.home.finished(this);
  }

  /** There is nothing to come but these bytes. */
  protected handedOver(bytes: number): void {
    this.dueMs = this.home.loop.clock.monotonicMs() + this.home.answerTimeoutMs + bytes / slowestBytesPerMs;
  }

  /** The answer has begun: only a stream says more. Returns false when there is nobody to answer. */
  protected begin(): boolean {
    if (this.isAnswered || this.#isOver) return false;
    this.isAnswered = true;
    return true;
  }
}

const nothing = new Uint8Array(0);
/** A peer that takes an answer more slowly holds our memory for nothing. */
const slowestBytesPerMs = 16;

/** Names and values in turn, which Node writes as they are. With what says that a browser must not second-guess a type. */
function flatHeaders(headers: AnswerHeaders, length: number | undefined): string[] {
  const flat = ['X-Content-Type-Options', 'nosniff'];
  for (const name in headers) {
    const value = headers[name]!;
    if (typeof value === 'string') flat.push(name, value);
    else for (const each of value) flat.push(name, each);
  }
  if (length !== undefined) flat.push('Content-Length', String(length));
  return flat;
}

/** Statuses without content (RFC 9110 §6.4.1). */
function hasNoContent(status: number): boolean {
  return status === 204 || status === 304;
}

function bytesOf(body: Uint8Array | string): Uint8Array {
  return typeof body === 'string' ? Buffer.from(body) : body;
}

export class Http1Exchange extends NodeExchange {
  protected readonly source: IncomingMessage;
  protected readonly sink: ServerResponse;

  constructor(home: ExchangeHome, request: IncomingMessage, response: ServerResponse) {
    super(home, request.url ?? '');
    this.source = request;
    this.sink = response;
    // RFC 9112 §6.3
    this.isReading = this.header('transfer-encoding') !== undefined || Number(this.header('content-length') ?? 0) > 0;
    response.on('close', () => this.over(response.writableFinished));
  }

  get method(): string {
    return this.source.method ?? '';
  }

  get rawHeaders(): readonly string[] {
    return this.source.rawHeaders;
  }

  /** Not by Node's `headers`, which reads all of them into an object. */
  header(name: string): string | undefined {
    const { rawHeaders } = this.source;
    let found: string | undefined;
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const each = rawHeaders[i]!;
      if (each.length !== name.length || each.toLowerCase() !== name) continue;
      if (found !== undefined) return this.#joined(name);
      found = rawHeaders[i + 1];
    }
    return found;
  }

  /** Which of several count depends on the name. */
  #joined(name: string): string | undefined {
    // There may be one of these (RFC 9112 §3.2, RFC 9110 §11.6.2): no two readers must take different ones for it.
    if (name === 'host' || name === 'authorization') return this.source.headersDistinct[name]?.join(', ');
    const value = this.source.headers[name];
    return typeof value === 'object' ? value.join(', ') : value;
  }

  answer(status: number, headers: AnswerHeaders, body: Uint8Array | string = nothing): void {
    if (!this.begin()) return;
    const { sink } = this;
    if (this.home.isClosing) sink.shouldKeepAlive = false;
    const bytes = bytesOf(body);
    this.handedOver(bytes.length);
    sink.writeHead(status, flatHeaders(headers, hasNoContent(status) ? undefined : bytes.length));
    // Node leaves the body of an answer to HEAD away.
    if (bytes.length > 0) sink.end(bytes);
    else sink.end();
  }

  stream(status: number, headers: AnswerHeaders): AnswerStream {
    const { sink } = this;
    if (this.begin()) {
      sink.writeHead(status, flatHeaders(headers, undefined));
      sink.flushHeaders();
    }
    return new NodeAnswerStream(
      this.home.loop,
      sink,
      () => sink.destroy(),
      (bytes) => this.handedOver(bytes),
    );
  }

  cut(): void {
    this.sink.destroy();
  }

  protected refuseRest(): void {
    this.sink.shouldKeepAlive = false;
    // Read over: a socket that is closed with unread bytes is reset, and the answer with it.
    this.source.resume();
  }
}

export class Http2Exchange extends NodeExchange {
  readonly method: string;
  readonly rawHeaders: readonly string[];
  readonly #headers: IncomingHttpHeaders;
  protected readonly source: ServerHttp2Stream;
  protected readonly sink: ServerHttp2Stream;

  constructor(home: ExchangeHome, stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]) {
    super(home, (headers[':path' as keyof IncomingHttpHeaders] as string | undefined) ?? '');
    this.method = (headers[':method' as keyof IncomingHttpHeaders] as string | undefined) ?? '';
    this.rawHeaders = rawHeaders;
    this.#headers = headers;
    this.source = this.sink = stream;
    this.isReading = !stream.endAfterHeaders;
    stream.on('error', () => {});
    // `close` comes only when all that was received is read.
    const over = (): void => this.over(stream.writableEnded && stream.rstCode === constants.NGHTTP2_NO_ERROR);
    stream.on('aborted', over);
    stream.on('close', over);
  }

  header(name: string): string | undefined {
    // RFC 9113 §8.3.1: what Host says beside it does not count.
    const authority = name === 'host' ? (this.#headers[':authority' as keyof IncomingHttpHeaders] as string | undefined) : undefined;
    const value = authority ?? this.#headers[name];
    return typeof value === 'object' ? value.join(', ') : value;
  }

  answer(status: number, headers: AnswerHeaders, body: Uint8Array | string = nothing): void {
    if (!this.begin() || this.sink.destroyed) return;
    const bytes = bytesOf(body);
    this.handedOver(bytes.length);
    const length = hasNoContent(status) ? {} : { 'content-length': bytes.length };
    const isEmpty = bytes.length === 0 || this.method === 'HEAD' || hasNoContent(status);
    this.sink.respond({ ':status': status, ...lowerCase(headers), ...length }, { endStream: isEmpty });
    if (!isEmpty) this.sink.end(bytes);
    // What is not read of the body would keep the stream (RFC 9113 §8.1).
    if (this.isReading) this.source.resume();
  }

  stream(status: number, headers: AnswerHeaders): AnswerStream {
    const { sink } = this;
    if (this.begin() && !sink.destroyed) sink.respond({ ':status': status, ...lowerCase(headers) });
    return new NodeAnswerStream(
      this.home.loop,
      sink,
      () => this.cut(),
      (bytes) => this.handedOver(bytes),
    );
  }

  cut(): void {
    this.sink.close(constants.NGHTTP2_CANCEL);
  }

  protected refuseRest(): void {
    this.source.resume();
  }
}

function lowerCase(headers: AnswerHeaders): Record<string, string | string[]> {
  const lower: Record<string, string | string[]> = { 'x-content-type-options': 'nosniff' };
  for (const name in headers) {
    // RFC 9113 §8.2.2
    if (name === 'Connection') continue;
    const value = headers[name]!;
    lower[name.toLowerCase()] = typeof value === 'string' ? value : [...value];
  }
  return lower;
}

/** What is written in a turn goes out together at its end. */
class NodeAnswerStream implements AnswerStream {
  onDrained: (() => void) | undefined = undefined;
  readonly #loop: NetLoop;
  readonly #sink: Writable;
  readonly #abort: () => void;
  readonly #handedOver: (bytes: number) => void;
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  #isEnding = false;

  constructor(loop: NetLoop, sink: Writable, abort: () => void, handedOver: (bytes: number) => void) {
    this.#handedOver = handedOver;
    this.#loop = loop;
    this.#sink = sink;
    this.#abort = abort;
    sink.on('drain', () => {
      loop.enterTurn();
      this.onDrained?.();
    });
  }

  get pendingBytes(): number {
    return this.#partBytes + this.#sink.writableLength;
  }

  write(part: Uint8Array | string): void {
    if (this.#isEnding || this.#sink.destroyed) return;
    const bytes = bytesOf(part);
    this.#partBytes += bytes.length;
    if (this.#parts.push(bytes) === 1) this.#loop.atEnd(() => this.#flush());
  }

  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#flush();
    this.#handedOver(this.#sink.writableLength);
    this.#sink.end();
  }

  abort(): void {
    this.#isEnding = true;
    this.#parts = [];
    this.#partBytes = 0;
    this.#abort();
  }

  #flush(): void {
    const parts = this.#parts;
    if (parts.length === 0) return;
    this.#parts = [];
    this.#partBytes = 0;
    if (!this.#sink.destroyed) this.#sink.write(parts.length === 1 ? parts[0] : Buffer.concat(parts));
  }
}

// From a socket to requests: HTTP/1.1 and, where TLS has agreed on it, HTTP/2, on sockets that a listener has let in. Node parses and
// frames; what it would do with timers of its own, which begin with listening, is done here for all connections together.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { performServerHandshake, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Timer } from '../base/timers.ts';
import type { HttpHandler, HttpPeer, HttpVisit, HttpWireLimits } from '../protocols/http-exchange.ts';
import type { WireFacts } from '../protocols/protocol.ts';
import type { NetCounters } from './counters.ts';
import { Http1Exchange, Http2Exchange, type ExchangeHome, type NodeExchange } from './http-exchanges.ts';
import type { NetLoop } from './loop.ts';

/** How often time-outs are looked for; so late they may be. */
const sweepMs = 1000;

/** What is agreed on by ALPN, the most wanted first (RFC 7301, RFC 9113 §3.2). */
export const httpAlpn = ['h2', 'http/1.1'] as const;

export class HttpDoor {
  readonly #handler: HttpHandler;
  readonly #loop: NetLoop;
  readonly #counters: NetCounters;
  readonly #closeTimeoutMs: number;
  readonly #http1: Server;
  readonly #connections = new Map<Socket, HttpConnection>();
  #sweep: Timer | undefined;

  constructor(handler: HttpHandler, loop: NetLoop, counters: NetCounters, closeTimeoutMs: number) {
    this.#handler = handler;
    this.#loop = loop;
    this.#counters = counters;
    this.#closeTimeoutMs = closeTimeoutMs;
    const { maxHeaderBytes } = handler.limits;
    // RFC 9112 §3.2: a request without Host is a bad one; Node sees to it.
    this.#http1 = createServer({ maxHeaderSize: maxHeaderBytes, keepAliveTimeout: 0, requireHostHeader: true });
    const handle = (request: IncomingMessage, response: ServerResponse): void => this.#request(request, response);
    // What Node answers by itself would not be counted, and pile up behind a request that waits.
    this.#http1.on('request', handle).on('checkExpectation', handle);
    this.#http1.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      if (error.code !== 'ECONNRESET') counters.httpEnded[error.code === 'HPE_HEADER_OVERFLOW' ? 'headers' : 'malformed']++;
      // Where answers are under way, one more status would stand in the middle of them.
      const isBusy = this.#connections.get(socket as Socket)?.isBusy === true;
      if (error.code === 'ECONNRESET' || !socket.writable || isBusy) socket.destroy();
      else refuse(socket as Socket, error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request');
    });
  }

  /** It has been let in and, where there is TLS, has shown who it is. */
  enter(socket: Socket, facts: WireFacts): void {
    this.#loop.enterTurn();
    const { limits } = this.#handler;
    if ((socket as Partial<TLSSocket>).alpnProtocol === 'h2') {
      const session = performServerHandshake(socket, {
        settings: { maxConcurrentStreams: limits.maxStreamsPerConnection, enablePush: false, maxHeaderListSize: limits.maxHeaderBytes },
        maxHeaderListPairs: 512,
      });
      const connection = this.#opened(socket, facts, session);
      session.on('stream', (stream, headers, _flags, rawHeaders) => connection.stream(stream, headers, rawHeaders));
      session.on('error', () => session.destroy());
      session.on('close', () => socket.destroy());
      return;
    }
    this.#opened(socket, facts, undefined);
    this.#http1.emit('connection', socket);
  }

  /** A request on a connection of somebody else's server, which sees to its time-outs. */
  serve(request: IncomingMessage, response: ServerResponse, facts: WireFacts): void {
    this.#loop.enterTurn();
    const connection = this.#connections.get(request.socket) ?? this.#opened(request.socket, facts, undefined, true);
    connection.request(request, response);
  }

  /** Says to all that the node goes down: what can be answered still is. */
  shutDown(): void {
    this.#loop.enterTurn();
    for (const connection of this.#connections.values()) connection.shutDown();
  }

  abortAll(): void {
    for (const connection of this.#connections.values()) connection.abort();
  }

  #opened(socket: Socket, facts: WireFacts, session: ServerHttp2Session | undefined, isGuest = false): HttpConnection {
    const connection = new HttpConnection(this.#loop, this.#handler, this.#counters, socket, facts, session, isGuest);
    this.#connections.set(socket, connection);
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#connections.delete(socket);
      connection.closed();
    });
    this.#arm(this.#loop.clock.monotonicMs());
    return connection;
  }

  #request(request: IncomingMessage, response: ServerResponse): void {
    this.#loop.enterTurn();
    const connection = this.#connections.get(request.socket);
    if (connection === undefined) request.socket.destroy();
    else connection.request(request, response);
  }

  #arm(fromMs: number): void {
    if (this.#sweep !== undefined || this.#connections.size === 0) return;
    const atMs = fromMs + sweepMs;
    this.#sweep = this.#loop.timers.at(atMs, (nowMs) => {
      this.#sweep = undefined;
      for (const connection of this.#connections.values()) connection.look(nowMs, this.#closeTimeoutMs);
      this.#arm(nowMs);
    });
    this.#loop.wakeAt(atMs);
  }
}

function refuse(socket: Socket, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

class HttpConnection implements HttpPeer, ExchangeHome {
  readonly loop: NetLoop;
  readonly facts: WireFacts;
  isClosing = false;
  get answerTimeoutMs(): number {
    return this.#limits.answerTimeoutMs;
  }
  readonly #limits: HttpWireLimits;
  readonly #counters: NetCounters;
  readonly #socket: Socket;
  readonly #session: ServerHttp2Session | undefined;
  readonly #visit: HttpVisit;
  readonly #isGuest: boolean;
  /** Mostly one, or none. */
  readonly #open: NodeExchange[] = [];
  #requests = 0;
  #unfinishedBytes = 0;
  /** Since when there is nothing to answer. */
  #idleMs: number;
  #closingMs = Infinity;
  /** Of the socket, when there was last nothing under way; and since when there is more than that. */
  #quietBytes: number;
  #partialMs = Infinity;
  #countedIn: number;
  #countedOut: number;

  constructor(
    loop: NetLoop,
    handler: HttpHandler,
    counters: NetCounters,
    socket: Socket,
    facts: WireFacts,
    session: ServerHttp2Session | undefined,
    isGuest: boolean,
  ) {
    this.#isGuest = isGuest;
    this.loop = loop;
    this.facts = facts;
    this.#limits = handler.limits;
    this.#counters = counters;
    this.#socket = socket;
    this.#session = session;
    this.#idleMs = loop.clock.monotonicMs();
    this.#quietBytes = this.#countedIn = socket.bytesRead;
    this.#countedOut = socket.bytesWritten;
    this.#visit = handler.visit(this);
  }

  keep(bytes: number): boolean {
    this.#unfinishedBytes += bytes;
    if (this.#unfinishedBytes <= this.#limits.maxUnfinishedBytes) return true;
    this.#counters.httpEnded.bodies++;
    return false;
  }

  /** There are requests that are not answered whole. */
  get isBusy(): boolean {
    return this.#open.length > 0;
  }

  request(request: IncomingMessage, response: ServerResponse): void {
    this.#begin(new Http1Exchange(this, request, response));
  }

  stream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]): void {
    this.loop.enterTurn();
    this.#begin(new Http2Exchange(this, stream, headers, rawHeaders));
  }

  #begin(exchange: NodeExchange): void {
    this.#counters.reads++;
    this.#partialMs = Infinity;
    this.#open.push(exchange);
    if (++this.#requests >= this.#limits.maxRequestsPerConnection) this.#close();
    try {
      this.#visit.request(exchange);
    } catch (error) {
      this.loop.invariantBroken(error, this.facts.listener);
      this.abort();
    }
  }

  finished(exchange: NodeExchange): void {
    this.#open.splice(this.#open.indexOf(exchange), 1);
    this.#counters.writes++;
    if (this.#open.length > 0) return;
    this.#idleMs = this.loop.clock.monotonicMs();
    this.#quietBytes = this.#socket.bytesRead;
    // HTTP/1.1: the answer has said so, and the server ends it.
    if (this.isClosing && this.#session === undefined) this.#socket.end();
  }

  /** Nothing new is taken. */
  #close(): void {
    if (this.isClosing) return;
    this.isClosing = true;
    this.#session?.close();
  }

  shutDown(): void {
    this.#visit.shutDown();
    this.#close();
    this.#closingMs = this.loop.clock.monotonicMs();
    if (this.#session === undefined && this.#open.length === 0) this.#socket.end();
  }

  abort(): void {
    this.isClosing = true;
    this.#session?.destroy();
    this.#socket.destroy();
  }

  closed(): void {
    this.loop.enterTurn();
    this.#count();
    for (const exchange of [...this.#open]) exchange.over(false);
    this.#visit.onClosed();
  }

  look(nowMs: number, closeTimeoutMs: number): void {
    this.#count();
    for (const exchange of [...this.#open]) {
      if (nowMs < exchange.dueMs) continue;
      this.#counters.httpEnded.answer++;
      exchange.cut();
    }
    if (this.#isGuest) return;
    const { headersTimeoutMs, requestTimeoutMs, idleTimeoutMs } = this.#limits;
    if (this.isClosing && this.#open.length === 0) {
      if (this.#closingMs === Infinity) this.#closingMs = nowMs;
      if (nowMs - this.#closingMs < closeTimeoutMs) return;
      this.#counters.closeTimeouts++;
      return this.abort();
    }
    for (const { isReading, isAnswered, startedMs } of this.#open) {
      if (isReading && nowMs - startedMs >= requestTimeoutMs) return isAnswered ? this.abort() : this.#late();
    }
    if (this.#open.length > 0) return;
    if (this.#session === undefined && this.#socket.bytesRead !== this.#quietBytes) {
      if (this.#partialMs === Infinity) this.#partialMs = nowMs;
      if (nowMs - this.#partialMs >= headersTimeoutMs) this.#late();
    } else if (nowMs - this.#idleMs >= idleTimeoutMs) this.#idle();
  }

  /** RFC 9110 §15.5.9 */
  #late(): void {
    this.#counters.httpEnded.request++;
    if (this.#session === undefined && this.#socket.writable) {
      this.isClosing = true;
      refuse(this.#socket, '408 Request Timeout');
      // What it sends now would be read for ever.
      this.#socket.destroySoon();
    } else this.abort();
  }

  #idle(): void {
    this.#counters.httpEnded.idle++;
    this.#close();
    this.#socket.destroySoon();
  }

  #count(): void {
    const { bytesRead, bytesWritten } = this.#socket;
    this.#counters.bytesIn += bytesRead - this.#countedIn;
    this.#counters.bytesOut += bytesWritten - this.#countedOut;
    this.#countedIn = bytesRead;
    this.#countedOut = bytesWritten;
  }
}

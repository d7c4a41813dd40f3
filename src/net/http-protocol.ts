// HTTP/1.1 behind a listener like any other protocol, so that its connections are counted, limited, shown certificates and drained as
// all are. Node parses; a request is handed on whole, and answered once.

import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Duplex } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { MetricSource, Sample } from '../base/metrics.ts';
import type { Connection, Protocol, Wire, WireFacts } from '../protocols/protocol.ts';

export type HttpRequest = {
  readonly method: string;
  /** As it came, with the query. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Uint8Array;
  readonly facts: WireFacts;
};

export type HttpAnswer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string;
};

export type HttpLimits = {
  readonly maxBodyBytes: number;
  /** How long a connection lasts, whatever happens on it. Stops peers that say a byte now and then. */
  readonly connectionMs: number;
  /** Requests on one connection. */
  readonly maxRequests: number;
};

export type HttpOptions = {
  /** For its metrics: `est`. */
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  /** May change in place. */
  readonly limits: HttpLimits;
  /** As of the listeners' loop: more than this unsent, and writing waits. */
  readonly highWaterBytes: number;
  /** May reject: that is a fault of ours, told in the log, and the peer gets a 500. */
  readonly answer: (request: HttpRequest) => Promise<HttpAnswer>;
};

/** Handed to Node's parser at a time. */
const readBytes = 4096;

export class HttpProtocol implements Protocol, MetricSource {
  readonly name = 'http/1.1';
  readonly webSocketProtocols: readonly string[] = [];
  readonly #options: HttpOptions;
  readonly #server: Server;
  readonly #connections = new WeakMap<Duplex, HttpConnection>();
  readonly #counts = new Map<number, number>();

  constructor(options: HttpOptions) {
    this.#options = options;
    // It never listens: sockets are handed to it, and its own time-outs, which begin with listening, are never needed.
    // Each request comes to `#handle`, where they are counted: what Node answers by itself would pile up behind one that waits.
    this.#server = createServer({ maxHeaderSize: 16 * 1024, keepAliveTimeout: 0, requireHostHeader: false });
    const handle = (request: IncomingMessage, response: ServerResponse): void => void this.#handle(request, response);
    this.#server.on('request', handle).on('checkExpectation', handle);
    this.#server.on('clientError', (_error, socket) => {
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      else socket.destroy();
    });
  }

  connect(wire: Wire): Connection {
    const { clock, limits, highWaterBytes } = this.#options;
    wire.setDeadline(clock.monotonicMs() + limits.connectionMs);
    const connection = new HttpConnection(wire, highWaterBytes);
    this.#connections.set(connection.stream, connection);
    this.#server.emit('connection', connection.stream);
    return connection;
  }

  *metrics(): Iterable<Sample> {
    const name = `heliograph_${this.#options.name}_requests_total`;
    for (const [status, value] of this.#counts) {
      yield { name, help: 'Requests over HTTP, by status.', type: 'counter', labels: { status: String(status) }, value };
    }
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const connection = this.#connections.get(request.socket)!;
    // Node's own limit says `close` and then leaves the closing to the peer. What was sent behind the last request is not answered.
    const rest = this.#options.limits.maxRequests - ++connection.asked;
    if (rest < 0) return connection.stream.stopReading();
    connection.requests++;
    let status = 0;
    try {
      // RFC 9112 §3.2
      if (request.headers.host === undefined && request.httpVersion === '1.1') {
        status = 400;
        return send(response, { status, headers: { Connection: 'close' }, body: 'There must be a Host.\n' });
      }
      const body = await bodyOf(request, this.#options.limits.maxBodyBytes);
      // Gone in the middle: there is nobody to answer.
      if (body === 'gone') return;
      if (body === 'large') {
        status = 413;
        send(response, { status, headers: { Connection: 'close' }, body: 'The body is too large.\n' });
        return;
      }
      const { method = '', url = '', headers } = request;
      const answer = await this.#options.answer({ method, url, headers, body, facts: connection.facts });
      ({ status } = answer);
      send(response, connection.isClosing || rest === 0 ? { ...answer, headers: { ...answer.headers, Connection: 'close' } } : answer);
    } catch (error) {
      status = 500;
      this.#options.log.error('http.request.failed', { name: this.#options.name, error: (error as Error).stack });
      send(response, { status, headers: {}, body: 'This should not have happened; the log of the node says more.\n' });
    } finally {
      if (status !== 0) this.#counts.set(status, (this.#counts.get(status) ?? 0) + 1);
      connection.requests--;
    }
  }
}

function send(response: ServerResponse, { status, headers, body }: HttpAnswer): void {
  if (response.destroyed || response.headersSent) return;
  const bytes = Buffer.from(body);
  const always = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff', 'Content-Type': 'text/plain; charset=utf-8' };
  response.writeHead(status, { ...always, ...headers, 'Content-Length': bytes.length });
  response.end(bytes);
}

function bodyOf(request: IncomingMessage, maxBytes: number): Promise<Uint8Array | 'large' | 'gone'> {
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) {
      resolve('large');
      return;
    }
    request.on('data', (chunk: Uint8Array) => {
      bytes += chunk.length;
      // What follows is read over until the answer has closed the connection.
      if (bytes > maxBytes) resolve('large');
      else chunks.push(chunk);
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', () => resolve('gone'));
    request.on('close', () => resolve('gone'));
  });
}

class HttpConnection implements Connection {
  readonly stream: WireStream;
  readonly facts: WireFacts;
  /** Being answered. */
  requests = 0;
  asked = 0;
  isClosing = false;
  readonly #wire: Wire;

  constructor(wire: Wire, highWaterBytes: number) {
    this.#wire = wire;
    this.facts = wire.facts;
    this.stream = new WireStream(wire, highWaterBytes);
    this.stream.on('error', () => {});
  }

  receive(bytes: Uint8Array): void {
    this.stream.receive(bytes);
  }

  onDrained(): void {
    this.stream.drained();
  }

  onDeadline(): void {
    this.#wire.abort();
  }

  onClosed(): void {
    this.stream.destroy();
  }

  /** A request that is being answered still is. */
  shutDown(): void {
    this.isClosing = true;
    if (this.requests === 0) this.#wire.close();
  }
}

/** A wire as the stream that node:http wants. */
class WireStream extends Duplex {
  readonly #wire: Wire;
  readonly #highWaterBytes: number;
  #isPaused = false;
  #isClosed = false;
  #isDeaf = false;
  #written: (() => void) | undefined;

  constructor(wire: Wire, highWaterBytes: number) {
    super();
    this.#wire = wire;
    this.#highWaterBytes = highWaterBytes;
  }

  /** Copies: bytes of a wire are valid only during the call. In parts, so that there are not many requests in what is read at once. */
  receive(bytes: Uint8Array): void {
    let isMoreWanted = true;
    for (let at = 0; at < bytes.length; at += readBytes) {
      if (this.#isDeaf || this.destroyed) return;
      isMoreWanted = this.push(Buffer.from(bytes.subarray(at, at + readBytes)));
    }
    if (isMoreWanted || this.#isPaused) return;
    this.#isPaused = true;
    this.#wire.pause();
  }

  /** What comes from now on is not looked at. */
  stopReading(): void {
    this.#isDeaf = true;
  }

  drained(): void {
    const written = this.#written;
    this.#written = undefined;
    written?.();
  }

  override _read(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#wire.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    const { output } = this.#wire;
    output.write(chunk, 0, chunk.length);
    if (output.pendingBytes > this.#highWaterBytes) this.#written = callback;
    else callback();
  }

  override _final(callback: () => void): void {
    this.#isClosed = true;
    this.#wire.close();
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    // After a proper end the wire still sends what it holds.
    if (!this.#isClosed) this.#wire.abort();
    this.#isClosed = true;
    callback(error);
  }
}

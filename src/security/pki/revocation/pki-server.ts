// Public material over plain HTTP: revocation lists, answers of OCSP, certificates of authorities. All of it is signed, and has to
// be had before there is trust in any connection, so there is no TLS and nobody is asked who it is (RFC 5280 §8).

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Clock } from '../../../base/clock.ts';
import type { Log } from '../../../base/log.ts';
import type { MetricSource, Sample } from '../../../base/metrics.ts';
import { UserError } from '../../../base/user-error.ts';
import { addressKey } from '../../../base/address-key.ts';
import type { CrlPublisher } from './crl-publisher.ts';
import type { OcspResponder } from './ocsp-responder.ts';
import type { OwnAuthorities } from './own-authorities.ts';
import { RequestBrake } from './request-brake.ts';

export type PkiServerSettings = {
  readonly connections: number;
  readonly requestsPerSecond: number;
  readonly requestsPerSecondPerAddress: number;
  readonly ocspRequestBytes: number;
  /** A connection on which nothing moves for this time is closed, also when it is the peer that does not read; absent: 30 seconds. */
  readonly idleMs?: number;
};

export type PkiServerServices = {
  readonly authorities: OwnAuthorities;
  readonly crls: CrlPublisher;
  readonly ocsp: OcspResponder;
  readonly clock: Clock & { refresh?(): void };
  readonly log: Log;
  readonly settings: PkiServerSettings;
};

type Found = {
  readonly body: Uint8Array;
  readonly type: string;
  readonly madeMs?: number;
  readonly untilMs?: number;
  readonly tag?: string;
};

const timeouts = { headersTimeout: 10_000, requestTimeout: 10_000, keepAliveTimeout: 5000 };
const usualIdleMs = 30_000;
/** Of all connections one address may have so many: one over two. */
const shareOfAddress = 2;
const maxPathLength = 8192;
const certificateAgeMs = 3_600_000;
const types = {
  crl: 'application/pkix-crl',
  certificate: 'application/pkix-cert',
  pem: 'application/x-pem-file',
  ocsp: 'application/ocsp-response',
  ocspRequest: 'application/ocsp-request',
} as const;

export class PkiServer implements MetricSource {
  readonly #services: PkiServerServices;
  readonly #brake: RequestBrake;
  readonly #servers: Server[] = [];
  readonly #counts = new Map<number, number>();
  /** Of lists, by their bytes: they are large and change rarely. */
  readonly #tags = new WeakMap<Uint8Array, string>();
  readonly #connections = new Map<string, number>();
  #bytes = 0;

  constructor(services: PkiServerServices) {
    this.#services = services;
    const { requestsPerSecond, requestsPerSecondPerAddress } = services.settings;
    this.#brake = new RequestBrake(services.clock, requestsPerSecond, requestsPerSecondPerAddress);
  }

  /** Returns the port. @throws UserError when the address cannot be listened on */
  async listen({ name, host, port }: { readonly name: string; readonly host: string; readonly port: number }): Promise<number> {
    const server = createServer({ ...timeouts, maxHeaderSize: 16 * 1024 });
    const { connections, idleMs = usualIdleMs } = this.#services.settings;
    server.maxConnections = connections;
    // Node's other time-outs end with the request: who does not read the answer would stay for ever.
    server.timeout = idleMs;
    server.prependListener('connection', (socket) => this.#count(socket, Math.ceil(connections / shareOfAddress)));
    server.on('request', (request, response) => {
      response.once('close', () => this.#counts.set(response.statusCode, (this.#counts.get(response.statusCode) ?? 0) + 1));
      void this.#serve(request, response);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        const why = error.code === 'EADDRINUSE' ? 'the port is in use' : error.message;
        const text = `Revocation lists cannot be served on ${host}, port ${port}: ${why}.`;
        reject(
          new UserError(text, { where: `listeners.${name}`, fix: 'choose another host or port, or set enabled: false', cause: error }),
        );
      });
      server.listen({ host, port }, resolve);
    });
    server.on('error', (error) => this.#services.log.warn('pki.accept.failed', { listener: name, error: error.message }));
    this.#servers.push(server);
    return (server.address() as AddressInfo).port;
  }

  /** Ends what is open. May be called again. */
  async close(): Promise<void> {
    await Promise.all(
      this.#servers.splice(0).map((server) => {
        const closed = new Promise<void>((resolve) => {
          server.close(() => resolve());
        });
        server.closeAllConnections();
        return closed;
      }),
    );
  }

  *metrics(): Iterable<Sample> {
    for (const [status, value] of this.#counts) {
      const help = 'Requests for public material of the authorities, by status.';
      yield { name: 'heliograph_pki_public_requests_total', help, type: 'counter', labels: { status: String(status) }, value };
    }
    yield { name: 'heliograph_pki_public_sent_bytes_total', help: 'Public material sent.', type: 'counter', value: this.#bytes };
  }

  /** Nobody shall keep the others from learning what is revoked by holding all connections. */
  #count(socket: Socket, mostOfAddress: number): void {
    const address = addressKey(socket.remoteAddress ?? '');
    const open = this.#connections.get(address) ?? 0;
    if (open >= mostOfAddress) {
      socket.destroy();
      return;
    }
    this.#connections.set(address, open + 1);
    socket.once('close', () => {
      const left = this.#connections.get(address)! - 1;
      if (left === 0) this.#connections.delete(address);
      else this.#connections.set(address, left);
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#services.clock.refresh?.();
    request.on('error', () => {});
    response.on('error', () => {});
    try {
      if (!this.#brake.allows(request.socket.remoteAddress ?? '')) return refuse(response, 429, { 'Retry-After': '1' });
      const url = request.url ?? '';
      if (url.length > maxPathLength) return refuse(response, 414);
      const path = url.split('?', 1)[0]!;
      if (request.method === 'POST' && /^\/ocsp\/?$/.test(path)) return await this.#postOcsp(request, response);
      if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, { Allow: 'GET, HEAD' });
      const found = path.startsWith('/ocsp/') ? await this.#getOcsp(path.slice('/ocsp/'.length)) : this.#find(path);
      if (found === undefined) return refuse(response, 404);
      this.#send(request, response, found);
    } catch (error) {
      this.#services.log.error('pki.request.failed', { error: (error as Error).stack });
      if (response.headersSent) response.destroy();
      else refuse(response, 500);
    }
  }

  #find(path: string): Found | undefined {
    const { authorities, crls } = this.#services;
    const [, id, delta] = /^\/crl\/([0-9a-f]{64})(-delta)?\.crl$/.exec(path) ?? [];
    if (id !== undefined) {
      const crl = crls.of(id);
      if (crl === undefined) return undefined;
      const body = delta === undefined ? crl.full : crl.delta;
      return { body, type: types.crl, madeMs: crl.thisUpdateMs, untilMs: crl.nextUpdateMs, tag: this.#tagOf(body) };
    }
    const untilMs = this.#services.clock.wallMs() + certificateAgeMs;
    const authority = authorities.get(/^\/ca\/([0-9a-f]{64})\.crt$/.exec(path)?.[1] ?? '');
    if (authority !== undefined) return { body: authority.der, type: types.certificate, untilMs, tag: this.#tagOf(authority.der) };
    if (path !== '/ca.pem') return undefined;
    const trusted = [...authorities.all].filter(({ view }) => view.status === 'active' || view.status === 'retiring');
    trusted.sort((a, b) => Number(b.view.role === 'root') - Number(a.view.role === 'root'));
    const body = Buffer.from(trusted.map(({ view }) => `${view.certificate.trim()}\n`).join(''));
    return { body, type: types.pem, untilMs, tag: this.#tagOf(body) };
  }

  /** RFC 6960, appendix A.1: base64 of the question, URL-encoded. */
  async #getOcsp(text: string): Promise<Found> {
    let decoded = '';
    try {
      decoded = decodeURIComponent(text);
    } catch {
      // Then it is no base64 either.
    }
    const isBase64 = /^[A-Za-z0-9+/]+=*$/.test(decoded);
    const question = isBase64 ? Buffer.from(decoded, 'base64') : Buffer.alloc(0);
    const isTooLarge = question.length > this.#services.settings.ocspRequestBytes;
    const { der, producedMs, nextUpdateMs } = await this.#services.ocsp.answer(isTooLarge ? Buffer.alloc(0) : question);
    if (producedMs === undefined || nextUpdateMs === undefined) return { body: der, type: types.ocsp };
    return { body: der, type: types.ocsp, madeMs: producedMs, untilMs: nextUpdateMs, tag: this.#tagOf(der) };
  }

  async #postOcsp(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { ocspRequestBytes } = this.#services.settings;
    if (request.headers['content-type']?.split(';')[0]?.trim().toLowerCase() !== types.ocspRequest) return refuse(response, 415);
    if (Number(request.headers['content-length'] ?? 0) > ocspRequestBytes) return refuse(response, 413, { Connection: 'close' });
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > ocspRequestBytes) return refuse(response, 413, { Connection: 'close' });
      chunks.push(chunk);
    }
    const { der } = await this.#services.ocsp.answer(Buffer.concat(chunks));
    this.#send(request, response, { body: der, type: types.ocsp });
  }

  /** RFC 5019 §6.2 for what may be kept by those in between. */
  #send(request: IncomingMessage, response: ServerResponse, { body, type, madeMs, untilMs, tag }: Found): void {
    if (response.destroyed) return;
    const headers: Record<string, string | number> = { 'Content-Type': type };
    if (untilMs === undefined) headers['Cache-Control'] = 'no-store';
    else {
      const seconds = Math.max(0, Math.floor((untilMs - this.#services.clock.wallMs()) / 1000));
      // A list may be replaced long before it ends: whoever keeps it asks again soon whether it is still the last one.
      const age = type === types.crl ? Math.min(seconds, 60) : seconds;
      headers['Cache-Control'] = `max-age=${age}, public, no-transform, must-revalidate`;
      headers['Expires'] = new Date(untilMs).toUTCString();
    }
    if (madeMs !== undefined) headers['Last-Modified'] = new Date(madeMs).toUTCString();
    if (tag !== undefined) headers['ETag'] = tag;
    if (tag !== undefined && request.headers['if-none-match'] === tag) {
      response.writeHead(304, headers).end();
      return;
    }
    headers['Content-Length'] = body.length;
    response.writeHead(200, headers);
    if (request.method === 'HEAD') response.end();
    else {
      this.#bytes += body.length;
      response.end(body);
    }
  }

  #tagOf(body: Uint8Array): string {
    let tag = this.#tags.get(body);
    if (tag === undefined) {
      tag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
      this.#tags.set(body, tag);
    }
    return tag;
  }
}

function refuse(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'Content-Length': 0, 'Cache-Control': 'no-store', ...headers }).end();
}

// The management interface over HTTP. Two questions are open to everyone who reaches the port: is the process alive, and is it ready.
// Everything else wants credentials. What changes something is below /api/v1 (api/), which is loaded when it is first asked.

import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createHttpsServer, Server as HttpsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { SecureContext, SecureContextOptions, TLSSocket } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { MetricSource, Sample } from '../base/metrics.ts';
import { UserError } from '../base/user-error.ts';
import type { Security } from '../security/security.ts';
import type { Api, ApiOptions } from './api/api.ts';
import type { Identification } from './api/caller.ts';
import type { Permission } from './api/permission.ts';
import { sendJson, sendProblem, sendText } from './answer.ts';
import { ClientCertificates, type ClientCertificateTerms } from './client-certificates.ts';
import { FailureBrake } from './failure-brake.ts';
import { challengeHeader, proofOf } from './local-access.ts';
import { Gatekeeper, visitorOf, type FindTokenOwner, type Visitor } from './gatekeeper.ts';
import { ProcessMetrics } from './process-metrics.ts';
import { prometheusContentType, renderMetrics } from './prometheus.ts';
import { Standing } from './standing.ts';
import { imbalanceOf } from './status.ts';
import type { Status } from './status.ts';
import type { TraceHub } from './trace-hub.ts';
import { TraceStreams } from './trace-stream.ts';

export type AdminSources = {
  /** Refreshed at each request where it can be: nothing else may have happened for long. */
  readonly clock: Clock & { refresh?(): void };
  readonly log: Log;
  readonly security: Security;
  /** Asked anew at each request, so that rooms which start later are in it. */
  readonly metrics: () => Iterable<MetricSource>;
  /** Why the node does not serve now (starting, draining, the store is stalled…); empty when it does. */
  readonly notReady: () => readonly string[];
  readonly status: () => Status;
  readonly traces: TraceHub;
  /** Answers what is below /v1/: the messaging API, with --dev. */
  readonly messages?: (request: IncomingMessage, response: ServerResponse, listener: string, secure: boolean) => void;
  /** Accepted as bearer token; undefined: none is. */
  readonly token: string | undefined;
  /** Whose API token a bearer token is; absent: there are none. */
  readonly tokenOwner?: FindTokenOwner;
  /** Makes what answers below /api/v1; called at the first such request. */
  readonly api?: (options: ApiOptions) => Promise<Api>;
};

export type AdminTls = {
  /** PEM. */
  readonly certificate: string;
  readonly privateKey: string;
  readonly minVersion?: '1.2' | '1.3';
  /** What else may be agreed on: ciphers, groups. */
  readonly parameters?: SecureContextOptions;
  /** By the host name that a client asks for; undefined: the certificate above. */
  readonly contextFor?: (serverName: string) => SecureContext | undefined;
  /** A handshake has failed. */
  readonly failed?: (error: Error, socket: TLSSocket, listener: string) => void;
  /** Absent: clients are not asked for one. */
  readonly clientCertificates?: {
    readonly isRequired: boolean;
    /** PEM. */
    readonly authorities: readonly string[];
  } & ClientCertificateTerms;
};

export type AdminListener = { readonly name: string; readonly host: string; readonly port: number; readonly tls?: AdminTls };

export interface AdminServer extends MetricSource {
  /** Opens one more listener and returns the port, which the system chose if it was 0. @throws UserError when it cannot */
  listen(listener: AdminListener): Promise<number>;
  /** New connections of this HTTPS listener get this certificate. */
  useTls(listener: string, tls: AdminTls): void;
  /** Ends what is open. May be called again. */
  close(): Promise<void>;
}

export function createAdminServer(sources: AdminSources): AdminServer {
  return new HttpAdmin(sources);
}

const limits = {
  connections: 128,
  headersMs: 10_000,
  /** Until a request is there with its body; a file that is taken may go on, as long as something comes. */
  requestMs: 10_000,
  fileIdleMs: 60_000,
  keepAliveMs: 5_000,
  /** No request here needs a body. */
  bodyBytes: 16 * 1024,
};

type Route = {
  /** Undefined: everybody may ask. */
  readonly permission: Permission | undefined;
  readonly answer: (response: ServerResponse, request: IncomingMessage, query: URLSearchParams) => void | Promise<void>;
};

/** A stream without end, which the API's answers are not. */
const tracePath = '/api/v1/trace';

class HttpAdmin implements AdminServer {
  readonly #sources: AdminSources;
  readonly #gatekeeper: Gatekeeper;
  readonly #process = new ProcessMetrics();
  readonly #streams: TraceStreams;
  readonly #standing: Standing;
  readonly #responses = new WeakMap<IncomingMessage, ServerResponse>();
  readonly #servers = new Map<string, Server>();
  readonly #visitors = new WeakMap<IncomingMessage, Visitor>();
  readonly #clients = new ClientCertificates();
  /** Requests that must be complete in time, or end. */
  readonly #unhurried = new WeakSet<IncomingMessage>();
  /** By the name of the listener. */
  readonly #tls = new Map<string, AdminTls>();
  #api: Promise<Api> | undefined;
  #openApi: Api | undefined;
  readonly #counts = new Map<number, number>();
  readonly #routes: ReadonlyMap<string, Route>;

  constructor(sources: AdminSources) {
    this.#sources = sources;
    this.#gatekeeper = new Gatekeeper(sources.security, new FailureBrake(sources.clock), sources.token, sources.tokenOwner);
    this.#streams = new TraceStreams(sources.traces);
    this.#standing = new Standing(sources.clock, sources.log);
    const trace: Route = { permission: 'trace:read', answer: (response, request, query) => this.#streams.serve(request, response, query) };
    this.#routes = new Map<string, Route>([
      ['/healthz', { permission: undefined, answer: (response, request) => this.#sendAlive(response, request) }],
      ['/readyz', { permission: undefined, answer: (response) => this.#sendReadiness(response) }],
      ['/metrics', { permission: 'metrics:read', answer: (response) => this.#sendMetrics(response) }],
      ['/api/status', { permission: 'status:read', answer: (response) => this.#sendStatus(response) }],
      ['/api/trace', trace],
      [tracePath, trace],
    ]);
    this.#process.start();
  }

  async listen({ name, host, port, tls }: AdminListener): Promise<number> {
    // How long a request may take depends on what it is: #hurry sees to that.
    const options = { headersTimeout: limits.headersMs, requestTimeout: 0, keepAliveTimeout: limits.keepAliveMs };
    if (tls !== undefined) this.#tls.set(name, tls);
    const server =
      tls === undefined
        ? createHttpServer(options)
        : createHttpsServer({ ...options, ...contextOf(tls), SNICallback: this.#contextIn(name) });
    server.maxConnections = limits.connections;
    server.on('secureConnection', (socket: TLSSocket) => {
      const wanted = this.#tls.get(name)?.clientCertificates;
      if (wanted !== undefined) this.#clients.secured(socket, name, wanted);
    });
    server.on('tlsClientError', (error: Error, socket: TLSSocket) => this.#tls.get(name)?.failed?.(error, socket, name));
    server.on('request', (request, response) => {
      response.once('close', () => this.#counts.set(response.statusCode, (this.#counts.get(response.statusCode) ?? 0) + 1));
      this.#clients.whenJudged(request.socket, () => this.#handle(request, response, name, tls !== undefined));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        const isTaken = error.code === 'EADDRINUSE';
        reject(
          new UserError(
            `The management interface cannot listen on ${host}, port ${port}: ${isTaken ? 'the port is in use' : error.message}.`,
            {
              where: `listeners.${name}`,
              fix: isTaken ? 'stop what uses the port, or choose another one (--port-offset N shifts all)' : 'choose another host or port',
              cause: error,
            },
          ),
        );
      });
      server.listen({ host, port }, resolve);
    });
    // From now on an error is one connection that could not be taken (no file descriptor left…).
    server.on('error', (error) => this.#sources.log.warn('admin.accept.failed', { listener: name, error: error.message }));
    this.#servers.set(name, server);
    return (server.address() as AddressInfo).port;
  }

  #contextIn(listener: string): NonNullable<ServerOptions['SNICallback']> {
    return (serverName, done) => done(null, this.#tls.get(listener)?.contextFor?.(serverName));
  }

  useTls(listener: string, tls: AdminTls): void {
    this.#tls.set(listener, tls);
    const server = this.#servers.get(listener);
    if (server instanceof HttpsServer) server.setSecureContext(contextOf(tls));
  }

  async close(): Promise<void> {
    this.#process.stop();
    this.#streams.close();
    const servers = [...this.#servers.values()];
    this.#servers.clear();
    await Promise.all(
      servers.map((server) => {
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        server.closeAllConnections();
        return closed;
      }),
    );
    await (await this.#api?.catch(() => undefined))?.close();
    this.#api = undefined;
    this.#openApi = undefined;
  }

  *metrics(): Iterable<Sample> {
    const name = 'heliograph_admin_requests_total';
    for (const [status, value] of this.#counts) {
      yield { name, help: 'Requests to the management interface.', type: 'counter', labels: { status: String(status) }, value };
    }
    if (this.#openApi !== undefined) yield* this.#openApi.metrics();
    yield { name: 'heliograph_admin_traces', help: 'Clients being watched.', type: 'gauge', value: this.#sources.traces.watchers };
  }

  #handle(request: IncomingMessage, response: ServerResponse, listener: string, secure: boolean): void {
    this.#sources.clock.refresh?.();
    if (this.#sources.messages !== undefined && request.url?.startsWith('/v1/') === true) {
      return this.#sources.messages(request, response, listener, secure);
    }
    // Both ends report here when a peer goes away in the middle; there is nobody left to tell.
    request.on('error', () => {});
    response.on('error', () => {});
    this.#hurry(request, response);
    this.#responses.set(request, response);
    this.#visitors.set(request, visitorOf(request, listener, secure, this.#clients.of(request.socket)));
    const isForApi = request.url?.startsWith('/api/v1/') === true && request.url.split('?')[0] !== tracePath;
    if (isForApi && this.#sources.api !== undefined) return void this.#askApi(request, response);
    if (!this.#takesBody(request, response)) return;
    const url = URL.parse(request.url ?? '', 'http://admin');
    if (url === null || !request.url!.startsWith('/')) return sendProblem(response, 400, 'The address cannot be read.');
    const route = this.#routes.get(url.pathname);
    if (route === undefined) return sendProblem(response, 404, `There are: ${[...this.#routes.keys()].join(', ')}, and /api/v1`);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return sendProblem(response, 405, 'Only GET and HEAD are possible here.', { Allow: 'GET, HEAD' });
    }
    const { permission } = route;
    if (permission === undefined) return this.#answer(route, request, response, url.searchParams);
    void this.#identify(request, permission).then((found) => {
      if (response.destroyed) return undefined;
      if (found.ok && found.caller.may(permission)) return this.#answer(route, request, response, url.searchParams);
      const { status, detail, retrySeconds } = found.ok ? mayNot : found;
      const headers: Record<string, string> = {};
      if (status === 401) headers['WWW-Authenticate'] = 'Basic realm="heliograph", charset="UTF-8"';
      if (retrySeconds !== undefined) headers['Retry-After'] = String(retrySeconds);
      return sendProblem(response, status, detail, headers);
    });
  }

  /** Who is let in is looked at again as long as the answer lasts. */
  #identify(request: IncomingMessage, permission?: Permission): Promise<Identification> {
    return new Promise((resolve) => {
      this.#gatekeeper.identify(this.#visitors.get(request)!, (found) => {
        if (found.ok) this.#standing.watch(this.#responses.get(request)!, found.caller, permission);
        resolve(found);
      });
    });
  }

  async #askApi(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      this.#api ??= this.#sources.api!({
        identify: (asked) => this.#identify(asked),
        describe: true,
        takesFile: (asked) => {
          this.#unhurried.add(asked);
          asked.setTimeout(limits.fileIdleMs, () => asked.destroy());
        },
      });
      this.#openApi = await this.#api;
      this.#openApi.handle(request, response);
    } catch (error) {
      this.#api = undefined;
      this.#sources.log.error('admin.api.failed', { error: (error as Error).stack });
      sendProblem(response, 500, 'This should not have happened; the log says more.');
    }
  }

  /** Who sends a request slower than anybody would must not keep the connection. */
  #hurry(request: IncomingMessage, response: ServerResponse): void {
    const timer = setTimeout(() => {
      if (!request.complete && !this.#unhurried.has(request)) request.destroy();
    }, limits.requestMs).unref();
    response.once('close', () => clearTimeout(timer));
  }

  /** A body means nothing here: a small one is read over, a large one ends the connection. */
  #takesBody(request: IncomingMessage, response: ServerResponse): boolean {
    const refuse = (): void => {
      if (!response.headersSent) sendProblem(response, 413, 'A request here has no body.', { Connection: 'close' });
      else request.destroy();
    };
    if (Number(request.headers['content-length'] ?? 0) > limits.bodyBytes) {
      refuse();
      return false;
    }
    let bytes = 0;
    request.on('data', (chunk: Uint8Array) => {
      bytes += chunk.length;
      if (bytes > limits.bodyBytes) refuse();
    });
    return true;
  }

  #answer(route: Route, request: IncomingMessage, response: ServerResponse, query: URLSearchParams): void {
    void this.#tryToAnswer(route, request, response, query);
  }

  /** A fault of ours in a report must not stop the broker. */
  async #tryToAnswer(route: Route, request: IncomingMessage, response: ServerResponse, query: URLSearchParams): Promise<void> {
    try {
      await route.answer(response, request, query);
    } catch (error) {
      this.#sources.log.error('admin.request.failed', { path: request.url?.split('?')[0], error: (error as Error).stack });
      if (response.headersSent) response.destroy();
      else sendProblem(response, 500, 'This should not have happened; the log says more.');
    }
  }

  #sendAlive(response: ServerResponse, { headers }: IncomingMessage): void {
    const { token } = this.#sources;
    const proof = token === undefined ? undefined : proofOf(token, headers[challengeHeader]);
    sendJson(response, 200, { status: 'alive', proof });
  }

  #sendReadiness(response: ServerResponse): void {
    const reasons = this.#sources.notReady();
    sendJson(response, reasons.length === 0 ? 200 : 503, { ready: reasons.length === 0, reasons });
  }

  async #sendMetrics(response: ServerResponse): Promise<void> {
    await this.#process.refresh();
    sendText(response, 200, prometheusContentType, renderMetrics([this.#process, this, ...this.#sources.metrics()]));
  }

  #sendStatus(response: ServerResponse): void {
    const status = this.#sources.status();
    sendJson(response, 200, { ...status, ledger: { ...status.ledger, imbalance: imbalanceOf(status.ledger) } });
  }
}

const mayNot: Extract<Identification, { ok: false }> = { ok: false, status: 403, detail: 'This user may not manage the node.' };

function contextOf({ certificate, privateKey, minVersion = '1.2', parameters, clientCertificates }: AdminTls): ServerOptions {
  const own = { ...parameters, cert: certificate, key: privateKey, minVersion: `TLSv${minVersion}` } as const;
  if (clientCertificates === undefined) return own;
  const { isRequired, authorities } = clientCertificates;
  // Without a list of its own Node would trust every public authority to name our administrators.
  return { ...own, ca: [...authorities], requestCert: true, rejectUnauthorized: isRequired };
}

// The management API as one application: it is asked over HTTP by the node's management interface, and in process by commands that
// find no node. Who asks is found out by `identify`; everything else is decided here and in the routes.

import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { addressKey } from '../../base/address-key.ts';
import type { MetricSource, Sample } from '../../base/metrics.ts';
import { defaultTenant } from '../../message/names.ts';
import { Approvals, type StoredRequest } from './approvals.ts';
import type { Caller, Identification } from './caller.ts';
import { Idempotency, type KeptAnswer } from './idempotency.ts';
import { InputCheck, isTooDeep } from './input.ts';
import { openApiOptions, routeSchema, withProblems } from './openapi.ts';
import { forbidden, Problem } from './problem.ts';
import { RateLimit } from './rate-limit.ts';
import { RefusalRecord } from './refusal-record.ts';
import type { Answer, Call, Input, RouteSpec } from './route.ts';
import { allRoutes } from './routes.ts';
import type { ApiServices } from './services.ts';

export const apiPrefix = '/api/v1';

/** JSON bodies; files have no limit. */
const maxBodyBytes = 256 * 1024;
/** Of a name in the path, percent-decoded: client ids and topics are long. */
const maxPathParameter = 65_535;

export type Identify = (request: IncomingMessage) => Promise<Identification>;

export interface Api extends MetricSource {
  /** For a request whose path begins with `/api/v1/`. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Answers a request of this process; `identify` sees it like any other. */
  readonly inject: FastifyInstance['inject'];
  /** OpenAPI 3.1, of the routes as they are. */
  description(): object;
  close(): Promise<void>;
}

export type ApiOptions = {
  readonly identify: Identify;
  /** Serves its own description; costs some milliseconds at the start. */
  readonly describe: boolean;
  /** Told of each request whose body is a file, which takes its time. */
  readonly takesFile?: (request: IncomingMessage) => void;
};

export async function createApi(services: ApiServices, options: ApiOptions): Promise<Api> {
  const app = fastify({
    logger: false,
    bodyLimit: maxBodyBytes,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: maxPathParameter },
    forceCloseConnections: true,
    // A path that cannot be decoded, among others, reaches no route and no error handler.
    frameworkErrors: (_error, _request, reply) => void sendProblem(reply, new Problem(400, 'unreadable', 'the address cannot be read')),
  });
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.setValidatorCompiler(() => () => true);
  if (options.describe) await app.register((await import('@fastify/swagger')).default, openApiOptions());
  for (const type of ['application/x-ndjson', 'text/csv']) app.addContentTypeParser(type, (_request, payload, take) => take(null, payload));
  const server = new ApiServer(services, options);
  app.setErrorHandler((error, request, reply) => server.failed(error as Error, request, reply));
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, new Problem(404, 'not-found', 'there is nothing under this path')));
  await app.register(
    async (scope) => {
      server.addAll(scope);
      if (!options.describe) return;
      let text: string | undefined;
      scope.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => {
        text ??= `${JSON.stringify(withProblems(app.swagger()))}\n`;
        return plain(reply).type('application/json').send(Buffer.from(text));
      });
    },
    { prefix: apiPrefix },
  );
  await app.ready();
  return {
    handle: (request, response) => app.routing(request, response),
    inject: app.inject.bind(app) as FastifyInstance['inject'],
    description: () => withProblems(app.swagger()),
    metrics: () => server.metrics(),
    close: () => app.close(),
  };
}

type Checks = { readonly params?: InputCheck; readonly query?: InputCheck; readonly body?: InputCheck };

/** `/devices/{id}` as the router writes it; a colon of ours is doubled. */
function routerPath(path: string): string {
  return path.replaceAll(':', '::').replaceAll(/\{(\w+)\}/g, ':$1');
}

class ApiServer {
  readonly #services: ApiServices;
  readonly #options: ApiOptions;
  readonly #idempotency: Idempotency;
  readonly #approvals: Approvals;
  readonly #rates: RateLimit;
  readonly #refusals: RefusalRecord;
  /** By operation. */
  readonly #routes = new Map<string, { readonly spec: RouteSpec; readonly checks: Checks }>();

  constructor(services: ApiServices, options: ApiOptions) {
    this.#services = services;
    this.#options = options;
    this.#idempotency = new Idempotency(services.clock);
    this.#approvals = new Approvals(services, (operation, input) => this.#recheck(operation, input));
    this.#refusals = new RefusalRecord(services.clock);
    this.#rates = new RateLimit(services.clock, () => services.settings().requestsPerSecond);
  }

  *metrics(): Iterable<Sample> {
    const { answers, bytes } = this.#idempotency.held;
    const one = (name: string, type: 'counter' | 'gauge', help: string, value: number): Sample => ({
      name: `heliograph_api_${name}`,
      help,
      type,
      value,
    });
    yield one('rate_limited_total', 'counter', 'Requests to /api/v1 that came too early.', this.#rates.refused);
    const leftOut = 'Refusals that stand in the audit log as a number only, because there were too many.';
    yield one('unrecorded_refusals_total', 'counter', leftOut, this.#refusals.leftOut);
    yield one('remembered_answers', 'gauge', 'Answers that are remembered under an Idempotency-Key.', answers);
    yield one('remembered_answer_bytes', 'gauge', 'Bytes of these answers.', bytes);
  }

  addAll(app: FastifyInstance): void {
    for (const spec of allRoutes(this.#approvals)) {
      this.#routes.set(spec.operation, { spec, checks: checksOf(spec) });
      this.#add(app, spec, this.#routes.get(spec.operation)!.checks);
    }
  }

  #recheck(operation: string, input: StoredRequest['input']): { spec: RouteSpec; input: Input<never, never, never> } | Problem {
    const known = this.#routes.get(operation);
    // Stored by another version, which knew a route that is gone.
    if (known === undefined) return new Problem(409, 'unknown-operation', 'this version does not know what is asked: ask again');
    const checked = checkedInput(known.checks, input);
    return checked instanceof Problem ? checked : { spec: known.spec, input: checked as Input<never, never, never> };
  }

  #add(app: FastifyInstance, spec: RouteSpec, checks: Checks): void {
    const calls = new WeakMap<FastifyRequest, Call>();
    app.route({
      method: spec.method,
      url: routerPath(spec.path),
      schema: routeSchema(spec),
      // Before the body is read: who may not ask does not make us read it.
      onRequest: async (request, reply) => {
        const call = await this.#admit(spec, request);
        if (call instanceof Problem) return sendProblem(reply, call);
        calls.set(request, call);
        return undefined;
      },
      handler: (request, reply) => this.#answer(spec, checks, request, reply, calls.get(request)!),
    });
  }

  failed(error: Error & { readonly statusCode?: number }, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const { statusCode = 500 } = error;
    // What fastify says of a request that it cannot read: its body, its length, its type.
    if (statusCode < 500) return sendProblem(reply, new Problem(statusCode, 'unreadable', error.message));
    this.#services.log.error('admin.request.failed', { path: request.url.split('?')[0], error: error.stack });
    return sendProblem(reply, new Problem(500, 'bug', 'this should not have happened; the log says more'));
  }

  /** Who asks, and whether this route and this tenant are theirs. */
  async #admit(spec: RouteSpec, request: FastifyRequest): Promise<Call | Problem> {
    const from = addressOf(request);
    const early = this.#tooMany(`address ${addressKey(request.raw.socket.remoteAddress ?? '')}`);
    if (early !== undefined) return early;
    if (spec.method !== 'GET' && isCrossSite(request)) return forbidden('another web site asks; it must not');
    const identified = await this.#options.identify(request.raw);
    if (!identified.ok) return refusedAtDoor(identified);
    const { caller } = identified;
    const late = this.#tooMany(`caller ${caller.name}`);
    if (late !== undefined) return late;
    const { tenant = caller.tenant } = request.query as { tenant?: string };
    const refuse = (problem: Problem): Problem => {
      this.#record(spec, caller, from, targetWithout(spec, request, tenant), 'refused', { status: problem.status, code: problem.code });
      return problem;
    };
    if (typeof tenant !== 'string') return new Problem(422, 'invalid', 'tenant is given twice', { field: 'tenant' });
    if (!caller.may(spec.permission)) return refuse(forbidden(`you may not: it wants the permission manage on ${spec.permission}`));
    const isSystemWide = caller.isSystemWide(spec.method === 'GET' ? 'read' : 'write');
    if (spec.scope === 'system' && !isSystemWide) return refuse(forbidden('only administrators of the whole system may'));
    // What belongs to the node as a whole is no tenant's but the first one's.
    if (spec.scope === 'node' && caller.tenant !== defaultTenant) return refuse(forbidden('this is not a matter of a tenant'));
    if (!isSystemWide && tenant !== caller.tenant) return refuse(new Problem(404, 'unknown-tenant', 'there is no such tenant'));
    const ifMatch = versionOf(request.headers['if-match']);
    if (ifMatch instanceof Problem) return ifMatch;
    if (spec.takes !== undefined) this.#options.takesFile?.(request.raw);
    return { caller, tenant, from, ifMatch, services: this.#services };
  }

  #tooMany(key: string): Problem | undefined {
    const seconds = this.#rates.take(key);
    return seconds === 0 ? undefined : new Problem(429, 'too-many-requests', 'too many requests', {}, { 'Retry-After': String(seconds) });
  }

  async #answer(spec: RouteSpec, checks: Checks, request: FastifyRequest, reply: FastifyReply, call: Call): Promise<FastifyReply> {
    const input = inputOf(spec, checks, request);
    if (input instanceof Problem) return this.#refused(spec, request, reply, call, input);
    const key = request.headers['idempotency-key'];
    if (spec.method !== 'POST' || key === undefined || spec.takes !== undefined) {
      return sendAnswer(reply, await this.#perform(spec, input, call), spec);
    }
    if (typeof key !== 'string' || key === '' || key.length > 255) {
      return sendProblem(reply, new Problem(422, 'invalid', 'an Idempotency-Key has 1 to 255 characters'));
    }
    // Names may hold spaces: joined by one, two callers could mean the same.
    return this.#once(JSON.stringify([call.caller.name, key]), spec, input, call, reply);
  }

  async #once(key: string, spec: RouteSpec, input: Input<never, never, never>, call: Call, reply: FastifyReply): Promise<FastifyReply> {
    const fingerprint = createHash('sha256')
      .update(JSON.stringify([spec.operation, call.tenant, input]))
      .digest('base64');
    const known = this.#idempotency.begin(key, fingerprint);
    if (known instanceof Problem) return sendProblem(reply, known);
    if (known !== undefined) return sendKept(reply, known);
    let kept: KeptAnswer | undefined;
    try {
      kept = keptOf(await this.#perform(spec, input, call));
    } finally {
      this.#idempotency.finish(key, kept !== undefined && kept.status < 500 && kept.status !== 429 ? kept : undefined);
    }
    return sendKept(reply, kept);
  }

  #refused(spec: RouteSpec, request: FastifyRequest, reply: FastifyReply, call: Call, problem: Problem): FastifyReply {
    if (spec.audit !== undefined) {
      const target = targetWithout(spec, request, call.tenant);
      this.#record(spec, call.caller, call.from, target, 'refused', { status: problem.status, code: problem.code });
    }
    return sendProblem(reply, problem);
  }

  /** Does it, or asks for a second person; either way the audit log is told. */
  async #perform(spec: RouteSpec, input: Input<never, never, never>, call: Call): Promise<Answer | Problem> {
    if (spec.method !== 'GET') await call.services.policiesReady?.(call.tenant);
    const forbids = spec.forbids?.(input, call);
    const wantsSecond =
      forbids === undefined &&
      spec.duty !== undefined &&
      call.services.settings().separationOfDuties &&
      (spec.duty.applies?.(input) ?? true);
    const outcome = forbids ?? (wantsSecond ? await this.#approvals.request(spec, input, call) : await this.#handled(spec, input, call));
    if (spec.audit === undefined) return outcome;
    const target = spec.audit.target(input, call.tenant);
    if (wantsSecond && !(outcome instanceof Problem)) return outcome;
    if (outcome instanceof Problem) {
      // What the route itself forbids never reached the callee.
      if (spec.audit.byCallee === true && outcome.status !== 403) return outcome;
      const { status, code } = outcome;
      this.#record(spec, call.caller, call.from, target, status < 500 ? 'refused' : 'failed', { status, code });
    } else if (spec.audit.byCallee !== true) this.#record(spec, call.caller, call.from, target, 'done', outcome.details);
    return outcome;
  }

  async #handled(spec: RouteSpec, input: Input<never, never, never>, call: Call): Promise<Answer | Problem> {
    try {
      return await spec.handle(input, call);
    } catch (error) {
      this.#services.log.error('admin.request.failed', { operation: spec.operation, error: (error as Error).stack });
      return new Problem(500, 'bug', 'this should not have happened; the log says more');
    }
  }

  #record(
    spec: RouteSpec,
    caller: Caller,
    from: string,
    target: string,
    outcome: 'done' | 'refused' | 'failed',
    details?: Readonly<Record<string, string | number | boolean>>,
  ): void {
    const action = spec.audit?.action ?? spec.permission.replace(':', '.');
    const leftOut = outcome === 'refused' ? this.#refusals.take(caller.name) : 0;
    if (leftOut === undefined) return;
    const facts = leftOut === 0 ? details : { ...details, leftOut };
    this.#services.audit.record({ actor: caller.actor, action, target, from, outcome, ...(facts !== undefined && { details: facts }) });
  }
}

function addressOf({ raw }: FastifyRequest): string {
  const { remoteAddress, remotePort } = raw.socket;
  // Asked in process, there is no port.
  return remoteAddress === undefined || remotePort === undefined
    ? ''
    : `${remoteAddress.includes(':') ? `[${remoteAddress}]` : remoteAddress}:${remotePort}`;
}

/** A page of another site makes the browser ask with what it remembers: its word is in these headers (Fetch Metadata, RFC 6454). */
function isCrossSite({ headers }: FastifyRequest): boolean {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true;
  return origin !== undefined && URL.parse(origin)?.host !== host;
}

function refusedAtDoor({ status, detail, retrySeconds }: Extract<Identification, { ok: false }>): Problem {
  const headers: Record<string, string> = {};
  if (status === 401) headers['WWW-Authenticate'] = 'Basic realm="heliograph", charset="UTF-8"';
  if (retrySeconds !== undefined) headers['Retry-After'] = String(retrySeconds);
  const codes = { 401: 'unauthenticated', 403: 'forbidden', 429: 'too-many-requests', 503: 'unavailable' } as const;
  return new Problem(status, codes[status], detail, {}, headers);
}

/** RFC 9110 §13.1.1: only strong tags, and ours are versions. */
function versionOf(header: string | undefined): number | undefined | Problem {
  if (header === undefined || header.trim() === '*') return undefined;
  const found = /^"(\d{1,16})"$/.exec(header.trim());
  return found === null ? new Problem(412, 'conflict', 'If-Match names no version of this') : Number(found[1]);
}

function inputOf(spec: RouteSpec, checks: Checks, request: FastifyRequest): Input<never, never, never> | Problem {
  const { tenant: _, ...query } = request.query as Record<string, unknown>;
  if (spec.takes === undefined && isTooDeep(request.body)) return new Problem(422, 'invalid', 'the body is nested too deep');
  const checked = checkedInput(checks, { params: request.params, query, ...(spec.takes === undefined && { body: request.body }) });
  if (checked instanceof Problem || spec.takes === undefined) return checked as Input<never, never, never> | Problem;
  if (!(request.body instanceof Readable)) return new Problem(415, 'unreadable', `send one of ${spec.takes.join(', ')}`);
  return { ...checked, file: request.body } as unknown as Input<never, never, never>;
}

function checksOf(spec: RouteSpec): Checks {
  return {
    ...(spec.params && { params: new InputCheck('params', spec.params) }),
    ...(spec.query && { query: new InputCheck('query', spec.query) }),
    ...(spec.body && { body: new InputCheck('body', spec.body) }),
  };
}

function checkedInput(checks: Checks, given: StoredRequest['input']): Record<string, unknown> | Problem {
  const result: Record<string, unknown> = { params: undefined, query: undefined, body: undefined };
  for (const part of ['params', 'query', 'body'] as const) {
    const value = given[part];
    const check = checks[part];
    if (check !== undefined) {
      const checked = check.check(value);
      if (checked instanceof Problem) return checked;
      result[part] = checked.value;
    } else if (value !== undefined && value !== null && Object.keys(value).length > 0) {
      const what = part === 'body' ? 'this wants no body' : `"${Object.keys(value)[0]!.slice(0, 64)}" is not known here`;
      return new Problem(422, 'invalid', what);
    }
  }
  return result;
}

/** The target as far as it can be told before the input was checked. */
function targetWithout(spec: RouteSpec, request: FastifyRequest, tenant: string): string {
  const kind = spec.audit?.action.split('.')[0] ?? spec.path.split(/[/:]/)[1]!;
  const { id } = request.params as { id?: string };
  const scope = spec.scope !== 'tenant' ? [] : [tenant.slice(0, 128)];
  return [kind, ...scope, ...(id === undefined ? [] : [id.slice(0, 128)])].join('/');
}

function headersOf({ version, location }: Answer): Record<string, string> {
  return {
    ...(version !== undefined && { etag: `"${version}"` }),
    ...(location !== undefined && { location: `${apiPrefix}${location}` }),
  };
}

function keptOf(outcome: Answer | Problem): KeptAnswer {
  if (outcome instanceof Problem) {
    const headers = { ...outcome.headers, 'content-type': 'application/problem+json' };
    return { status: outcome.status, headers, body: `${JSON.stringify(outcome.document())}\n` };
  }
  const body = outcome.body === undefined ? '' : `${JSON.stringify(outcome.body)}\n`;
  return { status: outcome.status, headers: { ...headersOf(outcome), ...(body !== '' && { 'content-type': 'application/json' }) }, body };
}

function sendKept(reply: FastifyReply, { status, headers, body }: KeptAnswer): FastifyReply {
  return plain(reply)
    .code(status)
    .headers(headers)
    .send(body === '' ? undefined : Buffer.from(body));
}

function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  return sendKept(reply, keptOf(problem));
}

function sendAnswer(reply: FastifyReply, outcome: Answer | Problem, spec: RouteSpec): FastifyReply {
  if (outcome instanceof Problem || outcome.stream === undefined) return sendKept(reply, keptOf(outcome));
  const type = outcome.contentType ?? spec.gives ?? 'application/octet-stream';
  return plain(reply)
    .code(outcome.status)
    .headers({ ...headersOf(outcome), 'content-type': type })
    .send(Readable.from(outcome.stream));
}

function plain(reply: FastifyReply): FastifyReply {
  return reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
}

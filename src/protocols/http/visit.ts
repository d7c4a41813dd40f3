// One connection: who speaks on it, and which resource answers each request. A password or token is checked when it is seen first on
// the connection; until what it proved ends, the same header stands for the same principal.

import { Outcome } from '../../broker/port.ts';
import type { AuthenticationResult } from '../../security/security.ts';
import type { HttpExchange, HttpPeer, HttpVisit } from '../http-exchange.ts';
import { answerBatch } from './batch.ts';
import { challenges, credentialsOf, saidBy } from './credentials.ts';
import { openEventStream } from './event-stream.ts';
import { answerLastValue } from './last-value.ts';
import { Member } from './member.ts';
import { isLocalOrAddress, isSentFromElsewhere, judgeOrigin, preflightHeaders } from './origins.ts';
import { badRequest, notFound, problemOf, type Problem } from './problem.ts';
import { publishTo } from './publishing.ts';
import { answerQueueVerb } from './queue-requests.ts';
import { noHeaders, Request } from './request.ts';
import type { HttpServer } from './server.ts';
import { answerSubscriptionVerb, openNamedStream } from './named-subscription.ts';
import { methodsOf, targetOf, type Target } from './target.ts';

/** Principals that one connection may speak for at a time: a proxy in front of us has many. */
const maxMembers = 64;
/** Checked at a time: requests can be taken back while what they showed is still being checked, so they alone bound nothing. */
const maxChecks = 16;
/** Refused credentials after which a connection ends: guessing costs a connection, too. */
const maxFailures = 5;

type Entry = { readonly member: Member; isReady: boolean };

export class Visit implements HttpVisit {
  readonly peer: HttpPeer;
  readonly #server: HttpServer;
  readonly #members = new Map<string, Entry>();
  readonly #checks = new Map<string, ((member: Member | Problem) => void)[]>();
  /** What goes on until somebody ends it. */
  readonly #lasting = new Set<{ shutDown(): void }>();
  #open = 0;
  #failures = 0;
  #isOver = false;
  #isFlooding = false;

  constructor(server: HttpServer, peer: HttpPeer) {
    this.#server = server;
    this.peer = peer;
    server.counters.connections++;
  }

  // --- the connection

  request(exchange: HttpExchange): void {
    const { counters, options } = this.#server;
    if (this.#isOver || this.#isFlooding) return;
    counters.requests++;
    if (this.#open >= options.maxOpenRequests) {
      counters.cut.flood++;
      this.#isFlooding = true;
      this.peer.abort();
      return;
    }
    this.#open++;
    const { facts } = this.peer;
    const origin = exchange.header('origin');
    const verdict = judgeOrigin(options.corsOrigins, origin, exchange.header('host'), facts.secure);
    const request = new Request(this.#server, exchange, this, verdict.kind === 'allowed' ? verdict.headers : noHeaders, () => this.#open--);
    // With all other methods a page's origin is there.
    const isHidden = origin === undefined && (exchange.method === 'GET' || exchange.method === 'HEAD');
    if (
      verdict.kind === 'refused' ||
      (isHidden && isSentFromElsewhere(exchange.header('sec-fetch-site'), exchange.header('sec-fetch-mode')))
    ) {
      return request.problem(originRefused);
    }
    this.#dispatch(request, targetOf(exchange.path));
  }

  onClosed(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#server.counters.connections--;
    for (const { member } of this.#members.values()) member.detach();
    this.#members.clear();
    this.#checks.clear();
  }

  shutDown(): void {
    for (const each of [...this.#lasting]) each.shutDown();
  }

  /** Told when the node goes down, until the returned function is called. */
  lasts(each: { shutDown(): void }): () => void {
    this.#lasting.add(each);
    return () => this.#lasting.delete(each);
  }

  // --- requests

  #dispatch(request: Request, target: Target): void {
    const { method } = request.exchange;
    if (target.kind === 'unknown') return request.problem(notFound('see /v1/openapi.json for what there is'));
    if (target.kind === 'malformed') return request.problem(badRequest('the path is not UTF-8, percent-encoded'));
    const methods = methodsOf(target);
    if (method === 'OPTIONS') return this.#options(request, methods);
    if (!methods.includes(method)) return request.problem({ ...methodNotAllowed, headers: { Allow: methods.join(', ') } });
    if (target.kind === 'openapi') {
      return request.answer(200, { 'Content-Type': 'application/json', 'Cache-Control': 'max-age=300' }, this.#server.openApi);
    }
    this.#withMember(request, (member) => {
      if (request.isOver) return;
      if (member.isOver) return request.problem(problemOf(Outcome.unavailable)!);
      if (member.principal.kind === 'anonymous' && !isLocalOrAddress(request.exchange.header('host'))) return request.problem(misdirected);
      request.member = member;
      this.#answer(request, target, method);
    });
  }

  #answer(request: Request, target: Target, method: string): void {
    switch (target.kind) {
      case 'topic':
        if (method !== 'GET' && method !== 'HEAD') return publishTo(request, target.topic, method as 'POST' | 'PUT' | 'DELETE');
        if (method === 'GET' && request.wantsStream()) return this.#stream(request, [target.topic]);
        return answerLastValue(request, target.topic);
      case 'streams':
        if (request.wantsStream()) return this.#stream(request, []);
        return request.problem(notAcceptable);
      case 'queue':
        if (target.verb === 'send') return publishTo(request, `$queue/${target.queue}`, 'POST');
        return answerQueueVerb(request, target.queue, target.verb);
      case 'subscription':
        return answerSubscriptionVerb(request, target.name, target.verb);
      case 'batch':
        return answerBatch(request);
      default:
        return request.problem(notFound('there is nothing here'));
    }
  }

  #stream(request: Request, first: readonly string[]): void {
    const filters = [...first, ...request.query.getAll('filter')];
    if (filters.length > this.#server.options.maxFilters) {
      return request.problem(badRequest(`a stream has at most ${this.#server.options.maxFilters} filters`, 'too-many-filters'));
    }
    const name = request.query.get('subscription');
    if (name !== null) return openNamedStream(request, name, filters);
    if (filters.length === 0) return request.problem(badRequest('name a filter in the path, or as ?filter='));
    openEventStream(request, filters);
  }

  #options(request: Request, methods: readonly string[]): void {
    const { exchange } = request;
    const isPreflight = exchange.header('access-control-request-method') !== undefined;
    const { corsMaxAgeSec } = this.#server.options;
    const cors = isPreflight ? preflightHeaders(methods, exchange.header('access-control-request-headers'), corsMaxAgeSec) : noHeaders;
    request.answer(204, { ...cors, Allow: methods.join(', ') });
  }

  // --- who speaks

  #withMember(request: Request, then: (member: Member) => void): void {
    const authorization = request.exchange.header('authorization') ?? '';
    const entry = this.#members.get(authorization);
    if (entry?.isReady === true && entry.member.expiresAtMs > this.#server.clock.wallMs()) {
      entry.member.whenFree(() => then(entry.member));
      return;
    }
    if (entry?.isReady === true) {
      this.#members.delete(authorization);
      entry.member.detach();
    }
    const waiting = this.#checks.get(authorization);
    const waiter = (found: Member | Problem): void => {
      if (found instanceof Member) then(found);
      else request.problem(found);
    };
    if (waiting !== undefined) {
      waiting.push(waiter);
      return;
    }
    if (this.#checks.size >= maxChecks) return request.problem(overloaded);
    this.#checks.set(authorization, [waiter]);
    this.#check(authorization);
  }

  #check(authorization: string): void {
    const { counters, security } = this.#server;
    const said = saidBy(authorization === '' ? undefined : authorization);
    if (said === undefined) return this.#decided(authorization, this.#unauthorized());
    counters.authentications++;
    security.authenticate(credentialsOf(this.peer.facts, said), (result) => {
      if (this.#isOver) return;
      this.#authenticated(authorization, result);
    });
  }

  #authenticated(authorization: string, result: AuthenticationResult): void {
    const { security } = this.#server;
    if (!result.ok) {
      if (result.reason === 'overloaded') return this.#decided(authorization, overloaded);
      return this.#decided(authorization, result.reason === 'banned' ? banned : this.#unauthorized());
    }
    const { principal, expiresAtMs = Infinity } = result;
    if (!security.allows(principal, 'connect', principal.id)) return this.#decided(authorization, mayNotConnect);
    this.#makeRoom();
    const member = new Member(this.#server, principal, expiresAtMs, {
      lost: (reason) => {
        this.#members.delete(authorization);
        if (reason === 'administrative') this.#server.counters.cut.revoked++;
        // What is under way on it has nobody to speak for it any more.
        if (reason !== 'takenOver') this.peer.abort();
      },
    });
    const entry: Entry = { member, isReady: false };
    this.#members.set(authorization, entry);
    member.attach(this.peer.facts, (outcome) => {
      entry.isReady = outcome === Outcome.accepted;
      if (!entry.isReady) this.#members.delete(authorization);
      this.#decided(authorization, problemOf(outcome) ?? member);
    });
  }

  #decided(authorization: string, found: Member | Problem): void {
    const waiting = this.#checks.get(authorization) ?? [];
    this.#checks.delete(authorization);
    for (const waiter of waiting) waiter(found);
    if (found instanceof Member || found.status !== 401) return;
    this.#server.counters.authenticationsFailed++;
    if (++this.#failures >= maxFailures) this.#server.turn.atEnd(() => this.peer.abort());
  }

  #unauthorized(): Problem {
    return { ...unauthorized, headers: { 'WWW-Authenticate': challenges(this.#server.accepts(this.peer.facts.listener)) } };
  }

  /** The one that was idle for longest goes. */
  #makeRoom(): void {
    if (this.#members.size < maxMembers) return;
    for (const [authorization, { member, isReady }] of this.#members) {
      if (!isReady || member.open > 0) continue;
      this.#members.delete(authorization);
      member.detach();
      return;
    }
  }
}

const unauthorized: Problem = { status: 401, code: 'unauthorized', title: 'Say who you are' };
const overloaded: Problem = { status: 503, code: 'overloaded', title: 'Too many are being checked', headers: { 'Retry-After': '1' } };
const banned: Problem = { status: 429, code: 'locked-out', title: 'Too many attempts failed', headers: { 'Retry-After': '60' } };
const mayNotConnect: Problem = { status: 403, code: 'not-authorized', title: 'You may not connect' };
const misdirected: Problem = {
  status: 421,
  code: 'misdirected',
  title: 'Who shows nothing may come by an address or localhost only',
};
const originRefused: Problem = { status: 403, code: 'origin-refused', title: 'Pages of this origin may not use the API' };
const methodNotAllowed: Problem = { status: 405, code: 'method-not-allowed', title: 'This resource does not know the method' };
const notAcceptable: Problem = {
  status: 406,
  code: 'not-acceptable',
  title: 'Only text/event-stream and application/x-ndjson are offered here',
};

// What all resources share, and which request goes where. A request of somebody who is known goes straight to its resource; others wait
// in their client until it is known who they are.

import type { Clock } from '../../../base/clock.ts';
import type { Log } from '../../../base/log.ts';
import type { MetricSource, Sample } from '../../../base/metrics.ts';
import type { Random } from '../../../base/random.ts';
import type { Timer } from '../../../base/timers.ts';
import { type BrokerPort, Outcome } from '../../../broker/port.ts';
import type { Security } from '../../../security/security.ts';
import { Code, type CoapOption, isSegment, optionName, pathSegment, pathStart, textBytes, textValue } from '../codec/index.ts';
import type { CoapPeer, CoapRequest, CoapResponse, Reply, RequestHandler } from '../exchange.ts';
import { Answers, noAnswer, notFound, problem } from './answers.ts';
import { Asked } from './asked.ts';
import { Client } from './client.ts';
import { Counters } from './counters.ts';
import { Discovery } from './discovery.ts';
import { DirectoryResource } from './directory-resource.ts';
import type { Link } from './links.ts';
import { OncePublishers } from './once.ts';
import type { ResourceOptions } from './options.ts';
import type { Mount, ResourceParts } from './parts.ts';
import { PubsubResource } from './pubsub-resource.ts';
import { QueueResource } from './queue-resource.ts';
import { Tenants } from './tenants.ts';
import { TopicResource } from './topic-resource.ts';

const topicsSegment = textBytes('t');
const pubsubSegment = textBytes('ps');
const dataSegment = textBytes('data');
const noProxy = problem(Code.proxyingNotSupported, 'this is no proxy');
const noIfMatch = problem(Code.badOption, 'If-Match is for topics and their data');
const noIfNoneMatch = problem(Code.badOption, 'If-None-Match is for topics and their data');
const letterT = 0x74;

/** The clients of one peer: what it is itself, and the OSCORE contexts it has spoken by. */
type PeerClients = { own: Client | undefined; byContext: Map<string, Client> | undefined };

/** OSCORE contexts of one peer that are told apart at a time; a proxy may speak for many devices. */
const maxContextsPerPeer = 1000;

export class House implements RequestHandler, MetricSource {
  readonly broker: BrokerPort;
  readonly security: Security;
  readonly clock: Clock;
  readonly log: Log;
  readonly timers: ResourceParts['timers'];
  readonly options: ResourceOptions;
  readonly counters = new Counters();
  readonly answers: Answers;
  readonly once: OncePublishers;
  /** For the bytes of a path: used and left within one call. */
  readonly scratch: Uint8Array;
  readonly mounts: readonly Mount[];
  readonly #later: (task: () => void) => void;
  readonly #peers = new Map<CoapPeer, PeerClients>();
  readonly #asked = new Asked();
  readonly #topics: TopicResource;
  readonly #queues: QueueResource;
  readonly #discovery: Discovery;
  readonly #directory: DirectoryResource;
  readonly #pubsub: PubsubResource;
  readonly #tenants: Tenants;
  readonly #random: Random;
  #number = 0;
  #sweep: Timer | undefined = undefined;
  #isClosed = false;

  constructor(parts: ResourceParts) {
    this.broker = parts.broker;
    this.security = parts.security;
    this.clock = parts.clock;
    this.log = parts.log;
    this.timers = parts.timers;
    this.options = parts.options;
    this.mounts = parts.mounts ?? [];
    this.#later = (task) => parts.later(task);
    this.answers = new Answers(parts.options.retryAfterSec);
    this.scratch = new Uint8Array(parts.options.maxTopicBytes);
    this.once = new OncePublishers(this);
    this.#topics = new TopicResource(this);
    this.#queues = new QueueResource(this);
    this.#discovery = new Discovery(this);
    this.#directory = new DirectoryResource(this);
    this.#pubsub = new PubsubResource(this, this.#topics);
    this.#tenants = new Tenants(this);
    this.#random = parts.random;
    this.#sweepLater();
  }

  later(task: () => void): void {
    this.#later(task);
  }

  /** Tells apart what has no name of its own. */
  nextNumber(): number {
    return ++this.#number;
  }

  // --- Requests

  handle(request: CoapRequest, reply: Reply): void {
    const asked = this.#asked;
    const { message } = request;
    asked.read(message.options);
    this.counters.requests[message.code & 0x1f]!++;
    if (asked.bad !== 0 || asked.isProxied) return this.#notUnderstood(request, reply, asked);
    const client = this.#clientOf(request);
    if (client?.session !== undefined && isTopic(request, asked.path)) {
      client.isUsed = true;
      if (client.commands !== undefined) heard(client);
      this.#topics.handle(client, client.session, request, reply, asked);
      return;
    }
    this.#handleOther(request, reply, client);
  }

  #notUnderstood(request: CoapRequest, reply: Reply, { bad, isProxied }: Asked): void {
    if (request.isMulticast) return reply.send(noAnswer);
    if (isProxied) return this.answer(reply, noProxy);
    // RFC 7252 §5.4.1.
    this.answer(reply, problem(Code.badOption, `option ${optionName(bad)} is not understood, or not as it should be`));
  }

  #handleOther(request: CoapRequest, reply: Reply, client: Client): void {
    const { options, code } = request.message;
    const { hasIfMatch, ifNoneMatch } = this.#asked;
    // RFC 7252 §5.10.8: only values have conditions.
    if ((hasIfMatch || ifNoneMatch) && !hasValues(options)) {
      return request.isMulticast ? reply.send(noAnswer) : this.answer(reply, hasIfMatch ? noIfMatch : noIfNoneMatch);
    }
    if (this.#discovery.isAsked(options)) {
      // Whoever has no credentials yet must find out where to get them.
      if (request.isMulticast) return this.#discovery.handle(undefined, request, reply);
    } else {
      // RFC 7252 §8.2.1: what is sent to a group and cannot be answered well is not answered.
      if (request.isMulticast) return reply.send(noAnswer);
      const mount = this.mounts.find(({ path }) => isBelow(request, path));
      if (mount !== undefined) return mount.handler.handle(request, reply);
      if (code === Code.get && pathStart(options) < 0) return this.answer(reply, notFound);
    }
    if (client.session === undefined) client.enter(request, reply);
    else this.route(client, request, reply);
  }

  /** It is known who asks. */
  route(client: Client, request: CoapRequest, reply: Reply): void {
    const { session } = client;
    // It ended while the request waited its turn.
    if (session === undefined) return client.enter(request, reply);
    client.isUsed = true;
    heard(client);
    const asked = this.#asked;
    const { options } = request.message;
    asked.read(options);
    const first = textValue(pathSegment(options, 0) ?? new Uint8Array(0));
    switch (first) {
      case 't':
        return this.#topics.handle(client, session, request, reply, asked);
      case 'q':
        return this.#queues.handle(client, session, request, reply, asked);
      default:
        if (this.#discovery.isAsked(options)) this.#discovery.handle(client, request, reply);
        else this.#routeKept(client, request, reply, first);
    }
  }

  /** To what must be read first, once. */
  #routeKept(client: Client, request: CoapRequest, reply: Reply, first: string | undefined): void {
    const { options } = request.message;
    const isDirectory = first === 'rd' || first === 'rd-lookup' || (first === '.well-known' && isBelow(request, ['.well-known', 'rd']));
    const isOffered = isDirectory ? this.options.maxRegistrations > 0 : first === 'ps' && this.options.maxPubsubTopics > 0;
    if (!isOffered) return this.answer(reply, notFound);
    const tenant = this.#tenants.of(client);
    tenant.keeper.whenLoaded((isLoaded) => {
      const { session } = client;
      if (!isLoaded || session === undefined) return this.answer(reply, this.answers.failure(Outcome.unavailable));
      this.#asked.read(options);
      if (isDirectory) this.#directory.handle(client, tenant, request, reply, this.#asked);
      else this.#pubsub.handle(client, session, tenant, request, reply, this.#asked);
    });
  }

  /** What the client may see of the pub/sub draft's topics; none when they cannot be read just now. */
  pubsubLinks(client: Client, answer: (links: readonly Link[]) => void): void {
    if (this.options.maxPubsubTopics === 0) return answer([]);
    const tenant = this.#tenants.of(client);
    tenant.keeper.whenLoaded((isLoaded) => answer(isLoaded ? this.#pubsub.linksFor(client, tenant) : []));
  }

  /** A name that nobody can guess. */
  randomName(): string {
    return Buffer.from(this.#random.bytes(6)).toString('hex');
  }

  /** A request of somebody who was not let in. */
  refused(request: CoapRequest, reply: Reply, response: CoapResponse): void {
    if (this.#discovery.isAsked(request.message.options)) this.#discovery.handle(undefined, request, reply);
    else this.answer(reply, response);
  }

  /** Answers, and counts what is an error. */
  answer(reply: Reply, response: CoapResponse): void {
    if (response.code >= Code.badRequest) this.counters.refused[response.code]!++;
    reply.send(response);
  }

  // --- Who is there

  #clientOf({ peer, oscore }: CoapRequest): Client {
    let clients = this.#peers.get(peer);
    if (clients === undefined) {
      clients = { own: undefined, byContext: undefined };
      this.#peers.set(peer, clients);
      peer.whenGone(() => this.#peerGone(peer));
    }
    if (oscore === undefined) return (clients.own ??= new Client(this, peer, undefined));
    const byContext = (clients.byContext ??= new Map<string, Client>());
    const name = `${oscore.tenant}/${oscore.principal}/${oscore.contextId}`;
    let client = byContext.get(name);
    if (client === undefined) {
      if (byContext.size >= maxContextsPerPeer) this.#forgetOldest(byContext);
      client = new Client(this, peer, oscore);
      byContext.set(name, client);
    }
    return client;
  }

  #forgetOldest(byContext: Map<string, Client>): void {
    const [name, client] = byContext.entries().next().value!;
    byContext.delete(name);
    client.gone();
  }

  #peerGone(peer: CoapPeer): void {
    const clients = this.#peers.get(peer);
    if (clients === undefined) return;
    this.#peers.delete(peer);
    for (const client of clientsOf(clients)) client.gone();
  }

  #sweepLater(): void {
    if (this.#isClosed) return;
    this.#sweep = this.timers.at(this.clock.monotonicMs() + this.options.sessionIdleSec * 1000, () => {
      this.#sweepIdle();
      this.#sweepLater();
    });
  }

  /** Whoever has asked for nothing since the last look, and waits for nothing, loses its session. */
  #sweepIdle(): void {
    for (const clients of this.#peers.values()) {
      for (const client of clientsOf(clients)) {
        if (client.session === undefined) continue;
        if (client.isUsed || client.isBusy) client.leaveQueues();
        else client.leave(undefined);
        client.isUsed = false;
      }
    }
    this.once.sweep();
  }

  *metrics(): Iterable<Sample> {
    yield* this.counters.samples();
  }

  /** The node is going down: what is observed ends, and what was asked is answered. */
  close(): void {
    this.#isClosed = true;
    this.timers.cancel(this.#sweep);
    const goingDown = this.answers.failure(Outcome.unavailable);
    for (const clients of this.#peers.values()) for (const client of clientsOf(clients)) client.leave(goingDown);
    for (const peer of [...this.#peers.keys()]) this.#peerGone(peer);
    this.once.close();
    this.#tenants.close();
  }
}

function heard({ commands }: Client): void {
  for (const link of commands ?? []) link.heard();
}

function* clientsOf({ own, byContext }: PeerClients): Iterable<Client> {
  if (own !== undefined) yield own;
  if (byContext !== undefined) yield* byContext.values();
}

function isTopic({ message }: CoapRequest, path: number): boolean {
  if (path < 0) return false;
  const { value } = message.options[path]!;
  return value.length === 1 && value[0] === letterT;
}

/** `/t/…` and `/ps/data/…`. */
function hasValues(options: readonly CoapOption[]): boolean {
  return isSegment(options, 0, topicsSegment) || (isSegment(options, 0, pubsubSegment) && isSegment(options, 1, dataSegment));
}

function isBelow({ message }: CoapRequest, path: readonly string[]): boolean {
  return path.every((segment, i) => {
    const value = pathSegment(message.options, i);
    return value !== undefined && textValue(value) === segment;
  });
}

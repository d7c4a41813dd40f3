// What all connections of the HTTP API share.

import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { MetricSource, Sample } from '../../base/metrics.ts';
import type { Random } from '../../base/random.ts';
import type { Timers } from '../../base/timers.ts';
import type { BrokerPort } from '../../broker/port.ts';
import type { Method, Principal, Security } from '../../security/security.ts';
import type { HttpHandler, HttpPeer, HttpVisit, HttpWireLimits } from '../http-exchange.ts';
import { Counters } from './counters.ts';
import { EventEncoder } from './event-encoder.ts';
import { IdempotencyDesks } from './idempotency.ts';
import { openApiText } from './openapi.ts';
import { checkHttpOptions, type HttpOptions } from './options.ts';
import { QueueConsumers } from './queue-consumers.ts';
import type { NamedSubscription } from './named-subscription.ts';
import { Visit } from './visit.ts';

export type HttpServerParts = {
  readonly broker: BrokerPort;
  readonly security: Security;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly turn: { atEnd(task: () => void): void };
  readonly timers: Timers;
  readonly accepts: (listener: string) => readonly Method[];
  readonly product: { readonly name: string; readonly version: string };
  readonly options: HttpOptions;
};

/** Sessions of the API have names that begin with it; no peer may choose one. */
const namePrefix = '$http/';

export class HttpServer implements HttpHandler, MetricSource {
  readonly name = 'http';
  readonly limits: HttpWireLimits;
  readonly broker: BrokerPort;
  readonly security: Security;
  readonly clock: Clock;
  readonly random: Random;
  readonly turn: { atEnd(task: () => void): void };
  readonly timers: Timers;
  readonly accepts: (listener: string) => readonly Method[];
  readonly options: HttpOptions;
  readonly counters = new Counters();
  readonly encoder: EventEncoder;
  readonly queues: QueueConsumers;
  readonly idempotency: IdempotencyDesks;
  /** Those with a stream now, by the names of their sessions within their tenants. */
  readonly subscriptions = new Map<string, NamedSubscription>();
  readonly openApi: string;
  #nextSession = 1;

  /** @throws UserError when the options do not fit together */
  constructor(parts: HttpServerParts) {
    checkHttpOptions(parts.options);
    this.broker = parts.broker;
    this.security = parts.security;
    this.clock = parts.clock;
    this.random = parts.random;
    this.turn = parts.turn;
    this.timers = parts.timers;
    this.accepts = parts.accepts;
    this.options = parts.options;
    this.limits = parts.options.wire;
    this.encoder = new EventEncoder(parts.turn);
    this.queues = new QueueConsumers(this);
    this.idempotency = new IdempotencyDesks(this);
    this.openApi = openApiText(parts.product.version);
  }

  visit(peer: HttpPeer): HttpVisit {
    return new Visit(this, peer);
  }

  metrics(): Iterable<Sample> {
    return this.counters.samples();
  }

  /** Of a session that ends with what it is for: nobody else has this name. */
  sessionName({ id }: Principal): string {
    return `${namePrefix}${id}/-/${this.#nextSession++}-${Buffer.from(this.random.bytes(6)).toString('hex')}`;
  }

  /** Of a session that is found again. */
  lastingName({ id }: Principal, what: 'subscription' | 'once', name: string): string {
    // Nobody's id and name together are anybody else's.
    return `${namePrefix}${id.replaceAll('%', '%25').replaceAll('/', '%2F')}/${what}/${name}`;
  }
}

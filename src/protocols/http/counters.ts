// What the HTTP API counts: plain numbers, turned into samples when somebody asks.

import type { Sample } from '../../base/metrics.ts';

export class Counters {
  /** By status. */
  readonly answered = new Map<number, number>();
  connections = 0;
  requests = 0;
  /** Peers that went before their answer was whole. */
  abandoned = 0;
  /** Requests for whose peer the password or token was checked; the others came on a connection that had shown it. */
  authentications = 0;
  authenticationsFailed = 0;
  /** Connections that were ended because of what they did. */
  readonly cut: Record<'flood' | 'stalled' | 'revoked' | 'expired', number> = { flood: 0, stalled: 0, revoked: 0, expired: 0 };
  streams = 0;
  events = 0;
  eventsDropped = 0;
  leases = 0;
  leasesEnded = 0;
  queueConsumers = 0;
  rememberedKeys = 0;

  answer(status: number): void {
    this.answered.set(status, (this.answered.get(status) ?? 0) + 1);
  }

  *samples(): Iterable<Sample> {
    const counter = (name: string, help: string, value: number, labels?: Record<string, string>): Sample => ({
      name: `heliograph_http_${name}_total`,
      help,
      type: 'counter',
      value,
      ...(labels && { labels }),
    });
    const gauge = (name: string, help: string, value: number): Sample => ({ name: `heliograph_http_${name}`, help, type: 'gauge', value });
    yield gauge('connections', 'Open connections.', this.connections);
    yield counter('requests', 'Requests.', this.requests);
    for (const [status, value] of this.answered) yield counter('answers', 'Answers, by status.', value, { status: String(status) });
    yield counter('abandoned', 'Requests whose peer went before the answer was sent.', this.abandoned);
    yield counter('authentications', 'Checks of credentials; a connection shows them once.', this.authentications);
    yield counter('authentications_failed', 'Checks of credentials that failed.', this.authenticationsFailed);
    for (const [reason, value] of Object.entries(this.cut))
      yield counter('cut', 'Connections and streams that were cut.', value, { reason });
    yield gauge('streams', 'Open event streams.', this.streams);
    yield counter('events', 'Events sent.', this.events);
    yield counter('events_dropped', 'Events not sent: the peer does not read fast enough.', this.eventsDropped);
    yield gauge('leases', 'Messages of queues that are leased.', this.leases);
    yield counter('leases_ended', 'Leases that ended before the message was settled.', this.leasesEnded);
    yield gauge('queue_consumers', 'Pairs of principal and queue that are consumed.', this.queueConsumers);
    yield gauge('idempotency_keys', 'Idempotency keys that are remembered.', this.rememberedKeys);
  }
}

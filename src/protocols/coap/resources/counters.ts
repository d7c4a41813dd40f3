// What the resources count: plain numbers, added to where things happen and turned into samples when somebody asks.

import type { Sample } from '../../../base/metrics.ts';
import { codeName } from '../codec/index.ts';

export class Counters {
  /** Requests that reached a resource, by method (codes 0.01 to 0.07). */
  readonly requests = new Float64Array(32);
  /** Errors that were answered, by code. */
  readonly refused = new Float64Array(256);
  /** Identities with a session now. */
  sessions = 0;
  authenticationsRefused = 0;
  /** Requests that waited for who the peer is, and for which there was no room. */
  requestsNotWaited = 0;
  /** Memory of requests that wait for it. */
  waitingBytes = 0;
  observations = 0;
  observationsEnded = { cancelled: 0, lost: 0, rejected: 0, revoked: 0 };
  notificationsConfirmable = 0;
  notificationsNonConfirmable = 0;
  /** Notifications that were replaced by a newer value before they left. */
  notificationsCoalesced = 0;
  /** Notifications that found no room, or whose time was over while they waited. */
  notificationsDropped = 0;
  /** Notifications whose format is not the one that the observer accepts. */
  notificationsNotAcceptable = 0;
  queueMessagesFetched = 0;
  leasesExpired = 0;
  queuesRefused = 0;
  registrations = 0;
  registrationsExpired = 0;
  commandsSent = 0;
  commandsAnswered = 0;
  /** Commands that were not answered in time, to be sent again. */
  commandsUnanswered = 0;
  commandsInvalid = 0;
  pubsubTopics = 0;

  *samples(): Iterable<Sample> {
    yield* byCode('requests', 'Requests that reached a resource.', 'method', this.requests);
    yield* byCode('errors', 'Requests that were answered with an error.', 'code', this.refused);
    yield gauge('sessions', 'CoAP identities with a session.', this.sessions);
    yield counter('authentications_refused', 'Peers that did not prove who they are.', this.authenticationsRefused);
    yield counter('requests_not_waited', 'Requests that had to wait and found no room.', this.requestsNotWaited);
    yield gauge('waiting_bytes', 'Memory of requests that wait until it is known who asks.', this.waitingBytes);
    yield gauge('observations', 'Observations that are open.', this.observations);
    for (const [cause, value] of Object.entries(this.observationsEnded))
      yield counter('observations_ended', 'Observations that ended.', value, { cause });
    yield counter('notifications', 'Notifications sent.', this.notificationsConfirmable, { type: 'confirmable' });
    yield counter('notifications', 'Notifications sent.', this.notificationsNonConfirmable, { type: 'non-confirmable' });
    yield counter('notifications_coalesced', 'Notifications replaced by a newer value before they left.', this.notificationsCoalesced);
    yield counter('notifications_dropped', 'Notifications for which there was no room, or no time.', this.notificationsDropped);
    yield counter('notifications_not_acceptable', 'Notifications in a format not accepted.', this.notificationsNotAcceptable);
    yield counter('queue_messages_fetched', 'Messages of queues handed to CoAP peers.', this.queueMessagesFetched);
    yield counter('queues_refused', 'GETs of queues refused because their CoAP peer reads too many at a time.', this.queuesRefused);
    yield counter('leases_expired', 'Messages of queues that were fetched and not settled in time.', this.leasesExpired);
    yield gauge('registrations', 'Registrations in the resource directory.', this.registrations);
    yield counter('registrations_expired', 'Registrations that were not renewed in time.', this.registrationsExpired);
    yield counter('commands_sent', 'Commands sent to devices, repetitions included.', this.commandsSent);
    yield counter('commands_answered', 'Commands that devices have answered.', this.commandsAnswered);
    yield counter('commands_unanswered', 'Commands that were not answered in time.', this.commandsUnanswered);
    yield counter('commands_invalid', 'Commands that name no method.', this.commandsInvalid);
    yield gauge('pubsub_topics', 'Topics of the pub/sub draft.', this.pubsubTopics);
  }
}

function gauge(name: string, help: string, value: number): Sample {
  return { name: `heliograph_coap_${name}`, help, type: 'gauge', value };
}

function counter(name: string, help: string, value: number, labels?: Record<string, string>): Sample {
  const sample = { name: `heliograph_coap_${name}_total`, help, type: 'counter', value } as const;
  return labels === undefined ? sample : { ...sample, labels };
}

function* byCode(name: string, help: string, label: string, values: Float64Array): Iterable<Sample> {
  for (const [code, value] of values.entries()) if (value > 0) yield counter(name, help, value, { [label]: codeName(code) });
}

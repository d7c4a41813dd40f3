// What the broker tells about itself: its books, its counters, and what it holds.

import type { Labels, MetricSource, Sample } from '../base/metrics.ts';
import type { Broker } from './broker.ts';
import { dropReasons, type Ledger } from './queues/ledger.ts';
import type { Queue } from './queues/queue.ts';
import { isTemporary } from './queues/temporary-nodes.ts';
import type { ReplyPermissions } from './sessions/reply-permissions.ts';
import type { TopicSpace } from './routing/topic-space.ts';
import type { Transactions } from './transactions/transactions.ts';
import { quotaNames } from './quotas/usage.ts';

export class BrokerMetrics implements MetricSource {
  readonly #broker: Broker;

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  *metrics(): Iterable<Sample> {
    yield* books('heliograph_broker_', {}, this.#broker.total);
    yield* this.#counters();
    yield* transactionMetrics(this.#broker.context.transactions);
    yield* replyMetrics(this.#broker.context.replies);
    yield* this.#holdings();
    for (const space of this.#broker.spaces.values()) {
      for (const { queue } of space.shared.values()) yield* queueBooks(queue);
      for (const { queue } of space.named.values()) {
        // Of the others there may be too many, and none lasts.
        if (!isTemporary(queue.name)) yield* queueBooks(queue);
      }
    }
    const help = 'Size of rows handed to the journal.';
    for (const shard of this.#broker.shards) {
      yield { name: 'heliograph_broker_row_bytes', help, type: 'histogram', labels: { shard: String(shard.index) }, value: shard.rowBytes };
    }
  }

  *#counters(): Iterable<Sample> {
    const { counters } = this.#broker;
    yield counter('sessions_created_total', 'Sessions begun.', counters.sessionsCreated);
    yield counter('sessions_resumed_total', 'Sessions that a peer came back to.', counters.sessionsResumed);
    yield counter('sessions_expired_total', 'Sessions that ended because nobody came back in time.', counters.sessionsExpired);
    yield counter('take_overs_total', 'Connections ended because another one took their session.', counters.takeOvers);
    yield counter('publishes_accepted_total', 'Publishes taken.', counters.publishesAccepted);
    yield counter('publishes_without_subscribers_total', 'Publishes that nobody listened to.', counters.publishesWithoutSubscribers);
    yield counter('publishes_repeated_total', 'Exactly-once publishes recognised as repetitions.', counters.publishesRepeated);
    for (const { service, counters: asked } of this.#broker.services.open) {
      const labels = { service: service.firstLevel };
      yield { ...counter('service_requests_total', 'Publishes that a service of the node took.', asked.taken), labels };
      yield { ...counter('service_requests_refused_total', 'Publishes that a service refused at once.', asked.refused), labels };
    }
    const refused = 'Publishes refused, by reason.';
    yield { ...counter('publishes_refused_total', refused, counters.publishesRefusedByFullQueue), labels: { reason: 'queueFull' } };
    yield { ...counter('publishes_refused_total', refused, counters.publishesRefusedByStore), labels: { reason: 'store' } };
    yield counter('wills_published_total', 'Wills published.', counters.willsPublished);
    yield counter('wills_revoked_total', 'Wills not published because their owners may not any more.', counters.willsRevoked);
    yield counter(
      'subscriptions_revoked_total',
      'Subscriptions taken from sessions that may not have them any more.',
      counters.subscriptionsRevoked,
    );
    yield counter('publishes_delayed_total', 'Publishes taken to be delivered later.', counters.publishesDelayed);
    yield counter('dead_letters_total', 'Messages that died and went to a dead-letter queue.', counters.deadLettered);
    yield counter('messages_moved_total', 'Messages that operators moved from queue to queue.', counters.messagesMoved);
    yield counter('retained_refused_total', 'Retained messages for which there was no room.', counters.retainedRefused);
    yield counter('publishers_held_total', 'Times a publisher was held back because the journal was behind.', counters.publishersHeld);
    yield counter(
      'publishers_held_by_rates_total',
      'Times a publisher was held back to keep to its rates.',
      counters.publishersHeldByRates,
    );
    yield counter('checkpoints_total', 'Checkpoints written.', counters.checkpoints);
  }

  *#holdings(): Iterable<Sample> {
    const { memory, spaces, shards, uncommittedBytes } = this.#broker;
    for (const [tenant, space] of spaces) {
      const labels = { tenant };
      yield gauge('sessions', 'Sessions, connected or not.', space.sessions.size, labels);
      yield gauge('subscriptions', 'Filters subscribed to.', space.filterCount, labels);
      yield gauge('retained_messages', 'Retained messages.', space.retained.count, labels);
      yield gauge('retained_bytes', 'Bytes of retained messages.', space.retained.bytes, labels);
      yield gauge('shared_queues', 'Queues of shared subscriptions.', space.shared.size, labels);
      yield gauge('named_queues', 'Queues addressed by name.', space.named.size - space.temporary.queues, labels);
      yield gauge('temporary_queues', 'Temporary queues.', space.temporary.queues, labels);
      yield gauge('temporary_topics', 'Temporary topics.', space.temporary.topics, labels);
      yield gauge('messages_delayed', 'Messages whose time has not come.', space.delayed?.queue.ledger.queued ?? 0, labels);
      yield gauge(
        'dead_letters_waiting',
        'Dead messages for which their dead-letter queue has no room yet.',
        space.deadLetters.waiting,
        labels,
      );
    }
    yield* quotaMetrics(spaces.values());
    yield gauge('uncommitted_bytes', 'Bytes handed to the journal and not yet durable.', uncommittedBytes);
    yield gauge('payload_memory_bytes', 'Stored payloads that are in memory.', memory.bytes);
    yield counter('payload_evictions_total', 'Rows of payloads that left the memory while wanted.', memory.counters.evictions);
    const unfinished = shards.reduce((sum, { transactions }) => sum + transactions.size, 0);
    const onItsWay = 'Transactions committed of which something is on its way: into a journal, or to a dead-letter queue that is full.';
    yield gauge('transactions_unfinished', onItsWay, unfinished);
    yield counter('payload_loads_total', 'Rows of payloads read back from the journal.', memory.counters.loads);
  }
}

function* transactionMetrics({ open, locked, counters }: Transactions): Iterable<Sample> {
  yield gauge('transactions_open', 'Transactions that are neither committed nor rolled back.', open);
  yield gauge('transaction_deliveries', 'Deliveries that a transaction is to settle.', locked.size);
  yield counter('transactions_begun_total', 'Transactions begun.', counters.begun);
  yield counter('transactions_committed_total', 'Transactions committed.', counters.committed);
  yield counter('transactions_rolled_back_total', 'Transactions rolled back.', counters.rolledBack);
  yield counter('transactions_timed_out_total', 'Of those rolled back: because they were open for too long.', counters.timedOut);
  yield counter('transactions_redone_total', 'Transactions found committed at start, and done again.', counters.redone);
  const refused = 'Transactions not begun or not committed, and what one had no room for, by reason.';
  yield { ...counter('transactions_refused_total', refused, counters.tooMany), labels: { reason: 'tooMany' } };
  yield { ...counter('transactions_refused_total', refused, counters.overLimit), labels: { reason: 'tooLarge' } };
  yield { ...counter('transactions_refused_total', refused, counters.refused), labels: { reason: 'notAdmitted' } };
}

function* replyMetrics({ size, counters }: ReplyPermissions): Iterable<Sample> {
  yield gauge('reply_permissions', 'Requests that their receivers may still answer.', size);
  const help = 'Requests that their receivers may answer, by what became of that.';
  for (const what of ['given', 'used', 'withheld', 'forgotten'] as const) {
    yield { ...counter('reply_permissions_total', help, counters[what]), labels: { event: what } };
  }
}

/** Tenants with labels of their own; what others are refused is told as one. */
const maxTenantLabels = 100;

function* quotaMetrics(spaces: Iterable<TopicSpace>): Iterable<Sample> {
  const help = 'What was refused or dropped because a quota of the tenant or of one of its principals was used up.';
  const others = { connections: 0, rate: 0, queue: 0, subscriptions: 0, retained: 0 };
  let shown = 0;
  for (const { tenant, usages } of spaces) {
    const refused = usages.tenant.refused!;
    if (quotaNames.every((quota) => refused[quota] === 0)) continue;
    if (++shown > maxTenantLabels) {
      for (const quota of quotaNames) others[quota] += refused[quota];
      continue;
    }
    for (const quota of quotaNames) yield { ...counter('over_quota_total', help, refused[quota]), labels: { tenant, quota } };
  }
  if (shown <= maxTenantLabels) return;
  // No tenant can have this name.
  for (const quota of quotaNames) yield { ...counter('over_quota_total', help, others[quota]), labels: { tenant: '$others', quota } };
}

function queueBooks(queue: Queue): Iterable<Sample> {
  return books('heliograph_broker_queue_', { tenant: queue.tenant, kind: queue.kind, queue: queue.name }, queue.ledger);
}

/** accepted + recovered = delivered + queued + expired + dropped. */
function* books(prefix: string, labels: Labels, ledger: Ledger): Iterable<Sample> {
  const total = (name: string, help: string, value: number): Sample => ({
    name: `${prefix}messages_${name}_total`,
    help,
    type: 'counter',
    labels,
    value,
  });
  yield total('accepted', 'Messages offered to a queue and taken, once per queue.', ledger.accepted);
  yield total('recovered', 'Messages found in the journal at start.', ledger.recovered);
  yield total('delivered', 'Messages settled by their consumer, or handed to the wire at most once.', ledger.delivered);
  yield total('expired', 'Messages whose time was over before they were delivered.', ledger.expired);
  for (const reason of dropReasons) {
    yield { ...total('dropped', 'Messages dropped by policy, by reason.', ledger[reason]), labels: { ...labels, reason } };
  }
  yield { name: `${prefix}messages_queued`, help: 'Messages that wait or are unsettled.', type: 'gauge', labels, value: ledger.queued };
}

function counter(name: string, help: string, value: number): Sample {
  return { name: `heliograph_broker_${name}`, help, type: 'counter', value };
}

function gauge(name: string, help: string, value: number, labels: Labels = {}): Sample {
  return { name: `heliograph_broker_${name}`, help, type: 'gauge', labels, value };
}

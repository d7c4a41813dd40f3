// From what the journals say to sessions, queues and all that a broker holds.

import { parseFilter } from '../../message/filter.ts';
import { parseSelector } from '../../message/selector/selector.ts';
import type { Selector } from '../../message/selector/selector.ts';
import type { Principal } from '../../security/security.ts';
import { JournalError } from '../../store/journal.ts';
import { ClientSession } from '../sessions/client-session.ts';
import { CompetingConsumers } from '../queues/competing-consumers.ts';
import type { BrokerContext } from '../context.ts';
import { Queue } from '../queues/queue.ts';
import { StoredMessages, fillQueue, settleOrphans } from './recovery.ts';
import type { Orphan, RecoveredQueue, ShardRecovery } from './recovery.ts';
import { Subscription } from '../routing/route.ts';
import { maxShards } from './shard.ts';
import type { Shard } from './shard.ts';
import { queuePrefix } from '../routing/topic-space.ts';
import type { TopicSpace } from '../routing/topic-space.ts';

export class StateRecovery {
  readonly #context: BrokerContext;
  readonly #spaces: ReadonlyMap<string, TopicSpace>;
  readonly #space: (tenant: string) => TopicSpace;

  constructor(context: BrokerContext, spaces: ReadonlyMap<string, TopicSpace>, space: (tenant: string) => TopicSpace) {
    this.#context = context;
    this.#spaces = spaces;
    this.#space = space;
  }

  /** To be called once, with what the journals of all shards say. */
  bringBack(recoveries: readonly ShardRecovery[]): void {
    const sessions = new Map<number, ClientSession>();
    const filled: (() => void)[] = [];
    const retired: CompetingConsumers[] = [];
    const orphans: Orphan[] = [];
    const sessionOf = (key: number): ClientSession | undefined => sessions.get(key);
    for (const recovery of recoveries) completeMoves(recovery, recoveries);
    const { redo } = this.#context.transactions;
    redo.settleRecovered(recoveries);
    recoveries.forEach((recovery, i) => {
      const shard = this.#context.shards[i]!;
      // A session that had no record must not share its key with a new one.
      for (const key of recovery.sessionKeys) this.#context.shards[key % maxShards]?.reserveSessionKey(key);
      const messages = new StoredMessages(shard);
      for (const found of recovery.queues.values()) {
        const queue = this.#recoverQueue(shard, found, sessions, retired);
        if (queue !== undefined) filled.push(() => fillQueue(queue, found, messages, sessionOf, orphans));
      }
      for (const [tenant, topics] of recovery.retained) {
        for (const [topic, { stored, owner }] of topics) this.#space(tenant).retained.set(topic, messages.at(stored), owner);
      }
    });
    for (const recovery of recoveries) this.#recoverSubscriptions(recovery, sessions);
    // Only now are all sessions known that may have deliveries of other shards' queues under way.
    for (const fill of filled) fill();
    settleOrphans(orphans);
    for (const space of this.#spaces.values()) space.recovered(retired.filter(({ queue }) => queue.tenant === space.tenant));
    this.#recoverOrigins(sessions);
    redo.publishRecovered(recoveries, this.#space);
    for (const { shard, queues } of recoveries) {
      for (const found of queues.values()) this.#resumeSession(found, sessions.get(shard.sessionKey(found.id)));
    }
  }

  #recoverQueue(
    shard: Shard,
    found: RecoveredQueue,
    sessions: Map<number, ClientSession>,
    retired: CompetingConsumers[],
  ): Queue | undefined {
    const { limits } = this.#context;
    if (found.session !== undefined) {
      const { tenant, clientId, owner, protocol, expiryMs, disconnectedAtMs } = found.session;
      const principal: Principal = { tenant, id: owner, kind: 'application', roles: [] };
      const inbox = new Queue(found.id, 'inbox', tenant, clientId, shard, expiryMs > 0, limits.durableInbox, this.#context.total);
      const session = new ClientSession(this.#context, this.#space(tenant), principal, clientId, inbox);
      session.protocol = protocol;
      session.buriesDead(found.session.deadLetters);
      session.queuesAtMostOnce = found.session.queuesAtMostOnce;
      session.isPart = found.session.isPart;
      session.sessionExpiryMs = expiryMs;
      session.disconnectedAtMs = disconnectedAtMs === 0 ? this.#context.clock.wallMs() : disconnectedAtMs;
      session.recovered();
      // An earlier one of the same name is over, but for its will.
      // What quotas its principal has is known only when it comes back.
      inbox.usage = this.#space(tenant).usages.tenant;
      this.#space(tenant).addSession(session);
      shard.sessions.set(found.id, session);
      sessions.set(session.key, session);
      return inbox;
    }
    if (found.queue === undefined) return undefined;
    const { kind, tenant, name } = found.queue;
    const queue = new Queue(
      found.id,
      kind,
      tenant,
      name,
      shard,
      true,
      kind === 'shared' ? limits.sharedQueue : limits.namedQueue,
      this.#context.total,
    );
    queue.keepMs = found.queue.keepMs;
    queue.forsakenAtMs = found.queue.forsakenAtMs;
    queue.usage = this.#space(tenant).usages.tenant;
    shard.queues.set(queue.id, queue);
    const filter = kind === 'shared' ? name.slice(name.indexOf('/') + 1) : '';
    if (kind === 'delayed') this.#space(tenant).adoptDelayed(queue, found.moved);
    else if (found.queue.retired) retired.push(new CompetingConsumers(queue, filter));
    else if (kind === 'named') this.#space(tenant).adoptNamed(queue);
    else this.#space(tenant).adoptShared(queue, filter).keptSelector = selectorOf(found.queue.selector);
    return queue;
  }

  #recoverSubscriptions(recovery: ShardRecovery, sessions: ReadonlyMap<number, ClientSession>): void {
    for (const found of recovery.queues.values()) {
      for (const record of found.subscriptions.values()) {
        const session = sessions.get(recovery.shard.sessionKey(found.id));
        const parsed = parseFilter(record.filter);
        if (session === undefined || parsed.kind === 'invalid') continue;
        let competing;
        if (parsed.kind === 'shared') competing = session.space.obtainShared(parsed.group, parsed.filter, true, true);
        if (parsed.kind === 'queue') competing = session.space.obtainNamed(parsed.name, true);
        // A temporary queue is gone with the node.
        if (parsed.kind === 'queue' && competing === undefined) continue;
        const filter = parsed.kind === 'queue' ? queuePrefix + parsed.name : parsed.filter;
        const { guarantee, noLocal, retainAsPublished, subscriptionId, exclusive, browse, retainedOnly } = record;
        const terms = { selector: selectorOf(record.selector), exclusive, browse, retainedOnly };
        session.recoverSubscription(
          new Subscription(session, record.filter, filter, guarantee, noLocal, retainAsPublished, subscriptionId, competing, terms),
        );
      }
    }
  }

  #recoverOrigins(sessions: ReadonlyMap<number, ClientSession>): void {
    for (const shard of this.#context.shards) {
      for (const [key, ids] of shard.origins) {
        const session = sessions.get(key);
        if (session === undefined) shard.origins.delete(key);
        else for (const id of ids) session.received.recover(shard, id);
      }
    }
  }

  /** Time goes on for sessions found in the journal: their wills and their expiry. */
  #resumeSession(found: RecoveredQueue, session: ClientSession | undefined): void {
    if (found.session === undefined || session === undefined) return;
    if (found.session.will !== undefined) session.will.recover(found.session.will);
    if (session.sessionExpiryMs === 0 || session.space.sessions.get(session.clientId) !== session) {
      session.end();
      return;
    }
    // Its connection was lost with the node: that time must not begin again with the next restart.
    if (found.session.disconnectedAtMs === 0) session.writeRecord();
    // The clock may have been set back in between.
    const goneMs = Math.max(0, this.#context.clock.wallMs() - session.disconnectedAtMs);
    session.scheduleExpiry(Math.max(0, session.sessionExpiryMs - goneMs));
  }
}

/** It was checked when it was written. */
function selectorOf(text: string | undefined): Selector | undefined {
  if (text === undefined) return undefined;
  const parsed = parseSelector(text);
  if (!parsed.ok) throw new JournalError('corrupt', `a selector cannot be read: ${parsed.fault.message}`, text);
  return parsed.selector;
}

/** What has been moved to another shard has left, although a crash came before that was written. */
function completeMoves({ movedFrom, shard: target }: ShardRecovery, recoveries: readonly ShardRecovery[]): void {
  for (const from of movedFrom) {
    const source = recoveries[from.shard];
    const queue = source?.queues.get(from.queueId);
    if (queue?.queue?.kind === 'delayed') {
      // It goes to several shards: who has it is only skipped when it is distributed again.
      if (!queue.entries.has(from.position)) continue;
      queue.moved.set(from.position, [...(queue.moved.get(from.position) ?? []), target.index]);
      target.movedFrom.add(from);
      continue;
    }
    if (source?.queues.get(from.queueId)?.entries.delete(from.position) !== true) continue;
    source.shard.writeSettle(from.queueId, from.position);
    target.movedFrom.add(from);
    source.shard.afterAll(() => target.movedFrom.delete(from));
  }
}

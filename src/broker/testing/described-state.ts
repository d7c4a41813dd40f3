// What of a broker's state must be the same after a crash, in words that do not depend on which broker says it; and what must
// hold of a broker at every moment.

import assert from 'node:assert/strict';
import type { Broker } from '../broker.ts';
import type { ClientSession } from '../sessions/client-session.ts';
import { CompetingConsumers } from '../queues/competing-consumers.ts';
import type { Entry, Queue } from '../queues/queue.ts';
import type { Shard } from '../journal/shard.ts';
import type { Stored } from '../journal/stored.ts';
import type { TopicSpace } from '../routing/topic-space.ts';
import type { Usage } from '../quotas/usage.ts';

export type DescribedState = {
  readonly sessions: Record<string, unknown>;
  readonly queues: Record<string, unknown>;
  readonly retained: Record<string, string>;
};

/** What a crash at this moment would leave of it, everything appended being durable. */
export function whatSurvives(broker: Broker): DescribedState {
  const nowMs = broker.context.clock.wallMs();
  const sessions: Record<string, unknown> = {};
  const queues: Record<string, unknown> = {};
  const retained: Record<string, string> = {};
  for (const shard of broker.shards) {
    for (const session of shard.sessions.values())
      if (session.durable && !session.ended) sessions[session.clientId] = described(broker, session);
    for (const queue of shard.queues.values()) {
      const { waiting, underWay } = contents(broker, queue, nowMs);
      const retired = queue.holder instanceof CompetingConsumers && queue.holder.retired;
      // What is left of a queue that is gone is only what exactly-once peers have to settle.
      const kept = queue.keepMs === 0 ? {} : { keepMs: queue.keepMs, selector: (queue.holder as CompetingConsumers).keptSelector?.text };
      if (!retired) queues[`${queue.kind} ${queue.name}`] = { waiting, underWay, ...kept };
      else if (underWay.length > 0) queues[`${queue.kind} ${queue.name} ${queue.id}`] = { waiting: [], underWay };
    }
  }
  for (const space of broker.spaces.values()) {
    for (const [topic, { stored }] of space.retained.entries()) retained[`${space.tenant} ${topic}`] = where(stored);
  }
  return { sessions, queues, retained };
}

function described(broker: Broker, session: ClientSession): unknown {
  const will = session.will.record();
  return {
    owner: session.principal.id,
    protocol: session.protocol,
    expiryMs: session.sessionExpiryMs,
    will:
      will === undefined
        ? undefined
        : { topic: will.message.topic, delayMs: will.delayMs, payload: Buffer.from(will.message.payload()).toString() },
    subscriptions: [...session.subscriptions.values()]
      .map(({ text, guarantee, noLocal, retainAsPublished, subscriptionIds, selector, exclusive, browse, retainedOnly }) => {
        const terms =
          selector === undefined && !exclusive && !browse && !retainedOnly ? [] : [selector?.text, exclusive, browse, retainedOnly];
        return JSON.stringify([text, guarantee, noLocal, retainAsPublished, subscriptionIds, ...terms]);
      })
      .toSorted(),
    ...(session.isPart && { isPart: true, deadLetters: session.deadLetters, queuesAtMostOnce: session.queuesAtMostOnce }),
    inbox: contents(broker, session.inbox, broker.context.clock.wallMs()),
    origins: broker.shards.map((shard) => [...(shard.origins.get(session.key) ?? [])].toSorted((a, b) => (a < b ? -1 : 1))),
  };
}

/** Entries that wait or would after a crash, and exactly-once deliveries that durable sessions have under way. */
function contents(broker: Broker, queue: Queue, nowMs: number): { waiting: string[]; underWay: string[] } {
  const waiting: Entry[] = [...queue.ready.toArray(), ...[...(queue.leaving ?? [])].filter((entry) => !isMoved(broker, entry))];
  const underWay: string[] = [];
  for (const entry of queue.holder?.taken() ?? []) {
    const owner = entry.owner as ClientSession;
    const { position, state, deliveryId, stored } = entry;
    // What a link has under way that ends with its connection goes back to its queue.
    if (entry.sendAs < 2 || (state === 'sent' && owner.isPart && !owner.durable)) waiting.push(entry);
    else if (owner.durable)
      underWay.push(JSON.stringify([position, state, owner.clientId, deliveryId, stored && where(stored), ...failures(entry)]));
  }
  return {
    waiting: waiting
      // One that was sent and whose time is over is sent again to a peer that comes back, but not after a crash.
      .filter(({ row, stored }) => row > 0 && (stored!.expiresAtMs === 0 || stored!.expiresAtMs > nowMs))
      .toSorted((a, b) => a.position - b.position)
      .map((entry) => {
        const { position, guarantee, retained, subscriptionIds, stored } = entry;
        return JSON.stringify([position, guarantee, retained, subscriptionIds, where(stored!), stored!.expiresAtMs, ...failures(entry)]);
      }),
    underWay: underWay.toSorted(),
  };
}

/** Nothing of what has not failed: earlier formats know nothing of it. */
function failures({ deliveryCount }: Entry): readonly number[] {
  return deliveryCount === 0 ? [] : [deliveryCount];
}

/** Another shard has it, and says so. */
function isMoved(broker: Broker, { queue, position }: Entry): boolean {
  return broker.shards.some(({ movedFrom }) =>
    [...movedFrom].some((from) => from.shard === queue.shard.index && from.queueId === queue.id && from.position === position),
  );
}

function where({ home, index }: Stored): string {
  return `record ${index} of row ${home?.row}`;
}

/** Books balance, holders and rows agree, and the memory of payloads is what rows hold and within its budget. */
export function assertInvariants(broker: Broker): void {
  assert.equal(broker.total.imbalance(), 0, 'books of all');
  const held = new Map<Stored, number>();
  let queued = 0;
  const note = (stored: Stored | undefined): void => {
    if (stored !== undefined) held.set(stored, (held.get(stored) ?? 0) + 1);
  };
  for (const queue of everyQueue(broker)) {
    assert.equal(queue.ledger.imbalance(), 0, `books of ${queue.name}`);
    const entries = [...queue.ready.toArray(), ...(queue.holder?.taken() ?? []), ...(queue.leaving ?? [])];
    for (const entry of entries) {
      assert.equal(entry.gone, false);
      note(entry.stored);
    }
    const here = entries.filter(({ state }) => state !== 'received').length;
    assert.equal(queue.ledger.queued, here, `${queue.name} says how many it holds`);
    assert.equal(
      queue.bytes,
      entries.reduce((sum, { stored }) => sum + (stored?.bytes ?? 0), 0),
    );
    assert.equal(queue.expiring, queue.ready.toArray().filter(({ stored }) => stored!.expiresAtMs > 0).length);
    const places = queue.ready.toArray().map(({ level, position }) => [level, position] as const);
    assert.deepEqual(
      places,
      places.toSorted((a, b) => b[0] - a[0] || a[1] - b[1]),
      `${queue.name} is in order`,
    );
    assert.equal(queue.ready.length, places.length);
    assert.equal(queue.grouped, queue.ready.toArray().filter(({ stored }) => stored!.terms?.groupId !== undefined).length);
    queued += queue.ledger.queued;
  }
  for (const space of broker.spaces.values()) {
    let bytes = 0;
    for (const [, { stored }] of space.retained.entries()) {
      note(stored);
      bytes += stored.bytes;
    }
    assert.equal(space.retained.bytes, bytes);
  }
  assert.ok(broker.total.queued >= queued);
  assertMemory(broker, held);
  for (const space of broker.spaces.values()) assertUsage(broker, space);
  const inQuotas = [...broker.spaces.values()].reduce((sum, { usages }) => sum + usages.tenant.queueMessages, 0);
  assert.equal(inQuotas, broker.total.queued, 'what waits, by quotas');
}

/** What counts against quotas is what there is, of the tenant and of each principal with quotas. */
function assertUsage(broker: Broker, space: TopicSpace): void {
  const sums = new Map<Usage, { messages: number; bytes: number; connections: number; subscriptions: number }>();
  const note = (usage: Usage | undefined, messages: number, bytes: number, connections: number, subscriptions: number): void => {
    for (let at = usage; at !== undefined; at = at.parent) {
      const sum = sums.get(at) ?? { messages: 0, bytes: 0, connections: 0, subscriptions: 0 };
      sum.messages += messages;
      sum.bytes += bytes;
      sum.connections += connections;
      sum.subscriptions += subscriptions;
      sums.set(at, sum);
    }
  };
  note(space.usages.tenant, 0, 0, 0, 0);
  for (const { inbox, attachment, subscriptions } of space.sessions.values()) {
    note(
      inbox.usage,
      inbox.ledger.queued,
      inbox.bytes,
      attachment === undefined || attachment.partOf !== undefined ? 0 : 1,
      subscriptions.size,
    );
  }
  // Also those that are gone but for what is under way.
  for (const queue of everyQueue(broker)) {
    if (queue.tenant === space.tenant && queue.kind !== 'inbox') note(queue.usage, queue.ledger.queued, queue.bytes, 0, 0);
  }
  for (const [usage, sum] of sums) {
    const { queueMessages: messages, queueBytes: bytes, connections, subscriptions } = usage;
    assert.deepEqual([connections, subscriptions], [sum.connections, sum.subscriptions], `usage in ${space.tenant}`);
    // Queues in memory that are gone but for what is under way are known to nobody but who has that.
    if (usage.parent !== undefined) assert.deepEqual([messages, bytes], [sum.messages, sum.bytes]);
    else assert.ok(messages >= sum.messages && bytes >= sum.bytes, `queues in ${space.tenant}`);
  }
}

function assertMemory(broker: Broker, held: ReadonlyMap<Stored, number>): void {
  let bytes = 0;
  for (const shard of broker.shards) for (const row of shard.rows.values()) bytes += row.bytes?.length ?? 0;
  assert.equal(broker.memory.bytes, bytes, 'memory of payloads');
  for (const shard of broker.shards) assertRows(shard, held);
  const kept = new Set(broker.shards.flatMap((shard) => [...shard.rows.values()]));
  for (const stored of held.keys()) {
    if (stored.home === undefined) continue;
    assert.ok(kept.has(stored.home) && stored.home.messages.includes(stored), `${where(stored)} is held, and its row is not kept`);
  }
}

function assertRows(shard: Shard, held: ReadonlyMap<Stored, number>): void {
  for (const row of shard.rows.values()) {
    const live = row.messages.filter(({ references }) => references > 0);
    assert.equal(row.live, live.length);
    assert.equal(
      row.liveBytes,
      live.reduce((sum, stored) => sum + stored.bytes, 0),
    );
    assert.ok(row.live > 0 || row.row === shard.row, `row ${row.row} is kept for nothing`);
    for (const stored of live) assert.equal(stored.references, held.get(stored), `holders of ${where(stored)}`);
  }
}

function everyQueue(broker: Broker): Set<Queue> {
  const queues = new Set<Queue>();
  for (const space of broker.spaces.values()) {
    for (const session of space.sessions.values()) queues.add(session.inbox);
    for (const { queue } of [...space.shared.values(), ...space.named.values()]) queues.add(queue);
  }
  for (const shard of broker.shards) for (const queue of shard.queues.values()) queues.add(queue);
  for (const queue of queues) assert.ok(queue.kind === 'inbox' || queue.holder instanceof CompetingConsumers);
  return queues;
}

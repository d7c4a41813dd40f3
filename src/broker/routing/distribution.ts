// One message to everyone its route names. The heart of the broker: what goes out at once, what is journaled first, and what
// the publisher is told.

import { Message } from '../../message/message.ts';
import type { Guarantee } from '../../message/message.ts';
import type { ClientSession } from '../sessions/client-session.ts';
import type { CompetingConsumers } from '../queues/competing-consumers.ts';
import type { BrokerContext } from '../context.ts';
import { Outcome } from '../port.ts';
import type { Entry, Queue } from '../queues/queue.ts';
import type { OriginId } from '../journal/records.ts';
import type { Route, Target } from './route.ts';
import { Ticket } from '../journal/shard.ts';
import type { Shard } from '../journal/shard.ts';
import { KeptOnce, storedBytes } from '../journal/stored.ts';
import type { TopicSpace } from './topic-space.ts';
import type { Usage } from '../quotas/usage.ts';

/** Who published, for no-local and exactly-once; absent for wills and for what the node itself says. */
export type Publisher = {
  /** Undefined: not known any more. */
  readonly session: ClientSession | undefined;
  /** Key of a durable session whose exactly-once message this is, else 0. */
  readonly origin: number;
  /** What an exactly-once message is recognised by. */
  readonly id: OriginId;
  /** Shards that hold the message already, from before a crash. */
  readonly skip: readonly number[] | undefined;
  /** It was admitted before, with others: what has become full since takes it all the same. */
  readonly isAdmitted?: boolean;
  /** The time has come for which it was published. */
  readonly isDue?: boolean;
};

/** Where a message was journaled. Empty: nowhere, nothing to wait for. */
export type Distributed = { readonly outcome: Outcome; readonly shards: readonly Shard[] };

const nowhere: readonly Shard[] = [];
const refusedFull: Distributed = { outcome: Outcome.quotaExceeded, shards: nowhere };
const refusedStore: Distributed = { outcome: Outcome.unavailable, shards: nowhere };
const handedOver: Distributed = { outcome: Outcome.accepted, shards: nowhere };
const nobody: Distributed = { outcome: Outcome.noSubscribers, shards: nowhere };

/** Only what is delivered at most once, to sessions: the shortest way. */
export function sendToAll(publisher: ClientSession | undefined, route: Route, message: Message): Outcome {
  const targets = route.targets;
  for (let i = 0; i < targets.length; i++) {
    let target: Target | undefined = targets[i]!;
    if (target.isChoosy) target = target.forMessage(message, publisher);
    if (target !== undefined) target.session.send(message, target.retainAsPublished && message.retain, target.subscriptionIds);
  }
  return targets.length === 0 ? Outcome.noSubscribers : Outcome.accepted;
}

/**
 * Hands the message to its targets. Nothing happens at all when one of them must refuse it: the publisher is told, and may try
 * again. Without a publisher (a will) nobody could: then who has room gets it, and only a store that cannot take it refuses.
 */
export function distribute(
  context: BrokerContext,
  space: TopicSpace,
  route: Route,
  published: Message,
  publisher: Publisher | undefined,
): Distributed {
  if (isLater(context, published, publisher)) return distributeLater(context, space, published, publisher);
  const message = withLifetime(context, route, published);
  const refused = publisher?.isAdmitted === true ? undefined : refusal(context, space, route, message, publisher);
  if (refused !== undefined) return refused;
  const batch = new Batch(context, publisher?.isAdmitted === true);
  if (message.retain && !has(publisher, space.retained.shardFor(message.topic))) retain(context, space, message, publisher, batch);
  const kept = new KeptOnce(message);
  for (const target of route.targets) toTarget(target, kept, publisher, batch);
  for (const competing of route.competing) toCompeting(context, competing, kept, publisher, batch);
  const shards = batch.write(message, space.tenant, publisher);
  if (shards.length > 0) return { outcome: Outcome.pending, shards };
  return route.isEmpty && !message.retain ? nobody : handedOver;
}

/** One for a named queue that gives its messages a lifetime gets it, if it has none. */
function withLifetime({ clock }: BrokerContext, { competing }: Route, m: Message): Message {
  const queue = m.expiresAtMs === 0 && competing.length === 1 ? competing[0]!.queue : undefined;
  if (queue === undefined || queue.kind !== 'named' || queue.rules.defaultExpiryMs === 0) return m;
  const { topic, topicBytes, buffer, start, end, guarantee, retain, priority, acceptedAtMs, sender, attributes } = m;
  const expiresAtMs = clock.wallMs() + queue.rules.defaultExpiryMs;
  return new Message(topic, topicBytes, buffer, start, end, guarantee, retain, priority, expiresAtMs, acceptedAtMs, sender, attributes);
}

function isLater({ clock }: BrokerContext, { attributes }: Message, publisher: Publisher | undefined): boolean {
  if (attributes === undefined || publisher?.isDue === true) return false;
  const { deliverAtMs } = attributes;
  // What was admitted in a transaction was to wait then: it may be due by now, but its place is reserved where it waits.
  return deliverAtMs !== undefined && (publisher?.isAdmitted === true || deliverAtMs > clock.wallMs());
}

/** Keeps the message until its time has come. */
function distributeLater(context: BrokerContext, space: TopicSpace, message: Message, publisher: Publisher | undefined): Distributed {
  const { queue } = space.obtainDelayed();
  if (has(publisher, queue.shard)) return handedOver;
  const isAdmitted = publisher?.isAdmitted === true;
  const refused = isAdmitted ? undefined : refusalOf(context, queue, storedBytes(message), context.clock.wallMs(), publisher);
  if (refused !== undefined) return refused;
  context.counters.publishesDelayed++;
  const batch = new Batch(context, isAdmitted);
  batch.add(queue, message, message.guarantee, message.retain, undefined);
  const shards = batch.write(message, space.tenant, publisher);
  return shards.length > 0 ? { outcome: Outcome.pending, shards } : handedOver;
}

/** The reason why the message cannot be taken as a whole, before anything has happened. */
function refusal(
  context: BrokerContext,
  space: TopicSpace,
  route: Route,
  message: Message,
  publisher: Publisher | undefined,
): Distributed | undefined {
  const nowMs = context.clock.wallMs();
  const bytes = storedBytes(message);
  if (route.full) return full(context);
  if (message.retain && !has(publisher, space.retained.shardFor(message.topic))) {
    if (message.end > message.start && publisher !== undefined && !space.retained.admits(message, usageOf(space, publisher))) {
      context.counters.retainedRefused++;
      return refusedFull;
    }
    if (space.retained.shardFor(message.topic).stall !== undefined) return stalled(context);
  }
  let copies = 0;
  for (const whole of route.targets) {
    if (Math.min(message.guarantee, whole.guarantee) === 0) continue;
    const target = whole.isChoosy ? whole.forMessage(message, publisher?.session) : whole;
    if (target === undefined || Math.min(message.guarantee, target.guarantee) === 0) continue;
    const refused = refusalOf(context, target.session.inbox, bytes, nowMs, publisher);
    if (refused !== undefined) return refused;
    if (target.session.durable) copies++;
  }
  for (const competing of route.competing) {
    if (!competing.wants(message) || (message.guarantee === 0 && competing.queue.kind === 'shared')) continue;
    const refused = refusalOf(context, competing.queue, bytes, nowMs, publisher);
    if (refused !== undefined) return refused;
    copies++;
  }
  if (publisher === undefined || copies < 2) return undefined;
  // Each of them has room; whether all of them together have it, only their tenant's quota bounds.
  const { tenant } = space.usages;
  if (!tenant.queueBounded || publisher.skip !== undefined || tenant.admitsQueued(copies, copies * bytes)) return undefined;
  tenant.refuse('queue');
  return full(context);
}

function refusalOf(
  context: BrokerContext,
  queue: Queue,
  bytes: number,
  nowMs: number,
  publisher: Publisher | undefined,
): Distributed | undefined {
  if (has(publisher, queue.shard)) return undefined;
  if (queue.durable && queue.shard.stall !== undefined) return stalled(context);
  if (!queue.durable && queue.kind === 'named' && isCrowded(context, queue, bytes)) return full(context);
  // Nobody to refuse: who has room gets it.
  if (publisher === undefined) return undefined;
  if (queue.limits.onFull !== 'reject-new' || queue.admission(bytes, nowMs) !== 'refuse') return undefined;
  const { usage } = queue;
  if (usage?.queueBounded && !usage.admitsQueued(1, bytes)) usage.refuse('queue');
  return full(context);
}

function full(context: BrokerContext): Distributed {
  context.counters.publishesRefusedByFullQueue++;
  return refusedFull;
}

/** The shard has the message already: what was durable before a crash is not done again, or it would undo what came after it. */
function has(publisher: Publisher | undefined, shard: Shard): boolean {
  return publisher?.skip !== undefined && publisher.skip.includes(shard.index);
}

function stalled(context: BrokerContext): Distributed {
  context.counters.publishesRefusedByStore++;
  return refusedStore;
}

function usageOf(space: TopicSpace, publisher: Publisher | undefined): Usage {
  return publisher?.session?.inbox.usage ?? space.usages.tenant;
}

function retain(context: BrokerContext, space: TopicSpace, message: Message, publisher: Publisher | undefined, batch: Batch): void {
  if (message.end > message.start) {
    if (publisher?.isAdmitted === true || space.retained.admits(message, usageOf(space, publisher))) batch.retainIn(space);
    else context.counters.retainedRefused++;
    return;
  }
  // An empty payload removes the last value [MQTT-3.3.1-6].
  const shard = space.retained.clear(message.topic);
  if (shard !== undefined) batch.wait(shard);
}

function toTarget(whole: Target, kept: KeptOnce, publisher: Publisher | undefined, batch: Batch): void {
  const { message } = kept;
  let target: Target | undefined = whole;
  if (whole.isChoosy) target = whole.forMessage(message, publisher?.session);
  if (target === undefined) return;
  const retained = target.retainAsPublished && message.retain;
  const guarantee = Math.min(message.guarantee, target.guarantee) as Guarantee;
  const session = target.session;
  if (guarantee === 0) session.send(message, retained, target.subscriptionIds);
  else if (!session.durable) session.offer(kept, guarantee, retained, target.subscriptionIds);
  else if (!has(publisher, session.inbox.shard)) {
    batch.add(session.inbox, message, guarantee, retained, target.subscriptionIds);
  }
}

function toCompeting(
  context: BrokerContext,
  competing: CompetingConsumers,
  kept: KeptOnce,
  publisher: Publisher | undefined,
  batch: Batch,
): void {
  const { message } = kept;
  const queue = competing.queue;
  if (!competing.wants(message)) return;
  if (message.guarantee === 0 && queue.kind === 'shared') {
    competing.send(message, publisher?.session?.connectionKey);
  } else if (queue.durable) {
    if (has(publisher, queue.shard)) return;
    batch.add(queue, message, message.guarantee, message.retain, undefined);
  } else {
    enqueueTransient(context, queue, kept, message.guarantee, message.retain, undefined, publisher?.session?.connectionKey);
    competing.pump();
  }
}

/** A queue may always hold this much without a journal, also when all of them together have used up their memory. */
const fairShareBytes = 64 * 1024;

function isCrowded({ memory, limits }: BrokerContext, queue: Queue, bytes: number): boolean {
  return queue.bytes + bytes > fairShareBytes && memory.transientBytes + bytes > limits.transientMemoryBytes;
}

/** A message of this size may be kept in a queue that is not journaled, without pushing anything out. */
export function hasRoomFor(context: BrokerContext, queue: Queue, bytes: number): boolean {
  return queue.fits(bytes) && !isCrowded(context, queue, bytes);
}

/** Keeps the message in a queue that is not journaled, if its policy and the node's memory let it. */
export function enqueueTransient(
  context: BrokerContext,
  queue: Queue,
  kept: KeptOnce,
  guarantee: Guarantee,
  retained: boolean,
  subscriptionIds: readonly number[] | undefined,
  publisher = 0,
): void {
  const bytes = storedBytes(kept.message);
  if (isCrowded(context, queue, bytes) || queue.admission(bytes, context.clock.wallMs()) !== 'take') {
    queue.passThrough('queueFull');
    return;
  }
  const entry = queue.append(guarantee, retained, subscriptionIds);
  entry.publisher = publisher;
  entry.stored = kept.stored();
  queue.shard.acquire(entry.stored);
  queue.enqueue(entry);
}

/** Entries of one message on their way into the journal: one record per shard. */
class Batch {
  readonly #context: BrokerContext;
  /** Made when the first one comes: most messages go to nobody's journal. */
  #shards: Shard[] | undefined = undefined;
  #entries: Entry[][] | undefined = undefined;
  readonly #isAdmitted: boolean;
  #retainIn: TopicSpace | undefined = undefined;

  constructor(context: BrokerContext, isAdmitted: boolean) {
    this.#context = context;
    this.#isAdmitted = isAdmitted;
  }

  retainIn(space: TopicSpace): void {
    this.#retainIn = space;
  }

  /** What was written into the shard's current row must be durable before the publisher is answered. */
  wait(shard: Shard): Entry[] {
    const shards = (this.#shards ??= []);
    const entries = (this.#entries ??= []);
    let index = shards.indexOf(shard);
    if (index < 0) {
      index = shards.push(shard) - 1;
      entries.push([]);
    }
    return entries[index]!;
  }

  add(queue: Queue, message: Message, guarantee: Guarantee, retained: boolean, subscriptionIds: readonly number[] | undefined): void {
    const admission = queue.admission(storedBytes(message), this.#context.clock.wallMs());
    if (admission === 'drop' || (admission === 'refuse' && !this.#isAdmitted)) {
      queue.passThrough('queueFull');
      return;
    }
    this.wait(queue.shard).push(queue.append(guarantee, retained, subscriptionIds));
  }

  /** Writes one record per shard; returns the shards whose current rows must be durable. */
  write(message: Message, tenant: string, publisher: Publisher | undefined): readonly Shard[] {
    const space = this.#retainIn;
    const retainShard = space?.retained.shardFor(message.topic);
    if (retainShard !== undefined) this.wait(retainShard);
    const shards = this.#shards;
    if (shards === undefined) return nowhere;
    for (let i = 0; i < shards.length; i++) {
      const shard = shards[i]!;
      const entries = this.#entries![i]!;
      const setsRetained = shard === retainShard;
      if (entries.length === 0 && !setsRetained) {
        // Only a last value was cleared. That too happens once.
        if (publisher !== undefined && publisher.origin !== 0) shard.writeOrigin(publisher.origin, publisher.id);
        continue;
      }
      const stored = shard.store(message, setsRetained ? tenant : undefined, publisher?.origin ?? 0, publisher?.id ?? 0, entries);
      if (setsRetained) space!.retained.set(message.topic, stored, message.sender);
      for (const entry of entries) {
        entry.publisher = publisher?.session?.connectionKey ?? 0;
        entry.queue.enqueue(entry);
        shard.pumpWhenDurable(entry.queue);
      }
    }
    return shards;
  }
}

/** `consumer.published(token, accepted)` once what was written into the shards just now is durable. */
export function acknowledgeWhenDurable(shards: readonly Shard[], session: ClientSession, token: number): void {
  const consumer = session.consumer;
  if (consumer === undefined) return;
  if (shards.length === 1) {
    shards[0]!.acknowledge(consumer, token);
    return;
  }
  const ticket = new Ticket(shards.length, consumer, token);
  for (const shard of shards) shard.acknowledge(ticket, 0);
}

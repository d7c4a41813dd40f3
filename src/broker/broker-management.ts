// Management of one broker: what there is, found in the order of names, and what an operator may do with it.

import { filterProblem, parseFilter } from '../message/filter.ts';
import type { Message } from '../message/message.ts';
import type { ClientSession } from './sessions/client-session.ts';
import type { CompetingConsumers } from './queues/competing-consumers.ts';
import type { BrokerContext } from './context.ts';
import { FirstInOrder } from './queues/first-in-order.ts';
import type {
  BrokerManagement,
  ManagementResult,
  PageOf,
  PageOptions,
  QueuedMessage,
  QueueView,
  SessionOptions,
  SessionView,
  SubscriptionView,
} from './management.ts';
import type { CloseReason } from './port.ts';
import { nameOf } from './queues/queue.ts';
import type { Queue } from './queues/queue.ts';
import { QueueAccess, durable, fault, unavailable, unsettledOf, value } from './queues/queue-access.ts';
import { delayedName, queuePrefix, sharedPrefix } from './routing/topic-space.ts';
import type { TopicSpace } from './routing/topic-space.ts';

const inboxPrefix = 'inbox/';
/** Retained topics looked at before other work gets its turn. */
const sliceTopics = 1000;
const maxPage = 1000;

const nothing = (): void => {};

export class LocalManagement implements BrokerManagement {
  readonly #context: BrokerContext;
  readonly #spaces: ReadonlyMap<string, TopicSpace>;
  readonly #access: QueueAccess;

  constructor(context: BrokerContext, spaces: ReadonlyMap<string, TopicSpace>) {
    this.#context = context;
    this.#spaces = spaces;
    this.#access = new QueueAccess(context);
  }

  get tenants(): readonly string[] {
    return [...this.#spaces.keys()].toSorted();
  }

  sessions(tenant: string, options: SessionOptions): PageOf<SessionView> {
    const space = this.#spaces.get(tenant);
    const { connected, principal, parts } = options;
    const first = firstOf<ClientSession>(options);
    const sessions = space === undefined ? [] : principal === undefined ? space.sessions.values() : space.principals.of(principal);
    for (const session of sessions) {
      if (parts === false && session.isPart) continue;
      if (session.ended || (connected !== undefined && connected !== (session.attachment !== undefined))) continue;
      first.offer(session.clientId, session);
    }
    return viewed(first, viewOfSession);
  }

  session(tenant: string, clientId: string): { session: SessionView; subscriptions: readonly SubscriptionView[] } | undefined {
    const session = this.#session(tenant, clientId);
    if (session === undefined) return undefined;
    const subscriptions = [...session.subscriptions.values()].map(({ text: filter, guarantee, noLocal }) => ({
      filter,
      guarantee,
      noLocal,
    }));
    return { session: viewOfSession(session), subscriptions: subscriptions.toSorted((a, b) => (a.filter < b.filter ? -1 : 1)) };
  }

  disconnect(tenant: string, clientId: string, reason: CloseReason): boolean {
    const session = this.#session(tenant, clientId);
    if (session?.attachment === undefined) return false;
    this.#enterTurn();
    session.expel(reason);
    return true;
  }

  async endSession(tenant: string, clientId: string): Promise<ManagementResult<{ readonly messages: number }>> {
    const session = this.#session(tenant, clientId);
    if (session === undefined) return fault('not-found', 'there is no such session');
    const { shard, ledger } = session.inbox;
    if (session.recorded && shard.stall !== undefined) return unavailable;
    this.#enterTurn();
    const messages = ledger.queued;
    session.expel('administrative');
    session.end();
    await durable(shard);
    return value({ messages });
  }

  queues(tenant: string, options: PageOptions): PageOf<QueueView> {
    const first = firstOf<Queue>(options);
    const space = this.#spaces.get(tenant);
    for (const { queue } of space?.named.values() ?? []) first.offer(nameOf(queue), queue);
    if (space?.delayed !== undefined) first.offer(nameOf(space.delayed.queue), space.delayed.queue);
    for (const { queue } of space?.shared.values() ?? []) first.offer(nameOf(queue), queue);
    for (const { inbox } of space?.sessions.values() ?? []) if (inbox.durable || inbox.ledger.queued > 0) first.offer(nameOf(inbox), inbox);
    return viewed(first, viewOfQueue);
  }

  async createQueue(tenant: string, name: string): Promise<ManagementResult<{ readonly created: boolean }>> {
    if (this.#queue(tenant, name) !== undefined) return value({ created: false });
    if (this.#context.shards.some(({ stall }) => stall !== undefined)) return unavailable;
    this.#enterTurn();
    const queue = this.#newQueue(tenant, name);
    if (queue === undefined) return noSuchQueue;
    if (queue === 'full') return tooManyQueues;
    await durable(queue.shard);
    return value({ created: true });
  }

  async deleteQueue(tenant: string, name: string): Promise<ManagementResult<{ readonly messages: number }>> {
    const space = this.#spaces.get(tenant);
    const competing = name.startsWith(queuePrefix) ? space?.named.get(name.slice(queuePrefix.length)) : undefined;
    if (space === undefined || competing === undefined) return noSuchQueue;
    const { queue } = competing;
    if (queue.shard.stall !== undefined) return unavailable;
    if (competing.members.length > 0) return fault('busy', 'somebody consumes this queue');
    this.#enterTurn();
    const messages = queue.ledger.queued;
    space.removeNamed(competing);
    await durable(queue.shard);
    return value({ messages });
  }

  async browse(tenant: string, name: string, { limit, after }: PageOptions): Promise<ManagementResult<PageOf<QueuedMessage>>> {
    const queue = this.#queue(tenant, name);
    if (queue === undefined) return noSuchQueue;
    this.#enterTurn();
    return this.#access.browse(queue, Math.min(limit, maxPage), after);
  }

  async purge(tenant: string, name: string): Promise<ManagementResult<{ readonly messages: number }>> {
    const queue = this.#queue(tenant, name);
    if (queue === undefined) return noSuchQueue;
    this.#enterTurn();
    return this.#access.purge(queue);
  }

  async move(tenant: string, from: string, to: string, maxMessages: number): Promise<ManagementResult<{ readonly messages: number }>> {
    const source = this.#queue(tenant, from);
    if (source === undefined) return noSuchQueue;
    this.#enterTurn();
    const target = this.#queue(tenant, to) ?? this.#newQueue(tenant, to);
    if (target === undefined) return noSuchQueue;
    if (target === 'full') return tooManyQueues;
    return this.#access.move(source, target, maxMessages);
  }

  async retained(tenant: string, filter: string, options: PageOptions): Promise<PageOf<Message>> {
    const retained = this.#spaces.get(tenant)?.retained;
    const first = firstOf<string>(options);
    if (retained === undefined || filterProblem(filter) !== undefined) return { entries: [], next: undefined };
    this.#enterTurn();
    const search = retained.search(filter);
    while (search.next(sliceTopics, (topic) => first.offer(topic, topic))) {
      await new Promise<void>((resolve) => this.#context.turn.later(resolve));
    }
    const { entries, next } = first.page();
    const messages: Message[] = [];
    for (const topic of entries) {
      const found = retained.get(topic);
      const message = found && (await this.#access.read(found.shard, found.stored));
      if (message !== undefined && message !== 'unavailable') messages.push(message);
    }
    return { entries: messages, next };
  }

  async clearRetained(tenant: string, topic: string): Promise<ManagementResult<boolean>> {
    const retained = this.#spaces.get(tenant)?.retained;
    const found = retained?.get(topic);
    if (retained === undefined || found === undefined) return value(false);
    if (found.shard.stall !== undefined) return unavailable;
    this.#enterTurn();
    const shard = retained.clear(topic);
    if (shard !== undefined) await durable(shard);
    return value(true);
  }

  /** Whoever asks does so outside of the event loop's turns: what it causes belongs to one. */
  #enterTurn(): void {
    this.#context.turn.atEnd(nothing);
  }

  #session(tenant: string, clientId: string): ClientSession | undefined {
    return this.#spaces.get(tenant)?.sessions.get(clientId);
  }

  #queue(tenant: string, name: string): Queue | undefined {
    const space = this.#spaces.get(tenant);
    if (space === undefined) return undefined;
    if (name === queuePrefix + delayedName) return space.delayed?.queue;
    if (name.startsWith(queuePrefix)) return space.named.get(name.slice(queuePrefix.length))?.queue;
    if (name.startsWith(sharedPrefix)) return space.shared.get(name.slice(sharedPrefix.length))?.queue;
    return name.startsWith(inboxPrefix) ? space.sessions.get(name.slice(inboxPrefix.length))?.inbox : undefined;
  }

  /** A named queue is there as soon as somebody asks for it. */
  #newQueue(tenant: string, name: string): Queue | 'full' | undefined {
    const space = this.#spaces.get(tenant);
    if (space === undefined || parseFilter(name, this.#context.limits.maxTopicLevels).kind !== 'queue') return undefined;
    return space.obtainNamed(name.slice(queuePrefix.length))?.queue ?? 'full';
  }
}

const noSuchQueue = fault('not-found', 'there is no such queue');
const tooManyQueues = fault('full', 'there are as many queues as there may be');

function firstOf<T>({ limit, after, prefix }: PageOptions): FirstInOrder<T> {
  return new FirstInOrder(Math.max(1, Math.min(limit, maxPage)), after, prefix);
}

function viewed<T, View>(first: FirstInOrder<T>, view: (each: T) => View): PageOf<View> {
  const { entries, next } = first.page();
  return { entries: entries.map((each) => view(each)), next };
}

function viewOfSession(session: ClientSession): SessionView {
  const { attachment, inbox } = session;
  return {
    tenant: session.space.tenant,
    clientId: session.clientId,
    principal: session.principal.id,
    protocol: session.protocol,
    connected: attachment !== undefined,
    isPart: session.isPart,
    partOf: attachment?.partOf?.clientId,
    durable: session.durable,
    remoteAddress: attachment?.remoteAddress,
    listener: attachment?.listener,
    connectedAtMs: attachment?.since,
    disconnectedAtMs: attachment === undefined ? session.disconnectedAtMs : undefined,
    expiryMs: session.sessionExpiryMs,
    subscriptions: session.subscriptions.size,
    queuedMessages: inbox.ledger.queued,
    queuedBytes: inbox.bytes,
    unsettled: session.deliveries.size,
  };
}

function viewOfQueue(queue: Queue): QueueView {
  const { kind, tenant, bytes, ledger } = queue;
  const consumers =
    kind === 'inbox' ? Number((queue.holder as ClientSession).connected) : connectedMembers(queue.holder as CompetingConsumers);
  const { priorities, singleActive, maxDeliveries, deadLetterQueue } = queue.rules;
  return {
    tenant,
    name: nameOf(queue),
    kind,
    durable: queue.durable,
    messages: ledger.queued,
    bytes,
    consumers,
    unsettled: unsettledOf(queue),
    priorities,
    singleActive,
    maxDeliveries,
    deadLetterQueue: deadLetterQueue === '' || queue.graves === undefined ? undefined : deadLetterQueue,
    deadLettered: queue.deadLettered,
    leaving: queue.leaving?.size ?? 0,
  };
}

function connectedMembers({ members }: CompetingConsumers): number {
  let count = 0;
  for (const { session } of members) if (session.connected) count++;
  return count;
}

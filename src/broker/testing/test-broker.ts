// A broker on a clock, turns and journals that a test moves by hand, and consumers that record what they are told.

import assert from 'node:assert/strict';

import { ManualClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { SeededRandom } from '../../base/random.ts';
import type { Attributes } from '../../message/attributes.ts';
import { Message, defaultPriority } from '../../message/message.ts';
import type { Guarantee } from '../../message/message.ts';
import type { Principal, Security } from '../../security/security.ts';
import { MemoryContents, MemoryJournal } from '../../store/memory/memory-journal.ts';
import { JournalError } from '../../store/journal.ts';
import { Broker } from '../broker.ts';
import { shardOf } from '../context.ts';
import type { BrokerLimits } from '../limits.ts';
import { Outcome } from '../port.ts';
import type { AttachRequest, CloseReason, Consumer, Session, SubscribeRequest, SubscribeResult } from '../port.ts';
import type { QuotaSource } from '../quotas/quotas.ts';
import type { Turn } from '../turn.ts';

export const testLimits: BrokerLimits = {
  durableInbox: { maxMessages: 1000, maxBytes: 1_000_000, onFull: 'reject-new' },
  transientInbox: { maxMessages: 1000, maxBytes: 1_000_000, onFull: 'drop-oldest' },
  sharedQueue: { maxMessages: 1000, maxBytes: 1_000_000, onFull: 'reject-new' },
  namedQueue: { maxMessages: 1000, maxBytes: 1_000_000, onFull: 'reject-new' },
  delayedQueue: { maxMessages: 1000, maxBytes: 1_000_000, onFull: 'reject-new' },
  maxDeliveries: 10,
  deadLetterQueue: 'dead-letter',
  queues: [],
  maxTemporaryQueuesPerPrincipal: 100,
  maxSessions: 1000,
  maxSessionsPerPrincipal: 1000,
  maxSubscriptionsPerSession: 100,
  maxSharedQueues: 100,
  maxNamedQueues: 100,
  maxRetainedMessages: 1000,
  maxRetainedBytes: 1_000_000,
  maxTopicLevels: 128,
  maxSessionExpiryMs: Infinity,
  maxWillDelayMs: Infinity,
  payloadMemoryBytes: 1_000_000,
  transientMemoryBytes: 1_000_000,
  maxUncommittedBytes: 1_000_000,
  checkpointBytes: 1_000_000,
  expirySweepMs: 1000,
  transactions: { maxOpenPerPrincipal: 10, maxMessages: 100, maxBytes: 100_000, timeoutMs: 60_000 },
  replies: { maxPerPrincipal: 100, max: 1000, lifetimeMs: 60_000 },
};

export const anyone: Principal = { tenant: 'main', id: 'anyone', kind: 'anonymous', roles: [] };

export const allowAll: Security = {
  version: 1,
  authenticate: (_credentials, answer) => answer({ ok: true, principal: anyone }),
  startExchange: () => undefined,
  allows: () => true,
};

/** Turns of an event loop that a test ends itself. */
export class ManualTurn implements Turn {
  #end: (() => void)[] = [];
  #later: (() => void)[] = [];

  atEnd(task: () => void): void {
    this.#end.push(task);
  }

  later(task: () => void): void {
    this.#later.push(task);
  }

  /** Ends the turn and runs what was put off to the next one. */
  end(): void {
    const end = this.#end;
    this.#end = [];
    for (const task of end) task();
    const later = this.#later;
    this.#later = [];
    for (const task of later) task();
  }

  get idle(): boolean {
    return this.#end.length === 0 && this.#later.length === 0;
  }
}

export type TestBrokerOptions = {
  readonly limits?: Partial<BrokerLimits>;
  readonly shards?: number;
  readonly security?: Security;
  readonly quotas?: QuotaSource;
  /** What an earlier broker left behind. */
  readonly contents?: readonly MemoryContents[];
  readonly clock?: ManualClock;
};

export class TestBroker {
  readonly clock: ManualClock;
  readonly turn = new ManualTurn();
  readonly contents: readonly MemoryContents[];
  readonly broker: Broker;
  failed: Error | undefined = undefined;
  /** Shards whose journals do not finish anything. */
  readonly frozen = new Set<number>();
  #commits: { readonly shard: number; readonly task: () => void }[] = [];

  constructor(options: TestBrokerOptions = {}) {
    this.clock = options.clock ?? new ManualClock();
    this.contents = options.contents ?? Array.from({ length: options.shards ?? 1 }, () => new MemoryContents());
    this.broker = new Broker({
      clock: this.clock,
      turn: this.turn,
      log: silentLog,
      random: new SeededRandom(1),
      security: options.security ?? allowAll,
      limits: { ...testLimits, ...options.limits },
      ...(options.quotas && { quotas: options.quotas }),
      journals: this.contents.map(
        (contents, shard) => new MemoryJournal({ contents, shard, schedule: (task) => this.#commits.push({ shard, task }) }),
      ),
      onFailed: (error) => (this.failed = error),
    });
  }

  static async start(options: TestBrokerOptions = {}): Promise<TestBroker> {
    const test = new TestBroker(options);
    await test.broker.start();
    return test;
  }

  /** Ends the turn without letting the journal finish. */
  endTurn(): void {
    this.turn.end();
  }

  /** Lets the journals finish what they have, except those of frozen shards. */
  commit(): void {
    const commits = this.#commits;
    this.#commits = commits.filter(({ shard }) => this.frozen.has(shard));
    for (const { shard, task } of commits) if (!this.frozen.has(shard)) task();
  }

  /** Ends turns and lets the journals finish until nothing more happens. */
  settle(): void {
    for (let i = 0; i < 1000 && (!this.turn.idle || this.#commits.some(({ shard }) => !this.frozen.has(shard))); i++) {
      this.turn.end();
      this.commit();
    }
  }

  /** What is promised, with turns and commits as often as it takes. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isOpen = true;
    const closed = promise.finally(() => (isOpen = false));
    for (let i = 0; i < 10_000 && isOpen; i++) {
      this.settle();
      // Answers in several steps.
      await Promise.resolve();
    }
    assert.equal(isOpen, false, 'it is not answered');
    return closed;
  }

  /** The disk of a shard is full. */
  stall(shard: number): void {
    this.frozen.add(shard);
    this.broker.shards[shard]!.stalled(new JournalError('full', 'no space left in the test', 'test'));
  }

  /** It has space again. */
  resume(shard: number): void {
    this.frozen.delete(shard);
    this.broker.shards[shard]!.resumed();
    this.settle();
  }

  /** `prefix`, a number and `suffix`, so that what has this name belongs to the shard. */
  nameOn(shard: number, prefix: string, suffix = ''): string {
    for (let i = 0; ; i++) {
      const name = `${prefix}${i}${suffix}`;
      if (shardOf(this.broker.context, 'main', name).index === shard) return name;
    }
  }

  advance(ms: number): void {
    this.clock.advance(ms);
    this.broker.timers.advance(this.clock.monotonicMs());
    this.settle();
  }

  /** A broker on what this one has made durable, as after `kill -9`. The old one must not be used any more. */
  async restart(options: TestBrokerOptions = {}): Promise<TestBroker> {
    this.#commits = [];
    return TestBroker.start({
      ...options,
      clock: this.clock,
      contents: this.contents.map((contents, i) => survivors(contents, this.broker.shards[i]!.durableRow)),
    });
  }

  /** `prepare` is called before anything can reach the consumer. */
  connect(clientId: string, options: Partial<AttachRequest> = {}, prepare?: (consumer: TestConsumer) => void): TestConsumer {
    const consumer = new TestConsumer(this);
    prepare?.(consumer);
    this.broker.attach({ ...attachRequest(clientId), ...options }, consumer);
    this.settle();
    return consumer;
  }
}

/** What a client asks for that has no wishes. */
export function attachRequest(clientId: string): AttachRequest {
  return {
    principal: anyone,
    clientId,
    protocol: 'test',
    remoteAddress: '127.0.0.1',
    listener: 'test',
    cleanStart: false,
    sessionExpiryMs: 0,
    will: undefined,
    receiveMaximum: 100,
    maxPacketBytes: Infinity,
  };
}

/** What a crash leaves of a journal: the rows that were reported durable. */
function survivors(contents: MemoryContents, durableRow: number): MemoryContents {
  const left = new MemoryContents();
  for (const [row, bytes] of contents.rows) if (row <= durableRow) left.rows.set(row, bytes);
  left.next = durableRow + 1;
  left.checkpoint = contents.checkpoint;
  return left;
}

export type Delivery = {
  readonly id: number;
  readonly guarantee: Guarantee;
  readonly topic: string;
  readonly payload: string;
  readonly retained: boolean;
  readonly redelivered: boolean;
  readonly ids: readonly number[] | undefined;
  readonly attributes: Attributes | undefined;
  /** 0: at most once. */
  readonly position: number;
  readonly deliveryCount: number;
};

const text = new TextEncoder();

export type MessageOptions = {
  readonly retain?: boolean;
  readonly expiresAtMs?: number;
  readonly priority?: number;
  readonly attributes?: Attributes;
};

export type PublishOptions = MessageOptions & { readonly token?: number; readonly tag?: string };

export function message(topic: string, payload: string, guarantee: Guarantee = 1, options: MessageOptions = {}): Message {
  const bytes = text.encode(payload);
  return new Message(
    topic,
    text.encode(topic),
    bytes,
    0,
    bytes.length,
    guarantee,
    options.retain ?? false,
    options.priority ?? defaultPriority,
    options.expiresAtMs ?? 0,
    0,
    'tester',
    options.attributes,
  );
}

/** Records everything; settles only when told. */
export class TestConsumer implements Consumer {
  congested = false;
  session: Session | undefined = undefined;
  outcome: Outcome | undefined = undefined;
  sessionPresent = false;
  closed: CloseReason | undefined = undefined;
  held = false;
  readonly deliveries: Delivery[] = [];
  readonly releases: number[] = [];
  /** Token and outcome of publishes that were pending. */
  readonly acknowledged: [token: number, outcome: Outcome][] = [];
  readonly releasedTokens: number[] = [];
  readonly subscribeResults: (readonly SubscribeResult[])[] = [];
  readonly unsubscribeOutcomes: (readonly Outcome[])[] = [];
  maxPayloadBytes = Infinity;
  timesBrowsed = 0;
  timesDrained = 0;
  /** What was taken from it. */
  readonly revocations: string[] = [];
  /** Called from within `attached`. */
  whenAttached: ((session: Session) => void) | undefined = undefined;
  readonly #test: TestBroker;
  #token = 0;

  constructor(test: TestBroker) {
    this.#test = test;
  }

  get payloads(): string[] {
    return this.deliveries.map((delivery) => delivery.payload);
  }

  attached(outcome: Outcome, session: Session | undefined, sessionPresent: boolean): void {
    this.outcome = outcome;
    this.session = session;
    this.sessionPresent = sessionPresent;
    if (session !== undefined) this.whenAttached?.(session);
  }

  send(m: Message, retained: boolean, ids: readonly number[] | undefined): boolean {
    if (this.congested || m.payloadBytes > this.maxPayloadBytes) return false;
    this.#record(0, 0, m, retained, false, ids);
    return true;
  }

  transfer(
    id: number,
    guarantee: 1 | 2,
    m: Message,
    retained: boolean,
    redelivered: boolean,
    ids: readonly number[] | undefined,
    position: number,
    deliveryCount: number,
  ): boolean {
    if (m.payloadBytes > this.maxPayloadBytes) return false;
    this.#record(id, guarantee, m, retained, redelivered, ids, position, deliveryCount);
    return true;
  }

  #record(
    id: number,
    guarantee: Guarantee,
    m: Message,
    retained: boolean,
    redelivered: boolean,
    ids: readonly number[] | undefined,
    position = 0,
    deliveryCount = 0,
  ): void {
    const payload = new TextDecoder().decode(m.payload());
    const { topic, attributes } = m;
    this.deliveries.push({ id, guarantee, topic, payload, retained, redelivered, ids, attributes, position, deliveryCount });
  }

  drained(): void {
    this.timesDrained++;
  }

  revoked(filters: readonly string[]): void {
    this.revocations.push(...filters);
  }

  browsed(): void {
    this.timesBrowsed++;
  }

  releaseDelivery(id: number): void {
    this.releases.push(id);
  }

  published(token: number, outcome: Outcome): void {
    this.acknowledged.push([token, outcome]);
  }

  released(token: number): void {
    this.releasedTokens.push(token);
  }

  subscribed(_token: number, results: readonly SubscribeResult[]): void {
    this.subscribeResults.push(results);
  }

  unsubscribed(_token: number, outcomes: readonly Outcome[]): void {
    this.unsubscribeOutcomes.push(outcomes);
  }

  hold(on: boolean): void {
    this.held = on;
  }

  detached(reason: CloseReason): void {
    this.closed = reason;
    this.session = undefined;
  }

  subscribe(filter: string, guarantee: Guarantee = 1, options: Partial<SubscribeRequest> = {}): void {
    const request: SubscribeRequest = {
      filter,
      guarantee,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 'always',
      subscriptionId: 0,
      ...options,
    };
    this.session!.subscribe([request], ++this.#token);
    this.#test.settle();
  }

  /** Publishes without letting anything settle; returns the immediate outcome. */
  publishNow(topic: string, payload: string, guarantee: Guarantee = 1, options: PublishOptions = {}): Outcome {
    const m = message(topic, payload, guarantee, options);
    return this.session!.publish(this.session!.address(topic, m.topicBytes), m, options.token ?? ++this.#token, options.tag);
  }

  publish(topic: string, payload: string, guarantee: Guarantee = 1, options: PublishOptions = {}): Outcome {
    const outcome = this.publishNow(topic, payload, guarantee, options);
    this.#test.settle();
    return outcome;
  }

  /** Settles everything delivered so far, as a good client does. */
  settleAll(): void {
    for (const { id, guarantee } of this.deliveries) {
      if (guarantee === 1) this.session!.settle(id, 'accepted');
      if (guarantee === 2) this.session!.settle(id, 'received');
    }
    this.#test.settle();
    for (const id of this.releases) this.session!.settle(id, 'accepted');
    this.#test.settle();
  }

  disconnect(publishWill = false): void {
    this.session!.detach(publishWill);
    this.session = undefined;
    this.#test.settle();
  }
}

/** The books of every queue and of all together balance. */
export function assertBooks(t: TestBroker): void {
  assert.equal(t.broker.total.imbalance(), 0);
  for (const space of t.broker.spaces.values()) {
    for (const session of space.sessions.values()) assert.equal(session.inbox.ledger.imbalance(), 0, session.clientId);
    for (const { queue } of [...space.shared.values(), ...space.named.values()]) assert.equal(queue.ledger.imbalance(), 0, queue.name);
  }
}

export { Outcome };

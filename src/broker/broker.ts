// The broker: opens the journals, brings back what they tell, attaches sessions, and keeps house. Decisions only: it is handed
// its journals, clock and turns, and touches neither socket nor disk.

import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { Timers } from '../base/timers.ts';
import type { Principal, Security } from '../security/security.ts';
import { JournalError } from '../store/journal.ts';
import type { Journal } from '../store/journal.ts';
import { RowError } from '../store/row.ts';
import { LocalManagement } from './broker-management.ts';
import { Checkpointer } from './journal/checkpoint.ts';
import { ClientSession } from './sessions/client-session.ts';
import { BrokerCounters, shardOf } from './context.ts';
import type { BrokerContext } from './context.ts';
import { HeldPublishers, HoldReason } from './held-publishers.ts';
import { Ledger } from './queues/ledger.ts';
import type { BrokerLimits } from './limits.ts';
import type { BrokerManagement } from './management.ts';
import { Outcome } from './port.ts';
import type { AttachRequest, BrokerPort, Consumer, Will } from './port.ts';
import { Queue } from './queues/queue.ts';
import { withoutQuotas } from './quotas/quotas.ts';
import type { QuotaSource } from './quotas/quotas.ts';
import { ShardRecovery } from './journal/recovery.ts';
import { ReplyPermissions } from './sessions/reply-permissions.ts';
import { Review, concernedSessions } from './review.ts';
import type { Concerned, Reassess, ReviewResult } from './review.ts';
import { ServiceTopics } from './routing/service-topics.ts';
import { Shard } from './journal/shard.ts';
import { StateRecovery } from './journal/state-recovery.ts';
import { PayloadMemory } from './journal/stored.ts';
import { SystemMessages } from './system-messages.ts';
import { TopicSpace } from './routing/topic-space.ts';
import { Transactions } from './transactions/transactions.ts';
import type { Turn } from './turn.ts';

export type BrokerOptions = {
  readonly clock: Clock;
  readonly turn: Turn;
  readonly log: Log;
  readonly security: Security;
  readonly limits: BrokerLimits;
  /** Names temporary queues; absent: there are none. */
  readonly random?: Random;
  /** Absent: nobody has any. */
  readonly quotas?: QuotaSource;
  /** Whose deadlines the owner advances, on the monotonic clock; the broker's own when absent. */
  readonly timers?: Timers;
  /** One per shard, in order. */
  readonly journals: readonly Journal[];
  /** A journal cannot go on: the node must stop. Nothing is acknowledged from then on. */
  readonly onFailed: (error: JournalError) => void;
};

export type BrokerState = 'starting' | 'serving' | 'draining' | 'stopped' | 'failed';

export class Broker implements BrokerPort {
  readonly timers: Timers;
  readonly spaces = new Map<string, TopicSpace>();
  readonly shards: readonly Shard[];
  readonly counters = new BrokerCounters();
  /** The books of all queues together. */
  readonly total = new Ledger();
  readonly memory: PayloadMemory;
  readonly system: SystemMessages;
  readonly services: ServiceTopics;
  readonly management: BrokerManagement;
  state: BrokerState = 'starting';
  readonly #options: BrokerOptions;
  readonly #context: BrokerContext;
  readonly #checkpointers: readonly Checkpointer[];
  /** Of the shards that are not stalled. */
  #moving = 0;
  #sessions = 0;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.timers = options.timers ?? new Timers();
    const { clock, turn, log, security, limits } = options;
    this.memory = new PayloadMemory(limits.payloadMemoryBytes);
    const host = {
      turn,
      memory: this.memory,
      failed: (error: JournalError): void => this.#failed(error),
      stalled: (shard: Shard, error: JournalError | undefined): void => this.#stalled(shard, error),
      uncommitted: (shard: Shard, deltaBytes: number): void => this.#uncommitted(shard, deltaBytes),
    };
    this.shards = options.journals.map((journal, index) => new Shard(index, journal, host));
    this.services = new ServiceTopics(clock, (tenant) => this.space(tenant));
    this.#context = {
      clock,
      turn,
      log,
      security,
      limits,
      random: options.random,
      timers: this.timers,
      shards: this.shards,
      memory: this.memory,
      total: this.total,
      counters: this.counters,
      services: this.services,
      held: new HeldPublishers(),
      quotas: options.quotas ?? withoutQuotas,
      transactions: new Transactions(() => this.#context),
      replies: new ReplyPermissions(() => this.#context),
      pressure: { on: false },
    };
    this.#checkpointers = this.shards.map((shard) => new Checkpointer(this.#context, shard, this.spaces));
    this.management = new LocalManagement(this.#context, this.spaces);
    this.system = new SystemMessages(this.#context, (tenant) => this.space(tenant));
  }

  get context(): BrokerContext {
    return this.#context;
  }

  get uncommittedBytes(): number {
    return this.shards.reduce((sum, shard) => sum + shard.uncommittedBytes, 0);
  }

  get sessionCount(): number {
    let count = 0;
    for (const space of this.spaces.values()) count += space.sessions.size;
    return count;
  }

  /** Everything of a tenant; made when first asked for. */
  space(tenant: string): TopicSpace {
    let space = this.spaces.get(tenant);
    if (space === undefined) this.spaces.set(tenant, (space = new TopicSpace(this.#context, tenant)));
    return space;
  }

  /**
   * Opens the journals and recovers what they hold.
   * @throws JournalError
   */
  async start(): Promise<void> {
    const recoveries = this.shards.map((shard) => new ShardRecovery(shard));
    await Promise.all(
      this.shards.map(async (shard, i) => {
        await shard.open((row, bytes) => replay(shard, recoveries[i]!, row, bytes));
        recoveries[i]!.finish();
      }),
    );
    new StateRecovery(this.#context, this.spaces, (tenant) => this.space(tenant)).bringBack(recoveries);
    this.state = 'serving';
    this.#keepHouse();
  }

  /** Stops taking new sessions, waits until everything appended is durable, and closes the journals. */
  async stop(): Promise<void> {
    if (this.state === 'stopped') return;
    this.state = 'draining';
    await Promise.all(this.shards.map((shard) => shard.close()));
    this.state = 'stopped';
  }

  /** From now on new sessions are refused; those there are may finish. */
  drain(): void {
    if (this.state === 'serving') this.state = 'draining';
  }

  // --- Attaching

  attach(asked: AttachRequest, consumer: Consumer): void {
    const connection = asked.partOf as ClientSession | undefined;
    // Only as long as there is the connection, and with what is known of its principal now.
    if (connection !== undefined && connection.attachment === undefined) return consumer.attached(Outcome.unavailable, undefined, false);
    const request = connection === undefined ? asked : { ...asked, principal: connection.principal };
    const refused = this.#refusal(request);
    if (refused !== undefined) return consumer.attached(refused, undefined, false);
    const space = this.space(request.principal.tenant);
    const resumed = this.#resumable(space, request);
    if (resumed !== undefined && resumed.principal.id !== request.principal.id) {
      // A client id is not a credential: a session belongs to the principal that opened it.
      return consumer.attached(Outcome.notAuthorized, undefined, false);
    }
    if (resumed === undefined && !this.#hasRoom(space, request)) return consumer.attached(Outcome.quotaExceeded, undefined, false);
    const usage = space.usages.of(request.principal);
    // One that takes over takes the place of the one before.
    if (connection === undefined && resumed?.attachment === undefined && !usage.admitsConnection()) {
      usage.refuse('connections');
      space.usages.sessionEnded(request.principal.id, this.#context.clock.monotonicMs());
      return consumer.attached(Outcome.quotaExceeded, undefined, false);
    }
    resumed?.expel('takenOver');
    if (resumed !== undefined && (request.cleanStart || resumed.ended)) resumed.end();
    const present = resumed !== undefined && !resumed.ended;
    const session = present ? resumed : this.#create(space, request);
    if (present) this.counters.sessionsResumed++;
    this.#use(session, request, consumer, present, resumed?.recorded === true);
  }

  #hasRoom(space: TopicSpace, { principal }: AttachRequest): boolean {
    const { maxSessions, maxSessionsPerPrincipal } = this.#context.limits;
    if (this.#sessions >= maxSessions) this.#sessions = this.sessionCount;
    return this.#sessions < maxSessions && space.principals.count(principal.id) < maxSessionsPerPrincipal;
  }

  #refusal(request: AttachRequest): Outcome | undefined {
    if (this.state !== 'serving') return Outcome.unavailable;
    const { principal, clientId, sessionExpiryMs, will } = request;
    if (shardOf(this.#context, principal.tenant, clientId).stall !== undefined) {
      const before = this.spaces.get(principal.tenant)?.sessions.get(clientId);
      if (sessionExpiryMs > 0 || will !== undefined || before?.recorded === true) return Outcome.unavailable;
    }
    return will === undefined ? undefined : this.#willRefusal(principal, will);
  }

  #willRefusal(principal: Principal, will: Will): Outcome | undefined {
    // Nobody is there to be answered.
    if (this.services.of(will.message.topic) !== undefined) return Outcome.notAuthorized;
    const outcome = this.space(principal.tenant).admitsMessage(principal, will.message);
    return outcome === Outcome.accepted ? undefined : outcome;
  }

  #resumable(space: TopicSpace, request: AttachRequest): ClientSession | undefined {
    const session = space.sessions.get(request.clientId);
    if (session?.consumer !== undefined && session.principal.id === request.principal.id) this.counters.takeOvers++;
    return session;
  }

  #create(space: TopicSpace, request: AttachRequest): ClientSession {
    this.counters.sessionsCreated++;
    this.#sessions++;
    const { limits } = this.#context;
    const durable = request.sessionExpiryMs > 0;
    const shard = shardOf(this.#context, space.tenant, request.clientId);
    const inbox = new Queue(
      shard.nextQueueId++,
      'inbox',
      space.tenant,
      request.clientId,
      shard,
      durable,
      durable ? limits.durableInbox : limits.transientInbox,
      this.total,
    );
    const session = new ClientSession(this.#context, space, request.principal, request.clientId, inbox);
    inbox.usage = space.usages.of(request.principal);
    space.addSession(session);
    return session;
  }

  #use(session: ClientSession, request: AttachRequest, consumer: Consumer, present: boolean, journaled: boolean): void {
    const { limits, clock } = this.#context;
    const attachment = {
      consumer,
      receiveMaximum: request.receiveMaximum,
      protocol: request.protocol,
      remoteAddress: request.remoteAddress,
      listener: request.listener,
      since: clock.wallMs(),
      canRefuse: request.canRefuse ?? true,
      connectsAs: request.connectsAs ?? request.clientId,
      partOf: request.partOf as ClientSession | undefined,
    };
    session.asksFor(request);
    const wantedMs = present && request.keepsExpiry === true ? session.sessionExpiryMs : request.sessionExpiryMs;
    const expiryMs = wantedMs === Infinity ? Infinity : Math.min(wantedMs, limits.maxSessionExpiryMs);
    session.attach(attachment, request.principal, expiryMs);
    session.will.replace(request.will);
    session.writeRecord();
    const answer = (): void => {
      if (session.attachment !== attachment) return;
      consumer.attached(Outcome.accepted, session, present);
      if (session.attachment === attachment) session.goLive();
    };
    // What is to be so after a crash too is promised only when it is durable: that the session lives on, that its will is
    // published [MQTT-3.1.2-8], or that an earlier session is gone [MQTT-3.1.2-4].
    if (session.needsRecord || journaled) session.inbox.shard.whenDurable(answer);
    else answer();
  }

  // --- After something has changed

  /** Asks of the connected sessions that are concerned whether they may stay, and ends or trims those that may not. */
  review(concerned: Concerned, reassess: Reassess, done: (result: ReviewResult) => void): void {
    const { counters } = this;
    counters.reviews++;
    const counted = (result: ReviewResult): void => {
      counters.sessionsReviewed += result.sessions;
      done(result);
    };
    new Review(this.#context, concernedSessions(this.spaces, concerned), reassess, counted).run();
  }

  /** A principal is gone for good, and with it what waits for it. Its connections must have ended; returns how many sessions that were. */
  endSessionsOf(tenant: string, principal: string): number {
    return this.spaces.get(tenant)?.principals.forget(principal) ?? 0;
  }

  /** Quotas have changed: those of tenants, and those of principals that are connected. Others' are asked for when they connect. */
  refreshQuotas(): void {
    for (const space of this.spaces.values()) space.usages.refresh();
  }

  /** The settings of queues have changed. */
  refreshQueueSettings(): void {
    for (const space of this.spaces.values()) space.refreshSettings();
  }

  // --- Keeping house

  #keepHouse(): void {
    const { clock, limits } = this.#context;
    if (this.state === 'stopped' || this.state === 'failed') return;
    for (const checkpointer of this.#checkpointers) checkpointer.check();
    this.dropExpired();
    this.timers.at(clock.monotonicMs() + limits.expirySweepMs, () => this.#keepHouse());
  }

  /** Writes a checkpoint of every shard now; `done` is called when all are in force. */
  checkpoint(done: () => void): void {
    let remaining = this.#checkpointers.length;
    for (const checkpointer of this.#checkpointers) checkpointer.check(true, () => --remaining === 0 && done());
  }

  /** Drops what has expired while it waited, and retained messages past their time. */
  dropExpired(): void {
    this.#context.replies.dropExpired();
    const nowMs = this.#context.clock.wallMs();
    for (const space of this.spaces.values()) {
      for (const session of space.sessions.values()) if (session.inbox.expiring > 0) session.inbox.dropExpired(nowMs);
      for (const { queue } of space.shared.values()) if (queue.expiring > 0) queue.dropExpired(nowMs);
      for (const { queue } of space.named.values()) if (queue.expiring > 0) queue.dropExpired(nowMs);
      if (space.delayed !== undefined && space.delayed.queue.expiring > 0) space.delayed.queue.dropExpired(nowMs);
      space.retained.dropExpired(nowMs);
    }
  }

  #uncommitted(shard: Shard, deltaBytes: number): void {
    // What a stalled shard holds does not go down, and its publishers are refused: it must not hold back those of others.
    if (shard.stall !== undefined) return;
    this.#moving += deltaBytes;
    const { pressure, limits } = this.#context;
    if (!pressure.on) pressure.on = this.#moving > limits.maxUncommittedBytes;
    else if (this.#moving <= limits.maxUncommittedBytes / 2) this.#letGo();
  }

  /** Publishers that were held back may go on. */
  #letGo(): void {
    const { pressure, held } = this.#context;
    pressure.on = false;
    held.releaseAll(HoldReason.pressure);
  }

  #stalled(shard: Shard, error: JournalError | undefined): void {
    const { log } = this.#context;
    if (error === undefined) {
      this.#moving += shard.uncommittedBytes;
      log.info('store-resumed', { shard: shard.index });
      return;
    }
    this.#moving -= shard.uncommittedBytes;
    log.error('store-stalled', { shard: shard.index, code: error.code, reason: error.message, where: error.where });
    // While it lasts, its publishers are refused rather than held: they learn why nothing goes on.
    this.#letGo();
  }

  #failed(error: JournalError): void {
    if (this.state === 'failed') return;
    this.state = 'failed';
    this.#context.log.error('store-failed', { code: error.code, reason: error.message, where: error.where });
    this.#options.onFailed(error);
  }
}

function replay(shard: Shard, recovery: ShardRecovery, row: number, bytes: Uint8Array): void {
  try {
    recovery.replay(row, bytes);
  } catch (error) {
    if (!(error instanceof RowError)) throw error;
    throw new JournalError('corrupt', `row ${row} cannot be read: ${error.message}`, `shard ${shard.index}, row ${row}`, error);
  }
}

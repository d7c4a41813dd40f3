// Consuming queues by requests: what is received is leased for a while and settled by a later request, on whatever connection. So the
// session that has the leases belongs to a principal and a queue, not to a connection; it goes when nothing is leased and nobody waits.

import { Outcome } from '../../broker/port.ts';
import type { CloseReason, Consumer, Session, Settlement, SettlementDetail, SubscribeResult } from '../../broker/port.ts';
import type { Timer } from '../../base/timers.ts';
import type { Message } from '../../message/message.ts';
import type { Principal } from '../../security/security.ts';
import type { Member } from './member.ts';
import { problemOf, type Problem } from './problem.ts';
import type { HttpServer } from './server.ts';

/** What a request gets. */
export type Received = {
  readonly message: Message;
  /** Undefined: delivered at most once, there is nothing to settle. */
  readonly delivery: string | undefined;
  readonly leaseUntilMs: number;
  readonly deliveryCount: number;
  readonly redelivered: boolean;
};

/** A request that waits for messages. */
export type Waiter = {
  readonly max: number;
  readonly leaseMs: number;
  readonly items: Received[];
  /** Called once, not from within the broker; with no items: there were none in time. */
  readonly done: (problem: Problem | undefined) => void;
};

type Lease = { readonly deliveryId: number; readonly name: string; timer: Timer };

/** Sessions without leases and waiting requests are kept for so long: the next request often comes soon. */
const idleMs = 10_000;

const tooMany: Problem = {
  status: 503,
  code: 'too-many-consumers',
  title: 'Too many queues are consumed by HTTP',
  headers: { 'Retry-After': '5' },
};

export class QueueConsumers {
  readonly #server: HttpServer;
  readonly #consumers = new Map<string, QueueConsumer>();

  constructor(server: HttpServer) {
    this.#server = server;
  }

  /** For a principal that may consume the queue now. */
  obtain(member: Member, queue: string): QueueConsumer | Problem {
    const { principal } = member;
    if (!this.#server.security.allows(principal, 'consume', `$queue/${queue}`)) return problemOf(Outcome.notAuthorized)!;
    const key = keyOf(principal, queue);
    let consumer = this.#consumers.get(key);
    if (consumer === undefined) {
      if (this.#consumers.size >= this.#server.options.maxQueueConsumers) return tooMany;
      consumer = new QueueConsumer(this.#server, principal, queue, () => this.#consumers.delete(key));
      this.#consumers.set(key, consumer);
      consumer.attach();
    }
    consumer.renew(principal);
    return consumer;
  }

  /** The one there is: to settle what it has leased. */
  find({ principal }: Member, queue: string): QueueConsumer | undefined {
    return this.#consumers.get(keyOf(principal, queue));
  }
}

function keyOf({ tenant, id }: Principal, queue: string): string {
  return `${tenant}\n${id}\n${queue}`;
}

export class QueueConsumer implements Consumer {
  readonly #server: HttpServer;
  readonly #queue: string;
  readonly #over: () => void;
  #principal: Principal;
  #session: Session | undefined;
  #isReady = false;
  #isOver = false;
  readonly #waiters: Waiter[] = [];
  readonly #timers = new Map<Waiter, Timer>();
  readonly #leases = new Map<string, Lease>();
  /** Makes names of leases that an earlier process, or consumer, gave mean nothing. */
  readonly #epoch: string;
  #nextLease = 1;
  #isAnswering = false;
  #idle: Timer | undefined;

  constructor(server: HttpServer, principal: Principal, queue: string, over: () => void) {
    this.#server = server;
    this.#principal = principal;
    this.#queue = queue;
    this.#over = over;
    this.#epoch = Buffer.from(server.random.bytes(6)).toString('base64url');
    server.counters.queueConsumers++;
  }

  get congested(): boolean {
    return this.credit === 0;
  }

  /** What those who wait still want. */
  get credit(): number {
    let wanted = 0;
    for (const { max, items } of this.#waiters) wanted += max - items.length;
    return wanted;
  }

  attach(): void {
    const { access } = this.#principal;
    this.#server.broker.attach(
      {
        principal: this.#principal,
        clientId: this.#server.sessionName(this.#principal),
        connectsAs: this.#principal.id,
        protocol: 'HTTP queue',
        remoteAddress: access?.remoteAddress ?? '',
        listener: access?.listener ?? '',
        cleanStart: true,
        sessionExpiryMs: 0,
        will: undefined,
        receiveMaximum: Math.min(this.#server.options.maxLeases, 65_535),
        maxPacketBytes: Infinity,
      },
      this,
    );
  }

  /** Who asks may be connected in another way, and then have other rights. */
  renew(principal: Principal): void {
    if (principal === this.#principal) return;
    this.#principal = principal;
    this.#session?.renew(principal);
  }

  /** Returns what gives it up. */
  receive(waiter: Waiter, untilMs: number): () => void {
    this.#server.timers.cancel(this.#idle);
    this.#idle = undefined;
    this.#waiters.push(waiter);
    this.#timers.set(
      waiter,
      this.#server.timers.at(untilMs, () => this.#finish(waiter, undefined)),
    );
    if (this.#isReady) this.#session?.resume();
    return () => this.#giveUp(waiter);
  }

  /** Settles one lease. False: it has ended. */
  settle(delivery: string, settlement: Settlement, detail?: SettlementDetail): boolean {
    const lease = this.#take(delivery);
    if (lease === undefined) return false;
    this.#session?.settle(lease.deliveryId, settlement, detail);
    this.#restIfIdle();
    return true;
  }

  renewLease(delivery: string, leaseMs: number): boolean {
    const lease = this.#leases.get(delivery);
    if (lease === undefined) return false;
    this.#server.timers.cancel(lease.timer);
    lease.timer = this.#leaseTimer(delivery, leaseMs);
    return true;
  }

  #leaseTimer(name: string, leaseMs: number): Timer {
    const { timers, clock } = this.#server;
    return timers.at(clock.monotonicMs() + leaseMs, () => {
      this.#server.counters.leasesEnded++;
      // Whoever had it did not manage: one attempt.
      this.settle(name, 'modified', { deliveryFailed: true });
    });
  }

  #take(name: string): Lease | undefined {
    const lease = this.#leases.get(name);
    if (lease === undefined) return undefined;
    this.#leases.delete(name);
    this.#server.timers.cancel(lease.timer);
    this.#server.counters.leases--;
    return lease;
  }

  #giveUp(waiter: Waiter): void {
    this.#remove(waiter);
    // Nobody has seen them.
    for (const { delivery } of waiter.items) if (delivery !== undefined) this.settle(delivery, 'released');
    this.#restIfIdle();
  }

  #remove(waiter: Waiter): boolean {
    const at = this.#waiters.indexOf(waiter);
    if (at >= 0) this.#waiters.splice(at, 1);
    this.#server.timers.cancel(this.#timers.get(waiter));
    this.#timers.delete(waiter);
    return at >= 0;
  }

  #finish(waiter: Waiter, problem: Problem | undefined): void {
    if (!this.#remove(waiter)) return;
    waiter.done(problem);
    this.#restIfIdle();
  }

  /** Those that got something in this turn are answered with it. */
  #answerSoon(): void {
    if (this.#isAnswering) return;
    this.#isAnswering = true;
    this.#server.turn.atEnd(() => {
      this.#isAnswering = false;
      for (const waiter of this.#waiters.filter(({ items }) => items.length > 0)) this.#finish(waiter, undefined);
    });
  }

  #restIfIdle(): void {
    if (this.#isOver || this.#waiters.length > 0 || this.#leases.size > 0 || this.#idle !== undefined) return;
    const { timers, clock } = this.#server;
    this.#idle = timers.at(clock.monotonicMs() + idleMs, () => {
      this.#idle = undefined;
      if (this.#waiters.length > 0 || this.#leases.size > 0) return;
      this.#session?.detach(false);
      this.#end(undefined);
    });
  }

  #end(problem: Problem | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#session = undefined;
    this.#server.counters.queueConsumers--;
    this.#server.timers.cancel(this.#idle);
    for (const name of [...this.#leases.keys()]) this.#take(name);
    this.#over();
    for (const waiter of [...this.#waiters]) {
      this.#remove(waiter);
      waiter.done(problem);
    }
  }

  // --- what the broker tells: nothing of it may call the broker back

  attached(outcome: Outcome, session: Session | undefined): void {
    // It has rested before it began: nobody waits any more.
    if (this.#isOver) return session?.detach(false);
    this.#session = session;
    this.#server.turn.atEnd(() => {
      if (session === undefined) return this.#end(problemOf(outcome) ?? problemOf(Outcome.unavailable)!);
      this.#session?.subscribe(
        [
          {
            filter: `$queue/${this.#queue}`,
            guarantee: 1,
            noLocal: false,
            retainAsPublished: false,
            retainHandling: 'never',
            subscriptionId: 0,
          },
        ],
        1,
      );
    });
  }

  subscribed(_token: number, results: readonly SubscribeResult[]): void {
    const outcome = results[0]?.outcome ?? Outcome.unavailable;
    this.#server.turn.atEnd(() => {
      if (this.#isOver) return;
      this.#isReady = outcome === Outcome.accepted;
      if (this.#isReady) return this.#session?.resume();
      this.#session?.detach(false);
      this.#end(problemOf(outcome)!);
    });
  }

  send(message: Message): boolean {
    return this.#give(message, undefined, 0, false, 0);
  }

  transfer(
    deliveryId: number,
    _guarantee: 1 | 2,
    message: Message,
    _retained: boolean,
    redelivered: boolean,
    _ids: readonly number[] | undefined,
    _position: number,
    deliveryCount: number,
  ): boolean {
    const name = `${this.#epoch}.${(this.#nextLease++).toString(36)}`;
    const waiter = this.#waiters.find(({ max, items }) => items.length < max);
    const leaseMs = waiter?.leaseMs ?? this.#server.options.leaseMs;
    // Should nobody want it, which the broker prevents, the lease ends by itself.
    this.#leases.set(name, { deliveryId, name, timer: this.#leaseTimer(name, leaseMs) });
    this.#server.counters.leases++;
    this.#give(message, name, leaseMs, redelivered, deliveryCount);
    return true;
  }

  #give(message: Message, delivery: string | undefined, leaseMs: number, redelivered: boolean, deliveryCount: number): boolean {
    const waiter = this.#waiters.find(({ max, items }) => items.length < max);
    if (waiter === undefined) return false;
    const leaseUntilMs = this.#server.clock.wallMs() + leaseMs;
    waiter.items.push({ message: message.kept(), delivery, leaseUntilMs, redelivered, deliveryCount });
    this.#answerSoon();
    return true;
  }

  releaseDelivery(): void {}
  published(): void {}
  released(): void {}
  unsubscribed(): void {}
  hold(): void {}

  revoked(): void {
    this.#server.turn.atEnd(() => {
      this.#session?.detach(false);
      this.#end(problemOf(Outcome.notAuthorized)!);
    });
  }

  detached(_reason: CloseReason): void {
    this.#session = undefined;
    this.#server.turn.atEnd(() => this.#end(problemOf(Outcome.unavailable)!));
  }
}

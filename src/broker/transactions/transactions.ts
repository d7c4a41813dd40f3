// All transactions of a node: how many are open, which deliveries they hold on to, and how one is committed.
//
// What stands in one shard is written into one row. What stands in several, is to go to a dead-letter queue, or goes also to those
// who are told at once, is written whole into one shard first, and done when that is durable (redo.ts): from then on it is done,
// however often the node crashes.

import type { Timer } from '../../base/timers.ts';
import type { Message } from '../../message/message.ts';
import type { ClientSession } from '../sessions/client-session.ts';
import { competingOf } from '../queues/competing-consumers.ts';
import type { BrokerContext } from '../context.ts';
import { distribute } from '../routing/distribution.ts';
import type { TransactionLimits } from '../limits.ts';
import { Outcome } from '../port.ts';
import type { Address } from '../port.ts';
import type { Entry } from '../queues/queue.ts';
import { Redo, causeOfDeath } from './redo.ts';
import { admitsTransacted, holdForPressure } from '../sessions/session-publishing.ts';
import type { Shard } from '../journal/shard.ts';
import { BrokerTransaction } from './transaction.ts';
import type { Provisional, Taken } from './transaction.ts';
import { TransactionAdmission } from './transaction-admission.ts';

export class TransactionCounters {
  begun = 0;
  committed = 0;
  rolledBack = 0;
  /** Of those rolled back, because they were open for too long. */
  timedOut = 0;
  /** At the commit: something of it could not be taken. */
  refused = 0;
  /** Not begun: its principal had as many as it may. */
  tooMany = 0;
  /** Messages and settlements that a transaction had no room for. */
  overLimit = 0;
  /** Found committed at start, and done again. */
  redone = 0;
}

type Waiting = { readonly transaction: BrokerTransaction; readonly answer: (outcome: Outcome) => void };

export class Transactions {
  /** Deliveries that a transaction settles when it commits: nobody else can settle them. */
  readonly locked = new Map<Entry, Provisional>();
  readonly counters = new TransactionCounters();
  readonly redo: Redo;
  readonly #context: () => BrokerContext;
  readonly #open = new Map<ClientSession, Set<BrokerTransaction>>();
  readonly #ofPrincipal = new Map<string, number>();
  /** Commits behind one of the same connection that is on its way into the journal: they keep their order. */
  readonly #waiting = new Map<ClientSession, Waiting[]>();

  constructor(context: () => BrokerContext) {
    this.#context = context;
    this.redo = new Redo(context, this.counters);
  }

  get limits(): TransactionLimits {
    return this.#context().limits.transactions;
  }

  get open(): number {
    let count = 0;
    for (const transactions of this.#open.values()) count += transactions.size;
    return count;
  }

  begin(owner: ClientSession, aborted: () => void): BrokerTransaction | Outcome {
    const key = keyOf(owner.space.tenant, owner.principal.id);
    const before = this.#ofPrincipal.get(key) ?? 0;
    if (before >= this.limits.maxOpenPerPrincipal) {
      this.counters.tooMany++;
      return Outcome.quotaExceeded;
    }
    this.#ofPrincipal.set(key, before + 1);
    this.counters.begun++;
    const transaction = new BrokerTransaction(this, owner, aborted);
    const own = this.#open.get(owner);
    if (own === undefined) this.#open.set(owner, new Set([transaction]));
    else own.add(transaction);
    return transaction;
  }

  timer(ends: () => void): Timer {
    const { timers, clock } = this.#context();
    return timers.at(clock.monotonicMs() + this.limits.timeoutMs, ends);
  }

  /** It takes nothing more. */
  closed(transaction: BrokerTransaction, timer: Timer): void {
    this.#context().timers.cancel(timer);
    const { owner } = transaction;
    const own = this.#open.get(owner);
    own?.delete(transaction);
    if (own?.size === 0) this.#open.delete(owner);
  }

  /** It is over. Until then it counts for its principal: what is committed waits in memory while the journal is behind. */
  over({ owner, principalId }: BrokerTransaction): void {
    const key = keyOf(owner.space.tenant, principalId);
    const left = (this.#ofPrincipal.get(key) ?? 1) - 1;
    if (left === 0) this.#ofPrincipal.delete(key);
    else this.#ofPrincipal.set(key, left);
  }

  /** The connection is over: what it has not committed has not happened. */
  ownerWent(owner: ClientSession): void {
    for (const transaction of [...(this.#open.get(owner) ?? [])]) transaction.rollback();
  }

  /** See `admitsTransacted`. */
  admits({ lent }: BrokerTransaction, publisher: ClientSession, address: Address, message: Message): Outcome {
    return admitsTransacted(this.#context(), publisher, address, message, lent);
  }

  // --- Deliveries that a transaction holds on to

  /** The session of a delivery has let go of it. Returns false when no transaction holds on to it. */
  castAdrift(entry: Entry): boolean {
    const provisional = this.locked.size === 0 ? undefined : this.locked.get(entry);
    if (provisional === undefined) return false;
    provisional.isAdrift = true;
    return true;
  }

  /** What the transaction would have settled is unsettled again, and the requests that it would have answered may be. */
  letGo({ provisional, lent }: BrokerTransaction): void {
    for (const takeBack of lent) takeBack();
    for (const each of provisional) {
      const { entry, session } = each;
      this.locked.delete(entry);
      if (entry.gone) continue;
      if (each.isAdrift) giveBack(each, true);
      else session.deliveries.sendIfMissed(entry);
    }
    for (const { session } of provisional) session.pump();
  }

  // --- Committing

  commit(transaction: BrokerTransaction, answer: (outcome: Outcome) => void): void {
    const waiting = this.#waiting.get(transaction.owner);
    if (waiting !== undefined) waiting.push({ transaction, answer });
    else this.#commitNow(transaction, answer);
  }

  #commitNow(transaction: BrokerTransaction, answer: (outcome: Outcome) => void): void {
    const context = this.#context();
    const admission = new TransactionAdmission(context, transaction);
    const outcome = transaction.taken.some((each) => isRevoked(each, transaction.owner)) ? Outcome.notAuthorized : admission.outcome();
    if (outcome !== Outcome.accepted) {
      this.counters.refused++;
      transaction.isOver();
      this.letGo(transaction);
      return answer(outcome);
    }
    if (context.pressure.on) holdForPressure(context, transaction.owner);
    const parts = [...admission.parts];
    // Who gets something at once must not see what a crash could still undo.
    const isSeenEarly = admission.isSeen && parts.length > 0;
    if (parts.length > 1 || isSeenEarly || transaction.provisional.some(isBuried)) {
      return this.#commitInSeveral(transaction, parts, answer);
    }
    const work = (): void => this.#happens(transaction, undefined);
    const shard = parts[0];
    if (shard === undefined) {
      work();
      return answer(Outcome.accepted);
    }
    shard.atomically(work);
    shard.afterAll(() => answer(Outcome.accepted));
  }

  #commitInSeveral(transaction: BrokerTransaction, parts: readonly Shard[], answer: (outcome: Outcome) => void): void {
    const { owner } = transaction;
    this.#waiting.set(owner, []);
    this.redo.write(
      transaction,
      parts,
      (skip) => {
        this.#happens(transaction, skip);
        answer(Outcome.accepted);
      },
      () => this.#next(owner),
    );
  }

  #next(owner: ClientSession): void {
    const waiting = this.#waiting.get(owner) ?? [];
    this.#waiting.delete(owner);
    // One of them may make the others wait again.
    for (const { transaction, answer } of waiting) this.commit(transaction, answer);
  }

  /** Everything in it, now. `skip`: shards in which nothing is to be journaled. */
  #happens(transaction: BrokerTransaction, skip: readonly number[] | undefined): void {
    const context = this.#context();
    transaction.isOver();
    this.counters.committed++;
    for (const provisional of transaction.provisional) this.#settle(provisional);
    for (const { session, routed, message } of transaction.taken) {
      context.counters.publishesAccepted++;
      distribute(context, routed.space, routed.route(), message, { session, origin: 0, id: 0, skip, isAdmitted: true });
    }
  }

  #settle(provisional: Provisional): void {
    const { entry, session, settlement, detail, isAdrift } = provisional;
    this.locked.delete(entry);
    // Its queue or its session is gone, and it with them.
    if (entry.gone) return;
    if (isAdrift) return settleAdrift(provisional);
    const { deliveryId } = entry;
    // It has it, and will not ask for the release.
    if (settlement === 'accepted' && entry.sendAs === 2 && entry.state === 'sent') session.settle(deliveryId, 'received');
    session.settle(deliveryId, settlement, detail);
  }
}

/** Its principal had the right to publish it when it was taken, and has it no more. */
function isRevoked({ session, routed, message, version }: Taken, { principal }: ClientSession): boolean {
  if (session.addressVersion === version || routed.admitted !== Outcome.accepted) return false;
  return routed.space.admitsMessage(principal, message) === Outcome.notAuthorized;
}

/** It goes to a dead-letter queue, if there is one. */
function isBuried({ settlement, entry }: Provisional): boolean {
  return settlement === 'rejected' && entry.row > 0;
}

function settleAdrift(provisional: Provisional): void {
  const { entry, settlement, detail } = provisional;
  if (settlement === 'released' || settlement === 'modified') return giveBack(provisional, detail?.deliveryFailed === true);
  competingOf(entry.queue)!.finished(entry);
  if (entry.state === 'received') entry.queue.forget(entry);
  else if (settlement === 'rejected') entry.queue.bury(entry, causeOfDeath(detail?.reason), 'refusedByConsumer');
  else entry.queue.leave(entry, 'delivered');
}

/** To others: its session is gone. What was sent exactly once to a session that is none of a link goes to nobody [MQTT-4.8.2-5]. */
function giveBack({ entry, session }: Provisional, failed: boolean): void {
  const consumers = competingOf(entry.queue)!;
  if (entry.state === 'sent' && (entry.sendAs !== 2 || session.isPart)) {
    consumers.returned([entry], failed);
    consumers.pump();
    return;
  }
  consumers.finished(entry);
  if (entry.state === 'received') entry.queue.forget(entry);
  else entry.queue.leave(entry, 'sessionEnded');
}

/** No name of a tenant has a NUL. */
function keyOf(tenant: string, principalId: string): string {
  return `${tenant}\0${principalId}`;
}

// One transaction: what is to happen together. It keeps messages and settlements until it is committed (transactions.ts says
// what happens then) or rolled back. A delivery that it settles stays with its session, and nobody else can settle it meanwhile.

import type { Timer } from '../../base/timers.ts';
import type { Message } from '../../message/message.ts';
import type { ClientSession } from '../sessions/client-session.ts';
import { Outcome } from '../port.ts';
import type { Address, Session, Settlement, SettlementDetail, Transaction } from '../port.ts';
import type { Entry } from '../queues/queue.ts';
import { storedBytes } from '../journal/stored.ts';
import type { RoutedAddress } from '../routing/topic-space.ts';
import type { Transactions } from './transactions.ts';

/** A message that waits for the commit. */
export type Taken = {
  readonly session: ClientSession;
  readonly routed: RoutedAddress;
  readonly message: Message;
  /** Of the rights by which it was taken. */
  readonly version: number;
};

/** A delivery that a transaction settles when it commits. */
export class Provisional {
  readonly transaction: BrokerTransaction;
  readonly session: ClientSession;
  readonly entry: Entry;
  readonly settlement: Settlement;
  readonly detail: SettlementDetail | undefined;
  /** Its session has let go of it in the meantime: only the transaction knows that it is still under way. */
  isAdrift = false;

  constructor(
    transaction: BrokerTransaction,
    session: ClientSession,
    entry: Entry,
    settlement: Settlement,
    detail: SettlementDetail | undefined,
  ) {
    this.transaction = transaction;
    this.session = session;
    this.entry = entry;
    this.settlement = settlement;
    this.detail = detail;
  }
}

/**
 * open: it takes what comes. refused: something of it could not be taken, so it can only be rolled back. committing: decided by
 * its peer, on its way into the journal. over: whatever became of it.
 */
export type TransactionState = 'open' | 'refused' | 'committing' | 'over';

export class BrokerTransaction implements Transaction {
  readonly owner: ClientSession;
  readonly principalId: string;
  readonly taken: Taken[] = [];
  readonly provisional: Provisional[] = [];
  /** How to give back the permissions that its answers have used up (reply-permissions.ts). */
  readonly lent: (() => void)[] = [];
  state: TransactionState = 'open';
  bytes = 0;
  readonly #transactions: Transactions;
  readonly #aborted: () => void;
  readonly #timer: Timer;

  constructor(transactions: Transactions, owner: ClientSession, aborted: () => void) {
    this.#transactions = transactions;
    this.owner = owner;
    this.principalId = owner.principal.id;
    this.#aborted = aborted;
    this.#timer = transactions.timer(() => this.#timedOut());
  }

  publish(session: Session, address: Address, message: Message): Outcome {
    if (this.state !== 'open') return Outcome.aborted;
    const publisher = session as ClientSession;
    const bytes = storedBytes(message);
    const outcome = this.#hasRoom(bytes) ? this.#transactions.admits(this, publisher, address, message) : Outcome.quotaExceeded;
    if (outcome !== Outcome.accepted) {
      this.state = 'refused';
      return outcome;
    }
    this.bytes += bytes;
    this.taken.push({ session: publisher, routed: address as RoutedAddress, message, version: publisher.addressVersion });
    return Outcome.accepted;
  }

  settle(session: Session, deliveryId: number, settlement: Settlement, detail?: SettlementDetail): boolean {
    if (this.state === 'committing' || this.state === 'over') return false;
    const holder = session as ClientSession;
    const entry = holder.deliveries.outstanding(deliveryId);
    if (entry === undefined || this.#transactions.locked.has(entry) || !fits(entry, settlement)) return false;
    if (!this.#hasRoom(0)) {
      this.state = 'refused';
      return true;
    }
    const provisional = new Provisional(this, holder, entry, settlement, detail);
    this.provisional.push(provisional);
    this.#transactions.locked.set(entry, provisional);
    return true;
  }

  #hasRoom(bytes: number): boolean {
    const { maxMessages, maxBytes } = this.#transactions.limits;
    const hasRoom = this.taken.length + this.provisional.length < maxMessages && this.bytes + bytes <= maxBytes;
    if (!hasRoom) this.#transactions.counters.overLimit++;
    return hasRoom;
  }

  commit(answer: (outcome: Outcome) => void): void {
    if (this.state === 'refused') this.rollback();
    if (this.state !== 'open') return answer(Outcome.aborted);
    this.state = 'committing';
    this.#transactions.closed(this, this.#timer);
    this.#transactions.commit(this, answer);
  }

  rollback(): void {
    if (this.state === 'committing' || this.state === 'over') return;
    this.#transactions.counters.rolledBack++;
    this.#transactions.closed(this, this.#timer);
    this.isOver();
    this.#transactions.letGo(this);
  }

  #timedOut(): void {
    if (this.state !== 'open' && this.state !== 'refused') return;
    this.#transactions.counters.timedOut++;
    this.rollback();
    this.#aborted();
  }

  /** It is decided, and counts no longer. */
  isOver(): void {
    this.state = 'over';
    this.#transactions.over(this);
  }
}

/** What a peer may say of a delivery in this state. */
function fits({ state, sendAs }: Entry, settlement: Settlement): boolean {
  if (settlement === 'accepted') return true;
  if (state !== 'sent') return false;
  return settlement !== 'received' || sendAs === 2;
}

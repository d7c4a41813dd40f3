// The transactions of one connection, by the names that its client gives them.

import { type Address, Outcome, type Session, type Settlement, type SettlementDetail, type Transaction } from '../../broker/port.ts';
import type { Message } from '../../message/message.ts';
import { StompFault } from './codec/index.ts';
import { outcomeFault } from './reasons.ts';
import type { StompServer } from './server.ts';

/** A delivery that was acknowledged, to be taken back when the transaction comes to nothing. */
export type Acknowledged = { restore(): void };

/** Names of transactions that took too long, which are remembered to say so. */
const maxRemembered = 100;

export class OpenTransaction {
  readonly #transaction: Transaction;
  readonly #acknowledged: Acknowledged[] = [];

  constructor(transaction: Transaction) {
    this.#transaction = transaction;
  }

  publish(session: Session, address: Address, message: Message): Outcome {
    return this.#transaction.publish(session, address, message.kept());
  }

  /** Returns false when there is no such delivery. */
  settle(
    session: Session,
    deliveryId: number,
    settlement: Settlement,
    detail: SettlementDetail | undefined,
    acknowledged: Acknowledged,
  ): boolean {
    if (!this.#transaction.settle(session, deliveryId, settlement, detail)) return false;
    this.#acknowledged.push(acknowledged);
    return true;
  }

  /** Answers when all is durable, or nothing has happened. */
  commit(answer: (outcome: Outcome) => void): void {
    this.#transaction.commit((outcome) => {
      if (outcome !== Outcome.accepted) this.restore();
      answer(outcome);
    });
  }

  rollback(): void {
    this.#transaction.rollback();
    this.restore();
  }

  /** What was acknowledged in it waits for an ACK again. */
  restore(): void {
    for (const each of this.#acknowledged.splice(0)) each.restore();
  }
}

export class Transactions {
  readonly #server: StompServer;
  readonly #session: Session;
  readonly #open = new Map<string, OpenTransaction>();
  readonly #timedOut = new Set<string>();

  constructor(server: StompServer, session: Session) {
    this.#server = server;
    this.#session = session;
  }

  begin(name: string): StompFault | undefined {
    const { maxTransactions, maxClientIdBytes } = this.#server.options;
    if (name === '' || Buffer.byteLength(name) > maxClientIdBytes)
      return new StompFault('bad transaction', 'the name of a transaction is too long, or empty');
    // The identifiers of open transactions must be different.
    if (this.#open.has(name)) return new StompFault('bad transaction', 'a transaction of this name is open');
    if (this.#open.size >= maxTransactions) return new StompFault('too many transactions', `at most ${maxTransactions} are open at a time`);
    const begun = this.anonymous(() => this.#aborted(name));
    if (begun instanceof StompFault) return begun;
    this.#timedOut.delete(name);
    this.#open.set(name, begun);
    this.#server.counters.transactions++;
    return undefined;
  }

  /** One without a name: for a single ACK that wants a receipt. */
  anonymous(aborted: () => void = () => {}): OpenTransaction | StompFault {
    const begun = this.#session.begin(aborted);
    return typeof begun === 'number' ? outcomeFault('BEGIN', begun) : new OpenTransaction(begun);
  }

  find(name: string): OpenTransaction | StompFault {
    const found = this.#open.get(name);
    if (found !== undefined) return found;
    if (this.#timedOut.has(name)) return outcomeFault('the transaction', Outcome.aborted);
    return new StompFault('unknown transaction', 'no transaction of this name is open');
  }

  /** It is over: COMMIT or ABORT follows. */
  take(name: string): OpenTransaction | StompFault {
    const found = this.find(name);
    if (this.#open.delete(name)) this.#server.counters.transactions--;
    return found;
  }

  /** The connection is over; the broker rolls back by itself. */
  close(): void {
    this.#server.counters.transactions -= this.#open.size;
    this.#open.clear();
  }

  #aborted(name: string): void {
    const found = this.#open.get(name);
    if (found === undefined) return;
    this.#open.delete(name);
    this.#server.counters.transactions--;
    found.restore();
    this.#timedOut.add(name);
    if (this.#timedOut.size > maxRemembered) for (const oldest of this.#timedOut) if (this.#timedOut.delete(oldest)) break;
  }
}

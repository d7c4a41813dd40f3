// The transactions of one connection [AMQP 4]: its links find here what a transfer or a disposition names by its txn-id. They may
// span all links and sessions of the connection.

import type { Message } from '../../message/message.ts';
import { Outcome } from '../../broker/port.ts';
import type { Address, Session, Settlement, SettlementDetail, Transaction } from '../../broker/port.ts';
import { AmqpFault, Condition, latin1Of } from './codec/index.ts';
import type { AmqpServer } from './server.ts';

/** Transactions that timed out, whose ids are remembered to say so. */
const maxRemembered = 100;
const idBytes = 8;

export class AmqpTransaction {
  readonly id: Uint8Array;
  /** Who declared it: it ends with that link [AMQP 4.3]. */
  readonly controller: object;
  /** Deliveries that are posted in it and of which not all frames have come. */
  partials = 0;
  readonly #transaction: Transaction;
  readonly #whenOver: ((committed: boolean) => void)[] = [];

  constructor(id: Uint8Array, controller: object, transaction: Transaction) {
    this.id = id;
    this.controller = controller;
    this.#transaction = transaction;
  }

  /** [AMQP 4.4.1] The message must be the caller's own (Message.kept). Anything but `accepted`: it can only be rolled back now. */
  publish(session: Session, address: Address, message: Message): Outcome {
    return this.#transaction.publish(session, address, message);
  }

  /**
   * [AMQP 4.4.2] Settles when it commits. `whenOver` is told then, or that it was rolled back: the delivery is unsettled then,
   * and a link whose peer has settled it must give it back. Returns false when there is no such delivery.
   */
  retire(
    session: Session,
    deliveryId: number,
    settlement: Settlement,
    detail: SettlementDetail | undefined,
    whenOver: (committed: boolean) => void,
  ): boolean {
    if (!this.#transaction.settle(session, deliveryId, settlement, detail)) return false;
    this.#whenOver.push(whenOver);
    return true;
  }

  /** Answers when all is durable, or nothing has happened. */
  commit(answer: (outcome: Outcome) => void): void {
    this.#transaction.commit((outcome) => {
      this.over(outcome === Outcome.accepted);
      answer(outcome);
    });
  }

  rollback(): void {
    this.#transaction.rollback();
    this.over(false);
  }

  /** Tells the links. */
  over(committed: boolean): void {
    for (const tell of this.#whenOver.splice(0)) tell(committed);
  }
}

export class ConnectionTransactions {
  readonly #server: AmqpServer;
  readonly #session: () => Session;
  readonly #open = new Map<string, AmqpTransaction>();
  /** Ids of those that took too long, oldest first. */
  readonly #timedOut = new Set<string>();
  #serial = 0n;

  /** `session`: the broker session of the connection. */
  constructor(server: AmqpServer, session: () => Session) {
    this.#server = server;
    this.#session = session;
  }

  get size(): number {
    return this.#open.size;
  }

  /** [AMQP 4.2] `controller`: the link that asks. */
  declare(controller: object): AmqpTransaction | Outcome {
    const id = new Uint8Array(idBytes);
    new DataView(id.buffer).setBigUint64(0, ++this.#serial);
    const key = keyOf(id);
    const begun = this.#session().begin(() => this.#aborted(key));
    if (typeof begun === 'number') return begun;
    const transaction = new AmqpTransaction(id, controller, begun);
    this.#open.set(key, transaction);
    this.#server.counters.transactionsDeclared++;
    return transaction;
  }

  /** What a transfer or a disposition belongs to; else why it cannot. */
  find(id: Uint8Array): AmqpTransaction | AmqpFault {
    const key = keyOf(id);
    const found = this.#open.get(key);
    if (found !== undefined) return found;
    if (this.#timedOut.has(key)) return new AmqpFault(Condition.transactionTimeout, 'the transaction took too long and was rolled back');
    return new AmqpFault(Condition.unknownTransaction, 'there is no such transaction');
  }

  /** It cannot be committed as it is [AMQP 4.4.1]. */
  hasPartial(id: Uint8Array): boolean {
    return (this.#open.get(keyOf(id))?.partials ?? 0) > 0;
  }

  /** [AMQP 4.3] Answers `undefined` when it is done, else why it has come to nothing. `fail`: roll back. */
  discharge(id: Uint8Array, fail: boolean, answer: (fault: AmqpFault | undefined) => void): void {
    const found = this.find(id);
    if (found instanceof AmqpFault) return answer(found);
    this.#open.delete(keyOf(id));
    if (fail) {
      this.#server.counters.transactionsRolledBack++;
      found.rollback();
      return answer(undefined);
    }
    found.commit((outcome) => {
      if (outcome === Outcome.accepted) this.#server.counters.transactionsCommitted++;
      else this.#server.counters.transactionsRolledBack++;
      answer(
        outcome === Outcome.accepted ? undefined : new AmqpFault(Condition.transactionRollback, reasons[outcome] ?? 'it was rolled back'),
      );
    });
  }

  /** The link that declared them is gone [AMQP 4.3]. */
  controllerWent(controller: object): void {
    for (const [key, transaction] of this.#open) {
      if (transaction.controller !== controller) continue;
      this.#open.delete(key);
      this.#server.counters.transactionsRolledBack++;
      transaction.rollback();
    }
  }

  /** The broker has rolled it back. */
  #aborted(key: string): void {
    const transaction = this.#open.get(key);
    if (transaction === undefined) return;
    this.#open.delete(key);
    this.#server.counters.transactionsRolledBack++;
    this.#timedOut.add(key);
    if (this.#timedOut.size > maxRemembered) for (const oldest of this.#timedOut) if (this.#timedOut.delete(oldest)) break;
    transaction.over(false);
  }
}

const reasons: Partial<Record<Outcome, string>> = {
  [Outcome.aborted]: 'one of its messages could not be taken',
  [Outcome.notAuthorized]: 'you may not publish one of its messages any more',
  [Outcome.quotaExceeded]: 'a queue is full, or a limit of the server is reached',
  [Outcome.unavailable]: 'the server cannot store it now',
};

function keyOf(id: Uint8Array): string {
  return latin1Of(id, 0, id.length);
}

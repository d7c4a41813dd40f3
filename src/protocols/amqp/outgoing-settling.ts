// What a receiving peer says of deliveries, as settlements of the broker, and what it is told back.

import type { Session } from '../../broker/port.ts';
import { acceptedState, AmqpFault, type DeliveryState, releasedState, type TransactionalState } from './codec/index.ts';
import type { LinkHost } from './link.ts';
import type { OutgoingTerms } from './outgoing-terms.ts';
import { type BrokerSettlement, settlementOf } from './settlements.ts';

const rejectedState: DeliveryState = { type: 'rejected' };

/** Key of deliveries that the broker has forgotten: unsettled on the wire, but delivered at most once. */
export const forgottenKey = 0;

const failed: BrokerSettlement = { settlement: 'modified', detail: { deliveryFailed: true } };

export class OutgoingSettling {
  /** The link's broker session, while it is the link's. */
  session: Session | undefined = undefined;
  /** Deliveries with `forgottenKey` that the peer has not settled. */
  forgotten = 0;
  readonly #host: LinkHost;
  readonly #terms: OutgoingTerms;
  /** Exactly-once deliveries that the peer has accepted: our delivery-id by the broker's; -1: the peer has settled, too. */
  #accepted: Map<number, number> | undefined = undefined;

  constructor(host: LinkHost, terms: OutgoingTerms) {
    this.#host = host;
    this.#terms = terms;
  }

  /** See Link.onDisposition. A fault: the link cannot go on. */
  onDisposition(key: number, deliveryId: number, settled: boolean, state: DeliveryState | undefined): boolean | AmqpFault {
    const { session } = this;
    if (session === undefined) return true;
    if (key === forgottenKey) {
      const isTerminal = state !== undefined && settlementOf(state) !== undefined;
      if (!settled && isTerminal) this.#tellSettled(deliveryId, acceptedState);
      if (settled || isTerminal) this.forgotten--;
      return settled || isTerminal;
    }
    if (state?.type === 'transactional-state') return this.#inTransaction(session, key, deliveryId, settled, state);
    // Without an outcome nothing has happened yet [AMQP 3.4.1], unless the peer settles: then it is the default one [AMQP 3.5.3].
    const said = state === undefined ? undefined : settlementOf(state);
    const outcome = said ?? (settled ? settlementOf(this.#terms.defaultOutcome) : undefined);
    if (outcome === undefined) return false;
    if (this.#terms.settlesSecond && outcome.settlement === 'accepted') return this.#acceptedSecond(session, key, deliveryId, settled);
    if (!session.settle(key, outcome.settlement, outcome.detail)) this.#host.server.counters.strayDispositions++;
    if (!settled) this.#tellSettled(deliveryId, state);
    return true;
  }

  /** Exactly once: it is settled when the broker has made durable that the peer has it; see releaseDelivery. */
  #acceptedSecond(session: Session, key: number, deliveryId: number, settled: boolean): boolean {
    const accepted = (this.#accepted ??= new Map());
    const isNew = !accepted.has(key);
    accepted.set(key, settled ? -1 : deliveryId);
    if (!isNew || session.settle(key, 'received')) return settled;
    accepted.delete(key);
    // The message itself is of at least once only.
    if (!session.settle(key, 'accepted')) this.#host.server.counters.strayDispositions++;
    if (!settled) this.#tellSettled(deliveryId, acceptedState);
    return true;
  }

  /** See Consumer.releaseDelivery. Returns whether the peer has accepted it on this link. */
  releaseDelivery(key: number): boolean {
    const deliveryId = this.#accepted?.get(key);
    if (deliveryId === undefined) return false;
    this.#accepted!.delete(key);
    if (deliveryId >= 0) {
      this.#tellSettled(deliveryId, acceptedState);
      this.#host.session.forget('sent', deliveryId);
    }
    // Not from within the call of the broker.
    const { session } = this;
    this.#host.atEnd(() => {
      if (session !== undefined && this.session === session) session.settle(key, 'accepted');
    });
    return true;
  }

  /** [AMQP 4.4.2] The outcome is taken when the transaction is committed. */
  #inTransaction(
    session: Session,
    key: number,
    deliveryId: number,
    settled: boolean,
    { txnId, outcome }: TransactionalState,
  ): boolean | AmqpFault {
    const transaction = this.#host.transactions.find(txnId);
    if (transaction instanceof AmqpFault) return transaction;
    const taken = outcome === undefined ? undefined : settlementOf(outcome);
    if (taken === undefined) return false; // It is acquired for the transaction; what becomes of it is said later [AMQP 4.4.3].
    const retired = transaction.retire(session, key, taken.settlement, taken.detail, (committed) => {
      if (this.session !== session) return;
      if (committed && !settled) {
        this.#tellSettled(deliveryId, outcome);
        this.#host.session.forget('sent', deliveryId);
      } else if (!committed && settled) {
        // The peer has forgotten it: nobody would settle it any more [AMQP 4.4.4].
        this.#host.atEnd(() => {
          const { settlement, detail } = settlementOf(this.#terms.defaultOutcome) ?? failed;
          if (this.session === session) session.settle(key, settlement, detail);
        });
      }
    });
    if (!retired) this.#host.server.counters.strayDispositions++;
    return settled;
  }

  #tellSettled(deliveryId: number, state: DeliveryState | undefined): void {
    this.#host.session.disposition('sent', deliveryId, true, state && kept(state));
  }
}

/** The state to answer with: it is kept until the end of the turn, and states without content make one run. */
function kept(state: DeliveryState): DeliveryState {
  switch (state.type) {
    case 'accepted':
      return acceptedState;
    case 'released':
      return releasedState;
    case 'rejected':
      // Its error is the peer's own. Azure's clients take one that comes back for a failure to settle.
      return rejectedState;
    default:
      return { ...state };
  }
}

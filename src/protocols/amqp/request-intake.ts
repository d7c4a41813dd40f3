// Deliveries that a peer sends to the broker itself: small requests, taken whole and answered one by one. Used by links to the
// coordinator and to service nodes.

import { type AmqpFault, Condition, type DeliveryState, type TransferFields } from './codec/index.ts';
import type { Link, LinkHost } from './link.ts';
import { PartialDelivery } from './partial-delivery.ts';

/** A request with bytes of its own. */
export type IncomingRequest = { readonly deliveryId: number; readonly settled: boolean; readonly bytes: Uint8Array };

export type IntakeLimits = {
  readonly maxRequestBytes: number;
  /** Requests of one link that may be under way. */
  readonly maxRequests: number;
};

export class RequestIntake {
  readonly #host: LinkHost;
  readonly #link: Link;
  readonly #limits: IntakeLimits;
  readonly #take: (request: IncomingRequest) => void;
  #deliveryCount: number;
  #credit = 0;
  /** Not answered yet. */
  #underWay = 0;
  /** What has come of a delivery. */
  #partial: PartialDelivery | undefined = undefined;
  #grantArranged = false;

  constructor(host: LinkHost, link: Link, limits: IntakeLimits, take: (request: IncomingRequest) => void) {
    this.#host = host;
    this.#link = link;
    this.#limits = limits;
    this.#take = take;
    this.#deliveryCount = host.asked.initialDeliveryCount ?? 0;
  }

  /** Lets the peer send as many as may be under way. */
  grant(): void {
    this.#credit = this.#limits.maxRequests - this.#underWay;
    this.#host.flow({ deliveryCount: this.#deliveryCount, linkCredit: this.#credit });
  }

  onTransfer(transfer: TransferFields, bytes: Uint8Array, start: number, end: number): void {
    const { maxRequestBytes } = this.#limits;
    let partial = this.#partial;
    if (partial === undefined) {
      // [AMQP 2.6.7]
      if (this.#credit <= 0) return this.#fail(Condition.transferLimitExceeded, 'there is no credit for it');
      partial = this.#partial = new PartialDelivery(transfer.deliveryId, '', 0, -1, false);
      this.#credit--;
      this.#deliveryCount = (this.#deliveryCount + 1) >>> 0;
    }
    partial.settled ||= transfer.settled;
    if (transfer.aborted) return this.#forget();
    if (partial.length + end - start > maxRequestBytes) return this.#fail(Condition.messageSizeExceeded, 'the request is too large');
    partial.append(bytes, start, end, maxRequestBytes);
    if (transfer.more) return;
    const { deliveryId, settled } = partial;
    const request = { deliveryId, settled, bytes: partial.bytes.subarray(0, partial.length) };
    this.#partial = undefined;
    this.#underWay++;
    if (!request.settled) this.#host.session.receivedUnsettled(this.#link, request.deliveryId, request.deliveryId);
    this.#take(request);
  }

  /** Exactly once for each request: settles it, and makes room for another. */
  answer({ deliveryId, settled }: IncomingRequest, state: DeliveryState): void {
    this.#underWay--;
    if (!settled) {
      this.#host.session.disposition('received', deliveryId, true, state);
      this.#host.session.forget('received', deliveryId);
    }
    this.#replenish();
  }

  #forget(): void {
    this.#partial = undefined;
    this.#replenish();
  }

  /** At the end of the turn: what a peer sends at once costs no more than it was granted. */
  #replenish(): void {
    if (this.#credit * 2 <= this.#limits.maxRequests) this.grantSoon();
  }

  grantSoon(): void {
    if (this.#grantArranged) return;
    this.#grantArranged = true;
    this.#host.atEnd(() => {
      this.#grantArranged = false;
      this.grant();
    });
  }

  #fail(condition: Condition, message: string): void {
    this.#forget();
    this.#host.detach(true, { condition, message });
  }
}

export function rejectedBy({ condition, message }: Pick<AmqpFault, 'condition' | 'message'>): DeliveryState {
  return { type: 'rejected', error: { type: 'error', condition, description: message } };
}

// Link recovery on the side that sends [AMQP 2.6.13]: what we know of unsettled deliveries, held against what the peer says that it
// knows, when it comes back.
//
// | we      | the peer       | what happens                                                                        |
// |---------|----------------|-------------------------------------------------------------------------------------|
// | sent    | has an outcome | its outcome is taken, as if it had come as a disposition; ours is not in the answer  |
// | sent    | knows it       | the broker sends it again, as a resumed delivery                                     |
// | sent    | does not       | the broker sends it again, as a new delivery                                         |
// | received| knows it       | as one that the peer has accepted just now: see below                                |
// | received| does not       | it has forgotten it: it is settled; ours is not in the answer                        |
// | –       | knows it       | ours is not in the answer: the peer may forget it                                    |
//
// An exactly-once delivery that the peer has accepted is settled when the broker has made that durable: until then it stays in
// the answer, and is then resumed as settled.

import type { Session, SettlementDetail, UnsettledDelivery } from '../../broker/port.ts';
import { acceptedState, type DeliveryState, tagOfNumber, type UnsettledMap } from './codec/index.ts';
import { settlementOf } from './settlements.ts';

export type Recovery = {
  /** Tags that the peer knows, and that are sent again: as resumed deliveries. */
  readonly resumable: ReadonlySet<string> | undefined;
  /** What we say in the answer. */
  readonly unsettled: UnsettledMap | undefined;
  readonly incomplete: boolean;
  /** Tags of exactly-once deliveries that are settled when the broker releases them, by its delivery id. */
  readonly releasing: ReadonlyMap<number, string> | undefined;
  /** Deliveries whose part of the exchange is over on both sides: to be settled for good. */
  readonly released: readonly number[];
};

/**
 * To be called from within Consumer.attached: settles what the peer has an outcome for. `peer` undefined: it knows nothing.
 * `peerIsIncomplete`: it knows more than it says. Then nothing may be sent, and what it has no outcome for is given back, so that
 * there is less of it the next time. `maxBytes`: how large our part of the answer may be.
 */
export function recover(session: Session, peer: UnsettledMap | undefined, peerIsIncomplete: boolean, maxBytes: number): Recovery {
  const accepted: string[] = [];
  const known: UnsettledDelivery[] = [];
  const unknown: string[] = [];
  const releasing = new Map<number, string>();
  const released: number[] = [];
  for (const delivery of session.unsettled()) {
    const tag = tagOfNumber(delivery.position);
    const isKnown = peer?.has(tag) === true;
    if (delivery.state === 'received') {
      // The peer may forget it when that it was received is durable, which the broker says by its release.
      if (isKnown) releasing.set(delivery.deliveryId, tag);
      if (isKnown || peerIsIncomplete) accepted.push(tag);
      else released.push(delivery.deliveryId);
    } else if (isKnown) {
      const after = settleBy(session, delivery, peer.get(tag));
      if (after === 'releasing') releasing.set(delivery.deliveryId, tag);
      if (after === 'releasing') accepted.push(tag);
      else if (after === 'unsettled') known.push(delivery);
    } else {
      unknown.push(tag);
    }
  }
  const map = new BoundedMap(maxBytes);
  for (const tag of accepted) map.add(tag, acceptedState);
  let incomplete = map.isFull;
  const resumable = new Set<string>();
  for (const delivery of known) {
    const tag = tagOfNumber(delivery.position);
    if (!peerIsIncomplete && map.add(tag, undefined)) resumable.add(tag);
    else session.settle(delivery.deliveryId, 'released');
  }
  // A peer that has told all does not know them: they are new to it, whether or not we say that we have them.
  for (const tag of unknown) incomplete = (!map.add(tag, undefined) && peerIsIncomplete) || incomplete;
  return {
    resumable: resumable.size === 0 ? undefined : resumable,
    unsettled: map.entries.size === 0 ? undefined : map.entries,
    incomplete,
    releasing: releasing.size === 0 ? undefined : releasing,
    released,
  };
}

function settleBy(session: Session, delivery: UnsettledDelivery, state: DeliveryState | undefined): 'settled' | 'releasing' | 'unsettled' {
  const settlement = state === undefined ? undefined : settlementOf(state);
  if (settlement === undefined) return 'unsettled';
  if (delivery.guarantee === 2 && settlement.settlement === 'accepted') {
    return session.settle(delivery.deliveryId, 'received') ? 'releasing' : 'unsettled';
  }
  const detail: SettlementDetail | undefined = settlement.detail;
  return session.settle(delivery.deliveryId, settlement.settlement, detail) ? 'settled' : 'unsettled';
}

/** As much as fits: each entry is a short binary and a short state. */
class BoundedMap {
  readonly entries = new Map<string, DeliveryState | undefined>();
  #bytesLeft: number;

  constructor(maxBytes: number) {
    this.#bytesLeft = maxBytes;
  }

  /** Something did not fit: nothing does any more. */
  get isFull(): boolean {
    return this.#bytesLeft < 0;
  }

  add(tag: string, state: DeliveryState | undefined): boolean {
    this.#bytesLeft -= 2 + tag.length + (state === undefined ? 1 : 4);
    if (this.isFull) return false;
    this.entries.set(tag, state);
    return true;
  }
}

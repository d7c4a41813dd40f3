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
  /** The peer has not told all that it knows, and what it has not told may be an exactly-once delivery: the link must not go on. */
  readonly mustReattach: boolean;
};

const nothing: Recovery = {
  resumable: undefined,
  unsettled: undefined,
  incomplete: false,
  releasing: undefined,
  released: [],
  mustReattach: false,
};

/**
 * To be called from within Consumer.attached: settles what the peer has an outcome for. `peer` undefined: it knows nothing.
 * `maxBytes`: how large our part of the answer may be.
 */
export function recover(session: Session, peer: UnsettledMap | undefined, peerIsIncomplete: boolean, maxBytes: number): Recovery {
  const ours = session.unsettled();
  if (ours.length === 0) return nothing;
  const resumable = new Set<string>();
  const unsettled = new Map<string, DeliveryState | undefined>();
  const releasing = new Map<number, string>();
  const released: number[] = [];
  let mustReattach = false;
  for (const delivery of ours) {
    const tag = tagOfNumber(delivery.position);
    const known = peer?.has(tag) === true;
    if (delivery.state === 'received') {
      // The peer may forget it when that it was received is durable, which the broker says by its release.
      if (known) {
        unsettled.set(tag, acceptedState);
        releasing.set(delivery.deliveryId, tag);
      } else if (peerIsIncomplete) {
        unsettled.set(tag, acceptedState);
        mustReattach = true;
      } else {
        released.push(delivery.deliveryId);
      }
    } else if (known) {
      const after = settleBy(session, delivery, peer.get(tag));
      if (after === 'settled') continue;
      unsettled.set(tag, after === 'releasing' ? acceptedState : undefined);
      if (after === 'releasing') releasing.set(delivery.deliveryId, tag);
      else resumable.add(tag);
    } else {
      unsettled.set(tag, undefined);
      if (peerIsIncomplete && delivery.guarantee === 2) mustReattach = true;
    }
  }
  const { map, incomplete } = within(unsettled, maxBytes);
  return {
    resumable: resumable.size === 0 ? undefined : resumable,
    unsettled: map.size === 0 ? undefined : map,
    incomplete,
    releasing: releasing.size === 0 ? undefined : releasing,
    released,
    mustReattach,
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

/** As much of the map as fits: each entry is a short binary and a short state. */
function within(map: ReadonlyMap<string, DeliveryState | undefined>, maxBytes: number): { map: UnsettledMap; incomplete: boolean } {
  let bytes = 0;
  const fitting = new Map<string, DeliveryState | undefined>();
  for (const [tag, state] of map) {
    bytes += 2 + tag.length + (state === undefined ? 1 : 4);
    if (bytes > maxBytes) return { map: fitting, incomplete: true };
    fitting.set(tag, state);
  }
  return { map: fitting, incomplete: false };
}

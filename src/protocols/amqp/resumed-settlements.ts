// Exactly-once deliveries of an earlier connection that the peer has accepted: when the broker has made that durable, the peer is told that
// they are settled.

import { numberOfTag } from './codec/index.ts';

export class ResumedSettlements {
  /** Tags of those that the broker has not released yet. */
  readonly #pending: Map<number, string>;
  readonly #ready: { readonly deliveryId: number; readonly position: number }[] = [];

  /** `tags`: by the broker's delivery id. */
  constructor(tags: ReadonlyMap<number, string>) {
    this.#pending = new Map(tags);
  }

  get isEmpty(): boolean {
    return this.#pending.size === 0 && this.#ready.length === 0;
  }

  /** Some are ready, and go before anything else. */
  get isWaiting(): boolean {
    return this.#ready.length > 0;
  }

  /** The broker has released it. Returns whether it is one of these. */
  released(deliveryId: number): boolean {
    const tag = this.#pending.get(deliveryId);
    if (tag === undefined) return false;
    this.#pending.delete(deliveryId);
    this.#ready.push({ deliveryId, position: numberOfTag(tag) });
    return true;
  }

  /** The next one to be told, if there is credit for it. */
  take(credit: number): { readonly deliveryId: number; readonly position: number } | undefined {
    return credit > 0 ? this.#ready.shift() : undefined;
  }
}

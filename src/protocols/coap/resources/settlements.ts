// What a peer has said of deliveries, on its way to the broker: which must not be called back from within its own calls, and over
// transports that answer at once an answer comes while the broker still delivers.

import type { Session, Settlement, SettlementDetail } from '../../../broker/port.ts';

type Waiting = { readonly id: number; readonly settlement: Settlement; readonly detail: SettlementDetail | undefined };

export class Settlements {
  readonly #later: (task: () => void) => void;
  #session: Session | undefined = undefined;
  #depth = 0;
  #waiting: Waiting[] = [];

  constructor(later: (task: () => void) => void) {
    this.#later = later;
  }

  /** Undefined: it is over, and what is still said is nobody's. */
  set session(session: Session | undefined) {
    this.#session = session;
    this.#waiting = [];
  }

  /** The broker calls. */
  enter(): void {
    this.#depth++;
  }

  leave(): void {
    this.#depth--;
  }

  settle(id: number, settlement: Settlement, detail?: SettlementDetail): void {
    if (this.#session === undefined) return;
    if (this.#depth === 0) {
      this.#session.settle(id, settlement, detail);
      return;
    }
    this.#waiting.push({ id, settlement, detail });
    if (this.#waiting.length === 1) this.#later(() => this.#settleAll());
  }

  #settleAll(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { id, settlement, detail } of waiting) this.#session?.settle(id, settlement, detail);
  }
}

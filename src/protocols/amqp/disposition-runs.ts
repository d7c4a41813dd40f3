// What is to be said of deliveries in this turn: runs of the same answer for consecutive deliveries become one frame.

import type { DeliveryState } from './codec/index.ts';
import { serialAdd } from './serial.ts';

export type WriteDisposition = (first: number, last: number, settled: boolean, state: DeliveryState | undefined) => void;

export class DispositionRun {
  readonly #write: WriteDisposition;
  #open = false;
  #first = 0;
  #last = 0;
  #settled = false;
  #state: DeliveryState | undefined = undefined;

  constructor(write: WriteDisposition) {
    this.#write = write;
  }

  get isEmpty(): boolean {
    return !this.#open;
  }

  /** States without content are shared objects (`acceptedState`): two that are not the same object are not one run. */
  add(deliveryId: number, settled: boolean, state: DeliveryState | undefined): void {
    if (this.#open) {
      if (deliveryId === serialAdd(this.#last, 1) && settled === this.#settled && state === this.#state) {
        this.#last = deliveryId;
        return;
      }
      this.flush();
    }
    this.#open = true;
    this.#first = deliveryId;
    this.#last = deliveryId;
    this.#settled = settled;
    this.#state = state;
  }

  flush(): void {
    if (!this.#open) return;
    this.#open = false;
    const state = this.#state;
    this.#state = undefined;
    this.#write(this.#first, this.#last, this.#settled, state);
  }
}

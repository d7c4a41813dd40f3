// Reading from a peer stops while anybody has a reason to stop it. The wire is told only of the first and the last.

import type { Wire } from '../protocol.ts';
import type { Counters } from './counters.ts';

export const Brake = {
  /** The handshake waits for an answer. */
  handshake: 1,
  /** The peer does not read what it is sent. */
  output: 2,
  /** The broker holds publishers back. */
  broker: 4,
} as const;
export type Brake = (typeof Brake)[keyof typeof Brake];

export class ReadingBrake {
  readonly #wire: Wire;
  readonly #counters: Counters;
  #reasons = 0;

  constructor(wire: Wire, counters: Counters) {
    this.#wire = wire;
    this.#counters = counters;
  }

  pull(reason: Brake): void {
    const before = this.#reasons;
    this.#reasons |= reason;
    if (before !== 0) return;
    this.#counters.pauses++;
    this.#wire.pause();
  }

  release(reason: Brake): void {
    if ((this.#reasons & reason) === 0) return;
    this.#reasons &= ~reason;
    if (this.#reasons === 0) this.#wire.resume();
  }

  /** The peer may have spoken without being heard, through no fault of its own. */
  get excusesSilence(): boolean {
    return (this.#reasons & ~Brake.output) !== 0;
  }
}

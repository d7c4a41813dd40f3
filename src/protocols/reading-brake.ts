// Reading from a peer stops while anybody has a reason to stop it. The wire is told only of the first and the last.

import type { Wire } from './protocol.ts';

export const Brake = {
  /** The handshake waits for an answer. */
  handshake: 1,
  /** The broker holds publishers back. */
  broker: 2,
  /** As many requests wait for an answer as may. */
  answers: 4,
  /** The peer does not read what it is sent. */
  output: 8,
} as const;
export type Brake = (typeof Brake)[keyof typeof Brake];

export class ReadingBrake {
  readonly #wire: Wire;
  readonly #counters: { pauses: number };
  #reasons = 0;

  /** `counters`: of its protocol. */
  constructor(wire: Wire, counters: { pauses: number }) {
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

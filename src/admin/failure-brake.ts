// Slows down who tries credentials at the management interface. Passwords have their own lock-out in `security`; this one also
// covers tokens, and spares it the flood.

import { addressKey } from '../base/address-key.ts';
import type { Clock } from '../base/clock.ts';

export type BrakeLimits = { readonly failures: number; readonly windowMs: number; readonly addresses: number };

const defaultBrakeLimits: BrakeLimits = { failures: 20, windowMs: 60_000, addresses: 1000 };

type Window = { readonly startedMs: number; failures: number };

export class FailureBrake {
  readonly #clock: Clock;
  readonly #limits: BrakeLimits;
  readonly #windows = new Map<string, Window>();

  constructor(clock: Clock, limits: BrakeLimits = defaultBrakeLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** For how many seconds this address is not listened to; 0: go on. */
  waitSeconds(address: string): number {
    const window = this.#current(address);
    if (window === undefined || window.failures < this.#limits.failures) return 0;
    return Math.max(1, Math.ceil((window.startedMs + this.#limits.windowMs - this.#clock.monotonicMs()) / 1000));
  }

  failed(address: string): void {
    const window = this.#current(address);
    if (window !== undefined) {
      window.failures++;
      return;
    }
    if (this.#windows.size >= this.#limits.addresses) {
      const oldest = this.#windows.keys().next();
      if (oldest.done !== true) this.#windows.delete(oldest.value);
    }
    this.#windows.set(addressKey(address), { startedMs: this.#clock.monotonicMs(), failures: 1 });
  }

  #current(address: string): Window | undefined {
    const key = addressKey(address);
    const window = this.#windows.get(key);
    if (window !== undefined && this.#clock.monotonicMs() - window.startedMs >= this.#limits.windowMs) {
      this.#windows.delete(key);
      return undefined;
    }
    return window;
  }
}

// The one source of time. Logic never reads the system's clock: it is handed a Clock, so that a test or the simulator owns time.

export interface Clock {
  /** Milliseconds since the Unix epoch; may jump when the system's time is set. For expiry and records. */
  wallMs(): number;
  /** Milliseconds that never go back, from an arbitrary origin. For time-outs and keep-alive. */
  monotonicMs(): number;
}

/**
 * The system's clock, read once per turn of the event loop: `refresh` is called by the loop that drives the
 * connections, so that a message costs no system call.
 */
export class SystemClock implements Clock {
  #wallMs = Date.now();
  #monotonicMs = performance.now();

  refresh(): void {
    this.#wallMs = Date.now();
    this.#monotonicMs = performance.now();
  }

  wallMs(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }
}

/** A clock that stands still until it is moved. For tests and the simulator. */
export class ManualClock implements Clock {
  #wallMs: number;
  #monotonicMs = 0;

  constructor(wallMs = 1_700_000_000_000) {
    this.#wallMs = wallMs;
  }

  /** Lets time pass. */
  advance(ms: number): void {
    this.#wallMs += ms;
    this.#monotonicMs += ms;
  }

  /** Sets the wall clock alone, as an operator or NTP would. */
  jump(ms: number): void {
    this.#wallMs += ms;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }
}

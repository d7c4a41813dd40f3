// Many publishers that send as fast as they may, from a thread of their own: the check measures on the main thread meanwhile.

import { Worker } from 'node:worker_threads';

import type { CheckContext } from '../interop/checks.ts';

export type FloodOptions = {
  readonly port: number;
  readonly publishers: number;
  readonly qos: 0 | 1 | 2;
  readonly version: 4 | 5;
  /** Publisher n publishes to `prefix/n`. */
  readonly prefix: string;
  readonly payloadBytes: number;
  /** Unacknowledged at a time, above QoS 0. */
  readonly window: number;
};

/** Places in the shared counters. */
export const place = { connected: 0, sent: 1, acknowledged: 2, refused: 3, closed: 4, stop: 5, count: 6 } as const;

export class Flood {
  readonly #options: FloodOptions;
  readonly #counters = new Int32Array(new SharedArrayBuffer(4 * place.count));
  readonly #worker: Worker;
  readonly #over: Promise<void>;
  #failure: Error | undefined;

  constructor(context: CheckContext, options: FloodOptions) {
    this.#options = options;
    this.#worker = new Worker(new URL('flood-thread.ts', import.meta.url), { workerData: { ...options, counters: this.#counters } });
    this.#over = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    this.#worker.on('error', (error: Error) => (this.#failure = error));
    context.after(() => this.#worker.terminate());
  }

  get started(): boolean {
    return this.#read(place.connected) === this.#options.publishers;
  }

  /** Messages written into sockets. */
  get sent(): number {
    return this.#read(place.sent);
  }

  /** PUBACKs, or completed exchanges of QoS 2. */
  get acknowledged(): number {
    return this.#read(place.acknowledged);
  }

  /** Acknowledgements with a reason from 0x80 on. */
  get refused(): number {
    return this.#read(place.refused);
  }

  /** Connections that the broker has ended. */
  get closed(): number {
    return this.#read(place.closed);
  }

  #read(index: number): number {
    if (this.#failure !== undefined) throw this.#failure;
    return Atomics.load(this.#counters, index);
  }

  /** No new messages; what is under way is awaited, and the publishers disconnect. */
  async stop(): Promise<void> {
    Atomics.store(this.#counters, place.stop, 1);
    await this.#over;
    if (this.#failure !== undefined) throw this.#failure;
  }
}

// A connection in memory: the server's wire on one side, a test client's link on the other.

import { Output } from '../../src/base/output.ts';

import type { Connection, Wire, WireFacts } from '../../src/protocols/protocol.ts';
import type { Link } from './client.ts';

const facts: WireFacts = {
  listener: 'memory',
  remoteAddress: '192.0.2.1',
  remotePort: 40_000,
  secure: false,
  peerCertificate: undefined,
};

/** Above it the output counts as high, so that emptying it is reported. */
export const highWaterBytes = 64 * 1024;

export class MemoryWire implements Wire, Link {
  readonly output: Output;
  readonly facts = facts;
  connection: Connection | undefined = undefined;
  deadlineMs = Infinity;
  #onBytes: ((bytes: Uint8Array) => void) | undefined;
  readonly #settle: () => void;
  #inbound: Uint8Array[] = [];
  #pauses = 0;
  #stalled = false;
  #wasHigh = false;
  /** open; closing: the server has closed; dropped: the network has; over: the connection knows. */
  #state: 'open' | 'closing' | 'dropped' | 'over' = 'open';

  constructor(onBytes: (bytes: Uint8Array) => void, settle: () => void) {
    this.#onBytes = onBytes;
    this.#settle = settle;
    this.output = new Output(() => {});
  }

  // -- the server's side

  pause(): void {
    this.#pauses++;
  }

  resume(): void {
    this.#pauses--;
  }

  close(): void {
    if (this.#state === 'open') this.#state = 'closing';
  }

  abort(): void {
    this.output.takeChunks();
    this.close();
  }

  setDeadline(monotonicMs: number): void {
    this.deadlineMs = monotonicMs;
  }

  // -- the client's side

  send(bytes: Uint8Array): void {
    this.#inbound.push(bytes);
    this.#settle();
  }

  drop(): void {
    if (this.#state === 'open') this.#state = 'dropped';
    this.#settle();
  }

  stall(on: boolean): void {
    this.#stalled = on;
    this.#settle();
  }

  get closed(): boolean {
    return this.#state !== 'open' && !(this.#state === 'over' && this.#stalled && this.output.pendingBytes > 0);
  }

  get paused(): boolean {
    return this.#pauses > 0;
  }

  // -- the event loop's side

  /** Does what there is to do; false when there was nothing. */
  turn(nowMs: number): boolean {
    let busy = this.flush();
    if (this.#state === 'open') {
      if (this.#pauses === 0 && this.#inbound.length > 0) {
        this.connection!.receive(this.#inbound.shift()!);
        busy = true;
      }
      if (this.deadlineMs <= nowMs && this.#state === 'open') {
        this.deadlineMs = Infinity;
        this.connection!.onDeadline();
        busy = true;
      }
    } else if (this.#state !== 'over') {
      this.flush();
      this.#state = 'over';
      this.#inbound = [];
      this.connection!.onClosed();
      busy = true;
    }
    return busy;
  }

  /** Hands the client what the server has written. */
  flush(): boolean {
    if (this.output.pendingBytes > highWaterBytes) this.#wasHigh = true;
    if (this.#stalled || this.#state === 'dropped') return false;
    const chunks = this.output.takeChunks();
    if (chunks.length === 0) return false;
    this.#onBytes?.(Buffer.concat(chunks));
    if (this.#wasHigh && this.#state === 'open') {
      this.#wasHigh = false;
      this.connection!.onDrained();
    }
    return true;
  }

  /** The server's process is gone: nobody is told anything. */
  kill(): void {
    this.#state = 'over';
    this.#onBytes = undefined;
  }
}

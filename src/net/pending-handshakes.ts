// Sockets on their way to being connections: TLS handshakes and WebSocket upgrades, bounded in number and time.

import type { Socket } from 'node:net';
import type { Timer } from '../base/timers.ts';
import type { HandshakeFailure, NetCounters } from './counters.ts';
import type { NetLoop } from './loop.ts';

type Destroyable = { destroy(): unknown };
type Pending = { holder: Destroyable; readonly timer: Timer; failure: HandshakeFailure };

/**
 * The name under which a socket's handshake is known: Node does not tell which socket is below a TLS socket, but both have the
 * same peer. Empty once the socket is destroyed.
 */
export function peerOf(socket: Socket): string {
  return socket.remoteAddress === undefined ? '' : `${socket.remoteAddress} ${socket.remotePort}`;
}

export class PendingHandshakes {
  readonly #loop: NetLoop;
  readonly #counters: NetCounters;
  readonly #timeoutMs: number;
  readonly #pending = new Map<string, Pending>();

  constructor(loop: NetLoop, counters: NetCounters, timeoutMs: number) {
    this.#loop = loop;
    this.#counters = counters;
    this.#timeoutMs = timeoutMs;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** `holder` is what to destroy when time is up. */
  begin(peer: string, holder: Destroyable): void {
    const deadlineMs = this.#loop.clock.monotonicMs() + this.#timeoutMs;
    const timer = this.#loop.timers.at(deadlineMs, () => this.#expire(peer));
    this.#pending.set(peer, { holder, timer, failure: 'reset' });
    this.#loop.wakeAt(deadlineMs);
    this.#counters.handshakesPending++;
  }

  /** From now on it is `holder` that has the connection. */
  handOver(peer: string, holder: Destroyable): void {
    const pending = this.#pending.get(peer);
    if (pending !== undefined) pending.holder = holder;
  }

  /** Why it has failed, where that is known; its socket is closing, or closed if `peer` is empty. Without this it is a 'reset'. */
  failed(peer: string, failure: HandshakeFailure): void {
    const pending = this.#pending.get(peer);
    if (pending !== undefined) {
      pending.failure = failure;
      return;
    }
    const { failedHandshakes } = this.#counters;
    // Node tells of a wrong client certificate only after it has destroyed the socket, which `closed` took for a reset.
    if (failure !== 'certificate' || failedHandshakes.reset === 0) return;
    failedHandshakes.reset--;
    failedHandshakes.certificate++;
  }

  /** It has become a connection. */
  succeeded(peer: string): void {
    this.#end(peer);
  }

  /** Its socket is closed. Nothing happens if it had succeeded. */
  closed(peer: string): void {
    const pending = this.#end(peer);
    if (pending !== undefined) this.#counters.failedHandshakes[pending.failure]++;
  }

  destroyAll(): void {
    for (const { holder } of this.#pending.values()) holder.destroy();
  }

  #expire(peer: string): void {
    const pending = this.#pending.get(peer);
    if (pending === undefined) return;
    pending.failure = 'timeout';
    pending.holder.destroy();
  }

  #end(peer: string): Pending | undefined {
    const pending = this.#pending.get(peer);
    if (pending === undefined) return undefined;
    this.#pending.delete(peer);
    this.#loop.timers.cancel(pending.timer);
    this.#counters.handshakesPending--;
    return pending;
  }
}

// Who may come in: how many at all, how many from one address, and how fast.

import { countedAddress } from './address.ts';
import type { RefusalReason } from './counters.ts';

export type AcceptLimits = {
  /** Most connections of the listener, handshakes included. Each costs memory and a file descriptor. */
  readonly maxConnections: number;
  /** Most connections from one IPv4 address or one IPv6 /64; Infinity: no bound. Stops one peer from filling the listener. */
  readonly maxConnectionsPerAddress: number;
  /** New connections a second, on average; Infinity: no bound. Stops floods before they cost a handshake each. */
  readonly connectionsPerSecond: number;
  /** How many may come at once before the rate counts. */
  readonly connectionBurst: number;
  /** From accepting to the end of the TLS handshake and the WebSocket upgrade. Stops slow handshakes from piling up. */
  readonly handshakeTimeoutMs: number;
  /** Most handshakes under way. Bounds what strangers can make us hold and compute. */
  readonly maxPendingHandshakes: number;
  /** How long a closing connection may take to receive its last bytes. */
  readonly closeTimeoutMs: number;
  /** Silence after which TCP probes the peer, to find those that are gone; 0: never. */
  readonly keepAliveMs: number;
  /** Connections the system holds ready until they are accepted. */
  readonly backlog: number;
};

/** What counts when somebody comes in. */
export type AdmissionLimits = Pick<
  AcceptLimits,
  'maxConnections' | 'maxConnectionsPerAddress' | 'connectionsPerSecond' | 'connectionBurst'
>;

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #byAddress = new Map<string, number>();
  #active = 0;
  #tokens: number;
  #refilledMs: number;

  constructor(limits: AdmissionLimits, nowMs: number) {
    this.#limits = limits;
    this.#tokens = limits.connectionBurst;
    this.#refilledMs = nowMs;
  }

  get active(): number {
    return this.#active;
  }

  /** Undefined: it is in, and must be given back by `leave`. */
  enter(address: string, nowMs: number): RefusalReason | undefined {
    const { maxConnections, maxConnectionsPerAddress } = this.#limits;
    if (this.#active >= maxConnections) return 'connections';
    const counted = maxConnectionsPerAddress !== Infinity;
    const key = counted ? countedAddress(address) : '';
    const already = counted ? (this.#byAddress.get(key) ?? 0) : 0;
    if (already >= maxConnectionsPerAddress) return 'address';
    if (!this.#takeToken(nowMs)) return 'rate';
    if (counted) this.#byAddress.set(key, already + 1);
    this.#active++;
    return undefined;
  }

  leave(address: string): void {
    this.#active--;
    if (this.#limits.maxConnectionsPerAddress === Infinity) return;
    const key = countedAddress(address);
    const left = (this.#byAddress.get(key) ?? 1) - 1;
    if (left > 0) this.#byAddress.set(key, left);
    else this.#byAddress.delete(key);
  }

  /** A bucket that refills at the rate and holds the burst. */
  #takeToken(nowMs: number): boolean {
    const { connectionsPerSecond, connectionBurst } = this.#limits;
    if (connectionsPerSecond === Infinity) return true;
    const refill = ((nowMs - this.#refilledMs) / 1000) * connectionsPerSecond;
    this.#tokens = Math.min(connectionBurst, this.#tokens + refill);
    this.#refilledMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

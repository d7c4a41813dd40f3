// When a flight is sent, and sent again: by time with back-off, or because the client repeats its own (RFC 6347 §4.2.4).

import type { DtlsCounters } from './counters.ts';
import type { DtlsEffect, PeerAddress } from './endpoint.ts';
import type { Flight, PlainSequence } from './flight.ts';
import type { DtlsLimits } from './limits.ts';

/** A client that repeats its hello makes us repeat our flight, but not more often than this, nor more times. */
const repeatPauseMs = 200;
const maxSent = 12;

export class Retransmission {
  readonly #peer: PeerAddress;
  readonly #plain: PlainSequence;
  readonly #limits: DtlsLimits;
  readonly #counters: DtlsCounters;
  #flight: Flight | undefined;
  #mtu: number;
  #sentAt = -Infinity;
  #backOffMs: number;
  #dueAt = Infinity;

  constructor(peer: PeerAddress, plain: PlainSequence, limits: DtlsLimits, counters: DtlsCounters) {
    this.#peer = peer;
    this.#plain = plain;
    this.#limits = limits;
    this.#counters = counters;
    this.#mtu = limits.mtu;
    this.#backOffMs = limits.retransmitMs;
  }

  /** When the flight is to be sent again; Infinity: nothing has been sent. */
  get dueAt(): number {
    return this.#dueAt;
  }

  get flight(): Flight | undefined {
    return this.#flight;
  }

  /** Records shall not hold more than this. */
  limitRecords(bytes: number): void {
    this.#mtu = Math.min(this.#mtu, bytes);
  }

  send(flight: Flight, now: number, out: DtlsEffect[]): void {
    this.#flight = flight;
    for (const bytes of flight.datagrams(this.#plain, this.#mtu)) out.push({ kind: 'datagram', to: this.#peer, bytes });
    this.#sentAt = now;
    this.#dueAt = now + this.#backOffMs;
    this.#backOffMs = Math.min(2 * this.#backOffMs, this.#limits.retransmitMaxMs);
  }

  onDeadline(now: number, out: DtlsEffect[]): void {
    if (now < this.#dueAt || this.#flight === undefined) return;
    this.#counters.retransmissions++;
    this.send(this.#flight, now, out);
  }

  /** The client has sent its last flight again. */
  repeat(now: number, out: DtlsEffect[]): void {
    if (this.#flight === undefined || this.#flight.sent > maxSent || now < this.#sentAt + repeatPauseMs) return;
    this.#counters.retransmissions++;
    this.send(this.#flight, now, out);
  }
}

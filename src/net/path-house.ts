// What listeners of datagrams do alike with their paths: deadlines, order of last contact, making room, telling those that ended,
// and letting go of all when the node goes down.

import type { Timer } from '../base/timers.ts';
import { Admission, type AdmissionLimits } from './accept-limits.ts';
import type { DatagramCounters, DropReason } from './datagram-counters.ts';
import type { DatagramLimits } from './datagram-limits.ts';
import { Deadlines } from './deadlines.ts';
import type { NetLoop } from './loop.ts';
import type { OpenPath, PathHome } from './open-path.ts';
import { Recency } from './recency.ts';

/** Busy peers that are passed over, oldest first, in search of an idle one; they then count as heard. A datagram must not cost more. */
const passedOver = 32;

export class PathHouse<Path extends OpenPath<Path>> implements PathHome<Path> {
  readonly loop: NetLoop;
  readonly counters: DatagramCounters;
  readonly deadlines: Deadlines<Path>;
  readonly #limits: DatagramLimits;
  readonly #forget: (path: Path) => void;
  readonly #admission: Admission;
  readonly #recency = new Recency<Path>();
  #ended: Path[] = [];
  #sweepTimer: Timer | undefined;
  #size = 0;
  #isDraining = false;
  #onEmpty: (() => void) | undefined;

  /** `forget`: a path is closed and must no longer be found. */
  constructor(loop: NetLoop, counters: DatagramCounters, limits: DatagramLimits, forget: (path: Path) => void) {
    this.loop = loop;
    this.counters = counters;
    this.deadlines = new Deadlines(loop, (path) => path.due());
    this.#limits = limits;
    this.#forget = forget;
    this.#admission = new Admission(new PeerLimits(limits), loop.clock.monotonicMs());
  }

  get size(): number {
    return this.#size;
  }

  /** Undefined: there is room for one more peer at this address, which must be taken by `add`. */
  refusal(remoteAddress: string): DropReason | undefined {
    if (this.#isDraining) return 'draining';
    if (this.#size >= this.#limits.maxPeers && !this.#displaceIdle()) return 'peers';
    const refused = this.#admission.enter(remoteAddress, this.loop.clock.monotonicMs());
    return refused === 'address' || refused === 'rate' || refused === undefined ? refused : 'peers';
  }

  add(path: Path): void {
    this.#size++;
    this.counters.opened++;
    this.counters.peers++;
    this.#recency.add(path, this.loop.clock.monotonicMs());
    if (this.#sweepTimer === undefined && this.#limits.idleMs !== Infinity) this.#armSweep();
  }

  heard(path: Path): void {
    this.#recency.heard(path, this.loop.clock.monotonicMs());
  }

  /** For the path alone. */
  closed(path: Path): void {
    this.#size--;
    this.counters.peers--;
    this.#recency.remove(path);
    this.#admission.leave(path.admittedAs);
    this.#forget(path);
    if (this.#ended.length === 0) this.loop.atEnd(this.#tellEnded);
    this.#ended.push(path);
  }

  /** No new peers from here on. */
  stopAccepting(): void {
    this.#isDraining = true;
  }

  /** Tells all that the node goes down; resolves when all are gone, at `deadlineMs` at the latest, with whether none had to be cut. */
  async drain(deadlineMs: number): Promise<boolean> {
    this.stopAccepting();
    this.loop.enterTurn();
    for (const path of this.#all()) path.shutDown();
    let clean = true;
    if (!this.#isEmpty()) {
      const timer = this.loop.timers.at(deadlineMs, () => {
        clean = this.#size === 0;
        for (const path of this.#all()) path.close();
      });
      this.loop.wakeAt(deadlineMs);
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
      });
      this.loop.timers.cancel(timer);
    }
    this.loop.timers.cancel(this.#sweepTimer);
    return clean;
  }

  // --- within ---

  #all(): Path[] {
    const found: Path[] = [];
    for (let path = this.#recency.oldest; path !== undefined; path = path.newer) found.push(path);
    return found;
  }

  #displaceIdle(): boolean {
    for (let i = 0; i < passedOver; i++) {
      const oldest = this.#recency.oldest;
      if (oldest === undefined) return false;
      if (oldest.isIdle) {
        this.counters.displaced++;
        oldest.close();
        return true;
      }
      this.#recency.add(this.#taken(oldest), oldest.heardMs);
    }
    return false;
  }

  #taken(path: Path): Path {
    this.#recency.remove(path);
    return path;
  }

  /** A peer that was not heard for long and has nothing to lose is forgotten. A few at a time: there may be a hundred thousand. */
  readonly #sweep = (nowMs: number): void => {
    const before = nowMs - this.#limits.idleMs;
    let path = this.#recency.oldest;
    for (let i = 0; i < sweptAtOnce && path !== undefined && path.heardMs <= before; i++) {
      const { newer } = path;
      if (path.isIdle) {
        this.counters.expired++;
        path.close();
      } else {
        this.#recency.add(this.#taken(path), nowMs);
      }
      path = newer;
    }
    this.#sweepTimer = undefined;
    if (this.#size > 0) this.#armSweep();
  };

  #armSweep(): void {
    const oldest = this.#recency.oldest;
    const nowMs = this.loop.clock.monotonicMs();
    const atMs = Math.max((oldest?.heardMs ?? nowMs) + this.#limits.idleMs, nowMs + leastSweepMs);
    this.#sweepTimer = this.loop.timers.at(atMs, this.#sweep);
    this.loop.wakeAt(atMs);
  }

  readonly #tellEnded = (): void => {
    while (this.#ended.length > 0) {
      const paths = this.#ended;
      this.#ended = [];
      for (const path of paths) path.tellEnded();
    }
    if (this.#isEmpty()) this.#onEmpty?.();
  };

  #isEmpty(): boolean {
    return this.#size === 0 && this.#ended.length === 0;
  }
}

const sweptAtOnce = 1000;
const leastSweepMs = 100;

/** As the admission of connections knows them; a reload of the configuration is seen through it. */
class PeerLimits implements AdmissionLimits {
  readonly #limits: DatagramLimits;

  constructor(limits: DatagramLimits) {
    this.#limits = limits;
  }

  get maxConnections(): number {
    return this.#limits.maxPeers;
  }

  get maxConnectionsPerAddress(): number {
    return this.#limits.maxPeersPerAddress;
  }

  get connectionsPerSecond(): number {
    return this.#limits.newPeersPerSecond;
  }

  get connectionBurst(): number {
    return this.#limits.newPeerBurst;
  }
}

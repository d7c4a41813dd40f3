// What is kept for peers between their messages, in bounds: how much for one peer, how much in all, and for how long.
//
//   of one peer    beyond its count or bytes, its own oldest goes: nobody loses by it but itself
//   in all         what does not fit is refused, or the oldest goes: `whenFull`
//   time           from the last touch

import type { Clock } from '../../../base/clock.ts';
import type { Timer, Timers } from '../../../base/timers.ts';
import type { CoapPeer } from '../exchange.ts';
import type { BlockOptions } from './block-settings.ts';

/** How much, and for how long. Read at each use. */
export type HeldLimits = Pick<BlockOptions, 'maxTransfersPerPeer' | 'maxTransferPeerBytes' | 'maxTransferBytes' | 'transferTimeoutMs'>;

/** What to do when all peers together have as much as they may. */
export type WhenFull = 'refuse' | 'dropOldest';

export type HeldCounters = { expired: number; dropped: number; refused: number };

/** An entry's own cost, beside its key and the bytes it holds: stops peers from filling memory with empty ones. */
const entryBytes = 512;

type Entry<T> = { readonly peer: CoapPeer; readonly key: string; readonly value: T; bytes: number; deadlineMs: number };
type Shelf<T> = { readonly entries: Map<string, Entry<T>>; bytes: number };

export class Held<T> {
  readonly counters: HeldCounters = { expired: 0, dropped: 0, refused: 0 };
  readonly #limits: HeldLimits;
  readonly #whenFull: WhenFull;
  readonly #onRemoved: ((value: T) => void) | undefined;
  readonly #clock: Clock;
  readonly #timers: Timers;
  /** Only of peers for whom something is kept. */
  readonly #shelves = new Map<CoapPeer, Shelf<T>>();
  readonly #watched = new WeakSet<CoapPeer>();
  /** In the order of their deadlines, as all live equally long. */
  readonly #byAge = new Set<Entry<T>>();
  #bytes = 0;
  #timer: Timer | undefined;

  /** `onRemoved` is told of everything that is kept no more, whatever the reason. */
  constructor(limits: HeldLimits, whenFull: WhenFull, clock: Clock, timers: Timers, onRemoved?: (value: T) => void) {
    this.#limits = limits;
    this.#whenFull = whenFull;
    this.#onRemoved = onRemoved;
    this.#clock = clock;
    this.#timers = timers;
  }

  get size(): number {
    return this.#byAge.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(peer: CoapPeer, key: string): T | undefined {
    const entry = this.#shelves.get(peer)?.entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.deadlineMs <= this.#clock.monotonicMs()) {
      this.#remove(entry);
      this.counters.expired++;
      return undefined;
    }
    return entry.value;
  }

  /** Replaces what was there. False, and nothing is kept: there is no room in all, or it is more than one peer may have. */
  put(peer: CoapPeer, key: string, value: T, bytes: number): boolean {
    this.delete(peer, key);
    const cost = bytes + entryBytes + key.length;
    const before = this.#shelves.get(peer);
    // Those of one peer are in the order of their last touch, too.
    while (before !== undefined && before.entries.size >= this.#limits.maxTransfersPerPeer) this.#dropOldestOf(before, undefined);
    if (!this.#makeRoom(before, cost, undefined)) return false;
    const shelf = this.#shelf(peer);
    const entry = { peer, key, value, bytes: cost, deadlineMs: this.#clock.monotonicMs() + this.#limits.transferTimeoutMs };
    shelf.entries.set(key, entry);
    shelf.bytes += cost;
    this.#bytes += cost;
    this.#byAge.add(entry);
    this.#arm();
    return true;
  }

  /** Somebody made use of it, and it takes so many bytes now. False: that is too many, and it is gone. */
  touch(peer: CoapPeer, key: string, bytes: number): boolean {
    const shelf = this.#shelves.get(peer);
    const entry = shelf?.entries.get(key);
    if (shelf === undefined || entry === undefined) return false;
    const more = bytes + entryBytes + key.length - entry.bytes;
    shelf.entries.delete(key);
    shelf.entries.set(key, entry);
    this.#byAge.delete(entry);
    this.#byAge.add(entry);
    entry.deadlineMs = this.#clock.monotonicMs() + this.#limits.transferTimeoutMs;
    if (more > 0 && !this.#makeRoom(shelf, more, entry)) {
      this.#remove(entry);
      return false;
    }
    entry.bytes += more;
    shelf.bytes += more;
    this.#bytes += more;
    return true;
  }

  delete(peer: CoapPeer, key: string): void {
    const entry = this.#shelves.get(peer)?.entries.get(key);
    if (entry !== undefined) this.#remove(entry);
  }

  #shelf(peer: CoapPeer): Shelf<T> {
    let shelf = this.#shelves.get(peer);
    if (shelf === undefined) {
      shelf = { entries: new Map(), bytes: 0 };
      this.#shelves.set(peer, shelf);
    }
    if (!this.#watched.has(peer)) {
      this.#watched.add(peer);
      peer.whenGone(() => this.#forget(peer));
    }
    return shelf;
  }

  /** Room for `cost` more bytes on a peer's shelf, at the cost of everything older there but `spared`, and then of others' where they may go. */
  #makeRoom(shelf: Shelf<T> | undefined, cost: number, spared: Entry<T> | undefined): boolean {
    const { maxTransferBytes: maxBytes, maxTransferPeerBytes: maxBytesPerPeer } = this.#limits;
    const whenFull = this.#whenFull;
    const own = shelf?.bytes ?? 0;
    const kept = spared?.bytes ?? 0;
    const fits = cost + kept <= Math.min(maxBytes, maxBytesPerPeer);
    if (!fits || (whenFull === 'refuse' && this.#bytes - own + kept + cost > maxBytes)) {
      this.counters.refused++;
      return false;
    }
    while (shelf !== undefined && shelf.bytes + cost > maxBytesPerPeer) this.#dropOldestOf(shelf, spared);
    if (whenFull === 'refuse') {
      while (shelf !== undefined && this.#bytes + cost > maxBytes) this.#dropOldestOf(shelf, spared);
      return true;
    }
    for (const entry of this.#byAge) {
      if (this.#bytes + cost <= maxBytes) break;
      if (entry !== spared) this.#drop(entry);
    }
    return true;
  }

  #dropOldestOf(shelf: Shelf<T>, spared: Entry<T> | undefined): void {
    for (const entry of shelf.entries.values()) {
      if (entry === spared) continue;
      this.#drop(entry);
      return;
    }
    throw new Error('nothing is left to be dropped');
  }

  #drop(entry: Entry<T>): void {
    this.#remove(entry);
    this.counters.dropped++;
  }

  #remove(entry: Entry<T>): void {
    const shelf = this.#shelves.get(entry.peer)!;
    shelf.entries.delete(entry.key);
    shelf.bytes -= entry.bytes;
    this.#bytes -= entry.bytes;
    this.#byAge.delete(entry);
    if (shelf.entries.size === 0) this.#shelves.delete(entry.peer);
    this.#onRemoved?.(entry.value);
  }

  #forget(peer: CoapPeer): void {
    const shelf = this.#shelves.get(peer);
    if (shelf === undefined) return;
    for (const entry of shelf.entries.values()) this.#remove(entry);
  }

  #arm(): void {
    if (this.#timer !== undefined) return;
    const oldest = this.#byAge.values().next().value;
    if (oldest === undefined) return;
    this.#timer = this.#timers.at(oldest.deadlineMs, (nowMs) => {
      this.#timer = undefined;
      for (const entry of this.#byAge) {
        if (entry.deadlineMs > nowMs) break;
        this.#remove(entry);
        this.counters.expired++;
      }
      this.#arm();
    });
  }
}

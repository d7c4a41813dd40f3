// Lets operators watch the packets of single clients. Protocols ask `wants` only when `version` has moved, so that clients which
// nobody watches cost nothing.
//
// Watching never holds the broker back: a watcher that does not keep up loses lines, and is told how many.

import type { Clock } from '../base/clock.ts';

export type TraceLine =
  | { readonly atMs: number; readonly direction: 'in' | 'out'; readonly packet: string }
  /** So many packets were not shown, because there were too many at once or the watcher was too slow. */
  | { readonly atMs: number; readonly dropped: number };

export type TraceLimits = {
  /** Watchers at a time. */
  readonly watchers: number;
  /** Lines a second for one watcher. */
  readonly linesPerSecond: number;
  /** Characters of one packet's words. */
  readonly lineLength: number;
};

const defaultTraceLimits: TraceLimits = { watchers: 16, linesPerSecond: 1000, lineLength: 4096 };

/** Takes a line, or returns false when it cannot take one now. */
export type TraceSink = (line: TraceLine) => boolean;

type Watcher = { readonly sink: TraceSink; second: number; lines: number; dropped: number };

export class TraceHub {
  /** See the protocols' Trace. */
  version = 0;
  readonly #clock: Clock;
  readonly #limits: TraceLimits;
  readonly #watchers = new Map<string, Set<Watcher>>();
  #count = 0;

  constructor(clock: Clock, limits: TraceLimits = defaultTraceLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get watchers(): number {
    return this.#count;
  }

  wants(clientId: string): boolean {
    return this.#watchers.has(clientId);
  }

  packet(clientId: string, direction: 'in' | 'out', words: string): void {
    const watchers = this.#watchers.get(clientId);
    if (watchers === undefined) return;
    const { lineLength } = this.#limits;
    const packet = words.length > lineLength ? `${words.slice(0, lineLength)}…` : words;
    const atMs = this.#clock.wallMs();
    for (const watcher of watchers) this.#show(watcher, { atMs, direction, packet });
  }

  /** Sends a client's packets to `sink` until the returned function is called; undefined when there are too many watchers. */
  watch(clientId: string, sink: TraceSink): (() => void) | undefined {
    if (this.#count >= this.#limits.watchers) return undefined;
    const watcher: Watcher = { sink, second: -1, lines: 0, dropped: 0 };
    const others = this.#watchers.get(clientId);
    if (others === undefined) this.#watchers.set(clientId, new Set([watcher]));
    else others.add(watcher);
    this.#count++;
    this.version++;
    return () => this.#unwatch(clientId, watcher);
  }

  #unwatch(clientId: string, watcher: Watcher): void {
    const watchers = this.#watchers.get(clientId);
    if (watchers?.delete(watcher) !== true) return;
    if (watchers.size === 0) this.#watchers.delete(clientId);
    this.#count--;
    this.version++;
  }

  #show(watcher: Watcher, line: TraceLine): void {
    const second = Math.floor(this.#clock.monotonicMs() / 1000);
    if (watcher.second !== second) {
      watcher.second = second;
      watcher.lines = 0;
    }
    if (watcher.lines >= this.#limits.linesPerSecond) {
      watcher.dropped++;
      return;
    }
    if (watcher.dropped > 0) {
      if (!watcher.sink({ atMs: line.atMs, dropped: watcher.dropped })) {
        watcher.dropped++;
        return;
      }
      watcher.dropped = 0;
    }
    if (watcher.sink(line)) watcher.lines++;
    else watcher.dropped++;
  }
}

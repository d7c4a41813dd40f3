// The deadlines of many peers behind one timer of the loop: a heap that knows where each peer stands in it, so that a peer costs no
// timer and no closure of its own.

import type { Timer } from '../base/timers.ts';
import type { NetLoop } from './loop.ts';

/** What may have a deadline. The fields are the heap's; `dueMs` may be read. */
export interface HasDeadline {
  /** When it wants to be called (Infinity: never). */
  dueMs: number;
  /** Under which it stands in the heap: never later than `dueMs`. */
  heapMs: number;
  /** -1: it stands not in it. */
  heapIndex: number;
}

export class Deadlines<T extends HasDeadline> {
  readonly #loop: NetLoop;
  readonly #due: (item: T) => void;
  readonly #heap: T[] = [];
  #timer: Timer | undefined;

  /** `due` is called once, at or after an item's deadline, which is none then. */
  constructor(loop: NetLoop, due: (item: T) => void) {
    this.#loop = loop;
    this.#due = due;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** A later deadline costs nothing: the item is looked at when its old one comes up. */
  set(item: T, dueMs: number): void {
    item.dueMs = dueMs;
    if (item.heapIndex >= 0 ? item.heapMs <= dueMs : dueMs === Infinity) return;
    item.heapMs = dueMs;
    if (item.heapIndex < 0) item.heapIndex = this.#heap.push(item) - 1;
    this.#up(item);
    if (item.heapIndex === 0) this.#arm();
  }

  remove(item: T): void {
    item.dueMs = Infinity;
    const at = item.heapIndex;
    if (at < 0) return;
    item.heapIndex = -1;
    const last = this.#heap.pop()!;
    if (last === item) return;
    this.#place(last, at);
    this.#up(last);
    this.#down(last);
  }

  /** The timer goes on to be armed until it comes up; it then finds nothing. */
  #arm(): void {
    const first = this.#heap[0];
    if (first === undefined || (this.#timer?.task !== undefined && this.#timer.deadlineMs <= first.heapMs)) return;
    this.#loop.timers.cancel(this.#timer);
    this.#timer = this.#loop.timers.at(first.heapMs, this.#advance);
    this.#loop.wakeAt(first.heapMs);
  }

  readonly #advance = (nowMs: number): void => {
    // What is set anew while this runs waits for the next time, so that it ends.
    for (let rest = this.#heap.length; rest > 0; rest--) {
      const first = this.#heap[0];
      if (first === undefined || first.heapMs > nowMs) break;
      const { dueMs } = first;
      if (dueMs > nowMs && dueMs !== Infinity) {
        first.heapMs = dueMs;
        this.#down(first);
        continue;
      }
      this.remove(first);
      if (dueMs !== Infinity) this.#due(first);
    }
    this.#timer = undefined;
    this.#arm();
  };

  #place(item: T, at: number): void {
    this.#heap[at] = item;
    item.heapIndex = at;
  }

  #up(item: T): void {
    const heap = this.#heap;
    while (item.heapIndex > 0) {
      const parent = heap[(item.heapIndex - 1) >> 1]!;
      if (parent.heapMs <= item.heapMs) return;
      this.#swap(parent, item);
    }
  }

  #down(item: T): void {
    const heap = this.#heap;
    for (;;) {
      const left = 2 * item.heapIndex + 1;
      if (left >= heap.length) return;
      const right = left + 1;
      const child = right < heap.length && heap[right]!.heapMs < heap[left]!.heapMs ? heap[right]! : heap[left]!;
      if (child.heapMs >= item.heapMs) return;
      this.#swap(item, child);
    }
  }

  #swap(upper: T, lower: T): void {
    const at = upper.heapIndex;
    this.#place(upper, lower.heapIndex);
    this.#place(lower, at);
  }
}

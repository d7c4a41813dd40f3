// Deadlines on one clock: a binary heap. Cancelling is lazy (the entry is skipped when it surfaces), so both arming and
// cancelling are cheap; code that moves its deadline often (keep-alive) should rather re-check when the old one fires.

export type TimerTask = (nowMs: number) => void;

export type Timer = { readonly deadlineMs: number; task: TimerTask | undefined };

export class Timers {
  readonly #heap: Timer[] = [];
  #live = 0;

  /** Arms `task` for `deadlineMs` on the clock that `advance` is fed from. */
  at(deadlineMs: number, task: TimerTask): Timer {
    const timer: Timer = { deadlineMs, task };
    this.#heap.push(timer);
    this.#live++;
    this.#up(this.#heap.length - 1);
    return timer;
  }

  cancel(timer: Timer | undefined): void {
    if (timer?.task === undefined) return;
    timer.task = undefined;
    this.#live--;
    if (this.#heap.length > 64 && this.#live < this.#heap.length / 4) this.#compact();
  }

  /** The earliest armed deadline, or Infinity. */
  nextDeadlineMs(): number {
    this.#dropCancelled();
    return this.#heap[0]?.deadlineMs ?? Infinity;
  }

  /** Runs every task whose deadline is not after `nowMs`, earliest first. */
  advance(nowMs: number): void {
    while (this.advanceOne(nowMs));
  }

  /** Runs the earliest task, if its deadline is not after `nowMs`. Returns whether there was one. */
  advanceOne(nowMs: number): boolean {
    this.#dropCancelled();
    const first = this.#heap[0];
    if (first === undefined || first.deadlineMs > nowMs) return false;
    this.#removeFirst();
    const task = first.task;
    first.task = undefined;
    this.#live--;
    task?.(nowMs);
    return true;
  }

  get size(): number {
    return this.#live;
  }

  #dropCancelled(): void {
    while (this.#heap.length > 0 && this.#heap[0]!.task === undefined) this.#removeFirst();
  }

  #removeFirst(): void {
    const last = this.#heap.pop()!;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#down(0);
  }

  #compact(): void {
    const live = this.#heap.filter((timer) => timer.task !== undefined);
    this.#heap.length = 0;
    live.sort((a, b) => a.deadlineMs - b.deadlineMs);
    for (const timer of live) this.#heap.push(timer);
  }

  #up(from: number): void {
    const heap = this.#heap;
    let i = from;
    const timer = heap[i]!;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent]!.deadlineMs <= timer.deadlineMs) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = timer;
  }

  #down(from: number): void {
    const heap = this.#heap;
    let i = from;
    const timer = heap[i]!;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.deadlineMs < heap[child]!.deadlineMs) child++;
      if (heap[child]!.deadlineMs >= timer.deadlineMs) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = timer;
  }
}

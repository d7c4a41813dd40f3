// Who is due next: one heap for all handshakes and sessions. An item knows its place, so that its deadline can change.

export interface Timed {
  /** Monotonic; Infinity: not in the heap. Only `Deadlines` writes it. */
  deadline: number;
  /** Where it is in the heap; -1: nowhere. Only `Deadlines` writes it. */
  heapIndex: number;
}

export class Deadlines<T extends Timed> {
  readonly #heap: T[] = [];

  get next(): number {
    return this.#heap[0]?.deadline ?? Infinity;
  }

  /** The next one whose time has come; it leaves the heap. */
  takeDue(now: number): T | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.deadline > now) return undefined;
    this.set(first, Infinity);
    return first;
  }

  set(item: T, deadline: number): void {
    if (deadline === Infinity) {
      if (item.heapIndex >= 0) this.#remove(item);
      item.deadline = Infinity;
      return;
    }
    item.deadline = deadline;
    if (item.heapIndex < 0) {
      item.heapIndex = this.#heap.length;
      this.#heap.push(item);
    }
    this.#settle(item.heapIndex);
  }

  #remove(item: T): void {
    const at = item.heapIndex;
    const last = this.#heap.pop()!;
    item.heapIndex = -1;
    if (last === item) return;
    this.#place(last, at);
    this.#settle(at);
  }

  #place(item: T, at: number): void {
    this.#heap[at] = item;
    item.heapIndex = at;
  }

  #settle(at: number): void {
    const heap = this.#heap;
    const item = heap[at]!;
    let i = at;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent]!.deadline <= item.deadline) break;
      this.#place(heap[parent]!, i);
      i = parent;
    }
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.deadline < heap[child]!.deadline) child++;
      if (heap[child]!.deadline >= item.deadline) break;
      this.#place(heap[child]!, i);
      i = child;
    }
    this.#place(item, i);
  }
}

// How far somebody has looked at what waits in a queue, so that nobody looks at an entry twice. One place per level: what comes to
// the end of a level stands behind it. What is given back to a place that was passed is remembered by itself.

import type { Entry, Queue } from './queue.ts';
import { levels } from './ready-list.ts';

/** Beyond it, it is cheaper to begin anew. */
const maxReturned = 10_000;

export class QueueCursor {
  readonly #queue: Queue;
  /** The last entry passed, by level; undefined: none. */
  readonly #passed: (Entry | undefined)[] = Array.from({ length: levels }, () => undefined);
  /** Given back behind it, in their order. */
  #returned: Entry[] = [];

  /** At the beginning. */
  constructor(queue: Queue) {
    this.#queue = queue;
    (queue.cursors ??= new Set()).add(this);
  }

  close(): void {
    const { cursors } = this.#queue;
    cursors?.delete(this);
    if (cursors?.size === 0) this.#queue.cursors = undefined;
  }

  /** The next entry to look at; it stays the next one until it is passed or taken out of the queue. */
  next(): Entry | undefined {
    const { ready } = this.#queue;
    const returned = this.#returned[0];
    if (ready.first === undefined) return undefined;
    for (let level = ready.first.level; level >= ready.lowestLevel; level--) {
      if (returned?.level === level) return returned;
      const passed = this.#passed[level];
      const entry = passed === undefined ? ready.firstOf(level) : passed.after;
      if (entry?.level === level) return entry;
    }
    return undefined;
  }

  /** The entry, which `next` gave, is not wanted. */
  pass(entry: Entry): void {
    if (this.#returned[0] === entry) {
      this.#returned.shift();
      return;
    }
    this.#passed[entry.level] = entry;
    entry.marked = true;
  }

  /** An entry is about to be taken out of the list. */
  leave(entry: Entry): void {
    const { level, before } = entry;
    const at = this.#returned.indexOf(entry);
    if (at >= 0) this.#returned.splice(at, 1);
    if (this.#passed[level] !== entry) return;
    const isSame = before?.level === level;
    this.#passed[level] = isSame ? before : undefined;
    if (isSame) before.marked = true;
  }

  /** An entry is back at its place. */
  returned(entry: Entry): void {
    const passed = this.#passed[entry.level];
    if (passed === undefined || passed.position < entry.position) return;
    if (this.#returned.length >= maxReturned) return this.reset();
    let at = this.#returned.length;
    while (at > 0 && isBefore(entry, this.#returned[at - 1]!)) at--;
    this.#returned.splice(at, 0, entry);
    entry.marked = true;
  }

  /** What was passed is wanted after all. */
  reset(): void {
    this.#passed.fill(undefined);
    this.#returned = [];
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.level === b.level ? a.position < b.position : a.level > b.level;
}

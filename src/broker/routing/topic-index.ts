// Values by topic, found by filter: the mirror image of TopicTree. For retained messages.
//
// A search does as much work at a time as its caller asks for, so that `#` over a million topics does not hold up the event
// loop. Between two slices the index may change: what is held throughout a search is found exactly once, what comes or goes
// meanwhile may be found or not.

import { levelEnd, matches } from '../../message/filter.ts';
import { Leaf, LevelTrie, type Node, type Slot } from './level-trie.ts';

const dollar = 0x24;
const plus = 0x2b;
const hash = 0x23;

export class TopicIndex<V extends object> {
  readonly #trie = new LevelTrie<V>();

  get size(): number {
    return this.#trie.size;
  }

  get(topic: string): V | undefined {
    return this.#trie.find(topic)?.value;
  }

  /** `topic` must be valid (topicProblem). Returns the value it had before. */
  set(topic: string, value: V): V | undefined {
    const leaf = this.#trie.obtain(topic);
    const before = leaf.value;
    leaf.value = value;
    return before;
  }

  /** Returns the value it had. */
  delete(topic: string): V | undefined {
    const value = this.#trie.find(topic)?.value;
    if (value !== undefined) this.#trie.delete(topic);
    return value;
  }

  /** Starts a search for the topics that match a valid filter. */
  search(filter: string): TopicSearch<V> {
    return new TopicSearch(this.#trie.root, filter);
  }

  /** Every topic, in no particular order. */
  *entries(): Generator<[topic: string, value: V], void, undefined> {
    for (const leaf of this.#trie.leaves()) yield [leaf.path, leaf.value!];
  }
}

/** Slots that a search still has to look at, all at the same place of the filter. */
type Frame<V> = {
  readonly slots: Iterator<Slot<V>>;
  /** Where the filter goes on below these slots; at its `#` while everything below matches. */
  readonly rest: number;
};

export class TopicSearch<V extends object> {
  readonly #root: Node<V>;
  readonly #filter: string;
  #open: Frame<V>[] = [];

  constructor(root: Node<V>, filter: string) {
    this.#root = root;
    this.#filter = filter;
    this.#enter(root, 0);
  }

  get done(): boolean {
    return this.#open.length === 0;
  }

  /**
   * Goes on for at most `steps` looked-at places (found topics and others) and calls `visit` for each topic found.
   * Returns whether there may be more.
   */
  next(steps: number, visit: (topic: string, value: V) => void): boolean {
    const open = this.#open;
    for (let left = steps; left > 0 && open.length > 0; left--) {
      const { slots, rest } = open.at(-1)!;
      const next = slots.next();
      if (next.done === true) {
        open.pop();
        continue;
      }
      const slot = next.value;
      if (!(slot instanceof Leaf)) this.#enter(slot, rest);
      else if (slot.value !== undefined && matches(this.#filter, slot.path)) visit(slot.path, slot.value);
    }
    return open.length > 0;
  }

  /** Opens what lies below `node`, whose own level the filter has matched, with the filter going on at `start`. */
  #enter(node: Node<V>, start: number): void {
    const filter = this.#filter;
    // Literal levels lead straight to one slot. No step is charged: their number is that of the filter's levels.
    for (;;) {
      if (start > filter.length) {
        if (node.here !== undefined) this.#open.push({ slots: [node.here].values(), rest: start });
        return;
      }
      const code = filter.charCodeAt(start);
      const end = levelEnd(filter, start);
      if (code === hash) {
        this.#open.push({ slots: everything(node, node === this.#root), rest: start });
        return;
      }
      if (code === plus) {
        this.#open.push({ slots: children(node, node === this.#root), rest: end + 1 });
        return;
      }
      const slot = node.child(filter.slice(start, end));
      if (slot === undefined) return;
      if (slot instanceof Leaf) {
        this.#open.push({ slots: [slot].values(), rest: end + 1 });
        return;
      }
      node = slot;
      start = end + 1;
    }
  }
}

function* everything<V>(node: Node<V>, isRoot: boolean): Generator<Slot<V>, void, undefined> {
  const { here } = node;
  if (here !== undefined) yield here;
  yield* children(node, isRoot);
}

function* children<V>(node: Node<V>, isRoot: boolean): Generator<Slot<V>, void, undefined> {
  const slots = node.children;
  if (slots === undefined) return;
  for (const [label, slot] of slots instanceof Map ? slots : pairs(slots)) {
    // [MQTT-4.7.2-1] Wildcards in the first level do not see `$`.
    if (!isRoot || label.charCodeAt(0) !== dollar) yield slot;
  }
}

function* pairs<V>(slots: readonly (string | Slot<V>)[]): Generator<[string, Slot<V>], void, undefined> {
  for (let i = 0; i < slots.length; i += 2) yield [slots[i] as string, slots[i + 1] as Slot<V>];
}

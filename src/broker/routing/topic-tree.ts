// Who listens to what, per tenant: from filters to values, and from a topic to the values of all filters that match it.
//
// Filters without a wildcard are one look-up by the whole topic. The others are in a trie whose nodes are visited at most once
// per match, so that the work is bounded by the number of filters, whatever the topic.

import { hasWildcard, levelEnd, matchesFrom } from '../../message/filter.ts';
import { Leaf, LevelTrie, type Node, type Slot } from './level-trie.ts';
import { Several } from './several.ts';

const dollar = 0x24;

/** Values are compared by identity. One filter may have several, and one value several filters. */
export class TopicTree<T extends object> {
  readonly #exact = new Map<string, T | Several<T>>();
  readonly #wild = new LevelTrie<T | Several<T>>();
  #size = 0;

  // Reused by every match.
  readonly #labels: string[] = [];
  readonly #ends: number[] = [];
  readonly #nodes: Node<T | Several<T>>[] = [];
  readonly #depths: number[] = [];

  /** Pairs of filter and value. */
  get size(): number {
    return this.#size;
  }

  /** Distinct filters. */
  get filterCount(): number {
    return this.#exact.size + this.#wild.size;
  }

  /** `filter` must be valid (filterProblem). Returns false when the pair is there already. */
  add(filter: string, value: T): boolean {
    if (hasWildcard(filter)) {
      const leaf = this.#wild.obtain(filter);
      const values = withValue(leaf.value, value);
      if (values === undefined) return false;
      leaf.value = values;
    } else {
      const before = this.#exact.get(filter);
      const values = withValue(before, value);
      if (values === undefined) return false;
      if (values !== before) this.#exact.set(filter, values);
    }
    this.#size++;
    return true;
  }

  /** Returns false when the pair is not there. */
  remove(filter: string, value: T): boolean {
    const wild = hasWildcard(filter);
    const leaf = wild ? this.#wild.find(filter) : undefined;
    const values = wild ? leaf?.value : this.#exact.get(filter);
    if (values === undefined) return false;
    if (values instanceof Several) {
      if (!values.delete(value)) return false;
      const last = values.size === 1 ? values.items[0]! : undefined;
      if (last !== undefined) {
        if (leaf) leaf.value = last;
        else this.#exact.set(filter, last);
      }
    } else {
      if (values !== value) return false;
      if (wild) this.#wild.delete(filter);
      else this.#exact.delete(filter);
    }
    this.#size--;
    return true;
  }

  /** The values of exactly this filter. */
  valuesOf(filter: string): readonly T[] {
    const values = hasWildcard(filter) ? this.#wild.find(filter)?.value : this.#exact.get(filter);
    return values === undefined ? [] : values instanceof Several ? values.items.slice() : [values];
  }

  /** Calls `visit` for each pair whose filter matches: a value with two matching filters comes twice. The tree may change meanwhile. */
  match(topic: string, visit: (value: T) => void): void {
    for (const value of this.collect(topic, [])) visit(value);
  }

  /** Like `match`, but appends to `into` and returns it: for callers that reuse an array. */
  collect(topic: string, into: T[]): T[] {
    const exact = this.#exact.get(topic);
    if (exact !== undefined) append(exact, into);
    if (this.#wild.size > 0) this.#collectWild(topic, into);
    return into;
  }

  #collectWild(topic: string, into: T[]): void {
    const nodes = this.#nodes;
    const depths = this.#depths;
    const ends = this.#ends;
    const hidden = topic.charCodeAt(0) === dollar; // [MQTT-4.7.2-1]
    let known = 0;
    nodes.push(this.#wild.root);
    depths.push(0);
    for (let node = nodes.pop(); node !== undefined; node = nodes.pop()) {
      const depth = depths.pop()!;
      const wildcards = depth > 0 || !hidden;
      if (node.hash !== undefined && wildcards) append(node.hash.value!, into);
      const start = depth === 0 ? 0 : ends[depth - 1]! + 1;
      if (start > topic.length) {
        if (node.here !== undefined) append(node.here.value!, into);
        continue;
      }
      if (depth === known) {
        const end = levelEnd(topic, start);
        ends[depth] = end;
        this.#labels[depth] = topic.slice(start, end);
        known++;
      }
      if (node.plus !== undefined && wildcards) this.#descend(node.plus, depth, topic, into);
      if (node.children === undefined) continue;
      const child = node.child(this.#labels[depth]!);
      if (child !== undefined) this.#descend(child, depth, topic, into);
    }
    if (known > maxKeptLevels) this.#labels.length = ends.length = nodes.length = depths.length = 0;
  }

  #descend(slot: Slot<T | Several<T>>, depth: number, topic: string, into: T[]): void {
    if (!(slot instanceof Leaf)) {
      this.#nodes.push(slot);
      this.#depths.push(depth + 1);
    } else if (matchesFrom(slot.path, slot.rest, topic, this.#ends[depth]! + 1)) {
      append(slot.value!, into);
    }
  }

  /** Every pair, in no particular order. Pairs added or removed meanwhile may be missing or seen. */
  *entries(): Generator<[filter: string, value: T], void, undefined> {
    for (const [filter, values] of this.#exact) {
      if (values instanceof Several) for (const value of values.items) yield [filter, value];
      else yield [filter, values];
    }
    for (const leaf of this.#wild.leaves()) {
      const values = leaf.value!;
      if (values instanceof Several) for (const value of values.items) yield [leaf.path, value];
      else yield [leaf.path, values];
    }
  }
}

/** Longer scratch arrays are given back after use. */
const maxKeptLevels = 256;

function append<T extends object>(values: T | Several<T>, into: T[]): void {
  if (values instanceof Several) {
    const items = values.items;
    for (let i = 0; i < items.length; i++) into.push(items[i]!);
  } else {
    into.push(values);
  }
}

/** The values with one more; undefined when it is among them already. */
function withValue<T extends object>(values: T | Several<T> | undefined, value: T): T | Several<T> | undefined {
  if (values === undefined) return value;
  if (values === value) return undefined;
  if (values instanceof Several) return values.add(value) ? values : undefined;
  return new Several(values, value);
}

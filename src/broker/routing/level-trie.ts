// A trie over the levels of topics and filters: the body of TopicTree and TopicIndex.
//
// - What stands alone below a level is one leaf with its whole path; a level becomes a node only when two paths share it, and
//   a node that has a single leaf left becomes that leaf again. So a million paths cost a million leaves and few nodes, and
//   the shape depends only on what is held, not on what was removed.
// - Nothing recurses: a path of 60,000 levels is a loop.
// - A reader may keep what it has read of `children` while the trie changes: small sets are replaced and not changed, large
//   ones are Maps, whose iterators bear changes. A leaf that was removed has no value any more. TopicIndex relies on this.

import { levelEnd } from '../../message/filter.ts';

export class Leaf<V> {
  readonly path: string;
  /** Where in `path` the levels begin that the nodes above do not say: one past the end when there are none. */
  rest: number;
  /** Undefined once removed, or before its creator has set it. */
  value: V | undefined = undefined;

  constructor(path: string, rest: number) {
    this.path = path;
    this.rest = rest;
  }
}

export type Slot<V> = Leaf<V> | Node<V>;

/** By label. Few: label, slot, label, slot… in an array that is never changed. Many: a Map. */
export type Children<V> = readonly (string | Slot<V>)[] | Map<string, Slot<V>> | undefined;

const maxInArray = 8;
const minInMap = 5;

export class Node<V> {
  children: Children<V> = undefined;
  /** What is below a level `+`. */
  plus: Slot<V> | undefined = undefined;
  /** The path that ends here. */
  here: Leaf<V> | undefined = undefined;
  /** The path that ends in a level `#` below this node. */
  hash: Leaf<V> | undefined = undefined;

  child(label: string): Slot<V> | undefined {
    const children = this.children;
    if (children === undefined) return undefined;
    if (children instanceof Map) return children.get(label);
    for (let i = 0; i < children.length; i += 2) if (children[i] === label) return children[i + 1] as Slot<V>;
    return undefined;
  }

  setChild(label: string, slot: Slot<V>): void {
    const children = this.children;
    if (children === undefined) {
      this.children = [label, slot];
      return;
    }
    if (children instanceof Map) {
      children.set(label, slot);
      return;
    }
    const at = children.indexOf(label);
    if (at !== -1) this.children = children.with(at + 1, slot);
    else if (children.length < 2 * maxInArray) this.children = children.concat(label, slot); // unlike a spread, without room to grow
    else {
      const map = new Map<string, Slot<V>>();
      for (let i = 0; i < children.length; i += 2) map.set(children[i] as string, children[i + 1] as Slot<V>);
      this.children = map.set(label, slot);
    }
  }

  deleteChild(label: string): void {
    const children = this.children;
    if (children === undefined) return;
    if (children instanceof Map) {
      if (children.size > minInMap) {
        children.delete(label);
        return;
      }
      const few: (string | Slot<V>)[] = [];
      for (const [key, slot] of children) if (key !== label) few.push(key, slot);
      this.children = few;
    } else {
      const at = children.indexOf(label);
      if (at !== -1) this.children = children.length === 2 ? undefined : children.toSpliced(at, 2);
    }
  }

  /** The only thing this node holds, if it is a leaf and nothing else is held; 'nothing' if it is empty. */
  onlyLeaf(): Leaf<V> | 'nothing' | undefined {
    const { children, plus, here, hash } = this;
    if (children instanceof Map || (children !== undefined && children.length > 2)) return undefined;
    const held = [children?.[1] as Slot<V> | undefined, plus, here, hash].filter((slot) => slot !== undefined);
    if (held.length === 0) return 'nothing';
    const only = held.length === 1 ? held[0] : undefined;
    return only instanceof Leaf ? only : undefined;
  }
}

export class LevelTrie<V> {
  readonly root = new Node<V>();
  size = 0;
  readonly #nodes: Node<V>[] = [];
  readonly #starts: number[] = [];

  find(path: string): Leaf<V> | undefined {
    let node = this.root;
    let start = 0;
    for (;;) {
      if (start > path.length) return node.here;
      const end = levelEnd(path, start);
      if (isHash(path, start, end)) return node.hash;
      const slot = isPlus(path, start, end) ? node.plus : node.child(path.slice(start, end));
      if (slot === undefined) return undefined;
      if (slot instanceof Leaf) return slot.path === path ? slot : undefined;
      node = slot;
      start = end + 1;
    }
  }

  /** The leaf of `path`; a new one has no value, and its creator must set one. */
  obtain(path: string): Leaf<V> {
    let node = this.root;
    let start = 0;
    for (;;) {
      if (start > path.length) return (node.here ??= this.#newLeaf(path, start));
      const end = levelEnd(path, start);
      if (isHash(path, start, end)) return (node.hash ??= this.#newLeaf(path, start));
      const slot = isPlus(path, start, end) ? node.plus : node.child(path.slice(start, end));
      if (slot === undefined) {
        const leaf = this.#newLeaf(path, end + 1);
        put(node, path, start, end, leaf);
        return leaf;
      }
      if (slot instanceof Leaf) {
        if (slot.path === path) return slot;
        const shared = new Node<V>();
        pushDown(shared, slot);
        put(node, path, start, end, shared);
        node = shared;
      } else {
        node = slot;
      }
      start = end + 1;
    }
  }

  /** Removes the leaf of `path` and what stood only for it. */
  delete(path: string): boolean {
    const nodes = this.#nodes;
    const starts = this.#starts;
    let node = this.root;
    let start = 0;
    let leaf: Leaf<V> | undefined;
    for (;;) {
      nodes.push(node);
      starts.push(start);
      if (start > path.length) {
        leaf = node.here;
        node.here = undefined;
        break;
      }
      const end = levelEnd(path, start);
      if (isHash(path, start, end)) {
        leaf = node.hash;
        node.hash = undefined;
        break;
      }
      const slot = isPlus(path, start, end) ? node.plus : node.child(path.slice(start, end));
      if (slot instanceof Node) {
        node = slot;
        start = end + 1;
        continue;
      }
      if (slot?.path === path) {
        leaf = slot;
        take(node, path, start, end);
      }
      break;
    }
    if (leaf !== undefined) {
      leaf.value = undefined;
      this.size--;
      this.#prune(path);
    }
    nodes.length = 0;
    starts.length = 0;
    return leaf !== undefined;
  }

  /** Walks the way of `delete` back up: empty nodes go, nodes with a single leaf become that leaf. */
  #prune(path: string): void {
    for (let i = this.#nodes.length - 1; i > 0; i--) {
      const only = this.#nodes[i]!.onlyLeaf();
      if (only === undefined) return;
      const parent = this.#nodes[i - 1]!;
      const start = this.#starts[i - 1]!;
      const end = this.#starts[i]! - 1;
      if (only === 'nothing') {
        take(parent, path, start, end);
      } else {
        only.rest = this.#starts[i]!;
        put(parent, path, start, end, only);
      }
    }
  }

  /** Every leaf, in no particular order. The trie may change meanwhile: what is held throughout is seen exactly once. */
  *leaves(): Generator<Leaf<V>, void, undefined> {
    const open: Iterator<Slot<V>>[] = [slotsOf(this.root)];
    while (open.length > 0) {
      const next = open.at(-1)!.next();
      if (next.done === true) open.pop();
      else if (next.value instanceof Node) open.push(slotsOf(next.value));
      else if (next.value.value !== undefined) yield next.value;
    }
  }

  #newLeaf(path: string, rest: number): Leaf<V> {
    this.size++;
    return new Leaf(path, rest);
  }
}

function* slotsOf<V>(node: Node<V>): Generator<Slot<V>, void, undefined> {
  const { children, plus, here, hash } = node;
  if (here) yield here;
  if (hash) yield hash;
  if (plus) yield plus;
  if (children instanceof Map) yield* children.values();
  else if (children) for (let i = 1; i < children.length; i += 2) yield children[i] as Slot<V>;
}

function put<V>(node: Node<V>, path: string, start: number, end: number, slot: Slot<V>): void {
  if (isPlus(path, start, end)) node.plus = slot;
  else node.setChild(labelOf(path, start, end), slot);
}

function take<V>(node: Node<V>, path: string, start: number, end: number): void {
  if (isPlus(path, start, end)) node.plus = undefined;
  else node.deleteChild(path.slice(start, end));
}

/** Hangs a leaf whose path goes through `node` below it. */
function pushDown<V>(node: Node<V>, leaf: Leaf<V>): void {
  const { path, rest } = leaf;
  if (rest > path.length) {
    node.here = leaf;
    return;
  }
  const end = levelEnd(path, rest);
  if (isHash(path, rest, end)) {
    node.hash = leaf;
    return;
  }
  leaf.rest = end + 1;
  put(node, path, rest, end, leaf);
}

/** A label that is kept must not keep a much longer path alive, as a slice does. */
function labelOf(path: string, start: number, end: number): string {
  const label = path.slice(start, end);
  if (label.length < 13 || path.length - label.length < 256) return label;
  return Buffer.from(label, 'utf16le').toString('utf16le');
}

function isPlus(path: string, start: number, end: number): boolean {
  return end === start + 1 && path.charCodeAt(start) === 0x2b;
}

function isHash(path: string, start: number, end: number): boolean {
  return end === start + 1 && path.charCodeAt(start) === 0x23;
}

// Many patterns, asked at once which of them match a topic: the way through the levels is walked once, however many patterns
// there are. Each node is reached at most once per group of the principal.

import type { Principal } from '../security.ts';
import type { CompiledStatement } from './statement.ts';
import { anyLevel, anyRest, hiddenFromWildcards } from './topic-pattern.ts';
import type { LevelTemplate, TopicPattern } from './topic-pattern.ts';

/** One pattern of one statement. */
export type PatternEntry = { readonly statement: CompiledStatement; readonly pattern: TopicPattern };

type Node = {
  readonly texts: Map<string, Node>;
  readonly templates: { readonly template: LevelTemplate; readonly node: Node }[];
  any: Node | undefined;
  /** Statements whose pattern ends here, and those that go on with `#`. */
  readonly ends: CompiledStatement[];
  readonly rests: CompiledStatement[];
};

function emptyNode(): Node {
  return { texts: new Map(), templates: [], any: undefined, ends: [], rests: [] };
}

export class PatternTree {
  readonly #root = emptyNode();
  #topic: readonly string[] = [];
  #principal!: Principal;
  #found: CompiledStatement[] = [];

  add({ statement, pattern }: PatternEntry): void {
    let node = this.#root;
    for (const level of pattern.levels) {
      if (level === anyRest) {
        node.rests.push(statement);
        return;
      }
      node = next(node, level);
    }
    node.ends.push(statement);
  }

  /** Adds to `found` the statements that have a pattern which matches the topic of these levels. */
  collect(topic: readonly string[], principal: Principal, found: CompiledStatement[]): void {
    this.#topic = topic;
    this.#principal = principal;
    this.#found = found;
    this.#walk(this.#root, 0, undefined);
  }

  #walk(node: Node, i: number, group: string | undefined): void {
    const topic = this.#topic;
    const isHidden = i === 0 && hiddenFromWildcards(topic[0]);
    if (node.rests.length > 0 && !isHidden) this.#found.push(...node.rests);
    if (i === topic.length) {
      if (node.ends.length > 0) this.#found.push(...node.ends);
      return;
    }
    const level = topic[i]!;
    const child = node.texts.get(level);
    if (child !== undefined) this.#walk(child, i + 1, group);
    if (node.any !== undefined && !isHidden) this.#walk(node.any, i + 1, group);
    for (const { template, node: after } of node.templates) {
      if (!template.usesGroup || group !== undefined) {
        if (template.fill(this.#principal, group, i === 0) === level) this.#walk(after, i + 1, group);
        continue;
      }
      for (const one of this.#principal.groups ?? []) {
        if (template.fill(this.#principal, one, i === 0) === level) this.#walk(after, i + 1, one);
      }
    }
  }
}

function next(node: Node, level: string | LevelTemplate | typeof anyLevel): Node {
  if (level === anyLevel) return (node.any ??= emptyNode());
  if (typeof level === 'string') {
    let child = node.texts.get(level);
    if (child === undefined) node.texts.set(level, (child = emptyNode()));
    return child;
  }
  let known = node.templates.find(({ template }) => template.text === level.text);
  if (known === undefined) node.templates.push((known = { template: level, node: emptyNode() }));
  return known.node;
}

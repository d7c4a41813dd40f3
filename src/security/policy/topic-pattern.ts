// Patterns of policies, and the three questions about them: does a topic match, does a pattern cover a whole filter, does it
// touch a filter at all. The grammar is that of MQTT filters, with variables that stand for what is known of the principal.
//
// A variable is put in level by level, after the pattern was split: whatever an id, a group or a label holds, it can never
// become a wildcard, a second level, or the `$` that makes a topic the broker's.

import type { Principal } from '../security.ts';
import { shown } from './document-check.ts';

const variables = /\$\{([^}]*)\}/g;

/** What a label can be called: as the registry has it. */
const labelVariable = /^label:[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

type Variable = 'id' | 'tenant' | 'group' | { readonly label: string };

export const variableNames = '${id} (or ${device}), ${tenant}, ${group} and ${label:name}';

function variableOf(name: string): Variable | undefined {
  if (name === 'id' || name === 'device') return 'id';
  if (name === 'tenant' || name === 'group') return name;
  return labelVariable.test(name) ? { label: name.slice('label:'.length) } : undefined;
}

/** Text with `${…}` in it, to be filled per principal. */
export class LevelTemplate {
  readonly text: string;
  readonly usesGroup: boolean;
  readonly #texts: readonly string[];
  /** Each stands after the text of its index. */
  readonly #variables: readonly Variable[];

  constructor(level: string) {
    this.text = level;
    const parts = level.split(variables);
    this.#texts = parts.filter((_, i) => i % 2 === 0);
    this.#variables = parts.filter((_, i) => i % 2 === 1).map((name) => variableOf(name)!);
    this.usesGroup = this.#variables.includes('group');
  }

  /** Undefined: it matches nothing, because the principal has not what it asks for. */
  fill(principal: Principal, group: string | undefined, isFirst: boolean): string | undefined {
    let text = this.#texts[0]!;
    for (let i = 0; i < this.#variables.length; i++) {
      const value = valueOf(this.#variables[i]!, principal, group);
      if (value === undefined || value === '') return undefined;
      text += value + this.#texts[i + 1]!;
    }
    // Topics of the broker are reached only by who writes the `$` into the pattern, not by who is given it as a label.
    return isFirst && isBrokers(text) && !isBrokers(this.#texts[0]!) ? undefined : text;
  }
}

function valueOf(variable: Variable, principal: Principal, group: string | undefined): string | undefined {
  if (variable === 'id') return principal.id;
  if (variable === 'tenant') return principal.tenant;
  if (variable === 'group') return group;
  const { labels } = principal;
  return labels !== undefined && Object.hasOwn(labels, variable.label) ? labels[variable.label] : undefined;
}

export const anyLevel = Symbol('+');
export const anyRest = Symbol('#');

export type Level = string | LevelTemplate | typeof anyLevel | typeof anyRest;

/** One pattern, split and checked. `usesGroup`: it stands for one pattern per group of the principal. */
export type TopicPattern = { readonly text: string; readonly levels: readonly Level[]; readonly usesGroup: boolean };

/** What is wrong with a pattern, in words; undefined when nothing is. */
export function patternFault(text: string): string | undefined {
  if (text.length === 0) return 'is empty';
  if (text.includes('\0')) return 'holds a NUL character';
  if (text.startsWith('$share/'))
    return 'names a shared subscription; write the filter behind `$share/<group>/` alone, with the action `subscribe`';
  for (const [, name = ''] of text.matchAll(variables)) {
    if (variableOf(name) === undefined) return `holds the unknown variable \${${shown(name)}}; there are ${variableNames}`;
  }
  if (text.replaceAll(variables, '').includes('${')) return 'has a `${` without its `}`';
  const levels = text.split('/');
  for (const [i, level] of levels.entries()) {
    if (level === '+' || level === '#') {
      if (level === '#' && i < levels.length - 1) return 'has `#` before its last level';
    } else if (level.includes('+') || level.includes('#')) {
      return `has a wildcard inside the level \`${shown(level)}\`; wildcards stand for whole levels`;
    }
  }
  return undefined;
}

/** `text` must have no `patternFault`. */
export function compilePattern(text: string): TopicPattern {
  const levels = text.split('/').map((level): Level => {
    if (level === '+') return anyLevel;
    if (level === '#') return anyRest;
    return level.search(variables) === -1 ? level : new LevelTemplate(level);
  });
  return { text, levels, usesGroup: levels.some((level) => level instanceof LevelTemplate && level.usesGroup) };
}

/** Undefined: matches nothing. */
function filled(level: string | LevelTemplate, principal: Principal, group: string | undefined, i: number): string | undefined {
  return typeof level === 'string' ? level : level.fill(principal, group, i === 0);
}

function isBrokers(level: string): boolean {
  return level.charCodeAt(0) === 36;
}

/** Topics that start with `$` are only reached by patterns that write that level out [MQTT-4.7.2-1]. */
export function hiddenFromWildcards(first: string | undefined): boolean {
  return first !== undefined && isBrokers(first);
}

type Question = (levels: readonly Level[], other: readonly string[], principal: Principal, group: string | undefined) => boolean;

/** One alternative per group of the principal. */
function forAnyGroup(question: Question, pattern: TopicPattern, other: readonly string[], principal: Principal): boolean {
  const { levels, usesGroup } = pattern;
  if (!usesGroup) return question(levels, other, principal, undefined);
  return principal.groups?.some((group) => question(levels, other, principal, group)) === true;
}

/** Does `pattern` match the topic of these levels? Nothing in a topic is a wildcard. */
export function matchesTopic(pattern: TopicPattern, topic: readonly string[], principal: Principal): boolean {
  return forAnyGroup(matches, pattern, topic, principal);
}

/** Does `pattern` match every topic that the filter of these levels matches? */
export function coversFilter(pattern: TopicPattern, filter: readonly string[], principal: Principal): boolean {
  return forAnyGroup(covers, pattern, filter, principal);
}

/** Is there a topic that both `pattern` and the filter of these levels match? */
export function touchesFilter(pattern: TopicPattern, filter: readonly string[], principal: Principal): boolean {
  return forAnyGroup(touches, pattern, filter, principal);
}

function matches(levels: readonly Level[], topic: readonly string[], principal: Principal, group: string | undefined): boolean {
  for (let i = 0; i < levels.length; i++) {
    const level = levels[i]!;
    if (level === anyRest) return i > 0 || !hiddenFromWildcards(topic[0]);
    if (i >= topic.length) return false;
    if (level === anyLevel) {
      if (i === 0 && hiddenFromWildcards(topic[0])) return false;
    } else if (filled(level, principal, group, i) !== topic[i]) {
      return false;
    }
  }
  return levels.length === topic.length;
}

/** The same as `#`, because every topic has a first level: lets `+/#` cover it. */
const everything: readonly string[] = ['+', '#'];

function covers(levels: readonly Level[], filterLevels: readonly string[], principal: Principal, group: string | undefined): boolean {
  const filter = filterLevels[0] === '#' ? everything : filterLevels;
  for (let i = 0; i < levels.length; i++) {
    const level = levels[i]!;
    if (level === anyRest) return i > 0 || !hiddenFromWildcards(filter[0]);
    // Where the filter goes on for ever, or also takes the parent level, a pattern without `#` here does not follow.
    if (i >= filter.length || filter[i] === '#') return false;
    if (level === anyLevel) {
      if (i === 0 && hiddenFromWildcards(filter[0])) return false;
    } else if (filter[i] === '+' || filled(level, principal, group, i) !== filter[i]) {
      return false;
    }
  }
  return levels.length === filter.length;
}

function touches(levels: readonly Level[], filter: readonly string[], principal: Principal, group: string | undefined): boolean {
  for (let i = 0; ; i++) {
    const level = levels[i];
    const other = filter[i];
    if (level === undefined && other === undefined) return true;
    if (level === anyRest) return i > 0 || !hiddenFromWildcards(other);
    if (other === '#' && (i > 0 || level === undefined || level === anyLevel)) return restCanMatch(levels, i, principal, group);
    if (level === undefined || other === undefined) return false;
    if (level === anyLevel) {
      if (i === 0 && hiddenFromWildcards(other)) return false;
      continue;
    }
    const text = filled(level, principal, group, i);
    if (text === undefined) return false;
    if (other === '#') return !hiddenFromWildcards(text) && restCanMatch(levels, i, principal, group);
    if (other === '+' ? i === 0 && hiddenFromWildcards(text) : text !== other) return false;
  }
}

/** Whether what the rest of a pattern asks of the principal is there: otherwise it matches nothing. */
function restCanMatch(levels: readonly Level[], from: number, principal: Principal, group: string | undefined): boolean {
  for (let i = from; i < levels.length; i++) {
    const level = levels[i];
    if (!(level instanceof LevelTemplate)) continue;
    const text = level.fill(principal, group, i === 0);
    // What is put in may hold what no level of a topic can: then nothing matches either.
    if (text === undefined || /[/+#\0]/.test(text)) return false;
  }
  return true;
}
